"""A source's own rhythm, and when its silence means that it is blind."""

import random

import pytest

from groundswell.names import DAY_TICKS, HOUR_TICKS
from groundswell.silence import FORMING_TICKS, HORIZON_TICKS, LEAST_PATIENCE_TICKS, WEEK_TICKS, YOUNG_TICKS, Rhythm
from tests.source_shapes import Trial, shapes, trial

MINUTE = HOUR_TICKS // 60
MONDAY = 4 * DAY_TICKS  # the epoch began on a Thursday


def heard(ticks: list[int], *, prior_ticks: int = 0) -> Rhythm:
    rhythm = Rhythm(prior_ticks)
    for tick in ticks:
        rhythm.hear(tick)
    return rhythm


def every(gap: int, *, days: int = 28) -> list[int]:
    return list(range(MONDAY, MONDAY + days * DAY_TICKS, gap))


def office(weeks: int, *, gap: int = 15 * MINUTE) -> list[int]:
    """From nine to six on working days."""
    hours = [tick for tick in every(gap, days=7 * weeks) if (tick // DAY_TICKS - 4) % 7 < 5]
    return [tick for tick in hours if 9 * HOUR_TICKS <= tick % DAY_TICKS < 18 * HOUR_TICKS]


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return [trial(shape) for shape in shapes()]


# --- ninety days of many shapes ----------------------------------------------------------------------------------------------
def test_a_living_source_is_called_blind_at_most_once_in_ninety_days(trials: list[Trial]) -> None:
    assert {one.shape.name: max(one.false) for one in trials if max(one.false) > 1} == {}


def test_a_dead_source_is_called_blind_within_three_times_its_99th_percentile_gap(trials: list[Trial]) -> None:
    deaths = sum(len(one.deaths) for one in trials)
    assert deaths > 400
    # The percentile of the hour of the week is itself counted, from a few hundred gaps: it is wrong by a fifth where gaps are rare.
    assert sum(one.within(around=False) for one in trials) >= 0.95 * deaths
    assert sum(one.within(around=True) for one in trials) >= 0.98 * deaths
    assert max(silence / near for one in trials for silence, _, near in one.deaths if one.shape.poll_minutes <= 30) <= 3.3


# --- one source --------------------------------------------------------------------------------------------------------------
def test_a_steady_source_is_blind_after_little_more_than_two_of_its_gaps_and_never_before_three_quarters_of_an_hour() -> None:
    hourly, quick = heard(every(HOUR_TICKS)), heard(every(5 * MINUTE))

    assert 2 * HOUR_TICKS <= hourly.patience <= 3 * HOUR_TICKS
    assert quick.patience == LEAST_PATIENCE_TICKS
    assert not quick.is_blind(quick.blind_from - 1)
    assert quick.is_blind(quick.blind_from)


def test_a_weekend_is_no_silence_and_a_dead_monday_morning_is_one() -> None:
    rhythm = heard(office(6))
    monday = MONDAY + 6 * WEEK_TICKS

    assert rhythm.judge(monday + 9 * HOUR_TICKS) == "live"
    assert rhythm.judge(monday + 12 * HOUR_TICKS) == "blind"


def test_a_source_is_late_before_it_is_blind() -> None:
    rhythm = heard(every(2 * HOUR_TICKS))

    assert [rhythm.judge(rhythm.last_tick + hours * HOUR_TICKS) for hours in (1, 2, 3, 6)] == ["live", "live", "late", "blind"]


def test_a_source_that_was_first_heard_less_than_a_week_ago_forms_and_is_never_blind() -> None:
    rhythm = heard(every(15 * MINUTE, days=5))
    last = rhythm.last_tick

    assert rhythm.judge(MONDAY + FORMING_TICKS - 1) == "forming"
    assert not rhythm.is_blind(MONDAY + FORMING_TICKS)
    assert not rhythm.is_blind(last + YOUNG_TICKS - 1)
    assert rhythm.is_blind(last + YOUNG_TICKS)


def test_in_its_second_week_a_source_is_given_twice_the_time() -> None:
    young, grown = heard(every(HOUR_TICKS, days=12)), heard(every(HOUR_TICKS, days=28))

    assert young.judge(young.last_tick + 1) == "live"
    assert young.patience == 2 * grown.patience


def test_what_the_catalogue_promises_stands_in_for_a_rhythm() -> None:
    weekly = heard([MONDAY, MONDAY + WEEK_TICKS], prior_ticks=3 * WEEK_TICKS)
    unknown = heard([MONDAY])

    assert weekly.patience == 3 * WEEK_TICKS * 21 // 10
    assert unknown.patience == HORIZON_TICKS


def test_a_monthly_source_is_missed_after_the_horizon_and_not_every_month() -> None:
    rhythm = heard([MONDAY, MONDAY + 30 * DAY_TICKS])

    assert rhythm.judge(MONDAY + 61 * DAY_TICKS) != "blind"
    assert rhythm.judge(MONDAY + (30 + 56) * DAY_TICKS) == "blind"


def test_one_outage_does_not_make_a_digest_patient() -> None:
    daily = every(DAY_TICKS, days=42)
    hole = [tick for tick in daily if not MONDAY + 20 * DAY_TICKS <= tick < MONDAY + 28 * DAY_TICKS]

    assert heard(daily).patience <= heard(hole).patience <= 3 * DAY_TICKS


def test_a_tick_that_comes_again_changes_nothing() -> None:
    ticks = every(HOUR_TICKS)
    twice = heard([tick for tick in ticks for _ in range(2)])

    assert (twice.patience, twice.expected) == (heard(ticks).patience, heard(ticks).expected)


@pytest.mark.parametrize("seed", range(8))
def test_a_restored_rhythm_goes_on_like_the_one_that_lived(seed: int) -> None:
    chance = random.Random(seed)
    ticks, tick = [], MONDAY
    while tick < MONDAY + 130 * DAY_TICKS:
        tick += round(chance.expovariate(1 / chance.choice([5, 200, 900, 20_000])))
        ticks.append(tick)
    cut = chance.randrange(len(ticks) // 2, len(ticks))
    lived, again = heard(ticks[:cut]), Rhythm()
    again.restore([one for one in ticks[:cut] if one > ticks[cut - 1] - 2 * HORIZON_TICKS])

    for one in [*ticks[cut:], ticks[-1] + 60 * DAY_TICKS]:
        assert (again.blind_from, again.expected, again.judge(one)) == (lived.blind_from, lived.expected, lived.judge(one))
        lived.hear(one)
        again.hear(one)


def test_a_source_that_comes_back_after_the_horizon_begins_anew() -> None:
    rhythm = heard(every(HOUR_TICKS))
    rhythm.hear(MONDAY + 100 * DAY_TICKS)

    assert rhythm.first_tick == MONDAY + 100 * DAY_TICKS
    assert rhythm.judge(MONDAY + 101 * DAY_TICKS) == "forming"
