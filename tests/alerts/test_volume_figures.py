"""What the figures of the volume detectors rest on: the judge of planted surges, and NAB's series where they are at hand."""

import numpy as np
import pytest

from bench.detect import nab
from bench.planted import AFTER, GRACE, WARM_UP, WEEK, Surge, World, judge, threshold_for

STEPS = WARM_UP + WEEK
SURGES = [Surge(0, WARM_UP + 100, 12, 2), Surge(1, WARM_UP + 500, 6, 5)]
BLANK = np.zeros((STEPS, 2))
WORLD = World(BLANK.astype(np.int64), BLANK, SURGES)


def crossing(*places: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A statistic that is 1 at (step after the warm-up, lane) and 0 elsewhere."""
    statistic = BLANK.copy()
    for step, lane in places:
        statistic[WARM_UP + step, lane] = 1.0
    return statistic


def test_a_surge_is_found_by_an_event_that_begins_in_it() -> None:
    found = judge(WORLD, crossing((101, 0), (102, 0), (500 + 6 + GRACE - 1, 1)), 0.5)

    assert (found.recall, found.false_a_week) == (1.0, 0.0)
    assert found.minutes[2] == 10
    assert found.minutes[5] == 45
    assert np.isnan(found.minutes[3])


def test_who_alarms_already_has_not_found_it() -> None:
    found = judge(WORLD, crossing((90, 0), (101, 0)), 0.5)

    assert found.by_factor[2] == 0.0
    assert found.false_a_week == 0.5  # the event before it, in two series-weeks


def test_what_begins_within_two_hours_after_a_surge_is_not_false() -> None:
    assert judge(WORLD, crossing((112 + AFTER - 1, 0)), 0.5).false_a_week == 0.0
    assert judge(WORLD, crossing((112 + AFTER, 0)), 0.5).false_a_week == 0.5


def test_the_threshold_of_a_rule_is_the_least_that_keeps_to_its_false_alerts() -> None:
    statistic = np.random.default_rng(1).exponential(1.0, BLANK.shape)
    threshold = threshold_for(WORLD, statistic)

    assert judge(WORLD, statistic, threshold).false_a_week <= 1.0
    assert judge(WORLD, statistic, 0.95 * threshold).false_a_week > 1.0


def test_nabs_tweets_reach_the_figures_of_the_page() -> None:
    rows = nab()
    if not rows:
        pytest.skip("NAB's series are not part of the project")

    assert {row.what: row.ratio for row in rows if row.ratio < 1} == {}
