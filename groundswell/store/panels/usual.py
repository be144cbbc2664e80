"""What is usual of a day, from the days that baselines have closed: negative stories and stories, distinct and fresh.

A baseline clips the number of a day that was far out of the ordinary, so that one event does not become the usual
(alerts/detectors/baseline.py): so do these means. What was said in the last 24 hours (`last_day`) is not clipped.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from groundswell.names import DAY_MS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.derived import IncrementBody
from groundswell.store.grid import first_hour_ms
from groundswell.store.panels.rows import DAY_TICKS, in_chunks
from groundswell.windows import FRESH

DAY_S: Final = DAY_MS // 1_000
USUAL_DAYS: Final = 56


class DaySums(NamedTuple):
    """Sums over closed days `[since, until)`."""

    negative: int
    stories: int


class UsualDay(NamedTuple):
    """Means of a day; 0 where nothing was closed yet."""

    negative: float
    stories: float

    @property
    def share(self) -> float | None:
        """Negative stories of stories; None where there were none."""
        return self.negative / self.stories if self.stories else None


def day_sums(connection: Connection, run: str, series: Iterable[str], *, since_day: int, until_day: int) -> dict[str, DaySums]:
    """{series: sums of the closed days `[since, until)`}, of those that have any; days count from 1970, UTC."""
    b = t.baselines.c
    found: dict[str, DaySums] = {}
    for chunk in in_chunks(series):
        sums = select(b.series, func.sum(b.negative), func.sum(b.stories)).where(_days(run, chunk, since_day, until_day))
        rows = connection.execute(sums.group_by(b.series))
        found |= {name: DaySums(int(negative), int(stories)) for name, negative, stories in rows}
    return found


def day_rows(
    connection: Connection, run: str, series: Iterable[str], *, since_day: int, until_day: int
) -> Iterator[tuple[str, int, DaySums]]:
    """(series, day, what it had) of the closed days `[since, until)` that any of the series has."""
    b = t.baselines.c
    for chunk in in_chunks(series):
        rows = connection.execute(select(b.series, b.period, b.negative, b.stories).where(_days(run, chunk, since_day, until_day)))
        yield from ((name, day, DaySums(negative, stories)) for name, day, negative, stories in rows)


def _days(run: str, series: Sequence[str], since_day: int, until_day: int) -> ColumnElement[bool]:
    b = t.baselines.c
    return (b.run == run) & b.series.in_(series) & (b.period_s == DAY_S) & (b.period >= since_day) & (b.period < until_day)


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


def usual_days(connection: Connection, run: str, series: Iterable[str], *, known_ms: int) -> Mapping[str, UsualDay]:
    """{series: a usual day}, over at most USUAL_DAYS that had closed before a moment of known time."""
    wanted, until = list(series), known_ms // DAY_MS
    first_ms = first_hour_ms(connection, run)
    since = until if first_ms is None else max(until - USUAL_DAYS, -(-first_ms // DAY_MS))
    sums = day_sums(connection, run, wanted, since_day=since, until_day=until)
    days = max(1, until - since)
    return {name: UsualDay(*(number / days for number in sums.get(name, (0, 0)))) for name in wanted}
