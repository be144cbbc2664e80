"""Late: what would have been a surge on the day of its publication is told once, with how late it is; the usual past is not."""

import random

import pytest

from groundswell.records import Candidate
from tests import builders as b
from tests.series_watch import Series, Sky

NOON = b.T0_TICK + 12 * b.TICKS_H
HOUR_S = 3_600


def weeks(*, days: int = 28, late: int = 0, sky: Sky | None = None) -> Series:
    """Days with one negative story and four others, and so many negative stories that are always late."""
    series = Series(sky=sky or Sky())
    for day in range(days):
        tick = NOON + (day - days) * b.TICKS_D
        series.hear(tick, [series.document(tick, negative=n == 0) for n in range(5)])
        for n in range(late):
            series.hear(tick + 1 + n, [series.document(tick + 1 + n, late_s=9 * HOUR_S)])
    return series


def flood(series: Series, *, negative: int, other: int = 0, late_s: int = 8 * HOUR_S, tick: int = NOON) -> list[Candidate]:
    """Stories of one time that are known so much later, one a minute, the negative ones spread among the others."""
    found: list[Candidate] = []
    for n in range(negative + other):
        is_negative = n * negative // (negative + other) < (n + 1) * negative // (negative + other)
        found += series.hear(tick + 4 * n, [series.document(tick + 4 * n, negative=is_negative, late_s=late_s)])
    return found


def test_what_would_have_been_a_surge_is_found_with_how_late_it_is() -> None:
    (found,) = flood(weeks(), negative=20)

    assert (found.kind, found.window_s, found.level) == ("late", 86_400, "open")
    assert found.statistic == found.limit <= 12
    assert abs(found.late_s - 8 * HOUR_S) <= 300  # the place of a document is known to five minutes
    assert found.evidence[0][0] == f"d{140 + found.statistic:06}"  # the most negative first


def test_it_is_told_once_a_day() -> None:
    series = weeks()
    flood(series, negative=60)

    assert len(series.of_kind("late")) == 1


def test_it_can_lead_to_no_surge() -> None:
    series = weeks()
    flood(series, negative=60)

    assert series.of_kind("surge") == []


def test_a_source_that_brings_its_past_with_the_usual_share_is_no_news() -> None:
    assert flood(weeks(), negative=12, other=48) == []


def test_what_always_comes_late_is_no_news() -> None:
    assert flood(weeks(late=12), negative=12) == []


def test_a_few_stories_are_no_news() -> None:
    assert flood(weeks(), negative=5) == []


def test_what_is_older_than_the_horizon_is_no_news() -> None:
    assert flood(weeks(), negative=40, late_s=80 * HOUR_S) == []


def test_stories_of_different_days_are_not_counted_together() -> None:
    series = weeks()
    found: list[Candidate] = []
    for n in range(12):
        found += series.hear(NOON + n, [series.document(NOON + n, late_s=(8 + 20 * (n % 3)) * HOUR_S)])

    assert found == []


def test_a_late_copy_of_a_story_that_was_told_in_time_is_no_news() -> None:
    series = weeks()
    stories = [f"known{n}" for n in range(20)]
    for n, story in enumerate(stories):
        tick = NOON - b.TICKS_D // 4 + 200 * n
        series.hear(tick, [(series.document(tick, story=story, negative=False), story)])
    for n, story in enumerate(stories):
        tick = NOON + b.TICKS_D // 2 + n
        assert series.hear(tick, [(series.document(tick, story=story, late_s=9 * HOUR_S), story)]) == []


def test_one_owner_alone_is_not_believed() -> None:
    series = weeks()
    for n in range(20):
        assert series.hear(NOON + n, [series.document(NOON + n, late_s=8 * HOUR_S, owner="Quill")]) == []


def test_before_its_baseline_has_formed_nothing_is_found() -> None:
    assert flood(weeks(days=9, sky=Sky(days=10)), negative=40) == []


@pytest.mark.parametrize("seed", range(3))
def test_years_of_stories_of_which_every_third_is_late_stay_silent(seed: int) -> None:
    chance, series = random.Random(seed), Series()
    for day in range(200):
        tick = NOON + day * b.TICKS_D
        for n in range(chance.randrange(0, 25)):
            late_s = chance.choice((60, 60, chance.randrange(7, 40) * HOUR_S))
            series.hear(tick + 3 * n, [series.document(tick + 3 * n, negative=chance.random() < 0.3, late_s=late_s)])

    assert series.of_kind("late") == []


def test_a_restart_at_any_moment_changes_nothing() -> None:
    chance, straight, broken = random.Random(7), weeks(), weeks()
    for n in range(300):
        tick = NOON + 40 * n
        late_s, negative = chance.choice((60, 8 * HOUR_S, 30 * HOUR_S)), chance.random() < 0.7
        if chance.random() < 0.1:
            broken = broken.restored()
        for series in (straight, broken):
            series.hear(tick, [series.document(tick, negative=negative, late_s=late_s)])

    assert straight.of_kind("late")
    assert broken.found == straight.found
    assert broken.baseline == straight.baseline
