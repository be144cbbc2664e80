"""The watchlist: what is watched, and which version of everything is in force since when."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.search_pages import show_result
from dashboards.board.shell import page, state_of
from dashboards.board.trust import Watch
from dashboards.board.watch_forms import may_change, recorded
from groundswell.errors import UsageError
from groundswell.exports import csv_text
from groundswell.names import DAY_MS, entity_series, watch_series
from groundswell.schedule import RULES, InForce, Schedule
from groundswell.search import parse, sought
from groundswell.store.grid import Cell, series_grid
from groundswell.store.query import closed_ms
from groundswell.store.results import results_of
from groundswell.store.search import find
from groundswell.store.versions import read_schedule
from groundswell.store.watches import newest_watches
from groundswell.watches import COLUMNS, Watches, company_rows

SHOWN_MAX: Final = 500
WEEK_MS: Final = 7 * DAY_MS
TRIED_DAYS: Final = 30
TRIED_MAX: Final = 10_000
TRIED_SHOWN: Final = 10
TRIED_NAME: Final = "a-name"
"""While a search that is tried has none yet."""


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
    return [Route("/watchlist", watchlist), Route("/watchlist/try", try_search), Route("/watchlist.csv", companies_csv)]


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


def companies_csv(request: Request) -> Response:
    """The watched companies as a table that the form takes again."""
    with state_of(request).store.read() as connection:
        watches, _ = newest_watches(connection, state_of(request).watch(connection).run)
    headers = {"content-disposition": 'attachment; filename="watchlist.csv"'}
    return Response(csv_text(company_rows(watches), COLUMNS), media_type="text/csv; charset=utf-8", headers=headers)


# --- a search before it is saved --------------------------------------------------------------------------------------------------
def try_search(request: Request) -> Response:
    """What a search would have found in the last days of the run: `q`, and the `name` that it may get."""
    asked, name = request.query_params.get("q", "").strip(), request.query_params.get("name", "")
    state = state_of(request)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        values: dict[str, Any] = {"q": asked, "name": name, "days": TRIED_DAYS, "most": TRIED_MAX, "refused": "", "found": [], "number": 0}
        values |= {"may_change": may_change(request, watch), "replaces": ""}
        if not asked:
            return values
        watches, _ = newest_watches(connection, watch.run)
        until_ms = closed_ms(connection, watch.run) or 0
        try:
            # As it would be saved, so that what is refused there is refused here.
            saved = watches.saving(name or TRIED_NAME, asked, ids_of=state.companies).queries[name or TRIED_NAME]
            query = replace(parse(saved), from_ms=max(0, until_ms - TRIED_DAYS * DAY_MS), to_ms=until_ms)
            hits = find(connection, watch.run, query, limit=TRIED_MAX)
            results = results_of(connection, watch.run, hits[:TRIED_SHOWN])
        except UsageError as error:
            return values | {"refused": str(error)}
        found = [show_result(one, list(sought(query.node)), state) for one in results]
        return values | {"found": found, "number": len(hits), "read": saved, "replaces": watches.queries.get(name, "")}

    return page(request, "watch_try.html.j2", fill)


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
