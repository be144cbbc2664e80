"""A raw document from what a source says: one place for its limits, its language, its author's hash and its tickers."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from groundswell.names import content_id
from groundswell.records import RawDocument
from ingest.types.base import TEXT_CHARACTERS_MAX, TITLE_CHARACTERS_MAX, link_of, name_of, word_of
from ingest.types.times import Moment
from ingest.types.words import TICKERS_MAX, tickers_in, without_surrogates

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["document_of", "on_one_line"]

_BLANKS: Final = re.compile(r"\s+")


def on_one_line(text: str) -> str:
    """The text with its blanks folded."""
    return _BLANKS.sub(" ", without_surrogates(text)).strip()


def document_of(
    source: "Source",
    *,
    fetched_ms: int,
    title: str = "",
    text: str = "",
    url: object = None,
    base: str = "",
    identifier: object = None,
    author: str | None = None,
    language: object = None,
    published: Moment | None = None,
    updated: Moment | None = None,
    tickers: Sequence[object] = (),
    parent: object = None,
    position: int | None = None,
    asked_url: str | None = None,
) -> RawDocument | None:
    """A record, or None where there is no word in it.

    Args:
        source: its entry; its language stands for whatever the source claims, its kind, owner, tier and role go along.
        fetched_ms: when it was fetched.
        title: plain text.
        text: plain text, the lead or the body.
        url: its address as the source gives it.
        base: what a relative address is relative to.
        identifier: the source's own.
        author: a handle; kept as a hash for comments, and not at all for anything else.
        language: as the source claims.
        published: when it says that it was published.
        updated: when it says that it was changed last.
        tickers: symbols as the source gives them; those in the words are added.
        parent: identifier of what it answers.
        position: its place in a thread.
        asked_url: where it was read.
    """
    title, text = on_one_line(title)[:TITLE_CHARACTERS_MAX], on_one_line(text[: 4 * TEXT_CHARACTERS_MAX])[:TEXT_CHARACTERS_MAX]
    if not title and not text:
        return None
    link, handle = link_of(url, base=base or source.url), on_one_line(author or "")
    given = [name[:20] for name in map(name_of, tickers) if name]
    found = list(dict.fromkeys([*given, *tickers_in(f"{title}\n{text[:10_000]}")]))[:TICKERS_MAX]
    return RawDocument(
        source=source.name,
        title=title,
        kind=source.kind,
        text=text,
        url=link,
        id=name_of(identifier),
        author_hash=content_id("author", source.name, handle) if handle and source.kind == "comment" else None,
        owner=source.owner,
        language=source.language or word_of(language),
        published_ms=published.published_ms if published else None,
        published_precision=published.precision if published else "second",
        fetched_ms=fetched_ms,
        updated_ms=updated.published_ms if updated else None,
        tickers=found,
        parent_id=name_of(parent),
        thread_position=position,
        asked_url=asked_url if asked_url and asked_url != link else None,
        tier=source.tier,
        role=source.role,
    )
