"""Rules: what is in force and what each number means, its versions, and what other rules would have sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.forms import visitor_of
from dashboards.board.rules_show import different, sections_of
from dashboards.board.shell import BoardState, page, plain_page, state_of, twin
from dashboards.board.trust import Watch
from groundswell.errors import NotFoundError
from groundswell.exports import iso
from groundswell.names import LIVE_RUN
from groundswell.rehearsed import Comparison, Event, Told, events_of
from groundswell.schedule import RULES, InForce
from groundswell.store.actions import verdicts_of
from groundswell.store.audit import RULES_SAVED, Entry, entries
from groundswell.store.query import closed_ms
from groundswell.store.rehearsals import Rehearsed, rehearsal_named, rehearsals_of
from groundswell.store.versions import content_of, read_schedule, rules_text_of

DAYS: Final = (7, 30, 90, 365)
DAYS_USUAL: Final = 90
REHEARSALS_SHOWN: Final = 10
EVENTS_SHOWN: Final = 200
SAVES_SEARCHED: Final = 500


@dataclass(frozen=True)
class Version:
    """One time at which rules came into force."""

    row: InForce
    state: str
    by: Entry | None  # who saved it on the board; None: the command line did, or nobody that may be shown


def routes() -> list[Route]:
    """The addresses of these pages."""
    return [
        Route("/rules", rules),
        Route("/rules/edit", edit),
        Route("/rules/versions/{version}", version),
        Route("/rules/rehearsals/{name}", rehearsal),
        Route("/api/rules.json", rules_twin),
    ]


# --- the rules in force -------------------------------------------------------------------------------------------------------
def rules(request: Request) -> Response:
    """The newest rules with what each number means, and every version."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        found = versions(request, connection, watch.run)
        newest = found[0].row if found else None
        text = text_of(state_of(request), connection, newest.hash) if newest else None
        done = request.query_params.get("done", "")
        mine = [one for one in found if one.by and str(one.by.at_ms) == done and one.by.who == visitor_of(request).name]
        return {
            "newest": newest,
            "to_come": bool(found) and found[0].state == "to come",
            "sections": sections_of(text) if text else [],
            "versions": found,
            "done": mine[0] if mine else None,
            "rehearsals": rehearsals_of(connection, watch.run, limit=REHEARSALS_SHOWN),
            "may_rehearse": may_rehearse(request),
            "may_save": watch.run == LIVE_RUN,
        }

    return page(request, "rules.html.j2", fill, tagged=False)


def rules_twin(request: Request) -> Response:
    """The same for programs: the text, the values, and the versions."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        found = versions(request, connection, watch.run)
        content = content_of(connection, RULES, found[0].row.hash) if found else b"null"
        rows = [{"hash": one.row.hash, "since": iso(one.row.effective_ms), "state": one.state} for one in found]
        text = text_of(state_of(request), connection, found[0].row.hash) if found else None
        return {"rules": msgspec.json.decode(content), "text": text, "versions": rows}

    return twin(request, fill)


def may_rehearse(request: Request) -> bool:
    """Whether the editor is offered: to analysts, where the board was handed what rehearses."""
    return visitor_of(request).may("analyst") and state_of(request).rehearsing is not None


def versions(request: Request, connection: Connection, run: str) -> list[Version]:
    """The rules of a run, newest first, with who saved them where that may be known."""
    schedule, known_ms = read_schedule(connection, run), closed_ms(connection, run) or 0
    # A board without people has no right to the audit log.
    known = visitor_of(request).name is not None
    saves = {entry.detail: entry for entry in entries(connection, what=RULES_SAVED, limit=SAVES_SEARCHED)} if known else {}
    return [Version(row, schedule.state(row, known_ms), saves.get(row.said)) for row in reversed(schedule.of(RULES))]


def text_of(state: BoardState, connection: Connection, version: str) -> str | None:
    """Rules as a file: as they were written, else the shipped comments with their values; None where nobody can say."""
    kept = rules_text_of(connection, version)
    if kept is not None or state.rehearsing is None:
        return kept
    return state.rehearsing.rules.text_of(content_of(connection, RULES, version))


def version(request: Request) -> Response:
    """One version: what came with it, and its file."""
    name = request.path_params["version"]

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        found = versions(request, connection, watch.run)
        place = next((number for number, one in reversed(list(enumerate(found))) if one.row.hash == name), None)
        if place is None:
            reason = f"rules {name[:40]!r}: run {watch.run!r} has no such version; /rules lists them"
            raise NotFoundError(reason)
        state, before = state_of(request), found[place + 1].row.hash if place + 1 < len(found) else None
        text, former = text_of(state, connection, name), text_of(state, connection, before) if before else None
        return {
            "version": found[place],
            "before": before,
            "text": text,
            "different": different(former, text) if former is not None and text is not None else [],
            "may_rehearse": may_rehearse(request),
        }

    return page(request, "rules_version.html.j2", fill)


# --- the editor ---------------------------------------------------------------------------------------------------------------
def edit(request: Request) -> Response:
    """The editor, with the newest rules, another version, or those of a rehearsal."""
    params, state = request.query_params, state_of(request)
    with state.store.read() as connection:
        run = state.watch(connection).run
        if params.get("rehearsal"):
            text = rehearsal_named(connection, run, params["rehearsal"]).text
        else:
            rows = read_schedule(connection, run).of(RULES)
            name = params.get("version") or (rows[-1].hash if rows else "")
            text = (text_of(state, connection, name) if name else None) or ""
    return editor(request, text, days=DAYS_USUAL)


def editor(request: Request, text: str, *, days: int, wrong: str = "", status: int = 200) -> Response:
    """The editor with a text in it, and what is wrong with it."""
    values = {"text": text, "days": days, "choices": DAYS, "wrong": wrong, "may_rehearse": may_rehearse(request)}
    return plain_page(request, "rules_edit.html.j2", values, status=status)


# --- a rehearsal ----------------------------------------------------------------------------------------------------------------
def rehearsal(request: Request) -> Response:
    """What came of a rehearsal; while it is made, how much is done."""
    name, state = request.path_params["name"], state_of(request)
    waiting = state.rehearsing.under_way(name) if state.rehearsing else None
    if waiting is not None:
        return plain_page(request, "rehearsal_wait.html.j2", {"waiting": waiting, "wrong": ""})
    with state.store.read() as connection:
        try:
            kept = rehearsal_named(connection, state.watch(connection).run, name)
        except NotFoundError:
            wrong = state.rehearsing.failed(name) if state.rehearsing else None
            if wrong is None:
                raise
            return plain_page(request, "rehearsal_wait.html.j2", {"waiting": None, "wrong": wrong}, status=400)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        return _shown(request, connection, watch.run, kept)

    return page(request, "rehearsal.html.j2", fill, tagged=False)


def _shown(request: Request, connection: Connection, run: str, kept: Rehearsed) -> dict[str, Any]:
    found, rows = kept.found, read_schedule(connection, run).of(RULES)
    events, newest = events_of(found), rows[-1].hash if rows else ""
    before = text_of(state_of(request), connection, newest) if newest else None
    return {
        "kept": kept,
        "found": found,
        "figures": figures(found, events),
        "events": {fate: [one for one in events if one.fate == fate][:EVENTS_SHOWN] for fate in ("goes", "comes", "stays")},
        "more": {fate: max(0, sum(one.fate == fate for one in events) - EVENTS_SHOWN) for fate in ("goes", "comes", "stays")},
        "said": _said(connection, run, events),
        "different": different(before, kept.text) if before is not None else [],
        "may_rehearse": may_rehearse(request),
        "can_save": may_rehearse(request) and run == LIVE_RUN and newest == found.before and found.rules != newest,
        "is_same": found.rules == newest,
        "is_old": newest != found.before,
        "is_live": run == LIVE_RUN,
    }


def figures(found: Comparison, events: list[Event]) -> list[tuple[str, str, str]]:
    """What a reader compares: a name, of what was sent, of what would have been."""
    fates = [event.fate for event in events]
    days = max(found.days, 1 / 24)

    def row(name: str, sent: float, would: float, form: str) -> tuple[str, str, str]:
        return name, format(sent, form), format(would, form)

    def updates(told: list[Told]) -> int:
        return sum(one.update > 0 for one in told)

    return [
        row("Messages", len(found.sent), len(found.would), ","),
        row("Messages a day", len(found.sent) / days, len(found.would) / days, ".2f"),
        row("Incidents", len(events) - fates.count("comes"), len(events) - fates.count("goes"), ","),
        row("of these, not in the other", fates.count("goes"), fates.count("comes"), ","),
        row("Updates", updates(found.sent), updates(found.would), ","),
    ]


def _said(connection: Connection, run: str, events: list[Event]) -> Mapping[str, list[str]]:
    """{alert of an incident that was sent: the words that people said of it, each once}."""
    of = {one.alert: event.first.alert for event in events for one in event.sent}
    found: dict[str, dict[str, None]] = {}
    for verdict in verdicts_of(connection, run) if of else ():
        if verdict.alert in of:
            found.setdefault(of[verdict.alert], {})[verdict.word] = None
    return {alert: list(words) for alert, words in found.items()}
