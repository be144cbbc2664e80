"""Live: `/live` says by server-sent events when the closed tick moved or an alert came, so that an open page asks only then.

One look at the store for all listeners, while there are any. Their number is bounded: whoever comes too late gets 503, and the page
asks every few seconds as it does without a script that listens.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import desc, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dashboards.board.forms import visitor_of
from dashboards.board.shell import BoardState, state_of
from groundswell.errors import GroundswellError
from groundswell.exports import iso
from groundswell.store import schema as t
from groundswell.store.query import closed_ms

LISTENERS_MAX: Final = 64
EACH_MAX: Final = 8
"""Of one person, so that nobody takes every place. Who has no account is nobody in particular, and has no bound of their own."""

LIFE_S: Final = 600.0
"""Then a stream ends and the page opens another: who may not look any more hears no more."""

LOOK_S: Final = 1.0
STILL_S: Final = 15.0
"""A comment that often, so that nothing between here and the reader takes the silence for an end."""

RETRY_MS: Final = 5_000


class Moment(NamedTuple):
    """What a page depends on, and what an event says of it."""

    version: str
    data_until: str | None
    alert: str | None  # id of the newest


class Live:
    """Everybody who listens.

    Args:
        listeners_max: at once.
        look_s: time between two looks at the store.
        still_s: time between two comments.
        life_s: for how long one stream is kept.
    """

    def __init__(
        self, *, listeners_max: int = LISTENERS_MAX, look_s: float = LOOK_S, still_s: float = STILL_S, life_s: float = LIFE_S
    ) -> None:
        self._listeners_max, self._look_s, self._still_s, self._life_s = listeners_max, look_s, still_s, life_s
        self._listeners: Counter[str | None] = Counter()  # by person
        self._moment: Moment | None = None
        self._moved = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        """The address."""
        return [Route("/live", self.listen)]

    async def listen(self, request: Request) -> Response:
        """Events for one reader, until it goes."""
        who = visitor_of(request).name
        if self._listeners.total() >= self._listeners_max:
            return _full(f"{self._listeners_max} readers listen already")
        if who is not None and self._listeners[who] >= EACH_MAX:
            return _full(f"{EACH_MAX} pages of {who} listen already")
        return _Stream(self, state_of(request), who)

    def enter(self, state: BoardState, who: str | None) -> None:
        """One listener more; the first one begins to look."""
        self._listeners[who] += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(state))

    def leave(self, who: str | None) -> None:
        """One less; with the last one the looking ends."""
        self._listeners -= Counter([who])  # what is nothing is not kept
        if not self._listeners and self._looking is not None:
            self._looking.cancel()
            self._looking, self._moment = None, None

    async def events(self) -> AsyncIterator[bytes]:
        """What is sent: the present moment, then each new one."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        sent: Moment | None = None
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._life_s
        while loop.time() < end_s:
            moved = self._moved
            if self._moment is not None and self._moment != sent:
                sent = self._moment
                said = msgspec.json.encode({"data_until": sent.data_until, "alert": sent.alert}).decode()
                yield f"event: moved\ndata: {said}\n\n".encode()
            try:
                await asyncio.wait_for(moved.wait(), self._still_s)
            except TimeoutError:
                yield b": still here\n\n"

    async def _look(self, state: BoardState) -> None:
        while True:
            with suppress(GroundswellError):  # the store is away: nothing has moved that a page could show
                found = await run_in_threadpool(_now, state)
                if found != self._moment:
                    self._moment, moved = found, self._moved
                    self._moved = asyncio.Event()
                    moved.set()
            await asyncio.sleep(self._look_s)


class _Stream(StreamingResponse):
    """An answer that counts as a listener while it is sent."""

    def __init__(self, live: Live, state: BoardState, who: str | None) -> None:
        super().__init__(live.events(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})
        self._live, self._who = live, who
        live.enter(state, who)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the reader goes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave(self._who)


def _full(what: str) -> Response:
    text = f"live: {what}; ask for the page again every few seconds"
    return PlainTextResponse(text, status_code=503, headers={"retry-after": "60"})


def _now(state: BoardState) -> Moment:
    a = t.alerts.c
    with state.store.read() as connection:
        watch = state.watch(connection)
        until = closed_ms(connection, watch.run)
        newest = select(a.id).where(a.run == watch.run).order_by(desc(a.opened_ms), desc(a.id)).limit(1)
        alert = connection.execute(newest).scalar_one_or_none()
        return Moment(f"{watch.version(connection)}:{alert}", None if until is None else iso(until), alert)
