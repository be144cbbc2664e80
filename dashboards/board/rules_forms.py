"""Forms of the rules: rehearse a text, and save what was rehearsed. The running rules stay until a saved version comes into force."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.forms import Form, posting, see_other, visitor_of
from dashboards.board.rehearsing import Asked, Rehearsing
from dashboards.board.rules_pages import DAYS, DAYS_USUAL, editor
from dashboards.board.shell import state_of
from groundswell.errors import DependencyError, NotFoundError, SettingsError, UsageError
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.schedule import RULES
from groundswell.store.audit import RULES_SAVED, Entry, note
from groundswell.store.query import closed_ms
from groundswell.store.rehearsals import rehearsal_named
from groundswell.store.versions import AHEAD_MS, add_versions, hold_schedule, keep_rules_text, read_schedule

TEXT_BYTES_MAX: Final = 256 * 1024


def routes() -> list[Route]:
    """The addresses of these forms."""
    return [
        Route("/rules/rehearse", posting(rehearse, role="analyst", body_bytes_max=TEXT_BYTES_MAX), methods=["POST"]),
        Route("/rules/save", posting(save, role="analyst"), methods=["POST"]),
    ]


def _rehearsing(request: Request) -> Rehearsing:
    found = state_of(request).rehearsing
    if found is None:
        reason = "rules: this board was started without what rehearses them; use `groundswell rehearse`"
        raise DependencyError(reason)
    return found


def rehearse(request: Request, form: Form) -> Response:
    """`text` over the last `days` of the run; a text that is no rules comes back with what is wrong with it."""
    state, visitor, rehearsing = state_of(request), visitor_of(request), _rehearsing(request)
    text = "\n".join(form.get("text", "").splitlines()) + "\n"
    days = next((days for days in DAYS if str(days) == form.get("days")), DAYS_USUAL)
    try:
        rehearsing.rules.read(text)
    except SettingsError as error:
        return editor(request, text, days=days, wrong=str(error), status=400)
    with state.store.read() as connection:
        run = state.watch(connection).run
        until_ms, rows = closed_ms(connection, run), read_schedule(connection, run).of(RULES)
    if until_ms is None:
        reason = f"run {run!r}: it has not closed a tick yet, so there is nothing to rehearse on; wait"
        raise NotFoundError(reason)
    asked = Asked(run, text, rows[-1].hash if rows else "", until_ms - days * DAY_MS, until_ms)
    try:
        rehearsing.begin(asked, who=visitor.name or "", address=visitor.address)
    except UsageError as error:
        return editor(request, text, days=days, wrong=str(error), status=409)
    return see_other(f"/rules/rehearsals/{asked.name}")


def save(request: Request, form: Form) -> Response:
    """Put the rules of a `rehearsal` in force in the live run, a little ahead: from one tick on for everybody."""
    state, visitor, rehearsing = state_of(request), visitor_of(request), _rehearsing(request)
    now_ms = state.now_ms()
    with state.store.write() as connection:
        run = state.watch(connection).run
        if run != LIVE_RUN:
            reason = f"rules: run {run!r} is shown, and only those of the live run can be changed; start the board without --run"
            raise UsageError(reason)
        hold_schedule(connection, run)
        kept = rehearsal_named(connection, run, form.get("rehearsal", ""))
        name, content = rehearsing.rules.read(kept.text)
        rows = read_schedule(connection, run).of(RULES)
        if rows and rows[-1].hash != kept.found.before:
            reason = f"rules: {rows[-1].hash} came in since this was rehearsed against {kept.found.before}; rehearse it again"
            raise UsageError(reason)
        made = add_versions(state.store, connection, run, {RULES: (name, content)}, now_ms=now_ms + AHEAD_MS)
        if not made:
            reason = f"rules {name}: they are the newest already, comments aside; nothing was saved"
            raise UsageError(reason)
        keep_rules_text(state.store, connection, name, kept.text)
        note(state.store, connection, Entry(now_ms, visitor.name or "", visitor.address, RULES_SAVED, made[0].said))
    return see_other(f"/rules?done={now_ms}")
