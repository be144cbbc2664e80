"""Windows: integer counts that merge, whatever the order, and are counted after the merge."""

import random
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from groundswell import windows
from groundswell.codec import canonical
from groundswell.windows import COUNTS, Members, absorb, view, wilson

counts = st.lists(st.integers(0, 10**6), min_size=len(COUNTS), max_size=len(COUNTS))
members = st.dictionaries(st.sampled_from("stu"), st.dictionaries(st.sampled_from("opq"), counts, max_size=3), max_size=3)


def merge(*rows: Members) -> Members:
    into: Members = {}
    for row in rows:
        absorb(into, row)
    return into


@given(members, members)
def test_merge_is_commutative_on_bytes(left: Members, right: Members) -> None:
    assert canonical(merge(left, right)) == canonical(merge(right, left))


@given(members, members, members)
def test_merge_is_associative_on_bytes(a: Members, b: Members, c: Members) -> None:
    assert canonical(merge(merge(a, b), c)) == canonical(merge(a, merge(b, c)))


@given(members)
def test_nothing_merged_in_changes_nothing(some: Members) -> None:
    assert merge(some, {}) == merge({}, some) == some


@given(members, members)
def test_what_was_absorbed_is_neither_changed_nor_shared(into: Members, taken: Members) -> None:
    before = deepcopy(taken)
    absorbed = absorb(into, taken)
    for owners in absorbed.values():
        for numbers in owners.values():
            numbers[0] += 1

    assert absorbed is into
    assert taken == before


def test_a_story_or_owner_in_two_rows_is_one_story_and_one_owner() -> None:
    one = {"s": {"o": [2, 1, 1, 0, 9, 2, 1]}}
    other = {"s": {"o": [1, 1, 0, 0, 9, 1, 1], "p": [1, 0, 0, 1, 1, 1, 0]}, "t": {"o": [1, 0, 1, 0, 0, 0, 0]}}
    seen = view(merge(one, other))

    assert (seen.documents, seen.stories, seen.owners) == (5, 2, 2)
    assert (seen.negative, seen.neutral, seen.positive) == (2, 2, 1)
    assert seen.negative_share == 0.4


def test_an_empty_window_has_zeros_and_no_share() -> None:
    seen = view({})

    assert (seen.documents, seen.stories, seen.owners, seen.negative_share, seen.low, seen.high) == (0, 0, 0, None, None, None)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_within_0_and_1(pair: tuple[int, int]) -> None:
    hits, trials = pair
    low, high = wilson(hits, trials)

    assert 0.0 <= low <= hits / trials + 1e-12
    assert hits / trials - 1e-12 <= high <= 1.0


def test_the_interval_covers_the_truth_about_nine_times_in_ten() -> None:
    chance = random.Random(3)
    for share in (0.1, 0.3, 0.5, 0.8):
        covered = 0
        for _ in range(2_000):
            low, high = wilson(sum(chance.random() < share for _ in range(40)), 40)
            covered += low <= share <= high
        assert 0.86 <= covered / 2_000 <= 0.95, share


def test_places_of_counts_are_what_their_names_say() -> None:
    assert [getattr(windows, name.upper()) for name in COUNTS] == list(range(len(COUNTS)))
