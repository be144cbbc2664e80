"""Admit: stamps become time, and items come out as closed, sorted ticks.

    raw partition 0   --a----b--------c---->  time 0 = running maximum of its stamps
    raw partition 1   -----d-----e--------->  time 1
    gate              |  tick 7  |  tick 8  |   a tick is closed when *every* partition's time has reached its end;
                                                its items come out in the order (known_ms, key), once

Arrival order between partitions, batches and workers cannot matter after the gate.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from groundswell.errors import ContinuityError
from groundswell.names import TICK_MS
from groundswell.records import Arrival, Contribution

BEGINNING_MS = -(2**62)


def tick_of(known_ms: int) -> int:
    """The tick that holds a known time; tick k is `[k * TICK_MS, (k + 1) * TICK_MS)`.

    >>> tick_of(14_999), tick_of(15_000)
    (0, 1)
    """
    return known_ms // TICK_MS


def tick_end_ms(tick: int) -> int:
    """First millisecond after a tick."""
    return (tick + 1) * TICK_MS


@dataclass
class StampClock:
    """A raw partition's time: the running maximum of its stamps, so a log whose leader's clock went back stays in order."""

    time_ms: int = BEGINNING_MS

    def stamp(self, known_ms: int) -> int:
        """The known time of the next record: its stamp, or the partition's time if that is later."""
        self.time_ms = max(self.time_ms, known_ms)
        return self.time_ms


@dataclass(frozen=True)
class ClosedTick:
    """All that became known in one tick, in the one order that counts."""

    tick: int
    contributions: list[Contribution]
    arrivals: list[Arrival]  # at most one for each source and language, at the tick's start

    @property
    def end_ms(self) -> int:
        """First millisecond after the tick."""
        return tick_end_ms(self.tick)


@dataclass
class Gate:
    """Holds contributions and arrivals back until their tick has closed on every raw partition.

    Args:
        partitions: how many raw partitions there are.
        closed_tick: the last tick that was already folded; items of it or before are replays and are passed over.
    """

    partitions: int
    closed_tick: int = -(2**62)
    times_ms: list[int] = field(init=False)
    held: dict[int, tuple[list[Contribution], dict[tuple[str, str], int]]] = field(init=False)
    """Of each open tick its contributions, and how many documents each source and language brought: every partition hears of them all,
    so that a record for each would be most of what fold holds."""
    records_held: int = 0

    def __post_init__(self) -> None:
        self.times_ms = [BEGINNING_MS] * self.partitions
        self.held = defaultdict(lambda: ([], {}))

    def offer(self, partition: int, *, contributions: list[Contribution] = [], arrivals: list[Arrival] = []) -> int:  # noqa: B006 - never changed
        """Take items of one raw partition.

        Returns:
            The last tick of them all, whether it was folded before or not; BEGINNING_MS where there are none.

        Raises:
            ContinuityError: an item lies before the partition's own time although its tick was not folded: a broken promise of the log.
        """
        last_tick = BEGINNING_MS
        for contribution in contributions:
            tick = contribution.known_ms // TICK_MS
            if tick > last_tick:
                last_tick = tick
            if tick > self.closed_tick:
                self._check(partition, contribution.known_ms)
                self.held[tick][0].append(contribution)
                self.records_held += 1
        time_ms = self.times_ms[partition]
        for arrival in arrivals:  # every partition meets every arrival: no call for each
            tick = arrival.known_ms // TICK_MS
            if tick > last_tick:
                last_tick = tick
            if tick > self.closed_tick:
                if arrival.known_ms < time_ms:
                    self._check(partition, arrival.known_ms)
                heard, key = self.held[tick][1], (arrival.source, arrival.language)
                heard[key] = heard.get(key, 0) + arrival.documents
        return last_tick

    def _check(self, partition: int, known_ms: int) -> None:
        if known_ms < self.times_ms[partition]:
            reason = (
                f"raw partition {partition}: an item known at {known_ms} came after the partition's time {self.times_ms[partition]}; "
                "the log is out of order: check the topic's message.timestamp.type, then restart"
            )
            raise ContinuityError(reason)

    def advance(self, partition: int, time_ms: int) -> None:
        """Move a raw partition's time forward; times never move back."""
        self.times_ms[partition] = max(self.times_ms[partition], time_ms)

    @property
    def time_ms(self) -> int:
        """The least over all raw partitions: everything known before it has been offered."""
        return min(self.times_ms)

    def held_back_by(self) -> int:
        """The raw partition whose time is least: the one to look at when nothing moves."""
        return self.times_ms.index(self.time_ms)

    def close(self) -> Iterator[ClosedTick]:
        """Every tick that is now closed and holds anything, in order, each once."""
        if self.time_ms == BEGINNING_MS:
            return
        closed = tick_of(self.time_ms) - 1
        for tick in sorted(tick for tick in self.held if tick <= closed):
            contributions, heard = self.held.pop(tick)
            self.records_held -= len(contributions)
            self.closed_tick = tick
            yield ClosedTick(
                tick,
                sorted(contributions, key=lambda c: (c.known_ms, c.document_id, c.series)),
                [Arrival(source, language, tick * TICK_MS, documents) for (source, language), documents in sorted(heard.items())],
            )
        self.closed_tick = max(self.closed_tick, closed)
