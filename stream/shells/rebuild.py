"""Rebuild fold's memory from stored rows: after a restart, and for `groundswell explain`. One function, so both agree.

What is loaded, for a partition that has folded through tick T (its hour H, its day D are still open):
    arrivals        of two horizons (112 days), for each source's own gaps
    source hours    of the horizon before H, for the usual volume
    exposures       of the horizon before H
    baselines       of the horizon before H (hours) and before D (days)
    stories         of the leaders' life before T
    increments      of the last day, for the windows and for the open hour and day
    candidates      of the holding time and the quiet days before T
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy import Connection

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.surge import DAY_S, HORIZON_DAYS, HOUR_S
from alerts.rules import Rules
from groundswell.names import DAY_MS, DAY_TICKS, HOUR_TICKS, TICK_MS, measured_series, series_kind
from groundswell.records import Candidate
from groundswell.store import facts
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates, load_increments, load_rows, load_stories
from groundswell.store.history import history_of
from groundswell.store.progress import NEVER_TICK
from stream.operators.admit import tick_end_ms
from stream.operators.exposure import HORIZON_HOURS, Exposure, HourExposure, SourceHour
from stream.operators.stories import LEADER_LIFE_MS, LEADERS_MAX, Leaders
from stream.pipeline import Fold, past_reader
from stream.shells.versions import VersionsInForce

LOOKS_BACK_MS: Final = (2 * HORIZON_DAYS + 1) * DAY_MS
"""Nothing older is loaded, so nothing younger may be dropped."""


def rebuild_fold(
    connection: Connection,
    run: str,
    *,
    in_force: VersionsInForce,
    through_tick: int,
    mine: Callable[[str], bool] = lambda _: True,
    series: Iterable[str] | None = None,
    history: bool = True,
) -> Fold:
    """The memory that fold had after tick `through_tick`, the last one that it folded.

    Args:
        connection: a reading transaction.
        run: whose rows.
        in_force: the rules and models of each tick; renewed.
        through_tick: last folded tick; rows of later ticks are passed over.
        mine: which series belong to the partition.
        series: load only these (explain); None loads all.
        history: with what the run goes on from; without it, the memory that fold had before it was given any (explain).
    """
    only = None if series is None else sorted(series)
    begin = NEVER_TICK if history else _own_begin(connection, run)
    exposure = rebuild_exposure(connection, run, through_tick=through_tick, history=history)
    fold = Fold(rules=in_force.rules, exposure=exposure, last_tick=through_tick, plan=in_force.plan(), mine=mine)
    fold.turn(through_tick)
    founded = defaultdict(list)
    since_ms = max(tick_end_ms(through_tick) - LEADER_LIFE_MS - TICK_MS, begin * TICK_MS)
    for story in load_stories(connection, run, since_ms=since_ms, through_tick=through_tick, series=only):
        founded[story.series].append(story)
    increments = defaultdict(list)
    since_tick = max(through_tick - DAY_TICKS + 1, begin)
    for row in load_increments(connection, run, since_tick=since_tick, through_tick=through_tick, series=only):
        increments[row.series].append(row)
    hold_ticks = max(remembered_s(rules) for rules in in_force.every_rules()) * 1_000 // TICK_MS
    last: dict[str, dict[tuple[str, int], Candidate]] = defaultdict(dict)
    for candidate in load_candidates(connection, run, since_tick=through_tick - hold_ticks - 1, through_tick=through_tick, series=only):
        last[candidate.series][candidate.kind, candidate.window_s] = candidate
    baseline = _baselines(connection, run, in_force, through_tick=through_tick, begin=begin)
    wanted = set(only) if only is not None else {*founded, *increments, *baseline, *last}
    for name in sorted(name for name in wanted if mine(name) and series_kind(name) != "language"):
        memory = fold.memory_of(name)
        memory.leaders = Leaders(founded[name][-LEADERS_MAX:])
        memory.watch.restore(baseline=baseline[name], rows=increments[name], last=last[name].values(), tick=through_tick)
        for period_s in (HOUR_S, DAY_S):
            opened = through_tick // (period_s * 1_000 // TICK_MS)
            if any(row.tick // (period_s * 1_000 // TICK_MS) == opened for row in increments[name]):
                fold.touched[period_s].add(name)
    return fold


def remembered_s(rules: Rules) -> int:
    """How long a candidate still matters to the detector that found it."""
    days = max(rules.sighting.quiet_days + 1, rules.slow_burn.repeat_days)
    return max(rules.surge.hold_s, rules.surge.repeat_s, rules.amplification.repeat_s, rules.late.repeat_s, days * DAY_S)


def _own_begin(connection: Connection, run: str) -> int:
    """First tick that is not of the run's history."""
    before = history_of(connection, run)
    return NEVER_TICK if before is None else before.before_tick


def rebuild_exposure(connection: Connection, run: str, *, through_tick: int, history: bool = True) -> Exposure:
    """What the partition knew about all sources after a tick; `history` as of `rebuild_fold`."""
    exposure = Exposure()
    hour = through_tick // HOUR_TICKS
    first = facts.first_tick(connection, run, history=history)
    exposure.hour = hour
    exposure.first_hour = None if first is None else first // HOUR_TICKS
    ticks = defaultdict(list)
    since_tick = through_tick - 2 * HORIZON_HOURS * HOUR_TICKS
    for source, tick in facts.arrival_ticks(connection, run, since_tick=since_tick, through_tick=through_tick, history=history):
        ticks[source].append(tick)
    for source, heard in ticks.items():
        exposure.restore_source(source, heard)
    opened = hour * HOUR_TICKS
    for source, language, documents in facts.arrivals_between(
        connection, run, since_tick=opened, through_tick=through_tick, history=history
    ):
        exposure.restore_open(source, language, documents)
    begin = NEVER_TICK if history else _own_begin(connection, run)
    oldest = max(hour - 1 - HORIZON_HOURS, begin // HOUR_TICKS)
    for row in load_rows(connection, run, t.source_hours, since=oldest, before=hour, by="hour"):
        exposure.restore_source_hour(SourceHour(row.hour, row.source, row.language, row.documents))
    for row in load_rows(connection, run, t.exposures, since=oldest, before=hour, by="hour"):
        exposure.restore_exposure(HourExposure(row.hour, row.language, row.exposure_ppm))
    exposure.forget_silent_sources()
    return exposure


def _baselines(
    connection: Connection, run: str, in_force: VersionsInForce, *, through_tick: int, begin: int
) -> dict[str, list[BaselineRow]]:
    """{series: its closed periods in order}, each with who read it: rows of the run, and of the runs that are a model's past."""
    plan = in_force.plan()
    found: list[BaselineRow] = []
    for period_s, periods in ((HOUR_S, 24 * HORIZON_DAYS), (DAY_S, HORIZON_DAYS)):
        period_ms = period_s * 1_000
        opened = through_tick // (period_ms // TICK_MS)
        since = max(opened - 2 * periods, begin // (period_ms // TICK_MS))
        for row in load_rows(connection, run, t.baselines, since=since, before=opened, by="period"):
            if row.period_s == period_s:
                reader = plan.reader_of(row.period * period_ms, (row.period + 1) * period_ms)
                found.append(BaselineRow(row.series, period_s, row.period, row.negative, row.stories, reader))
        for past, (start_ms, end_ms) in in_force.pasts.items():
            first, last = -(-start_ms // period_ms), min(end_ms // period_ms, opened)
            for row in load_rows(connection, past, t.baselines, since=max(first, opened - 2 * periods), before=last, by="period"):
                if row.period_s == period_s:
                    found.append(BaselineRow(row.series, period_s, row.period, row.negative, row.stories, past_reader(past)))
    baseline: dict[str, list[BaselineRow]] = defaultdict(list)
    for each in sorted(found, key=lambda row: (row.index, row.reader)):
        baseline[measured_series(each.series)].append(each)
    return baseline
