"""The plain rules that rehearsed ones are set against."""

from collections.abc import Iterable

import pytest

from alerts.plain import TWELVE, WEEK_HOURS, PlainRules, Z
from groundswell.names import DAY_TICKS, HOUR_TICKS
from groundswell.records import Increment

SERIES = "entity:aldora"
BEGIN = 1_000 * WEEK_HOURS * HOUR_TICKS


def an_increment(tick: int, stories: Iterable[str], *, series: str = SERIES, daily: bool = False) -> Increment:
    negatives: list[list[str | int]] = [[f"d-{story}", story, "o", 1, 900_000] for story in stories]
    return Increment(series=series, tick=tick, pane=tick // 20, daily=daily, members={}, negatives=negatives)


def rules(*, since: int = BEGIN) -> PlainRules:
    return PlainRules(first_tick=BEGIN, since_tick=since)


def tell(found: PlainRules, hour: int, stories: int, *, series: str = SERIES) -> None:
    """So many new stories, one a minute, from the begin of an hour on."""
    for number in range(stories):
        tick = BEGIN + hour * HOUR_TICKS + 4 * number
        found.step(tick, [an_increment(tick, [f"{series}-{hour}-{number}"], series=series)])


def test_the_last_hour_is_compared_with_the_mean_hour_of_the_twelve_before() -> None:
    found = rules()
    for hour in range(12):
        tell(found, hour, 2)
    tell(found, 12, 8)

    assert found.threshold(TWELVE, pings=1) == pytest.approx((8 + 1) / (2 + 1), rel=0.1)


def test_z_is_of_the_same_hour_of_the_week_and_a_calm_hour_has_a_deviation_of_one() -> None:
    found = rules()
    for week in range(8):
        tell(found, week * WEEK_HOURS + 10, 4)
    tell(found, 8 * WEEK_HOURS + 10, 9)
    tell(found, 8 * WEEK_HOURS + 11, 1, series="entity:brennick")

    (best, *_) = found.spoken(Z, pings=1)
    assert (best.series, best.score) == (SERIES, 5.0)


def test_less_than_two_weeks_are_no_hour_of_the_week() -> None:
    found = rules()
    tell(found, 1, 30)
    tell(found, WEEK_HOURS + 1, 30)

    assert found.spoken(Z, pings=5) == []
    assert found.threshold(Z, pings=5) is None


def test_a_story_counts_once_a_day_however_often_it_is_told() -> None:
    found = rules()
    for minute in range(30):
        tick = BEGIN + 4 * minute
        found.step(tick, [an_increment(tick, ["the same"])])

    assert found.threshold(TWELVE, pings=1) == 2.0


def test_flags_and_documents_without_a_time_of_day_do_not_count() -> None:
    found = rules()
    found.step(BEGIN, [an_increment(BEGIN, ["a"], series="flag:litigation:aldora"), an_increment(BEGIN, ["b"], daily=True)])

    assert found.spoken(TWELVE, pings=5) == []


def test_it_speaks_as_often_as_asked_once_a_day_of_one_series_where_its_threshold_is_first_crossed() -> None:
    found = rules()
    for day, stories in enumerate((3, 9, 6)):
        tell(found, 24 * day + 5, stories)

    said = found.spoken(TWELVE, pings=2)
    assert [one.tick // DAY_TICKS - BEGIN // DAY_TICKS for one in said] == [1, 2]
    assert found.threshold(TWELVE, pings=2) == 7.0
    assert [one.tick - BEGIN for one in said] == [29 * HOUR_TICKS + 4 * 5, 53 * HOUR_TICKS + 4 * 5], "the sixth story of each"
    assert found.pings_at(TWELVE, 7.0) == 2


def test_what_lies_before_its_time_is_learnt_from_and_not_told() -> None:
    found = rules(since=BEGIN + 13 * HOUR_TICKS)
    tell(found, 2, 40)
    tell(found, 13, 3)

    assert found.threshold(TWELVE, pings=1) == pytest.approx((3 + 1) / (40 / 12 + 1), rel=0.01)
