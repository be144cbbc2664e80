"""Baseline: what is normal for a series at this hour of the week (or day of the week), in integers over eight weeks.

A row is one closed hour (or day) of one series: distinct fresh negative stories and distinct fresh stories, the first
clipped so that one surge does not hide the next week's. Time that nobody saw does not count: the denominator is the
exposure of the same hours (stream/operators/exposure.py). What two models say is never mixed: only rows of the model in force
count, and of seeing time only the hours in which it has read (stream/operators/measured.py).
"""

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

import msgspec

FULL_PPM: Final = 1_000_000
PRIOR_WEEKS: Final = 4
"""Shrinkage of an hour of the week towards the series' level, in weeks of that level."""

PRIOR_SHARE: Final = (3, 10)
"""Negative stories among stories, before a series has any of its own."""

PRIOR_SHARE_DISPERSION: Final = (0.02, 50)
"""How far shares of a series' periods lie apart beyond chance (correlation of two stories of one period), before it has many of its own,
and as how much room for it that counts. Over 56 days of all series of four real archives it was 0.008, 0.012, 0.018 and 0.036 (means)."""


class BaselineRow(msgspec.Struct, frozen=True, array_like=True):
    """One closed period of one series: a stored row."""

    series: str
    period_s: int  # 3600 or 86400
    index: int  # known_ms // period
    negative: int  # distinct fresh negative stories, clipped
    stories: int  # distinct fresh stories
    reader: str = ""  # the model that read all of the period; "": two did, or nobody says. Not stored: the schedule tells it


@dataclass
class Baseline:
    """The sums of one series over the horizon, by slot.

    Args:
        slots: 168 hours of the week, or 7 days of it.
        horizon: how many periods are remembered.
        readers: whose rows count; None: all.
    """

    slots: int
    horizon: int
    readers: frozenset[str] | None = None
    rows: deque[BaselineRow] = field(default_factory=deque)
    by_slot: list[int] = field(init=False)
    negative: int = 0
    stories: int = 0
    _periods: int = 0  # rows that count
    _stories_squared: int = 0
    _negative_squared_ppm: int = 0  # sum of negative^2 / stories; integers, so that it does not depend on the order of rows

    def __post_init__(self) -> None:
        self.by_slot = [0] * self.slots

    def use(self, readers: frozenset[str] | None) -> None:
        """Another model is in force: count its rows, and no others."""
        if readers != self.readers:
            self.readers, self.by_slot, self.negative, self.stories = readers, [0] * self.slots, 0, 0
            self._periods = self._stories_squared = self._negative_squared_ppm = 0
            for row in self.rows:
                self._count(row, 1)

    def add(self, row: BaselineRow) -> None:
        """Take a closed period; periods come in order."""
        self.rows.append(row)
        self._count(row, 1)

    def _count(self, row: BaselineRow, sign: int) -> None:
        if self.readers is None or row.reader in self.readers:
            self.by_slot[row.index % self.slots] += sign * row.negative
            self.negative += sign * row.negative
            self.stories += sign * row.stories
            stories = max(row.stories, row.negative, 1)
            self._periods += sign
            self._stories_squared += sign * stories**2
            self._negative_squared_ppm += sign * (FULL_PPM * row.negative**2 // stories)

    def forget_before(self, index: int) -> None:
        """Let go of periods that have left the horizon, as seen from period `index`."""
        while self.rows and self.rows[0].index < index - self.horizon:
            self._count(self.rows.popleft(), -1)

    def rate(self, slot: int, *, seen_ppm: int, seen_all_ppm: int) -> float:
        """Expected negative stories in one fully seen period of a slot.

        Args:
            slot: hour (day) of the week.
            seen_ppm: seeing time of that slot over the horizon, ppm-periods.
            seen_all_ppm: seeing time of all slots, ppm-periods.
        """
        level = (self.negative + 0.5) / (max(seen_all_ppm, FULL_PPM) / FULL_PPM)
        return (self.by_slot[slot] + PRIOR_WEEKS * level) / (seen_ppm / FULL_PPM + PRIOR_WEEKS)

    def share_ppm(self) -> int:
        """The series' own share of negative stories, shrunk to the prior while it has few."""
        hits, trials = PRIOR_SHARE
        return FULL_PPM * (self.negative + hits) // (max(self.stories, self.negative) + trials)

    def share_dispersion_ppm(self) -> int:
        """How far the shares of single periods lie apart beyond chance: the correlation of two stories of one period.

        Moments of the beta-binomial (Kleinman, 1973, J. Am. Stat. Assoc. 68), shrunk to the prior. A share that drifts lies apart too: what
        it does anyhow, from week to week, is then no news.
        """
        prior, weight = PRIOR_SHARE_DISPERSION
        chance = self.negative * (self.stories - self.negative) / max(self.stories, 1) ** 2
        if chance <= 0 or self._periods < 2:
            return round(prior * FULL_PPM)
        spread = self._negative_squared_ppm / FULL_PPM - self.negative**2 / self.stories
        beyond = spread / chance - (self._periods - 1)
        room = self.stories - self._stories_squared / self.stories - (self._periods - 1)
        return round(FULL_PPM * min(max(beyond + prior * weight, 0.0) / (max(room, 0.0) + weight), 0.5))


def clip(count: int, *, expected: float) -> int:
    """What one period may add to a baseline: at most about two standard deviations and twice the expected number."""
    return min(count, int(2 * expected + 2 * sqrt(expected + 0.5 * expected * expected) + 2))
