"""Two plain rules that rehearsed rules are set against, over the same stories, by the hour.

    z of the hour of the week    (stories of the last hour - mean of this hour of the week) / standard deviation of it, at least 1
    last hour against twelve     (stories of the last hour + 1) / (mean hour of the twelve before + 1)

Both count distinct fresh negative stories, each at its first tick within a day, of topics and of companies; they speak at most once a
UTC day of one series, and know nothing of incidents, owners, copies or blind sources. No threshold of theirs is fair to everybody, so
it is chosen afterwards: the one at which they would have spoken as often as the rules did.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from math import sqrt
from typing import Final, NamedTuple

from groundswell.names import DAY_TICKS, HOUR_TICKS, series_kind
from groundswell.records import Increment

WEEK_HOURS: Final = 168
WEEKS: Final = 8
WEEKS_MIN: Final = 2
"""A mean and a deviation of less are none."""

Z, TWELVE = "z of the hour of the week", "last hour against twelve"
PLAIN: Final = (Z, TWELVE)


class Spoken(NamedTuple):
    """One ping of a plain rule."""

    tick: int
    series: str
    score: float


class _Path(list[tuple[int, float]]):
    """(tick, score) of each new maximum of a day: where any threshold is crossed first can be read from it."""

    def see(self, tick: int, score: float) -> None:
        if not self or score > self[-1][1]:
            self.append((tick, score))

    def first_at(self, threshold: float) -> tuple[int, float]:
        return next(place for place in self if place[1] >= threshold)


@dataclass
class _Counts:
    """New negative stories of one series."""

    seen: OrderedDict[str, int] = field(default_factory=OrderedDict)  # story -> first tick, within a day
    ticks: deque[int] = field(default_factory=deque)  # of the last thirteen hours, one for each story
    hours: dict[int, int] = field(default_factory=dict)  # clock hour -> stories

    def add(self, tick: int, stories: Iterable[str]) -> None:
        while self.seen and next(iter(self.seen.values())) <= tick - DAY_TICKS:
            self.seen.popitem(last=False)
        while self.ticks and self.ticks[0] <= tick - 13 * HOUR_TICKS:
            self.ticks.popleft()
        for story in stories:
            if story not in self.seen:
                self.seen[story] = tick
                self.ticks.append(tick)
                hour = tick // HOUR_TICKS
                self.hours[hour] = self.hours.get(hour, 0) + 1

    def scores(self, tick: int, *, first_hour: int) -> dict[str, float]:
        last = sum(each > tick - HOUR_TICKS for each in self.ticks)
        twelve = (len(self.ticks) - last) / 12
        found = {TWELVE: (last + 1) / (twelve + 1)}
        hour = tick // HOUR_TICKS
        before = [hour - week * WEEK_HOURS for week in range(1, WEEKS + 1) if hour - week * WEEK_HOURS >= first_hour]
        if len(before) >= WEEKS_MIN:
            past = [self.hours.get(each, 0) for each in before]
            mean = sum(past) / len(past)
            spread = sqrt(sum((each - mean) ** 2 for each in past) / len(past))
            found[Z] = (last - mean) / max(spread, 1.0)
        return found


@dataclass
class PlainRules:
    """Both rules over a run, tick by tick.

    Args:
        first_tick: the run's first: what lies before it is not zero but unknown.
        since_tick: the first tick that may count as a ping; earlier ones are only learnt from.
    """

    first_tick: int
    since_tick: int
    _series: dict[str, _Counts] = field(default_factory=dict)
    _paths: dict[str, dict[tuple[str, int], _Path]] = field(default_factory=lambda: {name: {} for name in PLAIN})

    def step(self, tick: int, rows: Iterable[Increment]) -> None:
        """Take a closed tick's increments of all series; ticks come in order."""
        for series, mine in groupby(sorted(rows, key=lambda row: row.series), key=lambda row: row.series):
            stories = dict.fromkeys(str(negative[1]) for row in mine if not row.daily for negative in row.negatives)
            if not stories or series_kind(series) not in ("topic", "entity"):
                continue
            counts = self._series.setdefault(series, _Counts())
            counts.add(tick, stories)
            if tick >= self.since_tick:
                for name, score in counts.scores(tick, first_hour=-(-self.first_tick // HOUR_TICKS)).items():
                    self._paths[name].setdefault((series, tick // DAY_TICKS), _Path()).see(tick, score)

    def spoken(self, name: str, *, pings: int) -> list[Spoken]:
        """What a rule would have said at the threshold at which it speaks so often, the earliest first; fewer where there is no more."""
        paths = self._paths[name]
        best = sorted(paths, key=lambda key: (-paths[key][-1][1], paths[key][-1][0], key))[:pings]
        if not best:
            return []
        threshold = paths[best[-1]][-1][1]
        return sorted(Spoken(*_turned(paths[key].first_at(threshold), key[0])) for key in best)

    def threshold(self, name: str, *, pings: int) -> float | None:
        """The score at which a rule speaks so often; None where it never can."""
        tops = sorted((path[-1][1] for path in self._paths[name].values()), reverse=True)[:pings]
        return tops[-1] if tops else None

    def pings_at(self, name: str, threshold: float) -> int:
        """How often a rule would have spoken at a threshold."""
        return sum(path[-1][1] >= threshold for path in self._paths[name].values())


def _turned(place: tuple[int, float], series: str) -> tuple[int, str, float]:
    return place[0], series, place[1]
