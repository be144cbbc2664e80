"""The board's web server: which address leads to which page, and how it is served.

Pages are drawn on the server (charts.py says why); a small script swaps in what has changed as soon as live.py says that something
has, and without it the page reloads itself. Each page has a JSON twin. It listens on this machine alone unless told otherwise, and answers
only requests that name it by a host that was allowed, so that no other site can read it through somebody's browser.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards.board import (
    acts,
    admin_pages,
    api,
    inbox,
    login,
    me,
    panel_pages,
    people_pages,
    rules_forms,
    rules_pages,
    search_pages,
    show,
    stop_pages,
    token_forms,
    views,
    watch_forms,
    watch_pages,
)
from dashboards.board.door import Access, Door, Doorkeeper
from dashboards.board.forms import Handler, by_address, posting
from dashboards.board.live import Live
from dashboards.board.patience import Patient
from dashboards.board.rehearsing import Rehearsing, RulesReader
from dashboards.board.shell import HERE, BoardState, SecurityHeaders, WhyNot, error_page, refusal
from dashboards.board.show import Messages
from dashboards.board.words import Clock
from groundswell.errors import DependencyError, ExpiredError, GroundswellError, NotFoundError, SignatureError, UsageError
from groundswell.links import Links
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.accounts import Role
from groundswell.store.store import Store

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
ERRORS: Final[Mapping[type[Exception], int]] = {
    NotFoundError: 404,
    UsageError: 400,
    DependencyError: 503,
    ExpiredError: 410,
    SignatureError: 403,
    GroundswellError: 500,
    HTTPException: 404,
}
PAGES: Final[Mapping[str, Callable[[Request], Response]]] = {
    "/inbox": inbox.inbox,
    "/alerts": views.alerts,
    "/alerts/{id}": views.dossier,
    "/sources": views.sources,
    "/me": me.me,
    "/login": login.login,
    "/l/{token}": acts.link,
    "/u/{token}": stop_pages.ask,
    "/api/inbox.json": inbox.inbox_twin,
    "/api/alerts.json": views.alerts_twin,
    "/api/alerts/{id}.json": views.dossier_twin,
    "/api/sources.json": views.sources_twin,
    "/healthz": views.healthz,
}
"""What can be read, beside what PARTS answer."""

FORMS: Final[Mapping[str, tuple[Handler, Role | None]]] = {
    "/alerts/{id}/act": (acts.act, "analyst"),
    "/alerts/{id}/verdict": (acts.judge, "analyst"),
    "/alerts/{id}/correct": (acts.correct, "analyst"),
    "/missed": (acts.miss, "analyst"),
    "/me/save": (me.save, None),
    "/language": (me.language, None),
    "/login": (login.sign_in, None),
    "/logout": (login.sign_out, None),
    "/l/{token}": (acts.follow, None),
}
"""What can be sent, and the least role of whoever sends it."""

PARTS: Final = (
    panel_pages, search_pages, watch_pages, watch_forms, rules_pages, rules_forms, token_forms, people_pages, admin_pages, api,
)  # fmt: skip
"""What answers the rest."""


def create_app(
    store: Store,
    *,
    run: str | None,
    log: LocalLog | None,
    now_ms: Callable[[], int],
    tz: str = "UTC",
    language: str = "en",
    messages: Callable[[Alert], Messages] | None = None,
    display: Callable[[str], str] | None = None,
    checked: Mapping[str, str] | None = None,
    companies: Callable[[str], Sequence[str]] = lambda name: [name],
    sector: Callable[[str], Sequence[str]] = lambda _: (),
    why_not: WhyNot | None = None,
    near: Callable[[str], Sequence[str]] = lambda _name: (),
    allowed_hosts: Sequence[str] = LOOPBACK,
    live: Live | None = None,
    access: Access | None = None,
    links: Links | None = None,
    rules: RulesReader | None = None,
) -> Starlette:
    """The board as an ASGI application.

    Args:
        store: what is shown, and where what people do is kept.
        run: whose data; None for live, else the only run there is.
        log: the run's local log, for what is in flight; None where the log is Kafka or the run is finished.
        now_ms: the wall time: how far a live run is behind, when somebody did something, when a session ends.
        tz: name of the time zone of readers who have chosen none.
        language: "en" or "zh", of readers who have chosen none.
        messages: what would be sent of an alert, to be shown in its dossier.
        display: a series key in the reader's words; without it, the key itself made readable.
        checked: {source that is switched on: day on which it was last seen to work, or "never"}.
        companies: the ids that a company's id or name may stand for, in a search.
        sector: the other companies of a company's sector: its peers.
        why_not: what `groundswell why-not` says; without it the page names the command.
        near: the ids of companies that a name which nobody has may be a mistake for.
        allowed_hosts: names by which the board may be asked; others get 400.
        live: who listens; None for the usual bounds.
        access: who may come in; None: whoever reaches it, to look.
        links: what reads the links of mail and Slack; None: there are none.
        rules: what reads and rehearses rules; None: they are shown as far as the store has their text.

    Raises:
        SettingsError: no such time zone.
    """
    door = Door(access or Access(), now_ms=now_ms)
    state = BoardState(
        store=store,
        run=run,
        log=log,
        now_ms=now_ms,
        clock=Clock(tz, language),
        messages=messages,
        display=display or show.series_title,
        checked=dict(checked or {}),
        companies=companies,
        sector=sector,
        why_not=why_not,
        near=near,
        door=door,
        links=links or Links(door.access.secret, "http://127.0.0.1", 1, now_ms=now_ms),
        origins=frozenset(allowed_hosts),
        rehearsing=None if rules is None else Rehearsing(store, rules, now_ms),
    )
    app = Starlette(
        routes=[*_routes(live or Live())],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
            Middleware(Doorkeeper, refuse=refusal),
        ],
        exception_handlers={error: error_page(status) for error, status in ERRORS.items()},
    )
    app.state.board = state
    return app


def _routes(live: Live) -> Iterator[BaseRoute]:
    yield from (Route(path, handler) for path, handler in PAGES.items())
    yield from (Route(path, posting(handler, role=role), methods=["POST"]) for path, (handler, role) in FORMS.items())
    yield Route("/u/{token}", by_address(stop_pages.take), methods=["POST"])  # a mail program sends it: it has no form of ours
    for part in (*PARTS, live):
        yield from part.routes()
    yield Mount("/static", StaticFiles(directory=HERE / "static"))


def hosts_of(base_url: str, host: str) -> tuple[str, ...]:
    """Names by which readers and proxies ask for a board.

    >>> hosts_of("https://gs.bank.example:8443/", "0.0.0.0")[3:], hosts_of("http://127.0.0.1:8350", "10.0.3.7")[3:]
    (('gs.bank.example',), ('10.0.3.7',))
    """
    named = (urlsplit(base_url).hostname, host)
    return LOOPBACK + tuple(name for name in named if name and name not in (*LOOPBACK, "0.0.0.0", "::", "::1"))


def keep_what_is_made() -> None:
    """Take what was made to start (modules, templates, the catalogue) out of the collector's sight: it stays for good.

    A full pass over it takes 75 to 110 ms, in the midst of somebody's page (one in fifteen, measured by `bench board`).
    """
    gc.collect()
    gc.freeze()


def config(app: Starlette, *, host: str, port: int, connection: type[Patient] = Patient) -> uvicorn.Config:
    """How the board is served: quietly, with some patience, and without saying what serves it.

    Give `allowed_hosts` to `create_app` where `host` is not this machine alone.
    """
    return uvicorn.Config(
        app, host=host, port=port, http=connection, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=1,  # a reader who listens never ends by himself
        proxy_headers=False,  # who is a proxy is the door's business: a header must not say where a request came from
    )  # fmt: skip
