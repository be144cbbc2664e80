"""Negative stories and stories of many series: of hours that baselines have closed, and of the last 24 hours as they were written.

What the desk compares with, and the board beside it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from groundswell.names import DAY_TICKS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.derived import IncrementBody
from groundswell.windows import FRESH

HOUR_S: Final = 3_600


class DaySums(NamedTuple):
    """Sums over whole days."""

    negative: int
    stories: int


def sums_of(
    connection: Connection, run: str, *, since_hour: int, until_hour: int, series: Iterable[str] = (), prefix: str = ""
) -> dict[str, tuple[int, int]]:
    """{series: distinct fresh negative stories (clipped) and distinct fresh stories}, hour by hour, of closed hours `[since, until)`.

    Args:
        connection: a reading transaction.
        run: whose rows.
        since_hour: first hour that counts.
        until_hour: first hour that does not.
        series: of which.
        prefix: of all whose key begins so, instead.
    """
    b = t.baselines.c
    wanted = b.series.startswith(prefix, autoescape=True) if prefix else b.series.in_(list(series))
    hours = (b.period_s == HOUR_S, b.period >= since_hour, b.period < until_hour)
    columns = (b.series, func.sum(b.negative), func.sum(b.stories))
    rows = connection.execute(select(*columns).where(b.run == run, wanted, *hours).group_by(b.series))
    return {name: (int(negative), int(stories)) for name, negative, stories in rows}


def last_day(connection: Connection, run: str, series: Iterable[str], *, known_ms: int, since_ms: int = 0) -> dict[str, DaySums]:
    """{series: the 24 hours of known time before a moment}, counted from what was written: nothing of it is clipped.

    Args:
        connection: a reading transaction.
        run: whose.
        series: of which.
        known_ms: the moment.
        since_ms: what was known before counts neither.
    """
    row, until = t.increments.c, known_ms // TICK_MS
    since = max(until - DAY_TICKS, since_ms // TICK_MS)
    stories: dict[str, set[str]] = defaultdict(set)
    negative: dict[str, set[str]] = defaultdict(set)
    for chunk in in_chunks(series):
        wanted = (row.run == run, row.series.in_(chunk), row.tick >= since, row.tick < until)
        for name, raw in connection.execute(select(row.series, row.body).where(*wanted)):
            body = msgspec.json.decode(raw, type=IncrementBody)
            stories[name].update(story for story, owners in body.members.items() if any(counts[FRESH] for counts in owners.values()))
            negative[name].update(str(one[1]) for one in body.negatives)
    return {name: DaySums(len(negative[name]), len(found)) for name, found in stories.items() if found}
