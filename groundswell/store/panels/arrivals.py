"""Panel 11, sources: what came from each in the last 24 closed hours against the seven days before, and how late it was known."""

from collections import defaultdict
from typing import Final

from sqlalchemy import Connection, func, select

from groundswell.names import CANARY_SOURCE, DAY_TICKS, HOUR_MS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.panels.rows import PanelRow

BEFORE_DAYS: Final = 7
MEASURED: Final = 2_000
"""Documents whose lag is measured: the latest of the 24 hours."""


class ArrivalRow(PanelRow, frozen=True):
    """One source in one language."""

    source: str
    language: str  # "" where unknown
    documents: int  # of the last 24 closed hours
    expected: float | None  # a mean day of the seven before; None: it was not heard in them
    arrived: float | None  # the one by the other
    lag_p50_s: float | None  # published to known; None: nothing measured
    lag_p95_s: float | None
    measured: int


def read_arrivals(connection: Connection, run: str, *, known_ms: int) -> list[ArrivalRow]:
    """Every source that was heard in the eight days, the one that lacks most first.

    Args:
        connection: a reading transaction.
        run: whose.
        known_ms: hours that had closed before it.
    """
    hour = known_ms // HOUR_MS
    now = _documents(connection, run, since=hour - 24, until=hour)
    before = _documents(connection, run, since=hour - 24 * (1 + BEFORE_DAYS), until=hour - 24)
    lags = _lags(connection, run, until=known_ms // TICK_MS)
    rows = []
    for key in sorted(now.keys() | before.keys()):
        documents, expected, found = now.get(key, 0), before.get(key, 0) / BEFORE_DAYS, sorted(lags.get(key, ()))
        rows.append(
            ArrivalRow(
                source=key[0],
                language=key[1],
                documents=documents,
                expected=expected or None,
                arrived=documents / expected if expected else None,
                lag_p50_s=_rank(found, 50),
                lag_p95_s=_rank(found, 95),
                measured=len(found),
            )
        )
    return sorted(rows, key=lambda row: (row.documents - (row.expected or 0.0), row.source, row.language))


def _documents(connection: Connection, run: str, *, since: int, until: int) -> dict[tuple[str, str], int]:
    s = t.source_hours.c
    wanted = (s.run == run, s.hour >= since, s.hour < until, s.source != CANARY_SOURCE)
    rows = connection.execute(select(s.source, s.language, func.sum(s.documents)).where(*wanted).group_by(s.source, s.language))
    return {(source, language): int(documents) for source, language, documents in rows}


def _lags(connection: Connection, run: str, *, until: int) -> dict[tuple[str, str], list[float]]:
    """{source and language: seconds from published to known}; where a publisher says a time, and no day alone."""
    a, d = t.admissions.c, t.documents.c
    latest = (
        select(a.source, a.language, a.document_id, a.content_hash, a.known_ms)
        .where(a.run == run, a.tick >= until - DAY_TICKS, a.tick < until, a.outcome == "scored", a.source != CANARY_SOURCE)
        .order_by(a.tick.desc())
        .limit(MEASURED)
        .subquery()
    )
    # A look-up for each: PostgreSQL joins by reading every document, as soon as it takes them for few.
    is_same = (d.document_id == latest.c.document_id) & (d.content_hash == latest.c.content_hash)
    published = select(d.published_ms).where(is_same, d.published_precision != "day", d.published_flag == "").scalar_subquery()
    lags: dict[tuple[str, str], list[float]] = defaultdict(list)
    for source, language, lag_ms in connection.execute(select(latest.c.source, latest.c.language, latest.c.known_ms - published)):
        if lag_ms is not None:
            lags[source, language or ""].append(lag_ms / 1_000)
    return lags


def _rank(ranked: list[float], percent: int) -> float | None:
    """The smallest value that so many per cent are not above.

    >>> _rank([1.0, 2.0, 3.0, 4.0], 50), _rank([], 95)
    (2.0, None)
    """
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else None
