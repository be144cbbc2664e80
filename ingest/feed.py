"""RSS, Atom and RDF: bytes of a feed in, raw documents out. Pure: no network, no clock, and no input makes it raise."""

import html
import io
import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import feedparser
import msgspec

from groundswell.errors import reason_of
from groundswell.names import DAY_MS, content_id
from groundswell.records import Precision, RawDocument
from ingest.catalogue import Source

__all__ = ["Moment", "Parsed", "moment_of", "parse", "text_of_html"]

ENTRIES_MAX: Final = 5_000  # of one answer
TITLE_CHARACTERS_MAX: Final = 2_000
TEXT_CHARACTERS_MAX: Final = 100_000
NAME_CHARACTERS_MAX: Final = 2_000  # of a link or an identifier; a longer one is no name
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_OF: Final = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000, "yearly": 31_536_000}

# Zone names that feeds use and that the mail standard does not know; without this they would be taken for UTC.
_ZONES: Final = {
    "CET": "+0100", "CEST": "+0200", "BST": "+0100", "WEST": "+0100", "EET": "+0200", "EEST": "+0300", "MSK": "+0300",
    "HKT": "+0800", "SGT": "+0800", "JST": "+0900", "KST": "+0900", "AEST": "+1000", "AEDT": "+1100", "NZST": "+1200", "NZDT": "+1300",
}  # fmt: skip


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer holds."""

    records: list[RawDocument]
    entries: int = 0  # in the feed, those without a word included
    title: str = ""
    language: str | None = None  # as the feed claims
    ttl_s: int | None = None  # <ttl>: how long the publisher says it may be kept
    update_s: int | None = None  # sy:updatePeriod / sy:updateFrequency
    problem: str | None = None  # what is wrong with it; records may have been recovered all the same
    is_feed: bool = False


class Moment(NamedTuple):
    """A published time as far as the feed gives it."""

    published_ms: int  # of a bare day: its last millisecond, as in archives
    precision: Precision


def parse(body: bytes, headers: Mapping[str, str], *, source: Source, fetched_ms: int) -> Parsed:
    """The documents of a feed, in its order.

    Args:
        body: the answer, unpacked.
        headers: of the answer, names in any case; the character set of `Content-Type` is believed first.
        source: its entry in the catalogue.
        fetched_ms: when it was fetched.

    >>> rss = b"<rss version='2.0'><channel><item><title>Bank raises rates</title><guid>7</guid></item></channel></rss>"
    >>> parsed = parse(rss, {}, source=Source(name="s", owner="o", url="https://news.example/rss"), fetched_ms=0)
    >>> [(record.id, record.title, record.published_ms) for record in parsed.records]
    [('7', 'Bank raises rates', None)]
    """
    lowered = {name.lower(): value for name, value in headers.items() if name.lower() in ("content-type", "content-language")}
    try:
        # A stream, never the bytes: feedparser takes bytes for a file's name first, and a feed must not name files here.
        # It is not told where the feed is from: it would make addresses of identifiers, and they are opaque.
        found = feedparser.parse(io.BytesIO(body), response_headers=lowered, sanitize_html=False, resolve_relative_uris=False)
        entries = list(found.get("entries", []))
        records = [record for entry in entries[:ENTRIES_MAX] if (record := _record(entry, found.feed, source, fetched_ms)) is not None]
        is_feed = bool(found.get("version")) or bool(records)
        return Parsed(
            records=records,
            entries=len(entries),
            title=_plain(found.feed, "title")[:TITLE_CHARACTERS_MAX],
            language=_word(found.feed.get("language")),
            ttl_s=_minutes(found.feed.get("ttl")),
            update_s=_update_s(found.feed),
            problem=_problem(found)
            if is_feed
            else f"not a feed: {len(body)} bytes of {lowered.get('content-type', 'unknown type')[:60]!r}",
            is_feed=is_feed,
        )
    except Exception as error:  # whatever a parser of the outside world stumbles over is a fact about the feed
        return Parsed(records=[], problem=f"unreadable: {type(error).__name__}: {reason_of(error)[:200]}")


def _problem(found: Any) -> str | None:
    return f"broken: {reason_of(found.bozo_exception)[:200]}" if found.get("bozo") and "bozo_exception" in found else None


def _record(entry: Any, feed: Any, source: Source, fetched_ms: int) -> RawDocument | None:
    title, text = _plain(entry, "title")[:TITLE_CHARACTERS_MAX], _plain(entry, "summary")
    if not text and entry.get("content"):
        text = _plain({"content_detail": entry["content"][0], "content": entry["content"][0].get("value", "")}, "content")
    if not title and not text:
        return None
    # `updated` is asked for last: feedparser answers it from `published` with a warning.
    stamp = next((key for key in ("published", "created", "updated") if entry.get(key)), None)
    moment = moment_of(entry[stamp], entry.get(f"{stamp}_parsed")) if stamp else None
    author = entry.get("author") if source.kind == "comment" else None
    return RawDocument(
        source=source.name,
        title=title,
        kind=source.kind,
        text=text[:TEXT_CHARACTERS_MAX],
        url=_link(entry.get("link"), base=source.url),
        id=_name(entry.get("id")),
        author_hash=content_id("author", source.name, author) if author else None,
        owner=source.owner,
        language=source.language or _word(feed.get("language")),
        published_ms=moment.published_ms if moment else None,
        published_precision=moment.precision if moment else "second",
        fetched_ms=fetched_ms,
    )


def _plain(entry: Any, field: str) -> str:
    """A field's text, without tags unless the feed says that it is plain."""
    value = entry.get(field)
    if not isinstance(value, str):
        return ""
    kind = (entry.get(f"{field}_detail") or {}).get("type", "text/html")
    value = text_of_html(value[: 4 * TEXT_CHARACTERS_MAX]) if kind != "text/plain" else value
    # Half a surrogate pair cannot be written as UTF-8, and no reader could show it.
    return re.sub(r"\s+", " ", re.sub("[\ud800-\udfff]", "", value)).strip()


def _name(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    cleaned = re.sub("[\ud800-\udfff]", "", value).strip()
    return cleaned if 0 < len(cleaned) <= NAME_CHARACTERS_MAX else None


def _word(value: Any) -> str | None:
    name = _name(value)
    return name[:35] if name else None


def _link(value: Any, *, base: str) -> str | None:
    name = _name(value)
    try:
        link = _name(urljoin(base, name)) if name else None
        return link if link and urlsplit(link).scheme in ("http", "https") and urlsplit(link).hostname else None
    except ValueError:
        return None


# --- times ----------------------------------------------------------------------------------------------------------------
def moment_of(text: str, fallback: Any = None) -> Moment | None:
    """A published time from what a feed says; without a zone it is UTC.

    Args:
        text: ISO 8601 or the form of mail ("Mon, 02 Mar 2026 09:30:00 CET").
        fallback: feedparser's own reading, a UTC time tuple, for every other form.

    >>> moment_of("Mon, 02 Mar 2026 09:30:00 CET") == moment_of("2026-03-02T08:30:00Z") == Moment(1772440200000, "second")
    True
    >>> moment_of("2026-03-02T08:30Z").precision, moment_of("2026-03-02").precision, moment_of("soon")
    ('minute', 'day', None)
    """
    text = text.strip()[:100]
    clock = re.search(r"\d{1,2}:\d{2}(:\d{2})?", text)
    precision: Precision = "day" if clock is None and not re.search(r"\d{8}T\d{4}", text) else "second" if clock and clock[1] else "minute"
    when = _when(text) or _of_tuple(fallback)
    if when is None:
        return None
    ms = (when - _EPOCH) // timedelta(milliseconds=1)
    if precision == "day":
        ms = ms - ms % DAY_MS + DAY_MS - 1
    return Moment(ms, precision)


def _when(text: str) -> datetime | None:
    zone = text.rpartition(" ")[2].upper()
    mail = text[: -len(zone)] + _ZONES[zone] if zone in _ZONES else text
    for read, value in ((datetime.fromisoformat, text), (parsedate_to_datetime, mail)):
        try:
            when = read(value)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _of_tuple(value: Any) -> datetime | None:
    try:
        return _EPOCH + timedelta(seconds=timegm(value)) if value else None
    except (ValueError, OverflowError, TypeError):
        return None


def _minutes(value: Any) -> int | None:
    match = re.fullmatch(r"\s*(\d{1,6})\s*", value) if isinstance(value, str) else None
    return int(match[1]) * 60 if match else None


def _update_s(feed: Any) -> int | None:
    period = _SECONDS_OF.get(str(feed.get("sy_updateperiod", "")).strip().lower())
    frequency = re.fullmatch(r"\s*([1-9]\d{0,4})\s*", str(feed.get("sy_updatefrequency", "1")))
    return period // int(frequency[1]) if period and frequency else period


# --- tags -----------------------------------------------------------------------------------------------------------------
# Every pattern stops at the next "<", so that the whole is linear: Python's own HTMLParser took 84 s for 60 kB of "<a " here.
_MARK: Final = re.compile(r"""<!--|<(?P<end>/?)(?P<tag>[A-Za-z][A-Za-z0-9:-]{0,30})(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>|<[!?/A-Za-z][^<>]*+>""")
_UNREAD: Final = frozenset({"script", "style", "template", "noscript", "iframe", "object"})
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "cite", "code", "em", "font", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u"}
)
_HUGE_REFERENCE: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{7,});?")


def text_of_html(markup: str) -> str:
    """What a reader sees of some HTML, on one line; a word is not cut by an inline tag nor glued by a block tag.

    >>> text_of_html("<p>Rates <b>ri</b>se</p><p>AT&amp;T falls<script>x()</script></p>")
    'Rates rise AT&T falls'
    """
    parts, place = [], 0
    while (found := _MARK.search(markup, place)) is not None:
        parts.append(markup[place : found.start()])
        place, tag = found.end(), (found["tag"] or "").lower()
        parts.append("" if tag in _INLINE else " ")
        if found[0] == "<!--":
            end = markup.find("-->", place)
            place = end + 3 if end >= 0 else len(markup)
        elif tag in _UNREAD and not found["end"] and not found[0].endswith("/>"):
            close = re.compile(rf"</{tag}\b", re.IGNORECASE).search(markup, place)
            place = close.start() if close else len(markup)
    parts.append(markup[place:])
    seen = html.unescape(_HUGE_REFERENCE.sub("\ufffd", "".join(parts)))
    return re.sub(r"\s+", " ", seen).strip()
