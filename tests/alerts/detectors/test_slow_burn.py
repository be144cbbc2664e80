"""Slow burn: a week that is worse than ninety days is found; weeks that only vary are not, and the p-value is honest about them."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.slow_burn import SlowBurnDetector
from alerts.detectors.surge import DAY_S, SurgeDetector
from alerts.rules import load_rules
from groundswell.names import DAY_MS, TICK_MS
from groundswell.records import Candidate
from tests import builders as b
from tests.series_watch import SERIES, Series, Sky

SHIPPED = load_rules()
DAY0 = b.T0_MS // DAY_MS


class Days:
    """A detector that is given closed days: so many negative stories of so many."""

    def __init__(self, sky: Sky | None = None, day: int = DAY0) -> None:
        self.sky, self.day = sky or Sky(), day
        self.detector = SlowBurnDetector(SurgeDetector(SERIES, SHIPPED.surge), SHIPPED.slow_burn)
        self.found: list[Candidate] = []

    def close(self, negative: int, stories: int) -> None:
        row = BaselineRow(SERIES, DAY_S, self.day, negative, stories)
        self.found += self.detector.close_day(self.day, row, tick=(self.day + 1) * b.TICKS_D, seeing=self.sky)
        self.day += 1

    def p(self, world: list[tuple[int, int]]) -> float:
        """The p-value of the last week of days that nobody has looked at before."""
        self.detector.days.extend(BaselineRow(SERIES, DAY_S, n, *counts) for n, counts in enumerate(world))
        return self.detector._p(len(world) - 1, sum(negative for negative, _ in world[-7:]))


def test_a_week_at_twice_the_usual_is_found_the_day_after_it_ended() -> None:
    days = Days()
    for number in range(90):
        days.close(9 + number % 3, 40)
    for _ in range(7):
        days.close(20, 40)
    (found,) = days.found

    assert (found.kind, found.window_s, found.level, found.tick % b.TICKS_D) == ("slow_burn", 7 * DAY_S, "open", 0)
    assert found.limit <= found.statistic
    assert found.known_until_ms == (found.tick + 1) * TICK_MS
    assert found.baseline_share_ppm == pytest.approx(250_000, abs=20_000)
    assert found.share_p_ppt == 10**12 // 13  # the highest of thirteen weeks


def test_a_burn_that_goes_on_is_no_news_for_four_weeks() -> None:
    days = Days()
    for number in range(90 + 40):
        days.close(10 if number < 90 else 25, 40)

    assert [c.tick // b.TICKS_D - DAY0 for c in days.found][1:] in ([], [days.found[0].tick // b.TICKS_D - DAY0 + 28])


def test_more_of_everything_is_no_slow_burn() -> None:
    days = Days()
    for number in range(97):
        days.close(10 if number < 90 else 30, 40 if number < 90 else 120)

    assert days.found == []


def test_one_bad_day_is_clipped_and_no_slow_burn() -> None:
    """What a closed day may add to a baseline is bounded, so that a surge does not come back as a slow burn."""
    series = Series()
    for day in range(100):
        tick = b.T0_TICK + day * b.TICKS_D
        number = 60 if day == 97 else 10
        series.hear(tick, [series.document(tick, negative=n % 3 == 0 or day == 97) for n in range(number)])

    assert series.of_kind("slow_burn") == []


def test_less_than_ninety_seven_days_of_one_model_are_not_enough() -> None:
    for sky in (Sky(days=90), Sky(since_tick=b.T0_TICK - 90 * b.TICKS_D)):
        days = Days(sky, day=DAY0 - 97)
        for number in range(97):
            days.close(10 if number < 90 else 30, 40)
        assert days.found == []


def weeks_without_change(seed: int, *, mean: float, dispersion: float, memory: float, days: int = 97) -> list[tuple[int, int]]:
    """Negative stories and stories of days whose rate wanders by the week, with a share of a quarter that wanders too."""
    chance = np.random.default_rng(seed)
    level, out = 0.0, []
    for day in range(days):
        if day % 7 == 0:
            level = memory * level + np.sqrt((1 - memory**2) * np.log1p(dispersion)) * chance.normal()
        rate = mean * np.exp(level - np.log1p(dispersion) / 2)
        negative = int(chance.poisson(rate))
        out.append((negative, negative + int(chance.poisson(3 * mean))))
    return out


def p_values(**world: float) -> list[float]:
    """One for each of many worlds without a change."""
    return [Days().p(weeks_without_change(seed, **world)) for seed in range(1_500)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "world",
    [
        pytest.param({"mean": 3.0, "dispersion": 0.0, "memory": 0.0}, id="even"),
        pytest.param({"mean": 20.0, "dispersion": 0.1, "memory": 0.0}, id="overdispersed"),
        pytest.param({"mean": 20.0, "dispersion": 0.3, "memory": 0.0}, id="more so"),
    ],
)
def test_without_a_change_small_p_values_are_no_more_frequent_than_they_say(world: dict[str, float]) -> None:
    found = np.array(p_values(**world))

    for level, slack in ((0.2, 1.25), (0.05, 1.5), (0.01, 2.5)):
        assert (found <= level).mean() <= slack * level


def test_years_of_weeks_that_vary_and_remember_lead_to_next_to_nothing() -> None:
    """Twenty series for three years each, with weeks that are like the one before: less than one notice in ten series-years."""
    found = 0
    for seed in range(20):
        days = Days(Sky(days=20_000))
        for negative, stories in weeks_without_change(10_000 + seed, mean=12.0, dispersion=0.15, memory=0.5, days=1_095):
            days.close(negative, stories)
        found += len(days.found)

    assert found <= 6


def test_a_restart_on_any_day_changes_nothing() -> None:
    chance, straight, broken = random.Random(2), Series(), Series()
    for day in range(104):
        tick = b.T0_TICK + day * b.TICKS_D + chance.randrange(2_000, 5_000)
        negative = chance.randrange(3, 7) if day < 95 else chance.randrange(9, 14)
        if chance.random() < 0.3:
            broken = broken.restored()
        for series in (straight, broken):
            series.hear(tick, [series.document(tick, negative=n < negative) for n in range(16)])

    assert straight.of_kind("slow_burn")
    assert broken.found == straight.found
    assert broken.found[-1].evidence


def test_the_first_day_of_the_tests_is_a_monday() -> None:
    assert datetime.fromtimestamp(b.T0_MS / 1_000, UTC).weekday() == 0
