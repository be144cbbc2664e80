"""Sources of many shapes, as a crawler hears them: when each publishes is drawn at random, from one seed, and polled.

Times are minutes from the start of the simulation, a Monday at 00:00 UTC; ticks are those of the known axis. The table of
docs/health.md: `python -m tests.source_shapes`.
"""

import random
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from groundswell.names import DAY_MS, DAY_TICKS, HOUR_TICKS, TICK_MS
from groundswell.silence import LEAST_PATIENCE_TICKS, SLOTS, Rhythm

START_TICK: Final = 4 * DAY_MS // TICK_MS + 2_900 * 7 * DAY_MS // TICK_MS
"""A Monday: the epoch began on a Thursday."""

TICKS_MINUTE: Final = 60_000 // TICK_MS
DAY: Final = 1_440
KNOWN_DAYS: Final = 28
"""What the model has seen of a source before it is watched."""

WATCHED_DAYS: Final = 90
SEEDS: Final = (0, 1)
DEATHS: Final = 12  # of each source
OTHERS: Final = range(100, 112)
"""Seeds of the histories that a shape's 99th-percentile gaps are counted in."""

Rate = Callable[[int], float]
"""Documents per minute, by minute of the simulation."""


@dataclass(frozen=True)
class Shape:
    """How one source publishes.

    Args:
        name: of the source.
        poll_minutes: how often it is asked.
        published: minutes at which it publishes, for a number of days.
    """

    name: str
    poll_minutes: float
    published: Callable[[random.Random, int], list[float]]

    def heard(self, seed: int, *, days: int) -> list[int]:
        """Distinct ticks at which something new is known, ascending."""
        chance = random.Random(f"{self.name}:{seed}")
        polled, ticks = chance.uniform(0, self.poll_minutes), []
        for minute in sorted(self.published(chance, days)):
            if minute > polled:
                polls = int((minute - polled) // self.poll_minutes) + 1
                polled += polls * self.poll_minutes + chance.uniform(0, 0.1 * self.poll_minutes)
                ticks.append(START_TICK + int(polled * TICKS_MINUTE))
            elif not ticks:  # before the first poll
                ticks.append(START_TICK + int(polled * TICKS_MINUTE))
        return ticks


def at_random(rate: Rate, most: float) -> Callable[[random.Random, int], list[float]]:
    """Documents that know nothing of one another: a rate by the minute, never above `most`."""

    def published(chance: random.Random, days: int) -> list[float]:
        found, minute = [], chance.expovariate(most)
        while minute < days * DAY:
            if chance.random() < rate(int(minute)) / most:
                found.append(minute)
            minute += chance.expovariate(most)
        return found

    return published


def at_hours(hours: Callable[[int], float | None], *, spread_minutes: float) -> Callable[[random.Random, int], list[float]]:
    """One document on each day that has an hour, within so many minutes after it."""

    def published(chance: random.Random, days: int) -> list[float]:
        each = [(day, hours(day)) for day in range(days)]
        return [day * DAY + hour * 60 + chance.uniform(0, spread_minutes) for day, hour in each if hour is not None]

    return published


def in_bursts(*, every_hours: float, documents: int, minutes: float) -> Callable[[random.Random, int], list[float]]:
    """Bursts that come at random, each of some documents at random distances."""

    def published(chance: random.Random, days: int) -> list[float]:
        found, minute = [], chance.expovariate(1 / (60 * every_hours))
        while minute < days * DAY:
            found += [minute + chance.uniform(0, minutes) for _ in range(documents)]
            minute += minutes + chance.expovariate(1 / (60 * every_hours))
        return found

    return published


def office(per_hour: float, *, opens: int = 9, closes: int = 18, moved_from_day: int | None = None, moved_hours: int = 0) -> Rate:
    """Working hours on working days, in a zone that changes its clock on a day."""

    def rate(minute: int) -> float:
        day = minute // DAY
        moved = moved_hours if moved_from_day is not None and day >= moved_from_day else 0
        return per_hour / 60 if day % 7 < 5 and opens + moved <= minute % DAY / 60 < closes + moved else 0.0

    return rate


def with_holidays(rate: Rate, days: range, *, left: float) -> Rate:
    """Days on which only a share is left."""
    return lambda minute: rate(minute) * (left if minute // DAY in days else 1.0)


def day_and_night(per_hour: float) -> Rate:
    """Three in four documents by day, more on working days."""
    return lambda minute: per_hour / 60 * (1.5 if 7 <= minute % DAY / 60 < 19 else 0.5) * (1.0 if minute // DAY % 7 < 5 else 0.4)


def shapes() -> list[Shape]:
    """One source of each shape; a week of holidays and a change to summer time fall into the days that are watched."""
    holiday, moved_day = range(KNOWN_DAYS + 49, KNOWN_DAYS + 56), KNOWN_DAYS + 28
    return [
        Shape("wire, a document a minute", 15, at_random(lambda _: 1.0, 1.0)),
        Shape("wire, four an hour, by day and night", 15, at_random(day_and_night(4), 0.1)),
        Shape("wire, one an hour", 30, at_random(lambda _: 1 / 60, 1 / 60)),
        Shape("wire with a quiet week", 15, at_random(with_holidays(day_and_night(4), holiday, left=0.7), 0.1)),
        Shape("paper, ten a day", 60, at_random(day_and_night(10 / 24), 0.0105)),
        Shape("forum thread, three a day", 60, at_random(lambda _: 3 / DAY, 3 / DAY)),
        Shape("office, a document in ten minutes", 15, at_random(office(6), 0.1)),
        Shape("office, three an hour", 15, at_random(office(3), 0.05)),
        Shape("office, one an hour", 60, at_random(office(1), 1 / 60)),
        Shape("office with a holiday week", 15, at_random(with_holidays(office(6), holiday, left=0.0), 0.1)),
        Shape("office with a quiet week", 15, at_random(with_holidays(office(3), holiday, left=0.7), 0.05)),
        Shape("office, summer time begins", 15, at_random(office(6, moved_from_day=moved_day, moved_hours=-1), 0.1)),
        Shape("office, summer time ends", 15, at_random(office(6, moved_from_day=moved_day, moved_hours=1), 0.1)),
        Shape("slow office, summer time begins", 60, at_random(office(2, moved_from_day=moved_day, moved_hours=-1), 1 / 30)),
        Shape("weekend paper", 30, at_random(lambda minute: 0.1 if minute // DAY % 7 >= 5 else 0.0, 0.1)),
        Shape("bursts", 15, in_bursts(every_hours=9, documents=8, minutes=90)),
        Shape("daily digest", 30, at_hours(lambda _: 6.5, spread_minutes=20)),
        Shape("digest of working days", 60, at_hours(lambda day: 17.0 if day % 7 < 5 else None, spread_minutes=90)),
        Shape("digest, summer time begins", 30, at_hours(lambda day: _digest(day, moved_day), spread_minutes=20)),
        Shape("weekly report", 60, at_hours(lambda day: 14.0 if day % 7 == 2 else None, spread_minutes=60)),
        Shape("central bank, once a month", 60, at_hours(lambda day: 12.0 if day % 30 == 17 else None, spread_minutes=30)),
    ]


def _digest(day: int, moved_day: int) -> float | None:
    if day % 7 >= 5:
        return None
    return 6.5 if day < moved_day else 5.5


# --- how the model does -------------------------------------------------------------------------------------------------------
@dataclass
class Trial:
    """What came of one shape: alive for 90 days, and dead at moments of them."""

    shape: Shape
    false: list[int] = field(default_factory=list)  # of each source that lived: how often it was called blind
    deaths: list[tuple[int, int, int]] = field(default_factory=list)  # silence in ticks until it was called blind; p99; p99 around

    def within(self, *, around: bool) -> int:
        """Deaths that were noticed within three 99th-percentile gaps of the hour of the week (`around`: of one within two hours)."""
        return sum(silence <= 3 * (near if around else p99) for silence, p99, near in self.deaths)


def trial(shape: Shape) -> Trial:
    """Watch some sources of a shape, and let each die many times."""
    found, gaps = Trial(shape), _p99(shape)
    start = START_TICK + KNOWN_DAYS * DAY_TICKS
    for seed in SEEDS:
        ticks, rhythm, false = shape.heard(seed, days=KNOWN_DAYS + WATCHED_DAYS), Rhythm(), 0
        chance = random.Random(seed)
        last = {bisect_right(ticks, start + chance.randrange(WATCHED_DAYS * DAY_TICKS)) - 1 for _ in range(DEATHS)}
        for number, tick in enumerate(ticks):
            false += number > 0 and tick >= start and rhythm.is_blind(tick)
            rhythm.hear(tick)
            if number in last:
                hour = tick // HOUR_TICKS % SLOTS
                near = max(gaps[(hour + by) % SLOTS] for by in range(-2, 3))
                found.deaths.append((rhythm.patience, gaps[hour], near))
        found.false.append(false)
    return found


def _p99(shape: Shape) -> dict[int, int]:
    """The 99th-percentile gap by hour of the week in which it begins, counted in other histories; not below a quarter of an hour."""
    begun: dict[int, list[int]] = defaultdict(list)
    for seed in OTHERS:
        for before, after in pairwise(shape.heard(seed, days=KNOWN_DAYS + WATCHED_DAYS)):
            begun[before // HOUR_TICKS % SLOTS].append(after - before)
    found: dict[int, int] = defaultdict(int)
    for hour in list(begun):
        gaps = sorted(begun[hour] + begun[(hour - 1) % SLOTS] + begun[(hour + 1) % SLOTS])
        found[hour] = max(LEAST_PATIENCE_TICKS // 3, gaps[-(-99 * len(gaps) // 100) - 1])
    return found


def table(trials: list[Trial]) -> str:
    """The figures, a line for each shape."""
    lines = ["| source | falsely blind in 90 days | deaths | within 3 x p99 | of an hour within two hours |", "|---|---|---|---|---|"]
    for one in trials:
        shown = ", ".join(map(str, one.false)), len(one.deaths), one.within(around=False), one.within(around=True)
        lines.append(f"| {one.shape.name} | {' | '.join(map(str, shown))} |")
    total = sum(len(one.deaths) for one in trials)
    within = [sum(one.within(around=around) for one in trials) for around in (False, True)]
    return "\n".join([*lines, f"| all | {max(max(one.false) for one in trials)} at most | {total} | {within[0]} | {within[1]} |"])


if __name__ == "__main__":
    sys.stdout.write(table([trial(shape) for shape in shapes()]) + "\n")
