"""When silence means blindness: the one rule that exposure (stream) and source health (store) share.

A source is blind when it has been silent for six times its own median gap and at least an hour. "Its own": an agency
that speaks every minute is missed after an hour, a weekly report only after six weeks. Ticks are those of the known axis.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from groundswell.names import DAY_MS, HOUR_MS, TICK_MS

SILENT_GAPS: Final = 6
SILENT_MIN_TICKS: Final = HOUR_MS // TICK_MS
UNKNOWN_GAP_TICKS: Final = DAY_MS // TICK_MS
"""The gap of a source that has not been heard often enough to have one of its own."""

GAPS_MIN: Final = 5
GAPS_MAX: Final = 200
HORIZON_TICKS: Final = 56 * DAY_MS // TICK_MS
"""Older arrivals are forgotten; a source without any younger one is not missed any more."""


@dataclass
class Rhythm:
    """The distinct ticks at which one source was heard: at most GAPS_MAX + 1, none older than the horizon before the last.

    >>> agency = Rhythm()
    >>> for tick in range(0, 400, 40):
    ...     agency.hear(tick)
    >>> agency.patience, agency.is_blind(599), agency.is_blind(600)
    (240, False, True)
    """

    ticks: deque[int] = field(default_factory=deque)
    gaps: list[int] = field(default_factory=list)  # between neighbouring ticks, sorted
    patience: int = SILENT_GAPS * UNKNOWN_GAP_TICKS  # ticks of silence that make it blind

    @property
    def last_tick(self) -> int:
        """The last tick at which it was heard; only for a source that was heard."""
        return self.ticks[-1]

    @property
    def blind_from(self) -> int:
        """The first tick at which it counts as blind if nothing more is heard."""
        return self.last_tick + self.patience

    def hear(self, tick: int) -> None:
        """Take a tick; ticks come in ascending order, the same one may come again."""
        if self.ticks and tick == self.ticks[-1]:
            return
        if self.ticks:
            insort(self.gaps, tick - self.ticks[-1])
        self.ticks.append(tick)
        while len(self.ticks) > GAPS_MAX + 1 or self.ticks[0] < tick - HORIZON_TICKS:
            oldest = self.ticks.popleft()
            self.gaps.pop(bisect_left(self.gaps, self.ticks[0] - oldest))
        known = self.gaps[(len(self.gaps) - 1) // 2] if len(self.gaps) >= GAPS_MIN else UNKNOWN_GAP_TICKS
        self.patience = max(SILENT_MIN_TICKS, SILENT_GAPS * known)

    def is_blind(self, tick: int) -> bool:
        """Whether it counts as blind at a tick."""
        return tick >= self.blind_from
