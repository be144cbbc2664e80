"""What each page says, as plain data read in one transaction; app.py turns it into HTML or its JSON twin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from dashboards.board.words import Clock, duration, parse_moment
from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.moments import duration_ms
from groundswell.names import DAY_MS, HOUR_MS, LANGUAGES, PANE_MS, TOPICS, topic_series
from groundswell.records import Alert
from groundswell.store.grid import Cell, first_hour_ms, series_grid
from groundswell.store.health import SourceHealth
from groundswell.store.judged import Before, what_was_before
from groundswell.store.months import DroppedMonth, dropped_months
from groundswell.store.pasts import forming_span
from groundswell.store.query import Balance, alerts_of, closed_ms, total, unmeasured_series

WINDOWS_MAX: Final = 400
WINDOWS_FEW: Final = 40
ALERTS_LISTED: Final = 500
FORMING_MS: Final = 14 * DAY_MS
"""How long a model's baselines form (alerts/rules.toml, forming_days); no alert is raised in it."""

SPANS: Final[Mapping[str, tuple[int, int]]] = {
    "6h": (6 * HOUR_MS, 15 * 60_000),
    "24h": (DAY_MS, HOUR_MS),
    "3d": (3 * DAY_MS, 3 * HOUR_MS),
    "7d": (7 * DAY_MS, 6 * HOUR_MS),
    "28d": (28 * DAY_MS, DAY_MS),
    "90d": (90 * DAY_MS, 3 * DAY_MS),
}
"""{name: (span, window)} of the links above the board."""


# --- which windows ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Range:
    """Windows `[start_ms, end_ms)` of `window_ms`, and the name of the span if it is one of SPANS that ends with the data."""

    start_ms: int
    end_ms: int
    window_ms: int
    span: str | None = None


def range_asked(asked: Mapping[str, str], *, first_ms: int | None, until_ms: int, clock: Clock) -> Range:
    """The range that a page's query asks for: `span`, or `from` and `to`, and `window`.

    Args:
        asked: the query's parameters; none of them is needed.
        first_ms: where the data begin; a young run gets a short span.
        until_ms: where the data end; a span that is not told otherwise ends there, rounded up.
        clock: for moments without an offset.

    Raises:
        UsageError: a parameter cannot be read, the range is empty, or it has too many windows.
    """
    span = asked.get("span") or None
    if span is not None and span not in SPANS:
        reason = f"span: must be one of {', '.join(SPANS)}, got {span[:20]!r}; for others give from, to and window"
        raise UsageError(reason)
    until = parse_moment(asked["to"], name="to", clock=clock) if asked.get("to") else None
    since = parse_moment(asked["from"], name="from", clock=clock) if asked.get("from") else None
    if until is not None or since is not None:
        end = until if until is not None else max(until_ms, (since or 0) + PANE_MS)
        start = since if since is not None else end - SPANS[span or "7d"][0]
        span, window = None, _window_for(end - start)
    else:
        span = span or _span_for(until_ms - (first_ms if first_ms is not None else until_ms))
        length, window = SPANS[span]
        end = _up(until_ms, DAY_MS if length >= 3 * DAY_MS else window)
        start = end - length
    if asked.get("window"):
        window = duration_ms(asked["window"], name="window")
    return _checked(max(start, 0), end, window, span)


def _checked(start: int, end: int, window: int, span: str | None) -> Range:
    if window % PANE_MS:
        reason = f"window: panes are {PANE_MS // 60_000} minutes, give a multiple of that (15m, 1h, 1d), got {duration(window)}"
        raise UsageError(reason)
    if start >= end:
        reason = f"from, to: the range is empty, {iso(start)} is not before {iso(end)}; exchange them"
        raise UsageError(reason)
    start, end = start - start % window, _up(end, window)
    if (end - start) // window > WINDOWS_MAX:
        reason = f"window: {(end - start) // window:,} windows of {duration(window)} are more than {WINDOWS_MAX}; give a longer window"
        raise UsageError(reason)
    return Range(start, end, window, span)


def _up(ms: int, step: int) -> int:
    return -(-ms // step) * step


def _span_for(length_ms: int) -> str:
    """The longest span up to a week that a run's data fill, or nearly so."""
    fitting = [name for name in ("6h", "24h", "3d", "7d") if SPANS[name][0] <= 1.5 * length_ms]
    return fitting[-1] if fitting else "6h"


def _window_for(length_ms: int) -> int:
    choices = (PANE_MS, 15 * 60_000, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, DAY_MS, 3 * DAY_MS, 7 * DAY_MS)
    return next((window for window in choices if length_ms <= WINDOWS_FEW * window), _up(-(-length_ms // WINDOWS_FEW), DAY_MS))


# --- the board ---------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Board:
    """Topics x time."""

    range: Range
    known_ms: int  # up to which known time it shows
    forming: tuple[int, int] | None  # `[start, end)` in which the baselines of the model in force are forming
    series: dict[str, list[Cell]]  # topics of both languages
    unmeasured: frozenset[str]  # topics that the run's model cannot fill
    alerts: list[Alert]  # opened in the range, oldest first
    gone: list[DroppedMonth]  # that lie in it

    def alerts_of(self, series: str) -> list[Alert]:
        """Those of the range that speak of a series, oldest first."""
        return [alert for alert in self.alerts if series in alert.all_series]


def read_board(connection: Connection, run: str, asked: Mapping[str, str], *, clock: Clock, known_ms: int) -> Board:
    """The topics of a run, as known at a moment.

    Raises:
        UsageError: the query's parameters, as in `range_asked`.
    """
    wanted = range_asked(asked, first_ms=first_hour_ms(connection, run), until_ms=known_ms, clock=clock)
    topics = [topic_series(topic, language) for language in LANGUAGES for topic in TOPICS]
    span = {"start_ms": wanted.start_ms, "end_ms": wanted.end_ms}
    return Board(
        range=wanted,
        known_ms=known_ms,
        forming=forming_span(connection, run, forming_ms=FORMING_MS),
        series=series_grid(connection, run, topics, **span, window_ms=wanted.window_ms, as_of_ms=known_ms),
        unmeasured=unmeasured_series(connection, run),
        alerts=alerts_of(connection, run, start_ms=wanted.start_ms, end_ms=min(wanted.end_ms, known_ms) + 1),
        gone=dropped_months(connection, run, since_ms=wanted.start_ms, until_ms=wanted.end_ms),
    )


# --- one series, for the dossier ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Around:
    """A series around an alert."""

    range: Range
    cells: list[Cell]
    alerts: list[Alert]
    known_ms: int
    forming: tuple[int, int] | None
    before: Before  # the record of the alert's rule, and what it is like
    gone: list[DroppedMonth]  # that lie in the range


def read_around(connection: Connection, run: str, alert: Alert, *, then: bool) -> Around:
    """The alert's series from two days before to one day after (a day's alert: eight days and two).

    Args:
        connection: a reading transaction.
        run: the alert's run.
        alert: what it is drawn around.
        then: only what was known when the alert was opened; otherwise all that is known now.
    """
    if alert.window_s * 1000 < DAY_MS:
        before, after, window = 2 * DAY_MS, DAY_MS, HOUR_MS
    else:
        before, after, window = 8 * DAY_MS, 2 * DAY_MS, 6 * HOUR_MS
    until_ms = closed_ms(connection, run) or alert.opened_ms
    start = (alert.opened_ms - before) // DAY_MS * DAY_MS
    end = _up(min(alert.opened_ms + after, max(until_ms, alert.opened_ms)), DAY_MS // 2)
    as_of = alert.opened_ms if then else None
    cells = series_grid(connection, run, [alert.series], start_ms=start, end_ms=end, window_ms=window, as_of_ms=as_of)[alert.series]
    there = [other for other in alerts_of(connection, run, start_ms=start, end_ms=end) if alert.series in other.all_series]
    forming = forming_span(connection, run, forming_ms=FORMING_MS)
    seen = [one for one in there if not then or one.opened_ms <= alert.opened_ms]
    return Around(
        Range(start, end, window),
        cells,
        seen,
        known_ms=alert.opened_ms if then else until_ms,
        forming=forming,
        before=what_was_before(connection, run, alert, now_ms=as_of),
        gone=dropped_months(connection, run, since_ms=start, until_ms=end),
    )


# --- JSON twins -----------------------------------------------------------------------------------------------------------------
def board_json(board: Board) -> dict[str, Any]:
    """The board's figures: shares in [0, 1], times in UTC, windows `[start, end)`."""
    return {
        "from": iso(board.range.start_ms),
        "to": iso(board.range.end_ms),
        "window": duration(board.range.window_ms),
        "dropped": [month.sentence for month in board.gone],
        "baseline_formed_at": None if board.forming is None else iso(board.forming[1]),
        "series": [
            {
                "series": name,
                "measured": name not in board.unmeasured,
                "alerts": [alert.id for alert in board.alerts_of(name)],
                "windows": [cell_json(cell) for cell in cells],
            }
            for name, cells in board.series.items()
        ],
    }


def cell_json(cell: Cell) -> dict[str, Any]:
    """One window; of a month that was dropped there are no counts, not zeros."""
    return {
        "start": iso(cell.start_ms),
        "end": iso(cell.end_ms),
        "kept": cell.kept,
        "documents": cell.documents if cell.kept else None,
        "negative": cell.negative if cell.kept else None,
        "negative_share": _rounded(cell.share),
        "low": _rounded(cell.low),
        "high": _rounded(cell.high),
        "corrected_share": _rounded(cell.corrected.share if cell.corrected else None),
        "corrected_low": _rounded(cell.corrected.low if cell.corrected else None),
        "corrected_high": _rounded(cell.corrected.high if cell.corrected else None),
        "complete": cell.complete,
        "exposure": _rounded(cell.exposure),
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def sources_json(health: Sequence[SourceHealth], balances: Sequence[Balance], drops: Mapping[str, int]) -> dict[str, Any]:
    """Source health, the balance of each source and of all, and what was dropped."""
    return {
        "sources": [
            {
                "source": one.source,
                "state": one.state,
                "last_known": iso(one.last_known_ms),
                "since": None if one.since_ms is None else iso(one.since_ms),
                "why": one.why,
                "blind_since": None if one.blind_since_ms is None else iso(one.blind_since_ms),
                "silence_usual_s": one.expected_ms // 1000,
                "silence_allowed_s": one.patience_ms // 1000,
                "was_blind": [{"from": iso(since), "to": iso(until)} for since, until in one.was_blind],
                "documents_24h": one.documents_day,
                "documents_7d": one.documents_week,
                "documents_by_day": list(one.days),
                "last_poll": None if one.polled_ms is None else iso(one.polled_ms),
                "last_poll_ok": None if one.ok_ms is None else iso(one.ok_ms),
                "poll_reason": one.poll_reason,
            }
            for one in health
        ],
        "balance": [_balance_json(row) for row in [*balances, total(balances)]],
        "drops": dict(drops),
    }


def _balance_json(row: Balance) -> dict[str, Any]:
    return {"source": row.source} | row.terms
