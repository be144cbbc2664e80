"""Forms of the watchlist: save a search, watch the companies of a table after a look at what would change, watch something no longer.

Each is a version of the live run, in force a minute later, and a row of the audit log, which the page that follows is read back from.
"""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board.forms import Form, posting, see_other, visitor_of
from dashboards.board.shell import plain_page, state_of
from dashboards.board.trust import Watch
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN, content_id
from groundswell.store.audit import SEARCH_SAVED, WATCHED, WATCHED_NO_LONGER, Entry, entries, note
from groundswell.store.watches import change_watches, newest_watches
from groundswell.watches import Difference, Watches, read_companies

TABLE_BYTES_MAX: Final = 1024 * 1024
REFUSED: Final = "line not taken"
SAID: Final = (SEARCH_SAVED, WATCHED, WATCHED_NO_LONGER, REFUSED)
"""What the audit log calls it."""

REFUSED_SHOWN: Final = 20
SHOWN_MAX: Final = 200


def routes() -> list[Route]:
    """The addresses of these forms."""
    return [
        Route("/watchlist/save", posting(save, role="analyst"), methods=["POST"]),
        Route("/watchlist/companies", posting(companies, role="analyst", body_bytes_max=TABLE_BYTES_MAX), methods=["POST"]),
        Route("/watchlist/remove", posting(remove, role="analyst"), methods=["POST"]),
    ]


def may_change(request: Request, watch: Watch) -> bool:
    """Whether these forms are offered: to analysts, of the live run."""
    return visitor_of(request).may("analyst") and watch.run == LIVE_RUN


def save(request: Request, form: Form) -> Response:
    """A search as a series of its own: `name`, `query`."""
    name, query, ids_of = form.get("name", "").strip(), form.get("query", ""), state_of(request).companies
    return _change(request, lambda watches: watches.saving(name, query, ids_of=ids_of), SEARCH_SAVED, f"{name}: {query}")


def companies(request: Request, form: Form) -> Response:
    """Companies of a table as CSV: first shown as what would change, then, once `seen`, saved.

    What can be read of the table is taken, each other line is named with its reason. `only` = "1": whoever is not in it goes.
    """
    state, table, only = state_of(request), form.get("table", ""), form.get("only") == "1"
    taken, refused = read_companies(StringIO(table, newline=""), ids_of=state.companies, near=state.near)

    def change(watches: Watches) -> Watches:
        return watches.with_only(taken) if only else watches.watching(taken)

    def change_seen(watches: Watches) -> Watches:
        if form.get("seen") != _seen(table, watches, only=only):
            reason = "watchlist: somebody has changed it since this was shown; go back, and look at what would change now"
            raise UsageError(reason)
        return change(watches)

    if not form.get("seen"):
        with state.store.read() as connection:
            before, _ = newest_watches(connection, _live(request, connection))
        found = Difference.between(before, change(before))
        values = {"found": found, "refused": refused, "table": table, "only": only, "seen": _seen(table, before, only=only)}
        return plain_page(request, "watch_preview.html.j2", values | {"shown": SHOWN_MAX})
    said = f"taken {len(taken)}, not taken {len(refused)}" + (", and nobody else is watched" if only else "")
    return _change(request, change_seen, WATCHED, said, refused=refused)


def _seen(table: str, watches: Watches, *, only: bool) -> str:
    """What names a preview: the table, and the list that it was shown against."""
    return content_id("preview", table, str(only), watches.hash)


def _live(request: Request, connection: Connection) -> str:
    run = state_of(request).watch(connection).run
    if run != LIVE_RUN:
        reason = f"watchlist: run {run!r} is shown, and only what the live run watches can be changed; start the board without --run"
        raise UsageError(reason)
    return run


def remove(request: Request, form: Form) -> Response:
    """One saved search or one company: `name`."""
    name = form.get("name", "")
    return _change(request, lambda watches: watches.without([name]), WATCHED_NO_LONGER, name)


def _change(request: Request, change: Callable[[Watches], Watches], what: str, detail: str, *, refused: Sequence[str] = ()) -> Response:
    state, visitor = state_of(request), visitor_of(request)
    now_ms = state.now_ms()
    more = [f"{len(refused) - REFUSED_SHOWN} more lines like these"] if len(refused) > REFUSED_SHOWN else []
    with state.store.write() as connection:
        _live(request, connection)
        _, rows = change_watches(state.store, connection, change, now_ms=now_ms)
        lines = [(what, detail if rows else f"{detail}; all as before"), *((REFUSED, line) for line in [*refused[:REFUSED_SHOWN], *more])]
        for word, text in lines:
            note(state.store, connection, Entry(now_ms, visitor.name or "", visitor.address, word, text))
    return see_other(f"/watchlist?done={now_ms}")


def recorded(request: Request, connection: Connection) -> tuple[Entry | None, list[str]]:
    """What a form of this reader has recorded at the moment that the address names, and the lines that it did not take."""
    name, done = visitor_of(request).name, request.query_params.get("done", "")
    if name is None or not (done.isascii() and done.isdigit() and len(done) < 16):
        return None, []
    found = [entry for entry in entries(connection, who=name, at_ms=int(done)) if entry.what in SAID]
    refused = sorted((entry.detail for entry in found if entry.what == REFUSED), key=_line)
    return next((entry for entry in found if entry.what != REFUSED), None), refused


def _line(text: str) -> tuple[bool, int]:
    """The number of the line that a refusal names; what names none is the last."""
    number = re.match(r"line (\d+)", text)
    return number is None, int(number[1]) if number else 0
