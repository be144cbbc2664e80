"""What every answer of the board has around it: the shared state, the transaction, the first line, tags, headers, errors."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from dashboards.board import show
from dashboards.board.attempts import Attempts
from dashboards.board.door import FORM_COOKIE, THEME_COOKIE, Door, Visitor
from dashboards.board.forms import visitor_of
from dashboards.board.rehearsing import Rehearsing
from dashboards.board.show import Messages
from dashboards.board.trust import Trust, Watch
from dashboards.board.words import LANGUAGES, Clock
from groundswell.errors import GroundswellError, SettingsError
from groundswell.links import Links
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
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-cache",
}


WhyNot = Callable[[Connection, str, str, int], Sequence[str]]
"""Run, series, moment -> which gates stood between the series and an alert, line by line (`groundswell why-not`)."""


@dataclass
class BoardState:
    """What all requests share."""

    store: Store
    run: str | None
    log: LocalLog | None
    now_ms: Callable[[], int]
    clock: Clock  # of readers who have chosen nothing
    messages: Callable[[Alert], Messages] | None
    display: Callable[[str], str]
    checked: Mapping[str, str]
    door: Door
    links: Links
    origins: frozenset[str]  # hosts that the board's own pages may be reached by
    companies: Callable[[str], Sequence[str]] = lambda name: [name]  # a company's id or name -> the ids that it may stand for
    sector: Callable[[str], Sequence[str]] = lambda _: ()  # a company's id -> the others of its sector
    why_not: WhyNot | None = None
    near: Callable[[str], Sequence[str]] = lambda _name: ()  # a name that no company has -> ids that it may be a mistake for
    rehearsing: Rehearsing | None = None  # None: rules are shown as far as the store has their text
    watches: dict[str, Watch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attempts = Attempts(self.now_ms)
        self.stamp = _stamp(HERE, HERE / "templates", HERE / "static")
        self.clock_of = lru_cache(maxsize=64)(Clock)
        self.templates_of = lru_cache(maxsize=64)(lambda clock: show.environment(HERE / "templates", clock, self.display))

    def watch(self, connection: Connection) -> Watch:
        """The watch of the run that is shown now; "the only run" may be another one tomorrow."""
        run = run_named(connection, self.run)
        return self.watches.setdefault(run, Watch(run, self.log))


def state_of(request: Request) -> BoardState:
    """What all requests of this application share."""
    state: BoardState = request.app.state.board
    return state


def clock_of(request: Request) -> Clock:
    """The zone and the language that whoever asks has chosen."""
    state, chosen = state_of(request), visitor_of(request).chosen
    language = chosen.language if chosen.language in LANGUAGES else state.clock.language
    try:
        return state.clock_of(chosen.zone or state.clock.tz, language)
    except SettingsError:  # a zone that this machine does not know any more
        return state.clock_of(state.clock.tz, language)


THEMES: Final = ("light", "dark")


def theme_of(request: Request) -> str:
    """Light or dark where somebody has chosen for this browser; empty: as the machine has it."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def page(request: Request, template: str, fill: Callable[[Connection, Watch], dict[str, Any]], *, tagged: bool = True) -> Response:
    """A page: what `fill` reads in one transaction, under the first line; 304 where the reader has it already.

    Args:
        request: who asks for what.
        template: its name.
        fill: what it says.
        tagged: whether nothing of it changes but with the run's data, versions and what people said.
    """
    state = state_of(request)
    with state.store.read() as connection:
        watch, now = state.watch(connection), state.now_ms()
        tag = _tag(request, watch.version(connection), now) if tagged else ""
        if tag and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        # The page first: it may make the balance anew, and the first line must not say less than the page below it.
        filled = fill(connection, watch)
        filled |= {"trust": watch.trust(connection, now_ms=now), "unsure": "", "still": False}
        filled["twin"] = show.twin(request.url.path, request.url.query)
    answer = render(request, template, filled)
    if tag:
        answer.headers["etag"] = tag
    return answer


def plain_page(request: Request, template: str, values: Mapping[str, Any], *, status: int = 200, named: bool = False) -> Response:
    """A form, or what came of one: the first line above it, no twin; it stays as it is, and nobody keeps a copy.

    Args:
        request: who asks for what.
        template: its name.
        values: what it says.
        status: of the answer.
        named: whether a signed address has named its reader, so that the first line is theirs to see without a session.
    """
    trust, unsure = _first_line(request) if named or _may_look(request) else (None, "")
    answer = render(request, template, {"trust": trust, "unsure": unsure, "still": True, "twin": None, **values})
    answer.status_code = status
    answer.headers["cache-control"] = "no-store"
    return answer


def _may_look(request: Request) -> bool:
    """Whether pages of the run are shown to whoever asks."""
    return visitor_of(request).name is not None or not state_of(request).door.access.is_closed


def _first_line(request: Request) -> tuple[Trust | None, str]:
    """What the first line says; or why nothing can be said, because an error must be shown above all where there is trouble."""
    state = state_of(request)
    try:
        with state.store.read() as connection:
            return state.watch(connection).trust(connection, now_ms=state.now_ms()), ""
    except GroundswellError as error:
        return None, str(error)


def render(request: Request, template: str, values: Mapping[str, Any]) -> Response:
    """A template in the words of whoever asks; a browser that is new gets what its forms are bound to."""
    state, visitor, clock = state_of(request), visitor_of(request), clock_of(request)
    around = {
        "path": request.url.path,
        "here": _here(request),
        "visitor": visitor,
        "clock": clock,
        "theme": theme_of(request),
        "is_closed": state.door.access.is_closed,
    }
    around["token"] = state.door.form_token(visitor) if visitor.session else ""
    answer = HTMLResponse(state.templates_of(clock).get_template(template).render(around | dict(values)))
    if visitor.is_new:
        state.door.keep(answer, FORM_COOKIE, visitor.session, max_age_s=state.door.access.session_s)
    return answer


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _tag(request: Request, version: str, now_ms: int) -> str:
    """A page is another one when the data, the minute (how far behind), the question, the reader or the program has changed."""
    visitor, clock = visitor_of(request), clock_of(request)
    who = (visitor.name or "", visitor.role or "", visitor.session, str(visitor.chosen), clock.tz, clock.language, theme_of(request))
    words = "\x1f".join((state_of(request).stamp, version, str(now_ms // 60_000), str(request.url.path), str(request.url.query), *who))
    return f'W/"{blake2b(words.encode(), digest_size=12).hexdigest()}"'


def twin(request: Request, fill: Callable[[Connection, Watch], dict[str, Any]]) -> Response:
    """The same as JSON, with what the first line says."""
    state = state_of(request)
    with state.store.read() as connection:
        watch = state.watch(connection)
        body = fill(connection, watch)
        trust = watch.trust(connection, now_ms=state.now_ms())
    return JSONResponse({"trust": show.trust_json(trust)} | body)


TITLES: Final[Mapping[int, str]] = {
    400: "That cannot be done",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Not allowed",
    410: "Its time is over",
    413: "Too long",
    500: "What is stored cannot be shown",
    503: "The store does not answer",
}


def refusal(request: Request, status: int, text: str) -> Response:
    """What says no: a page, or JSON where JSON was asked for."""
    if request.url.path.startswith("/api/") or request.url.path == "/healthz":
        return JSONResponse({"error": text}, status_code=status)
    request.scope.setdefault("visitor", Visitor(""))
    return plain_page(request, "error.html.j2", {"title": TITLES.get(status, "Not allowed"), "text": text}, status=status)


def error_page(status: int) -> Callable[[Request, Exception], Response]:
    """What answers an error."""

    def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return refusal(request, error.status_code, error.detail)
        return refusal(request, status, str(error))

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
    """Puts HEADERS on every answer, refusals and files included; what an answer says itself (not to keep it) stays."""

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Pass on, and add the headers to what comes back."""

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                ours = ((name.encode(), value.encode()) for name, value in HEADERS.items())
                message["headers"] = [*message["headers"], *(one for one in ours if one[0] not in said)]
            await send(message)

        await self.app(scope, receive, sending if scope["type"] == "http" else send)
