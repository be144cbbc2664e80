import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from groundswell.errors import OwnershipLostError
from groundswell.names import CONTRIBUTION_PARTITIONS, ROLE_DESK, ROLE_FOLD, TICK_MS, content_id
from groundswell.store import schema as t
from groundswell.store.derived import insert_candidates
from groundswell.store.progress import NEVER_TICK, advance, claim, progress_of
from groundswell.store.store import Store
from stream.shells.desk_worker import TICKS, DeskWorker
from tests.builders import a_candidate
from tests.synthetic_news import instruments

TICK = 117_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


def desk(store: Store, owner: str = "d") -> DeskWorker:
    return DeskWorker(store, "r", instruments(), owner=owner)


def fold_to(store: Store, tick: int, *, parts: int = CONTRIBUTION_PARTITIONS) -> None:
    """Partitions have closed every tick before one."""
    for part in range(parts):
        mine = claim(store, "r", ROLE_FOLD, part=part, owner="f")
        with store.write() as connection:
            advance(connection, mine, next_offset=0, time_ms=tick * TICK_MS, closed_tick=tick - 1)


def candidates(store: Store, *ticks: int) -> None:
    made = [a_candidate(candidate_id=content_id("s", str(tick)), tick=tick, level="hold", evidence=[]) for tick in ticks]
    with store.write() as connection:
        insert_candidates(store, connection, "r", made)


def decided(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.execute(select(t.decisions.c.tick).order_by(t.decisions.c.tick)).scalars())


def test_no_tick_is_decided_before_it_has_closed_on_every_partition(store: Store) -> None:
    candidates(store, TICK, TICK + 5)
    fold_to(store, TICK + 9, parts=CONTRIBUTION_PARTITIONS - 1)
    worker = desk(store)
    assert worker.step() is None, "a partition that has no row yet has closed nothing"
    mine = claim(store, "r", ROLE_FOLD, part=CONTRIBUTION_PARTITIONS - 1, owner="f")
    assert worker.step() is None, "a partition that has just begun has closed nothing"
    with store.write() as connection:
        advance(connection, mine, next_offset=0, time_ms=(TICK + 5) * TICK_MS, closed_tick=TICK)
    assert worker.step() == []
    assert decided(store) == [TICK]
    assert worker.closed_tick == TICK + 4
    assert worker.step() is None


def test_a_long_backlog_is_decided_in_several_transactions_each_tick_once(store: Store) -> None:
    ticks = list(range(TICK, TICK + 2 * (TICKS + 10), 2))
    candidates(store, *ticks)
    fold_to(store, ticks[-1] + 1)
    worker = desk(store)
    assert worker.step() == []
    assert decided(store) == ticks[:TICKS]
    assert desk(store).step() == []
    assert decided(store) == ticks


def test_a_second_desk_takes_over_and_the_first_stores_nothing_any_more(store: Store) -> None:
    first = desk(store, "first")
    second = desk(store, "second")
    candidates(store, TICK)
    fold_to(store, TICK + 1)
    with pytest.raises(OwnershipLostError, match="owner first"):
        first.step()
    assert decided(store) == []
    second.step()
    assert decided(store) == [TICK]


def test_a_replaced_desk_meets_the_fence_even_where_the_new_ones_rows_are_there_already(store: Store) -> None:
    first, second = desk(store, "first"), desk(store, "second")
    candidates(store, TICK)
    fold_to(store, TICK + 1)
    second.step()
    with pytest.raises(OwnershipLostError, match="owner first"):
        first.step()
    assert decided(store) == [TICK]


def test_the_loop_ends_when_told_to(store: Store) -> None:
    fold_to(store, TICK)
    stopped = threading.Event()
    worker = desk(store)
    thread = threading.Thread(target=worker.run_until, args=(stopped,), kwargs={"poll_s": 0.01})
    thread.start()
    waited = threading.Event()
    while worker.closed_tick == NEVER_TICK and thread.is_alive():
        waited.wait(0.01)
    stopped.set()
    thread.join(180)
    assert not thread.is_alive()
    with store.read() as connection:
        (row,) = progress_of(connection, "r", ROLE_DESK)
    assert row.closed_tick == TICK - 1
