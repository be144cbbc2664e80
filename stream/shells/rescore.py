"""The re-score shell: what the live run has counted, read by another model, into a run of its own. Resumable; it never pings.

    admissions of a run --keys--> staged --sort--> a local log in known order --EmbeddedPipeline--> the run's rows
                                                       documents are taken from the store, scores of the model made where they are missing

A document whose text was removed cannot be read again: it is left out and counted. The live run goes on meanwhile; what it counts after
`to_ms` is not of this run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, exists, func, not_, select

from groundswell.codec import canonical
from groundswell.errors import NotFoundError, UsageError
from groundswell.local_log import LocalLog, StagedRecord
from groundswell.names import LIVE_RUN, TICK_MS
from groundswell.records import Position, Stamped
from groundswell.store import schema as t
from groundswell.store.facts import documents_of, first_tick, heard_of
from groundswell.store.pasts import KIND
from groundswell.store.query import Balance, balance_of, closed_ms
from groundswell.store.runs import manifest_of
from groundswell.store.store import Store
from groundswell.store.watches import newest_watches
from stream.operators.admit import StampClock
from stream.pipeline import Opened, drop_of
from stream.shells.backfill import Progress, account_for, log_path
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, open_run, update_manifest

STAGE_ROWS: Final = 5_000
REMOVED: Final = "text removed"
_KEYS: Final = "keys"
"""What the staged log calls its one input; its "lines" are ticks."""


class _Key(msgspec.Struct, frozen=True):
    """A record of such a log: which content is meant."""

    document_id: str
    content_hash: str


@dataclass(frozen=True)
class Rescored:
    """What a finished re-score has to say."""

    run: str
    rows: list[Balance]  # by source
    removed: int  # documents of the span whose text is gone
    already: bool  # the run was complete before: nothing was done


def rescore(
    store: Store,
    run: str,
    instruments: Instruments,
    *,
    data_dir: Path,
    from_ms: int | None = None,
    to_ms: int | None = None,
    stage_rows: int = STAGE_ROWS,
    progress: Progress = lambda _phase, _done, _total: None,
) -> Rescored:
    """Read what the live run has counted by another model.

    Args:
        store: where both runs are.
        run: the name of the new one; the same name and instruments resume or change nothing.
        instruments: the model, and the catalogue and rules beside it.
        data_dir: where the sorted keys lie while the run is made.
        from_ms: known time of the first document; None: the live run's first.
        to_ms: known time that the last document lies before; None: what the live run has folded by now.
        stage_rows: keys that are staged at a time, about; bounds memory.
        progress: told how far it has come.

    Raises:
        NotFoundError: there is no live run, or it has folded nothing.
        UsageError: the run exists with another span or other instruments.
        DependencyError: store or disk refuse; run the same command again to go on.
    """
    from_ms, to_ms = _span(store, run, from_ms, to_ms)
    manifest = {"of": LIVE_RUN, "from_ms": from_ms, "to_ms": to_ms}
    with store.read() as connection:
        instruments = replace(instruments, watches=newest_watches(connection, LIVE_RUN)[0])  # what the live run watches has a past too
    stored = open_run(store, run, kind=KIND, instruments=instruments, manifest=manifest)
    if stored.get("complete"):
        with store.read() as connection:
            return Rescored(run, balance_of(connection, run), stored["removed"], already=True)
    with LocalLog(log_path(data_dir, store, run)) as log:
        _stage(store, log, range(from_ms // TICK_MS, to_ms // TICK_MS), rows_max=stage_rows, progress=progress)
        pipeline = EmbeddedPipeline(store, log, run, instruments, open_batch=stored_documents)
        total = log.records()
        while pipeline.step():
            progress("run", pipeline.records_read, total)
        pipeline.finish()
        account_for(store, run, log, [])
    with store.read() as connection:
        rows, removed = balance_of(connection, run), _removed(connection, from_ms // TICK_MS, to_ms // TICK_MS)
    update_manifest(store, run, complete=True, removed=removed)
    for leftover in log.path.parent.glob(log.path.name + "*"):
        leftover.unlink()
    return Rescored(run, rows, removed, already=False)


def _span(store: Store, run: str, from_ms: int | None, to_ms: int | None) -> tuple[int, int]:
    """Whole ticks; what was not asked for is what the run was begun with, else all that the live run has folded."""
    with store.read() as connection:
        try:
            begun = manifest_of(connection, run)
        except NotFoundError:
            begun = {}
        first, closed = first_tick(connection, LIVE_RUN), closed_ms(connection, LIVE_RUN)
    if first is None or closed is None:
        reason = "run 'live': nothing of it is folded yet, so there is nothing to read again; start `groundswell run` or the workers first"
        raise NotFoundError(reason)
    start = begun.get("from_ms", first * TICK_MS) if from_ms is None else from_ms
    end = begun.get("to_ms", closed) if to_ms is None else min(to_ms, closed)
    start, end = start // TICK_MS * TICK_MS, end // TICK_MS * TICK_MS
    if start >= end:
        reason = f"run {run!r}: its span ends before it begins; give --from and --to within what the live run has folded"
        raise UsageError(reason)
    return start, end


def _stage(store: Store, log: LocalLog, ticks: range, *, rows_max: int, progress: Progress) -> None:
    """Sort the keys of what counted; a killed call goes on behind the last tick that was staged."""
    last, done = log.lines_staged(_KEYS)
    last, staged = max(last, ticks.start - 1), 0
    while not (done or log.sealed):
        with store.read() as connection:
            rows = _next_ticks(connection, range(last + 1, ticks.stop), rows_max)
        last, done = (rows[-1][1] if rows else last), not rows
        records = [StagedRecord(known_ms, key.document_id, source, canonical(key)) for known_ms, _, source, key in rows]
        log.stage(_KEYS, records, lines=last, done=done)
        staged += len(records)
        progress("read", staged, None)
    progress("sort", 0, None)
    log.seal()


def _next_ticks(connection: Connection, ticks: range, rows_max: int) -> list[tuple[int, int, str, _Key]]:
    """(known_ms, tick, source, key) of whole ticks, at least one of them and about so many rows."""
    a = t.admissions.c
    counted = and_(heard_of(connection, LIVE_RUN), a.outcome == "scored", a.tick >= ticks.start, a.tick < ticks.stop, _is_whole())
    found = select(a.known_ms, a.tick, a.source, a.document_id, a.content_hash).where(counted).order_by(a.tick)
    rows = list(connection.execute(found.limit(rows_max)))
    if len(rows) == rows_max:
        rows = list(connection.execute(found.where(a.tick <= rows[-1].tick)))  # the last tick whole
    return [(row.known_ms, row.tick, row.source, _Key(row.document_id, row.content_hash)) for row in rows]


def _is_whole() -> ColumnElement[bool]:
    a, r = t.admissions.c, t.removals.c
    return not_(exists().where(r.document_id == a.document_id, r.content_hash == a.content_hash))


def _removed(connection: Connection, since_tick: int, before_tick: int) -> int:
    a, r = t.admissions.c, t.removals.c
    gone = and_(r.document_id == a.document_id, r.content_hash == a.content_hash)
    mine = and_(heard_of(connection, LIVE_RUN), a.outcome == "scored", a.tick >= since_tick, a.tick < before_tick)
    return int(connection.execute(select(func.count()).select_from(t.admissions.join(t.removals, gone)).where(mine)).scalar_one())


def stored_documents(connection: Connection, batch: Sequence[Stamped], clock: StampClock, refused: Mapping[Position, str]) -> Opened:
    """The documents that a log of keys names; one whose text was removed since is a drop."""
    keys = [msgspec.json.decode(stamped.body, type=_Key) for stamped in batch]
    found = documents_of(connection, [(key.document_id, key.content_hash) for key in keys])
    opened = Opened()
    for stamped, key in zip(batch, keys, strict=True):
        known_ms, document = clock.stamp(stamped.known_ms), found.get((key.document_id, key.content_hash))
        if document is None or stamped.position in refused:
            reason = refused.get(stamped.position, REMOVED)
            opened.drops.append(drop_of(stamped, known_ms=known_ms, source=stamped.source, reason=reason))
        else:
            opened.documents.append((stamped.position, msgspec.structs.replace(document, known_ms=known_ms)))
    return opened
