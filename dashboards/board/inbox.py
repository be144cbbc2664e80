"""The inbox: what waits for somebody, mine first, and what happened since I last looked."""

from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from dashboards.board.forms import visitor_of
from dashboards.board.incidents import incident_json, is_new_to, is_of, mine_first
from dashboards.board.shell import page, state_of, twin
from dashboards.board.trust import Watch
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.store.accounts import Reader, keep_reader, reader_named, visited
from groundswell.store.inbox import IncidentRow
from groundswell.store.inbox import inbox as incidents_of
from groundswell.store.query import closed_ms

FILTERS: Final = {
    "waiting": ("open", "reopened", "acknowledged", "forming"),
    "open": ("open", "reopened"),
    "acknowledged": ("acknowledged",),
    "resolved": ("resolved",),
    "all": ("open", "reopened", "acknowledged", "forming", "resolved"),
}
"""{name in the address: states}."""

ROWS_MAX: Final = 200


def inbox(request: Request) -> Response:
    """Incidents as a table; opening it is a visit."""
    state, visitor = state_of(request), visitor_of(request)
    reader = _visit(request) if visitor.name else Reader("")
    chosen, only_mine = _asked(request)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        now_ms = state.now_ms()
        found = mine_first(incidents_of(connection, watch.run, now_ms=now_ms), reader)
        shown = [one for one in found if _fits(one, chosen, reader, only_mine=only_mine)]
        return {
            "rows": [{"incident": one, "mine": is_of(one, reader), "new": is_new_to(one, reader)} for one in shown[:ROWS_MAX]],
            "more": max(0, len(shown) - ROWS_MAX),
            "counts": {name: sum(_fits(one, name, reader, only_mine=only_mine) for one in found) for name in FILTERS},
            "chosen": chosen,
            "only_mine": only_mine,
            "before_ms": reader.before_ms,
            # An archive is read long after its time: the age of an incident is what it was at the end of the data.
            "until_ms": now_ms if watch.run == LIVE_RUN else closed_ms(connection, watch.run) or now_ms,
        }

    return page(request, "inbox.html.j2", fill)


def inbox_twin(request: Request) -> Response:
    """The same as JSON; looking at it is no visit."""
    state, visitor = state_of(request), visitor_of(request)
    chosen, only_mine = _asked(request)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        found = mine_first(incidents_of(connection, watch.run, now_ms=state.now_ms()), visitor.chosen)
        return {
            "incidents": [incident_json(one, visitor.chosen) for one in found if _fits(one, chosen, visitor.chosen, only_mine=only_mine)]
        }

    return twin(request, fill)


def _asked(request: Request) -> tuple[str, bool]:
    chosen = request.query_params.get("state") or "waiting"
    if chosen not in FILTERS:
        reason = f"state: must be one of {', '.join(FILTERS)}, got {chosen[:20]!r}"
        raise UsageError(reason)
    return chosen, request.query_params.get("mine") == "1"


def _fits(one: IncidentRow, chosen: str, reader: Reader, *, only_mine: bool) -> bool:
    return one.life.state in FILTERS[chosen] and (not only_mine or is_of(one, reader))


def _visit(request: Request) -> Reader:
    """Move the reader's mark, if a person has opened the page: not when the page looks for what is new, nor when a program asks."""
    state, visitor = state_of(request), visitor_of(request)
    name = visitor.name or ""
    if request.method != "GET" or request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        return visitor.chosen
    with state.store.write() as connection:
        reader = visited(reader_named(connection, name), now_ms=state.now_ms())
        keep_reader(state.store, connection, reader)
    return reader
