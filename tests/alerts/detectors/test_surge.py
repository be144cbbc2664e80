"""Surge: opens on a turn of opinion, and on nothing else."""

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import nbinom

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.surge import DAY_S, HOUR_S, Seeing, SurgeDetector
from alerts.detectors.window import EVIDENCE_MAX, strongest
from alerts.rules import SurgeRules, load_rules
from groundswell.names import DAY_MS, DAY_TICKS, HOUR_MS, TICK_MS
from groundswell.records import Candidate, Increment
from stream.operators.exposure import Exposure
from stream.operators.measured import Measured
from stream.operators.windows import increments_of
from tests import builders as b

SERIES = "entity:aldora"
FULL = 1_000_000
SHIPPED = load_rules().surge
OWNERS = ("Quill", "Tarn", "Moss", "Brook", "Fell")
NOON = b.T0_TICK + 12 * b.TICKS_H


@dataclass
class Sky:
    """Exposure as a test wants it: full, and known for eight weeks."""

    first_hour: int | None = (b.T0_MS - 60 * DAY_MS) // HOUR_MS
    now_ppm: int = FULL
    hour_ppm: int = FULL
    since_tick: int = -(2**62)

    def now(self, tick: int, language: str) -> int:
        return self.now_ppm

    def of_hour(self, hour: int, language: str) -> int:
        return self.hour_ppm

    def seen(self, slot: int, language: str, *, daily: bool = False) -> tuple[int, int]:
        return 8 * FULL, 8 * (7 if daily else 168) * FULL


@dataclass
class Watch:
    """A detector with what fold does around it: periods that close, rows that are kept."""

    rules: SurgeRules = SHIPPED
    sky: Seeing = field(default_factory=Sky)
    rows: list[Increment] = field(default_factory=list)
    baseline: list[BaselineRow] = field(default_factory=list)
    found: list[Candidate] = field(default_factory=list)
    tick: int | None = None
    number: int = 0

    def __post_init__(self) -> None:
        self.detector = SurgeDetector(SERIES, self.rules)

    def hear(self, tick: int, *, negative: int = 0, other: int = 0, story: str | None = None, **overrides: Any) -> list[Candidate]:
        """One tick with so many negative and other stories (or copies of `story`), each of the next owner."""
        placed = []
        for n in range(negative + other):
            self.number += 1
            fields: dict[str, Any] = {
                "document_id": f"d{self.number:06}",
                "owner": OWNERS[self.number % 5],
                "sentiment": "negative" if n < negative else "neutral",
                "negative_ppm": self.number,
                "known_ms": tick * TICK_MS,
                "published_ms": tick * TICK_MS - 60_000,
            }
            placed.append((b.a_contribution(**(fields | overrides)), story or fields["document_id"]))
        return self.take(tick, increments_of(tick, placed))

    def take(self, tick: int, rows: list[Increment]) -> list[Candidate]:
        for period_s, period in ((HOUR_S, b.TICKS_H), (DAY_S, b.TICKS_D)):
            if self.tick is not None and tick // period > self.tick // period:
                row = self.detector.close_period(period_s, self.tick // period, self.sky)
                self.baseline += [row] if row else []
        self.tick = tick
        self.rows += rows
        found = list(self.detector.step(tick, rows, self.sky))
        self.found += found
        return found

    def restored(self) -> "Watch":
        """Another watch whose detector was rebuilt from the rows, as stream/shells/rebuild.py does it."""
        assert self.tick is not None
        again = Watch(self.rules, self.sky, list(self.rows), list(self.baseline), list(self.found), self.tick, self.number)
        last = {c.window_s: c for c in self.found if (self.tick - c.tick) * TICK_MS <= max(self.rules.hold_s, self.rules.repeat_s) * 1_000}
        day = [row for row in self.rows if row.tick > self.tick - DAY_TICKS]
        again.detector.restore(baseline=self.baseline, rows=day, last=last.values(), tick=self.tick)
        return again


def hours_of(found: list[Candidate], level: str = "open") -> list[Candidate]:
    return [candidate for candidate in found if candidate.window_s == HOUR_S and candidate.level == level]


# --- opens ------------------------------------------------------------------------------------------------------------------
def test_a_planted_surge_opens_in_the_hour_with_its_numbers() -> None:
    watch = Watch()
    for n in range(20):
        watch.hear(NOON + 4 * n, negative=1)
    opened = hours_of(watch.found)[0]

    assert opened.statistic == opened.limit >= SHIPPED.stories_min_hour
    assert opened.p_ppt <= SHIPPED.p_open(HOUR_S) * 1e12
    assert opened.tick == NOON + 4 * (opened.statistic - 1)
    assert opened.known_until_ms == (opened.tick + 1) * TICK_MS
    assert (opened.stories, opened.owners, opened.owners_known, opened.exposure_ppm) == (opened.statistic, 5, True, FULL)
    assert [row[0] for row in opened.evidence] == [f"d{n:06}" for n in range(opened.statistic, 0, -1)]


def test_a_day_opens_where_no_hour_does() -> None:
    watch = Watch()
    for n in range(16):
        watch.hear(b.T0_TICK + n * 85 * 4, negative=1)

    assert hours_of(watch.found) == []
    assert any(c.window_s == DAY_S and c.level == "open" for c in watch.found)


def test_a_document_that_says_only_its_day_counts_in_the_day_alone() -> None:
    watch = Watch()
    for n in range(20):
        watch.hear(NOON + n, negative=1, daily=True)

    assert {c.window_s for c in watch.found} == {DAY_S}


# --- does not open ----------------------------------------------------------------------------------------------------------
def test_copies_of_one_story_are_one_story_however_many() -> None:
    watch = Watch()
    for n in range(200):
        watch.hear(NOON + n, negative=1, story="the one")

    assert watch.found == []


def test_stale_documents_are_no_surge() -> None:
    watch = Watch()
    for n in range(40):
        watch.hear(NOON + n, negative=1, fresh=False)

    assert watch.found == []


def test_a_busy_hour_that_is_no_more_negative_than_usual_is_no_surge() -> None:
    watch = Watch()
    for n in range(15):
        watch.hear(NOON + n, negative=1, other=4)

    assert watch.found == []


def test_a_series_whose_run_began_lately_is_forming() -> None:
    first = (NOON * TICK_MS - SHIPPED.forming_days * DAY_MS) // HOUR_MS
    for first_hour, found in ((None, False), (first + 1, False), (first, True)):
        watch = Watch(sky=Sky(first_hour=first_hour))
        assert bool(watch.hear(NOON, negative=30)) is found, first_hour


def test_a_window_that_nobody_saw_is_neither_calm_nor_alarming() -> None:
    blind = SHIPPED.exposure_min_ppm - 100_000
    for now_ppm, hour_ppm, found in ((blind, blind, False), (FULL, FULL, True)):
        watch = Watch(sky=Sky(now_ppm=now_ppm, hour_ppm=hour_ppm))
        assert bool(watch.hear(NOON, negative=30)) is found


@pytest.mark.parametrize("tick", [NOON + b.TICKS_H - 1, NOON + 23 * b.TICKS_H - 1])
def test_at_the_last_tick_of_an_hour_the_hour_itself_is_what_was_seen(tick: int) -> None:
    """The window is then exactly the calendar hour: how the hour before it was seen is of no account."""
    (candidate,) = hours_of(Watch(sky=Sky(now_ppm=FULL, hour_ppm=0)).hear(tick, negative=30))

    assert candidate.exposure_ppm == FULL


def test_expected_numbers_are_scaled_by_what_was_seeing() -> None:
    expected = []
    for ppm in (FULL, 600_000):
        watch = Watch(sky=Sky(now_ppm=ppm, hour_ppm=ppm))
        for week in range(8):
            watch.baseline.append(BaselineRow(SERIES, HOUR_S, (NOON // b.TICKS_H) - 168 * (week + 1), 8, 10))
        watch.detector.restore(baseline=reversed(watch.baseline), rows=[], last=[], tick=NOON - 1)
        (candidate,) = hours_of(watch.hear(NOON + b.TICKS_H - 1, negative=60))
        expected.append(candidate.expected_milli)

    assert expected[1] == pytest.approx(0.6 * expected[0], rel=0.01)


# --- who says it ------------------------------------------------------------------------------------------------------------
def test_one_owner_is_not_enough_however_loud() -> None:
    for owners, found in ((1, False), (2, True)):
        watch = Watch()
        for n in range(30):
            watch.hear(NOON + n, negative=1, owner=OWNERS[n % owners])
        assert bool(watch.found) is found, owners


def test_one_platform_needs_more_stories_and_a_volume_far_above_its_own() -> None:
    watch = Watch()
    for n in range(30):
        watch.hear(NOON + n, negative=1, owner="forum", owner_known=False)
    first = hours_of(watch.found)[0]

    assert first.statistic == SHIPPED.one_platform_stories_min
    assert (first.owners, first.owners_known) == (1, False)


# --- holds and repeats ------------------------------------------------------------------------------------------------------
def test_after_an_opening_a_lower_count_holds_and_without_one_it_says_nothing() -> None:
    def evening(watch: Watch) -> list[Candidate]:
        # Five negative ones among many: improbable enough to hold, and the share says that nothing has turned.
        return hours_of(watch.hear(NOON + 3 * b.TICKS_H, negative=5, other=20), "hold")

    opened, quiet = Watch(), Watch()
    opened.hear(NOON, negative=14)

    assert evening(opened)
    assert evening(quiet) == []


def test_a_candidate_is_repeated_when_it_has_grown_or_after_a_while() -> None:
    watch = Watch()
    for n in range(200):
        watch.hear(NOON + n, negative=1 if n < 40 or n % 8 == 0 else 0)
    statistics = [(c.tick, c.statistic) for c in hours_of(watch.found)]

    assert len(statistics) > 3
    for (tick, statistic), (later, higher) in pairwise(statistics):
        assert higher >= SHIPPED.repeat_growth * statistic or (later - tick) * TICK_MS >= SHIPPED.repeat_s * 1_000


# --- evidence ---------------------------------------------------------------------------------------------------------------
def test_evidence_shows_every_story_before_any_story_twice() -> None:
    negatives: list[list[str | int]] = [["a", "s", "o", 1, 900], ["b", "s", "o", 1, 950], ["c", "t", "o", 1, 100], ["d", "s", "o", 1, 920]]

    assert [row[0] for row in strongest(negatives)] == ["b", "c", "d", "a"]
    assert len(strongest([[f"d{n}", "s", "o", 1, n] for n in range(900)])) == EVIDENCE_MAX


# --- over weeks -------------------------------------------------------------------------------------------------------------
def weeks(chance: random.Random, *, days: int, mean: float, dispersion: float) -> list[tuple[int, int, int]]:
    """(tick, negative, other) of a series without any surge: each hour's number of stories is negative binomial."""
    r = 1 / dispersion
    numbers = nbinom.rvs(r, r / (r + mean), size=24 * days, random_state=chance.randrange(2**31))
    out = []
    for hour, number in enumerate(np.atleast_1d(numbers)):
        negative = sum(chance.random() < 0.3 for _ in range(int(number)))
        out.append((b.T0_TICK + hour * b.TICKS_H + chance.randrange(b.TICKS_H), negative, int(number) - negative))
    return out


def test_streams_without_a_surge_hardly_ever_open() -> None:
    """12 series x 35 days of ordinary, bursty news: an alert in a hundred days of one series would already be too many."""
    chance, opened, days = random.Random(17), 0, 35
    for series in range(12):
        sky = Exposure()
        watch = Watch(sky=Measured(sky))
        for tick, negative, other in weeks(chance, days=days, mean=(0.3, 1.0, 3.0)[series % 3], dispersion=SHIPPED.dispersion):
            list(sky.roll(tick))
            sky.hear(tick, [b.an_arrival(known_ms=tick * TICK_MS)])
            watch.hear(tick, negative=negative, other=other)
        opened += len([c for c in watch.found if c.level == "open"])

    assert opened <= 2, f"{opened} openings in {12 * (days - SHIPPED.forming_days)} days"


@pytest.mark.parametrize("seed", range(4))
def test_a_detector_rebuilt_at_any_tick_goes_on_like_the_one_that_lived(seed: int) -> None:
    chance = random.Random(seed)
    easy = b.easy_rules().surge
    stream = weeks(chance, days=64, mean=0.4, dispersion=1.5)  # longer than the horizon
    cuts = {chance.randrange(len(stream) // 3, len(stream)) for _ in range(12)} | {len(stream) - 2}
    alive = Watch(easy)
    for number, (tick, negative, other) in enumerate(stream):
        if number in cuts:
            alive = alive.restored()
        alive.hear(tick, negative=negative, other=other)
    undisturbed = Watch(easy)
    for tick, negative, other in stream:
        undisturbed.hear(tick, negative=negative, other=other)

    assert len(undisturbed.found) > 5
    assert alive.found == undisturbed.found
    assert alive.baseline == undisturbed.baseline
