"""What the board and its people are told of a crawler that cannot publish: a condition in the store, where the crawler can reach one."""

import socket
from typing import Final, Protocol

from groundswell.clock import Clock
from groundswell.errors import GroundswellError, reason_of
from groundswell.logs import logger
from groundswell.store.conditions import end, hold
from groundswell.store.store import Store

__all__ = ["SpoolReport", "Spooling"]

LOOK_EVERY_S: Final = 30.0

log = logger(__name__)


class Spooling(Protocol):
    """A sink, as far as it says what waits. Asked every LOOK_EVERY_S, from another thread than the one that publishes."""

    def trouble(self) -> str | None:
        """What waits on disk and why, in one line; None where nothing does."""
        ...


class SpoolReport:
    """Holds the condition "spool" of this machine while records wait at two looks in a row, and ends it when none do.

    A store that is away, or does not let this crawler in, is said once in the log and stops nothing.

    Args:
        url: of the store that the board reads.
        sink: what publishes.
        clock: the wall clock.
        host: whom the condition is about.
    """

    def __init__(self, url: str, sink: Spooling, *, clock: Clock, host: str | None = None) -> None:
        self._url, self._sink, self._clock, self._host = url, sink, clock, host or socket.gethostname()
        self._store: Store | None = None
        self._waited = self._told = False

    def look(self) -> None:
        """Make the store say what is so."""
        trouble = self._sink.trouble()
        waited, self._waited = self._waited, trouble is not None
        if trouble is not None and not waited:
            return
        try:
            if self._store is None:
                self._store = Store(self._url)
            now_ms = self._clock.now_ms()
            if trouble is None:
                end(self._store, "spool", self._host, now_ms=now_ms)
            else:
                hold(self._store, "spool", self._host, reason=trouble, now_ms=now_ms)
        except GroundswellError as error:
            if not self._told:
                log.warning("the board is not told what waits in the spool", reason=reason_of(error))
            self._told = True
        else:
            self._told = False

    def close(self) -> None:
        """Let go of the store; the condition stays as it is: what waits goes on waiting."""
        if self._store is not None:
            self._store.close()
