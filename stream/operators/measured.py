"""Exposure as one model's baselines need it: only the hours in which that model has read count, as seen and as usual.

model       A A A A A A A | B B B                   a baseline of B is made of B's rows, over B's hours
re-scored   B B B B B - -   "past of B"             with a re-scored run attached, of its hours too
"""

from dataclasses import dataclass, field
from typing import Final

from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from stream.operators.exposure import DAYS, HORIZON_HOURS, SLOTS, Exposure

ALWAYS: Final = ((-(2**62), 2**62),)


@dataclass
class Measured:
    """What a detector asks of exposure, for the model in force.

    Args:
        exposure: of all sources.
        spans: `[start, end)` in known ms in which the model in force has read, ascending and apart; the last one is still open.
    """

    exposure: Exposure
    spans: tuple[tuple[int, int], ...] = ALWAYS
    _sums: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    _read: int | None = None  # hours that the model has read within the horizon
    _of_hour: int | None = None  # the open hour that both were made in

    @property
    def since_tick(self) -> int:
        """The first tick since which the model in force has read everything."""
        return self.spans[-1][0] // TICK_MS

    @property
    def first_hour(self) -> int | None:
        """Where the model's time would begin if it lay in one piece behind the present: how long it has read within the horizon."""
        first, now = self.exposure.first_hour, self.exposure.hour
        if first is None or now is None or self._has_read_all(first, now):
            return first
        self._begin_hour(now)
        if self._read is None:
            since = max(first, now - HORIZON_HOURS)
            self._read = sum(self._covers(hour * HOUR_MS, (hour + 1) * HOUR_MS) for hour in range(since, now))
        return now - self._read

    def now(self, tick: int, language: str) -> int:
        """Exposure at a tick, in ppm."""
        return self.exposure.now(tick, language)

    def of_hour(self, hour: int, language: str) -> int:
        """Exposure of a closed hour, in ppm."""
        return self.exposure.of_hour(hour, language)

    def seen(self, slot: int, language: str, *, daily: bool = False) -> tuple[int, int]:
        """Seeing time over the horizon in which the model has read; see `Exposure.seen`. A day counts where it was read whole."""
        exposure = self.exposure
        if exposure.first_hour is None or exposure.hour is None or self._has_read_all(exposure.first_hour, exposure.hour):
            return exposure.seen(slot, language, daily=daily)
        self._begin_hour(exposure.hour)
        if language not in self._sums:
            self._sums[language] = self._sum(language)
        slots, days = self._sums[language]
        return (days[slot] // 24, sum(days) // 24) if daily else (slots[slot], sum(slots))

    def _begin_hour(self, hour: int) -> None:
        """What was added up holds for the hour that is open."""
        if self._of_hour != hour:
            self._of_hour, self._sums, self._read = hour, {}, None

    def _sum(self, language: str) -> tuple[list[int], list[int]]:
        slots, days = [0] * SLOTS, [0] * DAYS
        for hour, exposure_ppm in self.exposure.closed_hours(language):
            if self._covers(hour * HOUR_MS, (hour + 1) * HOUR_MS):
                slots[hour % SLOTS] += exposure_ppm
            midnight_ms = hour // 24 * DAY_MS
            if self._covers(midnight_ms, midnight_ms + DAY_MS):
                days[hour // 24 % DAYS] += exposure_ppm
        return slots, days

    def _has_read_all(self, first: int, now: int) -> bool:
        return self._covers(max(first, now - HORIZON_HOURS - 1) * HOUR_MS, (now + 1) * HOUR_MS)

    def _covers(self, start_ms: int, end_ms: int) -> bool:
        return any(start <= start_ms and end_ms <= end for start, end in self.spans)
