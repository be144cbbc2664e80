"""Forms of a person's tokens on /me: made, shown once, taken back."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.forms import Form, posting, see_other, visitor_of
from dashboards.board.shell import plain_page, state_of
from groundswell.errors import UsageError
from groundswell.store.accounts import ROLES, rank
from groundswell.store.audit import Entry, note
from groundswell.store.tokens import make_token, revoke_token

DAYS: Final = (30, 90, 365)
MADE, REVOKED = "token made", "token revoked"


def routes() -> list[Route]:
    """The addresses of these forms."""
    return [
        Route("/me/token", posting(make, role="reader"), methods=["POST"]),
        Route("/me/token/revoke", posting(revoke, role="reader"), methods=["POST"]),
    ]


def make(request: Request, form: Form) -> Response:
    """A token: `name`, `role`, `days`. The answer is the only page that ever shows it, so it is no redirect."""
    state, visitor, role = state_of(request), visitor_of(request), form.get("role", "")
    days = next((days for days in DAYS if str(days) == form.get("days")), None)
    if role not in ROLES or days is None or rank(role) > rank(visitor.role):
        reason = f"token: role {role[:20]!r} and days {form.get('days', '')[:20]!r} are none that the form of /me offers you; use that"
        raise UsageError(reason)
    now_ms = state.now_ms()
    with state.store.write() as connection:
        owner = visitor.name or ""
        made, text = make_token(state.store, connection, owner, name=form.get("name", ""), role=role, days=days, now_ms=now_ms)
        note(state.store, connection, Entry(now_ms, owner, visitor.address, MADE, f"{made.token_id} {made.name}, {role}"))
    return plain_page(request, "token.html.j2", {"made": made, "text": text})


def revoke(request: Request, form: Form) -> Response:
    """Take one of the person's own tokens back: `id`."""
    state, visitor, now_ms = state_of(request), visitor_of(request), state_of(request).now_ms()
    with state.store.write() as connection:
        found = revoke_token(connection, form.get("id", ""), now_ms=now_ms, person=visitor.name or "")
        note(state.store, connection, Entry(now_ms, visitor.name or "", visitor.address, REVOKED, f"{found.token_id} {found.name}"))
    return see_other("/me?done=1#tokens")
