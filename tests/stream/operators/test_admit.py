"""Admit: stamps become time, and items come out as closed, sorted ticks."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import ContinuityError
from groundswell.names import TICK_MS
from groundswell.records import Contribution
from stream.operators.admit import ClosedTick, Gate, StampClock, tick_end_ms, tick_of
from tests import builders as b

PARTITIONS = 3
streams = st.lists(st.lists(st.integers(0, 6 * TICK_MS), max_size=8).map(sorted), min_size=PARTITIONS, max_size=PARTITIONS)


def item(partition: int, number: int, known_ms: int) -> Contribution:
    return b.a_contribution(document_id=f"{(number * 7 + partition) % 10}-{partition}-{number}", known_ms=known_ms)


def play(streams: list[list[int]], chance: random.Random, gate: Gate) -> list[ClosedTick]:
    """Offer each partition's items in its own order, in batches, partitions mixed as chance will; then end all of them."""
    waiting = {p: [item(p, n, known) for n, known in enumerate(times)] for p, times in enumerate(streams)}
    closed: list[ClosedTick] = []
    while any(waiting.values()):
        partition = chance.choice([p for p, items in waiting.items() if items])
        size = chance.randrange(1, 4)
        batch, waiting[partition] = waiting[partition][:size], waiting[partition][size:]
        gate.offer(partition, contributions=batch)
        gate.advance(partition, batch[-1].known_ms)
        closed += gate.close()
    for partition in range(PARTITIONS):
        gate.advance(partition, 10 * TICK_MS)
    return closed + list(gate.close())


def test_a_tick_begins_at_its_multiple_and_ends_before_the_next() -> None:
    assert [tick_of(ms) for ms in (0, TICK_MS - 1, TICK_MS, -1)] == [0, 0, 1, -1]
    assert tick_of(tick_end_ms(7)) == 8


@given(st.lists(st.integers(-(2**40), 2**40)))
def test_a_partitions_time_never_falls(stamps: list[int]) -> None:
    clock = StampClock()
    times = [clock.stamp(stamp) for stamp in stamps]

    assert times == [max(stamps[: n + 1]) for n in range(len(stamps))]


@given(streams, st.integers())
def test_any_interleaving_of_partitions_and_batches_gives_the_ticks_of_a_sort(streams: list[list[int]], seed: int) -> None:
    closed = play(streams, random.Random(seed), Gate(PARTITIONS))
    items = sorted(
        (item(p, n, known) for p, times in enumerate(streams) for n, known in enumerate(times)), key=lambda c: (c.known_ms, c.document_id)
    )

    assert [c for tick in closed for c in tick.contributions] == items
    assert [tick.tick for tick in closed] == sorted({tick_of(c.known_ms) for c in items})
    assert all(tick_of(c.known_ms) == tick.tick for tick in closed for c in tick.contributions)


@given(streams, st.integers(), st.integers(0, 6))
def test_replays_of_folded_ticks_are_passed_over(streams: list[list[int]], seed: int, folded: int) -> None:
    closed = play(streams, random.Random(seed), Gate(PARTITIONS))
    again = play(streams, random.Random(seed + 1), Gate(PARTITIONS, closed_tick=folded))

    assert again == [tick for tick in closed if tick.tick > folded]


def test_a_tick_stays_open_until_the_last_partition_has_reached_its_end() -> None:
    gate = Gate(2)
    gate.offer(0, contributions=[item(0, 0, 5)])
    gate.advance(0, 20 * TICK_MS)
    assert list(gate.close()) == []
    assert gate.held_back_by() == 1
    gate.advance(1, TICK_MS - 1)
    assert list(gate.close()) == []
    gate.advance(1, TICK_MS)

    assert [tick.tick for tick in gate.close()] == [0]
    assert gate.records_held == 0


def test_time_that_a_partition_says_twice_or_backwards_changes_nothing() -> None:
    gate = Gate(1)
    gate.advance(0, 500)
    gate.advance(0, 400)

    assert gate.time_ms == 500


def test_an_item_before_its_partitions_own_time_is_a_broken_log() -> None:
    gate = Gate(2)
    gate.advance(0, 2 * TICK_MS)

    with pytest.raises(ContinuityError, match=rf"raw partition 0: an item known at {TICK_MS} came after .* {2 * TICK_MS}; .*restart"):
        gate.offer(0, contributions=[item(0, 0, TICK_MS)])
    gate.offer(1, contributions=[item(1, 0, TICK_MS)])  # the other partition is not as far


def test_items_at_the_very_moment_that_was_passed_are_in_order() -> None:
    gate = Gate(1)
    gate.advance(0, 100)
    gate.offer(0, contributions=[item(0, 0, 100)], arrivals=[b.an_arrival(known_ms=100)])
    gate.advance(0, TICK_MS)

    (tick,) = gate.close()
    assert (len(tick.contributions), len(tick.arrivals), tick.end_ms) == (1, 1, TICK_MS)


def test_arrivals_come_out_sorted_whatever_order_they_came_in() -> None:
    gate = Gate(1)
    arrivals = [b.an_arrival(source=name, language=code, known_ms=9) for name in "ba" for code in ("zh", "en")]
    gate.offer(0, arrivals=arrivals)
    gate.advance(0, TICK_MS)

    (tick,) = gate.close()
    assert [(a.source, a.language) for a in tick.arrivals] == [("a", "en"), ("a", "zh"), ("b", "en"), ("b", "zh")]
