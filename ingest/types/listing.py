"""HTML listings: a page of headlines by CSS selectors, and the article behind each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from groundswell.address import canonical_url
from groundswell.names import content_id
from ingest.types.article import ArticleRules, article_of
from ingest.types.base import ENTRIES_MAX, HttpType, Parsed, Request, cut_short, link_of, unreadable
from ingest.types.document import document_of
from ingest.types.page import Page, page_of, selector, time_text, words_of
from ingest.types.times import moment_of_value, zone_of

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Listing"]


class Listing(HttpType, frozen=True, kw_only=True):
    """A page that lists articles."""

    about: ClassVar[str] = "a page of HTML that lists articles, and the articles"

    items: str  # CSS selector of what holds one headline
    link: str = "a[href]"  # selector, within an item, of the link; an item that is a link itself needs none
    title: str = ""  # selector, within an item, of the headline; empty: the words of the link
    lead: str = ""  # selector, within an item, of the lead; used where articles is false
    time: str = ""  # selector, within an item, of the time: its attribute datetime, or its words
    zone: str = ""  # offset like +08:00 of times that name none; empty: UTC
    articles: bool = True  # fetch each article; false: headline and lead are enough
    next: str = ""  # selector of the link to the next page
    pages_max: Annotated[int, Meta(ge=1, le=20)] = 1  # of one poll; reading ends earlier at a page without anything new
    article: Mapping[str, ArticleRules] = msgspec.field(default_factory=dict)  # host -> selectors for its pages

    def __post_init__(self) -> None:
        for name in ("items", "link", "title", "lead", "time", "next"):
            if getattr(self, name):
                selector(getattr(self, name), field=name)
        zone_of(self.zone)

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        if asked.role == "article":
            return article_of(body, headers, asked=asked, source=source, fetched_ms=fetched_ms, rules=self.article, zone=zone_of(self.zone))
        page = page_of(body, headers.get("content-type", ""))
        items = page.all(self.items)
        if not items:
            return unreadable(f"{self.items!r} finds nothing on the page: the page has changed, change items")
        requests: dict[str, Request] = {}
        for item in items[:ENTRIES_MAX]:
            request = self._item(page, item, asked, source, fetched_ms)
            if request is not None:
                requests.setdefault(request.key, request)
        if not requests:
            return unreadable(f"no item of {len(items)} has a link and a headline: change link or title")
        following = page.first(self.next) if asked.page < self.pages_max else None
        onward = link_of(following.get("href"), base=asked.url) if following is not None else None
        pages = [Request(url=onward, role="page", page=asked.page + 1)] if onward and onward != asked.url else []
        records = [] if self.articles else [request.said for request in requests.values() if request.said is not None]
        follow = [*pages, *(requests.values() if self.articles else ())]
        return Parsed(
            records=records, follow=follow, entries=len(requests), problem=cut_short(len(items), "items") or page.problem, readable=True
        )

    def _item(self, page: Page, item: Any, asked: Request, source: "Source", fetched_ms: int) -> Request | None:
        anchor = item if item.tag == "a" and item.get("href") else page.first(self.link, item)
        url = link_of(anchor.get("href"), base=asked.url) if anchor is not None else None
        title = words_of(page.first(self.title, item)) if self.title else words_of(anchor)
        when = time_text(page.first(self.time, item))
        said = document_of(
            source,
            fetched_ms=fetched_ms,
            title=title,
            text=words_of(page.first(self.lead, item)),
            url=url,
            language=page.root.get("lang"),
            published=moment_of_value(when, zone=zone_of(self.zone)) if when else None,
        )
        if url is None or said is None or not title:
            return None
        try:
            # Another headline is another key, so that an article whose headline was changed is read again.
            return Request(url=url, role="article", key=content_id(canonical_url(url), title), said=said)
        except ValueError:
            return None
