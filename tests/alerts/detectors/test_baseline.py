"""Baseline: what is normal for a series at this hour of the week, in integers over eight weeks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors.baseline import PRIOR_WEEKS, Baseline, BaselineRow, clip

FULL = 1_000_000
WEEK = 168


def a_row(index: int, negative: int = 1, stories: int = 3) -> BaselineRow:
    return BaselineRow("entity:aldora", 3_600, index, negative, stories)


def hours(horizon: int = 8 * WEEK) -> Baseline:
    return Baseline(slots=WEEK, horizon=horizon)


def test_a_slot_that_is_always_busy_is_expected_to_be() -> None:
    baseline = hours()
    for week in range(8):
        baseline.add(a_row(week * WEEK + 10, negative=6))

    busy = baseline.rate(10, seen_ppm=8 * FULL, seen_all_ppm=8 * WEEK * FULL)
    quiet = baseline.rate(11, seen_ppm=8 * FULL, seen_all_ppm=8 * WEEK * FULL)
    assert 3.5 < busy < 6
    assert quiet < 0.05


def test_time_that_nobody_saw_does_not_make_a_series_calm() -> None:
    baseline = hours()
    for week in range(4):
        baseline.add(a_row(week * WEEK, negative=6))

    all_seen = baseline.rate(0, seen_ppm=8 * FULL, seen_all_ppm=8 * WEEK * FULL)
    half_seen = baseline.rate(0, seen_ppm=4 * FULL, seen_all_ppm=4 * WEEK * FULL)
    assert half_seen > 1.4 * all_seen


def test_an_hour_that_was_never_seen_is_expected_to_be_like_the_others() -> None:
    baseline = hours()
    for index in range(WEEK):
        baseline.add(a_row(index, negative=2))

    assert baseline.rate(5, seen_ppm=0, seen_all_ppm=WEEK * FULL) == pytest.approx(2.0, rel=0.3)


def test_a_new_series_has_a_small_rate_and_the_prior_share() -> None:
    assert 0 < hours().rate(0, seen_ppm=0, seen_all_ppm=0) <= 0.5
    assert hours().share_ppm() == 300_000
    assert PRIOR_WEEKS == 4


def test_the_share_becomes_the_series_own() -> None:
    baseline = hours()
    for index in range(300):
        baseline.add(a_row(index, negative=1, stories=10))

    assert 100_000 <= baseline.share_ppm() <= 102_000


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 80))
def test_what_has_left_the_horizon_counts_for_nothing(negatives: list[int], now: int) -> None:
    rows = [a_row(index, negative=n, stories=n) for index, n in enumerate(negatives)]
    forgetting, fresh = hours(horizon=20), hours(horizon=20)
    for row in rows:
        forgetting.add(row)
    forgetting.forget_before(now)
    for row in rows:
        if row.index >= now - 20:
            fresh.add(row)

    assert forgetting == fresh


@pytest.mark.parametrize(("count", "expected", "clipped"), [(3, 0.2, 3), (50, 0.2, 3), (50, 4.0, 16), (0, 4.0, 0)])
def test_one_surge_does_not_teach_the_baseline_that_surges_are_normal(count: int, expected: float, clipped: int) -> None:
    assert clip(count, expected=expected) == clipped
