"""Exposure: how much of the usual volume is seeing right now. A source that stopped reporting is blind, not calm.

When a source is blind: groundswell/silence.py. Exposure
is the share of the usual volume, for this hour of the week and language, whose sources are not blind. Everything is a
pure function of arrivals on the known axis, in integers.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from groundswell.names import HOUR_MS, HOUR_TICKS, TICK_MS
from groundswell.records import Arrival
from groundswell.silence import HORIZON_TICKS, Rhythm

SLOTS: Final = 168
DAYS: Final = 7
HORIZON_HOURS: Final = HORIZON_TICKS * TICK_MS // HOUR_MS
WEEKS: Final = HORIZON_HOURS // SLOTS
FULL_PPM: Final = 1_000_000
ALL: Final = ""
"""The language of series that count all languages."""


@dataclass(frozen=True)
class SourceHour:
    """How many documents a source brought in one hour: a stored row."""

    hour: int
    source: str
    language: str
    documents: int


@dataclass(frozen=True)
class HourExposure:
    """Exposure of one closed hour in one language: a stored row."""

    hour: int
    language: str
    exposure_ppm: int


@dataclass(frozen=True)
class BlindSpan:
    """That a source was blind, told when it is heard again: a stored row."""

    source: str
    since_tick: int
    until_tick: int  # at which it was heard again


@dataclass
class _Volume:
    """Documents of one source and language by hour, over the horizon."""

    hours: deque[tuple[int, int]] = field(default_factory=deque)
    slots: list[int] = field(default_factory=lambda: [0] * SLOTS)
    total: int = 0

    def add(self, hour: int, documents: int) -> None:
        self.hours.append((hour, documents))
        self.slots[hour % SLOTS] += documents
        self.total += documents

    def forget_before(self, hour: int) -> None:
        while self.hours and self.hours[0][0] < hour:
            old, documents = self.hours.popleft()
            self.slots[old % SLOTS] -= documents
            self.total -= documents

    def usual(self, slot: int) -> int:
        """Usual volume in a slot, up to a common factor: eight weeks of it and one week of the flat level."""
        return WEEKS * SLOTS * self.slots[slot] + self.total


@dataclass
class Exposure:
    """What every fold partition knows about all sources; equal everywhere, because arrivals go everywhere."""

    blindness_ignored: bool = False  # a twin test's switch: what would happen without this guard
    hour: int | None = None  # the open hour
    first_hour: int | None = None
    _sources: dict[str, Rhythm] = field(default_factory=dict)
    _volumes: dict[tuple[str, str], _Volume] = field(default_factory=dict)
    _open: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    _closed: dict[str, deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(deque))
    _slots: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * SLOTS))
    _days: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * DAYS))
    _now: dict[tuple[int, str], int] = field(default_factory=dict)

    def hear(self, tick: int, arrivals: Iterable[Arrival]) -> list[BlindSpan]:
        """Take a closed tick's arrivals; call `roll` first.

        Returns:
            The blindness that ends with them.
        """
        self._now.clear()
        ended = []
        for arrival in arrivals:
            rhythm = self._sources.get(arrival.source)
            if rhythm is None:
                rhythm = self._sources[arrival.source] = Rhythm()
            elif rhythm.is_blind(tick):
                ended.append(BlindSpan(arrival.source, rhythm.blind_from, tick))
            rhythm.hear(tick)
            self._open[arrival.source, arrival.language] += arrival.documents
        return ended

    def roll(self, tick: int) -> Iterator[tuple[list[SourceHour], list[HourExposure]]]:
        """Close the hours that end at or before a tick's start; the rows of each are to be stored."""
        hour = tick // HOUR_TICKS
        if self.hour is None:
            self.hour = hour
            self.first_hour = hour if self.first_hour is None else self.first_hour
        while self.hour < hour:
            yield self._close_hour(self.hour)
            self.hour = max(self.hour + 1, hour - HORIZON_HOURS)  # after a silence longer than the horizon, nobody asks for the rest

    def _close_hour(self, hour: int) -> tuple[list[SourceHour], list[HourExposure]]:
        heard = [SourceHour(hour, source, language, n) for (source, language), n in sorted(self._open.items())]
        self._open.clear()
        for row in heard:
            self.restore_source_hour(row)
        for volume in self._volumes.values():
            volume.forget_before(hour - HORIZON_HOURS)
        self._volumes = {key: volume for key, volume in self._volumes.items() if volume.total}
        self.forget_silent_sources()
        exposures = [HourExposure(hour, language, self._exposure(language, hour=hour)) for language in self._languages()]
        for exposure in exposures:
            self.restore_exposure(exposure)
        for language in self._closed:  # also those in which nobody speaks any more
            self._forget_exposures(language, before=hour - HORIZON_HOURS)
        return heard, exposures

    def forget_silent_sources(self) -> None:
        """Let go of sources that brought nothing within the horizon: nobody misses them."""
        heard_of = {source for source, _ in (*self._volumes, *self._open)}
        self._sources = {name: rhythm for name, rhythm in self._sources.items() if name in heard_of}

    def _forget_exposures(self, language: str, *, before: int) -> None:
        closed, slots, days = self._closed[language], self._slots[language], self._days[language]
        while closed and closed[0][0] < before:
            hour, exposure = closed.popleft()
            slots[hour % SLOTS] -= exposure
            days[hour // 24 % DAYS] -= exposure

    def _languages(self) -> list[str]:
        return sorted({language for _, language in self._volumes} | {ALL})

    def _exposure(self, language: str, *, hour: int, tick: int | None = None) -> int:
        """Share of the usual volume whose sources are seeing: at a tick, or at any moment of a closed hour."""
        seeing = total = 0
        end = (hour + 1) * HOUR_TICKS if tick is None else tick
        for (name, spoken), volume in self._volumes.items():
            if language not in (spoken, ALL):
                continue
            usual = volume.usual(hour % SLOTS)
            total += usual
            source = self._sources[name]
            if not source.is_blind(end) or (tick is None and source.last_tick >= hour * HOUR_TICKS):
                seeing += usual
        return FULL_PPM * seeing // total if total and not self.blindness_ignored else FULL_PPM

    def now(self, tick: int, language: str) -> int:
        """Exposure at a tick, in ppm; full while nothing is known of the language."""
        cached = self._now.get((tick, language))
        if cached is None:
            cached = self._now[tick, language] = self._exposure(language, hour=tick // HOUR_TICKS, tick=tick)
        return cached

    def of_hour(self, hour: int, language: str) -> int:
        """Exposure of a recent closed hour, in ppm; full where it is not known."""
        for closed, exposure in reversed(self._closed[language]):
            if closed == hour:
                return exposure
            if closed < hour:
                break
        return FULL_PPM

    def seen(self, slot: int, language: str, *, daily: bool = False) -> tuple[int, int]:
        """Seeing time over the horizon: of an hour of the week and of all hours, ppm-hours (with `daily`: of a day, ppm-days).

        The denominators of a baseline. Hour 0 and day 0 of the week are those that the epoch began with, a Thursday's.
        """
        days = self._days[language]
        if daily:
            return days[slot] // 24, sum(days) // 24
        return self._slots[language][slot], sum(days)

    def closed_hours(self, language: str) -> Iterable[tuple[int, int]]:
        """(hour, exposure in ppm) of the closed hours within the horizon, ascending."""
        return self._closed.get(language, ())

    def heard_hours(self, *, since: int = 0) -> set[int]:
        """The closed hours within the horizon, from one on, in which anything was heard."""
        hours: set[int] = set()
        for volume in self._volumes.values():
            for hour, _ in reversed(volume.hours):
                if hour < since:
                    break
                hours.add(hour)
        return hours

    def blind(self, tick: int) -> dict[str, int]:
        """{source: last tick heard} of the sources that are blind at a tick."""
        return {name: s.last_tick for name, s in sorted(self._sources.items()) if s.is_blind(tick)}

    # --- rebuilding from stored rows ---------------------------------------------------------------------------------
    def restore_source(self, source: str, ticks: list[int]) -> None:
        """A source's arrivals: distinct ticks, ascending, of the two last horizons."""
        self._sources[source] = Rhythm()
        self._sources[source].restore(ticks)

    def restore_open(self, source: str, language: str, documents: int) -> None:
        """What the open hour has brought so far."""
        self._open[source, language] += documents

    def restore_source_hour(self, row: SourceHour) -> None:
        """A closed hour of one source."""
        self._volumes.setdefault((row.source, row.language), _Volume()).add(row.hour, row.documents)

    def restore_exposure(self, row: HourExposure) -> None:
        """A closed hour's exposure."""
        closed, slots, days = self._closed[row.language], self._slots[row.language], self._days[row.language]
        closed.append((row.hour, row.exposure_ppm))
        slots[row.hour % SLOTS] += row.exposure_ppm
        days[row.hour // 24 % DAYS] += row.exposure_ppm
