"""The board's web server: which address leads to which page, and how it is served.

Pages are drawn on the server (charts.py says why); a small script swaps in what has changed as soon as live.py says that something
has, and without it the page reloads itself. Each page has a JSON twin. It listens on this machine alone unless told otherwise, and answers
only requests that name it by a host that was allowed, so that no other site can read it through somebody's browser.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards.board import (
    acts,
    admin_pages,
    api,
    inbox,
    login,
    me,
    people_pages,
    rules_forms,
    rules_pages,
    search_pages,
    show,
    token_forms,
    views,
    watch_forms,
    watch_pages,
)
from dashboards.board.door import Access, Door, Doorkeeper
from dashboards.board.forms import posting
from dashboards.board.live import Live
from dashboards.board.rehearsing import Rehearsing, RulesReader
from dashboards.board.shell import HERE, BoardState, SecurityHeaders, error_page, refusal
from dashboards.board.show import Messages
from dashboards.board.words import Clock
from groundswell.errors import DependencyError, ExpiredError, GroundswellError, NotFoundError, SignatureError, UsageError
from groundswell.links import Links
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.store import Store

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


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
        near=near,
        door=door,
        links=links or Links(door.access.secret, "http://127.0.0.1", 1, now_ms=now_ms),
        origins=frozenset(allowed_hosts),
        rehearsing=None if rules is None else Rehearsing(store, rules, now_ms),
    )
    app = Starlette(
        routes=[
            Route("/", views.board),
            Route("/inbox", inbox.inbox),
            Route("/alerts", views.alerts),
            Route("/alerts/{id}", views.dossier),
            Route("/alerts/{id}/act", posting(acts.act, role="analyst"), methods=["POST"]),
            Route("/alerts/{id}/verdict", posting(acts.judge, role="analyst"), methods=["POST"]),
            Route("/alerts/{id}/correct", posting(acts.correct, role="analyst"), methods=["POST"]),
            Route("/missed", posting(acts.miss, role="analyst"), methods=["POST"]),
            Route("/sources", views.sources),
            Route("/me", me.me),
            Route("/me/save", posting(me.save, role=None), methods=["POST"]),
            Route("/language", posting(me.language, role=None), methods=["POST"]),
            Route("/login", login.login),
            Route("/login", posting(login.sign_in, role=None), methods=["POST"]),
            Route("/logout", posting(login.sign_out, role=None), methods=["POST"]),
            Route("/l/{token}", acts.link),
            Route("/l/{token}", posting(acts.follow, role=None), methods=["POST"]),
            Route("/api/board.json", views.board_twin),
            Route("/api/inbox.json", inbox.inbox_twin),
            Route("/api/alerts.json", views.alerts_twin),
            Route("/api/alerts/{id}.json", views.dossier_twin),
            Route("/api/sources.json", views.sources_twin),
            *search_pages.routes(),
            *watch_pages.routes(),
            *watch_forms.routes(),
            *rules_pages.routes(),
            *rules_forms.routes(),
            *token_forms.routes(),
            *people_pages.routes(),
            *admin_pages.routes(),
            *api.routes(),
            *(live or Live()).routes(),
            Route("/healthz", views.healthz),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
            Middleware(Doorkeeper, refuse=refusal),
        ],
        exception_handlers={
            NotFoundError: error_page(404),
            UsageError: error_page(400),
            DependencyError: error_page(503),
            ExpiredError: error_page(410),
            SignatureError: error_page(403),
            GroundswellError: error_page(500),
            HTTPException: error_page(404),
        },
    )
    app.state.board = state
    return app


def hosts_of(base_url: str, host: str) -> tuple[str, ...]:
    """Names by which readers and proxies ask for a board.

    >>> hosts_of("https://gs.bank.example:8443/", "0.0.0.0")[3:], hosts_of("http://127.0.0.1:8350", "10.0.3.7")[3:]
    (('gs.bank.example',), ('10.0.3.7',))
    """
    named = (urlsplit(base_url).hostname, host)
    return LOOPBACK + tuple(name for name in named if name and name not in (*LOOPBACK, "0.0.0.0", "::", "::1"))


def serve(app: Starlette, host: str = "127.0.0.1", port: int = 8350) -> None:
    """Serve until interrupted. Give `allowed_hosts` to `create_app` when `host` is not this machine alone."""
    uvicorn.Server(config(app, host=host, port=port)).run()


def config(app: Starlette, *, host: str, port: int) -> uvicorn.Config:
    """How the board is served: quietly, and without saying what serves it."""
    return uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=1,  # a reader who listens never ends by himself
        proxy_headers=False,  # who is a proxy is the door's business: a header must not say where a request came from
    )  # fmt: skip
