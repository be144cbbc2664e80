"""What is usual of a day, from the days that baselines have closed: negative stories and stories, distinct and fresh.

A baseline clips the number of a day that was far out of the ordinary, so that one event does not become the usual
(alerts/detectors/baseline.py): so do these means. What was said in the last 24 hours (shares.py) is not clipped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from groundswell.names import DAY_MS
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.grid import first_hour_ms
from groundswell.store.shares import DaySums

DAY_S: Final = DAY_MS // 1_000
USUAL_DAYS: Final = 56


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


def usual_days(connection: Connection, run: str, series: Iterable[str], *, known_ms: int) -> Mapping[str, UsualDay]:
    """{series: a usual day}, over at most USUAL_DAYS that had closed before a moment of known time."""
    wanted, until = list(series), known_ms // DAY_MS
    first_ms = first_hour_ms(connection, run)
    since = until if first_ms is None else max(until - USUAL_DAYS, -(-first_ms // DAY_MS))
    sums = day_sums(connection, run, wanted, since_day=since, until_day=until)
    days = max(1, until - since)
    return {name: UsualDay(*(number / days for number in sums.get(name, (0, 0)))) for name in wanted}
