"""The history of a live run: a finished backfill whose earlier ticks it goes on from, so that its baselines need not form anew.

    ticks of the backfill    ------copied----->|  not copied
    ticks of the live run                      |first-----folded without it----->|-----folded with it----->
                                               before_tick                       folded (of each partition)

Rows of earlier ticks are copied under the live run's name: increments and stories before its first tick, and baselines, source
hours and exposures of hours and days that had ended by then. Admissions stay with the backfill (the live run has not
fetched them) and are read there. Alerts are not copied, and nothing is sent.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal, select, update

from groundswell.codec import encode
from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import iso
from groundswell.names import DAY_MS, HEARD_OUTCOMES, HOUR_MS, LIVE_RUN, ROLE_FOLD, TICK_MS, partition_of
from groundswell.schedule import MODEL, WATCHES
from groundswell.store import schema as t
from groundswell.store.audit import Entry, note
from groundswell.store.progress import NEVER_TICK
from groundswell.store.runs import HISTORY, is_complete
from groundswell.store.store import Store
from groundswell.store.versions import read_schedule

SHOWN_MAX: Final = 3


class History(msgspec.Struct, frozen=True):
    """What a live run goes on from."""

    run: str  # the backfill
    before_tick: int  # the live run's first tick: earlier ones are the backfill's
    folded: dict[int, int]  # contribution partition -> the last tick that the live run had folded without it

    def counts_at(self, tick: int, series: str) -> bool:
        """Whether a series' tick was folded with the history in mind."""
        return tick > self.folded[partition_of(series, len(self.folded))]


def history_of(connection: Connection, run: str) -> History | None:
    """The history of a run; None for all but a live run that has been given one."""
    if run != LIVE_RUN:
        return None
    body = connection.execute(select(t.runs.c.manifest).where(t.runs.c.run == run)).scalar_one_or_none()
    kept = msgspec.json.decode(body).get(HISTORY) if body else None
    return None if kept is None else msgspec.convert(kept, History, str_keys=True)


def attach(store: Store, run: str, *, entry: Entry | None = None) -> tuple[History, dict[str, int]]:
    """Make a finished backfill the live run's history, in one transaction.

    Every owner of the live run is fenced by it: it ends at its next commit, and what is started again goes on with the history.

    Args:
        store: the store.
        run: the backfill.
        entry: what the audit log says of it, in the same transaction.

    Returns:
        The history, and how many rows of each table it brought.

    Raises:
        NotFoundError: there is no such run, or no live one.
        UsageError: the run is not finished or was made otherwise than the live run, or the live run has a history already.
        DependencyError: the store is away; nothing was changed.
    """
    with store.write() as connection:
        fold = _fence(connection)
        live, other = _manifest(connection, LIVE_RUN), _manifest(connection, run)
        _check(connection, run, live=live, other=other)
        first = _first_tick(connection, fold)
        _check_overlap(connection, run, first)
        copied = {table.name: _copy(connection, table, run, before) for table, before in _borders(first)}
        if not copied[t.increments.name]:
            reason = f"run {run!r}: nothing of it was known before the live run's first tick, {iso(first * TICK_MS)}; nothing to go on from"
            raise UsageError(reason)
        found = History(run, first, fold)
        body = encode(live | {HISTORY: found})
        connection.execute(update(t.runs).where(t.runs.c.run == LIVE_RUN).values(manifest=body))
        if entry is not None:
            note(store, connection, entry)
    return found, copied


def _fence(connection: Connection) -> dict[int, int]:
    """Take every row of the live run's progress from its owner, first of all: nobody may commit in between.

    Returns:
        {partition of fold: its last closed tick}.
    """
    row = t.progress.c
    mine = row.run == LIVE_RUN
    # Locked in the order in which a pipeline moves them, so that it and this call cannot wait for one another.
    locked = select(row.role, row.part, row.closed_tick).where(mine).order_by(row.role.desc(), row.part).with_for_update()
    found = list(connection.execute(locked))
    connection.execute(update(t.progress).where(mine).values(epoch=row.epoch + 1, revision=0, owner="attach"))
    return {part: closed_tick for role, part, closed_tick in found if role == ROLE_FOLD}


def _manifest(connection: Connection, run: str) -> dict[str, Any]:
    body = connection.execute(select(t.runs.c.manifest).where(t.runs.c.run == run).with_for_update()).scalar_one_or_none()
    if body is None:
        step = "start `groundswell run` or `groundswell worker` first" if run == LIVE_RUN else "`groundswell runs list` prints the runs"
        reason = f"run {run!r}: it is not stored; {step}"
        raise NotFoundError(reason)
    manifest: dict[str, Any] = msgspec.json.decode(body)
    return manifest


def _check(connection: Connection, run: str, *, live: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    if run == LIVE_RUN:
        raise UsageError("run 'live': it cannot be its own history; name a finished backfill")  # noqa: EM101
    if HISTORY in live:
        reason = f"run 'live': it has a history already, run {live[HISTORY]['run']!r}; a second one cannot be told apart from it"
        raise UsageError(reason)
    if not is_complete(connection, run):
        reason = f"run {run!r}: it is not complete; run the same `groundswell backfill` again to finish it, then attach it"
        raise UsageError(reason)
    # What lies before the live run's first tick counts as read by the model that it began with; a later one is given a past of its own.
    began = {row.kind: row.hash for row in read_schedule(connection, LIVE_RUN).of(MODEL)[:1]}
    here, there = {**live.get("versions", {}), **began}, other.get("versions", {})
    for kind in sorted({*here, *there} - {WATCHES}):  # searches are series of their own: no baseline but theirs rests on them
        if here.get(kind) != there.get(kind):
            reason = (
                f"run {run!r}: it was made with {kind} {there.get(kind)}, the live run has {here.get(kind)}; baselines of two kinds do not "
                "mix: make the backfill again with what is in force now, then attach it"
            )
            raise UsageError(reason)


def _first_tick(connection: Connection, fold: Mapping[int, int]) -> int:
    a = t.admissions.c
    mine = select(func.min(a.tick)).where(a.run == LIVE_RUN, a.outcome.in_(HEARD_OUTCOMES))
    first: int | None = connection.execute(mine).scalar_one_or_none()
    if first is None or not fold or min(fold.values()) == NEVER_TICK:
        reason = "run 'live': it has not closed its first tick yet; wait until it has scored a document and a minute has passed"
        raise UsageError(reason)
    return first


def _check_overlap(connection: Connection, run: str, first: int) -> None:
    here, there = t.admissions.alias("here"), t.admissions.alias("there")
    both = and_(
        there.c.run == run, there.c.tick < first, there.c.outcome == "scored",
        exists().where(here.c.run == LIVE_RUN, here.c.document_id == there.c.document_id, here.c.outcome == "scored"),
    )  # fmt: skip
    number = connection.execute(select(func.count()).select_from(there).where(both)).scalar_one()
    if number:
        shown = ", ".join(
            connection.execute(select(there.c.document_id).where(both).order_by(there.c.document_id).limit(SHOWN_MAX)).scalars()
        )
        reason = (
            f"run {run!r}: {number} documents of it count in the live run too, such as {shown}; they would be counted twice: make the "
            "backfill again from an archive without them"
        )
        raise UsageError(reason)


def _borders(first: int) -> list[tuple[Any, ColumnElement[bool]]]:
    """Each table, and which of its rows lie before a tick: what a period has brought is known when it has ended."""
    hour, b = first * TICK_MS // HOUR_MS, t.baselines.c
    ended = ((b.period_s == 3_600) & (b.period < hour)) | ((b.period_s == 86_400) & (b.period < first * TICK_MS // DAY_MS))
    return [
        (t.increments, t.increments.c.tick < first),
        (t.stories, t.stories.c.tick < first),
        (t.baselines, ended),
        (t.source_hours, t.source_hours.c.hour < hour),
        (t.exposures, t.exposures.c.hour < hour),
        (t.blind_spans, t.blind_spans.c.until_tick < first),
    ]


def _copy(connection: Connection, table: Any, run: str, before: ColumnElement[bool]) -> int:
    others = [column for column in table.columns if column.name != "run"]
    mine = table.c.run == run, before
    rows = select(literal(LIVE_RUN), *others).where(*mine)
    connection.execute(table.insert().from_select(["run", *(column.name for column in others)], rows))
    return int(connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one())
