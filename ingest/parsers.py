"""Where answers are read: in processes of their own, so that a publisher's worst document costs a process and never the crawler.

Reading is most of a crawler's work (a millisecond an item), and Python does it on one core while everything else waits for that
core; a document that hangs its reader, or eats its memory, ends that reader alone.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Final, ParamSpec, Protocol, Self, TypeVar

__all__ = ["LostReaderError", "OffLoop", "Parsers"]

WITHIN_S: Final = 30.0
START_WITHIN_S: Final = 300.0

P = ParamSpec("P")
T = TypeVar("T")


class OffLoop(Protocol):
    """Calls a function somewhere else than on the event loop; `asyncio.to_thread` is one."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """What the function returns, or what it raises."""
        ...


class LostReaderError(Exception):
    """A document has cost its reader too much time, or its life."""


class Parsers:
    """Processes that read answers, each one answer at a time; an async context manager. They start when they are needed.

    Args:
        processes: how many.
        within_s: how long one answer may take, once its reader is there.
    """

    def __init__(self, processes: int, *, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._free: asyncio.Queue[ProcessPoolExecutor] = asyncio.Queue()
        for _ in range(processes):
            self._free.put_nowait(_reader())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while not self._free.empty():
            _end(self._free.get_nowait())

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of a module in one of the processes.

        Raises:
            LostReaderError: it took too long, or its process has ended; another process has taken the place.
        """
        reader = await self._free.get()
        whole = False
        try:
            loop = asyncio.get_running_loop()
            # A process that has to be started first takes seconds on a busy machine: they are not the answer's.
            await asyncio.wait_for(loop.run_in_executor(reader, os.getpid), START_WITHIN_S)
            found = await asyncio.wait_for(loop.run_in_executor(reader, partial(function, *args, **kwargs)), self._within_s)
            whole = True
        except TimeoutError as error:
            message = f"unreadable: not read within {self._within_s:g} s"
            raise LostReaderError(message) from error
        except BrokenExecutor as error:
            message = "unreadable: its reader has died of it"
            raise LostReaderError(message) from error
        else:
            return found
        finally:
            # Given up, it would go on reading: nobody else may wait behind it.
            if not whole:
                _end(reader)
                reader = _reader()
            self._free.put_nowait(reader)


def _reader() -> ProcessPoolExecutor:
    # Not forked: the crawler has threads and connections.
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """In a reader: Ctrl-C is for the crawler, and a reader whose crawler was killed ends too (it would wait for ever)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _end(reader: ProcessPoolExecutor) -> None:
    """Kill a reader's process, whatever it is doing; the executor itself can only wait."""
    for process in list((reader._processes or {}).values()):
        process.kill()
    reader.shutdown(wait=False, cancel_futures=True)
