"""The watchlist: what is watched, and which version of everything is in force since when."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.shell import page
from dashboards.board.trust import Watch
from dashboards.board.watch_forms import may_change, recorded
from groundswell.names import DAY_MS, entity_series, watch_series
from groundswell.schedule import RULES, InForce, Schedule
from groundswell.store.grid import Cell, series_grid
from groundswell.store.query import closed_ms
from groundswell.store.versions import read_schedule
from groundswell.store.watches import newest_watches
from groundswell.watches import Watches

SHOWN_MAX: Final = 500
WEEK_MS: Final = 7 * DAY_MS


@dataclass(frozen=True)
class Watched:
    """A saved search or a company, with its last seven days."""

    name: str
    series: str
    query: str
    weight: float | None
    owner: str
    week: Cell | None  # None before the first closed tick


def routes() -> list[Route]:
    """The addresses of this page."""
    return [Route("/watchlist", watchlist)]


def watchlist(request: Request) -> Response:
    """What is watched, newest version; and every version of the run with the rules in force."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        watches, rows = newest_watches(connection, watch.run)
        until, schedule = closed_ms(connection, watch.run), read_schedule(connection, watch.run)
        rules = schedule.hashes(until or 0).get(RULES)
        done, refused = recorded(request, connection)
        return {
            "may_change": may_change(request, watch),
            "done": done,
            "refused": refused,
            "searches": _searches(connection, watch.run, watches, until),
            "companies": _companies(connection, watch.run, watches, until),
            "more": max(0, len(watches.companies) - SHOWN_MAX),
            "since_ms": rows[-1].effective_ms if rows else None,
            "to_come": bool(rows) and rows[-1].effective_ms > (until or 0),
            "versions": _versions(schedule, until or 0),
            "rules": rules,
        }

    return page(request, "watchlist.html.j2", fill)


def _searches(connection: Connection, run: str, watches: Watches, until_ms: int | None) -> list[Watched]:
    found = [Watched(name, watch_series(name), query, None, "", None) for name, query in sorted(watches.queries.items())]
    return _with_week(connection, run, found, until_ms)


def _companies(connection: Connection, run: str, watches: Watches, until_ms: int | None) -> list[Watched]:
    chosen = sorted(watches.companies, key=lambda one: (-one.weight, one.company))[:SHOWN_MAX]
    found = [Watched(one.company, entity_series(one.company), "", one.weight, one.owner, None) for one in chosen]
    return _with_week(connection, run, found, until_ms)


def _with_week(connection: Connection, run: str, found: list[Watched], until_ms: int | None) -> list[Watched]:
    if until_ms is None or not found:
        return found
    end_ms = -(-until_ms // DAY_MS) * DAY_MS
    # One window that ends with the day of the data: its start is a multiple of a day, which windows of a week are not.
    grid = series_grid(connection, run, [one.series for one in found], start_ms=end_ms - WEEK_MS, end_ms=end_ms, window_ms=DAY_MS)
    return [Watched(one.name, one.series, one.query, one.weight, one.owner, _sum(grid[one.series])) for one in found]


def _sum(cells: list[Cell]) -> Cell:
    documents, negative = sum(cell.documents for cell in cells), sum(cell.negative for cell in cells)
    return Cell(
        start_ms=cells[0].start_ms,
        end_ms=cells[-1].end_ms,
        documents=documents,
        negative=negative,
        share=negative / documents if documents else None,
        low=None,
        high=None,
        complete=False,
        exposure=None,
    )


def _versions(schedule: Schedule, known_ms: int) -> list[tuple[InForce, str]]:
    return [(row, schedule.state(row, known_ms)) for row in sorted(schedule.rows, reverse=True)]
