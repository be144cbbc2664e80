"""Baseline: what is normal for a series at this hour of the week, in integers over eight weeks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors.baseline import PRIOR_SHARE_DISPERSION, PRIOR_WEEKS, Baseline, BaselineRow, clip
from alerts.detectors.tails import beta_binomial_tail, binomial_tail

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


# --- the share's dispersion -------------------------------------------------------------------------------------------------
Day = tuple[int, int]  # negative stories, stories


def days_of(rng: np.random.Generator, dispersion: float, *, number: int, share: float = 0.3, stories: float = 40.0) -> list[Day]:
    """Days without a surge: their number of stories varies, and their share is drawn anew each day."""
    both = 1 / dispersion - 1 if dispersion else 0.0
    counts = rng.poisson(stories * rng.gamma(4.0, 0.25, number)).clip(1)
    shares = rng.beta(share * both, (1 - share) * both, number) if dispersion else np.full(number, share)
    return list(zip(rng.binomial(counts, shares).tolist(), counts.tolist(), strict=True))


def baseline_of(days: list[Day]) -> Baseline:
    baseline = Baseline(slots=7, horizon=56)
    for index, (negative, stories) in enumerate(days):
        baseline.add(BaselineRow("entity:aldora", 86_400, index, negative, stories))
    return baseline


def tail_of(day: Day, baseline: Baseline) -> float:
    share, dispersion = baseline.share_ppm() / 1e6, baseline.share_dispersion_ppm() / 1e6
    return beta_binomial_tail(day[0], trials=day[1], share=share, dispersion=dispersion)


@pytest.mark.parametrize("dispersion", [0.0, 0.02, 0.1])
def test_the_dispersion_of_shares_is_found_again(dispersion: float) -> None:
    rng = np.random.default_rng(3)
    found = [baseline_of(days_of(rng, dispersion, number=56)).share_dispersion_ppm() / 1e6 for _ in range(100)]

    assert np.mean(found) == pytest.approx(dispersion, rel=0.15, abs=0.004)


@pytest.mark.parametrize("dispersion", [0.0, 0.02, 0.1])
def test_p_values_of_the_share_are_honest_where_shares_are_overdispersed_and_nothing_surges(dispersion: float) -> None:
    """20,000 quiet days against the 56 days before each: so small a p-value is not more frequent than it says, by a fifth at most."""
    rng = np.random.default_rng(5)
    pairs = [(baseline_of(days_of(rng, dispersion, number=56)), days_of(rng, dispersion, number=50)) for _ in range(400)]
    found = np.array([tail_of(day, baseline) for baseline, days in pairs for day in days])
    plain = np.array([binomial_tail(day[0], trials=day[1], share=b.share_ppm() / 1e6) for b, days in pairs for day in days])

    for p in (0.1, 0.05, 0.01):
        assert np.mean(found <= p) <= 1.2 * p
    assert np.mean(found <= 0.001) <= 0.002
    if dispersion:
        assert np.mean(plain <= 0.001) > 0.008, "the binomial tail says it eight times too often, or more"


DRIFT: list[Day] = [
    (0, 3), (3, 29), (7, 31), (8, 28), (3, 10), (5, 14), (8, 25), (8, 32), (6, 32), (7, 31), (10, 41), (5, 12), (2, 10), (6, 29), (3, 27),
    (6, 30), (6, 28), (4, 30), (2, 14), (3, 16), (4, 37), (7, 29), (5, 27), (11, 37), (10, 35), (5, 15), (4, 18), (7, 27), (6, 25), (9, 31),
    (6, 29), (4, 22), (2, 13), (5, 9), (11, 31), (10, 36), (8, 31), (9, 30), (6, 21), (6, 17), (8, 17), (13, 29), (14, 28), (15, 34),
    (10, 24), (7, 24), (7, 13), (10, 18), (11, 32), (10, 26), (14, 32), (16, 32), (16, 39), (9, 21), (11, 17), (16, 45), (14, 35),
]  # fmt: skip
"""The demo's slow drift, Castellan Homes, by day, as the encoders read it; 33 of 49 stories on the day after spoke against it."""


def test_the_demos_drift_is_no_news_and_the_same_share_of_an_even_series_is() -> None:
    rng = np.random.default_rng(7)
    even, drifting = baseline_of(days_of(rng, 0.0, number=57)), baseline_of(DRIFT)

    assert tail_of((33, 49), drifting) > 1e-5
    assert binomial_tail(33, trials=49, share=drifting.share_ppm() / 1e6) < 1e-6
    assert tail_of((33, 49), even) < 1e-6


def test_a_series_without_a_past_has_the_prior_dispersion() -> None:
    assert Baseline(slots=7, horizon=56).share_dispersion_ppm() == round(PRIOR_SHARE_DISPERSION[0] * FULL)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=60), st.integers(0, 80))
def test_the_dispersion_forgets_as_the_baseline_does(days: list[Day], now: int) -> None:
    rows = [a_row(index, negative=min(n, m), stories=m) for index, (n, m) in enumerate(days)]
    forgetting, fresh = hours(horizon=20), hours(horizon=20)
    for row in rows:
        forgetting.add(row)
    forgetting.forget_before(now)
    for row in rows:
        if row.index >= now - 20:
            fresh.add(row)

    assert forgetting.share_dispersion_ppm() == fresh.share_dispersion_ppm()
