"""WARC: pages as a web crawler kept them. One item for each HTML page that was answered with 200; all else is passed over.

A page's published time is what the page itself says of it, with the precision that it has there; its known time is WARC-Date, which
the crawler recorded as it fetched the page. Line numbers are record numbers.
"""

import re
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from groundswell.errors import ArchiveLineError, reason_of
from groundswell.records import Precision
from ingest.archives.lines import Item, Rules
from ingest.archives.packed import Meter, opened
from ingest.types.article import article_of
from ingest.types.base import Request, UnreadableError

__all__ = ["page_fields", "warc_items"]

HTML_BYTES_MAX: Final = 4 * 1024**2  # a longer page is no article, and extraction would take minutes
_MARKUP: Final = frozenset({"text/html", "application/xhtml+xml"})


def warc_items(path: Path, rules: Rules, meter: Meter | None) -> Generator[Item, None, None]:
    """Each page of a WARC file.

    Raises:
        ArchiveLineError: (on the first step) it is no WARC file.
        OSError: (later) it breaks off, or unpacks without end.
    """
    from warcio.archiveiterator import ArchiveIterator

    number = 0
    with opened(path, meter) as stream:
        records = iter(ArchiveIterator(_Pieces(stream)))
        while True:
            try:
                record = next(records, None)
            except OSError:  # the file itself breaks off
                raise
            except Exception as error:  # the reader has no one name for what it stumbles over, and cannot go on behind it
                problem = f"not a WARC record ({type(error).__name__}: {reason_of(error)[:200]})"
                if number == 0:
                    message = f"{path.name}, record 1: {problem}; fetch the file again"
                    raise ArchiveLineError(message) from error
                raise OSError(problem) from error
            if record is None:
                return
            number += 1
            if number > rules.start_line and _is_page(record):
                yield _item(number, record)


class _Pieces:
    """A stream that gives out what it has before it says that it is broken."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.read1(size)  # type: ignore[attr-defined,no-any-return]

    def close(self) -> None:
        """Nothing: whoever opened it closes it."""


def _is_page(record: Any) -> bool:
    """Whether a record is an answer with a page in it: a crawl also holds requests, pictures, redirects and errors."""
    if record.rec_type != "response" or record.http_headers is None:
        return False
    kind = (record.http_headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()
    return record.http_headers.get_statuscode() == "200" and kind in _MARKUP


def _item(number: int, record: Any) -> Item:
    url = record.rec_headers.get_header("WARC-Target-URI") or ""
    shown = url[:2_000].encode()
    try:
        body = record.content_stream().read(HTML_BYTES_MAX + 1)
    except OSError:  # the file itself breaks off
        raise
    except Exception as error:  # whatever a packing inside the answer stumbles over is a fact about this page
        return Item(number, shown, None, f"the page cannot be unpacked ({type(error).__name__}: {reason_of(error)[:100]}); leave it out")
    missing = getattr(record.raw_stream, "limit", 0)  # a record that does not say its length has none
    if missing and len(body) <= HTML_BYTES_MAX:
        message = f"record {number} breaks off {missing:,} bytes before its end"
        raise EOFError(message)
    if len(body) > HTML_BYTES_MAX:
        return Item(number, shown, None, f"the page is longer than {HTML_BYTES_MAX // 1024**2} MB; leave it out")
    charset = re.search(r"charset\s*=\s*[\"']?([\w-]{1,30})", record.http_headers.get_header("Content-Type") or "", re.IGNORECASE)
    fields = page_fields(body, url=url, charset=charset[1] if charset else None)
    if fields is None:
        return Item(number, shown, None, "no article was found in the page; leave it out")
    known = {"known_at": record.rec_headers.get_header("WARC-Date"), "known_basis": "recorded"}
    return Item(number, shown, fields | known)


def page_fields(body: bytes, *, url: str, charset: str | None) -> dict[str, Any] | None:
    """An archive line's fields from a page, as a crawler would read it; None where no article is found in it.

    Args:
        body: the page.
        url: where it was.
        charset: as the answer's headers say.
    """
    from ingest.catalogue import Source

    host = _host(url)
    if not host:
        return {"source": "", "url": url, "title": ""}
    headers = {"content-type": f"text/html; charset={charset}" if charset else "text/html"}
    page = Source(name=host, owner=host, url=url)
    try:
        found = article_of(body, headers, asked=Request(url=url), source=page, fetched_ms=0, rules={}, zone=UTC)
    except UnreadableError:
        return None
    if not found.records:
        return None
    record = found.records[0]
    return {
        "source": host,
        "url": url,
        "title": record.title,
        "text": record.text,
        "language": record.language,
        "published_at": _said(record.published_ms, record.published_precision),
    }


def _said(published_ms: int | None, precision: Precision) -> str | None:
    """A published time as an archive line says it: of a day, the day."""
    if published_ms is None:
        return None
    moment = datetime.fromtimestamp(published_ms / 1_000, UTC)
    return moment.date().isoformat() if precision == "day" else moment.isoformat(timespec=f"{precision}s")


def _host(url: str) -> str:
    """Who is named as the source; empty where the address is none, which makes a bad line."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
