"""What other programs are told, as rows: the command line, the API and pandas print these, and nothing beside them.

Times are UTC with Z, probabilities and shares numbers, units in the names. Every function reads in the caller's transaction.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from groundswell.errors import UsageError
from groundswell.exports import alert_row, document_row, iso
from groundswell.lifecycle import FOR_EVER_MS
from groundswell.records import Alert
from groundswell.search import Query, sought
from groundswell.store import schema as t
from groundswell.store.basis import basis_of_alerts, basis_of_run
from groundswell.store.corrections import corrections_of
from groundswell.store.health import SourceHealth, SourceWatch, source_health
from groundswell.store.inbox import IncidentRow, inbox
from groundswell.store.months import dropped_months
from groundswell.store.query import SeriesWindow, closed_ms, series_like, series_windows, span_of, unmeasured_series
from groundswell.store.removals import removed_of_alerts
from groundswell.store.results import PAGE, search_page

Row = dict[str, Any]

SERIES_COLUMNS: Final = [
    "series", "start", "end", "documents", "stories", "owners", "negative", "neutral", "positive",
    "negative_share", "low", "high", "complete", "exposure", "known_basis",
    "corrected_share", "corrected_low", "corrected_high",
]  # fmt: skip
ALERT_COLUMNS: Final = ["id", "opened_at", "kind", "severity", "series", "title", "statistic", "expected", "owners"]
INCIDENT_COLUMNS: Final = [
    "incident", "state", "holder", "opened_at", "last_alert_at", "alerts", "kind", "severity", "series", "title", "statistic", "owners",
    "last_alert",
]  # fmt: skip
SOURCE_COLUMNS: Final = [
    "source", "state", "since", "why", "last_known", "documents_24h", "documents_7d", "silence_usual_s", "silence_allowed_s", "last_poll",
    "last_poll_ok", "poll_reason",
]  # fmt: skip


def series_rows(
    connection: Connection,
    run: str,
    keys: Sequence[str],
    *,
    start_ms: int | None,
    end_ms: int | None,
    window_ms: int,
    as_of_ms: int | None = None,
    vintage: str = "final",
) -> Iterator[Row]:
    """Windows `[start, end)` of series, by key and then by time.

    Args:
        connection: a reading transaction.
        run: whose.
        keys: series or globs.
        start_ms: None for the run's first pane.
        end_ms: None for the run's closed time.
        window_ms: a multiple of a pane.
        as_of_ms: only what was known before this moment.
        vintage: "final", or "first": each window as it was known at its own end.

    Raises:
        NotFoundError: a glob matches nothing.
        UsageError: the span or the window cannot be used.
    """
    if start_ms is None or end_ms is None:  # the first pane is found by reading all of them
        first_ms, last_ms = span_of(connection, run)
        start_ms, end_ms = first_ms if start_ms is None else start_ms, last_ms if end_ms is None else end_ms
    if end_ms < start_ms:
        reason = f"to {iso(end_ms)} lies before from {iso(start_ms)}; give the later moment as to"
        raise UsageError(reason)
    found = series_like(connection, run, keys)
    unmeasured, basis = unmeasured_series(connection, run), basis_of_run(connection, run)
    asked: dict[str, Any] = {"start_ms": start_ms, "end_ms": end_ms, "window_ms": window_ms, "as_of_ms": as_of_ms, "vintage": vintage}
    corrections, gone = corrections_of(connection, run), dropped_months(connection, run, since_ms=start_ms, until_ms=end_ms)
    for key in found:
        for one in series_windows(connection, run, key, corrections=corrections, **asked):
            is_there = not any(month.touches(one.start_ms, one.end_ms) for month in gone)
            yield _series_row(one, measured=is_there and key not in unmeasured, basis=basis)


def uncounted_series(connection: Connection, run: str, keys: Sequence[str]) -> list[str]:
    """Keys, globs apart, of which the run has no increment at all: their zeros are those of a name that nobody knows.

    A topic that the run's model cannot measure is none of them: it has no zeros.
    """
    found = t.increments.c
    unmeasured = unmeasured_series(connection, run)

    def counted(key: str) -> bool:
        return connection.execute(select(found.tick).where(found.run == run, found.series == key).limit(1)).first() is not None

    return [key for key in dict.fromkeys(keys) if not set(key) & set("*?[") and key not in unmeasured and not counted(key)]


def _series_row(one: SeriesWindow, *, measured: bool, basis: str) -> Row:
    """A window; a topic that the run's model cannot reach in that language, or a month that was dropped, has no counts, not zeros."""
    counts = one.counts
    row = {
        "series": one.series,
        "start": iso(one.start_ms),
        "end": iso(one.end_ms),
        "documents": counts.documents,
        "stories": counts.stories,
        "owners": counts.owners,
        "negative": counts.negative,
        "neutral": counts.neutral,
        "positive": counts.positive,
        "negative_share": counts.negative_share,
        "low": counts.low,
        "high": counts.high,
        "complete": int(one.complete),
        "exposure": one.exposure,
        "known_basis": basis,
        "corrected_share": one.corrected and one.corrected.share,
        "corrected_low": one.corrected and one.corrected.low,
        "corrected_high": one.corrected and one.corrected.high,
    }
    return row if measured else row | dict.fromkeys([*SERIES_COLUMNS[3:12], *SERIES_COLUMNS[15:]])


def alert_rows(connection: Connection, run: str, alerts: Sequence[Alert]) -> list[Row]:
    """Alerts in their order."""
    removed, basis = removed_of_alerts(connection, alerts), basis_of_alerts(connection, run, alerts)
    return [alert_row(alert, removed, basis=basis) for alert in alerts]


def incident_rows(connection: Connection, run: str, *, start_ms: int | None = None, end_ms: int | None = None) -> list[Row]:
    """Incidents that led to an alert opened in `[start, end)`, the one with the newest alert first.

    Each says what its newest alert of that span says, and how the incident stands and who has it after all that people have done.
    """
    rows = []
    for one in inbox(connection, run, now_ms=FOR_EVER_MS):
        alerts = [a for a in one.alerts if (start_ms is None or a.opened_ms >= start_ms) and (end_ms is None or a.opened_ms < end_ms)]
        if alerts:
            rows.append(_incident_row(one, alerts))
    return sorted(rows, key=lambda row: (row["last_alert_at"], row["incident"]), reverse=True)


def _incident_row(one: IncidentRow, alerts: list[Alert]) -> Row:
    newest = alerts[-1]
    return {
        "incident": one.incident,
        "state": one.life.state,
        "holder": one.holder,
        "opened_at": iso(alerts[0].opened_ms),
        "last_alert_at": iso(newest.opened_ms),
        "alerts": len(alerts),
        "kind": newest.kind,
        "severity": newest.severity,
        "series": newest.series,
        "title": newest.title,
        "statistic": newest.statistic,
        "owners": newest.owners,
        "last_alert": newest.id,
    }


def source_rows(connection: Connection, run: str) -> list[Row]:
    """Every source as it stands at the end of the data; none before the first closed tick."""
    at_ms = closed_ms(connection, run)
    if at_ms is None:
        return []
    rhythms = SourceWatch(run).rhythms(connection, at_ms=at_ms)
    return [source_row(one) for one in source_health(connection, run, rhythms, at_ms=at_ms)]


def source_row(one: SourceHealth) -> Row:
    """One source."""
    return {
        "source": one.source,
        "state": one.state,
        "since": None if one.since_ms is None else iso(one.since_ms),
        "why": one.why,
        "last_known": iso(one.last_known_ms),
        "documents_24h": one.documents_day,
        "documents_7d": one.documents_week,
        "silence_usual_s": one.expected_ms // 1000,
        "silence_allowed_s": one.patience_ms // 1000,
        "last_poll": None if one.polled_ms is None else iso(one.polled_ms),
        "last_poll_ok": None if one.ok_ms is None else iso(one.ok_ms),
        "poll_reason": one.poll_reason,
    }


def document_rows(
    connection: Connection, run: str, query: Query, *, limit: int = PAGE, below: int | None = None
) -> tuple[list[Row], int | None]:
    """What a query finds, newest publication first, and the place below which the next page begins."""
    found, phrases = search_page(connection, run, query, limit=limit, below=below), list(sought(query.node))
    return [document_row(one.document, one.score, outcome=one.outcome, phrases=phrases) for one in found.results], found.below
