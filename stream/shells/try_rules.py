"""What the board's page of rules is handed: how rules are read, written as a file, and rehearsed beside what was sent."""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from alerts.rules import Rules, rules_of
from alerts.rules_text import text_of
from groundswell.codec import decode
from groundswell.names import DAY_MS, TICK_MS
from groundswell.rehearsed import Comparison, Told
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.around import nobody
from stream.shells.rehearse import Rehearsal, rehearse
from stream.shells.versions import content_of_rules

PLACE: Final = "the rules"


class TryRules:
    """Reads and rehearses rules for whoever may not know of detectors.

    Args:
        store: only read.
        display: a series key in the reader's words.
        sector: the companies that one is compared with.
    """

    def __init__(self, store: Store, *, display: Callable[[str], str], sector: Callable[[str], Sequence[str]] = nobody) -> None:
        self._store, self._display, self._sector = store, display, sector

    def read(self, text: str) -> tuple[str, bytes]:
        """Hash and content of the rules that a text holds.

        Raises:
            SettingsError: it holds none; the line, the key and the nearest key are named.
        """
        return content_of_rules(rules_of(text, place=PLACE))

    def text_of(self, content: bytes) -> str:
        """A commented file of stored rules."""
        return text_of(decode(content, Rules))

    def compare(self, text: str, run: str, *, before: str, from_ms: int, to_ms: int, beat: Callable[[float], None]) -> Comparison:
        """Rehearse a text's rules over `[from, to)` of a run.

        Args:
            text: the rules.
            run: whose.
            before: hash of the rules that are the newest now.
            from_ms: known time; a run that began later is rehearsed from its begin.
            to_ms: known time.
            beat: told how much is done, in [0, 1]; what it raises ends the rehearsal.

        Raises:
            SettingsError: the text holds no rules.
            NotFoundError: the run has not closed a tick yet.
            UsageError: nothing of the run lies in the span.
        """
        rules = rules_of(text, place=PLACE)
        span = {"from_ms": from_ms, "to_ms": to_ms}
        done = rehearse(self._store, run, rules, display=self._display, sector=self._sector, beat=beat, **span)
        with self._store.read() as connection:
            return _compared(connection, done, before)


def _compared(connection: Connection, done: Rehearsal, before: str) -> Comparison:
    span = done.span
    # An alert is opened at the end of its tick, the moment that belongs to the next one.
    sent = alerts_of(connection, done.run, start_ms=span.start_ms + 1, end_ms=span.end_ms + 1)
    return Comparison(
        run=done.run,
        start_ms=span.start_ms,
        end_ms=span.end_ms,
        before=before,
        rules=done.rules.hash,
        documents=done.documents,
        sent=[Told.of(alert) for alert in sent],
        would=[Told.of(alert) for alert in done.alerts],
        held=done.held,
        forming_ms=min(span.end_ms, span.first * TICK_MS + done.rules.surge.forming_days * DAY_MS),
        unlike=done.unlike,
        gone=[month.month.name for month in done.gone],
    )
