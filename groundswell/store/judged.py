"""What is known of alerts like one: the record of its rule, and the past incidents that it resembles."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from groundswell.judged import Record, record_of, rule_of, words_of
from groundswell.names import DAY_MS
from groundswell.records import Alert, VerdictWord
from groundswell.similar import Similar, similar_to
from groundswell.store.actions import verdicts_of
from groundswell.store.query import alerts_of

RECORD_DAYS: Final = 90


@dataclass(frozen=True)
class Before:
    """What had been before an alert: as it was known at a moment."""

    record: Record  # of the alert's rule, in RECORD_DAYS
    similar: list[Similar]
    words: dict[str, VerdictWord]  # {alert: what it was judged to be}, of the similar ones


def what_was_before(connection: Connection, run: str, alert: Alert, *, now_ms: int | None = None) -> Before:
    """The record of an alert's rule, and the incidents that it is like.

    Args:
        connection: a reading transaction.
        run: the alert's run.
        alert: the alert; neither itself nor what was opened after it is counted.
        now_ms: only what people had said before this wall time; None: all that they have said.
    """
    past = [other for other in alerts_of(connection, run, end_ms=alert.opened_ms) if other.id != alert.id]
    words = words_of(verdicts_of(connection, run, before_ms=now_ms))
    recent = [other for other in past if other.opened_ms >= alert.opened_ms - RECORD_DAYS * DAY_MS and rule_of(other) == rule_of(alert)]
    similar = similar_to(alert, past)
    return Before(record_of(recent, words), similar, {one.alert.id: words[one.alert.id] for one in similar if one.alert.id in words})
