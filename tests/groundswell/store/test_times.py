"""How far each raw partition has come, and which one holds the others back."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, ROLE_FOLD, ROLE_SCORE, TICK_MS
from groundswell.records import Admission, Position
from groundswell.store.facts import write_intake
from groundswell.store.progress import NEVER_TICK, advance, claim
from groundswell.store.store import Store
from groundswell.store.times import RawTime, documents_since, folded_ms, held_back, raw_times
from tests.builders import T0_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


def come(store: Store, role: str, part: int, time_ms: int | None, *, run: str = "r") -> None:
    """A partition is owned, and has come to a time."""
    mine = claim(store, run, role, part=part, owner=f"{role}-{part}")
    if time_ms is not None:
        with store.write() as connection:
            advance(connection, mine, next_offset=1, time_ms=time_ms, closed_tick=NEVER_TICK)


def test_the_partition_with_the_least_time_holds_the_others_back_by_what_the_furthest_is_ahead(store: Store) -> None:
    for partition in range(RAW_PARTITIONS):
        come(store, ROLE_SCORE, partition, T0_MS + (500 if partition == 7 else 60_000 + partition))
    with store.read() as connection:
        found = held_back(connection, "r")
    assert found is not None
    assert (found.partition, found.owner, found.time_ms) == (7, "score-7", T0_MS + 500)
    assert found.behind_ms == 59_500 + RAW_PARTITIONS - 1


@pytest.mark.parametrize("owned", [False, True])
def test_a_partition_that_nobody_ever_read_holds_back_all_others(store: Store, owned: bool) -> None:
    for partition in range(RAW_PARTITIONS):
        if partition != 3 or owned:
            come(store, ROLE_SCORE, partition, None if partition == 3 else T0_MS)
    with store.read() as connection:
        found = held_back(connection, "r")
        times = raw_times(connection, "r")
    assert found is not None
    assert (found.partition, found.time_ms, found.behind_ms) == (3, None, None)
    assert times[3] == RawTime(3, None, "score-3" if owned else "")
    assert [time.time_ms for time in times if time.partition != 3] == [T0_MS] * (RAW_PARTITIONS - 1)


def test_the_one_partition_of_an_embedded_run_holds_nobody_back(store: Store) -> None:
    with store.read() as connection:
        assert held_back(connection, "r") is None
    come(store, ROLE_SCORE, 0, T0_MS)
    come(store, ROLE_FOLD, 0, T0_MS)
    with store.read() as connection:
        assert held_back(connection, "r") is None
        assert raw_times(connection, "r") == [RawTime(0, T0_MS, "score-0")]


def test_nothing_is_folded_until_every_contribution_partition_has_begun(store: Store) -> None:
    for partition in range(CONTRIBUTION_PARTITIONS):
        with store.read() as connection:
            assert folded_ms(connection, "r") == NEVER_TICK
        come(store, ROLE_FOLD, partition, T0_MS + partition)
    with store.read() as connection:
        assert folded_ms(connection, "r") == T0_MS
        assert folded_ms(connection, "other") == NEVER_TICK


def test_documents_are_counted_from_the_tick_of_a_time_on_and_for_one_partition(store: Store) -> None:
    places = [(2, T0_MS), (2, T0_MS + TICK_MS), (2, T0_MS + TICK_MS + 1), (3, T0_MS + TICK_MS)]
    admissions = [
        Admission(position=Position(part, offset), known_ms=known_ms, source="s", language="en", outcome="scored")
        for offset, (part, known_ms) in enumerate(places)
    ]
    with store.write() as connection:
        write_intake(store, connection, "r", admissions=admissions)
    with store.read() as connection:
        assert documents_since(connection, "r", 2, since_ms=T0_MS + TICK_MS + 9) == 2
        assert documents_since(connection, "r", 2, since_ms=NEVER_TICK) == 3
