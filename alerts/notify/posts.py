"""One POST of JSON to an address that is a secret, and what its answer means. Shared by the channels that are no more than that."""

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from alerts.notify.base import failed
from alerts.notify.message import Message
from groundswell.errors import SettingsError, reason_of
from groundswell.records import Delivery

__all__ = ["RETRIED_STATUS", "Answer", "Hook", "Judged", "by_code", "by_status", "encoded", "fields_of", "fitted", "post", "retry_after_s"]

RETRIED_STATUS: Final = frozenset({408, 409, 425, 429})  # every other 4xx is an answer to what was sent, and will not change
UNKNOWN_STATUS: Final = frozenset({502, 504})  # a proxy's: what stands behind it may have taken the message
ANSWER_BYTES_MAX: Final = 4_096
RETRY_AFTER_S_MAX: Final = 86_400.0
PIECE_OF_PATH_CHARS_MIN: Final = 10
"""A shorter piece of an address, such as /robot/send, is everybody's and no secret."""

PIECE_CHARS_MIN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Where a channel is posted to; checked when it is made.

    Raises:
        SettingsError: the address is none, or the time limit is not positive. The address is not repeated.
    """

    channel: str  # "teams", for messages
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)  # what it is signed with, where the channel signs
    proxy: str | None = field(default=None, repr=False)  # may hold a login; the process's environment is not consulted
    timeout_s: float = 10.0  # for the whole attempt

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            named = parts.scheme in ("http", "https") and bool(parts.hostname) and not set(self.url) & set(" \r\n\t")
        except ValueError:
            named = False
        if not named:
            message = f"{self.channel} target: url: must be the http(s) address that the channel shows (not repeated here); set it"
            raise SettingsError(message)
        if self.timeout_s <= 0:
            message = f"{self.channel} target: timeout_s: must be above 0 seconds, got {self.timeout_s}; 10 is usual"
            raise SettingsError(message)

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What no reason may show: the address, the long pieces of its path, its query, the signing secret, a login at the proxy."""
        parts = urlsplit(self.url)
        pieces = [piece for piece in parts.path.split("/") if len(piece) >= PIECE_OF_PATH_CHARS_MIN]
        given = [value for _, value in parse_qsl(parts.query)]
        return (self.url, parts.query, *pieces, *given, self.secret, self.proxy)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: str  # its beginning
    headers: Mapping[str, str]  # names in lower case


@dataclass(frozen=True, slots=True)
class Judged:
    """What a channel makes of an answer."""

    ok: bool
    reason: str = ""
    permanent: bool = False
    provider_id: str | None = None


def encoded(body: Mapping[str, Any]) -> bytes:
    """The body as it travels: UTF-8, the same bytes for the same content; what is no character becomes a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def fitted(message: Message, build: Callable[[Message, Sequence[str]], dict[str, Any]], *, bytes_max: int) -> dict[str, Any]:
    """A body that is no longer than a channel takes: the message's pieces are halved and left out from the end, its links stay.

    Args:
        message: what to say.
        build: the body with some of the pieces.
        bytes_max: of the body as it travels.
    """
    pieces = list(message.sections) or [message.text]
    while True:
        body = build(message, pieces)
        if len(encoded(body)) <= bytes_max or not pieces:
            return body
        last = pieces.pop()
        if len(last) > PIECE_CHARS_MIN:
            pieces.append(f"{last[: len(last) // 2]}…")


async def post(
    name: str,
    hook: Hook,
    *,
    body: bytes,
    judge: Callable[[Answer], Judged],
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Delivery:
    """One attempt; see Notifier.send. Redirects are not followed: the address is a secret, and a POST would arrive as a GET.

    Args:
        name: the target's.
        hook: where to.
        body: what to post.
        judge: what the channel makes of an answer; only asked where there is one.
        headers: beside Content-Type.
        query: added to the address.
    """
    limit = aiohttp.ClientTimeout(total=hook.timeout_s)
    given = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    try:
        async with aiohttp.ClientSession(timeout=limit) as client:
            sent = client.post(hook.url, data=body, headers=given, params=query, proxy=hook.proxy, allow_redirects=False)
            async with sent as response:
                answer = Answer(response.status, await _text(response), {key.lower(): value for key, value in response.headers.items()})
    except TimeoutError:
        reason = f"no answer within {hook.timeout_s:g} s, whether the message arrived is unknown"
        return failed(name, reason, unknown=True, secrets=hook.secrets)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return failed(name, reason_of(error), unknown=not isinstance(error, aiohttp.ClientConnectorError), secrets=hook.secrets)
    judged = judge(answer)
    if judged.ok:
        return Delivery(target=name, ok=True, provider_id=judged.provider_id)
    unknown = not judged.permanent and answer.status in UNKNOWN_STATUS
    wait_s = retry_after_s(answer.headers)
    return failed(name, judged.reason, permanent=judged.permanent, unknown=unknown, retry_after_s=wait_s, secrets=hook.secrets)


async def _text(response: aiohttp.ClientResponse) -> str:
    """The beginning of a body. One that breaks off is what came of it: the status has said already whether it was taken."""
    body = b""
    with contextlib.suppress(aiohttp.ClientPayloadError):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) >= ANSWER_BYTES_MAX:
                break
    return body[:ANSWER_BYTES_MAX].decode("utf-8", "replace")


def by_status(answer: Answer) -> Judged:
    """The meaning of a status where the channel gives no other: 2xx is delivered, a 4xx or a redirect will not change."""
    reason = f"{answer.status} {answer.body}".strip()
    if 300 <= answer.status < 400:
        return Judged(ok=False, reason=f"{answer.status} it redirects; set the address that it leads to", permanent=True)
    return Judged(200 <= answer.status < 300, reason, permanent=400 <= answer.status < 500 and answer.status not in RETRIED_STATUS)


def by_code(answer: Answer, code: object, said: object, *, steps: Mapping[int, str], later: Collection[int]) -> Judged:
    """The meaning of a code in the body, where the channel answers 200 to nearly everything: 0 is delivered.

    Args:
        answer: of the channel.
        code: what its body gives; anything but a number leaves it to the status, and that is no delivery.
        said: the words beside the code.
        steps: code -> what to do about it.
        later: codes that another attempt can help.
    """
    if answer.status == 200 and code == 0:
        return Judged(ok=True)
    if not isinstance(code, int):
        judged = by_status(answer)
        return Judged(ok=False, reason=judged.reason, permanent=judged.permanent)
    step = steps.get(code)
    reason = f"{code} {said}" + (f"; {step}" if step else "")
    return Judged(ok=False, reason=reason, permanent=code not in later and answer.status not in (429, *range(500, 600)))


def fields_of(answer: Answer) -> dict[str, Any]:
    """The fields of a JSON answer; none where it is something else, such as a proxy's page."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, at most a day; a date counts from the answer's own Date, so nobody's clock matters.

    >>> retry_after_s({"retry-after": "30"}), retry_after_s({"retry-after": "soon"})
    (30.0, None)
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        wait_s = (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return min(wait_s, RETRY_AFTER_S_MAX) if wait_s > 0 else None
