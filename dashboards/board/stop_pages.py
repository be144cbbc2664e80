"""Unsubscribing: the page behind a mail's List-Unsubscribe, and the one click (RFC 8058) of a mail program that never shows it.

Whoever has the address may stop this one target, or let it go on: it is signed, and says nothing else. Opening it changes nothing,
because mail gateways open every address.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from dashboards.board.forms import read_form, see_other, visitor_of
from dashboards.board.shell import plain_page, state_of
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.store.audit import Entry, note
from groundswell.store.stops import Stop, What, last_word, say, withheld

WORDS: Final[dict[str, What]] = {"stop": "stop", "resume": "resume"}
ONE_CLICK: Final = (b"List-Unsubscribe", b"One-Click")
"""What a mail program sends, as a form of either kind; its two halves are looked for, so that neither has to be parsed."""


def ask(request: Request) -> Response:
    """What the address would stop, and the button that does; or that it is stopped, and the way back."""
    return _page(request, _target(request))


def take(request: Request, body: bytes) -> Response:
    """Stop the target, or let it go on; by a mail program's one click, or by the page's button."""
    target = _target(request)
    if all(half in body for half in ONE_CLICK):
        _say(request, target, "stop", place="one click")
        return _page(request, target)  # not a redirect: those who send this follow none
    what = WORDS.get(read_form(body).get("what", ""))
    if what is None:
        reason = "unsubscribe: the form says neither stop nor resume; send it from its page"
        raise UsageError(reason)
    _say(request, target, what, place="the page")
    return see_other(f"/u/{request.path_params['token']}")


def _target(request: Request) -> str:
    return state_of(request).links.read_stop(request.path_params["token"])


def _say(request: Request, target: str, what: What, *, place: str) -> None:
    state, reader = state_of(request), target.partition(":")[2]
    word = Stop(target, state.now_ms(), what, reader, place)
    with state.store.write() as connection:
        if say(state.store, connection, word):
            said = "unsubscribed" if what == "stop" else "subscribed again"
            note(state.store, connection, Entry(word.at_ms, reader, visitor_of(request).address, said, f"{target}, by {place}"))


def _page(request: Request, target: str) -> Response:
    with state_of(request).store.read() as connection:
        word, number = last_word(connection, target), withheld(connection, LIVE_RUN, target)
    kind, _, reader = target.partition(":")
    values = {"target": target, "kind": kind, "reader": reader, "word": word, "withheld": number}
    return plain_page(request, "stop.html.j2", values, named=True)
