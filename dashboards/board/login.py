"""Signing in and out."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from dashboards.board.forms import Form, local_path, see_other, visitor_of
from dashboards.board.shell import plain_page, state_of
from groundswell.errors import UsageError
from groundswell.store.accounts import keep_reader, person_name, person_named, reader_named
from groundswell.store.audit import UNKNOWN, Entry, note

HOME: Final = "/inbox"


def login(request: Request) -> Response:
    """The form; somebody who is signed in, or need not be, is sent on."""
    where = local_path(request.query_params.get("next", ""), otherwise=HOME)
    if not state_of(request).door.access.accounts or visitor_of(request).name is not None:
        return see_other(where)
    return plain_page(request, "login.html.j2", {"next": where, "name": "", "wrong": "", "wait_s": 0})


def sign_in(request: Request, form: Form) -> Response:
    """Check a name and a password, and begin a session."""
    state, visitor = state_of(request), visitor_of(request)
    where, given = local_path(form.get("next", ""), otherwise=HOME), form.get("name", "")
    try:
        name = person_name(given)
    except UsageError:
        name = ""
    again = {"next": where, "name": name}
    wait_s, is_last = state.attempts.begin(name, visitor.address)
    if wait_s:
        answer = plain_page(request, "login.html.j2", again | {"wrong": "", "wait_s": wait_s}, status=429)
        answer.headers["retry-after"] = str(wait_s)
        return answer
    with state.store.read() as connection:
        person = person_named(connection, name)
    stored = person.password_hash if person is not None and person.disabled_ms is None else None
    fits = state.door.access.passwords.fits(form.get("password", ""), stored)
    now_ms, who = state.now_ms(), UNKNOWN if person is None else name
    what = "signed in" if fits else "sign-in locked" if is_last else "sign-in refused"
    with state.store.write() as connection:
        note(state.store, connection, Entry(now_ms, who, visitor.address, what, ""))
    if not fits:
        return plain_page(request, "login.html.j2", again | {"wrong": "yes", "wait_s": 0}, status=401)
    state.attempts.succeeded(name, visitor.address)
    answer = see_other(where)
    state.door.begin(answer, name)
    return answer


def sign_out(request: Request, _form: Form) -> Response:
    """End every session of this person, on other machines too: whoever signs out means it."""
    state, visitor = state_of(request), visitor_of(request)
    answer = see_other("/login" if state.door.access.accounts else "/")
    if visitor.name is not None and visitor.has_session:
        now_ms = state.now_ms()
        with state.store.write() as connection:
            reader = reader_named(connection, visitor.name)
            keep_reader(state.store, connection, replace(reader, signed_out_ms=now_ms + 1))
            note(state.store, connection, Entry(now_ms, visitor.name, visitor.address, "signed out", ""))
        state.door.end(answer)
    return answer
