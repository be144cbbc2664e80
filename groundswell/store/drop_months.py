"""Drop old months of the live run: their rows go, what they sum to stays.

    sum       its records are in the sums of the balance (tallies.py), which never read them again
    begin     the month is marked; on PostgreSQL its partitions are dropped in the same transaction
    records   admissions and drops, in pieces; each piece's counts are kept in the transaction that deletes it, so that whoever counts every
              row anew finds the same before, between and after
    facts     of each piece: documents and scores that no admission of any run needs any more
    the rest  increments and stories where there are no partitions, baselines, hours of sources
    end       the month is marked as gone

Killed, the next call goes on. Alerts, candidates, decisions, incidents, and all that people did and said stay. Other runs are dropped
as a whole (drop_run.py).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, exists, func, or_, select, tuple_, update

from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.names import DAY_MS, HOUR_MS, LIVE_RUN, TICK_MS
from groundswell.store import schema as t
from groundswell.store.facts import known_contents
from groundswell.store.months import Month, dropped_months
from groundswell.store.partitions import check_owner, drop_month_tables, is_partitioned
from groundswell.store.query import closed_ms
from groundswell.store.search import drop_texts
from groundswell.store.store import Store
from groundswell.store.tallies import REASON_CHARS, tally

CHUNK: Final = 2_000
KEPT_REASONS: Final = ("document", "source", "author")
"""Removals by request: those texts must not come back, so the empty row of the document stays (removals.py)."""

LISTED_MAX: Final = 500
Deleted = Callable[[Table, int], None]
A, D = t.admissions.c, t.drops.c


def months_to_drop(connection: Connection, before: Month, *, needed_ms: int) -> list[Month]:
    """The months of the live run that lie before one and hold records, or are half dropped, by time.

    Args:
        connection: a reading transaction.
        before: the first month that stays.
        needed_ms: how far back a restart, a detector or a source's rhythm may look.

    Raises:
        UsageError: nothing has been closed yet, or the months before that one are still looked into.
    """
    until_ms = closed_ms(connection, LIVE_RUN)
    if until_ms is None:
        reason = "run 'live': it has closed nothing yet, so nothing of it is old"
        raise UsageError(reason)
    if before.begin_ms > until_ms - needed_ms:
        latest = Month.at(until_ms - needed_ms).name
        reason = (
            f"months before {before.name}: the run is known until {iso(until_ms)} and looks back {needed_ms // DAY_MS} days; "
            f"give {latest} or an earlier month"
        )
        raise UsageError(reason)
    ended = {one.month for one in dropped_months(connection, LIVE_RUN) if one.ended_ms is not None}
    found = {one.month for one in dropped_months(connection, LIVE_RUN)} - ended
    for table in (t.admissions, t.increments, t.stories):
        first = _next_tick(connection, table, 0)
        while first is not None and (month := Month.at(first * TICK_MS)) < before:
            found.add(month)
            first = _next_tick(connection, table, month.last_tick + 1)
    return sorted(found)


def _next_tick(connection: Connection, table: Table, since: int) -> int | None:
    """The first tick of the live run from one on; months are leapt over instead of read."""
    c = table.c
    return connection.execute(select(func.min(c.tick)).where(c.run == LIVE_RUN, c.tick >= since)).scalar_one_or_none()


def drop_month(
    store: Store, month: Month, *, now_ms: int, chunk: int = CHUNK, progress: Callable[[str, int], None] = lambda _table, _rows: None
) -> dict[str, int]:
    """Drop one month of the live run.

    Args:
        store: where it is.
        month: one of `months_to_drop`.
        now_ms: the wall clock.
        chunk: rows of one transaction.
        progress: told (table, rows deleted from it so far).

    Returns:
        {table: rows that were deleted by this call}; partitions go without being counted.

    Raises:
        DependencyError: on PostgreSQL, this login does not own the tables.
    """
    done: Counter[str] = Counter()

    def deleted(table: Table, rows: int) -> None:
        if rows:
            done[table.name] += rows
            progress(table.name, done[table.name])

    tally(store, LIVE_RUN)
    with store.write() as connection:
        store.insert(connection, t.dropped_months, [{"run": LIVE_RUN, "month": month.name, "begun_ms": now_ms, "ended_ms": None}])
        if is_partitioned(connection):
            check_owner(connection, what="drop")
            drop_month_tables(connection, month)
    while _drop_admissions(store, month, chunk=chunk, deleted=deleted):
        pass
    while _drop_drops(store, month, chunk=chunk, deleted=deleted):
        pass
    for table, which in _plain(month):
        while _drop_rows(store, table, which, chunk=chunk, deleted=deleted):
            pass
    with store.write() as connection:
        m = t.dropped_months.c
        connection.execute(update(t.dropped_months).where(m.run == LIVE_RUN, m.month == month.name).values(ended_ms=now_ms))
        connection.execute(delete(t.reach).where(t.reach.c.run == LIVE_RUN))  # its first pane may have gone
    return dict(done)


def _drop_admissions(store: Store, month: Month, *, chunk: int, deleted: Deleted) -> bool:
    """A piece is a span of ticks: its rows lie together in the index, and no list of keys has to be looked up."""
    s = t.scores.c
    of_month = and_(A.run == LIVE_RUN, A.tick.between(month.first_tick, month.last_tick))
    with store.write() as connection:
        last = connection.execute(select(A.tick).where(of_month).order_by(A.tick).offset(chunk - 1).limit(1)).scalar_one_or_none()
        piece = and_(A.run == LIVE_RUN, A.tick.between(month.first_tick, month.last_tick if last is None else last))
        # As the balance counts them: one that says "scored" and has no score is counted nowhere, before and after.
        counts = or_(A.outcome != "scored", exists().where(A.document_id == s.document_id, A.content_hash == s.content_hash))
        kept = connection.execute(select(A.source, A.outcome, func.count()).where(piece, counts).group_by(A.source, A.outcome))
        _keep(store, connection, month, {(outcome, source, ""): number for source, outcome, number in kept})
        contents = {
            tuple(row) for row in connection.execute(select(A.document_id, A.content_hash).where(piece, A.document_id.is_not(None)))
        }
        deleted(t.admissions, connection.execute(delete(t.admissions).where(piece)).rowcount)
        _drop_facts(connection, contents, deleted)
    return last is not None


def _drop_drops(store: Store, month: Month, *, chunk: int, deleted: Deleted) -> bool:
    mine = and_(D.run == LIVE_RUN, D.known_ms >= month.begin_ms, D.known_ms < month.end_ms)
    with store.write() as connection:
        found = list(connection.execute(select(D.run, D.part, D.position, D.place, D.source, D.reason).where(mine).limit(chunk)))
        _keep(store, connection, month, Counter(("dropped", row.source, row.reason[:REASON_CHARS]) for row in found))
        for table in (t.drops, t.drop_marks):
            c = table.c
            deleted(table, _delete(connection, table, (c.run, c.part, c.position, c.place), [tuple(row)[:4] for row in found]))
    return len(found) == chunk


def _keep(store: Store, connection: Connection, month: Month, counts: Mapping[tuple[str, str, str], int]) -> None:
    """Add to what is remembered of a month."""
    month_of = {"run": LIVE_RUN, "month": month.name}
    rows = [
        month_of | {"fate": fate, "source": source, "reason": reason, "documents": documents}
        for (fate, source, reason), documents in sorted(counts.items())
    ]
    store.add(connection, t.dropped_counts, rows, column="documents")


def _drop_facts(connection: Connection, contents: Collection[tuple[Any, ...]], deleted: Deleted) -> None:
    """Of some documents those that no run has admitted any more, that nobody corrected, and whose return nobody forbade."""
    r, c = t.removals.c, t.corrections.c
    names = sorted({name for name, _ in contents})
    needed: set[tuple[Any, ...]] = set()
    for run in connection.execute(select(t.runs.c.run)).scalars().all():
        known = known_contents(connection, run, names)
        needed |= {(name, content) for name, found in known.items() for content in found}
    corrected: set[str] = set()
    for start in range(0, len(names), LISTED_MAX):
        listed = names[start : start + LISTED_MAX]
        corrected |= set(connection.execute(select(c.document_id).where(c.document_id.in_(listed))).scalars())
        forbidden = select(r.document_id, r.content_hash).where(r.document_id.in_(listed), r.reason.in_(KEPT_REASONS))
        needed |= {tuple(row) for row in connection.execute(forbidden)}
    gone = sorted(pair for pair in contents if pair not in needed and pair[0] not in corrected)
    drop_texts(connection, gone)
    for table in (t.scores, t.removals, t.documents):
        deleted(table, _delete(connection, table, (table.c.document_id, table.c.content_hash), gone))


def _plain(month: Month) -> list[tuple[Table, ColumnElement[bool]]]:
    """What else goes, and which rows of it."""
    i, s, b, h = t.increments.c, t.stories.c, t.baselines.c, t.source_hours.c

    def between(column: Any, period_ms: int) -> ColumnElement[bool]:
        return and_(column >= month.begin_ms // period_ms, column < month.end_ms // period_ms)

    periods = or_(and_(b.period_s == 3_600, between(b.period, HOUR_MS)), and_(b.period_s == 86_400, between(b.period, DAY_MS)))
    return [
        (t.increments, and_(i.run == LIVE_RUN, i.tick.between(month.first_tick, month.last_tick))),
        (t.stories, and_(s.run == LIVE_RUN, s.tick.between(month.first_tick, month.last_tick))),
        (t.baselines, and_(b.run == LIVE_RUN, periods)),
        (t.source_hours, and_(h.run == LIVE_RUN, between(h.hour, HOUR_MS))),
    ]


def _drop_rows(store: Store, table: Table, which: ColumnElement[bool], *, chunk: int, deleted: Deleted) -> bool:
    key = list(table.primary_key)
    with store.write() as connection:
        rows = connection.execute(delete(table).where(tuple_(*key).in_(select(*key).where(which).limit(chunk)))).rowcount
    deleted(table, rows)
    return rows == chunk


def _delete(connection: Connection, table: Table, key: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> int:
    """Delete by keys that may be there; returns how many were asked for."""
    if rows:
        this = and_(*(column == bindparam(f"key_{column.name}") for column in key))
        connection.execute(delete(table).where(this), [{f"key_{c.name}": value for c, value in zip(key, row, strict=True)} for row in rows])
    return len(rows)
