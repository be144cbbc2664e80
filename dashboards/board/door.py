"""The board's door: who asks, what they may do, and what is refused before any page is made.

Three ways to be somebody: nobody has to be (no account, no proxy: everything can be read, nothing can be done); a session that
began with a password here; or the word of a reverse proxy, believed only from addresses that were named. A program shows a token, for
the API alone. Whatever the way, the account is read from the store each time, so that disabling it ends its sessions at once.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import quote, urlsplit

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards.board.attempts import Pace, network_of
from groundswell.errors import ExpiredError, GroundswellError, SignatureError, UsageError
from groundswell.passwords import Passwords
from groundswell.signing import Signed
from groundswell.store.accounts import Person, Reader, Role, person_name, person_named, rank, reader_named
from groundswell.store.tokens import token_shown

FORM_COOKIE: Final = "groundswell_form"
LANGUAGE_COOKIE: Final = "groundswell_language"
ZONE_COOKIE: Final = "groundswell_zone"
THEME_COOKIE: Final = "groundswell_theme"
API: Final = "/api/v1/"
WELCOME: Final = "/welcome/"
WELCOME_S: Final = 48 * 3600
"""How long a link to choose a password can be used, once."""

ASKED_A_MINUTE: Final = 120
REFUSED_A_MINUTE: Final = 30
"""How often a token may ask, and how often an address may show one that is not taken."""

OPEN_TO_ALL: Final = ("/healthz", "/login", "/language")
"""Beside /static/, /l/, /u/ and /welcome/: what is answered without knowing who asks."""

SAFE: Final = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """Who may come in, as the installation has decided."""

    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    accounts: bool = False  # people sign in here
    proxy_header: str = ""  # a proxy says who they are
    proxy_addresses: tuple[str, ...] = ()
    proxy_role: Role | None = None  # of those without an account; None: they are refused
    session_s: int = 12 * 3600
    is_https: bool = False  # as readers reach it: cookies are then sent over nothing else
    passwords: Passwords = field(default_factory=Passwords, repr=False)

    @property
    def is_closed(self) -> bool:
        """Whether one has to be somebody."""
        return self.accounts or bool(self.proxy_header)


NOBODY: Final = Reader("")


@dataclass(frozen=True)
class Visitor:
    """Who asks."""

    address: str
    name: str | None = None  # None: nobody in particular
    role: Role | None = None
    session: str = ""  # what the tokens of this visitor's forms are bound to
    is_new: bool = False  # it has to be told the session
    chosen: Reader = NOBODY
    has_session: bool = False  # signed in here, so can sign out here

    def may(self, role: Role) -> bool:
        """Whether the visitor's role is that one or a higher one."""
        return rank(self.role) >= rank(role)


class TokenRefusedError(Exception):
    """A program's token is not taken, or asks too often.

    Args:
        reason: what to do.
        wait_s: in how many seconds it may ask again; 0: it is not taken.
    """

    def __init__(self, reason: str, *, wait_s: int = 0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Door:
    """Finds out who asks, and signs what is handed out. Safe for several threads."""

    def __init__(self, access: Access, *, now_ms: Callable[[], int]) -> None:
        self.access, self.now_ms = access, now_ms
        self._networks = [ip_network(one) for one in access.proxy_addresses]
        self._sessions = Signed(access.secret, "session", lifetime_s=access.session_s, now_ms=now_ms)
        self._forms = Signed(access.secret, "form", lifetime_s=access.session_s, now_ms=now_ms)
        self._welcomes = Signed(access.secret, "welcome", lifetime_s=WELCOME_S, now_ms=now_ms)
        self._asked, self._refused = Pace(now_ms, at_most=ASKED_A_MINUTE), Pace(now_ms, at_most=REFUSED_A_MINUTE)

    @property
    def session_cookie(self) -> str:
        """Behind https its name makes browsers refuse one that another host or a plain connection has set."""
        return "__Host-groundswell" if self.access.is_https else "groundswell"

    # --- who asks --------------------------------------------------------------------------------------------------------
    def visitor(self, request: Request, connection: Connection) -> Visitor:
        """Who asks, as far as can be believed.

        Raises:
            TokenRefusedError: a program shows a token that is not taken, or asks too often.
        """
        address = self.address_of(request)
        way, _, shown = request.headers.get("authorization", "").partition(" ")
        if way.lower() == "bearer" and request.url.path.startswith(API) and self.access.is_closed:
            return self._program(shown.strip(), connection, address)
        found = None
        if self.access.proxy_header:
            found = self._proxied(request, connection, address)
        elif self.access.accounts:
            found = self._signed_in(request, connection, address)
        if found is not None:
            return found
        known = request.cookies.get(FORM_COOKIE, "")
        session = known if len(known) == 32 and known.isalnum() else secrets.token_hex(16)
        chosen = Reader("", request.cookies.get(LANGUAGE_COOKIE), request.cookies.get(ZONE_COOKIE) or None)
        return Visitor(address, session=session, is_new=session != known, chosen=chosen)

    def _signed_in(self, request: Request, connection: Connection, address: str) -> Visitor | None:
        try:
            said = self._sessions.read(request.cookies.get(self.session_cookie, ""))
        except SignatureError:
            return None
        match said:
            case [str(name), int(started_ms), str(session)]:
                pass
            case _:
                return None
        person, reader = person_named(connection, name), reader_named(connection, name)
        if person is None or person.disabled_ms is not None or started_ms < max(person.changed_ms, reader.signed_out_ms):
            return None
        return Visitor(address, name, person.role, session, chosen=reader, has_session=True)

    def _program(self, shown: str, connection: Connection, address: str) -> Visitor:
        found = token_shown(connection, shown, now_ms=self.now_ms())
        if found is None:
            wait_s = self._refused.wait_s(network_of(address))
            reason = "the token is not taken: it is unknown, revoked or expired, or its account is disabled; make another on /me"
            raise TokenRefusedError(reason, wait_s=wait_s)
        token, role = found
        wait_s = self._asked.wait_s(token.token_id)
        if wait_s:
            reason = f"token {token.token_id}: {ASKED_A_MINUTE} questions a minute at most; ask again in {wait_s} s"
            raise TokenRefusedError(reason, wait_s=wait_s)
        return Visitor(address, token.person, role)

    def _proxied(self, request: Request, connection: Connection, address: str) -> Visitor | None:
        told = request.headers.getlist(self.access.proxy_header) if self._is_proxy(_peer(request)) else []
        try:
            name = person_name(told[0]) if len(told) == 1 else None
        except UsageError:
            name = None
        if name is None:
            return None
        person = person_named(connection, name)
        role = self.access.proxy_role if person is None else person.role if person.disabled_ms is None else None
        if role is None:
            return None
        return Visitor(address, name, role, f"proxy {name}", chosen=reader_named(connection, name))

    def address_of(self, request: Request) -> str:
        """Who asks in fact: behind a proxy that is believed, the address that it says."""
        peer = _peer(request)
        told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return told if told and self._is_proxy(peer) and _is_address(told) else peer

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._networks)

    # --- what is handed out ----------------------------------------------------------------------------------------------
    def begin(self, response: Response, name: str) -> None:
        """Sign somebody in: a new session, whatever the browser had before."""
        text = self._sessions.sign([name, self.now_ms(), secrets.token_hex(16)])
        self.keep(response, self.session_cookie, text, max_age_s=self.access.session_s)

    def end(self, response: Response) -> None:
        """Take the session's cookie back."""
        response.delete_cookie(self.session_cookie, secure=self.access.is_https, httponly=True, samesite="lax")

    def keep(self, response: Response, name: str, value: str, *, max_age_s: int) -> None:
        """Set a cookie that scripts cannot read and other sites' forms do not send."""
        response.set_cookie(name, value, max_age=max_age_s, path="/", secure=self.access.is_https, httponly=True, samesite="lax")

    def welcome(self, person: Person) -> str:
        """A text with which a person chooses a password, until the account changes."""
        return self._welcomes.sign([person.name, person.changed_ms])

    def welcomed(self, text: str, connection: Connection) -> Person:
        """Whom such a text was made for.

        Raises:
            ExpiredError: it was used, the account has changed since, or its time is over.
            SignatureError: it was not made here.
        """
        match self._welcomes.read(text):
            case [str(name), int(changed_ms)]:
                person = person_named(connection, name)
            case _:
                person, changed_ms = None, 0
        if person is None or person.changed_ms != changed_ms or person.disabled_ms is not None:
            reason = "the link was used already, or the account has changed since; ask an admin for another one"
            raise ExpiredError(reason)
        return person

    def form_token(self, visitor: Visitor) -> str:
        """What every form of this visitor must bring back."""
        return self._forms.sign(visitor.session)

    def check_form(self, visitor: Visitor, token: str) -> None:
        """Be sure that a form was made for this visitor.

        Raises:
            SignatureError: it was not.
        """
        if not visitor.session or self._forms.read(token) != visitor.session:
            reason = "the form was made for another session: load the page again and send it once more"
            raise SignatureError(reason)


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


# --- around the whole application ----------------------------------------------------------------------------------------------
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Doorkeeper:
    """Finds out who asks before anything else is done, and lets nobody further who would have to be somebody.

    What changes something is refused if another site's page sent it, whatever its token says.
    """

    def __init__(
        self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]], *, refuse: Callable[[Request, int, str], Response]
    ) -> None:
        self._app, self._refuse = app, refuse

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer for the door, or pass on with `scope["visitor"]`."""
        if scope["type"] != "http" or scope["path"].startswith("/static/") or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = await run_in_threadpool(self._look, request)
        await (answer or self._app)(scope, receive, send)

    def _look(self, request: Request) -> Response | None:
        state = request.app.state.board
        if "\0" in request.url.path or "%00" in request.url.query:
            # PostgreSQL takes it in no text: each page would fail in its own way.
            return self._refuse(request, 400, "a NUL stands in the address, and in nothing that can be asked for; take it out")
        try:
            with state.store.read() as connection:
                visitor: Visitor = state.door.visitor(request, connection)
        except TokenRefusedError as error:
            answer = self._refuse(request, 429 if error.wait_s else 401, str(error))
            answer.headers["retry-after" if error.wait_s else "www-authenticate"] = str(error.wait_s or "Bearer")
            return answer
        except GroundswellError as error:
            return self._refuse(request, 503, str(error))
        request.scope["visitor"] = visitor
        if request.method not in SAFE and not _is_ours(request, state.origins):
            return self._refuse(request, 403, "another site sent this; open the page here and do it again")
        path = request.url.path
        if visitor.name is not None or not state.door.access.is_closed or path in OPEN_TO_ALL or path.startswith(("/l/", "/u/", WELCOME)):
            return None
        if state.door.access.proxy_header:
            why = "the proxy names nobody that the board knows: ask whoever runs it for an account of the name that the proxy gives"
            return self._refuse(request, 403, why)
        if path.startswith("/api/") or request.method not in SAFE:
            return self._refuse(request, 401, "sign in first")
        where = path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(where, safe='')}", status_code=303)


def _is_ours(request: Request, origins: frozenset[str]) -> bool:
    """Whether a page of the board itself sent this, as far as a browser tells; a program says neither."""
    headers: Headers = request.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    # By host alone: a proxy may pass Host on without its port. What another port of the host sends has no token.
    try:
        return urlsplit(origin).hostname in origins or urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False
