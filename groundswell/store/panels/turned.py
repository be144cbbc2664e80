"""Panel 5, what turned: the last seven closed days against the ninety before them, per topic and company.

From the rows that the slow-burn detector reads. Sorted by how far the two shares lie apart in standard errors of their
difference (two proportions, pooled), so that three stories do not lead the list; it is an order, not a test.
"""

from collections.abc import Iterable
from math import sqrt
from typing import Final

from sqlalchemy import Connection

from groundswell.names import DAY_MS, LANGUAGES, TOPICS, topic_series
from groundswell.store.panels.rows import PanelRow
from groundswell.store.panels.usual import day_sums
from groundswell.store.shares import DaySums

WEEK_DAYS: Final = 7
BEFORE_DAYS: Final = 90
STORIES_MIN: Final = 10
STORIES_BEFORE_MIN: Final = 30
"""Fewer stories in the week, or before it, say nothing."""

LISTED: Final = 10


class TurnRow(PanelRow, frozen=True):
    """One series whose share of negative stories has moved."""

    series: str
    direction: str  # "worse" or "better"
    share: float  # negative of distinct fresh stories, last seven closed days
    share_before: float  # the ninety days before
    change: float  # the one minus the other
    z: float  # the same in standard errors
    stories: int
    negative_stories: int
    stories_before: int
    negative_stories_before: int
    end_ms: int  # of the last closed day


def read_turned(connection: Connection, run: str, companies: Iterable[str], *, known_ms: int) -> list[TurnRow]:
    """At most ten series that became worse, the furthest first, and then at most ten that became better.

    Args:
        connection: a reading transaction.
        run: whose.
        companies: series of companies; topics are always looked at.
        known_ms: days that had closed before it.
    """
    until = known_ms // DAY_MS
    series = [*(topic_series(topic, language) for topic in TOPICS for language in LANGUAGES), *companies]
    week = day_sums(connection, run, series, since_day=until - WEEK_DAYS, until_day=until)
    measured = [name for name, sums in week.items() if sums.stories >= STORIES_MIN]
    before = day_sums(connection, run, measured, since_day=until - WEEK_DAYS - BEFORE_DAYS, until_day=until - WEEK_DAYS)
    rows = [_row(name, week[name], past, until) for name, past in before.items() if past.stories >= STORIES_BEFORE_MIN]
    worse = sorted((row for row in rows if row.change > 0), key=lambda row: (-row.z, row.series))
    better = sorted((row for row in rows if row.change < 0), key=lambda row: (row.z, row.series))
    return [*worse[:LISTED], *better[:LISTED]]


def _row(series: str, now: DaySums, before: DaySums, until_day: int) -> TurnRow:
    share, share_before = now.negative / now.stories, before.negative / before.stories
    pooled = (now.negative + before.negative) / (now.stories + before.stories)
    error = sqrt(pooled * (1 - pooled) * (1 / now.stories + 1 / before.stories))
    return TurnRow(
        series=series,
        direction="worse" if share > share_before else "better",
        share=share,
        share_before=share_before,
        change=share - share_before,
        z=(share - share_before) / error if error else 0.0,
        stories=now.stories,
        negative_stories=now.negative,
        stories_before=before.stories,
        negative_stories_before=before.negative,
        end_ms=until_day * DAY_MS,
    )
