"""A TCP proxy between a worker and its peers that can be told to misbehave as networks do."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Literal, Self

HOST: Final = "127.0.0.1"
PIECE_BYTES: Final = 65_536
ANSWER_WITHIN_S: Final = 120.0

Way = Literal["open", "cut", "deaf", "refusing"]
"""open: everything passes. cut: nothing passes, connections stay (a dead link). deaf: requests pass, answers are thrown away.
refusing: nobody listens, and whoever was connected is cut off."""


class Proxy:
    """One address that leads to another, from its start to its end.

    Args:
        to: port on loopback where connections are led; asked for with each one, so that it may be known later.
    """

    def __init__(self, to: Callable[[], int]) -> None:
        self._to = to
        self._way: Way = "open"
        self._opened = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.set()
        self._do(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def become(self, way: Way) -> None:
        """Behave so from now on; coming back from `deaf` cuts every connection off, because answers are missing in them."""
        self._do(self._become(way))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(ANSWER_WITHIN_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._take, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _become(self, way: Way) -> None:
        before, self._way = self._way, way
        if way == "cut":
            self._opened.clear()
        else:
            self._opened.set()
        if way == "refusing" and self._server is not None:
            self._server.close()
            self._server = None
        if way == "refusing" or before == "deaf":
            self._cut_off()
        if way != "refusing" and self._server is None:
            await self._listen()

    def _cut_off(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        self._cut_off()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = asyncio.current_task()
        assert mine is not None
        self._tasks.add(mine)
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._opened.wait()
            answers, there = await asyncio.open_connection(HOST, self._to())
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, there, answers=False))
                group.create_task(self._carry(answers, writer, answers=True))
        except* (OSError, ConnectionError, asyncio.CancelledError):
            pass  # one side is gone, and so is the other below
        finally:
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)
            self._tasks.discard(mine)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._opened.wait()  # what was under way when the link died arrives when it is back, as TCP sees to
            if self._way == "deaf" and answers:
                continue
            writer.write(piece)
            await writer.drain()
        raise ConnectionAbortedError
