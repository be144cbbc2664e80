"""Burst: how far the last minutes stand above what is usual, measured by the series' own highest of each past day.

For windows of a few lengths: the logarithm of count over expectation in units of its own spread, and the excess in units of a count's
dispersion. Each is divided by quantiles of its own daily maxima so far, which makes 1 mean the same in a bursty series and in a calm
one: "as high as on one of its high days". The score is the mean over windows and quantiles, so that a spike of one step is muted.

Everything is from the past: the first steps are judged by a prior, and a step is judged before anything is learnt from it.
"""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from math import exp, floor, log, sqrt
from typing import Final

from alerts.detectors.season import DAY_S, half
from alerts.rules import BurstRules

CLIP_FACTOR, CLIP_STEPS = 3.0, 3.0
"""A step moves the level as if it were at most this often the level, plus this."""

LOG_RATIO_MAX: Final = 2.0
"""A burst moves the spread of log ratios as if it were at most this high."""

SPREAD_START: Final = 0.55
LEVEL_EARLY, SPREAD_EARLY = 4, 36
"""The n-th step moves level (spread) by 1/(n + this): how long the prior is heard."""

EXCESS_DISPERSION: Final = 0.3
FIRST_DAY_HIGHEST: Final = 4.0
"""What a day's highest is taken to be before a day has ended."""

LEAST: Final = 0.01
DAYS_MAX: Final = 366
"""So many daily maxima are remembered."""


class _Highest:
    """Quantiles of a statistic's daily maxima, geometric between neighbours."""

    def __init__(self, quantiles: Sequence[float]) -> None:
        self._quantiles = quantiles
        self._in_order: deque[float] = deque()
        self._sorted: list[float] = []
        self._today: float | None = None
        self._inverse = 1.0 / FIRST_DAY_HIGHEST

    def judge(self, value: float) -> float:
        """The value in units of the daily maxima so far, mean over the quantiles; then remember it as of today."""
        self._today = value if self._today is None else max(self._today, value)
        return value * self._inverse

    def close_day(self) -> None:
        """A day of the series has ended; one that nobody saw is none."""
        if self._today is None:
            return
        highest, self._today = log(max(self._today, LEAST)), None
        self._in_order.append(highest)
        insort(self._sorted, highest)
        if len(self._in_order) > DAYS_MAX:
            self._sorted.remove(self._in_order.popleft())
        self._inverse = sum(exp(-self._quantile(q)) for q in self._quantiles) / len(self._quantiles)

    def _quantile(self, q: float) -> float:
        place = q * (len(self._sorted) - 1)
        low = floor(place)
        high = min(low + 1, len(self._sorted) - 1)
        return self._sorted[low] + (place - low) * (self._sorted[high] - self._sorted[low])


class _Window:
    """The last so many steps: counts, what was expected of them, and how their ratio spreads."""

    def __init__(self, length: int, rules: BurstRules, *, step_s: int) -> None:
        self._steps: deque[tuple[int, float]] = deque(maxlen=length)
        self._spread2, self._slow = SPREAD_START**2, half(rules.spread_half_life_s, step_s)
        self._excess_weight = rules.excess_weight
        self.ratio, self.excess = _Highest(rules.quantiles), _Highest(rules.quantiles)

    def judge(self, count: int, expected: float, *, seen: int) -> float:
        """The score of this window, as of its newest step."""
        self._steps.append((count, expected))
        counted, mean = sum(c for c, _ in self._steps), sum(m for _, m in self._steps)
        log_ratio = log((counted + 1.0) / (mean + 1.0))
        standing = log_ratio / sqrt(self._spread2)
        excess = (counted - mean) / sqrt(mean + 1.0 + EXCESS_DISPERSION * mean * mean / len(self._steps))
        rate = max(self._slow, 1.0 / (seen + SPREAD_EARLY))
        self._spread2 += rate * (min(log_ratio, LOG_RATIO_MAX) ** 2 - self._spread2)
        weight = self._excess_weight
        return (1.0 - weight) * self.ratio.judge(standing) + weight * self.excess.judge(max(excess, LEAST))

    def skip(self, steps: int) -> None:
        """Steps that nobody saw: nothing was counted, and nothing was expected."""
        self._steps.extend([(0, 0.0)] * min(steps, self._steps.maxlen or 0))


class Burst:
    """One series.

    Args:
        rules: the profile.
        step_s: length of a step in seconds.
    """

    def __init__(self, rules: BurstRules, *, step_s: int) -> None:
        lengths = sorted({max(1, round(window_s / step_s)) for window_s in rules.windows_s})
        self._windows = [_Window(length, rules, step_s=step_s) for length in lengths]
        self._slow = half(rules.level_half_life_s, step_s)
        self._day_steps = max(1, DAY_S // step_s)
        self._level: float | None = None
        self._age = 0  # steps since the first, seen or not: its days are the series' own
        self._seen = 0

    def step(self, count: int, *, time_s: int = 0) -> float:  # noqa: ARG002 - it has no season; what has one asks for the time
        """Take one step; returns its score, 1 = as high as on a high day of the series."""
        level = max(float(count), 1.0) if self._level is None else self._level
        score = sum(window.judge(count, level, seen=self._seen) for window in self._windows) / len(self._windows)
        rate = max(self._slow, 1.0 / (self._seen + LEVEL_EARLY))
        self._level = level + rate * (min(float(count), CLIP_FACTOR * level + CLIP_STEPS) - level)
        self._seen += 1
        self._pass(1)
        return score

    def idle(self, steps: int) -> None:
        """Steps that nobody saw."""
        for window in self._windows:
            window.skip(steps)
        self._pass(steps)

    def _pass(self, steps: int) -> None:
        before, self._age = self._age // self._day_steps, self._age + steps
        if self._age // self._day_steps > before:
            for window in self._windows:
                window.ratio.close_day()
                window.excess.close_day()
