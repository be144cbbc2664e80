"""Rebuild fold's memory from stored rows: after a restart, and for `groundswell explain`. One function, so both agree.

What is loaded, for a partition that has folded through tick T (its hour H, its day D are still open):
    arrivals        of two horizons (112 days), for each source's own gaps
    source hours    of the horizon before H, for the usual volume
    exposures       of the horizon before H
    baselines       of the horizon before H (hours) and before D (days)
    stories         of the leaders' life before T
    increments      of the last day, for the windows and for the open hour and day
    candidates      of the holding time before T
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.surge import DAY_S, DAY_TICKS, HORIZON_DAYS, HOUR_S
from alerts.rules import Rules
from groundswell.names import TICK_MS
from groundswell.records import Candidate
from groundswell.store import facts
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates, load_increments, load_rows, load_stories
from stream.operators.admit import tick_end_ms
from stream.operators.exposure import HORIZON_HOURS, HOUR_TICKS, Exposure, HourExposure, SourceHour
from stream.operators.stories import LEADER_LIFE_MS, LEADERS_MAX, Leaders
from stream.pipeline import Fold


def rebuild_fold(
    connection: Connection,
    run: str,
    *,
    rules: Rules,
    through_tick: int,
    mine: Callable[[str], bool] = lambda _: True,
    series: Iterable[str] | None = None,
) -> Fold:
    """The memory that fold had after tick `through_tick`, the last one that it folded.

    Args:
        connection: a reading transaction.
        run: whose rows.
        rules: those in force.
        through_tick: last folded tick; rows of later ticks are passed over.
        mine: which series belong to the partition.
        series: load only these (explain); None loads all.
    """
    only = None if series is None else sorted(series)
    fold = Fold(rules=rules, exposure=rebuild_exposure(connection, run, through_tick=through_tick), last_tick=through_tick)
    founded = defaultdict(list)
    for story in load_stories(
        connection, run, since_ms=tick_end_ms(through_tick) - LEADER_LIFE_MS - TICK_MS, through_tick=through_tick, series=only
    ):
        founded[story.series].append(story)
    increments = defaultdict(list)
    for row in load_increments(connection, run, since_tick=through_tick - DAY_TICKS + 1, through_tick=through_tick, series=only):
        increments[row.series].append(row)
    hold_ticks = max(rules.surge.hold_s, rules.surge.repeat_s) * 1_000 // TICK_MS
    last: dict[str, dict[int, Candidate]] = defaultdict(dict)
    for candidate in load_candidates(connection, run, since_tick=through_tick - hold_ticks - 1, through_tick=through_tick, series=only):
        last[candidate.series][candidate.window_s] = candidate
    baseline = _baselines(connection, run, through_tick=through_tick)
    wanted = set(only) if only is not None else {*founded, *increments, *baseline, *last}
    for name in sorted(name for name in wanted if mine(name)):
        memory = fold.memory_of(name)
        memory.leaders = Leaders(founded[name][-LEADERS_MAX:])
        memory.detector.restore(baseline=baseline[name], rows=increments[name], last=last[name].values(), tick=through_tick)
        for period_s in (HOUR_S, DAY_S):
            opened = through_tick // (period_s * 1_000 // TICK_MS)
            if any(row.tick // (period_s * 1_000 // TICK_MS) == opened for row in increments[name]):
                fold.touched[period_s].add(name)
    return fold


def rebuild_exposure(connection: Connection, run: str, *, through_tick: int) -> Exposure:
    """What the partition knew about all sources after a tick."""
    exposure = Exposure()
    hour = through_tick // HOUR_TICKS
    first = facts.first_tick(connection, run)
    exposure.hour = hour
    exposure.first_hour = None if first is None else first // HOUR_TICKS
    ticks = defaultdict(list)
    since_tick = through_tick - 2 * HORIZON_HOURS * HOUR_TICKS
    for source, tick in facts.arrival_ticks(connection, run, since_tick=since_tick, through_tick=through_tick):
        ticks[source].append(tick)
    for source, heard in ticks.items():
        exposure.restore_source(source, heard)
    for source, language, documents in facts.arrivals_between(connection, run, since_tick=hour * HOUR_TICKS, through_tick=through_tick):
        exposure.restore_open(source, language, documents)
    oldest = hour - 1 - HORIZON_HOURS
    for row in load_rows(connection, run, t.source_hours, since=oldest, before=hour, by="hour"):
        exposure.restore_source_hour(SourceHour(row.hour, row.source, row.language, row.documents))
    for row in load_rows(connection, run, t.exposures, since=oldest, before=hour, by="hour"):
        exposure.restore_exposure(HourExposure(row.hour, row.language, row.exposure_ppm))
    exposure.forget_silent_sources()
    return exposure


def _baselines(connection: Connection, run: str, *, through_tick: int) -> dict[str, list[BaselineRow]]:
    baseline: dict[str, list[BaselineRow]] = defaultdict(list)
    for period_s, periods in ((HOUR_S, 24 * HORIZON_DAYS), (DAY_S, HORIZON_DAYS)):
        opened = through_tick // (period_s * 1_000 // TICK_MS)
        for row in load_rows(connection, run, t.baselines, since=opened - 2 * periods, before=opened, by="period"):
            if row.period_s == period_s:
                baseline[row.series].append(BaselineRow(row.series, period_s, row.period, row.negative, row.stories))
    return baseline
