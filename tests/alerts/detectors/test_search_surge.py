"""A saved search: whatever its tone, what it finds counts, unless it is positive; and its number alone is tested."""

from typing import Any

import pytest

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.surge import DAY_S, HOUR_S, SurgeDetector
from alerts.detectors.watch import watch_of
from alerts.kinds import title_of
from alerts.rules import load_rules
from groundswell.names import HOUR_MS, TICK_MS
from groundswell.records import Candidate, Sentiment
from stream.operators.windows import increments_of
from tests import builders as b
from tests.series_watch import Sky

RULES = load_rules()
OWNERS = ("Quill", "Tarn", "Moss")
NOON = b.T0_TICK + 12 * b.TICKS_H


class Playing:
    """A series with its detectors, and stories that come one to a tick."""

    def __init__(self, series: str = "watch:queues") -> None:
        self.series, self.sky, self.number = series, Sky(), 0
        self.baseline: list[BaselineRow] = []
        self.watch = watch_of(series, RULES, SurgeDetector)

    def hear(self, tick: int, sentiment: Sentiment = "neutral", **overrides: Any) -> list[Candidate]:
        self.number += 1
        fields: dict[str, Any] = {
            "series": self.series, "document_id": f"d{self.number:06}", "owner": OWNERS[self.number % 3], "sentiment": sentiment,
            "negative_ppm": self.number, "known_ms": tick * TICK_MS, "published_ms": tick * TICK_MS - 60_000,
        }  # fmt: skip
        rows = increments_of(tick, [(b.a_contribution(**(fields | overrides)), fields["document_id"])])
        return self.watch.step(tick, rows, self.sky)

    def burst(self, stories: int, sentiment: Sentiment = "neutral", **overrides: Any) -> list[Candidate]:
        return [found for n in range(stories) for found in self.hear(NOON + 4 * n, sentiment, **overrides)]

    def usual(self, stories: int, *, days: int = 28) -> None:
        """So many stories each day before the first, each day closed."""
        for day in range(b.T0_TICK // b.TICKS_D - days, b.T0_TICK // b.TICKS_D):
            for n in range(stories):
                self.hear(day * b.TICKS_D + (8 + n) * b.TICKS_H)
                self.close(HOUR_S, day * 24 + 8 + n)
            self.close(DAY_S, day)

    def close(self, period_s: int, index: int) -> None:
        self.baseline += self.watch.close_period(period_s, index, self.sky, tick=(index + 1) * period_s * 1_000 // TICK_MS).baselines


def test_stories_without_a_tone_open_a_search_and_no_company() -> None:
    search, company = Playing().burst(9), Playing("entity:aldora").burst(9)

    assert [found.level for found in search][:1] == ["open"]
    assert company == []


def test_good_news_of_it_is_no_trouble() -> None:
    assert Playing().burst(12, "positive") == []


def test_no_share_is_tested_and_none_is_shown() -> None:
    (first, *_) = Playing().burst(9)

    assert (first.by, first.share_p_ppt, first.baseline_share_ppm) == ("count", 10**12, 0)
    assert title_of(first, str.upper).startswith(f"WATCH:QUEUES: {first.statistic} stories in an hour, ")


def test_over_a_day_a_search_opens_at_ten_times_the_p_value_and_over_an_hour_at_anybodys() -> None:
    surge = RULES.surge

    assert surge.p_open(DAY_S, "watch:queues") == pytest.approx(10 * surge.p_open(DAY_S, "entity:aldora"))
    assert surge.p_open(DAY_S, "watch:queues") <= surge.p_hold
    assert surge.p_open(HOUR_S, "watch:queues") == surge.p_open(HOUR_S, "entity:aldora")


def test_as_many_as_usual_are_no_surge_and_many_more_are() -> None:
    calm, loud = Playing(), Playing()
    for playing in (calm, loud):
        playing.usual(6)

    assert [found for found in calm.burst(7) if found.window_s == DAY_S] == []
    assert any(found.level == "open" for found in loud.burst(36) if found.window_s == DAY_S)


def test_one_owner_alone_opens_nothing() -> None:
    assert Playing().burst(12, owner="Quill") == []


def test_a_story_that_is_told_again_is_one_story() -> None:
    playing = Playing()
    found = []
    for n in range(20):
        row = b.a_contribution(
            series="watch:queues", document_id=f"c{n:03}", owner=OWNERS[n % 3], sentiment="neutral",
            known_ms=(NOON + n) * TICK_MS, published_ms=NOON * TICK_MS - HOUR_MS,
        )  # fmt: skip
        found += playing.watch.step(NOON + n, increments_of(NOON + n, [(row, "c000")]), playing.sky)

    assert found == []


def test_it_says_why_not_without_a_word_of_tone() -> None:
    playing = Playing()
    playing.burst(3)

    gates = [gate for asked in playing.watch.gates(NOON + 20, playing.sky) for gate in asked.gates]

    assert "fresh stories: 3; needed: 5" in [gate.said for gate in gates]
    assert not any("negative" in gate.said for gate in gates)


def test_it_is_rebuilt_from_its_rows() -> None:
    whole, again = Playing(), Playing()
    whole.usual(4)
    again.watch.restore(baseline=whole.baseline, rows=[], last=[], tick=b.T0_TICK - 1)
    again.number = whole.number

    assert again.burst(30) == whole.burst(30) != []
