"""Rehearse: what other rules would have sent over a stored run, as if they had been put in force at a moment of it.

    stored increments, arrivals  --Fold.replay-->  candidates  --DeskStage.judge-->  decisions, alerts      nothing is stored

Rules decide what a detector finds and what the desk does with it. Nothing earlier knows of them: stories, increments, exposure and
baselines are the same under any rules, so a run's rows are shown to the detectors and the desk that made it, and no document is folded
again. That those rows come out as stored is checked on the way. With the run's own rules the alerts are the run's, byte for byte.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from alerts.desk import DeskState, Incident
from alerts.plain import WEEK_HOURS, WEEKS, PlainRules
from alerts.rules import Rules
from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import iso
from groundswell.names import DAY_TICKS, HOUR_MS, ROLE_DESK, ROLE_FOLD, TICK_MS
from groundswell.records import Alert, Arrival, Candidate, Decision, Increment
from groundswell.schedule import RULES, InForce, Schedule
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates, load_increments, load_rows
from groundswell.store.facts import arrivals_by_tick, first_tick, tick_before
from groundswell.store.months import DroppedMonth, dropped_months
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.runs import manifest_of, refuse_dropping
from groundswell.store.store import Store
from stream.pipeline import Fold, Folded
from stream.shells.around import nobody
from stream.shells.desk_stage import DeskStage, Judged
from stream.shells.rebuild import LOOKS_BACK_MS, rebuild_fold
from stream.shells.versions import VersionsInForce

LEARN_TICKS: Final = WEEKS * WEEK_HOURS * HOUR_MS // TICK_MS
"""What the plain rules learn from before the span."""


@dataclass(frozen=True)
class Span:
    """Ticks of a run, both inclusive."""

    first: int  # of the run
    since: int
    through: int

    @property
    def start_ms(self) -> int:
        """The first moment."""
        return self.since * TICK_MS

    @property
    def end_ms(self) -> int:
        """The moment after the last."""
        return (self.through + 1) * TICK_MS


@dataclass
class Rehearsal:
    """What the rules would have done over the span; what the desk did before it is the run's own."""

    run: str
    span: Span
    rules: Rules
    in_force: VersionsInForce  # the run's schedule, with these rules in force since the span's begin
    plain: PlainRules
    documents: int = 0  # that were heard
    candidates: list[Candidate] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)  # every one of the run, as the span leaves it
    gone: list[DroppedMonth] = field(default_factory=list)  # of the span that was asked for, or of what it looks back on
    periods: int = 0  # baseline rows that were made again
    unlike: int = 0  # of these, not as stored

    @property
    def held(self) -> dict[str, int]:
        """{reason: candidates that the desk held}, the most frequent first."""
        found: dict[str, int] = defaultdict(int)
        for decision in self.decisions:
            if decision.verdict == "held":
                found[decision.reason.partition(":")[0]] += 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def rehearse(
    store: Store,
    run: str,
    rules: Rules,
    *,
    display: Callable[[str], str],
    sector: Callable[[str], Sequence[str]] = nobody,
    from_ms: int | None = None,
    to_ms: int | None = None,
    beat: Callable[[float], None] = lambda _done: None,
) -> Rehearsal:
    """Rehearse rules over `[from, to)` of a run, in known time.

    Args:
        store: only read.
        run: whose increments, arrivals and documents.
        rules: to be rehearsed.
        display: a series key in the reader's words.
        sector: the companies that one is compared with.
        from_ms: since when they are in force; None: since the run's first tick.
        to_ms: None: the run's end, or as far as it has come.
        beat: told after each tick how much of the span is done, in [0, 1]; what it raises ends the rehearsal.

    Raises:
        NotFoundError: no such run, or it has not closed a tick yet.
        UsageError: the span is empty, all of it was dropped by months, or the run or a month of it is being dropped.
    """
    with store.read() as connection:
        manifest = manifest_of(connection, run)
        refuse_dropping(run, manifest)
        gone = _gone(connection, run, from_ms=from_ms, to_ms=to_ms)
        span = _span(connection, run, gone, from_ms=from_ms, to_ms=to_ms)
        in_force = _as_if(connection, run, rules, span, hashes=manifest.get("versions", {}))
        forming_ticks = rules.surge.forming_days * DAY_TICKS
        plain = PlainRules(span.first, max(span.since, span.first + forming_ticks))
        done = Rehearsal(run, span, rules, in_force, plain, gone=gone)
        fold = _fold_before(connection, run, in_force, span)
        desk = _Desk(DeskStage(store, run, display, in_force, sector=sector), done.incidents)
        _before(connection, run, span, desk, plain)
        folded = Folded()
        for tick, arrivals, rows in _ticks(connection, run, span.since, span.through):
            done.documents += sum(arrival.documents for arrival in arrivals)
            plain.step(tick, rows)
            found = fold.replay(tick, arrivals, rows, folded)
            judged = desk.judge(connection, tick, found)
            done.decisions += judged.decisions
            done.alerts += judged.alerts
            folded.candidates += judged.shifts
            beat((tick + 1 - span.since) / (span.through + 1 - span.since))
        done.candidates = folded.candidates
        done.periods, done.unlike = _compare(connection, run, folded)
    return done


def _gone(connection: Connection, run: str, *, from_ms: int | None, to_ms: int | None) -> list[DroppedMonth]:
    """The months that were dropped of the span that was asked for, or of what its first tick looks back on."""
    gone = dropped_months(connection, run, since_ms=None if from_ms is None else from_ms - LOOKS_BACK_MS, until_ms=to_ms)
    half = next((month for month in gone if month.ended_ms is None), None)
    if half is not None:
        reason = (
            f"run {run!r}: {half.sentence}; finish it with `groundswell months drop --before {half.month.after(1).name}`, then rehearse"
        )
        raise UsageError(reason)
    return gone


def _span(connection: Connection, run: str, gone: Sequence[DroppedMonth], *, from_ms: int | None, to_ms: int | None) -> Span:
    first = first_tick(connection, run)
    closed = [claim.closed_tick for role in (ROLE_FOLD, ROLE_DESK) for claim in progress_of(connection, run, role)]
    if first is None or not closed or min(closed) == NEVER_TICK:
        reason = f"run {run!r}: it has not closed a tick yet, so there is nothing to rehearse on; wait, or choose another --run"
        raise NotFoundError(reason)
    last = max(first, min(closed))
    # Arrivals of a history stay when a month goes: without its other rows they would make a quiet month of it.
    kept = max(first, *(month.month.last_tick + 1 for month in gone)) if gone else first
    since = kept if from_ms is None else max(kept, -(-from_ms // TICK_MS))
    through = last if to_ms is None else min(last, to_ms // TICK_MS - 1)
    if since > through:
        reason = (
            f"run {run!r}: nothing of it lies in the span that was asked for; it was known from {iso(kept * TICK_MS)} to "
            f"{iso((last + 1) * TICK_MS)}: choose --from and --to between them"
        )
        reason = "; ".join([reason, *(month.sentence for month in gone)])
        raise UsageError(reason)
    return Span(first, since, through)


def _as_if(connection: Connection, run: str, rules: Rules, span: Span, *, hashes: Mapping[str, str]) -> VersionsInForce:
    """The run's schedule, but for the rules: those that are rehearsed are in force from the span's begin on."""
    in_force = VersionsInForce(run, rules, {**hashes, RULES: rules.hash})
    in_force.renew(connection)
    begin_ms = span.start_ms if span.since > span.first else 0
    kept = [row for row in in_force.schedule.rows if row.kind != RULES or row.effective_ms < begin_ms]
    in_force.schedule = Schedule((*kept, InForce(begin_ms, RULES, rules.hash)))
    in_force.rules_of[rules.hash] = rules
    return in_force


def _fold_before(connection: Connection, run: str, in_force: VersionsInForce, span: Span) -> Fold:
    """The memory of the detectors as it was before the span."""
    before = tick_before(connection, run, span.since)
    if before is None:
        return Fold(in_force.rules, plan=in_force.plan())
    return rebuild_fold(connection, run, in_force=in_force, through_tick=before)


@dataclass
class _Desk:
    """The desk's stage with its incidents in memory instead of in the store."""

    stage: DeskStage
    incidents: dict[str, Incident]

    def judge(self, connection: Connection, tick: int, candidates: list[Candidate]) -> Judged:
        if not candidates:
            return Judged([], [])
        self._obey(tick)
        judged = self.stage.judge(connection, tick, candidates)
        self._keep()
        return judged

    def decide(self, connection: Connection, tick: int, candidates: list[Candidate]) -> None:
        """The same of a tick before the span: what is remembered of it counts, not what was said."""
        self._obey(tick)
        self.stage.weigh(connection, tick, [candidate for candidate in candidates if candidate.kind != "model_shift"])
        self._keep()

    def _obey(self, tick: int) -> None:
        """Where other rules are in force than in the tick before: they may look further back than what was remembered."""
        rules, state = self.stage.in_force.rules_at(tick).desk, self.stage.state
        if rules != state.rules:
            since = tick - 1 - max(DeskState.keep_ticks(each.desk) for each in self.stage.in_force.every_rules())
            live = [incident for incident in self.incidents.values() if incident.last_tick >= since]
            self.stage.state = DeskState(rules, sorted(live, key=lambda i: (i.opened_tick, i.incident)), stream=state.stream)

    def _keep(self) -> None:
        self.incidents |= self.stage.state.changed
        self.stage.state.changed = {}


def _before(connection: Connection, run: str, span: Span, desk: _Desk, plain: PlainRules) -> None:
    """What the desk and the plain rules know when the span begins. Incidents are stored as they are now, so they are made again."""
    if span.since == span.first:
        return
    by_tick: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in load_candidates(connection, run, since_tick=span.first, through_tick=span.since - 1):
        by_tick[candidate.tick].append(candidate)
    for tick, candidates in sorted(by_tick.items()):
        desk.decide(connection, tick, candidates)
    for tick, _, rows in _ticks(connection, run, max(span.first, span.since - LEARN_TICKS), span.since - 1, arrivals=False):
        plain.step(tick, rows)


def _ticks(
    connection: Connection, run: str, since: int, through: int, *, arrivals: bool = True
) -> Iterator[tuple[int, list[Arrival], list[Increment]]]:
    """Every tick of a span that has anything, with what it has, read a day at a time."""
    for begin in range(since, through + 1, DAY_TICKS):
        end = min(begin + DAY_TICKS - 1, through)
        heard: dict[int, list[Arrival]] = {}
        if arrivals:
            heard = arrivals_by_tick(connection, run, since_tick=begin, through_tick=end)
        rows: dict[int, list[Increment]] = defaultdict(list)
        for row in load_increments(connection, run, since_tick=begin, through_tick=end):
            rows[row.tick].append(row)
        for tick in sorted({*heard, *rows}):
            yield tick, heard.get(tick, []), rows.get(tick, [])


def _compare(connection: Connection, run: str, folded: Folded) -> tuple[int, int]:
    """How many closed hours and days were made again, and how many of them are not as stored."""
    made = {(row.series, row.period_s, row.index): (row.negative, row.stories) for row in folded.baselines}
    unlike = dict(made)
    for period_s in {key[1] for key in made}:
        periods = [key[2] for key in made if key[1] == period_s]
        row: Any
        for row in load_rows(connection, run, t.baselines, since=min(periods), before=max(periods) + 1, by="period"):
            key = row.series, row.period_s, row.period
            if made.get(key) == (row.negative, row.stories):
                unlike.pop(key, None)
    return len(made), len(unlike)
