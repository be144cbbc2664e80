"""JSON APIs by configuration: where the items are, how each field is called, how the next page is asked for."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Meta

from ingest.types.base import ENTRIES_MAX, KeyedType, Parsed, Request, cut_short, link_of, name_of, unreadable
from ingest.types.charset import decoded
from ingest.types.fields import FieldMap, compiled, json_of, search

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["JsonApi", "with_parameters"]

_NEXT: Final = re.compile(r"<([^<>]{1,2000})>\s*;[^,]{0,200}?\brel\s*=\s*\"?next\b", re.IGNORECASE)


class JsonApi(KeyedType, frozen=True, kw_only=True):
    """Any API that answers JSON."""

    about: ClassVar[str] = "an API that answers JSON, by a map of its fields"

    fields: FieldMap  # where each part of a record stands in an item
    items: str = "@"  # expression that finds the list of items
    newest_first: bool = True  # false: the API lists the oldest first
    paging: Literal["none", "page", "offset", "cursor", "link"] = "none"  # how the next page is asked for; link: the Link header
    page_parameter: str = "page"  # parameter that holds the page's number, or the offset
    page_first: Annotated[int, Meta(ge=0, le=1)] = 1  # number of the first page
    page_size: Annotated[int, Meta(ge=1, le=5_000)] = 100  # items of a full page, for offset; a shorter one is the last
    cursor: str = ""  # expression that finds the cursor, or the whole address, of the next page
    cursor_parameter: str = "cursor"  # parameter that the cursor goes back in
    pages_max: Annotated[int, Meta(ge=1, le=50)] = 5  # of one poll; reading ends earlier at a page without anything new

    def __post_init__(self) -> None:
        compiled(self.items, field="items")
        compiled(self.cursor, field="cursor")
        if self.paging == "cursor" and not self.cursor:
            message = "paging by cursor needs the expression that finds it; write cursor"
            raise ValueError(message)

    def reads_on(self) -> bool:
        """Where the oldest come first, what is new stands on the last page."""
        return not self.newest_first

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        text, _, problem = decoded(body, headers.get("content-type", ""))
        answer = json_of(text)
        items = search(self.items, answer)
        if not isinstance(items, list):
            return unreadable(f"{self.items!r} finds no list in the answer: change items, or the API answers something else")
        read = items[:ENTRIES_MAX]
        made = (self.fields.record(item, source=source, base=asked.url, fetched_ms=fetched_ms) for item in read)
        records = [record for record in made if record is not None]
        if read and not records:
            return unreadable(f"no item of {len(items)} has a title or a text: change the expressions in fields")
        if not self.newest_first:
            records.reverse()
        following = self._next(answer, items, headers, asked) if asked.page < self.pages_max else None
        follow = [Request(url=following, role="page", page=asked.page + 1)] if following and following != asked.url else []
        return Parsed(records=records, follow=follow, entries=len(items), problem=cut_short(len(items), "items") or problem, readable=True)

    def _next(self, answer: Any, items: list[Any], headers: Mapping[str, str], asked: Request) -> str | None:
        if not items:
            return None
        if self.paging == "link":
            found = _NEXT.search(headers.get("link", "")[:10_000])
            return link_of(found[1], base=asked.url) if found else None
        if self.paging == "cursor":
            cursor = name_of(search(self.cursor, answer))
            if cursor and cursor.startswith(("http://", "https://", "/")):
                return link_of(cursor, base=asked.url)
            return with_parameters(asked.url, {self.cursor_parameter: cursor}) if cursor else None
        if self.paging == "none" or (self.paging == "offset" and len(items) < self.page_size):
            return None
        number = self.page_first + asked.page if self.paging == "page" else asked.page * self.page_size
        return with_parameters(asked.url, {self.page_parameter: str(number)})


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """The address with some parameters set, in place of those of the same name.

    >>> with_parameters("https://api.example/news?page=1&q=a", {"page": "2"})
    'https://api.example/news?q=a&page=2'
    """
    if not parameters:
        return url
    parts = urlsplit(url)
    pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in parameters]
    return urlunsplit(parts._replace(query=urlencode([*pairs, *parameters.items()])))
