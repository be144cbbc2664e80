"""Amplification: one story with many copies is told as one; many stories, and the usual copies, are not."""

import random
from itertools import pairwise

from groundswell.records import Candidate
from tests import builders as b
from tests.series_watch import SERIES, Series, Sky

NOON = b.T0_TICK + 12 * b.TICKS_H


def copies(series: Series, tick: int, number: int, *, story: str, owners: int = 40) -> list[Candidate]:
    """Copies of one story, two a minute, each of the next owner."""
    found: list[Candidate] = []
    for n in range(number):
        document = series.document(tick + 2 * n, story=story, owner=f"Owner {n % owners}")
        found += series.hear(tick + 2 * n, [(document, story)])
    return found


def weeks(series: Series, *, days: int = 28, largest: int = 3) -> Series:
    """Days with two negative stories, the first copied as usual, and five others."""
    for day in range(days):
        copies(series, NOON + (day - days) * b.TICKS_D, largest, story=f"usual{day}")
        tick = NOON + (day - days) * b.TICKS_D + 500
        series.hear(tick, [series.document(tick, negative=n == 0) for n in range(6)])
    return series


def test_a_story_that_is_copied_far_more_than_usual_is_found_with_its_origin_first() -> None:
    series = weeks(Series())
    first = copies(series, NOON, 30, story="origin")[0]

    assert (first.kind, first.series, first.window_s) == ("amplification", SERIES, 86_400)
    assert first.evidence[0][0] == "origin"
    assert {row[1] for row in first.evidence} == {"origin"}
    assert first.statistic == len(first.evidence) == first.limit  # told as soon as there are enough
    assert first.owners == first.statistic
    assert (first.level, first.ended, first.late_s) == ("open", False, 0)


def test_it_is_found_again_only_when_it_has_doubled() -> None:
    series = weeks(Series())
    found = copies(series, NOON, 100, story="origin")

    assert [after.statistic >= 2 * before.statistic for before, after in pairwise(found)] == [True] * (len(found) - 1)
    assert 2 <= len(found) <= 4


def test_what_is_usual_for_the_series_is_no_amplification() -> None:
    assert copies(weeks(Series(), largest=20), NOON, 30, story="origin") == []
    assert copies(weeks(Series(), largest=12), NOON, 23, story="origin") == []  # not twice the most of eight weeks


def test_few_owners_who_repeat_themselves_are_no_amplification() -> None:
    assert copies(weeks(Series()), NOON, 60, story="origin", owners=7) == []


def test_one_platform_with_unknown_authors_is_no_amplification() -> None:
    series = weeks(Series())
    for n in range(60):
        document = series.document(NOON + n, story="origin", owner="Quay Forum", owner_known=False)
        assert series.hear(NOON + n, [(document, "origin")]) == []


def test_many_stories_are_a_surge_and_no_amplification() -> None:
    series = weeks(Series())
    for n in range(20):
        series.hear(NOON + n, [series.document(NOON + n)])
    copies(series, NOON + 30, 40, story="origin")

    assert series.of_kind("amplification") == []
    assert series.of_kind("surge")


def test_before_its_baseline_has_formed_nothing_is_found() -> None:
    assert copies(weeks(Series(sky=Sky(days=10)), days=9), NOON, 60, story="origin") == []


def test_a_largest_story_of_any_ordinary_size_stays_silent_for_a_year() -> None:
    """Copies of a day's largest story as heavy-tailed as those of agencies: geometric, of mean 4."""
    chance, series = random.Random(3), Series()
    for day in range(365):
        number = 1
        while chance.random() < 0.75:
            number += 1
        copies(series, NOON + (day - 365) * b.TICKS_D, number, story=f"s{day}")

    assert len(series.of_kind("amplification")) <= 1


def test_a_restart_at_any_moment_changes_nothing() -> None:
    chance, straight, broken = random.Random(5), weeks(Series(), days=16), weeks(Series(), days=16)
    for day in range(6):
        number = chance.choice((2, 5, 40))
        for n in range(number):
            tick = NOON + day * b.TICKS_D + 60 * n
            if chance.random() < 0.2:
                broken = broken.restored()
            for series in (straight, broken):
                series.hear(tick, [(series.document(tick, story=f"x{day}", owner=f"Owner {n % 40}"), f"x{day}")])

    assert straight.of_kind("amplification")
    assert broken.found == straight.found
    assert broken.baseline == straight.baseline


def test_its_gates_say_where_a_story_stands() -> None:
    series = weeks(Series())
    copies(series, NOON, 9, story="origin")
    asked = {asked.kind: asked.gates for asked in series.watch.gates(series.tick or 0, series.sky)}["amplification"]

    assert [gate.name for gate in asked] == ["copies", "corroboration", "forming", "repeat", "improbable", "echo", "news"]
    assert (asked[0].holds, asked[0].said) == (False, "documents of one story: 9; needed: 15")
