"""Slow burn: a week that is worse than the three months before it, when no single day was.

Looked at once a day, when the day has ended. The week's negative stories are compared with those of the ninety days before them, given
the sum of both: the mean cancels out, and what is left is exact for weeks that vary as negative binomials do. How much they vary is
taken from the whole weeks before. The share has to be the highest of all those weeks too: a rank, which asks nothing of how shares vary.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Final, NamedTuple

from scipy.special import chdtri

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.gates import Gate
from alerts.detectors.surge import DAY_S, FULL_PPM, HORIZON_DAYS, Seeing, SurgeDetector
from alerts.detectors.tails import negative_hypergeometric_tail
from alerts.detectors.window import strongest
from alerts.rules import SlowBurnRules
from groundswell.names import DAY_MS, DAY_TICKS, HOUR_MS, TICK_MS, content_id
from groundswell.records import Candidate

WEEK: Final = 7


class _Span(NamedTuple):
    negative: int
    stories: int

    @property
    def share_ppm(self) -> int:
        return FULL_PPM * self.negative // max(self.stories, self.negative, 1)


@dataclass
class SlowBurnDetector:
    """One series, beside its surge detector. State is rebuilt from stored rows: closed days, the last candidate."""

    surge: SurgeDetector
    rules: SlowBurnRules
    readers: frozenset[str] | None = None
    days: deque[BaselineRow] = field(default_factory=deque)  # those of the surge detector, for longer than it needs them
    last_tick: int | None = None  # of the last candidate

    def close_day(self, index: int, row: BaselineRow, *, tick: int, seeing: Seeing) -> Iterator[Candidate]:
        """Take a calendar day that has ended by a tick, and yield what it leads to."""
        self.days.append(row)
        while self.days and self.days[0].index <= index - self.rules.days - self.rules.days_before:
            self.days.popleft()
        if all(gate.holds for gate in self._gates(index, tick, seeing)):
            self.last_tick = tick
            yield self._candidate(index, tick, seeing)

    def gates(self, tick: int, seeing: Seeing) -> list[Gate]:
        """What stands between the week that ended with the last closed day and a candidate: every gate; none where it had no story."""
        index = tick // DAY_TICKS - 1
        if not self._recent(index).stories:
            return []
        begun = tick % DAY_TICKS == 0
        return [*self._gates(index, tick, seeing), Gate("news", begun, "asked once a day, at the first news after midnight UTC")]

    def _recent(self, index: int) -> _Span:
        return self._span(index - self.rules.days + 1, index + 1)

    def _before(self, index: int) -> _Span:
        begin = index - self.rules.days + 1
        return self._span(begin - self.rules.days_before, begin)

    def _span(self, begin: int, end: int) -> _Span:
        rows = [r for r in self.days if begin <= r.index < end and (self.readers is None or r.reader in self.readers)]
        return _Span(sum(row.negative for row in rows), sum(row.stories for row in rows))

    def _weeks(self, index: int) -> list[_Span]:
        """The whole weeks before the recent days."""
        last = index - self.rules.days + 1
        return [self._span(last - WEEK * (n + 1), last - WEEK * n) for n in range(self.rules.days_before // WEEK)]

    def _gates(self, index: int, tick: int, seeing: Seeing) -> Iterator[Gate]:
        rules, recent = self.rules, self._recent(index)
        said = f"negative stories in {rules.days} days: {recent.negative}; needed: {rules.stories_min}"
        yield Gate("stories", recent.negative >= rules.stories_min, said)
        needed = rules.days + rules.days_before
        first, since_ms = seeing.first_hour, (index + 1 - needed) * DAY_MS
        formed = first is not None and first * HOUR_MS <= since_ms and seeing.since_tick * TICK_MS <= since_ms
        read = "at least" if formed else "fewer than"
        yield Gate("forming", formed, f"days read by the model in force: {read} {needed}; needed: {needed}")
        heard, whole = sum(week.stories > 0 for week in self._weeks(index)), rules.days_before // WEEK
        said = f"weeks before with any story: {heard} of {whole}; needed: {whole - whole // 4}"
        yield Gate("known", heard >= whole - whole // 4, said)
        repeats = self.last_tick is not None and (tick - self.last_tick) * TICK_MS < rules.repeat_days * DAY_MS
        yield Gate("repeat", not repeats, f"{'it was' if repeats else 'nothing was'} found within {rules.repeat_days} days")
        _, seen_ppm = seeing.seen(index % 7, self.surge.language, daily=True)
        seen_ppm //= HORIZON_DAYS
        said = f"of the last eight weeks was seen: {seen_ppm / 1e4:.0f} %; needed: {rules.seen_min_ppm / 1e4:.0f} %"
        yield Gate("blind", seen_ppm >= rules.seen_min_ppm, said)
        before = self._before(index)
        expected = self._expected(before)
        yield Gate("growth", recent.negative >= rules.growth * expected, f"usual: {expected:.1f}; needed: {rules.growth:g} times that")
        p = self._p(index, recent.negative)
        yield Gate("improbable", p <= rules.p_open, f"p = {p:.2g}; needed: {rules.p_open:.2g}")
        highest = max((week.share_ppm for week in self._weeks(index)), default=FULL_PPM)
        least_ppm = max(highest + 1, before.share_ppm + rules.share_growth_ppm)
        said = f"negative share: {recent.share_ppm / 1e4:.1f} %, before: {before.share_ppm / 1e4:.1f} %; needed: {least_ppm / 1e4:.1f} %"
        yield Gate("opens", recent.share_ppm >= least_ppm, said)

    def _expected(self, before: _Span) -> float:
        return before.negative * self.rules.days / self.rules.days_before

    def _p(self, index: int, recent: int) -> float:
        """P-value of so many in the recent days, given what they and those before them brought together."""
        before = self._before(index).negative
        shape = self.rules.days / WEEK / self._dispersion(index)
        return negative_hypergeometric_tail(
            recent,
            trials=recent + before,
            a=shape,
            b=shape * self.rules.days_before / self.rules.days,
        )

    def _dispersion(self, index: int) -> float:
        """Of a week's number: variance = mean + dispersion * mean^2; as much as the weeks before allow, never below the rules' least.

        A dozen weeks know their variance badly, and one that is taken for too small makes every p-value a lie: so it is the upper end
        of its interval (chi-squared; 1 of 20 is above it) that counts.
        """
        counts = [week.negative for week in self._weeks(index)]
        mean, free = sum(counts) / len(counts), len(counts) - 1
        variance = sum((count - mean) ** 2 for count in counts) / float(chdtri(free, 0.95))
        seen = (variance - mean) / mean**2 if mean else 0.0
        return max(self.rules.dispersion_min, seen)

    def _candidate(self, index: int, tick: int, seeing: Seeing) -> Candidate:
        recent, before = self._recent(index), self._before(index)
        negatives = self.surge.day.negatives_of(index)
        return Candidate(
            candidate_id=content_id("slow_burn", self.surge.series, str(tick)),
            series=self.surge.series,
            window_s=self.rules.days * DAY_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=recent.negative,
            expected_milli=round(self._expected(before) * 1_000),
            limit=self._limit(index),
            p_ppt=round(self._p(index, recent.negative) * 1e12),
            share_p_ppt=FULL_PPM * FULL_PPM // (1 + len(self._weeks(index))),
            by="count",
            stories=recent.stories,
            owners=len({negative[2] for negative in negatives}),
            owners_known=any(negative[3] for negative in negatives),
            baseline_share_ppm=before.share_ppm,
            exposure_ppm=seeing.now(tick, self.surge.language),
            level="open",
            evidence=strongest(negatives),
            kind="slow_burn",
        )

    def _limit(self, index: int) -> int:
        """The least number that would have been improbable and large enough, with the days before as they were."""
        before, high = self._before(index), self._recent(index).negative
        low = max(self.rules.stories_min, ceil(self.rules.growth * self._expected(before))) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._p(index, middle) > self.rules.p_open else (low, middle)
        return high
