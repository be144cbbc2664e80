"""What a whole run would have to be read for, kept: what became of its raw records, and its first pane.

Rows of a partition below the score stage's offset never change, nor do increments up to a closed tick: they are stored in the transaction
that moves it. `tally` reads them once, and remembers in the same transaction how far it has come; a balance then reads a few sums and the
rows behind that point, through the key. Whoever wants every row counted anew says `whole` (the lookout does; `groundswell runs verify`
compares).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, or_, select, text, true

from groundswell.names import ROLE_FOLD, ROLE_SCORE
from groundswell.store import schema as t
from groundswell.store.months import dropped_counts
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.store import Store

STEP: Final = 100_000
"""Offsets of a partition that one transaction counts: SQLite has one writer, and the pipeline is it too."""

REASON_CHARS: Final = 200
"""Of a drop's reason, in a sum: it is part of a key, and a key has an end."""

Fates = Counter[tuple[str, str, str]]
"""{(scored, duplicate, edited or dropped; source; why, of drops): documents}"""


def fates(connection: Connection, run: str, *, whole: bool = False) -> Fates:
    """What became of the records of a run, by source: the stored sums, and the rows that are in none of them.

    Args:
        connection: a reading transaction; one snapshot, or sums and rows may overlap.
        run: whose records.
        whole: count every row, whatever was summed before; of months that were dropped, what they left.
    """
    if whole:
        counted = _counted(connection, run, lambda _: true())
        for (_, fate, source, reason), documents in dropped_counts(connection, run).items():
            counted[fate, source, reason] += documents
        return counted
    sums: Fates = Counter()
    for row in connection.execute(select(t.tallies).where(t.tallies.c.run == run)):
        sums[row.fate, row.source, row.reason] = row.documents
    marks = _marks(connection, run)
    sums.update(_counted(connection, run, lambda table: _behind(table, marks)))
    return sums


def tally(store: Store, run: str, *, step: int = STEP) -> int:
    """Count what lies behind the score stage and is in no sum yet. Several processes may do so at once.

    Args:
        store: where the run is.
        run: its name.
        step: offsets of one partition in one transaction.

    Returns:
        How many records were added to the sums.

    Raises:
        DependencyError: the store is away; what was counted before stays.
    """
    added = 0
    while found := _tally_more(store, run, step=step):
        added += found
    _reach_further(store, run)
    return added


def first_pane(connection: Connection, run: str) -> int | None:
    """The first pane with a count; None while there is none."""
    r, i = t.reach.c, t.increments.c
    known = connection.execute(select(r.closed_tick, r.first_pane).where(r.run == run)).one_or_none()
    behind = select(func.min(i.pane)).where(i.run == run, true() if known is None else i.tick > known.closed_tick)
    found = [connection.execute(behind).scalar_one_or_none(), known and known.first_pane]
    return min((pane for pane in found if pane is not None), default=None)


def _reach_further(store: Store, run: str) -> None:
    """Remember the first pane of what every partition has folded. A later reader of fewer ticks cannot undo it: it says the same."""
    with store.write() as connection:
        closed = min((claim.closed_tick for claim in progress_of(connection, run, ROLE_FOLD)), default=NEVER_TICK)
        r, i = t.reach.c, t.increments.c
        known = connection.execute(select(r.closed_tick, r.first_pane).where(r.run == run)).one_or_none()
        ticks = and_(i.tick <= closed, true() if known is None else i.tick > known.closed_tick)
        found = connection.execute(select(func.min(i.pane)).where(i.run == run, ticks)).scalar_one_or_none()
        first = min((pane for pane in (found, known and known.first_pane) if pane is not None), default=None)
        if first is not None:
            store.upsert(connection, t.reach, [{"run": run, "closed_tick": closed, "first_pane": first}])


def _tally_more(store: Store, run: str, *, step: int) -> int:
    """Count some more in one transaction; returns how many records, or 0 when nothing is left."""
    with store.write() as connection:
        ends = {claim.part: claim.next_offset for claim in progress_of(connection, run, ROLE_SCORE)}
        store.insert(connection, t.tallied, [{"run": run, "part": part, "position": 0} for part in ends])
        marks, sums = _marks(connection, run, held=True), Fates()
        while not sums:  # positions may be far apart: a replaced log begins where the old one ended
            spans = {part: (mark, min(ends[part], mark + step)) for part, mark in marks.items() if mark < ends.get(part, 0)}
            if not spans:
                break
            sums = _counted(connection, run, partial(_between, spans=spans))
            marks |= {part: end for part, (_, end) in spans.items()}
        rows = [
            {"run": run, "fate": fate, "source": source, "reason": reason, "documents": documents}
            for (fate, source, reason), documents in sorted(sums.items())
        ]
        store.add(connection, t.tallies, rows, column="documents")
        store.upsert(connection, t.tallied, [{"run": run, "part": part, "position": mark} for part, mark in marks.items()])
    return sum(sums.values())


def _marks(connection: Connection, run: str, *, held: bool = False) -> dict[int, int]:
    """{partition: offset that everything below is summed}, in order; `held`: nobody else moves them before the transaction ends."""
    m = t.tallied.c
    statement = select(m.part, m.position).where(m.run == run).order_by(m.part)
    rows = connection.execute(statement.with_for_update() if held else statement)
    return {row.part: row.position for row in rows}


def _between(table: Table, *, spans: Mapping[int, tuple[int, int]]) -> ColumnElement[bool]:
    c = table.c
    return or_(*(and_(c.part == part, c.position >= start, c.position < end) for part, (start, end) in spans.items()))


def _behind(table: Table, marks: Mapping[int, int]) -> ColumnElement[bool]:
    """Rows in no sum, as ranges of the key: behind the mark of their partition, or of a partition between those that have one."""
    if not marks:
        return true()
    c, parts = table.c, sorted(marks)
    marked = [and_(c.part == part, c.position >= marks[part]) for part in parts]
    gaps = [and_(c.part > low, c.part < high) for low, high in pairwise(parts) if high - low > 1]
    return or_(*marked, c.part < parts[0], *gaps, c.part > parts[-1])


def _counted(connection: Connection, run: str, among: Callable[[Table], ColumnElement[bool]]) -> Fates:
    """Rows by fate, source and reason; a record counts as scored where the score is stored too."""
    a, s, d = t.admissions.c, t.scores.c, t.drops.c
    # By any model: a live run changes its model, and what an earlier one scored stays scored.
    has_score = exists().where(a.document_id == s.document_id, a.content_hash == s.content_hash)
    kept = or_(a.outcome.in_(("duplicate", "edited")), and_(a.outcome == "scored", has_score))
    found: Fates = Counter()
    admitted = select(a.outcome, a.source, func.count()).where(a.run == run, among(t.admissions), kept)
    for outcome, source, documents in connection.execute(admitted.group_by(a.outcome, a.source)):
        found[outcome, source, ""] = documents
    begins = func.substr(d.reason, 1, REASON_CHARS).label("begins")
    dropped = select(d.source, begins, func.count()).where(d.run == run, among(t.drops)).group_by(d.source, text("begins"))
    for source, why, documents in connection.execute(dropped):
        found["dropped", source, why] = documents
    return found
