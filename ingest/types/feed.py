"""Feeds: RSS, Atom, RDF and JSON Feed."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import feedparser
import msgspec

from groundswell.errors import reason_of
from groundswell.records import RawDocument
from ingest.types.base import (
    ENTRIES_MAX,
    TEXT_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
    HttpType,
    Parsed,
    Request,
    cut_short,
    unreadable,
    word_of,
)
from ingest.types.charset import decoded
from ingest.types.document import document_of, on_one_line
from ingest.types.times import moment_of, moment_of_value, zone_of
from ingest.types.words import text_of_html
from ingest.types.xml_guard import harmless_xml

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Feed"]

_SECONDS_OF: Final = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000, "yearly": 31_536_000}


_ENTRY: Final = re.compile(r"<(?:item|entry)[\s>]", re.IGNORECASE)


class Feed(HttpType, frozen=True, kw_only=True):
    """RSS, Atom, RDF and JSON Feed."""

    about: ClassVar[str] = "RSS, Atom, RDF or JSON Feed at the entry's url"

    zone: str = ""  # offset like +08:00 of times that name none; empty: UTC

    def __post_init__(self) -> None:
        zone_of(self.zone)

    def _parse(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        asked: Request,  # noqa: ARG002 (a feed leads nowhere)
        source: "Source",
        fetched_ms: int,
    ) -> Parsed:
        text, _, problem = decoded(body, headers.get("content-type", ""))
        if text.lstrip()[:1] == "{":
            return self._json_feed(text, source, fetched_ms)
        text, count = _first_entries(harmless_xml(text))
        found = _feedparsed(text, headers)
        entries = list(found.get("entries", []))
        made = (self._record(entry, found.feed, source, fetched_ms) for entry in entries[:ENTRIES_MAX])
        records = [record for record in made if record is not None]
        if not found.get("version") and not records:
            return unreadable(f"not a feed: {len(body)} bytes of {headers.get('content-type', 'unknown type')[:60]!r}")
        broken = f"broken: {reason_of(found.bozo_exception)[:200]}" if found.get("bozo") and "bozo_exception" in found else None
        return Parsed(
            records=records,
            entries=max(len(entries), count),
            title=_plain(found.feed, "title")[:TITLE_CHARACTERS_MAX],
            language=word_of(found.feed.get("language")),
            ttl_s=_minutes(found.feed.get("ttl")),
            update_s=_update_s(found.feed),
            problem=broken or cut_short(count, "entries") or problem,
            readable=True,
        )

    def _record(self, entry: Any, feed: Any, source: "Source", fetched_ms: int) -> RawDocument | None:
        text = _plain(entry, "summary")
        if not text and entry.get("content"):
            text = _plain({"content_detail": entry["content"][0], "content": entry["content"][0].get("value", "")}, "content")
        zone = zone_of(self.zone)
        # `updated` is asked for last: feedparser answers it from `published` with a warning.
        stamp = next((key for key in ("published", "created", "updated") if entry.get(key)), None)
        changed = "updated" if stamp in ("published", "created") and "updated" in entry else None
        return document_of(
            source,
            fetched_ms=fetched_ms,
            title=_plain(entry, "title"),
            text=text,
            url=entry.get("link"),
            identifier=entry.get("id"),
            author=entry.get("author"),
            language=feed.get("language"),
            published=moment_of(entry[stamp], entry.get(f"{stamp}_parsed"), zone=zone) if stamp else None,
            updated=moment_of(entry[changed], entry.get(f"{changed}_parsed"), zone=zone) if changed else None,
            parent=_answered(entry),
        )

    def _json_feed(self, text: str, source: "Source", fetched_ms: int) -> Parsed:
        """https://www.jsonfeed.org/version/1.1/."""
        feed = msgspec.json.decode(text)
        if not isinstance(feed, dict) or "jsonfeed.org" not in str(feed.get("version"))[:100] or not isinstance(feed.get("items"), list):
            return unreadable("not a feed: JSON without jsonfeed.org as its version and items")
        zone, items = zone_of(self.zone), [item for item in feed["items"] if isinstance(item, dict)]
        records = []
        for item in items[:ENTRIES_MAX]:
            html, plain = item.get("content_html"), item.get("content_text")
            body = text_of_html(html[: 4 * TEXT_CHARACTERS_MAX]) if isinstance(html, str) else plain if isinstance(plain, str) else ""
            summary, title = item.get("summary"), item.get("title")
            authors = item.get("authors") or [item.get("author")]
            author = authors[0].get("name") if isinstance(authors, list) and isinstance(authors[0], dict) else None
            record = document_of(
                source,
                fetched_ms=fetched_ms,
                title=text_of_html(title[: 4 * TITLE_CHARACTERS_MAX]) if isinstance(title, str) else "",
                text=body or (summary if isinstance(summary, str) else ""),
                url=item.get("url") or item.get("external_url"),
                identifier=item.get("id"),
                author=author if isinstance(author, str) else None,
                language=item.get("language") or feed.get("language"),
                published=moment_of_value(item.get("date_published"), zone=zone),
                updated=moment_of_value(item.get("date_modified"), zone=zone),
            )
            records += [record] if record else []
        title = feed.get("title")
        return Parsed(
            records=records,
            entries=len(feed["items"]),
            title=on_one_line(title)[:TITLE_CHARACTERS_MAX] if isinstance(title, str) else "",
            language=word_of(feed.get("language")),
            readable=True,
            problem=cut_short(len(items), "entries"),
        )


def _first_entries(text: str) -> tuple[str, int]:
    """The feed without the entries beyond ENTRIES_MAX, whole again, and how many there were: the parser would read them all."""
    starts = [found.start() for found in _ENTRY.finditer(text)]
    if len(starts) <= ENTRIES_MAX:
        return text, len(starts)
    end = max(text.rfind(f"</{name}>") + len(name) + 3 for name in ("item", "entry"))
    return text[: starts[ENTRIES_MAX]] + (text[end:] if end > starts[ENTRIES_MAX] else ""), len(starts)


def _feedparsed(text: str, headers: Mapping[str, str]) -> Any:
    """What feedparser makes of it; no character set is left for it to find."""
    told = {"content-type": "application/xml; charset=utf-8"}
    if "content-language" in headers:
        told["content-language"] = headers["content-language"]
    # A stream, never the bytes: feedparser takes bytes for a file's name first, and a feed must not name files here.
    # It is not told where the feed is from: it would make addresses of identifiers, and they are opaque.
    stream = io.BytesIO(text.encode("utf-8", "replace"))
    return feedparser.parse(stream, response_headers=told, sanitize_html=False, resolve_relative_uris=False)


def _plain(entry: Any, field: str) -> str:
    """A field's text, without tags unless the feed says that it is plain."""
    value = entry.get(field)
    if not isinstance(value, str):
        return ""
    kind = (entry.get(f"{field}_detail") or {}).get("type", "text/html")
    return on_one_line(text_of_html(value[: 4 * TEXT_CHARACTERS_MAX]) if kind != "text/plain" else value)


def _answered(entry: Any) -> Any:
    """What a comment answers (RFC 4685)."""
    answered = entry.get("thr_in-reply-to")
    return answered.get("ref") if isinstance(answered, dict) else None


def _minutes(value: Any) -> int | None:
    text = value.strip() if isinstance(value, str) else ""
    return int(text) * 60 if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _update_s(feed: Any) -> int | None:
    period = _SECONDS_OF.get(str(feed.get("sy_updateperiod", "")).strip().lower())
    often = str(feed.get("sy_updatefrequency", "1")).strip()
    frequency = int(often) if often.isascii() and often.isdigit() and len(often) <= 5 else 0
    return period // frequency if period and frequency else period
