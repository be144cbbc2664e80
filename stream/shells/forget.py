"""Forget: the texts of one document, source or author go, or those that were kept long enough; what was counted stays.

An author is known by a hash for each source (ingest/types/document.py, ingest/archives/lines.py): a name finds what it wrote, unstored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select, true

from groundswell.codec import decode_raw
from groundswell.errors import NotFoundError, RecordError
from groundswell.names import LIVE_RUN, content_id
from groundswell.records import RawDocument
from groundswell.store import schema as t
from groundswell.store.removals import expired, remove_drop_bytes, remove_texts, removed_already, written_by
from groundswell.store.store import Store
from stream.shells.replay import document_id_of


@dataclass(frozen=True)
class Forgotten:
    """What went."""

    texts: int
    drops: int
    already: int  # texts that had gone before


def forget_document(store: Store, document_id: str, *, now_ms: int) -> Forgotten:
    """Every content of one document, and drops whose bytes can still be read as it.

    Raises:
        NotFoundError: no such document.
    """

    def holds(body: bytes) -> bool:
        raw = _document_in(body)
        return raw is not None and document_id_of(raw) == document_id

    which = t.documents.c.document_id == document_id
    return _forget(store, which, true(), f"document {document_id!r}", reason="document", now_ms=now_ms, holds=holds)


def forget_source(store: Store, source: str, *, now_ms: int) -> Forgotten:
    """Everything that a source brought so far; `file:NAME` stands for the lines of an archive that could not be read.

    Raises:
        NotFoundError: nothing is stored of that source.
    """
    which, drops = t.documents.c.source == source, t.drops.c.source == source
    return _forget(store, which, drops, f"source {source!r}", reason="source", now_ms=now_ms)


def forget_author(store: Store, author: str, *, now_ms: int) -> Forgotten:
    """Everything by one author, of any source; `author` is the name as its sources give it, or its hash.

    Raises:
        NotFoundError: nothing is stored of that author.
    """
    with store.read() as connection:
        owners = written_by(connection, lambda source: content_id("author", source, author), author)

    def holds(body: bytes) -> bool:
        raw = _document_in(body)
        if raw is not None:
            return raw.author_hash in owners or raw.owner in owners
        return any(owner.encode() in body for owner in owners)  # cannot be read, so its bytes are searched

    which = t.documents.c.owner.in_(owners)
    return _forget(store, which, true(), "this author", reason="author", now_ms=now_ms, holds=holds)


def forget_expired(store: Store, *, days: int, by_source: Mapping[str, int], now_ms: int, archives: bool = False) -> Forgotten:
    """Texts and dropped bytes that have been kept for longer than they may be, counted from their known time.

    Args:
        store: where they are.
        days: how long; 0: for ever.
        by_source: {source: days} where a source has its own.
        now_ms: the wall clock.
        archives: also what was not fetched by a crawler. An archive's known times may be years ago, and it is yours: without
            this, its texts stay until they are forgotten by name.
    """
    d, p = t.documents.c, t.drops.c
    which = expired(d.known_ms, d.source, now_ms=now_ms, days=days, by_source=by_source)
    drops = expired(p.known_ms, p.source, now_ms=now_ms, days=days, by_source=by_source)
    if not archives:
        which, drops = and_(which, d.fetched_ms > 0), and_(drops, p.run == LIVE_RUN)
    texts = remove_texts(store, which, reason="retention", now_ms=now_ms)
    return Forgotten(texts, remove_drop_bytes(store, drops, now_ms=now_ms), 0)


def _forget(
    store: Store,
    which: ColumnElement[bool],
    drops: ColumnElement[bool],
    what: str,
    *,
    reason: str,
    now_ms: int,
    holds: Callable[[bytes], bool] = lambda _: True,
) -> Forgotten:
    with store.read() as connection:
        already = removed_already(connection, which)
        there = already or connection.execute(select(t.documents.c.document_id).where(which).limit(1)).first() is not None
    texts = remove_texts(store, which, reason=reason, now_ms=now_ms)
    bodies = remove_drop_bytes(store, drops, now_ms=now_ms, holds=holds)
    if not there and not bodies:
        error = f"{what}: no text is stored of it; a document's id is in its dossier, a source's name on the Sources page"
        raise NotFoundError(error)
    return Forgotten(texts, bodies, already)


def _document_in(body: bytes) -> RawDocument | None:
    try:
        raw = decode_raw(body)
    except RecordError:
        return None
    return raw if isinstance(raw, RawDocument) else None
