"""Lead: a raw partition that is too far ahead of what is folded waits; the one that fold waits for never does."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from groundswell.names import TICK_MS
from stream.operators.lead import Lead


def a_lead(records_max: int = 10, bytes_max: int = 1_000) -> Lead:
    return Lead(records_max=records_max, bytes_max=bytes_max)


def test_a_partition_waits_when_it_is_ahead_by_too_many_records_or_too_many_bytes() -> None:
    for records, size_bytes, goes_on in ((9, 999, True), (10, 0, False), (0, 1_000, False)):
        lead = a_lead()
        lead.send(TICK_MS, records=records, size_bytes=size_bytes)
        assert lead.may_go_on(TICK_MS) is goes_on


def test_what_is_folded_is_not_ahead_any_more_and_the_open_tick_still_is() -> None:
    lead = a_lead()
    for tick in (1, 1, 2, 3):
        lead.send(tick * TICK_MS, records=4, size_bytes=10)
    lead.fold(2 * TICK_MS + 7)

    assert (lead.records, lead.size_bytes) == (8, 20)
    lead.fold(TICK_MS)
    assert (lead.records, lead.size_bytes) == (8, 20), "what is folded stays folded"


def test_the_partition_that_fold_waits_for_goes_on_however_much_its_tick_holds() -> None:
    lead = a_lead()
    lead.fold(5 * TICK_MS)
    lead.send(5 * TICK_MS + 3, records=500, size_bytes=9_999)

    assert lead.may_go_on(5 * TICK_MS + 3)
    assert not lead.may_go_on(6 * TICK_MS)


@given(st.lists(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6)), min_size=1, max_size=12), min_size=2, max_size=4), st.randoms())
def test_whatever_is_sent_nothing_locks_up_and_nobody_is_ahead_by_more_than_the_bound_and_one_batch(
    plans: list[list[tuple[int, int]]], chance: Random
) -> None:
    """Each partition has batches of so many ticks more and so many records; fold follows the least time."""
    leads, times = [a_lead(records_max=5, bytes_max=10**9) for _ in plans], [0] * len(plans)
    waiting = [list(plan) for plan in plans]
    while any(waiting):
        folded_ms = min(time for time, plan in zip(times, waiting, strict=True) if plan)  # one that has ended says it
        for lead in leads:
            lead.fold(folded_ms)
        able = [n for n, plan in enumerate(waiting) if plan and leads[n].may_go_on(times[n])]
        assert able, "somebody can always go on"
        n = chance.choice(able)
        had, was_waited_for = leads[n].records, times[n] // TICK_MS <= folded_ms // TICK_MS
        ticks, records = waiting[n].pop(0)
        times[n] += ticks * TICK_MS
        leads[n].send(times[n], records=records, size_bytes=1)
        assert had < 5 or was_waited_for
