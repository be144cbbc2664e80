"""What the board answers when it is asked to read: a function for each page and for its JSON twin."""

from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboards.board import pages, show
from dashboards.board.forms import visitor_of
from dashboards.board.incidents import incident_of, log_of, offered
from dashboards.board.shell import clock_of, page, state_of, twin
from dashboards.board.trust import Watch
from dashboards.board.words import TOPIC_TITLES
from groundswell.codec import decode
from groundswell.errors import NotFoundError
from groundswell.exports import alert_row, iso
from groundswell.names import SENTIMENTS
from groundswell.records import Alert
from groundswell.store.accounts import people_of
from groundswell.store.actions import WORDS, misses_of
from groundswell.store.basis import basis_of_alerts
from groundswell.store.health import decisions_by_reason, deliveries_of
from groundswell.store.query import alert_bytes, alerts_of, closed_ms, drops_by_reason, run_named
from groundswell.store.removals import removed_of_alerts

MISSES_SHOWN: Final = 20


def alerts(request: Request) -> Response:
    """All alerts of the run, newest first, and what became of the findings that are none; and what was expected in vain."""
    asked, visitor = request.query_params, visitor_of(request)

    def missed(connection: Connection, run: str) -> dict[str, Any]:
        rows = misses_of(connection, run)[::-1]
        done = next((one for one in rows if str(one.at_ms) == asked.get("done") and one.who == visitor.name), None)
        return {
            "rows": rows[:MISSES_SHOWN],
            "done": done,
            "series": asked.get("series", ""),
            "at": asked.get("at", ""),
            "gate": asked.get("gate", ""),
        }

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        found = alerts_of(connection, watch.run)
        return {
            "alerts": found[: -pages.ALERTS_LISTED - 1 : -1],
            "more": max(0, len(found) - pages.ALERTS_LISTED),
            "decisions": decisions_by_reason(connection, watch.run),
            "missed": missed(connection, watch.run),
        }

    return page(request, "alerts.html.j2", fill)


def dossier(request: Request) -> Response:
    """One alert with its evidence."""
    state = state_of(request)
    then = request.query_params.get("known") == "then"

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        run, body = alert_bytes(connection, request.path_params["id"], run=watch.run)
        alert = decode(body, Alert)
        around = pages.read_around(connection, run, alert, then=then)
        return {
            "then": then,
            "dossier": show.dossier(alert, around, clock_of(request), state.display),
            "removed": removed_of_alerts(connection, [alert]),
            "deliveries": deliveries_of(connection, run, alert.id),
            "messages": show.messages(state.messages(alert)) if state.messages else None,
        } | _people(request, connection, run, alert)

    return page(request, "dossier.html.j2", fill)


def _people(request: Request, connection: Connection, run: str, alert: Alert) -> dict[str, Any]:
    """What people did about an alert, and what whoever asks can do."""
    state, visitor = state_of(request), visitor_of(request)
    incident = incident_of(connection, run, alert, now_ms=state.now_ms())
    log = log_of(connection, run, incident, alert)
    done = next((line for line in log if str(line.at_ms) == request.query_params.get("done") and line.who == visitor.name), None)
    people = [one.name for one in people_of(connection) if one.disabled_ms is None] if visitor.may("analyst") else []
    return {
        "incident": incident,
        "log": log,
        "done": done,
        "people": sorted({*people, visitor.name or ""} - {""}) if visitor.may("analyst") else [],
        "offered": offered(incident),
        "words": WORDS,
        "sentiments": SENTIMENTS,
        "topics": TOPIC_TITLES,
        "companies": sorted({name for name in map(_company, alert.all_series) if name}),
        "stories": {quote.story: quote.title for quote in reversed(alert.evidence)},
    }


def _company(series: str) -> str:
    """The id of the company that a series is about; "" where it is about none."""
    kind, _, rest = series.partition(":")
    return rest if kind == "entity" else rest.rpartition(":")[2] if kind == "flag" else ""


def sources(request: Request) -> Response:
    """Who is reporting, what was dropped, and whether everything is accounted for."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        until = closed_ms(connection, watch.run)
        balances = watch.balances(connection, fresh=True)
        return {
            "health": [] if until is None else watch.health(connection, at_ms=until),
            "until_ms": until,
            "balances": balances,
            "total": show.total(balances),
            "drops": drops_by_reason(connection, watch.run),
            "checked": state_of(request).checked,
        }

    return page(request, "sources.html.j2", fill)


# --- JSON twins --------------------------------------------------------------------------------------------------------------------
def alerts_twin(request: Request) -> Response:
    """All alerts of the run, newest first."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        decided = decisions_by_reason(connection, watch.run)
        found = alerts_of(connection, watch.run)
        removed, basis = removed_of_alerts(connection, found), basis_of_alerts(connection, watch.run, found)
        return {
            "alerts": [alert_row(alert, removed, basis=basis) for alert in reversed(found)],
            "decisions": [{"verdict": verdict, "reason": reason, "findings": number} for verdict, reason, number in decided],
        }

    return twin(request, fill)


def dossier_twin(request: Request) -> Response:
    """The stored bytes of an alert, unchanged: what `groundswell explain` makes again and compares.

    Which of its documents have lost their text since stands in a header, so that the bytes stay what they are.
    """
    state = state_of(request)
    with state.store.read() as connection:
        _, body = alert_bytes(connection, request.path_params["id"], run=state.watch(connection).run)
        removed = removed_of_alerts(connection, [decode(body, Alert)])
    said = ", ".join(f"{document_id} {iso(removed_ms)}" for document_id, removed_ms in sorted(removed.items()))
    return Response(body, media_type="application/json", headers={"x-text-removed": said} if said else None)


def sources_twin(request: Request) -> Response:
    """Source health, balance, drops."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        until = closed_ms(connection, watch.run)
        health = [] if until is None else watch.health(connection, at_ms=until)
        balances, drops = watch.balances(connection, fresh=True), drops_by_reason(connection, watch.run)
        return pages.sources_json(health, balances, drops) | {"checked": state_of(request).checked}

    return twin(request, fill)


def healthz(request: Request) -> Response:
    """Whether the store answers: for a supervisor. A run without data is healthy."""
    state = state_of(request)
    with state.store.read() as connection:
        try:
            run = run_named(connection, state.run)
        except NotFoundError:
            return JSONResponse({"ok": True, "run": None, "data_until": None})
        until = closed_ms(connection, run)
    return JSONResponse({"ok": True, "run": run, "data_until": None if until is None else iso(until)})
