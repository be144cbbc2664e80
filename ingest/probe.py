"""One look at an address: robots.txt first, then one polite request, and what a crawler would make of the answer."""

import html
import json
import re
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import urljoin, urlsplit

import msgspec

from groundswell.clock import Clock
from groundswell.names import DAY_MS
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.fetch import Fetched, Fetcher, RefusedError
from ingest.polite import ROBOTS_BYTES_MAX, Answer, Robots, SourceState, next_poll_ms
from ingest.types.base import HttpType, Parsed, Request
from ingest.types.feed import Feed
from ingest.types.table import type_of

__all__ = ["Probe", "advice", "kind_of", "probe", "rhythm_of"]

Form = Literal["feed", "json feed", "sitemap", "json", "html", "other"]
FEEDS_MAX: Final = 10
_HEAD_BYTES: Final = 4_096
_LINK: Final = re.compile(r"<link\b[^<>]{1,2000}>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([a-z-]{1,20})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_FEED_TYPES: Final = frozenset({"application/rss+xml", "application/atom+xml", "application/feed+json"})


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What one look has shown."""

    url: str
    robots: str  # what robots.txt says to it, in words
    unheard: str | None = None  # why there was no answer to robots.txt, where there was none
    fetched: Fetched
    took_ms: int  # of the request itself
    form: Form
    parsed: Parsed
    feeds: list[str]  # that an HTML page names
    rhythm: float | None  # items a day, from their published times
    asked_every_ms: int  # how often it would be asked

    @property
    def works(self) -> bool:
        """Whether a crawler could read it as it is."""
        return 200 <= self.fetched.status < 300 and self.parsed.readable and bool(self.parsed.records)


async def probe(source: Source, *, fetcher: Fetcher, clock: Clock) -> Probe:
    """Look at a source once, with a crawler's manners; whatever the network does is part of the answer.

    Args:
        source: its entry, or one made up for the occasion.
        fetcher: the HTTP client.
        clock: when, and how long it took.
    """
    known: dict[str, tuple[Robots, str | None]] = {}
    said: list[str] = []
    unheard: list[str] = []

    async def permit(url: str) -> None:
        host = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        if host not in known:
            known[host] = await _robots(host, source, fetcher=fetcher, now_ms=clock.now_ms())
        robots, silence = known[host]
        if not robots.allows(url):
            said.append(robots.reason)
            unheard.extend([silence] if silence else [])
            raise RefusedError(robots.reason)
        said.append(f"allowed, with {robots.delay_s:g} s between requests" if robots.delay_s else "allowed")

    begun_ms = clock.now_ms()
    fetched = await fetcher.get(source.url, permit=permit, allow_private=source.allow_private)
    now_ms = clock.now_ms()
    good = 200 <= fetched.status < 300
    kind = type_of(source)
    reader = kind if isinstance(kind, HttpType) else Feed()
    asked = Request(url=source.url)
    parsed = reader.parse(fetched.body, fetched.headers, asked=asked, source=source, fetched_ms=now_ms) if good else Parsed()
    answer = Answer(status=fetched.status, headers=fetched.headers, ttl_s=parsed.ttl_s, update_s=parsed.update_s)
    form = kind_of(fetched.body, fetched.headers, parsed) if good else "other"
    return Probe(
        url=source.url,
        robots=said[-1] if said else "not reached",
        unheard=unheard[-1] if unheard else None,
        fetched=fetched,
        took_ms=now_ms - begun_ms,
        form=form,
        parsed=parsed,
        feeds=_feeds(fetched.body, base=fetched.moved_to or source.url) if form == "html" else [],
        rhythm=rhythm_of(parsed.records),
        asked_every_ms=next_poll_ms(SourceState(url=source.url), answer, now_ms, source=source) - now_ms,
    )


async def _robots(host: str, source: Source, *, fetcher: Fetcher, now_ms: int) -> tuple[Robots, str | None]:
    """What a host's robots.txt says, and why there was no answer where there was none."""

    async def anything(_: str) -> None:
        return None

    found = await fetcher.get(
        f"{host}/robots.txt", permit=anything, allow_private=source.allow_private, bytes_max=ROBOTS_BYTES_MAX, truncate=True
    )
    if found.refused:  # the address, not the publisher, forbids it
        raise RefusedError(found.reason or "refused")
    return Robots.of(found.status, found.body, now_ms=now_ms), None if found.status else found.reason


# --- what it is -----------------------------------------------------------------------------------------------------------------
def kind_of(body: bytes, headers: dict[str, str], parsed: Parsed) -> Form:
    """What an answer is, by what stands in it; its headers are only asked where that says nothing.

    >>> kind_of(b"<!doctype html><html></html>", {}, Parsed()), kind_of(b"<urlset>", {}, Parsed())
    ('html', 'sitemap')
    """
    head = body[:_HEAD_BYTES].decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    if re.search(r"<(urlset|sitemapindex)\b", head):
        return "sitemap"
    if head.startswith(("{", "[")):
        return "json feed" if _is_json_feed(body) else "json"
    if parsed.readable and re.search(r"<(rss|feed|rdf:rdf|channel)\b", head):
        return "feed"
    declared = headers.get("content-type", "").partition(";")[0].strip().lower()
    if re.search(r"<(!doctype html|html|head|body)\b", head) or declared in ("text/html", "application/xhtml+xml"):
        return "html"
    return "feed" if parsed.readable else "other"


def _is_json_feed(body: bytes) -> bool:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and str(found.get("version", "")).startswith("https://jsonfeed.org/")


def _feeds(body: bytes, *, base: str) -> list[str]:
    """Addresses of feeds that a page names in its head, in its order."""
    found: dict[str, None] = {}
    for tag in _LINK.findall(body[: 512 * 1024].decode("utf-8", "replace")):
        attributes = {name.lower(): html.unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(tag)}
        relations = attributes.get("rel", "").lower().split()
        if "alternate" in relations and attributes.get("type", "").lower() in _FEED_TYPES and attributes.get("href"):
            try:
                found[urljoin(base, attributes["href"].strip())] = None
            except ValueError:
                continue
    return list(found)[:FEEDS_MAX]


def rhythm_of(records: Sequence[RawDocument]) -> float | None:
    """Items a day, from the span of their published times; None where fewer than three say when, or all say the same.

    >>> rhythm_of([RawDocument(source="s", title="t", published_ms=n * DAY_MS // 4) for n in range(9)])
    4.0
    """
    times = sorted(record.published_ms for record in records if record.published_ms is not None)
    if len(times) < 3 or times[0] == times[-1]:
        return None
    return float(f"{(len(times) - 1) * DAY_MS / (times[-1] - times[0]):.2g}")


# --- what to do about it ----------------------------------------------------------------------------------------------------------
def advice(found: Probe, *, documented: str = "") -> str | None:
    """What is wrong and what to do next; None where a crawler could read it as it is.

    Args:
        found: what a look has shown.
        documented: where its address stands, for those that lead nowhere.
    """
    if found.works:
        return None
    fetched, status = found.fetched, found.fetched.status
    if fetched.refused and status == 0 and found.unheard:
        return f"its host does not answer ({found.unheard}), not even for robots.txt; check the address and the way to it"
    if fetched.refused and status == 0:
        return f"it may not be asked: {fetched.reason}; leave it switched off, or ask its publisher"
    if status == 0:
        return f"there was no answer: {fetched.reason}; check the address and the way to it"
    if not 200 <= status < 300:
        return _of_status(status, fetched, documented=documented)
    return _of_form(found)


def _of_status(status: int, fetched: Fetched, *, documented: str) -> str:
    if status in (401, 403):
        return f"the publisher refuses it (HTTP {status}); set catalogue.contact, so that it sees who asks, or ask the publisher"
    if status in (429, 503):
        after = fetched.headers.get("retry-after")
        return f"the publisher asks for rest (HTTP {status}); try again {f'after {after}' if after else 'in some hours'}"
    if status in (404, 410):
        where = f"at {documented}" if documented else "on its publisher's page of feeds"
        return f"nothing is there (HTTP {status}); look for its new address {where}"
    return f"HTTP {status}{f': {fetched.reason}' if fetched.reason else ''}; try again later, and look at the address in a browser"


def _of_form(found: Probe) -> str:
    if found.form == "html" and found.feeds:
        return f"this is HTML; it names a feed at {', '.join(found.feeds[:3])}: use that address"
    if found.form == "html":
        return "this is HTML and names no feed; look for one on the page, or read it with the type listing"
    if found.form in ("sitemap", "json"):
        return f"this is {'a sitemap' if found.form == 'sitemap' else 'JSON'} and no feed; read it with the type {_TYPES[found.form]}"
    if found.form == "json feed":
        return "this is a JSON Feed, and nothing could be read from it; see that it has items"
    problem = found.parsed.problem
    if found.parsed.readable:
        shown = f" ({problem})" if problem else ""
        return f"this is a feed without an item{shown}; test it again when something was published"
    return f"no item could be read: {problem or 'neither a feed nor a page'}; look at the address in a browser"


_TYPES: Final = {"sitemap": "sitemap", "json": "json_api"}
