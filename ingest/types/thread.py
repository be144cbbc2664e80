"""Forums: the posts of a thread, an index of threads, and comment APIs. An author's handle is hashed here and goes no further."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta

from groundswell.names import content_id
from groundswell.records import RawDocument
from ingest.types.base import ENTRIES_MAX, KeyedType, Parsed, Request, cut_short, link_of, unreadable
from ingest.types.charset import decoded
from ingest.types.document import document_of
from ingest.types.fields import FieldMap, compiled, json_of, search
from ingest.types.page import Page, page_of, selector, time_text, words_of
from ingest.types.times import moment_of_value, zone_of

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Thread"]

REPLIES_DEPTH_MAX: Final = 20
_SELECTORS: Final = ("threads", "count", "posts", "text", "author", "time", "title", "next")


class Thread(KeyedType, frozen=True, kw_only=True):
    """Pages of a forum thread, or a comment API."""

    about: ClassVar[str] = "the posts of a forum thread, an index of threads, or a comment API"

    format: Literal["html", "json"] = "html"  # json: items, replies and fields say where things are
    posts: str = ""  # CSS selector of one post
    text: str = ""  # selector, within a post, of its words
    author: str = ""  # selector, within a post, of the author's handle
    time: str = ""  # selector, within a post, of its time
    title: str = ""  # selector, on the page, of the thread's title
    post_id: str = "id"  # attribute of a post that identifies it among all posts of the source
    parent: str = ""  # attribute of a post that names the post it answers
    next: str = ""  # selector of the link to the next page
    threads: str = ""  # selector, on an index page, of the links to threads; then url is the index
    count: str = ""  # selector, on an index page, of each thread's number of posts: a thread is read again when it changes
    items: str = "@"  # expression that finds the list of comments
    replies: str = ""  # expression that finds the answers within a comment
    fields: FieldMap | None = None  # where each part of a comment stands
    zone: str = ""  # offset like +08:00 of times that name none; empty: UTC
    page_size: Annotated[int, Meta(ge=0, le=1_000)] = 0  # posts of a full page: places are counted on over pages; 0: on the first page only
    newest_first: bool = False  # whether a page lists the newest post first
    threads_max: Annotated[int, Meta(ge=1, le=40)] = 10  # of an index page, the first ones
    pages_max: Annotated[int, Meta(ge=1, le=50)] = 5  # of one thread in one poll

    def __post_init__(self) -> None:
        zone_of(self.zone)
        if self.format == "json":
            compiled(self.items, field="items")
            compiled(self.replies, field="replies")
            if self.fields is None:
                message = "format json needs fields, the map of a comment; write [source.how.fields]"
                raise ValueError(message)
            return
        if not self.posts:
            message = "format html needs posts, the selector of one post; write it"
            raise ValueError(message)
        for name in _SELECTORS:
            if getattr(self, name):
                selector(getattr(self, name), field=name)

    def check(self, source: "Source") -> None:
        """As every type; and authors are hashed for comments alone, so a forum has to be called one."""
        KeyedType.check(self, source)
        if source.kind != "comment":
            message = f'a thread holds comments, got kind {source.kind!r}; write kind = "comment"'
            raise ValueError(message)

    def reads_on(self) -> bool:
        """Where the oldest come first, what is new stands on the last page."""
        return not self.newest_first

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        if self.format == "json":
            return self._comments(body, headers, asked=asked, source=source, fetched_ms=fetched_ms)
        page = page_of(body, headers.get("content-type", ""))
        if self.threads and asked.role == "start":
            return self._index(page, asked)
        posts = page.all(self.posts)
        if not posts:
            return unreadable(f"{self.posts!r} finds no post on the page: the page has changed, change posts")
        title = words_of(page.first(self.title))
        known = (asked.page == 1 or self.page_size) and not self.newest_first
        first = (asked.page - 1) * self.page_size
        made = [
            self._post(page, post, asked, source, title=title, position=first + place if known else None, fetched_ms=fetched_ms)
            for place, post in enumerate(posts[:ENTRIES_MAX], start=1)
        ]
        records = [record for record in made if record is not None]
        if not self.newest_first:
            records.reverse()
        following = page.first(self.next) if asked.page < self.pages_max else None
        onward = link_of(following.get("href"), base=asked.url) if following is not None else None
        follow = [Request(url=onward, role="page", page=asked.page + 1)] if onward and onward != asked.url else []
        return Parsed(
            records=records, follow=follow, entries=len(posts), problem=cut_short(len(posts), "posts") or page.problem, readable=True
        )

    def _index(self, page: Page, asked: Request) -> Parsed:
        links = page.all(self.threads)
        if not links:
            return unreadable(f"{self.threads!r} finds no thread on the page: the page has changed, change threads")
        counts = [words_of(element) for element in page.all(self.count)]
        follow = []
        for place, link in enumerate(links[: self.threads_max]):
            url = link_of(link.get("href"), base=asked.url)
            count = counts[place] if len(counts) == len(links) else ""
            if url is not None:
                # With its number of posts a thread is asked once for each number; without one, each time.
                follow.append(Request(url=url, role="article" if count else "page", key=content_id(url, count) if count else "", page=1))
        return Parsed(follow=follow, entries=0, problem=page.problem, readable=True)

    def _post(
        self, page: Page, post: Any, asked: Request, source: "Source", *, title: str, position: int | None, fetched_ms: int
    ) -> RawDocument | None:
        when, name = time_text(page.first(self.time, post)), post.get(self.post_id)
        words = " ".join(words_of(element) for element in page.all(self.text, post)) if self.text else words_of(post)
        return document_of(
            source,
            fetched_ms=fetched_ms,
            title=title if position == 1 else "",
            text=words,
            url=f"{asked.url.partition('#')[0]}#{name}" if name else None,
            identifier=name,
            author=words_of(page.first(self.author, post)),
            language=page.root.get("lang"),
            published=moment_of_value(when, zone=zone_of(self.zone)) if when else None,
            parent=post.get(self.parent) if self.parent else None,
            position=position,
        )

    def _comments(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        text, _, problem = decoded(body, headers.get("content-type", ""))
        items = search(self.items, json_of(text))
        if not isinstance(items, list) or self.fields is None:
            return unreadable(f"{self.items!r} finds no list in the answer: change items, or the API answers something else")
        records: list[RawDocument] = []
        waiting: list[tuple[Any, str | None, int]] = [(item, None, 1) for item in reversed(items[:ENTRIES_MAX])]
        seen = 0
        while waiting and seen < ENTRIES_MAX:
            item, parent, depth = waiting.pop()
            seen += 1
            more = {"parent": parent} if parent else {}
            record = self.fields.record(item, source=source, base=asked.url, fetched_ms=fetched_ms, position=seen, **more)
            if record is not None:
                records.append(record)
            answers = search(self.replies, item)
            if isinstance(answers, list) and depth < REPLIES_DEPTH_MAX:
                name = record.id if record else None
                waiting += [(answer, name, depth + 1) for answer in reversed(answers[:ENTRIES_MAX])]
        if not self.newest_first:
            records.reverse()
        problem = cut_short(max(len(items), seen + len(waiting)), "comments") or problem
        return Parsed(records=records, entries=seen, problem=problem, readable=True)
