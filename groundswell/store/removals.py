"""Removing text: what strangers wrote goes, what was counted from it stays.

    documents   title, text and address blanked; the row stays, so the same content, met again, brings nothing back
    search      terms and facets blanked in the same transaction; here too the row stays
    drops       bytes blanked
    removals    one row for each (document, content): since when its text is gone, and why
Hashes, integers, scores, admissions and alerts stay as they are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, false, func, not_, or_, select, tuple_, update

from groundswell.names import DAY_MS
from groundswell.records import Alert, Position
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.drops import mark_drops
from groundswell.store.search import forget_texts
from groundswell.store.store import Store

CHUNK: Final = 500
"""Rows of one transaction: workers that write at the same time wait for one at most."""

D, R = t.documents.c, t.removals.c
PLACE: Final = (t.drops.c.run, t.drops.c.part, t.drops.c.position, t.drops.c.place)


def remove_texts(store: Store, which: ColumnElement[bool], *, reason: str, now_ms: int) -> int:
    """Remove the texts of documents; a call that was killed goes on where it stopped.

    Args:
        store: where they are.
        which: a condition on the table of documents.
        reason: what is remembered of it; never a name.
        now_ms: the wall clock.

    Returns:
        How many were removed now.
    """
    is_left = and_(which, not_(exists().where(R.document_id == D.document_id, R.content_hash == D.content_hash)))
    key = tuple_(D.document_id, D.content_hash)
    after: tuple[Any, ...] | None = None
    removed = 0
    while True:
        with store.write() as connection:
            found = select(D.document_id, D.content_hash).where(is_left if after is None else and_(is_left, key > tuple_(*after)))
            keys = [tuple(row) for row in connection.execute(found.order_by(D.document_id, D.content_hash).limit(CHUNK))]
            if not keys:
                return removed
            these = key.in_(keys)
            connection.execute(update(t.documents).where(these).values(title="", text="", url=None))
            forget_texts(connection, keys)
            rows = [{"document_id": name, "content_hash": content, "removed_ms": now_ms, "reason": reason} for name, content in keys]
            store.insert(connection, t.removals, rows)
        after = keys[-1]
        removed += len(keys)


def remove_drop_bytes(store: Store, which: ColumnElement[bool], *, now_ms: int, holds: Callable[[bytes], bool] = lambda _: True) -> int:
    """Remove the bytes of drops.

    Args:
        store: where they are.
        which: a condition on the table of drops.
        now_ms: the wall clock.
        holds: asked for each one's bytes: whether it is meant.

    Returns:
        How many were removed now.
    """
    after: tuple[Any, ...] | None = None
    removed = 0
    while True:
        wanted = and_(which, func.length(t.drops.c.body) > 0)
        with store.write() as connection:
            found = select(*PLACE, t.drops.c.body).where(wanted if after is None else and_(wanted, tuple_(*PLACE) > tuple_(*after)))
            rows = list(connection.execute(found.order_by(*PLACE).limit(CHUNK)))
            if not rows:
                return removed
            meant = [tuple(row)[:4] for row in rows if holds(bytes(row.body))]
            if meant:
                connection.execute(update(t.drops).where(tuple_(*PLACE).in_(meant)).values(body=b""))
            for run in sorted({place[0] for place in meant}):
                mark_drops(store, connection, run, [Position(*place[1:]) for place in meant if place[0] == run], removed_ms=now_ms)
        after = tuple(rows[-1])[:4]
        removed += len(meant)


# --- which texts --------------------------------------------------------------------------------------------------------------
def written_by(connection: Connection, hashes_of: Callable[[str], str], author: str) -> list[str]:
    """The owners that an author may be stored as: the hash for each source that there is, and the given word itself.

    Args:
        connection: a reading transaction.
        hashes_of: a source's name -> the hash that an author of it is stored as.
        author: as it was given; a hash from a dossier or an export may be given too.
    """
    sources = {
        *connection.execute(select(D.source).distinct()).scalars(),
        *connection.execute(select(t.drops.c.source).distinct()).scalars(),
    }
    return sorted({author, *map(hashes_of, sources)})


def expired(known_ms: Any, source: Any, *, now_ms: int, days: int, by_source: Mapping[str, int]) -> ColumnElement[bool]:
    """Whether a text has been kept for longer than it may be.

    Args:
        known_ms: column with the known time; rows without one (0) never expire.
        source: column with the source.
        now_ms: the wall clock.
        days: how long texts are kept; 0: for ever.
        by_source: {source: days} where a source has its own.
    """
    rules = [and_(source == name, known_ms < now_ms - own * DAY_MS) for name, own in sorted(by_source.items()) if own]
    if days:
        rules.append(and_(source.not_in(sorted(by_source)), known_ms < now_ms - days * DAY_MS))
    return and_(known_ms > 0, or_(*rules)) if rules else false()


# --- what was removed -----------------------------------------------------------------------------------------------------------
def removed_texts(connection: Connection, document_ids: Iterable[str]) -> dict[str, int]:
    """{document id: when its text was removed, ms} of those whose text was; of several contents the last one to go."""
    found: dict[str, int] = {}
    for chunk in in_chunks(document_ids):
        chosen = R.document_id.in_(chunk)
        rows = connection.execute(select(R.document_id, func.max(R.removed_ms)).where(chosen).group_by(R.document_id))
        found |= {row[0]: row[1] for row in rows}
    return found


def removed_of_alerts(connection: Connection, alerts: Iterable[Alert]) -> dict[str, int]:
    """The same for the documents that alerts quote."""
    return removed_texts(connection, (quote.document_id for alert in alerts for quote in alert.evidence))


def removed_already(connection: Connection, which: ColumnElement[bool]) -> int:
    """How many documents of a condition have lost their text before."""
    same = and_(R.document_id == D.document_id, R.content_hash == D.content_hash)
    return int(connection.execute(select(func.count()).select_from(t.documents.join(t.removals, same)).where(which)).scalar_one())
