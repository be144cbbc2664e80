"""Watch: all that looks at one series, as fold drives it. What each detector remembers is rebuilt from the same stored rows.

topic:..., entity:...   surge, and beside it amplification, late, slow_burn
watch:...               surge, of all that the search finds
flag:...                sighting
word:...                word
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.detectors.amplification import AmplificationDetector
from alerts.detectors.baseline import BaselineRow
from alerts.detectors.gates import Gate
from alerts.detectors.late import LateDetector
from alerts.detectors.sighting import SightingDetector
from alerts.detectors.slow_burn import SlowBurnDetector
from alerts.detectors.surge import DAY_S, HOUR_S, Seeing, SurgeDetector
from alerts.detectors.word import WordDetector
from alerts.rules import Rules, SurgeRules
from groundswell.names import COPIES_OF, LATE_OF, series_kind
from groundswell.records import AlertKind, Candidate, Increment


class Asked(NamedTuple):
    """One detector's window of one series, gate by gate."""

    kind: AlertKind
    window_s: int
    gates: list[Gate]


class Closed(NamedTuple):
    """What the end of a calendar hour or day has led to."""

    baselines: Sequence[BaselineRow] = ()
    candidates: Sequence[Candidate] = ()


@dataclass
class SeriesWatch:
    """A topic or a company."""

    surge: SurgeDetector
    rules: Rules
    amplification: AmplificationDetector = field(init=False)
    late: LateDetector = field(init=False)
    slow_burn: SlowBurnDetector = field(init=False)

    def __post_init__(self) -> None:
        self.amplification = AmplificationDetector(self.surge, self.rules.amplification)
        self.late = LateDetector(self.surge, self.rules.late)
        self.slow_burn = SlowBurnDetector(self.surge, self.rules.slow_burn)

    def step(self, tick: int, rows: list[Increment], seeing: Seeing) -> list[Candidate]:
        """Take a closed tick's rows of this series, and return what they lead to."""
        found = list(self.surge.step(tick, rows, seeing))
        if self.surge.day.copies:
            found += self.amplification.step(tick, rows, seeing)
        for row in rows:
            if row.stale:
                found += self.late.step(tick, rows, seeing)
                break
        return found

    def use(self, readers: frozenset[str] | None) -> None:
        """Another model is in force: what it has read itself is usual from here on."""
        self.surge.use(readers)
        self.amplification.readers = self.late.readers = self.slow_burn.readers = readers

    def obey(self, rules: Rules) -> None:
        """Other rules are in force."""
        self.surge.obey(rules)
        self.amplification.rules, self.late.rules, self.slow_burn.rules = rules.amplification, rules.late, rules.slow_burn

    def follow(self, companies: frozenset[str]) -> None:
        """What is watched changes nothing for a topic or a company itself."""

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, tick: int, reader: str = "") -> Closed:
        """Close a calendar hour or day, read by one model, in which the series had rows; `tick` is the first after it."""
        row = self.surge.close_period(period_s, index, seeing, reader=reader)
        if period_s != DAY_S:
            return Closed((row,)) if row else Closed()
        rows = (row, self.amplification.close_day(index, reader=reader), self.late.close_day(index, reader=reader))
        burning = list(self.slow_burn.close_day(index, row, tick=tick, seeing=seeing)) if row else ()
        return Closed([each for each in rows if each], burning)

    def restore(self, *, baseline: Iterable[BaselineRow], rows: list[Increment], last: Iterable[Candidate], tick: int) -> None:
        """Rebuild from stored rows: those of two horizons, of the last day, and the last candidate of each kind, up to `tick`."""
        mine: list[BaselineRow] = []
        for row in baseline:
            if row.series.startswith(COPIES_OF):
                self.amplification.days.append(row)
            elif row.series.startswith(LATE_OF):
                self.late.days.append(row)
            else:
                mine.append(row)
                if row.period_s == DAY_S:
                    self.slow_burn.days.append(row)
        found = list(last)
        self.surge.restore(baseline=mine, rows=rows, last=[c for c in found if c.kind == "surge"], tick=tick)
        self.late.enter(rows)
        self.late.leave(tick)
        for candidate in found:
            if candidate.kind == "amplification":
                self.amplification.last = candidate.tick, candidate.statistic
            elif candidate.kind == "late":
                self.late.last_tick = candidate.tick
            elif candidate.kind == "slow_burn":
                self.slow_burn.last_tick = candidate.tick

    def gates(self, tick: int, seeing: Seeing) -> Iterator[Asked]:
        """What stands between this series and an alert of each kind, as of a tick; windows without anything in them are left out."""
        asked = [Asked("surge", period_s, self.surge.gates(period_s, tick, seeing)) for period_s in (HOUR_S, DAY_S)]
        asked.append(Asked("amplification", DAY_S, self.amplification.gates(tick, seeing)))
        asked.append(Asked("late", DAY_S, self.late.gates(tick, seeing)))
        asked.append(Asked("slow_burn", self.rules.slow_burn.days * DAY_S, self.slow_burn.gates(tick, seeing)))
        return (each for each in asked if each.gates)


@dataclass
class FlagWatch:
    """One risk of one company, or one kind of word on it."""

    sighting: SightingDetector | WordDetector

    def step(self, tick: int, rows: list[Increment], seeing: Seeing) -> list[Candidate]:
        """See `SeriesWatch`."""
        return list(self.sighting.step(tick, rows, seeing))

    def use(self, readers: frozenset[str] | None) -> None:
        """See `SeriesWatch`."""
        self.sighting.use(readers)

    def obey(self, rules: Rules) -> None:
        """See `SeriesWatch`."""
        self.sighting.obey(rules)

    def follow(self, companies: frozenset[str]) -> None:
        """Other companies are watched."""
        self.sighting.follow(companies)

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, tick: int, reader: str = "") -> Closed:  # noqa: ARG002
        """See `SeriesWatch`."""
        row = self.sighting.close_period(period_s, index, seeing, reader=reader)
        return Closed((row,)) if row else Closed()

    def restore(self, *, baseline: Iterable[BaselineRow], rows: list[Increment], last: Iterable[Candidate], tick: int) -> None:
        """See `SeriesWatch`."""
        self.sighting.restore(baseline=baseline, rows=rows, last=last, tick=tick)

    def gates(self, tick: int, seeing: Seeing) -> Iterator[Asked]:
        """See `SeriesWatch`."""
        asked = Asked("sighting", DAY_S, self.sighting.gates(DAY_S, tick, seeing))
        return iter([asked] if asked.gates else [])


@dataclass
class SearchWatch:
    """A saved search: its words say the trouble, so what is left to ask is how many stories there are."""

    surge: SurgeDetector

    def step(self, tick: int, rows: list[Increment], seeing: Seeing) -> list[Candidate]:
        """See `SeriesWatch`."""
        return list(self.surge.step(tick, rows, seeing))

    def use(self, readers: frozenset[str] | None) -> None:
        """See `SeriesWatch`."""
        self.surge.use(readers)

    def obey(self, rules: Rules) -> None:
        """See `SeriesWatch`."""
        self.surge.obey(rules)

    def follow(self, companies: frozenset[str]) -> None:
        """See `SeriesWatch`."""

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, tick: int, reader: str = "") -> Closed:  # noqa: ARG002
        """See `SeriesWatch`."""
        row = self.surge.close_period(period_s, index, seeing, reader=reader)
        return Closed((row,)) if row else Closed()

    def restore(self, *, baseline: Iterable[BaselineRow], rows: list[Increment], last: Iterable[Candidate], tick: int) -> None:
        """See `SeriesWatch`."""
        own = [row for row in baseline if not row.series.startswith((COPIES_OF, LATE_OF))]  # of runs from before there was this class
        self.surge.restore(baseline=own, rows=rows, last=[c for c in last if c.kind == "surge"], tick=tick)

    def gates(self, tick: int, seeing: Seeing) -> Iterator[Asked]:
        """See `SeriesWatch`."""
        asked = [Asked("surge", period_s, self.surge.gates(period_s, tick, seeing)) for period_s in (HOUR_S, DAY_S)]
        return (each for each in asked if each.gates)


def watch_of(series: str, rules: Rules, make_surge: Callable[[str, SurgeRules], SurgeDetector]) -> SeriesWatch | SearchWatch | FlagWatch:
    """What watches a series."""
    if series_kind(series) == "watch":
        return SearchWatch(make_surge(series, rules.surge))
    if series_kind(series) == "flag":
        return FlagWatch(SightingDetector(series, rules))
    if series_kind(series) == "word":
        return FlagWatch(WordDetector(series, rules))
    return SeriesWatch(make_surge(series, rules.surge), rules)
