"""A map from somebody's JSON to records: JMESPath expressions in the catalogue, compiled when the catalogue is read."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import jmespath
import msgspec

from groundswell.records import RawDocument
from ingest.types.base import TEXT_CHARACTERS_MAX, UnreadableError, name_of
from ingest.types.document import document_of
from ingest.types.times import moment_of_value, zone_of
from ingest.types.words import text_of_html

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["FieldMap", "json_of", "search", "text_value"]

PARTS_MAX: Final = 200


class FieldMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where each part of a record stands in one item; an empty expression: nowhere."""

    title: str = ""  # one of title and text is needed
    text: str = ""  # lead or body, with or without tags
    url: str = ""  # whole, or relative to the API's address
    id: str = ""  # the source's own identifier: what an edit is recognised by
    author: str = ""  # a handle; hashed for comments, dropped for anything else
    language: str = ""  # code, where the entry has none
    published: str = ""  # ISO 8601, the form of mail, digits in the Chinese order, or seconds or milliseconds since 1970
    updated: str = ""  # as published
    tickers: str = ""  # a symbol, or a list of them
    parent: str = ""  # id of what it answers
    link: str = ""  # no expression: an address with {id} in it, where items have an id and no address
    zone: str = ""  # no expression: offset like +08:00 of times that name none; empty: UTC

    def __post_init__(self) -> None:
        if not self.title and not self.text:
            message = "a field map names title or text, or both; write the expression of one"
            raise ValueError(message)
        for name in self.__struct_fields__:
            if name not in ("link", "zone"):
                compiled(getattr(self, name), field=name)
        zone_of(self.zone)

    def record(
        self, item: Any, *, source: "Source", base: str, fetched_ms: int, position: int | None = None, **more: Any
    ) -> RawDocument | None:
        """The record of one item, or None where it has no word."""
        identifier, zone = search(self.id, item), zone_of(self.zone)
        url = search(self.url, item)
        if not url and self.link and (name := name_of(identifier)):
            url = self.link.replace("{id}", quote(name, safe=""))
        tickers = search(self.tickers, item)
        given: dict[str, Any] = {
            "title": text_value(search(self.title, item)),
            "text": text_value(search(self.text, item)),
            "url": url,
            "base": base,
            "identifier": identifier,
            "author": text_value(search(self.author, item)),
            "language": search(self.language, item),
            "published": moment_of_value(search(self.published, item), zone=zone),
            "updated": moment_of_value(search(self.updated, item), zone=zone),
            "tickers": tickers if isinstance(tickers, list) else [tickers],
            "parent": search(self.parent, item),
            "position": position,
        }
        return document_of(source, fetched_ms=fetched_ms, **(given | more))


@lru_cache(maxsize=1_000)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def compiled(expression: str, *, field: str) -> Any:
    """A JMESPath expression, ready to search with; None for an empty one.

    Raises:
        ValueError: it is none; the text names field, value and place.
    """
    if not expression:
        return None
    try:
        return _compiled(expression)
    except jmespath.exceptions.JMESPathError as error:
        message = f"{field} is not a JMESPath expression: {' '.join(str(error).split())[:200]}; correct it"
        raise ValueError(message) from error


def search(expression: str, value: Any) -> Any:
    """What an expression finds; None for an empty one, and where the value is not what it expects."""
    if not expression:
        return None
    try:
        return _compiled(expression).search(value)
    except jmespath.exceptions.JMESPathError:  # a function of it met a value of another type
        return None


def text_value(value: Any) -> str:
    """Words from whatever stands there: text with or without tags, a number, a list of texts.

    >>> text_value(["<p>a</p>", "b"]), text_value(None), text_value(3)
    ('a b', '', '3')
    """
    if isinstance(value, list):
        return " ".join(filter(None, (text_value(one) for one in value[:PARTS_MAX] if not isinstance(one, (list, dict)))))
    if isinstance(value, str):
        return text_of_html(value[: 4 * TEXT_CHARACTERS_MAX])
    return (name_of(value) or "") if isinstance(value, int) else ""


def json_of(text: str) -> Any:
    """The value of some JSON.

    Raises:
        UnreadableError: it is none; deeper than the reader goes is none either.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"not JSON: {error}"[:200]
        raise UnreadableError(message) from error
