"""What a count is expected to be: a level that follows within a day, times the hour of the day, the day and the hour of the week.

Vectors over lanes (one lane = one series), one call per step of the series. Every factor is a sum of counts over a sum of what
was expected, both forgotten slowly and held back towards 1 by a prior; so a series of a few counts a day has a season too, a flat
one at first. What is learnt from has been cut by the caller: a surge must not become the norm.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from alerts.rules import RegimeRules

Floats = NDArray[np.float64]
SLOT_S: Final = 1_800
DAY_SLOTS: Final = 48
WEEK_SLOTS: Final = 7 * DAY_SLOTS
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
LEAST: Final = 1e-3
"""A rate per step below which nothing is expected any more."""

EARLY_STEPS: Final = 2
"""The n-th count moves the level by 1/(n + this): the first counts decide, and no single one does."""


def half(half_life_s: float, step_s: float) -> float:
    """The share that is forgotten in one step."""
    return float(1.0 - 2.0 ** (-step_s / half_life_s))


class _Factor:
    """Counts over expectations, by slot. The sums of a slot are forgotten when it comes again."""

    def __init__(self, slots: int, lanes: int, *, keep: float, prior_steps: float, neighbours: bool) -> None:
        self.counted, self.expected = np.zeros((slots, lanes)), np.zeros((slots, lanes))
        self._keep, self._prior, self._neighbours = keep, prior_steps, neighbours

    def of(self, slot: int, prior_rate: Floats) -> Floats:
        """The factor of a slot; `prior_rate` is what one step expects without it."""
        prior = self._prior * prior_rate
        return (self._around(self.counted, slot) + prior) / (self._around(self.expected, slot) + prior)

    def _around(self, sums: Floats, slot: int) -> Floats:
        if not self._neighbours:
            return np.asarray(sums[slot])
        return np.asarray(sums[slot] + 0.5 * (sums[slot - 1] + sums[(slot + 1) % len(sums)]))

    def enter(self, slot: int) -> None:
        """A slot begins."""
        self.counted[slot] *= self._keep
        self.expected[slot] *= self._keep

    def add(self, slot: int, counts: Floats, expected: Floats) -> None:
        """Learn one step."""
        self.counted[slot] += counts
        self.expected[slot] += expected


class Season:
    """Expected counts of several series that share one clock.

    Args:
        lanes: how many series.
        rules: half-lives and priors.
        step_s: length of a step in seconds.
    """

    def __init__(self, lanes: int, rules: RegimeRules, *, step_s: int) -> None:
        days = 2.0 ** (-DAY_S / rules.season_half_life_s)
        weeks = 2.0 ** (-WEEK_S / rules.season_half_life_s)
        prior = {name: seconds / step_s for name, seconds in rules.season_prior_s.items()}
        self._hour = _Factor(DAY_SLOTS, lanes, keep=days, prior_steps=prior["hour"], neighbours=True)
        self._day = _Factor(7, lanes, keep=weeks, prior_steps=prior["day"], neighbours=False)
        self._hour_of_week = _Factor(WEEK_SLOTS, lanes, keep=weeks, prior_steps=prior["hour_of_week"], neighbours=True)
        self._fast, self._slow = half(rules.level_half_life_s, step_s), half(rules.season_level_half_life_s, step_s)
        self.level, self.slow_level = np.ones(lanes), np.ones(lanes)
        self.seen, self.slot = 0, -1
        self._factors = np.ones((3, lanes))

    def expect(self, time_s: int) -> Floats:
        """Expected counts of the step that begins at `time_s` (seconds since 1970, UTC); steps come in order."""
        slot = time_s // SLOT_S
        if slot != self.slot:
            for factor, index, before in self._places(slot, self.slot):
                if index != before:
                    factor.enter(index)
            self.slot = slot
            hour = self._hour.of(slot % DAY_SLOTS, self.slow_level)
            day = self._day.of(slot // DAY_SLOTS % 7, self.slow_level)
            week = self._hour_of_week.of(slot % WEEK_SLOTS, self.slow_level * hour * day)
            self._factors = np.stack([hour, day, week])
        return np.asarray(np.maximum(self.level * self._factors.prod(0), LEAST))

    def learn(self, counts: Floats) -> None:
        """Take the (cut) counts of the step that was expected last."""
        hour, day, week = self._factors
        slot, slow = self.slot, self.slow_level
        self._hour.add(slot % DAY_SLOTS, counts, slow * day)
        self._day.add(slot // DAY_SLOTS % 7, counts, slow * hour)
        self._hour_of_week.add(slot % WEEK_SLOTS, counts, slow * hour * day)
        early, flat = 1.0 / (self.seen + EARLY_STEPS), counts / (hour * day * week)
        self.level = self.level + max(self._fast, early) * (flat - self.level)
        self.slow_level = slow + max(self._slow, early) * (flat - slow)
        self.seen += 1

    def _places(self, slot: int, before: int) -> tuple[tuple[_Factor, int, int], ...]:
        """Each factor with its slot now and the one before (-1: none)."""
        day_before = -1 if before < 0 else before // DAY_SLOTS % 7
        return (
            (self._hour, slot % DAY_SLOTS, -1),
            (self._day, slot // DAY_SLOTS % 7, day_before),
            (self._hour_of_week, slot % WEEK_SLOTS, -1),
        )
