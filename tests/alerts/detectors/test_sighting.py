"""Sighting: a risk of a company, corroborated, for the first time in a while, and not again until it has been quiet."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.sighting import SightingDetector, corroborated
from alerts.rules import Rules, load_rules
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.records import Candidate, Contribution, Increment
from stream.operators.windows import increments_of
from tests import builders as b

SERIES = "flag:default_bankruptcy:Voyager"
SHIPPED = load_rules()
DAY = DAY_MS // TICK_MS
HOUR = HOUR_MS // TICK_MS


class Sky:
    """A run that began two months ago."""

    first_hour: int | None = (b.T0_MS - 60 * DAY_MS) // HOUR_MS
    since_tick: int = 0

    def now(self, tick: int, language: str) -> int:
        return 1_000_000

    def of_hour(self, hour: int, language: str) -> int:
        return 1_000_000

    def seen(self, slot: int, language: str, *, daily: bool = False) -> tuple[int, int]:
        return 8_000_000, 56_000_000


@dataclass
class Watch:
    """A detector, fed by hand."""

    rules: Rules = SHIPPED
    series: str = SERIES
    sky: Sky = field(default_factory=Sky)
    rows: list[Increment] = field(default_factory=list)
    found: list[Candidate] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.detector = SightingDetector(self.series, self.rules)

    def hear(self, tick: int, *owners: str, **overrides: Any) -> list[str]:
        """One story of each owner at a tick; returns the levels of what it led to."""
        placed: list[tuple[Contribution, str]] = []
        for owner in owners:
            self.number += 1
            fields = {"series": self.series, "document_id": f"d{self.number}", "owner": owner, "sentiment": "neutral"} | overrides
            placed.append((b.a_contribution(**fields), f"s{self.number}"))
        rows = increments_of(tick, placed)
        self.rows += rows
        candidates = list(self.detector.step(tick, rows, self.sky))
        self.found += candidates
        return [candidate.level for candidate in candidates]


def with_rules(**sighting: Any) -> Rules:
    return msgspec.structs.replace(SHIPPED, sighting=msgspec.structs.replace(SHIPPED.sighting, **sighting))


def test_the_third_story_of_a_second_owner_is_a_sighting_whatever_its_tone() -> None:
    watch = Watch()

    assert [watch.hear(b.T0_TICK + n, owner) for n, owner in enumerate(("Quill", "Quill", "Tarn"))] == [[], [], ["open"]]
    (found,) = watch.found
    assert (found.kind, found.series, found.statistic, found.owners, found.limit) == ("sighting", SERIES, 3, 2, 3)
    assert [row[0] for row in found.evidence] == ["d1", "d2", "d3"]


def test_three_stories_of_one_owner_are_not_enough_and_four_are() -> None:
    watch = Watch()

    assert [watch.hear(b.T0_TICK + n, "Quill") for n in range(4)] == [[], [], [], ["open"]]


def test_a_platform_whose_authors_are_unknown_counts_as_one_owner() -> None:
    watch = Watch()
    heard = [watch.hear(b.T0_TICK + n, f"a{n}", owner_known=False) for n in range(4)]

    assert heard == [[], [], [], ["open"]]
    assert (watch.found[0].owners_known, watch.found[0].limit) == (False, 4)


def test_copies_are_one_story_and_corroborate_nothing() -> None:
    watch = Watch()
    placed = [(b.a_contribution(series=SERIES, document_id=f"d{n}", owner=f"o{n}"), "the same story") for n in range(50)]

    assert list(watch.detector.step(b.T0_TICK, increments_of(b.T0_TICK, placed), watch.sky)) == []


def test_stories_of_two_days_are_not_added_up() -> None:
    watch = Watch()

    assert watch.hear(b.T0_TICK, "Quill", "Tarn") == []
    assert watch.hear(b.T0_TICK + DAY, "Moss") == []
    assert watch.hear(b.T0_TICK + DAY + 1, "Quill", "Tarn") == ["open"]


def test_what_goes_on_only_holds_and_what_comes_back_after_the_quiet_days_is_a_sighting_again() -> None:
    watch = Watch()
    days = SHIPPED.sighting.quiet_days
    heard = [watch.hear(b.T0_TICK + day * DAY, "Quill", "Tarn", "Moss") for day in (0, 1, 20, 40, 40 + days, 41 + 2 * days)]

    assert heard == [["open"], ["hold"], ["hold"], ["hold"], ["hold"], ["open"]]


def test_a_day_brings_one_candidate_however_many_stories_there_are() -> None:
    watch = Watch()
    heard = [watch.hear(b.T0_TICK + n * HOUR, "Quill", "Tarn", "Moss") for n in range(24)]

    assert heard == [["open"], *[[]] * 23]


def test_of_a_watched_company_one_story_of_a_known_owner_is_enough() -> None:
    rules = with_rules(watched=frozenset({"Voyager"}))

    assert Watch(rules).hear(b.T0_TICK, "Quill") == ["open"]
    assert Watch(rules).hear(b.T0_TICK, "somebody", owner_known=False) == []


# --- one credible document ------------------------------------------------------------------------------------------------------
def test_one_story_of_a_source_of_tier_1_is_enough_where_it_is_the_first() -> None:
    watch = Watch()

    assert watch.hear(b.T0_TICK, "Harbour Authority", tier=1) == ["open"]
    (found,) = watch.found
    assert (found.statistic, found.limit, found.believed_tier, found.quiet_days) == (1, 1, 1, 30)
    assert watch.hear(b.T0_TICK + DAY, "Harbour Authority", tier=1) == ["hold"]


@pytest.mark.parametrize("tier", [0, 2, 3, 4])
def test_one_story_of_any_other_source_is_not(tier: int) -> None:
    assert Watch().hear(b.T0_TICK, "Quill", tier=tier) == []


def test_what_nobody_is_known_to_stand_behind_is_not_credible_whatever_its_tier() -> None:
    assert Watch().hear(b.T0_TICK, "somebody", tier=1, owner_known=False) == []


def test_a_credible_document_confirms_what_was_told_within_the_day_before() -> None:
    watch = Watch()

    assert (watch.hear(b.T0_TICK, "Quill", tier=2), watch.hear(b.T0_TICK + 1, "Harbour Authority", tier=1)) == ([], ["open"])


@pytest.mark.parametrize(("days_before", "heard"), [(2, []), (29, []), (31, ["open"])])
def test_a_credible_document_that_is_not_the_first_in_thirty_days_needs_to_be_corroborated(days_before: int, heard: list[str]) -> None:
    watch = Watch()
    watch.hear(b.T0_TICK, "Quill")
    watch.detector.close_period(86_400, b.T0_TICK // DAY, watch.sky)

    tick = b.T0_TICK + days_before * DAY
    assert watch.hear(tick, "Harbour Authority", tier=1) == heard
    (gate,) = [gate for gate in watch.detector.gates(86_400, tick, watch.sky) if gate.name == "corroboration"]
    assert "best tier: 1" in gate.said
    assert f"none before ({0 if heard else 1} in 30 days)" in gate.said


def test_of_a_company_that_the_run_watches_one_story_of_the_established_press_is_enough_whether_or_not_it_is_the_first() -> None:
    watch = Watch()
    watch.hear(b.T0_TICK, "Quill")
    watch.detector.close_period(86_400, b.T0_TICK // DAY, watch.sky)
    watch.detector.follow(frozenset({"Voyager"}))

    tick = b.T0_TICK + 5 * DAY
    heard = [watch.hear(tick + n, "Tarn", tier=tier) for n, tier in enumerate((0, 3, 2))]
    assert heard == [[], [], ["open"]]
    assert watch.found[0].believed_tier == 2


def test_rules_that_say_nothing_of_tiers_believe_none() -> None:
    rules = with_rules(credible_tier=0, watched_tier=0)
    watch = Watch(rules)
    watch.detector.follow(frozenset({"Voyager"}))

    assert watch.hear(b.T0_TICK, "Harbour Authority", tier=1) == []


def test_what_is_corroborated_anyhow_does_not_say_that_it_rests_on_one() -> None:
    watch = Watch()
    watch.hear(b.T0_TICK, "Quill", "Tarn", "Harbour Authority", tier=1)

    assert (watch.found[0].limit, watch.found[0].believed_tier) == (3, 0)


@pytest.mark.parametrize(
    ("watch", "because"),
    [
        (Watch(series="flag:exec_departure:Voyager"), "the risk is not listed"),
        (Watch(rules=with_rules(forming_days=61)), "nobody has listened long enough to know that it is the first"),
    ],
)
def test_no_sighting_is_made_where_it_would_say_too_much(watch: Watch, because: str) -> None:
    assert watch.hear(b.T0_TICK, "Quill", "Tarn", "Moss", "Fell") == [], because


def test_where_so_many_are_usual_they_are_no_news() -> None:
    usual, seldom = Watch(), Watch()
    for day in range(56):
        for watch, often in ((usual, 1), (seldom, 28)):
            if day % often == 0:
                watch.hear(b.T0_TICK + day * DAY, "Quill")
            watch.detector.close_period(86_400, b.T0_TICK // DAY + day, watch.sky)

    tick = b.T0_TICK + 57 * DAY
    assert (usual.hear(tick, "Quill", "Tarn", "Moss"), seldom.hear(tick, "Quill", "Tarn", "Moss")) == ([], ["open"])


def test_good_news_of_a_risk_is_not_counted() -> None:
    assert Watch().hear(b.T0_TICK, "Quill", "Tarn", "Moss", "Fell", sentiment="positive") == []


def test_it_is_said_to_be_the_first_in_no_more_days_than_were_heard() -> None:
    young, old = Watch(), Watch()
    young.sky.first_hour = (b.T0_MS - 20 * DAY_MS) // HOUR_MS
    for watch in (young, old):
        watch.hear(b.T0_TICK, "Quill", "Tarn", "Moss", "Fell")

    assert [watch.found[0].quiet_days for watch in (young, old)] == [20, 30]


def test_stale_news_is_no_sighting() -> None:
    assert Watch().hear(b.T0_TICK, "Quill", "Tarn", "Moss", fresh=False) == []


@given(
    st.lists(st.tuples(st.integers(0, 5 * HOUR), st.sampled_from("QTM"), st.sampled_from((0, 0, 0, 1, 2))), max_size=40),
    st.integers(0, 39),
)
@settings(max_examples=60, deadline=None)
def test_a_detector_rebuilt_in_between_finds_the_same(steps: list[tuple[int, str, int]], cut: int) -> None:
    def run(pieces: Iterable[tuple[int, str, int]], *, restart: int | None) -> list[Candidate]:
        watch, tick = Watch(), b.T0_TICK
        closed: list[BaselineRow] = []
        for place, (gap, owner, tier) in enumerate(pieces):
            if place == restart:
                watch.detector = SightingDetector(SERIES, SHIPPED)
                recent = [row for row in watch.rows if row.tick > tick - DAY]
                watch.detector.restore(baseline=closed, rows=recent, last=watch.found[-1:], tick=tick)
            row = watch.detector.close_period(86_400, tick // DAY, watch.sky) if (tick + gap + 1) // DAY > tick // DAY else None
            closed += [row] if row else []
            tick += gap + 1
            watch.hear(tick, owner, tier=tier)
        return watch.found

    assert run(steps, restart=cut) == run(steps, restart=None)


@given(st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_more_stories_and_more_owners_never_make_it_less_credible(stories: int, owners: int, watched: bool) -> None:
    rules = SHIPPED.sighting
    if corroborated(stories, owners=owners, watched=watched, rules=rules):
        assert corroborated(stories + 1, owners=owners, watched=watched, rules=rules)
        assert corroborated(stories, owners=owners + 1, watched=watched, rules=rules)
