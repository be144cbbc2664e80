"""When silence means blindness: the one model that exposure (stream) and source health (store) share.

Each source has a clock of its own, which runs fast in the hours of the week in which it usually speaks and stands still in
those in which it never does. On that clock an office that closes for the weekend is as regular as an agency that never
sleeps, so all its gaps can be compared. A source is late when it has been silent for its 99th-percentile gap, and blind
after more than twice that. What it is judged by is made anew once a day and only when it is heard: so the moment at which it
will count as blind is known as soon as it was last heard, and is the same wherever its arrivals are read.

Everything is integers; ticks are those of the known axis. What the figures were chosen by: docs/health.md.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Final, Literal, NamedTuple

from groundswell.names import DAY_TICKS, HOUR_TICKS, TICK_MS

SLOTS: Final = 168
WEEK_TICKS: Final = SLOTS * HOUR_TICKS
HORIZON_TICKS: Final = 8 * WEEK_TICKS
"""Older arrivals are forgotten."""

FORMING_TICKS: Final = 7 * DAY_TICKS
"""A source that was first heard less long ago has no rhythm yet, and is not missed."""

YOUNG_TICKS: Final = 14 * DAY_TICKS
"""One that was first heard less long ago has shown each hour of the week once: it is given twice the time."""

CELL_TICKS: Final = 300_000 // TICK_MS
"""Of the arrivals within five minutes the first one counts: a poll brings several."""

LEAST_PATIENCE_TICKS: Final = 3 * 900_000 // TICK_MS
"""Crawlers ask no more often than every quarter of an hour, unless a publisher has invited them to: shorter gaps are not told apart."""

PATIENCE: Final = (21, 10)
SURE: Final = 3
PROOF: Final = (5, 4)
"""Blind after so many 99th-percentile gaps, or SURE of them on its clock, which a night or a weekend does not make longer. But never
before its clock has moved by one of them and PROOF times its distance from the median: near the end of a working day little is proved."""

GAPS_MAX: Final = 4_000
GROUPS_MAX: Final = 8
GROUP_MIN: Final = 400
"""Gaps that begin in busy and in quiet hours are told apart, where there are so many: a poll cuts short the ones, not the others."""

OFTEN: Final = 30
FAR_HOURS: Final = 6
"""An arrival is lent to the hours next to its own; of a source with fewer than so many a week, to six hours on either side."""

DAYS_MIN: Final = 5
WEEKS_SHARE_MIN: Final = (3, 4)
"""A rhythm by the hour of the week needs so many days on which the source was heard, and so many of its weeks."""

_COVER: Final = 840  # a multiple of 1 to 8: an hour of the week is counted over how often it came
_WRONG: Final = (-HOUR_TICKS, 0, HOUR_TICKS)  # a publisher's summer time begins and ends in one night

Judgement = Literal["forming", "live", "late", "blind"]


class Gaps(NamedTuple):
    """Gaps that begin in hours of like rates, on a source's own clock."""

    rate: int  # the least
    middle: int
    p99: int


@dataclass(frozen=True)
class Week:
    """A source's own clock, and its gaps on that clock."""

    rate: tuple[int, ...]  # by hour of the week
    begins: tuple[int, ...]  # what the clock shows at the beginning of each hour of the week, and at its end
    gaps: tuple[Gaps, ...] = ()  # by rate
    young: bool = False

    @classmethod
    def of(cls, heard: "array[int]", until_tick: int) -> "Week | None":
        """What is known from the arrivals of the horizon before a tick; None where that is too little for hours of the week.

        Args:
            heard: distinct ticks, ascending, the last one before `until_tick`.
            until_tick: the beginning of a day.
        """
        since_tick = heard[0] if heard else until_tick
        days = {tick // DAY_TICKS for tick in heard}
        weeks = {(until_tick - 1 - tick) // WEEK_TICKS for tick in heard}
        (many, of), all_weeks = WEEKS_SHARE_MIN, -(-(until_tick - since_tick) // WEEK_TICKS)
        if until_tick - since_tick < FORMING_TICKS or len(days) < DAYS_MIN or len(weeks) * of < all_weeks * many:
            return None
        rate = _rates(heard, since_tick // HOUR_TICKS, until_tick // HOUR_TICKS)
        begins = tuple(accumulate((HOUR_TICKS * each for each in rate), initial=0))
        week = cls(rate, begins, young=until_tick - since_tick < YOUNG_TICKS)
        recent = heard[-GAPS_MAX - 1 :]
        gaps = (after - before for before, after in pairwise(map(week.at, recent)))
        return replace(week, gaps=_grouped(sorted(zip((rate[tick // HOUR_TICKS % SLOTS] for tick in recent), gaps, strict=False))))

    def at(self, tick: int) -> int:
        """What the clock shows."""
        week, rest = divmod(tick, WEEK_TICKS)
        hour, passed = divmod(rest, HOUR_TICKS)
        return week * self.begins[SLOTS] + self.begins[hour] + self.rate[hour] * passed

    def when(self, shown: int) -> int:
        """The first tick at which the clock shows at least this."""
        week, rest = divmod(shown - 1, self.begins[SLOTS])
        hour = bisect_right(self.begins, rest) - 1  # the clock moves in this hour
        return week * WEEK_TICKS + hour * HOUR_TICKS - (self.begins[hour] - rest - 1) // self.rate[hour]

    def judge(self, tick: int) -> tuple[int, int]:
        """The 99th-percentile gap after a tick at which the source was heard, and the silence that makes it blind; ticks."""
        place = bisect_right(self.gaps, self.rate[tick // HOUR_TICKS % SLOTS], key=lambda each: each.rate)
        gaps = self.gaps[max(0, place - 1)]
        late = self.when(self.at(tick) + gaps.p99) - tick
        proof = gaps.p99 + (gaps.p99 - gaps.middle) * PROOF[0] // PROOF[1]
        long = min(late * PATIENCE[0] // PATIENCE[1], self._even_if_wrong(tick, SURE * gaps.p99))
        return late, max(LEAST_PATIENCE_TICKS, long, self._even_if_wrong(tick, proof)) * (2 if self.young else 1)

    def _even_if_wrong(self, tick: int, gap: int) -> int:
        """Ticks until the clock has moved by a gap, be it an hour wrong."""
        return max(self.when(self.at(tick + wrong) + gap) - tick - wrong for wrong in _WRONG)


def _grouped(found: list[tuple[int, int]]) -> tuple[Gaps, ...]:
    """(rate, gap), sorted, in groups of about the same size."""
    size = -(-len(found) // max(1, min(GROUPS_MAX, len(found) // GROUP_MIN)))
    groups = []
    for start in range(0, len(found), size):
        gaps = sorted(gap for _, gap in found[start : start + size])
        # Of a few, the longest is left out: one outage must not make a source patient.
        p99 = gaps[max(0, min(-(-99 * len(gaps) // 100), len(gaps) - 1) - 1)]
        groups.append(Gaps(found[start][0], gaps[(len(gaps) - 1) // 2], p99))
    return tuple(groups)


def _rates(heard: "array[int]", since_hour: int, until_hour: int) -> tuple[int, ...]:
    """Arrivals by hour of the week over how often that hour came, a part of them lent to the hours around."""
    counts = Counter(tick // HOUR_TICKS % SLOTS for tick in heard)
    whole, rest = divmod(until_hour - since_hour, SLOTS)
    more = {(since_hour + each) % SLOTS for each in range(rest)}
    rates = [_COVER * counts[slot] // max(1, whole + (slot in more)) for slot in range(SLOTS)]
    reach = 1 if sum(rates) >= OFTEN * _COVER else FAR_HOURS
    lent = [(by, reach + 1 - abs(by)) for by in range(-reach, reach + 1)]
    return tuple(sum(part * rates[(slot + by) % SLOTS] for by, part in lent) for slot in range(SLOTS))


@dataclass
class Rhythm:
    """The ticks of one source within the horizon, and what follows from them.

    Args:
        prior_ticks: the gap that the catalogue promises, where it promises one.

    >>> agency = Rhythm()
    >>> for tick in range(0, 20 * DAY_TICKS, 80):
    ...     agency.hear(tick)
    >>> last = agency.last_tick
    >>> [agency.judge(tick - 1) for tick in (last + agency.expected, last + agency.expected + 2, agency.blind_from, agency.blind_from + 1)]
    ['live', 'late', 'late', 'blind']
    """

    prior_ticks: int = 0
    last_tick: int = -1  # at which it was last heard
    week: Week | None = None  # None: too little is known for a rhythm by the hour of the week
    _heard: "array[int]" = field(default_factory=lambda: array("I"))
    _longest: int = 0  # gap
    _day: int = -1
    _judged: tuple[int, int, int] = (-1, 0, 0)  # last tick, gap expected after it, patience

    @property
    def first_tick(self) -> int:
        """The first tick within the horizon at which it was heard."""
        return self._heard[0]

    @property
    def expected(self) -> int:
        """Ticks of silence after which it is late."""
        return self._judgement()[1]

    @property
    def patience(self) -> int:
        """Ticks of silence that make it blind."""
        return self._judgement()[2]

    @property
    def blind_from(self) -> int:
        """The first tick at which it counts as blind if nothing more is heard."""
        return self.last_tick + self.patience

    def hear(self, tick: int) -> None:
        """Take a tick; ticks come in ascending order, the same one may come again."""
        if tick // DAY_TICKS != self._day:
            self._begin(tick // DAY_TICKS)
        self._take(tick)

    def restore(self, ticks: list[int]) -> None:
        """Take many ticks, ascending, into an empty rhythm: as hearing each, in less time."""
        today = bisect_left(ticks, ticks[-1] // DAY_TICKS * DAY_TICKS) if ticks else 0
        for tick in ticks[:today]:
            self._take(tick)
        for tick in ticks[today:]:
            self.hear(tick)

    def _take(self, tick: int) -> None:
        self.last_tick = tick
        if not self._heard or tick // CELL_TICKS != self._heard[-1] // CELL_TICKS:
            self._longest = max(self._longest, tick - self._heard[-1] if self._heard else 0)
            self._heard.append(tick)

    def _begin(self, day: int) -> None:
        """A day on which the source is heard: it is judged by the eight weeks before."""
        self._day = day
        del self._heard[: bisect_left(self._heard, day * DAY_TICKS - HORIZON_TICKS)]
        self._longest = max((after - before for before, after in pairwise(self._heard)), default=0)
        self.week = Week.of(self._heard, day * DAY_TICKS)

    def _judgement(self) -> tuple[int, int, int]:
        if self._judged[0] != self.last_tick:
            if self.week is not None:
                expected, patience = self.week.judge(self.last_tick)
            else:
                known = max(self._longest, self.prior_ticks)
                expected = known or HORIZON_TICKS
                patience = max(expected * PATIENCE[0] // PATIENCE[1], YOUNG_TICKS)
            self._judged = self.last_tick, expected, min(patience, HORIZON_TICKS)
        return self._judged

    def is_blind(self, tick: int) -> bool:
        """Whether it counts as blind at a tick."""
        return tick - self.last_tick >= LEAST_PATIENCE_TICKS and tick >= self.blind_from

    def judge(self, tick: int) -> Judgement:
        """How it stands at a tick that is not before the last one heard."""
        if self.is_blind(tick):
            return "blind"
        if tick - self.first_tick < FORMING_TICKS:
            return "forming"
        return "late" if tick - self.last_tick > self.expected else "live"
