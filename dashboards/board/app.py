"""The board's web server: routes, security headers, and how a page's data become HTML or JSON.

Everything is read-only and drawn on the server (charts.py says why); a small script swaps in what has changed every five
seconds, and without it the page reloads itself. Each page has a JSON twin. It listens on this machine alone unless told
otherwise, and answers only requests that name it by a host that was allowed, so that no other site can read it through
somebody's browser.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import jinja2
import uvicorn
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards.board import pages, show
from dashboards.board.show import Messages
from dashboards.board.trust import Watch
from dashboards.board.words import Clock
from groundswell.codec import decode
from groundswell.errors import DependencyError, GroundswellError, NotFoundError, UsageError
from groundswell.exports import alert_row, iso
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.basis import basis_of_alerts
from groundswell.store.health import decisions_by_reason, deliveries_of
from groundswell.store.query import alert_bytes, alerts_of, closed_ms, drops_by_reason, run_named
from groundswell.store.removals import removed_of_alerts
from groundswell.store.store import Store

HERE: Final = Path(__file__).parent
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


@dataclass
class BoardState:
    """What all requests share."""

    store: Store
    run: str | None
    log: LocalLog | None
    now_ms: Callable[[], int]
    clock: Clock
    messages: Callable[[Alert], Messages] | None
    display: Callable[[str], str]
    checked: Mapping[str, str]
    templates: jinja2.Environment = field(init=False)
    watches: dict[str, Watch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.templates = show.environment(HERE / "templates", self.clock, self.display)
        self.stamp = _stamp(HERE / "templates", HERE / "static")

    def watch(self, connection: Connection) -> Watch:
        """The watch of the run that is shown now; "the only run" may be another one tomorrow."""
        run = run_named(connection, self.run)
        return self.watches.setdefault(run, Watch(run, self.log))


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
    allowed_hosts: Sequence[str] = LOOPBACK,
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
        allowed_hosts: names by which the board may be asked; others get 400.

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
    )
    app = Starlette(
        routes=[
            Route("/", board),
            Route("/alerts", alerts),
            Route("/alerts/{id}", dossier),
            Route("/sources", sources),
            Route("/api/board.json", board_twin),
            Route("/api/alerts.json", alerts_twin),
            Route("/api/alerts/{id}.json", dossier_twin),
            Route("/api/sources.json", sources_twin),
            Route("/healthz", healthz),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False)],
        exception_handlers={
            NotFoundError: _error(404, "Not found"),
            UsageError: _error(400, "That cannot be shown"),
            DependencyError: _error(503, "The store does not answer"),
            GroundswellError: _error(500, "What is stored cannot be shown"),
            HTTPException: _error(404, "Not found"),
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
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none"
    )  # fmt: skip


# --- pages -----------------------------------------------------------------------------------------------------------------------
def board(request: Request) -> Response:
    """Topics x time, companies, latest alerts."""
    state = _state(request)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        read = pages.read_board(connection, watch.run, request.query_params, clock=state.clock)
        return {"board": read and show.board(read, state.clock, state.display), "asked": dict(request.query_params)}

    return _page(request, "board.html.j2", fill)


def alerts(request: Request) -> Response:
    """All alerts of the run, newest first, and what became of the findings that are none."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        found = alerts_of(connection, watch.run)
        return {
            "alerts": found[: -pages.ALERTS_LISTED - 1 : -1],
            "more": max(0, len(found) - pages.ALERTS_LISTED),
            "decisions": decisions_by_reason(connection, watch.run),
        }

    return _page(request, "alerts.html.j2", fill)


def dossier(request: Request) -> Response:
    """One alert with its evidence."""
    state = _state(request)
    then = request.query_params.get("known") == "then"

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        run, body = alert_bytes(connection, request.path_params["id"], run=watch.run)
        alert = decode(body, Alert)
        around = pages.read_around(connection, run, alert, then=then)
        return {
            "then": then,
            "dossier": show.dossier(alert, around, state.clock, state.display),
            "removed": removed_of_alerts(connection, [alert]),
            "deliveries": deliveries_of(connection, run, alert.id),
            "messages": show.messages(state.messages(alert)) if state.messages else None,
        }

    return _page(request, "dossier.html.j2", fill)


def sources(request: Request) -> Response:
    """Who is reporting, what was dropped, and whether everything is accounted for."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        until = closed_ms(connection, watch.run)
        balances = watch.balances(connection, fresh=True)
        return {
            "health": [] if until is None else watch.health(connection, at_ms=until),
            "until_ms": until,
            "balances": balances,
            "total": show.total(balances),
            "drops": drops_by_reason(connection, watch.run),
            "checked": _state(request).checked,
        }

    return _page(request, "sources.html.j2", fill)


def _page(request: Request, template: str, fill: Callable[[Connection, Watch], dict[str, Any]]) -> Response:
    state = _state(request)
    with state.store.read() as connection:
        watch, now = state.watch(connection), state.now_ms()
        tag = _tag(state, watch.version(connection), request, now)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        # The page first: it may make the balance anew, and the first line must not say less than the page below it.
        page = fill(connection, watch)
        page |= {"trust": watch.trust(connection, now_ms=now), "twin": show.twin(request.url.path, request.url.query)}
    return HTMLResponse(state.templates.get_template(template).render(page | {"path": request.url.path}), headers={"etag": tag})


def _tag(state: BoardState, version: str, request: Request, now_ms: int) -> str:
    """A page is another one when the data, the minute (how far behind), the question or the program has changed."""
    words = "\x1f".join((state.stamp, version, str(now_ms // 60_000), str(request.url.path), str(request.url.query)))
    return f'W/"{blake2b(words.encode(), digest_size=12).hexdigest()}"'


# --- JSON twins --------------------------------------------------------------------------------------------------------------------
def board_twin(request: Request) -> Response:
    """The board's figures."""
    state = _state(request)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        read = pages.read_board(connection, watch.run, request.query_params, clock=state.clock)
        return {"board": read and pages.board_json(read)}

    return _twin(request, fill)


def alerts_twin(request: Request) -> Response:
    """All alerts of the run, newest first."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        decided = decisions_by_reason(connection, watch.run)
        found = alerts_of(connection, watch.run)
        removed, basis = removed_of_alerts(connection, found), basis_of_alerts(connection, watch.run, found)
        return {
            "alerts": [alert_row(alert, removed, basis=basis) for alert in reversed(found)],
            "decisions": [{"verdict": verdict, "reason": reason, "findings": number} for verdict, reason, number in decided],
        }

    return _twin(request, fill)


def dossier_twin(request: Request) -> Response:
    """The stored bytes of an alert, unchanged: what `groundswell explain` makes again and compares.

    Which of its documents have lost their text since stands in a header, so that the bytes stay what they are.
    """
    state = _state(request)
    with state.store.read() as connection:
        _, body = alert_bytes(connection, request.path_params["id"], run=state.watch(connection).run)
        removed = removed_of_alerts(connection, [decode(body, Alert)])
    said = ", ".join(f"{document_id} {iso(removed_ms)}" for document_id, removed_ms in sorted(removed.items()))
    return Response(body, media_type="application/json", headers={"x-text-removed": said} if said else None)


def sources_twin(request: Request) -> Response:
    """Source health, balance, drops."""

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        until = closed_ms(connection, watch.run)
        health = [] if until is None else watch.health(connection, at_ms=until)
        balances, drops = watch.balances(connection, fresh=True), drops_by_reason(connection, watch.run)
        return pages.sources_json(health, balances, drops) | {"checked": _state(request).checked}

    return _twin(request, fill)


def _twin(request: Request, fill: Callable[[Connection, Watch], dict[str, Any]]) -> Response:
    state = _state(request)
    with state.store.read() as connection:
        watch = state.watch(connection)
        body = fill(connection, watch)
        trust = watch.trust(connection, now_ms=state.now_ms())
    return JSONResponse({"trust": show.trust_json(trust)} | body)


def healthz(request: Request) -> Response:
    """Whether the store answers: for a supervisor. A run without data is healthy."""
    state = _state(request)
    with state.store.read() as connection:
        try:
            run = run_named(connection, state.run)
        except NotFoundError:
            return JSONResponse({"ok": True, "run": None, "data_until": None})
        until = closed_ms(connection, run)
    return JSONResponse({"ok": True, "run": run, "data_until": None if until is None else iso(until)})


# --- around every answer -----------------------------------------------------------------------------------------------------------
def _state(request: Request) -> BoardState:
    state: BoardState = request.app.state.board
    return state


def _error(status: int, title: str) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else status
        text = error.detail if isinstance(error, HTTPException) else str(error)
        if request.url.path.startswith("/api/") or request.url.path == "/healthz":
            return JSONResponse({"error": text}, status_code=code)
        page = {"title": title, "text": text, "path": request.url.path, "trust": None, "twin": None}
        return HTMLResponse(_state(request).templates.get_template("error.html.j2").render(page), status_code=code)

    return answer


def _stamp(*folders: Path) -> str:
    """Changes with the program's own files, so that no old page is kept after an upgrade."""
    digest = blake2b(digest_size=8)
    for path in sorted(path for folder in folders for path in folder.iterdir() if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class SecurityHeaders:
    """Puts HEADERS on every answer, refusals and files included."""

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Pass on, and add the headers to what comes back."""

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        await self.app(scope, receive, sending if scope["type"] == "http" else send)
