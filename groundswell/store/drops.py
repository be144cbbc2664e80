"""Drops: records that could not be used, read back with their bytes, and what was done with each since."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select

from groundswell.errors import NotFoundError, UsageError
from groundswell.metrics import DROP_REASONS
from groundswell.records import Position
from groundswell.store import schema as t
from groundswell.store.facts import place_row
from groundswell.store.store import Store

ADVICE: Final = {
    "raw record": "The bytes are no record. After an upgrade: upgrade workers before crawlers, then replay. Else it is the source's fault.",
    "envelope": "The message is no envelope, or of a later release. Upgrade the workers, then replay.",
    "no source": "A document has to name its source. Mend whatever publishes it: a replay would be dropped again.",
    "empty": "Neither title nor text has a readable character. Nothing to do, unless it happens to a whole feed: look at the feed.",
    "language": "No model here reads that language. Normal for a source that mixes languages; after promoting a model that does, replay.",
    "score": "The model refused this text, or processes died on it. After promoting another model, replay; not before.",
    "other": "Nobody foresaw this reason. Report it, with these bytes; after an upgrade that mends it, replay.",
}
"""{class of reasons (metrics.drop_class): what to do}."""


@dataclass(frozen=True)
class StoredDrop:
    """A drop without its bytes, and what was done with it."""

    run: str
    position: Position
    known_ms: int  # 0: not known (a line of an archive that could not be read)
    source: str
    reason: str
    bytes: int  # that are kept
    replayed_ms: int | None
    removed_ms: int | None  # when its bytes were removed

    @property
    def place(self) -> str:
        """Where it stands, as commands write it."""
        return place_of(self.position)


def place_of(position: Position) -> str:
    """A position as commands write it; `position_of` reads it back."""
    return f"{position.partition}:{position.offset}:{position.index}"


def position_of(place: str) -> Position:
    """A position from what `groundswell drops list` prints.

    Raises:
        UsageError: not PART:OFFSET:INDEX.

    >>> position_of("3:120:7")
    Position(partition=3, offset=120, index=7)
    """
    try:
        part, offset, index = (int(number) for number in place.split(":"))
    except ValueError as error:
        reason = f"place {place!r}: not PART:OFFSET:INDEX; `groundswell drops list` prints the places that there are"
        raise UsageError(reason) from error
    return Position(part, offset, index)


def drops_of(
    connection: Connection,
    run: str,
    *,
    reason: str | None = None,
    source: str | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    limit: int | None = None,
) -> list[StoredDrop]:
    """Drops of a run, newest first.

    Args:
        connection: a reading transaction.
        run: whose.
        reason: only those whose reason begins so; "other" stands for every reason outside the known classes.
        source: only this source's.
        start_ms: known at or after.
        end_ms: known before.
        limit: at most so many.
    """
    d = t.drops.c
    wanted = [d.run == run]
    if reason is not None:
        wanted.append(_reason_like(reason))
    if source is not None:
        wanted.append(d.source == source)
    if start_ms is not None:
        wanted.append(d.known_ms >= start_ms)
    if end_ms is not None:
        wanted.append(d.known_ms < end_ms)
    newest = (d.known_ms.desc(), d.part.desc(), d.position.desc(), d.place.desc())
    return [_stored(row) for row in connection.execute(_with_marks().where(*wanted).order_by(*newest).limit(limit))]


def drop_at(connection: Connection, run: str, position: Position) -> tuple[StoredDrop, bytes]:
    """One drop, with the bytes that are kept of it.

    Raises:
        NotFoundError: nothing was dropped there.
    """
    d = t.drops.c
    where = d.part == position.partition, d.position == position.offset, d.place == position.index
    row = connection.execute(_with_marks().add_columns(d.body).where(d.run == run, *where)).one_or_none()
    if row is None:
        reason = (
            f"drop {place_of(position)} of run {run!r}: nothing was dropped there; `groundswell drops list --run {run}` prints the places"
        )
        raise NotFoundError(reason)
    return _stored(row), bytes(row.body)


def mark_drops(store: Store, connection: Connection, run: str, positions: Iterable[Position], **times_ms: int) -> None:
    """Remember in the caller's transaction what was done with drops: `replayed_ms` or `removed_ms`; the other one is kept."""
    store.upsert(connection, t.drop_marks, [place_row(run, position) | times_ms for position in positions])


def _reason_like(reason: str) -> ColumnElement[bool]:
    column = t.drops.c.reason
    if reason != "other":
        return column.startswith(reason, autoescape=True)
    known: Sequence[str] = [name for name in DROP_REASONS if name != "other"]
    return not_(or_(*(or_(column == name, column.startswith(f"{name}:", autoescape=True)) for name in known)))


def _with_marks() -> Select[Any]:
    d, m = t.drops.c, t.drop_marks.c
    same = and_(d.run == m.run, d.part == m.part, d.position == m.position, d.place == m.place)
    size = func.length(d.body).label("bytes")
    columns = d.run, d.part, d.position, d.place, d.known_ms, d.source, d.reason, size, m.replayed_ms, m.removed_ms
    return select(*columns).select_from(t.drops.outerjoin(t.drop_marks, same))


def _stored(row: Any) -> StoredDrop:
    return StoredDrop(
        run=row.run,
        position=Position(row.part, row.position, row.place),
        known_ms=row.known_ms,
        source=row.source,
        reason=row.reason,
        bytes=row.bytes,
        replayed_ms=row.replayed_ms,
        removed_ms=row.removed_ms,
    )
