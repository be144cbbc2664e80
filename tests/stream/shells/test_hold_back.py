"""What fold holds back is bounded: raw partitions that are ahead wait for the one that is behind, and nothing locks up or is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import builders as b
from tests.time_model import LEAD_RECORDS, PARTS, RAW, Breakable, News, World, rows_of
from tests.time_reference import reference_rows

BATCH = 2  # messages
BATCH_RECORDS_MAX = BATCH * 3 * 2  # of at most three documents in a message, each counting for its topic and its company
WITHOUT_READER = 1


@pytest.fixture(params=[True, False], ids=["live", "archive"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, live=request.param, parts=Breakable())
    yield made
    made.store.close()


def publish(world: World, rounds: int, *, first: int) -> None:
    """A minute between two rounds of three documents; time passes in every partition."""
    for n in range(first, first + rounds):
        world.now_ms += 60_000
        world.publish(0, [News(number, 0, number % 3, "calm", number % 4) for number in range(3 * n, 3 * n + 3)])
        for place in range(RAW):
            world.punctuate(place)


def work_off(world: World, *, but: int | None) -> int:
    """Score and fold until nobody can go on, with one raw partition that nobody reads; returns the most that fold held."""
    most = 0
    moved = True
    while moved:
        moved = False
        for who, me in enumerate(world.score):
            moved |= world.score_takes(who, {place: BATCH for place in sorted(me.believes) if place != but})
            while any(me.outgoing):
                world.score_sends(who)
            world.score_acknowledges(who, lags=False)
        for who in range(len(world.fold)):
            moved |= world.fold_takes(who, dict.fromkeys(range(PARTS), 5))
        most = max(most, sum(fold.gate.records_held for me in world.fold for fold in me.owned.values()))
    return most


def unread(world: World) -> list[int]:
    return [len(world.raw[place]) - world.raw_acknowledged[place] for place in range(RAW)]


def test_others_stop_while_one_raw_partition_has_no_reader_and_all_goes_on_when_it_returns(world: World, tmp_path: Path) -> None:
    publish(world, 100, first=0)
    most = work_off(world, but=WITHOUT_READER)
    bound = (RAW - 1) * (LEAD_RECORDS + BATCH_RECORDS_MAX)
    assert LEAD_RECORDS <= most <= bound
    stopped = list(world.raw_acknowledged)
    assert min(unread(world)) > 100, "most of every partition is left in the log"

    publish(world, 100, first=200)
    assert work_off(world, but=WITHOUT_READER) <= bound, "however much more comes, fold holds no more"
    assert world.raw_acknowledged == stopped

    assert work_off(world, but=None) <= RAW * (LEAD_RECORDS + BATCH_RECORDS_MAX)
    assert unread(world) == [0] * RAW
    world.drain()
    assert b.differences(reference_rows(tmp_path, world), rows_of(world.store)) == {}


def test_the_bound_holds_over_restarts_of_the_workers_that_wait(world: World) -> None:
    publish(world, 100, first=0)
    work_off(world, but=WITHOUT_READER)
    stopped = unread(world)
    for _ in range(5):
        for me in world.score:
            world.kill(me, world.score_owner)
        work_off(world, but=WITHOUT_READER)
    assert unread(world) == stopped, "a new process knows what the former one has sent"


def test_every_contribution_partition_names_the_raw_partition_that_it_waits_for_and_nothing_is_acknowledged(world: World) -> None:
    publish(world, 60, first=0)
    work_off(world, but=WITHOUT_READER)
    held = [me.owned[place].gate.held_back_by() for place, who in enumerate(world.fold_owner) for me in [world.fold[who]]]
    assert held == [WITHOUT_READER] * PARTS
    assert world.fold_acknowledged == [0] * PARTS
