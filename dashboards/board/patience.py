"""How long the board waits for a connection: to say what it wants, and to take what it asked for.

The server itself waits for ever, and a process may have some thousand connections open: without a bound, whoever opens them and says
nothing keeps everybody else out.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ASKING_S: Final = 30.0
"""From the first byte that is due to the last of a question, its form included: the longest form at 100 kbit/s."""

TAKING_S: Final = 60.0
"""For what waits of an answer to be taken, so far that more of it can be sent."""


class Patient(H11Protocol):
    """A connection that is given up when it takes too long. Who listens to `/live` has asked in time, and may wait for news."""

    asking_s: ClassVar[float] = ASKING_S
    taking_s: ClassVar[float] = TAKING_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base class does
        """The question is due from now on."""
        self._asking: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """More of a question, perhaps the rest of it; more does not begin the time anew."""
        super().data_received(data)
        self._wait()

    def pause_writing(self) -> None:
        """More was sent than was taken."""
        super().pause_writing()
        self._taking = self._given_up_after(self.taking_s)

    def resume_writing(self) -> None:
        """Most of it was taken."""
        super().resume_writing()
        _cancel(self._taking)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        _cancel(self._asking)
        _cancel(self._taking)
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            _cancel(self._asking)
            self._asking = None
        elif self._asking is None:
            self._asking = self._given_up_after(self.asking_s)

    def _given_up_after(self, wait_s: float) -> asyncio.TimerHandle:
        # Not closed: that would wait until what was written has been taken.
        give_up: Callable[[], None] = self.transport.abort
        return self.loop.call_later(wait_s, give_up)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
