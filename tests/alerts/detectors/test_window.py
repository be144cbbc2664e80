"""Window: what it remembers gives what all of its rows would give."""

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from alerts.detectors.baseline import Baseline
from alerts.detectors.window import EVIDENCE_MAX, Latest, Window, strongest
from groundswell.records import Increment
from groundswell.windows import COUNTS, FRESH, FRESH_NEGATIVE
from tests import builders as b

HOUR_S = 3_600


def a_window() -> Window:
    return Window(HOUR_S, Baseline(slots=168, horizon=1_344))


def increment(tick: int, documents: list[tuple[str, str, str, bool, bool, int]]) -> Increment:
    """Documents: (id, story, owner, owner known, negative, ppm); all of them fresh."""
    members: dict[str, dict[str, list[int]]] = {}
    for _, story, owner, _, negative, _ in documents:
        counts = members.setdefault(story, {}).setdefault(owner, [0] * len(COUNTS))
        counts[FRESH] += 1
        counts[FRESH_NEGATIVE] += negative
    negatives: list[list[str | int]] = [[name, story, owner, int(known), ppm] for name, story, owner, known, bad, ppm in documents if bad]
    return Increment(series="entity:aldora", tick=tick, pane=0, daily=False, members=members, negatives=negatives)


def archive(seed: int, *, per_tick: int, stories: int) -> Iterator[Increment]:
    """A day of rows, some ticks with several, some with none."""
    rng, tick, number = random.Random(seed), b.T0_TICK, 0
    while tick < b.T0_TICK + 6 * b.TICKS_H:
        documents = []
        for _ in range(rng.randrange(per_tick)):
            number += 1
            documents.append(
                (
                    f"d{number}",
                    f"s{rng.randrange(stories)}",
                    f"o{rng.randrange(9)}",
                    rng.random() < 0.1,
                    rng.random() < 0.4,
                    rng.randrange(900),
                )
            )
        yield increment(tick, documents)
        tick += rng.choice([0, 0, 1, 1, 5, 40, 90, 300])


@pytest.mark.parametrize(("per_tick", "stories"), [(4, 6), (9, 500), (900, 40), (900, 5_000)])
def test_it_says_what_a_recount_of_all_rows_says(per_tick: int, stories: int) -> None:
    window, rows = a_window(), []
    for row in archive(per_tick + stories, per_tick=per_tick, stories=stories):
        rows.append(row)
        window.enter(row)
        window.leave(row.tick)

        inside = [r for r in rows if r.tick > row.tick - window.ticks]
        told = [negative for r in inside for negative in r.negatives]
        period = row.tick // window.ticks
        opened = [r for r in rows if r.tick // window.ticks == period]
        assert len(window.stories) == len({story for r in inside for story in r.members})
        assert len(window.negative) == len({negative[1] for negative in told})
        assert len(window.owners) == len({negative[2] for negative in told})
        assert window.owner_known(row.tick) == any(negative[3] for negative in told)
        assert window.evidence() == strongest(told)
        assert window.of_period(period) == (
            len({negative[1] for r in opened for negative in r.negatives}),
            len({story for r in opened for story in r.members}),
        )


def test_a_window_that_is_filled_again_from_its_rows_is_the_same() -> None:
    lived, rows = a_window(), list(archive(3, per_tick=500, stories=300))
    for row in rows:
        lived.enter(row)
        lived.leave(row.tick)
    again = a_window()
    for row in rows:
        if row.tick > rows[-1].tick - again.ticks:
            again.enter(row)
    again.leave(rows[-1].tick)

    assert again.evidence() == lived.evidence()
    assert [len(w) for w in (again.stories, again.negative, again.owners)] == [
        len(w) for w in (lived.stories, lived.negative, lived.owners)
    ]


def test_copies_of_one_story_take_no_memory() -> None:
    window = a_window()
    many = [(f"d{number}", "s", f"o{number % 9}", True, True, number) for number in range(EVIDENCE_MAX)]
    window.enter(increment(b.T0_TICK, many))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for round_ in range(1, 200):
            window.enter(increment(b.T0_TICK, [(f"r{round_}-{row[0]}", *row[1:]) for row in many]))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 200 * EVIDENCE_MAX


def test_a_key_counts_from_its_last_tick() -> None:
    latest = Latest()
    for key, tick in (("a", 1), ("b", 2), ("a", 5), ("c", 7)):
        latest.see(key, tick)

    assert (len(latest), latest.since(5), latest.since(8)) == (3, 2, 0)
    latest.forget_through(5)
    assert len(latest) == 1
