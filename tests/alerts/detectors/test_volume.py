"""Volume: what a burst is, what a surge is, and when either is an alert."""

import tracemalloc
from collections.abc import Iterable
from typing import cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from alerts.detectors.burst import Burst
from alerts.detectors.regime import RegimeFilter
from alerts.detectors.season import Season
from alerts.detectors.volume import Judged, VolumeDetector
from alerts.rules import BurstRules, RegimeRules, load_rules

STEP_S = 300
DAY, WEEK = 288, 2_016
PROFILES = load_rules().volume
NAB, DESK = cast(BurstRules, PROFILES["nab"]), cast(RegimeRules, PROFILES["desk"])
Counts = NDArray[np.int64]


def usual(days: int, *, rate: float = 20.0, seed: int = 1) -> Counts:
    """Counts with a day and a weekend, and nothing else."""
    steps = np.arange(days * DAY)
    season = np.exp(0.6 * np.sin(2 * np.pi * steps / DAY)) * np.where(steps // DAY % 7 >= 5, 0.6, 1.0)
    return np.random.default_rng(seed).negative_binomial(1 / 0.15, 1 / (1 + 0.15 * rate * season)).astype(np.int64)


def judged(profile: BurstRules | RegimeRules, counts: Iterable[int], *, first: int = 0) -> list[Judged]:
    detector = VolumeDetector(profile, step_s=STEP_S)
    return [detector.step(first + number, int(count)) for number, count in enumerate(counts)]


def alerts(found: list[Judged]) -> list[int]:
    return [number for number, each in enumerate(found) if each.alert]


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_score_depends_on_nothing_that_comes_later(name: str) -> None:
    counts = usual(4)
    counts[700:720] *= 4
    whole = judged(PROFILES[name], counts)

    for cut in (1, 2, 287, 288, 705, 1_000):
        assert judged(PROFILES[name], counts[:cut]) == whole[:cut]


def test_a_steep_burst_is_one_alert_however_long_it_lasts() -> None:
    counts = usual(10)
    counts[8 * DAY : 8 * DAY + 60] *= 10

    found = [number for number in alerts(judged(NAB, counts)) if number >= 7 * DAY]

    assert [number for number in found if number >= 8 * DAY] == found
    assert len(found) == 1
    assert found[0] <= 8 * DAY + 3


def test_the_score_of_a_burst_at_rest_is_at_most_half_the_threshold() -> None:
    counts = usual(10)
    counts[8 * DAY : 8 * DAY + 60] *= 10
    found = judged(NAB, counts)
    (alert,) = [number for number in alerts(found) if number >= 8 * DAY]

    assert found[alert].score_milli >= 1_000 * NAB.threshold
    assert max(each.score_milli for each in found[alert + 1 : alert + DAY]) <= 500 * NAB.threshold


def test_a_burst_is_judged_by_the_series_own_high_days() -> None:
    calm, bursty = usual(12), usual(12)
    for day in range(1, 11):
        bursty[day * DAY + 100 : day * DAY + 106] *= 5
    for counts in (calm, bursty):
        counts[11 * DAY + 50 : 11 * DAY + 56] *= 4
    at = slice(11 * DAY + 50, 11 * DAY + 60)

    assert max(judged(NAB, calm)[at]).score_milli > 2 * max(judged(NAB, bursty)[at]).score_milli


@pytest.mark.parametrize(("factor", "minutes"), [(2, 60), (3, 30), (5, 20)])
def test_a_rate_that_is_multiplied_is_found_in_time(factor: int, minutes: int) -> None:
    counts, begin = usual(35), 30 * DAY + 150
    busy = np.random.default_rng(3).negative_binomial(1 / 0.15, 1 / (1 + 0.15 * 20 * factor), 36)
    counts[begin : begin + 36] = busy

    found = [number for number in alerts(judged(DESK, counts)) if number >= begin]

    assert found
    assert (found[0] - begin + 1) * STEP_S <= 60 * minutes


def test_a_spike_of_one_step_is_no_surge() -> None:
    counts = usual(35)
    spike = 30 * DAY + 150
    counts[spike] = 50

    assert not any(spike <= number < spike + 12 for number in alerts(judged(DESK, counts)))


def test_nothing_is_an_alert_while_the_season_is_forming() -> None:
    counts = usual(14)
    counts[10 * DAY : 10 * DAY + 36] *= 5
    found = judged(DESK, counts)

    assert max(each.score_milli for each in found[10 * DAY : 10 * DAY + 36]) > 1_000 * DESK.threshold
    assert alerts(found) == []


def test_a_surge_is_a_new_alert_only_after_two_quiet_hours() -> None:
    counts = usual(35)
    begin = 30 * DAY + 100
    for start in (0, 40, 200):
        counts[begin + start : begin + start + 24] *= 6
    found = judged(DESK, counts)
    crossed = [number for number, each in enumerate(found) if each.score_milli >= 1_000 * DESK.threshold]

    for number in alerts(found):
        assert not any(number - 24 < other < number for other in crossed)
    assert sum(begin <= number < begin + 224 for number in alerts(found)) == 2


def test_a_weekday_that_is_always_loud_is_no_surge_in_its_sixth_week() -> None:
    """The hour of the week is learnt, though each of its weeks looked like a surge."""
    counts = usual(8 * 7, rate=20.0)
    for week in range(8):
        counts[week * WEEK + 2 * DAY + 150 : week * WEEK + 2 * DAY + 174] *= 3
    found = judged(DESK, counts)

    def highest(week: int) -> int:
        return max(each.score_milli for each in found[week * WEEK + 2 * DAY + 150 : week * WEEK + 2 * DAY + 174])

    assert highest(7) < highest(2)


def test_a_lasting_new_rate_becomes_the_usual_one() -> None:
    counts = usual(56)
    counts[28 * DAY :] *= 3
    found = judged(DESK, counts)

    def loud(steps: slice) -> float:
        return float(np.mean([each.score_milli >= 1_000 * DESK.threshold for each in found[steps]]))

    assert any(28 * DAY <= number < 28 * DAY + 12 for number in alerts(found))
    assert loud(slice(28 * DAY, 29 * DAY)) > 0.5
    assert loud(slice(49 * DAY, 56 * DAY)) < 0.01


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_gap_is_not_a_silence(name: str) -> None:
    counts = usual(28)
    detector, deaf = VolumeDetector(PROFILES[name], step_s=STEP_S), VolumeDetector(PROFILES[name], step_s=STEP_S)
    hole = range(16 * DAY, 21 * DAY)
    after, after_zeros = [], []
    for number, count in enumerate(counts):
        if number not in hole:
            after.append(detector.step(number, int(count)))
        after_zeros.append(deaf.step(number, 0 if number in hole else int(count)))

    back = slice(16 * DAY, 16 * DAY + 12)  # its places without the hole
    assert max(each.score_milli for each in after[back]) < 1_000 * PROFILES[name].threshold
    assert max(each.score_milli for each in after[back]) < max(each.score_milli for each in after_zeros[21 * DAY : 21 * DAY + 12])


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize("step_s", [60, 300, 3_600, 86_400])
def test_any_length_of_step_and_any_count_gives_a_number(name: str, step_s: int) -> None:
    detector = VolumeDetector(PROFILES[name], step_s=step_s)
    counts = [0, 0, 10**15, 0, *[0] * 50, 7, 10**9, *range(300)]

    scores = [detector.step(number, count).score_milli for number, count in enumerate(counts)]
    scores.append(detector.step(10**9, 5).score_milli)

    assert all(isinstance(score, int) for score in scores)


def test_a_lane_does_not_know_of_its_neighbours() -> None:
    counts = np.stack([usual(3, rate=rate, seed=seed) for seed, rate in enumerate((1.0, 5.0, 30.0))], axis=1)
    together = RegimeFilter(3, DESK, step_s=STEP_S)
    alone = [RegimeFilter(1, DESK, step_s=STEP_S) for _ in range(3)]

    for number, row in enumerate(counts):
        odds = together.step(number * STEP_S, row)
        singly = [each.step(number * STEP_S, row[lane : lane + 1])[0] for lane, each in enumerate(alone)]
        np.testing.assert_allclose(odds, singly, atol=1e-6)


def test_the_filter_learns_how_much_a_stream_wanders() -> None:
    rng, keep = np.random.default_rng(5), 2 ** (-1 / 12)
    wander = np.zeros(14 * DAY)
    for number in range(1, len(wander)):
        wander[number] = keep * wander[number - 1] + rng.normal(0, 0.3 * np.sqrt(1 - keep**2))
    calm = rng.negative_binomial(1 / 0.15, 1 / (1 + 0.15 * 20), len(wander))
    rough = rng.negative_binomial(1 / 0.15, 1 / (1 + 0.15 * 20 * np.exp(wander)))
    regime = RegimeFilter(2, DESK, step_s=STEP_S)

    for number, row in enumerate(np.stack([calm, rough], axis=1)):
        regime.step(number * STEP_S, row)

    noises = np.tile(DESK.noises, len(DESK.dispersions))
    least, most = (float(noises[lane.argmax()]) for lane in regime.evidence)
    assert (least, most) == (0.05, 0.3)


def test_the_season_finds_hour_and_weekend() -> None:
    season, truth = Season(1, DESK, step_s=STEP_S), np.arange(6 * WEEK)
    rate = 20 * np.exp(0.6 * np.sin(2 * np.pi * truth / DAY)) * np.where(truth // DAY % 7 >= 5, 0.6, 1.0)
    off, flat = [], []
    for number, mean in enumerate(rate):
        expected = season.expect(number * STEP_S)
        season.learn(np.array([mean]))
        if number >= 4 * WEEK:
            off.append(abs(np.log(expected[0] / mean)))
            flat.append(abs(np.log(rate.mean() / mean)))

    assert np.median(off) < 0.05 < 0.2 < np.median(flat)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_memory_does_not_grow_with_the_series(name: str) -> None:
    counts, detector = usual(21), VolumeDetector(PROFILES[name], step_s=STEP_S)
    tracemalloc.start()
    try:
        sizes = []
        for number, count in enumerate(counts):
            detector.step(number, int(count))
            if number % WEEK == WEEK - 1:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert sizes[-1] < sizes[0] + 10_000


def test_a_burst_forgets_days_beyond_a_year() -> None:
    burst = Burst(NAB, step_s=86_400)
    for count in [10_000] * 10 + [10] * 400:
        burst.step(count)

    assert burst.step(100) > 3


def test_profiles_are_part_of_what_the_rules_hash_covers() -> None:
    rules = load_rules()
    louder = msgspec.structs.replace(NAB, threshold=NAB.threshold + 0.01)

    assert msgspec.structs.replace(rules, volume={**rules.volume, "nab": louder}).hash != rules.hash
