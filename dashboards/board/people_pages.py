"""People: who has an account, what an admin does about it, and the page on which somebody new chooses a password.

Nobody else's password is ever typed here: an admin hands over a link that works once, within two days.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.door import WELCOME
from dashboards.board.forms import Form, needs, posting, see_other, visitor_of
from dashboards.board.shell import page, plain_page, state_of
from dashboards.board.trust import Watch
from groundswell.errors import NotFoundError, UsageError
from groundswell.store.accounts import (
    ROLES,
    Person,
    Role,
    add_person,
    change_person,
    keep_reader,
    people_of,
    person_name,
    person_named,
    reader_named,
)
from groundswell.store.audit import Entry, entries, note
from groundswell.store.tokens import revoke_token, tokens_of

ADDED, ROLE, DISABLED, ENABLED = "account added", "role changed", "account disabled", "account enabled"
SIGNED_OUT, LINK, CHOSEN, REVOKED = "signed out by an admin", "link to choose a password", "password chosen", "token revoked"
SAID: Final = (ADDED, ROLE, DISABLED, ENABLED, SIGNED_OUT, LINK, CHOSEN, REVOKED)
"""What the audit log calls it."""

T = TypeVar("T")


def routes() -> list[Route]:
    """The addresses of these pages and forms."""
    return [
        Route("/people", people),
        Route("/people/add", posting(add, role="admin"), methods=["POST"]),
        Route("/people/role", posting(change_role, role="admin"), methods=["POST"]),
        Route("/people/disable", posting(disable, role="admin"), methods=["POST"]),
        Route("/people/enable", posting(enable, role="admin"), methods=["POST"]),
        Route("/people/signout", posting(sign_out, role="admin"), methods=["POST"]),
        Route("/people/link", posting(link, role="admin"), methods=["POST"]),
        Route("/people/token", posting(revoke, role="admin"), methods=["POST"]),
        Route(WELCOME + "{token}", welcome),
        Route(WELCOME + "{token}", posting(choose, role=None), methods=["POST"]),
    ]


def people(request: Request) -> Response:
    """Every account, and every token that is taken."""
    needs(request, "admin")

    def fill(connection: Connection, _watch: Watch) -> dict[str, Any]:
        state, done = state_of(request), request.query_params.get("done", "")
        now_ms = state.now_ms()
        at_ms = int(done) if done.isascii() and done.isdigit() and len(done) < 16 else -1
        found = [one for one in entries(connection, who=visitor_of(request).name, at_ms=at_ms) if one.what in SAID]
        return {
            "people": people_of(connection),
            "tokens": [one for one in tokens_of(connection) if one.is_live(now_ms)],
            "roles": ROLES,
            "by_link": state.door.access.accounts,
            "done": found[0] if found else None,
        }

    return page(request, "people.html.j2", fill, tagged=False)


# --- what an admin does -----------------------------------------------------------------------------------------------------------
def add(request: Request, form: Form) -> Response:
    """A new account: `name`, `role`. Where people sign in here, the answer is the link that lets its owner choose a password."""
    state, name, role = state_of(request), person_name(form.get("name", "")), _role(form)

    def do(connection: Connection, now_ms: int) -> Person:
        made = Person(name, role, None, now_ms, now_ms, None)
        add_person(state.store, connection, made)
        return made

    made, now_ms = _done(request, ADDED, f"{name}, {role}", do)
    return _linked(request, made) if state.door.access.accounts else see_other(f"/people?done={now_ms}")


def change_role(request: Request, form: Form) -> Response:
    """Another `role` for `name`."""
    name, role = form.get("name", ""), _role(form)
    return _changed(request, ROLE, name, f"{name}, {role}", keeps_admins=role == "admin", role=role)


def disable(request: Request, form: Form) -> Response:
    """Let `name` in no more; sessions and tokens end at once."""
    return _changed(request, DISABLED, form.get("name", ""), form.get("name", ""), keeps_admins=False, disabled=True)


def enable(request: Request, form: Form) -> Response:
    """Let `name` in again."""
    return _changed(request, ENABLED, form.get("name", ""), form.get("name", ""), keeps_admins=True, disabled=False)


def sign_out(request: Request, form: Form) -> Response:
    """End every session of `name`; tokens of programs stay."""
    state, name = state_of(request), form.get("name", "")

    def do(connection: Connection, now_ms: int) -> None:
        _known(connection, name)
        keep_reader(state.store, connection, replace(reader_named(connection, name), signed_out_ms=now_ms + 1))

    _, now_ms = _done(request, SIGNED_OUT, name, do)
    return see_other(f"/people?done={now_ms}")


def link(request: Request, form: Form) -> Response:
    """A link with which `name` chooses another password; the old one holds until then."""
    name = form.get("name", "")
    if not state_of(request).door.access.accounts:
        reason = f"link for {name[:40]!r}: nobody signs in here, the proxy says who people are; change the password there"
        raise UsageError(reason)
    found, _ = _done(request, LINK, name, lambda connection, _now_ms: _known(connection, name))
    return _linked(request, found)


def revoke(request: Request, form: Form) -> Response:
    """Take anybody's token back: `id`."""
    token_id = form.get("id", "")
    _, now_ms = _done(request, REVOKED, token_id, lambda connection, now_ms: revoke_token(connection, token_id, now_ms=now_ms))
    return see_other(f"/people?done={now_ms}")


def _changed(request: Request, what: str, name: str, detail: str, *, keeps_admins: bool, **changes: Any) -> Response:
    def do(connection: Connection, now_ms: int) -> None:
        _known(connection, name)
        others = [one for one in people_of(connection) if one.role == "admin" and one.disabled_ms is None and one.name != name]
        if not keeps_admins and not others:
            reason = f"{what} {name!r}: is the last admin; make somebody else one first"
            raise UsageError(reason)
        change_person(connection, name, now_ms=now_ms, **changes)

    _, now_ms = _done(request, what, detail, do)
    return see_other(f"/people?done={now_ms}")


def _done(request: Request, what: str, detail: str, do: Callable[[Connection, int], T]) -> tuple[T, int]:
    """Do something and say so in the audit log, in one transaction."""
    state, visitor = state_of(request), visitor_of(request)
    now_ms = state.now_ms()
    with state.store.write() as connection:
        made = do(connection, now_ms)
        note(state.store, connection, Entry(now_ms, visitor.name or "", visitor.address, what, detail))
    return made, now_ms


def _known(connection: Connection, name: str) -> Person:
    found = person_named(connection, name)
    if found is None:
        reason = f"person {name[:80]!r}: has no account; /people lists all of them"
        raise NotFoundError(reason)
    return found


def _role(form: Form) -> Role:
    role = form.get("role", "")
    if role not in ROLES:
        reason = f"role: must be one of {', '.join(ROLES)}, got {role[:20]!r}"
        raise UsageError(reason)
    return role


def _linked(request: Request, person: Person) -> Response:
    """The only page that ever shows the link, so it is no redirect."""
    state = state_of(request)
    address = f"{state.links.base_url}{WELCOME}{state.door.welcome(person)}"
    return plain_page(request, "people_link.html.j2", {"person": person, "address": address})


# --- choosing a password ------------------------------------------------------------------------------------------------------------
def welcome(request: Request) -> Response:
    """The form of whoever has the link."""
    return _welcome(request, _welcomed(request))


def _welcome(request: Request, person: Person, *, wrong: str = "") -> Response:
    return plain_page(request, "welcome.html.j2", {"person": person, "wrong": wrong}, status=400 if wrong else 200, named=True)


def _welcomed(request: Request) -> Person:
    state = state_of(request)
    if not state.door.access.accounts:
        raise HTTPException(404, "nobody signs in here")
    with state.store.read() as connection:
        return state.door.welcomed(request.path_params["token"], connection)


def choose(request: Request, form: Form) -> Response:
    """Keep the `password`, typed twice; whatever was signed in with the account, and the link itself, is void."""
    state, person = state_of(request), _welcomed(request)
    if form.get("password", "") != form.get("again", ""):
        return _welcome(request, person, wrong="the two are not the same; type them once more")
    try:
        stored = state.door.access.passwords.hash(form.get("password", ""))
    except UsageError as error:
        return _welcome(request, person, wrong=str(error))
    now_ms = state.now_ms()
    with state.store.write() as connection:
        state.door.welcomed(request.path_params["token"], connection)  # of two that are sent at once, one counts
        change_person(connection, person.name, now_ms=max(now_ms, person.changed_ms + 1), password_hash=stored)
        note(state.store, connection, Entry(now_ms, person.name, visitor_of(request).address, CHOSEN, "by a link"))
    return see_other("/login")
