"""Surge: fresh negative stories in the last hour and day, against the series' own hour and day of the week.

Counts on the *known* axis among *fresh* documents, so a feed's delay cancels out. Per closed tick, and only at ticks
that bring a fresh negative document: without one the count cannot have grown, and no surge can begin.
A candidate needs four things: an improbable count and a share of negatives that has turned too (or a share that has
turned very far), enough distinct stories from enough independent owners, and a window that was not blind.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

from alerts.detectors.baseline import Baseline, BaselineRow, clip
from alerts.detectors.gates import Gate
from alerts.detectors.tails import beta_binomial_tail, limit_of, negative_binomial_tail
from alerts.detectors.window import Window, fresh_stories
from alerts.rules import Rules, SurgeRules
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS, content_id, series_kind
from groundswell.records import Candidate, Increment

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
HORIZON_DAYS: Final = 56
FULL_PPM: Final = 1_000_000


class Seeing(Protocol):
    """What the detector asks of exposure; shares in ppm, `language` "" = all."""

    @property
    def first_hour(self) -> int | None:
        """The hour that the model in force has read since."""

    @property
    def since_tick(self) -> int:
        """The first tick since which the model in force has read everything, without a break."""

    def now(self, tick: int, language: str) -> int:
        """Exposure at a tick."""

    def of_hour(self, hour: int, language: str) -> int:
        """Exposure of a closed hour."""

    def seen(self, slot: int, language: str, *, daily: bool = False) -> tuple[int, int]:
        """Seeing time over the horizon of an hour (a day) of the week, and of all of them."""


@dataclass
class SurgeDetector:
    """One series. State is rebuilt from stored rows (increments of a day, baseline rows, last candidates)."""

    series: str
    rules: SurgeRules
    _windows: dict[int, Window] = field(init=False)

    def __post_init__(self) -> None:
        self._windows = {
            HOUR_S: Window(HOUR_S, Baseline(slots=168, horizon=24 * HORIZON_DAYS)),
            DAY_S: Window(DAY_S, Baseline(slots=7, horizon=HORIZON_DAYS)),
        }
        self.language = self.series.rsplit(":", 1)[1] if self.series.startswith("topic:") else ""
        self.searched = series_kind(self.series) == "watch"

    def obey(self, rules: Rules) -> None:
        """Other rules are in force."""
        self.rules = rules.surge

    def use(self, readers: frozenset[str] | None) -> None:
        """Another model is in force: what it has read itself is the baseline from here on."""
        for window in self._windows.values():
            window.baseline.use(readers)

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, reader: str = "") -> BaselineRow | None:
        """Close a calendar hour or day, read by one model, in which the series had rows; None if it had none that count."""
        window = self._windows[period_s]
        negative, stories = window.of_period(index)
        if not stories:
            return None
        window.baseline.forget_before(index)
        expected = self._rate(window, index, seeing)
        row = BaselineRow(self.series, period_s, index, clip(negative, expected=expected), stories, reader)
        window.baseline.add(row)
        return row

    def step(self, tick: int, rows: Iterable[Increment], seeing: Seeing) -> Iterator[Candidate]:
        """Take a closed tick's rows of this series, and yield what they lead to."""
        negative = {HOUR_S: False, DAY_S: False}
        for row in rows:
            fresh = fresh_stories(row)
            for period_s, window in self._windows.items():
                if not (row.daily and period_s == HOUR_S):
                    window.enter(row, fresh)
                    negative[period_s] |= bool(row.negatives)
        for period_s, window in self._windows.items():
            window.leave(tick)
            if negative[period_s]:
                candidate = self._evaluate(window, tick, seeing)
                if candidate:
                    window.last = tick, candidate.statistic
                    yield candidate

    def restore(self, *, baseline: Iterable[BaselineRow], rows: Iterable[Increment], last: Iterable[Candidate], tick: int) -> None:
        """Rebuild from stored rows: those of the horizon, of the last day, and the last candidate of each window, up to `tick`."""
        for row in baseline:
            self._windows[row.period_s].baseline.add(row)
        for candidate in last:
            self._windows[candidate.window_s].last = candidate.tick, candidate.statistic
        for increment in rows:
            for period_s, window in self._windows.items():
                if not (increment.daily and period_s == HOUR_S):
                    window.enter(increment)
        for window in self._windows.values():
            window.leave(tick)

    # --- what the other kinds ask of a day -------------------------------------------------------------------------------
    @property
    def day(self) -> Window:
        """The trailing day."""
        return self._windows[DAY_S]

    def count_copies(self) -> None:
        """Count the documents of each story of the day from here on; before the first row."""
        self.day.copies = {}

    def formed(self, tick: int, seeing: Seeing) -> bool:
        """Whether it is known what a day is usually like."""
        return not self._forming(self.day, tick, seeing)

    def breadth(self, tick: int, seeing: Seeing) -> tuple[int, float]:
        """The day's negative stories, and the p-value of so many."""
        reading = _Reading(self, self.day, tick, seeing)
        return reading.statistic, reading.p

    def usual_day(self, index: int, seeing: Seeing) -> float:
        """Expected negative stories of a calendar day that is seen whole."""
        self.day.baseline.forget_before(index)
        return max(self._rate(self.day, index, seeing), self.rules.expected_floor_day)

    # --- the test ------------------------------------------------------------------------------------------------------
    def gates(self, period_s: int, tick: int, seeing: Seeing) -> list[Gate]:
        """What stands between the window of an hour (a day, in seconds) that ends with `tick` and a candidate: every gate.

        None where no fresh negative story is in the window.
        """
        window = self._windows[period_s]
        window.leave(tick)
        return list(self._gates(_Reading(self, window, tick, seeing))) if window.negative else []

    def _evaluate(self, window: Window, tick: int, seeing: Seeing) -> Candidate | None:
        reading = _Reading(self, window, tick, seeing)
        return self._candidate(reading) if all(gate.holds for gate in self._gates(reading)) else None

    def _gates(self, reading: "_Reading") -> Iterator[Gate]:
        """In the order of their cost: nothing is computed before it is asked for."""
        rules, r = self.rules, reading
        least = rules.stories_min_hour if r.window.period_s == HOUR_S else rules.stories_min_day
        what = "fresh stories" if self.searched else "fresh negative stories"
        yield Gate("stories", r.statistic >= least, f"{what}: {r.statistic}; needed: {least}")
        formed = not self._forming(r.window, r.tick, r.seeing)
        days = rules.forming_days
        yield Gate("forming", formed, f"days of baseline: {'at least' if formed else 'fewer than'} {days}; needed: {days}")
        repeats = self._repeats(r.window, r.tick, r.statistic)
        yield Gate("repeat", not repeats, f"{'much' if repeats else 'nothing like'} the same was found within {rules.repeat_s} s")
        least_ppm = rules.exposure_min_ppm
        seen = f"of the usual volume sees: {r.exposure_ppm / 1e4:.0f} %; needed: {least_ppm / 1e4:.0f} %"
        yield Gate("blind", r.exposure_ppm >= least_ppm, seen)
        unusual = r.p <= rules.p_hold or r.alone
        yield Gate("improbable", unusual, f"expected: {r.expected:.2f}, so p = {r.p:.2g}; needed at least: {rules.p_hold:.2g}")
        owners = f"{r.owners}{'' if r.known else ', authors unknown'}"
        yield Gate("corroboration", self._corroborated(r), f"owners: {owners}; needed: {self._needed(r)}")
        holding = self._holding(r.window, r.tick)
        alive = "; or an incident of it that is alive, as one is" if holding and not r.opens else ""
        needed = f"needed: {rules.p_open(r.window.period_s, self.series):.2g}"
        yield Gate("opens", r.opens or holding, f"p = {r.p:.2g}; {needed}{'' if self.searched else self._share_said(r)}{alive}")
        last_tick = r.window.latest_tick or r.tick
        yield Gate(
            "news", last_tick == r.tick, f"the last of them came {(r.tick - last_tick) * TICK_MS / 60_000:.0f} min before; needed: now"
        )

    def _share_said(self, r: "_Reading") -> str:
        usual = f"normally {r.share_ppm / 1e4:.0f} %, so p = {r.p_share:.2g}; needed: {self.rules.p_share_open:.2g}"
        return f"; {r.statistic} of {len(r.window.stories)} stories are negative, {usual}"

    def _candidate(self, r: "_Reading") -> Candidate:
        p_open = self.rules.p_open(r.window.period_s, self.series)
        by_share = r.alone and not r.counted
        return Candidate(
            candidate_id=content_id(self.series, str(r.window.period_s), str(r.tick)),
            series=self.series,
            window_s=r.window.period_s,
            tick=r.tick,
            known_until_ms=(r.tick + 1) * TICK_MS,
            statistic=r.statistic,
            expected_milli=round(r.expected * 1_000),
            limit=limit_of(p_open, mean=r.expected, dispersion=self.rules.dispersion),
            p_ppt=round(r.p * 1e12),
            share_p_ppt=round((1.0 if self.searched else r.p_share) * 1e12),
            by="share" if by_share else "count",
            stories=len(r.window.stories),
            owners=r.owners,
            owners_known=r.known,
            baseline_share_ppm=0 if self.searched else r.share_ppm,
            exposure_ppm=r.exposure_ppm,
            level="open" if r.opens else "hold",
            evidence=r.window.evidence(),
            p_open_ppt=round((self.rules.p_share_alone if by_share else p_open) * 1e12),
            share_dispersion_ppm=0 if self.searched else r.share_dispersion_ppm,
        )

    def _forming(self, window: Window, tick: int, seeing: Seeing) -> bool:
        """Whether the model in force has not read for long enough, or not all of the window."""
        first = seeing.first_hour
        if tick - window.ticks + 1 < seeing.since_tick:
            return True
        return first is None or tick * TICK_MS < first * HOUR_MS + self.rules.forming_days * DAY_MS

    def _repeats(self, window: Window, tick: int, statistic: int) -> bool:
        if window.last is None:
            return False
        last_tick, last_statistic = window.last
        return (tick - last_tick) * TICK_MS < self.rules.repeat_s * 1_000 and statistic < self.rules.repeat_growth * last_statistic

    def _holding(self, window: Window, tick: int) -> bool:
        return window.last is not None and (tick - window.last[0]) * TICK_MS <= self.rules.hold_s * 1_000

    def _corroborated(self, r: "_Reading") -> bool:
        if r.known:
            return r.owners >= self.rules.owners_min
        return r.statistic >= self.rules.one_platform_stories_min and r.statistic >= self.rules.one_platform_factor_min * r.expected

    def _needed(self, r: "_Reading") -> str:
        rules = self.rules
        return (
            str(rules.owners_min)
            if r.known
            else f"{rules.one_platform_stories_min} stories, {rules.one_platform_factor_min:g} times the usual"
        )

    def expected(self, window: Window, tick: int, seeing: Seeing) -> tuple[float, int]:
        """Expected number in the trailing window, and the share of it that was seeing (ppm).

        The window lies over two calendar periods; each counts by its part of the window and by its exposure.
        """
        period_ticks = window.ticks
        index, open_ticks = tick // period_ticks, tick % period_ticks + 1  # of the open period, this tick included
        parts = [(index, open_ticks / period_ticks), (index - 1, 1 - open_ticks / period_ticks)]
        window.baseline.forget_before(index)  # here too: a restart loads more than the horizon, and must not count it
        exposures = self._exposures(window, tick, seeing)
        expected = sum(self._rate(window, i, seeing) * part * e / FULL_PPM for (i, part), e in zip(parts, exposures, strict=True))
        exposure_ppm = round(sum(part * e for (_, part), e in zip(parts, exposures, strict=True)))
        floor = self.rules.expected_floor_hour if window.period_s == HOUR_S else self.rules.expected_floor_day
        return max(expected, floor), exposure_ppm

    def _exposures(self, window: Window, tick: int, seeing: Seeing) -> tuple[int, int]:
        """Exposure (ppm) of the window's part in the open calendar period and of its part in the one before."""
        now, hour = seeing.now(tick, self.language), tick * TICK_MS // HOUR_MS
        if window.period_s == HOUR_S:
            return now, seeing.of_hour(hour - 1, self.language)
        midnight = hour // 24 * 24
        today = [seeing.of_hour(h, self.language) for h in range(midnight, hour)] + [now]
        yesterday = [seeing.of_hour(h, self.language) for h in range(hour - 24, midnight)] or [FULL_PPM]
        return sum(today) // len(today), sum(yesterday) // len(yesterday)

    def _rate(self, window: Window, index: int, seeing: Seeing) -> float:
        slot = index % window.baseline.slots
        seen_ppm, seen_all_ppm = seeing.seen(slot, self.language, daily=window.period_s == DAY_S)
        return window.baseline.rate(slot, seen_ppm=seen_ppm, seen_all_ppm=seen_all_ppm)


@dataclass
class _Reading:
    """One window at one tick: what is known of it, each number when it is first asked for."""

    detector: SurgeDetector
    window: Window
    tick: int
    seeing: Seeing

    @cached_property
    def statistic(self) -> int:
        return len(self.window.negative)

    @cached_property
    def _expected_and_exposure(self) -> tuple[float, int]:
        return self.detector.expected(self.window, self.tick, self.seeing)

    @property
    def expected(self) -> float:
        return self._expected_and_exposure[0]

    @property
    def exposure_ppm(self) -> int:
        return self._expected_and_exposure[1]

    @cached_property
    def p(self) -> float:
        return negative_binomial_tail(self.statistic, mean=self.expected, dispersion=self.detector.rules.dispersion)

    @cached_property
    def share_ppm(self) -> int:
        return self.window.baseline.share_ppm()

    @cached_property
    def p_share(self) -> float:
        share, dispersion = self.share_ppm / FULL_PPM, self.share_dispersion_ppm / FULL_PPM
        return beta_binomial_tail(self.statistic, trials=len(self.window.stories), share=share, dispersion=dispersion)

    @cached_property
    def share_dispersion_ppm(self) -> int:
        return self.window.baseline.share_dispersion_ppm()

    @property
    def owners(self) -> int:
        return len(self.window.owners)

    @property
    def known(self) -> bool:
        return self.window.owner_known(self.tick)

    @cached_property
    def alone(self) -> bool:
        """Whether the share has turned so far that it counts without the number: only where nobody is missing."""
        rules = self.detector.rules
        return (
            self.window.period_s == DAY_S
            and not self.detector.searched
            and self.statistic >= rules.share_stories_min
            and self.p_share <= rules.p_share_alone
            and self.exposure_ppm >= rules.share_exposure_min_ppm
        )

    @property
    def counted(self) -> bool:
        """Whether the number opens, with a share that has turned too."""
        rules = self.detector.rules
        few = self.p <= rules.p_open(self.window.period_s, self.detector.series)
        return few and (self.detector.searched or self.p_share <= rules.p_share_open)

    @property
    def opens(self) -> bool:
        return self.counted or self.alone
