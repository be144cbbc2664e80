"""Drop a run: its derived rows go, in bounded pieces; facts (documents, scores, versions) stay.

begin_drop    the manifest says so and every owner is fenced: from here on nobody opens the run or adds to it
finish_drop   table after table, in the order of DERIVED, the run's own row last; killed, the next call goes on
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Table, delete, select, tuple_, update

from groundswell.codec import encode
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.history import history_of
from groundswell.store.pasts import past_of
from groundswell.store.runs import DROPPING, manifest_of
from groundswell.store.store import Store

CHUNK: Final = 2_000
STILL_MS: Final = 120_000
"""A live run whose time has stood still for so long is worked on by nobody: punctuations move it every few seconds."""


def begin_drop(store: Store, run: str, *, now_ms: int) -> None:
    """Mark a run, and take it from whoever works on it.

    Args:
        store: where it is.
        run: its name.
        now_ms: the wall clock.

    Raises:
        NotFoundError: no such run.
        UsageError: it is the live run and moving, or the history of the live run.
    """
    with store.write() as connection:
        manifest = manifest_of(connection, run)
        history, row = history_of(connection, LIVE_RUN), t.progress.c
        if history is not None and history.run == run:
            reason = f"run {run!r}: it is the live run's history and is read with it; it can go when the live run is dropped"
            raise UsageError(reason)
        model = past_of(connection, run)
        if model is not None:
            reason = f"run {run!r}: it is the past of model {model} and the live run reads it; it can go when the live run is dropped"
            raise UsageError(reason)
        if run == LIVE_RUN:
            moved_ms = max(connection.execute(select(row.time_ms).where(row.run == run)).scalars(), default=0)
            if now_ms - moved_ms < STILL_MS:
                reason = (
                    f"run 'live': it is worked on, its time moved {max(0, now_ms - moved_ms) // 1000} s ago; stop `groundswell run`, or "
                    f"the workers and the desk, wait {STILL_MS // 1000} s, then drop it"
                )
                raise UsageError(reason)
        connection.execute(update(t.progress).where(row.run == run).values(epoch=row.epoch + 1, revision=0, owner="drop"))
        connection.execute(update(t.runs).where(t.runs.c.run == run).values(manifest=encode({DROPPING: now_ms} | manifest)))


def finish_drop(store: Store, run: str, *, chunk: int = CHUNK, progress: Callable[[str, int], None] = lambda _table, _rows: None) -> int:
    """Delete the rows of a run that was marked.

    Args:
        store: where it is.
        run: its name.
        chunk: rows of one transaction.
        progress: told (table, rows deleted from it so far).

    Returns:
        How many rows were deleted by this call.

    Raises:
        NotFoundError: no such run.
        UsageError: it was not marked.
    """
    with store.read() as connection:
        if DROPPING not in manifest_of(connection, run):
            reason = f"run {run!r}: it is not marked; begin with `groundswell runs drop {run}`"
            raise UsageError(reason)
    return sum(_empty(store, table, run, chunk=chunk, progress=progress) for table in t.DERIVED)


def _empty(store: Store, table: Table, run: str, *, chunk: int, progress: Callable[[str, int], None]) -> int:
    key = list(table.primary_key)
    deleted = 0
    while True:
        with store.write() as connection:
            some = select(*key).where(table.c.run == run).limit(chunk)
            # Neither database has a DELETE with a limit that can be relied on; keys of one piece are read first.
            rows = connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount
        deleted += rows
        if rows:
            progress(table.name, deleted)
        if rows < chunk:
            return deleted
