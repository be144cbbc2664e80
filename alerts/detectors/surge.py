"""Surge: fresh negative stories in the last hour and day, against the series' own hour and day of the week.

Counts on the *known* axis among *fresh* documents, so a feed's delay cancels out. Per closed tick, and only at ticks
that bring a fresh negative document: without one the count cannot have grown, and no surge can begin.
A candidate needs four things: an improbable count and a share of negatives that has turned too (or a share that has
turned very far), enough distinct stories from enough independent owners, and a window that was not blind.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from alerts.detectors.baseline import Baseline, BaselineRow, clip
from alerts.detectors.tails import binomial_tail, limit_of, negative_binomial_tail
from alerts.detectors.window import Window
from alerts.rules import SurgeRules
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS, content_id
from groundswell.records import Candidate, Increment

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
HORIZON_DAYS: Final = 56
DAY_TICKS: Final = DAY_MS // TICK_MS
FULL_PPM: Final = 1_000_000


class Seeing(Protocol):
    """What the detector asks of exposure; shares in ppm, `language` "" = all."""

    first_hour: int | None

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
        self._language = self.series.rsplit(":", 1)[1] if self.series.startswith("topic:") else ""

    def close_period(self, period_s: int, index: int, seeing: Seeing) -> BaselineRow | None:
        """Close a calendar hour or day in which the series had rows; None if it had none that count."""
        window = self._windows[period_s]
        negative, stories = window.of_period(index)
        if not stories:
            return None
        window.baseline.forget_before(index)
        expected = self._rate(window, index, seeing)
        row = BaselineRow(self.series, period_s, index, clip(negative, expected=expected), stories)
        window.baseline.add(row)
        return row

    def step(self, tick: int, rows: Iterable[Increment], seeing: Seeing) -> Iterator[Candidate]:
        """Take a closed tick's rows of this series, and yield what they lead to."""
        negative = {HOUR_S: False, DAY_S: False}
        for row in rows:
            for period_s, window in self._windows.items():
                if not (row.daily and period_s == HOUR_S):
                    window.enter(row)
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

    # --- the test ------------------------------------------------------------------------------------------------------
    def _evaluate(self, window: Window, tick: int, seeing: Seeing) -> Candidate | None:
        rules, statistic = self.rules, len(window.negative)
        stories_min = rules.stories_min_hour if window.period_s == HOUR_S else rules.stories_min_day
        if statistic < stories_min or self._forming(tick, seeing) or self._repeats(window, tick, statistic):
            return None
        expected, exposure_ppm = self._expected(window, tick, seeing)
        if exposure_ppm < rules.exposure_min_ppm:
            return None
        p = negative_binomial_tail(statistic, mean=expected, dispersion=rules.dispersion)
        share_ppm = window.baseline.share_ppm()
        p_share = binomial_tail(statistic, trials=len(window.stories), share=share_ppm / FULL_PPM)
        alone = self._share_alone(window, statistic, p_share, exposure_ppm)
        if p > rules.p_hold and not alone:
            return None
        known = window.owner_known(tick)
        if not self._corroborated(statistic, expected, owners=len(window.owners), known=known):
            return None
        counted = p <= rules.p_open(window.period_s) and p_share <= rules.p_share_open
        opens = counted or alone
        if not opens and not self._holding(window, tick):
            return None
        return Candidate(
            candidate_id=content_id(self.series, str(window.period_s), str(tick)),
            series=self.series,
            window_s=window.period_s,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=statistic,
            expected_milli=round(expected * 1_000),
            limit=limit_of(rules.p_open(window.period_s), mean=expected, dispersion=rules.dispersion),
            p_ppt=round(p * 1e12),
            share_p_ppt=round(p_share * 1e12),
            by="share" if alone and not counted else "count",
            stories=len(window.stories),
            owners=len(window.owners),
            owners_known=known,
            baseline_share_ppm=share_ppm,
            exposure_ppm=exposure_ppm,
            level="open" if opens else "hold",
            evidence=window.evidence(),
        )

    def _forming(self, tick: int, seeing: Seeing) -> bool:
        first = seeing.first_hour
        return first is None or tick * TICK_MS < first * HOUR_MS + self.rules.forming_days * DAY_MS

    def _repeats(self, window: Window, tick: int, statistic: int) -> bool:
        if window.last is None:
            return False
        last_tick, last_statistic = window.last
        return (tick - last_tick) * TICK_MS < self.rules.repeat_s * 1_000 and statistic < self.rules.repeat_growth * last_statistic

    def _share_alone(self, window: Window, statistic: int, p_share: float, exposure_ppm: int) -> bool:
        """Whether the share has turned so far that it counts without the number: only where nobody is missing."""
        rules = self.rules
        return (
            window.period_s == DAY_S
            and statistic >= rules.share_stories_min
            and p_share <= rules.p_share_alone
            and exposure_ppm >= rules.share_exposure_min_ppm
        )

    def _holding(self, window: Window, tick: int) -> bool:
        return window.last is not None and (tick - window.last[0]) * TICK_MS <= self.rules.hold_s * 1_000

    def _corroborated(self, statistic: int, expected: float, *, owners: int, known: bool) -> bool:
        if known:
            return owners >= self.rules.owners_min
        return statistic >= self.rules.one_platform_stories_min and statistic >= self.rules.one_platform_factor_min * expected

    def _expected(self, window: Window, tick: int, seeing: Seeing) -> tuple[float, int]:
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
        now, hour = seeing.now(tick, self._language), tick * TICK_MS // HOUR_MS
        if window.period_s == HOUR_S:
            return now, seeing.of_hour(hour - 1, self._language)
        midnight = hour // 24 * 24
        today = [seeing.of_hour(h, self._language) for h in range(midnight, hour)] + [now]
        yesterday = [seeing.of_hour(h, self._language) for h in range(hour - 24, midnight)] or [FULL_PPM]
        return sum(today) // len(today), sum(yesterday) // len(yesterday)

    def _rate(self, window: Window, index: int, seeing: Seeing) -> float:
        slot = index % window.baseline.slots
        seen_ppm, seen_all_ppm = seeing.seen(slot, self._language, daily=window.period_s == DAY_S)
        return window.baseline.rate(slot, seen_ppm=seen_ppm, seen_all_ppm=seen_all_ppm)
