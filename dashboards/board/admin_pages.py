"""What happened (the audit log, to be filtered and taken along) and the outbox (what waits, what was given up), for admins."""

from typing import Any, Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.forms import Form, needs, posting, see_other, visitor_of
from dashboards.board.shell import clock_of, page, state_of
from dashboards.board.trust import Watch
from dashboards.board.words import parse_moment
from groundswell.errors import UsageError
from groundswell.exports import csv_text, iso
from groundswell.names import LIVE_RUN, OUTBOX_STATES
from groundswell.store.audit import Entry, entries, kinds, note
from groundswell.store.outbox import counted, listed, put_back

ENTRIES_SHOWN: Final = 200
ENTRIES_TAKEN: Final = 10_000
MESSAGES_SHOWN: Final = 200
AUDIT_COLUMNS: Final = ["at", "who", "place", "what", "detail"]
RETRIED: Final = "dead letter put back"


def routes() -> list[Route]:
    """The addresses of these pages."""
    return [
        Route("/audit", audit),
        Route("/audit.csv", audit_csv),
        Route("/outbox", outbox),
        Route("/outbox/retry", posting(retry, role="admin"), methods=["POST"]),
    ]


# --- what happened --------------------------------------------------------------------------------------------------------------------
def audit(request: Request) -> Response:
    """The newest rows of the log: `who`, `what`, `from`, `to`."""
    needs(request, "admin")
    asked = _asked(request)

    def fill(connection: Connection, _watch: Watch) -> dict[str, Any]:
        found = entries(connection, **asked, limit=ENTRIES_SHOWN + 1)
        shown = {name: request.query_params.get(name, "") for name in ("who", "what", "from", "to")}
        # The next page begins below the last row; rows of its millisecond are shown on both.
        older = iso(found[ENTRIES_SHOWN - 1].at_ms + 1) if len(found) > ENTRIES_SHOWN else None
        return {"entries": found[:ENTRIES_SHOWN], "kinds": kinds(connection), "asked": shown, "older": older, "query": request.url.query}

    return page(request, "audit.html.j2", fill, tagged=False)


def audit_csv(request: Request) -> Response:
    """The same as CSV, with as many rows as anybody reads."""
    needs(request, "admin")
    with state_of(request).store.read() as connection:
        found = entries(connection, **_asked(request), limit=ENTRIES_TAKEN)
    rows = [{"at": iso(one.at_ms), "who": one.who, "place": one.place, "what": one.what, "detail": one.detail} for one in found]
    headers = {"content-disposition": 'attachment; filename="audit.csv"'}
    return Response(csv_text(rows, AUDIT_COLUMNS), media_type="text/csv; charset=utf-8", headers=headers)


def _asked(request: Request) -> dict[str, Any]:
    params, clock = request.query_params, clock_of(request)
    moments = {f"{name}_ms": parse_moment(params[name], name=name, clock=clock) for name in ("from", "to") if params.get(name)}
    return {"who": params.get("who") or None, "what": params.get("what") or None, **moments}


# --- the outbox -----------------------------------------------------------------------------------------------------------------------
def outbox(request: Request) -> Response:
    """Messages in a `state`, the newest alert first; without one, those that were given up, else those that wait."""
    needs(request, "admin")

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        counts = counted(connection, watch.run)
        usual = next((state for state in ("failed", "attempted", "held", "due") if counts.get(state)), "sent")
        chosen = request.query_params.get("state") or usual
        if chosen not in OUTBOX_STATES:
            reason = f"state: must be one of {', '.join(OUTBOX_STATES)}, got {chosen[:20]!r}"
            raise UsageError(reason)
        return {
            "counts": {state: counts.get(state, 0) for state in OUTBOX_STATES},
            "chosen": chosen,
            "messages": listed(connection, watch.run, state=chosen, limit=MESSAGES_SHOWN),
            "more": max(0, counts.get(chosen, 0) - MESSAGES_SHOWN),
            "put_back": request.query_params.get("back", "") == "1",
            "may_retry": watch.run == LIVE_RUN,
        }

    return page(request, "outbox.html.j2", fill, tagged=False)


def retry(request: Request, form: Form) -> Response:
    """Make a dead letter due again: `alert`, `target`."""
    state, visitor = state_of(request), visitor_of(request)
    alert, target = form.get("alert", ""), form.get("target", "")
    found = put_back(state.store, LIVE_RUN, alert, target=target)
    now_ms = state.now_ms()
    with state.store.write() as connection:
        detail = f"alert {alert}, {', '.join(item.target for item in found)}"
        note(state.store, connection, Entry(now_ms, visitor.name or "", visitor.address, RETRIED, detail))
    return see_other("/outbox?state=failed&back=1")
