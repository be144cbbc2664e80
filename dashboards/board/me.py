"""What a reader chooses: language, zone, companies, kept in the account; without one in cookies, and so are colours always."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from zoneinfo import available_timezones

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from dashboards.board.door import LANGUAGE_COOKIE, THEME_COOKIE, ZONE_COOKIE
from dashboards.board.forms import Form, local_path, see_other, visitor_of
from dashboards.board.shell import THEMES, page, state_of
from dashboards.board.token_forms import DAYS as TOKEN_DAYS
from dashboards.board.trust import Watch
from dashboards.board.words import LANGUAGES, Clock
from groundswell.errors import UsageError
from groundswell.names import DAY_MS
from groundswell.store.accounts import ROLES, keep_reader, rank, reader_named
from groundswell.store.audit import entries
from groundswell.store.grid import most_active
from groundswell.store.query import closed_ms
from groundswell.store.stops import stopped
from groundswell.store.tokens import tokens_of

OFFERED: Final = 40
OFFERED_OF_MS: Final = 28 * DAY_MS
ENTRIES_SHOWN: Final = 20
YEAR_S: Final = 365 * 86_400


def me(request: Request) -> Response:
    """The reader's choices, and what the audit log has of them lately."""
    visitor = visitor_of(request)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        of_all = {"zones": sorted(available_timezones()), "themes": THEMES, "done": request.query_params.get("done") == "1"}
        if visitor.name is None:
            return {**of_all, "reader": visitor.chosen}
        return {**of_all, **_of_account(request, connection, watch, visitor.name)}

    return page(request, "me.html.j2", fill, tagged=False)  # tokens and the log are nothing that a tag knows of


def _of_account(request: Request, connection: Connection, watch: Watch, name: str) -> dict[str, Any]:
    reader, offered = reader_named(connection, name), _offered(connection, watch.run)
    return {
        "reader": reader,
        "offered": offered,
        "others": [series for series in reader.companies if series not in offered],
        "entries": entries(connection, who=name, limit=ENTRIES_SHOWN),
        "stops": [word for target, word in stopped(connection).items() if target.partition(":")[2] == name],
        "tokens": tokens_of(connection, name),
        "now_ms": state_of(request).now_ms(),
        "roles": ROLES[: rank(visitor_of(request).role) + 1],
        "days": TOKEN_DAYS,
    }


def _offered(connection: Connection, run: str) -> list[str]:
    """Companies that were named most of late, by series key."""
    until_ms = closed_ms(connection, run)
    if until_ms is None:
        return []
    found = most_active(connection, run, "entity:", start_ms=max(0, until_ms - OFFERED_OF_MS), end_ms=until_ms, limit=OFFERED)
    return sorted(series for series, _ in found)


def save(request: Request, form: Form) -> Response:
    """Keep the choices."""
    state, visitor = state_of(request), visitor_of(request)
    language, zone = form.get("language", ""), form.get("zone", "").strip()
    if language not in LANGUAGES:
        reason = f"language: must be one of {', '.join(LANGUAGES)}, got {language[:20]!r}"
        raise UsageError(reason)
    if zone:
        Clock(zone)  # an unknown one is refused in its words
    theme = form.get("theme", "")
    if theme not in ("", *THEMES):
        reason = f"theme: must be one of {', '.join(THEMES)} or nothing, got {theme[:20]!r}"
        raise UsageError(reason)
    companies = _companies([name.removeprefix("follow ") for name in form if name.startswith("follow ")], form.get("others", ""))
    answer, kept = see_other("/me?done=1"), {THEME_COOKIE: theme}
    if visitor.name is None:
        kept |= {LANGUAGE_COOKIE: language, ZONE_COOKIE: zone}
    else:
        with state.store.write() as connection:
            reader = reader_named(connection, visitor.name)
            keep_reader(state.store, connection, replace(reader, language=language, zone=zone or None, companies=companies))
    for name, value in kept.items():
        state.door.keep(answer, name, value, max_age_s=YEAR_S)
    return answer


def _companies(ticked: Sequence[str], others: str) -> tuple[str, ...]:
    """Series keys; a bare id is a company's."""
    written = [line.strip() for line in others.splitlines() if line.strip()]
    keys = [one if ":" in one else f"entity:{one}" for one in (*ticked, *written)]
    wrong = next((key for key in keys if len(key) > 200 or not key.isprintable()), None)
    if wrong is not None:
        reason = f"companies: one on a line, 200 characters at most, got {wrong[:40]!r}"
        raise UsageError(reason)
    return tuple(dict.fromkeys(keys))


def language(request: Request, form: Form) -> Response:
    """The other language, for the account where there is one, else for this browser."""
    state, visitor, wanted = state_of(request), visitor_of(request), form.get("language", "")
    if wanted not in LANGUAGES:
        reason = f"language: must be one of {', '.join(LANGUAGES)}, got {wanted[:20]!r}"
        raise UsageError(reason)
    answer = see_other(local_path(form.get("next", ""), otherwise="/"))
    if visitor.name is None:
        state.door.keep(answer, LANGUAGE_COOKIE, wanted, max_age_s=YEAR_S)
        return answer
    with state.store.write() as connection:
        keep_reader(state.store, connection, replace(reader_named(connection, visitor.name), language=wanted))
    return answer
