"""Forms: how a POST is read, that it was meant, and that whoever sent it may do it. No route takes one any other way."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from dashboards.board.door import Visitor
from groundswell.errors import UsageError
from groundswell.store.accounts import Role

BODY_BYTES_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 100
TOKEN_FIELD: Final = "token"

Form = Mapping[str, str]
Handler = Callable[[Request, Form], Response]


def visitor_of(request: Request) -> Visitor:
    """Who asks; the doorkeeper has found out."""
    visitor: Visitor = request.scope["visitor"]
    return visitor


def needs(request: Request, role: Role) -> None:
    """Be sure that whoever asks may.

    Raises:
        HTTPException: 403, with what is missing.
    """
    visitor = visitor_of(request)
    if not visitor.may(role):
        reason = f"the role {role} is needed for this, and you have {visitor.role or 'none'}; ask whoever runs the board"
        raise HTTPException(403, reason)


def posting(handler: Handler, *, role: Role | None, body_bytes_max: int = BODY_BYTES_MAX) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that takes a form.

    Args:
        handler: what is done with it, in a thread of its own; its answer should be `see_other`.
        role: who may; None: anybody, signed in or not.
        body_bytes_max: the longest form, in bytes.
    """

    async def endpoint(request: Request) -> Response:
        visitor = visitor_of(request)
        form = read_form(await _body(request, body_bytes_max))
        request.app.state.board.door.check_form(visitor, form.get(TOKEN_FIELD, ""))
        if role is not None:
            needs(request, role)
        return await run_in_threadpool(handler, request, form)

    return endpoint


def by_address(handler: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose address is the right to what it does: a mail program sends no cookie, so there is no session and no token.

    Args:
        handler: is given the body as it came; it has to check the signature in the address before anything else.
    """

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handler, request, await _body(request, BODY_BYTES_MAX))

    return endpoint


async def _body(request: Request, limit: int) -> bytes:
    """The body, and never more of it than the limit."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise HTTPException(413, f"a form has {limit // 1024} KiB at most")
    except ClientDisconnect as error:  # nobody reads the answer; a stranger who hangs up must not fill the log with tracebacks
        raise HTTPException(400, "the form broke off; send it again") from error
    return body


def read_form(body: bytes) -> Form:
    """The fields of a form; the last one of a name counts.

    >>> read_form(b"note=a+b&note=c%20d")
    {'note': 'c d'}

    Raises:
        UsageError: it is none.
    """
    try:
        found = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
    except ValueError as error:
        reason = f"form: cannot be read as one of {FIELDS_MAX} fields at most; send it from its page"
        raise UsageError(reason) from error
    if any("\0" in text for pair in found.items() for text in pair):
        reason = "form: a NUL stands in it, which no database takes; take it out"
        raise UsageError(reason)
    return found


def see_other(path: str) -> Response:
    """What answers a form that was taken: look at this page, so that loading it again sends nothing twice."""
    return RedirectResponse(path, status_code=303)


def local_path(text: str, *, otherwise: str) -> str:
    """A place on this board, from a stranger's word.

    >>> local_path("/alerts/ab?known=then", otherwise="/"), local_path("//evil.example", otherwise="/")
    ('/alerts/ab?known=then', '/')
    """
    ok = (
        text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )
    return text if ok and len(text) <= 2_000 else otherwise
