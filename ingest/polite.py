"""Manners, as pure functions: when a source may be asked again, what is sent back to it, and what its robots.txt allows.

An hour between polls, with a tenth of jitter either way; sooner or later where the publisher says so (ttl, Cache-Control,
sy:updatePeriod), but never sooner than a quarter of an hour unless the catalogue has the publisher's word for it. Retry-After is
never undercut. 429 and 503 double the wait, up to a day. A move (301, 308) is believed the third time; 410 is for good. ETag and
Last-Modified go back byte for byte. robots.txt follows RFC 9309, and more strictly where the publisher has refused (401, 403, 429).
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Self

import msgspec
from protego import Protego

from groundswell.names import DAY_MS, HOUR_MS
from ingest.catalogue import Source

__all__ = ["AGENT", "Answer", "Robots", "SourceState", "after", "next_poll_ms", "retry_after_ms", "validators"]

AGENT: Final = "groundswell"  # the product token that robots.txt is asked about
INTERVAL_MS: Final = HOUR_MS
SHORTEST_MS: Final = 15 * 60_000
LONGEST_MS: Final = DAY_MS
RETRY_AFTER_MS_MAX: Final = 7 * DAY_MS  # a longer one is a mistake, and a source that is never asked again is blind
JITTER: Final = 0.1
MOVES_TO_BELIEVE: Final = 3
ROBOTS_KEPT_MS: Final = DAY_MS
ROBOTS_RETRIED_MS: Final = HOUR_MS  # after an answer that forbids for now
ROBOTS_BYTES_MAX: Final = 512 * 1024  # RFC 9309 asks for 500 KiB at least
CRAWL_DELAY_S_MAX: Final = 60.0

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one poll, as far as manners need it."""

    status: int  # HTTP; 0: no answer (network, time-out, a refused address, robots.txt)
    headers: Mapping[str, str] = {}  # names in lower case
    moved_to: str | None = None  # where every redirect on the way was a permanent one: the last address
    ttl_s: int | None = None  # as the feed says
    update_s: int | None = None

    @property
    def good(self) -> bool:
        """The publisher answered the question; "nothing new" is an answer."""
        return 200 <= self.status < 300 or self.status == 304


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a source between polls; kept by the crawler on disk."""

    url: str  # as the catalogue had it: another one there starts a new memory
    moved_to: str | None = None
    moves: int = 0  # how often in a row the same permanent redirect was seen
    etag: str | None = None
    last_modified: str | None = None
    troubles: int = 0  # bad answers in a row
    disabled: str | None = None  # why it is asked no more
    next_ms: int = 0

    @property
    def address(self) -> str:
        """Where to ask: the new address once a move is believed."""
        return self.moved_to if self.moved_to and self.moves >= MOVES_TO_BELIEVE else self.url


def validators(state: SourceState) -> dict[str, str]:
    """Request headers of a conditional poll: the publisher's own words, whatever they look like.

    >>> validators(SourceState(url="u", etag='W/"a b"'))
    {'If-None-Match': 'W/"a b"'}
    """
    pairs = (("If-None-Match", state.etag), ("If-Modified-Since", state.last_modified))
    # Bytes that are no UTF-8 cannot be given back exactly, so they are not given back at all.
    return {name: value for name, value in pairs if value and not re.search("[\ud800-\udfff]", value)}


def after(state: SourceState, answer: Answer, *, source: Source, now_ms: int) -> SourceState:
    """What to remember after a poll; `next_ms` says when to ask again."""
    troubles = 0 if answer.good else state.troubles + 1
    moved_to, moves = _moved(state, answer)
    fresh = 200 <= answer.status < 300
    # Some publishers' "not modified" cannot be read: after two failures the whole is asked for.
    lost = answer.status == 0 and troubles > 1
    changed = msgspec.structs.replace(
        state,
        moved_to=moved_to,
        moves=moves,
        etag=answer.headers.get("etag") if fresh else None if lost else state.etag,
        last_modified=answer.headers.get("last-modified") if fresh else None if lost else state.last_modified,
        troubles=troubles,
        disabled="410: the publisher says that it is gone for good" if answer.status == 410 else None,
    )
    if changed.address != state.address:  # validators belong to an address
        changed = msgspec.structs.replace(changed, etag=None, last_modified=None)
    return msgspec.structs.replace(changed, next_ms=next_poll_ms(changed, answer, now_ms, source=source))


def _moved(state: SourceState, answer: Answer) -> tuple[str | None, int]:
    if not answer.good:  # a new address that refuses was no home; one that is only ill keeps what was learned
        return (None, 0) if 400 <= answer.status < 500 and answer.status != 429 else (state.moved_to, state.moves)
    if answer.moved_to is not None:
        return answer.moved_to, state.moves + 1 if answer.moved_to == state.moved_to else 1
    return (state.moved_to, state.moves) if state.address != state.url else (None, 0)


def next_poll_ms(state: SourceState, answer: Answer, now_ms: int, *, source: Source) -> int:
    """When a source may be asked again.

    Args:
        state: with this answer's trouble counted.
        answer: what came of the poll.
        now_ms: the moment of the poll.
        source: its catalogue entry; `every_s` stands for the publisher's word.
    """
    interval, least = _interval_ms(answer, source)
    if not answer.good:
        # The publisher asks for rest: the wait doubles at once. Anything else may be one bad moment: from the second on.
        doublings = state.troubles if answer.status in (429, 503) else state.troubles - 1
        interval *= 2 ** min(max(doublings, 0), 20)
    wait = min(max(round(interval * _jitter(source.name, now_ms)), least), LONGEST_MS)
    asked = retry_after_ms(answer.headers.get("retry-after"), now_ms)
    return now_ms + max(wait, asked or 0)


def _interval_ms(answer: Answer, source: Source) -> tuple[int, int]:
    """The usual wait, and the shortest that the publisher or the catalogue allows."""
    if source.every_s is not None:
        return source.every_s * 1_000, 0
    age = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", answer.headers.get("cache-control", ""), re.IGNORECASE)
    told = [seconds * 1_000 for seconds in (answer.ttl_s, answer.update_s, int(age[1]) if age else None) if seconds]
    if not told:
        return INTERVAL_MS, SHORTEST_MS
    least = min(max(*told, SHORTEST_MS), LONGEST_MS)
    return round(least / (1 - JITTER)), least


def _jitter(name: str, now_ms: int) -> float:
    """A factor from 0.9 to 1.1 that follows from source and moment alone, so that sources drift apart and runs repeat."""
    number = int.from_bytes(hashlib.blake2b(f"{name}\x1f{now_ms}".encode(), digest_size=8).digest())
    return 1 - JITTER + 2 * JITTER * number / 2**64


def retry_after_ms(value: str | None, now_ms: int) -> int | None:
    """How long a Retry-After asks to wait: seconds, or an HTTP date. None where it says nothing that can be read.

    >>> retry_after_ms("120", 0), retry_after_ms("Thu, 01 Jan 1970 00:05:00 GMT", 60_000), retry_after_ms("soon", 0)
    (120000, 240000, None)
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        wait = int(text) * 1_000
    else:
        try:
            when = parsedate_to_datetime(text)
            wait = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1) - now_ms
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(wait, 0), RETRY_AFTER_MS_MAX)


class Robots:
    r"""What one host's robots.txt allows, and for how long that may be relied on.

    >>> robots = Robots.of(200, b"User-agent: *\nDisallow: /private", now_ms=0)
    >>> robots.allows("https://news.example/rss"), robots.allows("https://news.example/private/rss")
    (True, False)
    """

    def __init__(self, rules: Protego | None, *, reason: str, until_ms: int) -> None:
        self._rules = rules
        self.reason = reason  # why nothing is allowed where there are no rules
        self.until_ms = until_ms

    @classmethod
    def of(cls, status: int, body: bytes, *, now_ms: int) -> Self:
        """The rules that follow from an answer.

        Args:
            status: of the last answer after at most five redirects; 0: none came; 3xx: there were more.
            body: of the file; what is beyond ROBOTS_BYTES_MAX is not read.
            now_ms: when it was fetched.
        """
        if 200 <= status < 300:
            text = body[:ROBOTS_BYTES_MAX].decode("utf-8", "replace").removeprefix("\ufeff")
            return cls(Protego.parse(text), reason="robots.txt disallows this address", until_ms=now_ms + ROBOTS_KEPT_MS)
        if 400 <= status < 500 and status not in (401, 403, 429):
            return cls(Protego.parse(""), reason="", until_ms=now_ms + ROBOTS_KEPT_MS)
        shown = f"answers {status}" if status else "does not answer"
        return cls(None, reason=f"robots.txt {shown}, which forbids everything for now", until_ms=now_ms + ROBOTS_RETRIED_MS)

    def allows(self, url: str) -> bool:
        """Whether this crawler may ask for an address."""
        return self._rules is not None and bool(self._rules.can_fetch(url, AGENT))

    @property
    def delay_s(self) -> float:
        """Seconds between two requests to the host, as it asks; at most a minute."""
        asked = self._rules.crawl_delay(AGENT) if self._rules is not None else None
        return min(float(asked), CRAWL_DELAY_S_MAX) if asked and asked > 0 else 0.0
