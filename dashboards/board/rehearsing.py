"""Rehearsals that are asked for on the board: one at a time, in a thread of their own, within bounds, kept where pages find them.

ask  -->  under way (how much is done)  -->  a row of `rehearsals`, or a reason why there is none
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from groundswell.errors import GroundswellError, UsageError, reason_of
from groundswell.logs import logger
from groundswell.names import content_id
from groundswell.rehearsed import Comparison
from groundswell.store.audit import Entry, note
from groundswell.store.rehearsals import keep_rehearsal, rehearsed_of
from groundswell.store.store import Store

WITHIN_MS: Final = 180_000
"""A quarter of a busy archive takes seconds; what takes so long has a span that is too long for a page."""

FAILED_KEPT: Final = 50
REHEARSED: Final = "rules rehearsed"
_log = logger("groundswell.board")


class RulesReader(Protocol):
    """What knows of rules; the command that serves the board hands it over. Called from several threads."""

    def read(self, text: str) -> tuple[str, bytes]:
        """Hash and content of the rules that a text holds; a SettingsError names line, key and nearest key."""

    def text_of(self, content: bytes) -> str:
        """A commented file of stored rules."""

    def compare(self, text: str, run: str, *, before: str, from_ms: int, to_ms: int, beat: Callable[[float], None]) -> Comparison:
        """Rehearse; `beat` is told how much is done, and ends it by raising."""


@dataclass(frozen=True)
class Asked:
    """One rehearsal."""

    run: str
    text: str
    before: str  # hash of the newest rules
    from_ms: int
    to_ms: int

    @property
    def name(self) -> str:
        """The same question has the same answer, and the same address."""
        return content_id("rehearsal", self.run, self.text, self.before, str(self.from_ms), str(self.to_ms))


@dataclass
class UnderWay:
    """The rehearsal that is made now."""

    name: str
    who: str
    began_ms: int
    done: float = 0.0  # in [0, 1]


class Rehearsing:
    """Makes rehearsals. Safe for several threads.

    Args:
        store: where they are kept.
        rules: what reads and rehearses.
        now_ms: the wall time.
    """

    def __init__(self, store: Store, rules: RulesReader, now_ms: Callable[[], int]) -> None:
        self.rules = rules
        self._store, self._now_ms = store, now_ms
        self._lock = threading.Lock()
        self._now: UnderWay | None = None
        self._failed: OrderedDict[str, str] = OrderedDict()

    def begin(self, asked: Asked, *, who: str, address: str) -> None:
        """Begin one, unless that very one is under way.

        Raises:
            UsageError: another one is.
        """
        with self._lock:
            if self._now is not None and self._now.name == asked.name:
                return
            if self._now is not None:
                reason = f"rehearse: one at a time, and that of {self._now.who} is under way; wait some seconds and send it again"
                raise UsageError(reason)
            self._now = UnderWay(asked.name, who, self._now_ms())
            self._failed.pop(asked.name, None)
        threading.Thread(target=self._make, args=(asked, self._now, address), name="rehearsal", daemon=True).start()

    def under_way(self, name: str) -> UnderWay | None:
        """The rehearsal of that name, while it is made."""
        now = self._now
        return now if now is not None and now.name == name else None

    def failed(self, name: str) -> str | None:
        """Why there is no rehearsal of that name, where one was tried by this process."""
        return self._failed.get(name)

    def _make(self, asked: Asked, now: UnderWay, address: str) -> None:
        try:
            self._keep(asked, now, address)
        except Exception as error:  # strange rules may break a detector in any way; the page says how
            if not isinstance(error, GroundswellError):
                _log.exception("a rehearsal has failed", rehearsal=asked.name)
            with self._lock:
                self._failed[asked.name] = str(error) if isinstance(error, GroundswellError) else f"these rules: {reason_of(error)}"
                while len(self._failed) > FAILED_KEPT:
                    self._failed.popitem(last=False)
        finally:
            self._now = None

    def _keep(self, asked: Asked, now: UnderWay, address: str) -> None:
        def beat(done: float) -> None:
            now.done = done
            if self._now_ms() - now.began_ms > WITHIN_MS:
                reason = f"rehearse: {done:.0%} was done after {WITHIN_MS // 1000} s; choose a shorter span, or `groundswell rehearse`"
                raise UsageError(reason)

        span = {"from_ms": asked.from_ms, "to_ms": asked.to_ms}
        found = self.rules.compare(asked.text, asked.run, before=asked.before, beat=beat, **span)
        at_ms = self._now_ms()
        with self._store.write() as connection:
            kept = rehearsed_of(asked.name, found, text=asked.text, who=now.who, at_ms=at_ms)
            keep_rehearsal(self._store, connection, asked.run, kept)
            detail = f"{found.rules}, {found.days:.0f} days: {len(found.sent)} messages were sent, {len(found.would)} would have been"
            note(self._store, connection, Entry(at_ms, now.who, address, REHEARSED, detail))
