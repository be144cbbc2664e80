"""Spans from tags of tokens."""

import numpy as np
import pytest

from models.spans import spans_of


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([], set()),
        ([0, 0], set()),
        ([1], {(0, 1)}),
        ([1, 2, 2], {(0, 3)}),
        ([0, 1, 1, 2, 0], {(1, 2), (2, 4)}),
        ([2, 2, 0], set()),
        ([1, 0, 2], {(0, 1)}),
    ],
)
def test_a_span_goes_from_a_begin_to_the_last_inside_after_it(tags: list[int], spans: set[tuple[int, int]]) -> None:
    assert spans_of(np.array(tags, np.int64)) == spans
