"""Sitemaps: news sitemaps, plain ones, and indexes of both."""

import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from groundswell.address import canonical_url
from groundswell.names import content_id
from ingest.types.article import ArticleRules, article_of
from ingest.types.base import ENTRIES_MAX, HttpType, Parsed, Request, UnreadableError, link_of, unreadable
from ingest.types.charset import decoded
from ingest.types.document import document_of
from ingest.types.times import Moment, moment_of, zone_of
from ingest.types.xml_guard import xml_tree

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Sitemap"]

UNPACKED_BYTES_MAX: Final = 10 * 1024 * 1024


class Sitemap(HttpType, frozen=True, kw_only=True):
    """News sitemaps, plain sitemaps and sitemap indexes."""

    about: ClassVar[str] = "a news sitemap, a plain sitemap, or an index of them, packed or not"

    articles: bool = True  # fetch each page; false: the titles of a news sitemap are enough
    path_prefix: str = ""  # only addresses whose path begins so
    sitemaps_max: Annotated[int, Meta(ge=1, le=20)] = 3  # of an index, the ones changed last
    urls_max: Annotated[int, Meta(ge=1, le=ENTRIES_MAX)] = 1_000  # of one sitemap, the ones changed last
    zone: str = ""  # offset like +08:00 of times that name none; empty: UTC
    article: Mapping[str, ArticleRules] = msgspec.field(default_factory=dict)  # host -> selectors for its pages

    def __post_init__(self) -> None:
        zone_of(self.zone)

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        if asked.role == "article":
            return article_of(body, headers, asked=asked, source=source, fetched_ms=fetched_ms, rules=self.article, zone=zone_of(self.zone))
        text, _, problem = decoded(_unpacked(body), headers.get("content-type", ""))
        root = xml_tree(text)
        name = _name(root)
        if name == "sitemapindex":
            return self._index(root, asked, problem)
        if name != "urlset":
            return unreadable(f"not a sitemap: its root is {name or 'missing'}")
        return self._urls(root, source, fetched_ms, problem)

    def _index(self, root: Any, asked: Request, problem: str | None) -> Parsed:
        if asked.role == "page":
            return unreadable("a sitemap index within an index")
        found = [(_moment(_child(one, "lastmod"), self.zone), link_of(_child(one, "loc"), base=asked.url)) for one in root[:ENTRIES_MAX]]
        dated = sorted((pair for pair in found if pair[1]), key=lambda pair: -(pair[0].published_ms if pair[0] else 0))
        follow = [Request(url=url, role="page", page=2) for _, url in dated[: self.sitemaps_max] if url]
        return Parsed(follow=follow, entries=0, problem=problem, readable=True)

    def _urls(self, root: Any, source: "Source", fetched_ms: int, problem: str | None) -> Parsed:
        found: list[tuple[int, str, Any]] = []
        for one in root:
            url = link_of(_child(one, "loc"), base=source.url) if _name(one) == "url" else None
            if url is not None and urlsplit(url).path.startswith(self.path_prefix):
                when = _moment(_child(one, "lastmod"), self.zone) or _moment(_child(_news(one), "publication_date"), self.zone)
                found.append((when.published_ms if when else 0, url, one))
        found.sort(key=lambda row: -row[0])  # stable: what has no date keeps the order of the file
        if len(found) > self.urls_max:
            problem = f"{len(found)} addresses, only the {self.urls_max} changed last were taken"
        requests = [self._request(url, one, source, fetched_ms) for _, url, one in found[: self.urls_max]]
        records = [] if self.articles else [request.said for request in requests if request.said is not None]
        return Parsed(records=records, follow=requests if self.articles else [], entries=len(found), problem=problem, readable=True)

    def _request(self, url: str, one: Any, source: "Source", fetched_ms: int) -> Request:
        news, changed = _news(one), _child(one, "lastmod")
        title, published = _child(news, "title"), _child(news, "publication_date")
        said = document_of(
            source,
            fetched_ms=fetched_ms,
            title=title,
            url=url,
            language=next((_child(child, "language") for child in news if _name(child) == "publication"), None),
            published=_moment(published, self.zone),
            updated=_moment(changed, self.zone),
            tickers=[symbol.strip() for symbol in _child(news, "stock_tickers").split(",") if symbol.strip()],
        )
        return Request(url=url, role="article", key=content_id(_canonical(url), changed, title), said=said)


def _news(element: Any) -> Any:
    """What a news sitemap says of an address; empty for others."""
    return next((child for child in element if _name(child) == "news"), ())


def _canonical(url: str) -> str:
    try:
        return canonical_url(url)
    except ValueError:
        return url


def _unpacked(body: bytes) -> bytes:
    """The body of a .xml.gz, which servers send as it lies there; at most UNPACKED_BYTES_MAX."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        unpacked = zlib.decompressobj(31)
        text = unpacked.decompress(body, UNPACKED_BYTES_MAX + 1)
    except zlib.error as error:
        message = f"packed, and broken: {error}"
        raise UnreadableError(message) from error
    if len(text) > UNPACKED_BYTES_MAX:
        message = f"larger than {UNPACKED_BYTES_MAX} bytes when unpacked"
        raise UnreadableError(message)
    return text


def _name(element: Any) -> str:
    tag = element.tag if element is not None and isinstance(element.tag, str) else ""
    return tag.rpartition("}")[2].lower()


def _child(element: Any, name: str) -> str:
    found = next((child for child in element if _name(child) == name), None)
    return (found.text or "").strip() if found is not None else ""


@lru_cache(maxsize=1_024)  # many addresses of a sitemap were changed on one day
def _moment(text: str, zone: str) -> Moment | None:
    return moment_of(text, zone=zone_of(zone)) if text else None
