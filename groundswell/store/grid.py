"""Many series over the same windows, in one query: what the board's small multiples are drawn from.

Documents and negative documents are plain sums, so they are added up in SQL from the increments' own columns; stories
and owners are not (they are counted after a merge) and are left to query.series_windows. A test holds the two together.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from groundswell.errors import UsageError
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS, TICK_MS
from groundswell.prevalence import CorrectedShare
from groundswell.store import schema as t
from groundswell.store.corrections import Corrections, corrections_of
from groundswell.store.months import dropped_months
from groundswell.store.query import closed_ms, hour_exposures, language_of, mean_exposure
from groundswell.windows import wilson


@dataclass(frozen=True)
class Cell:
    """One window of one series."""

    start_ms: int
    end_ms: int
    documents: int
    negative: int
    share: float | None  # of documents; None where there are none
    low: float | None  # 90 % interval of the share
    high: float | None
    complete: bool  # known time has passed the window's end
    exposure: float | None  # mean share of the usual volume that was seeing; None where no hour of it has closed
    kept: bool = True  # False: a part of it lies in a month that was dropped, so its counts and shares are not known
    corrected: CorrectedShare | None = None  # the share, corrected for the model's measured errors; None where there are none

    @property
    def shown(self) -> CorrectedShare | None:
        """What a chart draws: the corrected share, else the share as the model gave it; None where there are no documents."""
        if self.corrected is not None or self.share is None or self.low is None or self.high is None:
            return self.corrected
        return CorrectedShare(self.share, self.low, self.high)


def series_grid(
    connection: Connection,
    run: str,
    series: list[str],
    *,
    start_ms: int,
    end_ms: int,
    window_ms: int,
    as_of_ms: int | None = None,
) -> dict[str, list[Cell]]:
    """{series: its windows `[start, start + window)` that cover `[start_ms, end_ms)`}, empty ones with zeros.

    Those that a dropped month touches have no share, and are not `kept`.

    Args:
        connection: a reading transaction.
        run: whose series.
        series: keys; one that is not stored has empty windows.
        start_ms: rounded down to a window.
        end_ms: rounded up to a window.
        window_ms: a multiple of a pane; documents that say only their day are left out of windows shorter than one.
        as_of_ms: only what was known before this moment.

    Raises:
        UsageError: a window that is no multiple of a pane.
    """
    if window_ms <= 0 or window_ms % PANE_MS:
        reason = f"window {window_ms / 60_000:g} min: panes are {PANE_MS // 60_000} minutes, give a multiple of that (1h, 1d)"
        raise UsageError(reason)
    start_ms -= start_ms % window_ms
    windows = -(-(end_ms - start_ms) // window_ms)
    row = t.increments.c
    index = (row.pane - start_ms // PANE_MS) // (window_ms // PANE_MS)
    where = _within(run, start_ms, start_ms + windows * window_ms) & row.series.in_(series)
    if window_ms < DAY_MS:
        where &= row.daily.is_(False)
    if as_of_ms is not None:
        where &= row.tick < as_of_ms // TICK_MS
    sums = select(row.series, index, func.sum(row.documents), func.sum(row.negative)).where(where).group_by(row.series, index)
    counts = {(name, int(i)): (int(documents), int(negative)) for name, i, documents, negative in connection.execute(sums)}
    known_ms = min(closed_ms(connection, run) or 0, as_of_ms if as_of_ms is not None else 2**62)
    starts = [start_ms + i * window_ms for i in range(windows)]
    exposures = {}
    for language in {language_of(name) for name in series}:
        hours = hour_exposures(connection, run, language, start_ms=start_ms, end_ms=end_ms)
        exposures[language] = [mean_exposure(hours, start, start + window_ms) for start in starts]
    corrections = corrections_of(connection, run)
    gone = dropped_months(connection, run, since_ms=start_ms, until_ms=starts[-1] + window_ms)
    lost = [any(month.touches(start, start + window_ms) for month in gone) for start in starts]

    def cell(name: str, i: int) -> Cell:
        begin, exposure = starts[i], exposures[language_of(name)][i]
        if lost[i]:  # what is left of it came late, or lies beside the month: a part that looks like the whole
            return Cell(
                begin, begin + window_ms, 0, 0, None, None, None, complete=known_ms >= begin + window_ms, exposure=exposure, kept=False
            )
        return _cell(name, begin, begin + window_ms, counts.get((name, i), (0, 0)), known_ms, exposure, corrections)

    return {name: [cell(name, i) for i in range(windows)] for name in series}


def _within(run: str, start_ms: int, end_ms: int) -> ColumnElement[bool]:
    # Nothing is published after it is known, so the tick bounds the pane from below, and the index is by tick.
    row = t.increments.c
    return (row.run == run) & (row.tick >= start_ms // TICK_MS) & (row.pane >= start_ms // PANE_MS) & (row.pane < end_ms // PANE_MS)


def _cell(
    name: str, begin: int, end: int, counts: tuple[int, int], known_ms: int, exposure: float | None, corrections: Corrections
) -> Cell:
    documents, negative = counts
    low, high = wilson(negative, documents) if documents else (None, None)
    return Cell(
        start_ms=begin,
        end_ms=end,
        documents=documents,
        negative=negative,
        share=negative / documents if documents else None,
        low=low,
        high=high,
        complete=known_ms >= end,
        exposure=exposure,
        corrected=corrections.share(name, begin, negative=negative, documents=documents),
    )


def most_active(connection: Connection, run: str, prefix: str, *, start_ms: int, end_ms: int, limit: int) -> list[tuple[str, int]]:
    """(series, documents) of the series that begin so with the most documents published in a span, most first."""
    row = t.increments.c
    documents: Any = func.sum(row.documents)
    rows = connection.execute(
        select(row.series, documents)
        .where(_within(run, start_ms, end_ms), row.series.startswith(prefix, autoescape=True))
        .group_by(row.series)
        .order_by(documents.desc(), row.series)
        .limit(limit)
    )
    return [(series, int(number)) for series, number in rows]


def first_hour_ms(connection: Connection, run: str) -> int | None:
    """Start of the first closed hour of a run: where its baselines begin to form."""
    e = t.exposures.c
    hour = connection.execute(select(func.min(e.hour)).where(e.run == run)).scalar_one_or_none()
    return None if hour is None else hour * HOUR_MS
