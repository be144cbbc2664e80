"""Records that kill the process that scores them: found one by one, and dropped, so that a feed does not stop for one text.

    death 1, 2   somewhere in a batch: nobody knows at which record (1, where the first owner had committed nothing either)
    owner 3      follows an owner that committed nothing, so it does its first batch record by record:
                 mark in the store -> score alone -> next mark ...
    death 3, 4   the mark says which record it was; at its second mark the next owner drops it, and never touches it again

A process may also be ended from outside while a mark stands, so one mark is not enough.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, select

from groundswell.errors import reason_of
from groundswell.logs import logger
from groundswell.records import Document, Position, Score, Stamped
from groundswell.store import schema as t
from groundswell.store.facts import in_span, place_row
from groundswell.store.store import Store
from models.scorer import Scorer
from stream.operators.admit import StampClock
from stream.pipeline import Opened

DEATHS_MAX: Final = 2
"""Processes that may die on a record while they score it alone."""

REASON: Final = f"score: {DEATHS_MAX} processes died on this record while it was scored alone"
Result = Score | Exception | None
OpenBatch = Callable[[Connection, Sequence[Stamped], StampClock, Mapping[Position, str]], Opened]
"""Raw records -> documents, heartbeats and drops; moves the clock, and does not touch those that are refused."""

_log = logger("groundswell.isolation")


@dataclass
class Isolated:
    """What became of a batch that was scored record by record."""

    killers: dict[Position, str] = field(default_factory=dict)  # must not be touched; with the reason for their drops
    results: dict[tuple[str, str], Result] = field(default_factory=dict)  # (document id, content hash) -> as scored alone


def score_alone(
    store: Store,
    run: str,
    batch: Sequence[Stamped],
    clock: StampClock,
    score: Callable[[Document], Result],
    *,
    open_batch: OpenBatch,
) -> Isolated:
    """Score each record of a batch alone, with a mark in the store while it lasts.

    Args:
        store: where the marks are.
        run: whose records.
        batch: records that no owner has got past, of one raw partition, in order.
        clock: that partition's time; not moved.
        score: scores one document; what it raises is a result.
        open_batch: makes documents of records.

    Raises:
        DependencyError: the store is away.
    """
    found, ahead = Isolated(), replace(clock)
    with store.read() as connection:
        deaths = marks_of(connection, run, batch)
    _log.warning("the last owner committed nothing: records are scored one by one", run=run, records=len(batch))
    before: Position | None = None
    for stamped in batch:
        died = deaths.get(stamped.position, 0)
        if died >= DEATHS_MAX:
            found.killers[stamped.position] = REASON
            _log.error("a record is dropped", run=run, position=stamped.position, reason=REASON)
            continue
        _move_mark(store, run, before, stamped.position, died + 1)
        before = stamped.position
        with store.read() as connection:
            opened = open_batch(connection, [stamped], ahead, {})
        for _, document in opened.documents:
            found.results[document.document_id, document.content_hash] = score(document)
    if before is not None:
        _move_mark(store, run, before, None, 0)
    return found


def one_result(scorer: Scorer, document: Document) -> Result:
    """A scorer's answer for one document; what it raised, where it did."""
    try:
        return scorer.score([document])[0]
    except Exception as error:
        return error


def refusal_of(result: Result, document: Document) -> str | None:
    """Why a document cannot be counted, or None."""
    if isinstance(result, Score):
        return None
    return f"language: {document.language}" if result is None else f"score: {reason_of(result)}"


def marks_of(connection: Connection, run: str, batch: Sequence[Stamped]) -> Mapping[Position, int]:
    """{position: processes that ended while they scored it alone}."""
    s = t.suspects.c
    rows = connection.execute(select(s.part, s.position, s.place, s.deaths).where(_span(run, batch)))
    return {Position(part, position, place): deaths for part, position, place, deaths in rows}


def clear_marks(connection: Connection, run: str, batch: Sequence[Stamped]) -> bool:
    """Forget the marks of a batch, in the transaction that moves past it.

    Returns:
        Whether a mark stands further on in this partition: batches may be cut otherwise than by the owner that set it.
    """
    connection.execute(delete(t.suspects).where(_span(run, batch)))
    s = t.suspects.c
    return connection.execute(select(s.position).where(s.run == run, s.part == batch[0].position.partition)).first() is not None


def _span(run: str, batch: Sequence[Stamped]) -> ColumnElement[bool]:
    first, last = batch[0].position, batch[-1].position
    return in_span(t.suspects, run, first.partition, first.offset, last.offset)


def _move_mark(store: Store, run: str, before: Position | None, to: Position | None, deaths: int) -> None:
    s = t.suspects.c
    with store.write() as connection:
        if before is not None:
            here = and_(s.run == run, s.part == before.partition, s.position == before.offset, s.place == before.index)
            connection.execute(delete(t.suspects).where(here))
        if to is not None:
            store.upsert(connection, t.suspects, [place_row(run, to) | {"deaths": deaths}])
