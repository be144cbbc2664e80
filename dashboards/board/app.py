"""The board's web server: which address leads to which page, and how it is served.

Pages are drawn on the server (charts.py says why); a small script swaps in what has changed as soon as live.py says that something
has, and without it the page reloads itself. Each page has a JSON twin. It listens on this machine alone unless told otherwise, and answers
only requests that name it by a host that was allowed, so that no other site can read it through somebody's browser.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards.board import api, search_pages, show, views, watch_pages
from dashboards.board.live import Live
from dashboards.board.shell import HERE, BoardState, SecurityHeaders, error_page
from dashboards.board.show import Messages
from dashboards.board.words import Clock
from groundswell.errors import DependencyError, GroundswellError, NotFoundError, UsageError
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
    messages: Callable[[Alert], Messages] | None = None,
    display: Callable[[str], str] | None = None,
    checked: Mapping[str, str] | None = None,
    companies: Callable[[str], Sequence[str]] = lambda name: [name],
    allowed_hosts: Sequence[str] = LOOPBACK,
    live: Live | None = None,
) -> Starlette:
    """The board as an ASGI application.

    Args:
        store: what is shown; only read.
        run: whose data; None for live, else the only run there is.
        log: the run's local log, for what is in flight; None where the log is Kafka or the run is finished.
        now_ms: the time, only to say how far a live run is behind.
        tz: name of the reader's time zone.
        messages: what would be sent of an alert, to be shown in its dossier.
        display: a series key in the reader's words; without it, the key itself made readable.
        checked: {source that is switched on: day on which it was last seen to work, or "never"}.
        companies: the ids that a company's id or name may stand for, in a search.
        allowed_hosts: names by which the board may be asked; others get 400.
        live: who listens; None for the usual bounds.

    Raises:
        SettingsError: no such time zone.
    """
    state = BoardState(
        store=store,
        run=run,
        log=log,
        now_ms=now_ms,
        clock=Clock(tz),
        messages=messages,
        display=display or show.series_title,
        checked=dict(checked or {}),
        companies=companies,
    )
    app = Starlette(
        routes=[
            Route("/", views.board),
            Route("/alerts", views.alerts),
            Route("/alerts/{id}", views.dossier),
            Route("/sources", views.sources),
            Route("/api/board.json", views.board_twin),
            Route("/api/alerts.json", views.alerts_twin),
            Route("/api/alerts/{id}.json", views.dossier_twin),
            Route("/api/sources.json", views.sources_twin),
            *search_pages.routes(),
            *watch_pages.routes(),
            *api.routes(),
            *(live or Live()).routes(),
            Route("/healthz", views.healthz),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False)],
        exception_handlers={
            NotFoundError: error_page(404, "Not found"),
            UsageError: error_page(400, "That cannot be shown"),
            DependencyError: error_page(503, "The store does not answer"),
            GroundswellError: error_page(500, "What is stored cannot be shown"),
            HTTPException: error_page(404, "Not found"),
        },
    )
    app.state.board = state
    return app


def serve(app: Starlette, host: str = "127.0.0.1", port: int = 8350) -> None:
    """Serve until interrupted. Give `allowed_hosts` to `create_app` when `host` is not this machine alone."""
    uvicorn.Server(config(app, host=host, port=port)).run()


def config(app: Starlette, *, host: str, port: int) -> uvicorn.Config:
    """How the board is served: quietly, and without saying what serves it."""
    return uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=1,  # a reader who listens never ends by himself
    )  # fmt: skip
