"""Windows: what one closed tick adds to the panes of one series."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from groundswell.codec import canonical
from groundswell.names import PANE_MS
from groundswell.records import Contribution
from groundswell.windows import Members, absorb
from stream.operators.windows import increments_of
from tests import builders as b


def contributions(seed: int, number: int) -> list[tuple[Contribution, str]]:
    chance = random.Random(seed)
    return [
        (
            b.a_contribution(
                document_id=f"d{n}",
                published_ms=b.T0_MS + chance.randrange(3) * PANE_MS + chance.randrange(PANE_MS),
                daily=chance.random() < 0.2,
                fresh=chance.random() < 0.7,
                owner=chance.choice("opq"),
                sentiment=chance.choice(("negative", "neutral", "positive")),
                negative_ppm=chance.randrange(1_000_000),
            ),
            chance.choice("stu"),
        )
        for n in range(number)
    ]


def test_there_is_one_row_for_each_pane_and_precision_in_order() -> None:
    placed = [
        (b.a_contribution(document_id="late", published_ms=b.T0_MS + PANE_MS), "s"),
        (b.a_contribution(document_id="day", daily=True), "s"),
        (b.a_contribution(document_id="early"), "s"),
    ]
    rows = increments_of(7, placed)

    assert [(row.pane - b.T0_MS // PANE_MS, row.daily) for row in rows] == [(0, False), (0, True), (1, False)]
    assert {row.tick for row in rows} == {7}


def test_counts_stand_in_their_places() -> None:
    placed = [
        (b.a_contribution(document_id="a", negative_ppm=900_000), "s"),
        (b.a_contribution(document_id="b", sentiment="neutral", negative_ppm=2, fresh=False), "s"),
        (b.a_contribution(document_id="c", sentiment="positive", negative_ppm=1), "s"),
        (b.a_contribution(document_id="d", fresh=False, negative_ppm=800_000), "s"),
    ]
    (row,) = increments_of(0, placed)

    assert row.members == {"s": {"Harbour Wire": [4, 2, 1, 1, 1_700_003, 2, 1]}}
    assert row.negatives == [["a", "s", "Harbour Wire", 1, 900_000]]


@given(st.integers(), st.integers(0, 25), st.lists(st.integers(0, 25), max_size=4))
def test_rows_of_any_split_into_ticks_absorb_to_what_one_tick_would_have_held(seed: int, number: int, cuts: list[int]) -> None:
    placed = contributions(seed, number)
    borders = sorted({0, number, *(cut for cut in cuts if cut <= number)})
    total: Members = {}
    for tick, (start, end) in enumerate(pairwise(borders)):
        for row in increments_of(tick, placed[start:end]):
            absorb(total, row.members)
    at_once: Members = {}
    for row in increments_of(0, placed):
        absorb(at_once, row.members)

    assert canonical(total) == canonical(at_once)
    assert sum(counts[0] for owners in total.values() for counts in owners.values()) == number
