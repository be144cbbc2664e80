"""What every answer of the board has around it: the shared state, the transaction, the first line, tags, headers, errors."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import jinja2
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from dashboards.board import show
from dashboards.board.show import Messages
from dashboards.board.trust import Watch
from dashboards.board.words import Clock
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.query import run_named
from groundswell.store.store import Store

HERE: Final = Path(__file__).parent
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
    companies: Callable[[str], Sequence[str]] = lambda name: [name]  # a company's id or name -> the ids that it may stand for
    templates: jinja2.Environment = field(init=False)
    watches: dict[str, Watch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.templates = show.environment(HERE / "templates", self.clock, self.display)
        self.stamp = _stamp(HERE / "templates", HERE / "static")

    def watch(self, connection: Connection) -> Watch:
        """The watch of the run that is shown now; "the only run" may be another one tomorrow."""
        run = run_named(connection, self.run)
        return self.watches.setdefault(run, Watch(run, self.log))


def state_of(request: Request) -> BoardState:
    """What all requests of this application share."""
    state: BoardState = request.app.state.board
    return state


def page(request: Request, template: str, fill: Callable[[Connection, Watch], dict[str, Any]]) -> Response:
    """A page: what `fill` reads in one transaction, under the first line; 304 where the reader has it already."""
    state = state_of(request)
    with state.store.read() as connection:
        watch, now = state.watch(connection), state.now_ms()
        tag = _tag(state, watch.version(connection), request, now)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        # The page first: it may make the balance anew, and the first line must not say less than the page below it.
        filled = fill(connection, watch)
        filled |= {"trust": watch.trust(connection, now_ms=now), "twin": show.twin(request.url.path, request.url.query)}
    return HTMLResponse(state.templates.get_template(template).render(filled | {"path": request.url.path}), headers={"etag": tag})


def _tag(state: BoardState, version: str, request: Request, now_ms: int) -> str:
    """A page is another one when the data, the minute (how far behind), the question or the program has changed."""
    words = "\x1f".join((state.stamp, version, str(now_ms // 60_000), str(request.url.path), str(request.url.query)))
    return f'W/"{blake2b(words.encode(), digest_size=12).hexdigest()}"'


def twin(request: Request, fill: Callable[[Connection, Watch], dict[str, Any]]) -> Response:
    """The same as JSON, with what the first line says."""
    state = state_of(request)
    with state.store.read() as connection:
        watch = state.watch(connection)
        body = fill(connection, watch)
        trust = watch.trust(connection, now_ms=state.now_ms())
    return JSONResponse({"trust": show.trust_json(trust)} | body)


def error_page(status: int, title: str) -> Callable[[Request, Exception], Response]:
    """What answers an error: a page, or JSON where JSON was asked for."""

    def answer(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else status
        text = error.detail if isinstance(error, HTTPException) else str(error)
        if request.url.path.startswith("/api/") or request.url.path == "/healthz":
            return JSONResponse({"error": text}, status_code=code)
        page = {"title": title, "text": text, "path": request.url.path, "trust": None, "twin": None}
        return HTMLResponse(state_of(request).templates.get_template("error.html.j2").render(page), status_code=code)

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
