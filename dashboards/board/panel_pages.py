"""The board: its two pages with their JSON twins, and why something was not told."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.forms import visitor_of
from dashboards.board.panel_shown import first_shown, second_shown
from dashboards.board.panels import First, Second, first_json, read_first, read_second, second_json
from dashboards.board.shell import clock_of, page, state_of, twin
from dashboards.board.trust import Watch
from dashboards.board.view import View, view_of
from dashboards.board.words import parse_moment
from groundswell.errors import UsageError
from groundswell.exports import iso


def routes() -> list[Route]:
    """The addresses of these pages."""
    return [
        Route("/", board),
        Route("/board/2", second),
        Route("/why-not", why_not),
        Route("/api/board.json", board_twin),
        Route("/api/board/2.json", second_twin),
    ]


def board(request: Request) -> Response:
    """Panels 2 to 8."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        asked: dict[str, Any] = {"asked": dict(request.query_params)}
        read = _first(request, connection, watch)
        if read is None:
            return asked | {"view": None}
        return asked | first_shown(read, clock_of(request), state_of(request).display, visitor_of(request).chosen)

    return page(request, "board.html.j2", fill)


def second(request: Request) -> Response:
    """Panels 9 to 12."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        read = _second(request, connection, watch)
        return {"view": None} if read is None else second_shown(read, clock_of(request), state_of(request).display)

    return page(request, "board_second.html.j2", fill)


def board_twin(request: Request) -> Response:
    """The first page's figures."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        read = _first(request, connection, watch)
        return {"board": None} if read is None else first_json(read, visitor_of(request).chosen)

    return twin(request, fill)


def second_twin(request: Request) -> Response:
    """The second page's figures."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        read = _second(request, connection, watch)
        return {"panels": None} if read is None else second_json(read)

    return twin(request, fill)


def _first(request: Request, connection: Connection, watch: Watch) -> First | None:
    view = _view(request, connection, watch)
    if view is None:
        return None
    reader, now_ms = visitor_of(request).chosen, state_of(request).now_ms()
    return read_first(connection, watch.run, view, clock=clock_of(request), reader=reader, now_ms=now_ms)


def _second(request: Request, connection: Connection, watch: Watch) -> Second | None:
    view = _view(request, connection, watch)
    return None if view is None else read_second(connection, watch.run, view, sector=state_of(request).sector)


def _view(request: Request, connection: Connection, watch: Watch) -> View | None:
    state, path = state_of(request), request.url.path
    path = path.removeprefix("/api").removesuffix(".json")
    asked = request.query_params
    return view_of(connection, watch.run, asked, path=path, clock=clock_of(request), companies=state.companies)


def why_not(request: Request) -> Response:
    """Which gates stood between a series and an alert at a moment: what `groundswell why-not` says."""
    state, asked = state_of(request), request.query_params
    series, at = asked.get("series", "").strip()[:200], asked.get("at", "")
    if not series or not at:
        reason = "series, at: both are needed; follow a link of the near misses, or ask `groundswell why-not NAME --at TIME`"
        raise UsageError(reason)
    at_ms = parse_moment(at, name="at", clock=clock_of(request))

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        lines = None if state.why_not is None else state.why_not(connection, watch.run, series, at_ms)
        return {
            "series": series,
            "at_ms": at_ms,
            "lines": None if lines is None else list(lines),
            "gate": asked.get("gate", "")[:200],
            "command": f"groundswell why-not {series} --at {iso(at_ms)} --run {watch.run}",
        }

    return page(request, "why_not.html.j2", fill)
