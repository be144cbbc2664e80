import pytest

from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.silence import GAPS_MAX, HORIZON_TICKS, SILENT_MIN_TICKS, UNKNOWN_GAP_TICKS, Rhythm


def heard(*ticks: int) -> Rhythm:
    rhythm = Rhythm()
    for tick in ticks:
        rhythm.hear(tick)
    return rhythm


def test_a_source_is_missed_after_six_of_its_own_median_gaps() -> None:
    hourly = heard(*range(0, 2400, 240))
    assert hourly.patience == 6 * 240
    assert not hourly.is_blind(hourly.last_tick + 6 * 240 - 1)
    assert hourly.is_blind(hourly.last_tick + 6 * 240)


def test_nobody_is_missed_before_an_hour() -> None:
    assert heard(*range(100)).patience == SILENT_MIN_TICKS == HOUR_MS // TICK_MS


@pytest.mark.parametrize(("ticks", "gap"), [(range(6), 1), (range(5), UNKNOWN_GAP_TICKS), ([7], UNKNOWN_GAP_TICKS)])
def test_fewer_than_five_gaps_are_no_rhythm_and_count_as_a_day(ticks: range | list[int], gap: int) -> None:
    assert heard(*ticks).patience == max(SILENT_MIN_TICKS, 6 * gap)


def test_the_low_median_counts_so_that_one_long_night_does_not() -> None:
    assert heard(0, 100, 200, 300, 400, 5_000, 10_000).patience == 600


def test_many_documents_of_one_tick_are_one_sign_of_life() -> None:
    assert list(heard(1, 1, 1, 2).ticks) == [1, 2]


def test_only_the_last_two_hundred_gaps_and_eight_weeks_are_remembered() -> None:
    assert len(heard(*range(1_000)).ticks) == GAPS_MAX + 1
    assert list(heard(0, 10, HORIZON_TICKS + 10).ticks) == [10, HORIZON_TICKS + 10]
    assert HORIZON_TICKS * TICK_MS == 56 * DAY_MS
