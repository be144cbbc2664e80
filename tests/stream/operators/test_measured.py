"""Exposure of one model: only hours that it has read count, as seen and as forming time."""

from groundswell.names import DAY_MS, HOUR_MS
from stream.operators.exposure import HORIZON_HOURS, Exposure, HourExposure
from stream.operators.measured import Measured

FULL = 1_000_000
FIRST = 24 * 20_000  # midnight
DAYS = 20
NOW = FIRST + 24 * DAYS


def sky(hours: int = 24 * DAYS) -> Exposure:
    """A run of twenty days in which every source was seeing."""
    exposure = Exposure(hour=FIRST + hours, first_hour=FIRST)
    for hour in range(FIRST, FIRST + hours):
        for language in ("", "en"):
            exposure.restore_exposure(HourExposure(hour, language, FULL))
    return exposure


def at_ms(day: float) -> int:
    return FIRST * HOUR_MS + round(day * DAY_MS)


def test_a_model_that_has_read_everything_sees_what_exposure_says() -> None:
    exposure, measured = sky(), Measured(sky())
    assert measured.first_hour == exposure.first_hour
    for slot, daily in ((3, False), (167, False), (2, True)):
        assert measured.seen(slot, "en", daily=daily) == exposure.seen(slot, "en", daily=daily)
    assert (measured.of_hour(NOW - 1, "en"), measured.now(NOW * 240, "en")) == (FULL, FULL)


def test_a_promoted_model_has_seen_only_its_own_hours_and_whole_days() -> None:
    measured = Measured(sky(), ((at_ms(15.5), 2**62),))
    hours, days = measured.seen(FIRST % 168, "en")[1], measured.seen(0, "en", daily=True)[1]
    assert (hours, days) == (108 * FULL, 4 * FULL)
    assert measured.first_hour == NOW - 108
    assert measured.since_tick == at_ms(15.5) // 15_000


def test_what_it_read_before_counts_too_though_it_lies_apart() -> None:
    measured = Measured(sky(), ((at_ms(2), at_ms(9)), (at_ms(19), 2**62)))
    assert measured.first_hour == NOW - 8 * 24
    slot = (FIRST + 2 * 24) % 168
    assert measured.seen(slot, "en") == (FULL, 8 * 24 * FULL), "that hour of the week lies in the first span once"


def test_what_it_read_longer_ago_than_the_horizon_is_no_forming_time() -> None:
    measured = Measured(sky(HORIZON_HOURS + 24 * 30), ((at_ms(0), at_ms(20)), (at_ms(80), 2**62)))
    assert measured.first_hour == FIRST + HORIZON_HOURS + 24 * 30 - 6 * 24


def test_the_sums_are_made_anew_when_an_hour_closes() -> None:
    exposure = sky()
    measured = Measured(exposure, ((at_ms(15), 2**62),))
    before = measured.seen(0, "en")[1]
    exposure.restore_exposure(HourExposure(NOW, "en", FULL))
    exposure.hour = NOW + 1
    assert (measured.seen(0, "en")[1], measured.first_hour) == (before + FULL, FIRST + 15 * 24)
