"""Volume: one series of counts in regular steps, watched by a profile: a statistic, and when it is an alert.

This is the pure step that `groundswell detect` and the pipeline share. Counts come in order, one for each step; steps that
nobody saw are skipped with `idle`, which is not the same as a count of 0.
"""

from typing import NamedTuple

import numpy as np

from alerts.detectors.burst import Burst
from alerts.detectors.regime import RegimeFilter
from alerts.rules import BurstRules, RegimeRules


class Judged(NamedTuple):
    """What one step led to."""

    score_milli: int  # thousandths of the profile's unit; an alert needs its threshold. While a burst rests, at most half of that
    alert: bool


class _OneLane:
    """The regime filter over a single series."""

    def __init__(self, profile: RegimeRules, step_s: int) -> None:
        self._filter = RegimeFilter(1, profile, step_s=step_s)
        self.idle = self._filter.idle

    def step(self, count: int, *, time_s: int) -> float:
        return float(self._filter.step(time_s, np.array([count], dtype=np.int64))[0])


class VolumeDetector:
    """One series.

    Args:
        profile: thresholds and memory.
        step_s: length of a step in seconds.
    """

    def __init__(self, profile: BurstRules | RegimeRules, *, step_s: int) -> None:
        self.profile, self.step_s = profile, step_s
        self._statistic: Burst | _OneLane = Burst(profile, step_s=step_s) if isinstance(profile, BurstRules) else _OneLane(profile, step_s)
        self._first: int | None = None  # numbers of steps since 1970
        self._last = 0
        self._crossed: int | None = None  # the last step at or above the threshold
        self._alerted: int | None = None

    def step(self, number: int, count: int) -> Judged:
        """Take a step.

        Args:
            number: steps of this length since 1970 (UTC); later than the one before. What lies between was not seen.
            count: how many, not negative.
        """
        if self._first is None:
            self._first = number
        elif number > self._last + 1:
            self._statistic.idle(number - self._last - 1)
        self._last = number
        return self._judge(number, self._statistic.step(count, time_s=number * self.step_s))

    def _judge(self, number: int, score: float) -> Judged:
        """Whether a score is an alert: a first crossing (`quiet_s`), or one outside the rest after an alert (`rest_s`)."""
        profile, score_milli, threshold_milli = self.profile, round(1_000 * score), round(1_000 * self.profile.threshold)
        if isinstance(profile, BurstRules) and self._within(self._alerted, number, profile.rest_s):
            return Judged(min(score_milli, threshold_milli // 2), alert=False)
        crosses = score_milli >= threshold_milli
        quiet = isinstance(profile, BurstRules) or not self._within(self._crossed, number, profile.quiet_s)
        if crosses:
            self._crossed = number
        alert = crosses and quiet and not self._within(self._first, number, profile.forming_s)
        if alert:
            self._alerted = number
        return Judged(score_milli, alert=alert)

    def _within(self, before: int | None, number: int, span_s: int) -> bool:
        return before is not None and (number - before) * self.step_s < span_s
