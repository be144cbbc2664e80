"""The wall clock as an argument: shells, crawlers and notifiers take one; operators never do (their time is in the data)."""

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Tells the wall time. Asked whenever a shell needs it, from any thread; it may stand still and it may jump."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """This machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves when it is told to.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(500)
    1500
    >>> clock.now_ms()
    1500
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return self._now_ms

    def advance(self, by_ms: int) -> int:
        """Move on (or back, as real clocks do when they are set right); returns the new time."""
        self._now_ms += by_ms
        return self._now_ms
