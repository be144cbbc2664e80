"""What people do on the board: forms of the dossier and of the list of alerts, and links from mail and Slack.

Every one ends with a redirect to a page that says that it took, read back from the store.
"""

from typing import Any, Final, cast

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards.board.forms import Form, see_other, visitor_of
from dashboards.board.shell import clock_of, plain_page, state_of
from dashboards.board.words import parse_moment
from groundswell.codec import decode
from groundswell.errors import SignatureError, UsageError
from groundswell.links import Link
from groundswell.names import HOUR_MS
from groundswell.records import Act, Action, Alert, Corrected, Correction, Miss, Verdict, VerdictWord
from groundswell.store.accounts import person_named, rank
from groundswell.store.actions import (
    WORDS,
    actions_of,
    record_action,
    record_correction,
    record_miss,
    record_verdict,
    verdicts_of,
)
from groundswell.store.audit import Entry, note
from groundswell.store.query import alert_bytes

LINK_ACTS: Final = ("acknowledge", "snooze", "snooze:1h", "resolve", "reopen", "verdict", *(f"verdict:{word}" for word in WORDS))
"""What a link may say; "verdict" alone lets its reader choose the word."""


GATE_MAX: Final = 200


# --- forms -----------------------------------------------------------------------------------------------------------------------
def act(request: Request, form: Form) -> Response:
    """Acknowledge, assign, snooze, mute a story, comment, resolve, reopen."""
    state, visitor = state_of(request), visitor_of(request)
    now_ms, what = state.now_ms(), form.get("what", "")
    with state.store.write() as connection:
        run, alert = _alert(request, connection)
        if what == "assign" and form.get("assignee") and person_named(connection, form["assignee"]) is None:
            reason = f"assign: {form['assignee'][:80]!r} has no account; choose somebody of the list"
            raise UsageError(reason)
        action = Action(
            incident=alert.incident,
            at_ms=now_ms,
            who=visitor.name or "",
            what=cast("Act", what),  # the store refuses what is none
            assignee=(form.get("assignee") or None) if what == "assign" else None,
            until_ms=now_ms + HOUR_MS if what == "snooze" and form.get("until") == "1h" else None,
            story=(form.get("story") or None) if what == "mute_story" else None,
            note=form.get("note", "").strip(),
        )
        record_action(connection, run, action)
        _note(request, connection, what, f"alert {alert.id}", at_ms=now_ms)
    return see_other(f"/alerts/{alert.id}?done={now_ms}#act")


def judge(request: Request, form: Form) -> Response:
    """True, false, old news, ..."""
    state, visitor = state_of(request), visitor_of(request)
    now_ms, word = state.now_ms(), form.get("word", "")
    with state.store.write() as connection:
        run, alert = _alert(request, connection)
        said = Verdict(
            alert=alert.id, at_ms=now_ms, who=visitor.name or "", word=cast("VerdictWord", word), note=form.get("note", "").strip()
        )
        record_verdict(connection, run, said)
        _note(request, connection, "verdict", f"{word}, alert {alert.id}", at_ms=now_ms)
    return see_other(f"/alerts/{alert.id}?done={now_ms}#act")


def correct(request: Request, form: Form) -> Response:
    """What is wrong with the reading of one document of the evidence: `is` holds "sentiment:neutral", "topic:...", "company:..."."""
    state, visitor = state_of(request), visitor_of(request)
    now_ms = state.now_ms()
    what, _, value = form.get("is", "").partition(":")
    with state.store.write() as connection:
        _, alert = _alert(request, connection)
        document_id = form.get("document", "")
        if document_id not in {quote.document_id for quote in alert.evidence}:
            reason = f"document {document_id[:40]!r}: is none of this alert's evidence; send the form from its page"
            raise UsageError(reason)
        said = Correction(
            document_id=document_id,
            at_ms=now_ms,
            who=visitor.name or "",
            what=cast("Corrected", what),
            value=value,
            note=form.get("note", "").strip(),
        )
        record_correction(connection, said)
        _note(request, connection, "correction", f"{what} {value}, document {document_id}", at_ms=now_ms)
    return see_other(f"/alerts/{alert.id}?done={now_ms}#act")


def miss(request: Request, form: Form) -> Response:
    """Somebody expected an alert and got none."""
    state, visitor = state_of(request), visitor_of(request)
    now_ms = state.now_ms()
    moment_ms = parse_moment(form.get("at", ""), name="at", clock=clock_of(request))
    with state.store.write() as connection:
        said = Miss(
            name=form.get("name", "").strip(),
            moment_ms=moment_ms,
            at_ms=now_ms,
            who=visitor.name or "",
            note=form.get("note", "").strip(),
            gate=form.get("gate", "").strip()[:GATE_MAX],
        )
        record_miss(connection, state.watch(connection).run, said)
        _note(request, connection, "missed", said.name, at_ms=now_ms)
    return see_other(f"/alerts?done={now_ms}#missed")


def _alert(request: Request, connection: Connection) -> tuple[str, Alert]:
    """The alert that the address names, of the run that is shown."""
    run, body = alert_bytes(connection, request.path_params["id"], run=state_of(request).watch(connection).run)
    return run, decode(body, Alert)


def _note(request: Request, connection: Connection, what: str, detail: str, *, at_ms: int, who: str | None = None) -> None:
    visitor = visitor_of(request)
    note(state_of(request).store, connection, Entry(at_ms, who or visitor.name or "", visitor.address, what, detail))


# --- links from mail and Slack ---------------------------------------------------------------------------------------------------
def link(request: Request) -> Response:
    """What a link would record, and the button that does. Opening it records nothing: mail gateways open every link."""
    found = _read(request)
    with state_of(request).store.read() as connection:
        run, alert = _of_link(request, connection, found)
        done_ms = request.query_params.get("done", "")
        recorded = _recorded(connection, run, alert, found, int(done_ms)) if _is_number(done_ms) else None
    words = WORDS if found.act == "verdict" else ()
    return plain_page(request, "link.html.j2", {"link": found, "alert": alert, "words": words, "recorded": recorded}, named=True)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def follow(request: Request, form: Form) -> Response:
    """Record what a link says, in its reader's name."""
    state, found = state_of(request), _read(request)
    now_ms, chosen = state.now_ms(), found.act if found.act != "verdict" else f"verdict:{form.get('word', '')}"
    with state.store.write() as connection:
        run, alert = _of_link(request, connection, found)
        what, _, more = chosen.partition(":")
        if what == "verdict":
            record_verdict(connection, run, Verdict(alert=alert.id, at_ms=now_ms, who=found.reader, word=cast("VerdictWord", more)))
        else:
            until_ms = now_ms + HOUR_MS if more == "1h" else None
            action = Action(incident=alert.incident, at_ms=now_ms, who=found.reader, what=cast("Act", what), until_ms=until_ms)
            record_action(connection, run, action)
        _note(request, connection, what, f"{more} alert {alert.id}, by a link".strip(), at_ms=now_ms, who=found.reader)
    return see_other(f"/l/{request.path_params['token']}?done={now_ms}")


def _read(request: Request) -> Link:
    found = state_of(request).links.read(request.path_params["token"])
    if found.act not in LINK_ACTS:
        reason = f"the link says {found.act[:40]!r}, which this board does not know; open the alert and do it there"
        raise SignatureError(reason)
    return found


def _of_link(request: Request, connection: Connection, found: Link) -> tuple[str, Alert]:
    """The alert that a link is about, if its reader may still act on it."""
    person = person_named(connection, found.reader.lower())
    if person is not None and (person.disabled_ms is not None or rank(person.role) < rank("analyst")):
        reason = f"{found.reader} may not act on alerts any more; ask whoever runs the board"
        raise HTTPException(403, reason)
    run, body = alert_bytes(connection, found.alert_id, run=state_of(request).watch(connection).run)
    return run, decode(body, Alert)


def _recorded(connection: Connection, run: str, alert: Alert, found: Link, at_ms: int) -> dict[str, Any] | None:
    """What was recorded by a link at a moment, as the store has it."""
    said: list[tuple[int, str, str]] = [(one.at_ms, one.who, one.what) for one in actions_of(connection, run, alert.incident)]
    said += [(one.at_ms, one.who, one.word) for one in verdicts_of(connection, run, alerts=[alert.id])]
    return next(({"at_ms": ms, "what": what} for ms, who, what in said if ms == at_ms and who == found.reader), None)
