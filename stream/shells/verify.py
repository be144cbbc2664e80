"""Verify: make again from a run's facts what can be made again, and say where the stored rows disagree.

balance      fetched = scored + duplicate + edited + dropped + in flight, for each source, and the stored sums of each
facts        every admission that counted has its document and a score
increments   documents and negative documents of every tick, pane and series, from the stored admissions and scores
alerts       every alert, to the same bytes
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, and_, func, or_, select

from groundswell.local_log import LocalLog
from groundswell.names import DAY_TICKS, PANE_MS, ROLE_FOLD, TICK_MS, series_kind
from groundswell.records import Document
from groundswell.store import schema as t
from groundswell.store.derived import load_increments
from groundswell.store.facts import counted_between, heard_of
from groundswell.store.history import history_of
from groundswell.store.months import dropped_months
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.query import alerts_of, settled_balance
from groundswell.store.results import counted_scores
from groundswell.store.runs import manifest_of
from groundswell.store.store import Store
from groundswell.store.tallies import fates
from groundswell.store.versions import read_schedule
from stream.pipeline import contributions_of
from stream.shells.explain import explain
from stream.shells.instruments import Instruments
from stream.shells.versions import WatchesInForce

SPAN_TICKS: Final = DAY_TICKS
DISAGREEMENTS_MAX: Final = 5
"""Shown of one check."""

Cell = tuple[str, int, int, bool]
"""Series, tick, pane and whether its documents say only the day: what an increment is the row of."""


@dataclass
class Check:
    """One thing that was made again."""

    name: str
    compared: int = 0
    wrong: int = 0
    shown: list[str] = field(default_factory=list)  # the first few that disagree
    skipped: str = ""  # why nothing was compared
    note: str = ""  # what could not be compared, and why

    def disagree(self, what: str) -> None:
        """Count a disagreement."""
        self.wrong += 1
        if len(self.shown) < DISAGREEMENTS_MAX:
            self.shown.append(what)


def verify(
    store: Store,
    run: str,
    instruments: Instruments,
    *,
    log: LocalLog | None = None,
    progress: Callable[[str], None] = lambda _check: None,
) -> list[Check]:
    """Every check of a run; one without disagreements holds.

    Args:
        store: where it is.
        run: its name.
        instruments: for the reader's words in alerts.
        log: the live run's local log; without it and without stored counts the balance of a live run is not checked.
        progress: told the name of each check before it begins.

    Raises:
        NotFoundError: no such run.
    """
    with store.read() as connection:
        manifest_of(connection, run)
    checks = []
    for name, check in (("balance", _balance), ("facts", _facts), ("increments", _increments)):
        progress(name)
        with store.read() as connection:  # one snapshot for each check: a live run goes on meanwhile
            checks.append(check(connection, run, log))
    progress("alerts")
    return [*checks, _alerts(store, run, instruments)]


def _balance(connection: Connection, run: str, log: LocalLog | None) -> Check:
    check = Check("balance")
    tables = t.fetched, t.taken
    counted = [connection.execute(select(func.count()).select_from(one).where(one.c.run == run)).scalar_one() for one in tables]
    if log is None and not any(counted):
        check.skipped = "what was fetched is counted in the log, which is not at hand"
        return check
    rows = settled_balance(connection, run, log=log, whole=True)
    check.compared = len(rows)
    for row in rows:
        if row.balance:
            check.disagree(f"source {row.source}: {row.balance:+d}")
    summed, counted_anew = fates(connection, run), fates(connection, run, whole=True)
    for key in sorted(summed.keys() | counted_anew.keys()):
        if summed[key] != counted_anew[key]:
            fate, source, _ = key
            check.disagree(f"source {source}: {summed[key]} {fate} by the stored sums, {counted_anew[key]} by the rows")
    return check


def _facts(connection: Connection, run: str, _: LocalLog | None) -> Check:
    check = Check("facts")
    a, d, s = t.admissions.c, t.documents.c, t.scores.c
    mine = and_(a.run == run, a.outcome == "scored")
    check.compared = connection.execute(select(func.count()).where(mine)).scalar_one()
    joined = t.admissions.outerjoin(t.documents, and_(a.document_id == d.document_id, a.content_hash == d.content_hash)).outerjoin(
        t.scores, and_(a.document_id == s.document_id, a.content_hash == s.content_hash)
    )
    missing = select(a.part, a.position, a.place, a.document_id, d.document_id.label("document"), s.document_id.label("score"))
    wanted = missing.select_from(joined).where(mine, or_(d.document_id.is_(None), s.document_id.is_(None)))
    for row in connection.execute(wanted.order_by(a.part, a.position, a.place)):
        what = " and ".join(name for name, found in (("document", row.document), ("score", row.score)) if found is None)
        check.disagree(f"{row.part}:{row.position}:{row.place}, document {row.document_id}: no {what}")
    return check


def _increments(connection: Connection, run: str, _: LocalLog | None) -> Check:
    """Span by span, so that memory stays bounded; what no partition has closed yet is left out.

    What a saved search found of a text that was removed since, or what its title denied, cannot be made again: its ticks are left out for
    such series.
    """
    check = Check("increments")
    a = t.admissions.c
    first = connection.execute(select(func.min(a.tick)).where(heard_of(connection, run))).scalar_one_or_none()
    stored_first = connection.execute(select(func.min(t.increments.c.tick)).where(t.increments.c.run == run)).scalar_one_or_none()
    closed = min((row.closed_tick for row in progress_of(connection, run, ROLE_FOLD)), default=NEVER_TICK)
    starts = [tick for tick in (first, stored_first) if tick is not None]
    gone = dropped_months(connection, run)  # of which the run's history may still have the documents
    check.note = "; ".join(month.sentence for month in gone)
    for since in range(min(starts, default=closed + 1), closed + 1, SPAN_TICKS):
        through = min(since + SPAN_TICKS - 1, closed)
        made = _made_again(connection, run, since_tick=since, through_tick=through, check=check)
        stored = _stored(connection, run, since_tick=since, through_tick=through, check=check)
        removed = _removed_ticks(connection, run, since_tick=since, through_tick=through)
        cells = sorted(
            cell
            for cell in stored.keys() | made.keys()
            if not (cell[1] in removed and series_kind(cell[0]) in OF_THE_TEXT) and not any(month.holds(cell[1]) for month in gone)
        )
        check.compared += len(cells)
        for cell in cells:
            if stored.get(cell) != made.get(cell):
                series, tick, pane, _daily = cell
                then, now = stored.get(cell, (0, 0)), made.get(cell, (0, 0))
                check.disagree(
                    f"{series}, tick {tick}, pane {pane}: stored {then[0]} documents, {then[1]} negative; made again {now[0]}, {now[1]}"
                )
    return check


OF_THE_TEXT: Final = ("watch", "word")
"""Kinds of series that a text is read for once more, where the others go by its stored score."""


def _removed_ticks(connection: Connection, run: str, *, since_tick: int, through_tick: int) -> set[int]:
    a, r = t.admissions.c, t.removals.c
    joined = t.admissions.join(t.removals, and_(a.document_id == r.document_id, a.content_hash == r.content_hash))
    mine = and_(a.run == run, a.tick.between(since_tick, through_tick))
    return set(connection.execute(select(a.tick).select_from(joined).where(mine).distinct()).scalars())


def _made_again(connection: Connection, run: str, *, since_tick: int, through_tick: int, check: Check) -> dict[Cell, tuple[int, int]]:
    """{increment: documents, negative documents} from stored admissions and the scores that counted, the run's history first."""
    past = history_of(connection, run)
    spans = [(run, through_tick)] if past is None else [(past.run, min(through_tick, past.before_tick - 1)), (run, through_tick)]
    documents: Counter[Cell] = Counter()
    negative: Counter[Cell] = Counter()
    for whose, through in spans:
        admitted = counted_between(connection, whose, since_tick=since_tick, through_tick=through)
        scores = counted_scores(connection, whose, {_key(document): admission.model_id for admission, document in admitted})
        watches = WatchesInForce()
        watches.renew(connection, read_schedule(connection, whose))
        for admission, document in admitted:
            if _key(document) not in scores:
                check.disagree(f"document {document.document_id}: the score that counted at {admission.position} is not stored")
        for _, c in contributions_of([(a, d) for a, d in admitted if _key(d) in scores], scores, watches.at):
            cell = c.series, c.known_ms // TICK_MS, c.published_ms // PANE_MS, c.daily
            documents[cell] += 1
            negative[cell] += c.sentiment == "negative"
    return {cell: (number, negative[cell]) for cell, number in documents.items()}


def _key(document: Document) -> tuple[str, str]:
    return document.document_id, document.content_hash


def _stored(connection: Connection, run: str, *, since_tick: int, through_tick: int, check: Check) -> dict[Cell, tuple[int, int]]:
    """{increment: documents, negative documents} as stored: of its body, which its columns must repeat."""
    i = t.increments.c
    mine = and_(i.run == run, i.tick.between(since_tick, through_tick))
    columns = {
        (series, tick, pane, daily): (documents, negative)
        for series, tick, pane, daily, documents, negative in connection.execute(
            select(i.series, i.tick, i.pane, i.daily, i.documents, i.negative).where(mine)
        )
    }
    found = {}
    for row in load_increments(connection, run, since_tick=since_tick, through_tick=through_tick):
        counts = [count for owners in row.members.values() for count in owners.values()]
        cell = row.series, row.tick, row.pane, row.daily
        found[cell] = sum(count[0] for count in counts), sum(count[1] for count in counts)
        if columns[cell] != found[cell]:
            check.disagree(f"{row.series}, tick {row.tick}, pane {row.pane}: its columns say {columns[cell]}, its body {found[cell]}")
    return found


def _alerts(store: Store, run: str, instruments: Instruments) -> Check:
    check = Check("alerts")
    with store.read() as connection:
        alerts = alerts_of(connection, run)
    left_out = 0
    for alert in alerts:
        explained = explain(store, alert.id, instruments, run=run)
        if explained.gone:
            left_out += 1
            check.note = f"{left_out} alerts cannot be made again: {explained.gone}"
            continue
        check.compared += 1
        if not explained.same:
            check.disagree(f"alert {alert.id}: {'; '.join(explained.differences[:2]) or 'its bytes differ'}")
    return check
