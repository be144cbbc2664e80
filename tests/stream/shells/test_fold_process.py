"""All partitions of a fold process commit together: one transaction, all of it or nothing, on both databases."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from groundswell.errors import OwnershipLostError
from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, ROLE_FOLD, TICK_MS, partition_of
from groundswell.records import Arrival, Contribution
from groundswell.store import schema as t
from groundswell.store.derived import load_increments
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.operators.stories import digest
from stream.shells.fold_process import FoldProcess
from stream.shells.fold_worker import FoldInput
from stream.shells.wire import FoldItem, RawBatch, fold_messages
from tests.counting_store import CountingStore
from tests.synthetic_news import rules

RUN = "r"
FIRST_TICK = 117_000_000
COMPANIES = [f"entity:C{n}" for n in range(40)]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CountingStore]:
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    with closing(CountingStore(url)) as opened:
        yield opened


def process(store: Store, owner: str = "o") -> FoldProcess:
    return FoldProcess(store, RUN, rules(), owner=owner, log_id="t")


def ms(tick: float) -> int:
    return round((FIRST_TICK + tick) * TICK_MS)


def said(company: str, tick: float) -> Contribution:
    return Contribution(
        series=company, document_id=f"{company} {tick}", known_ms=ms(tick), published_ms=ms(tick), daily=False, fresh=True, owner="o",
        owner_known=True, sentiment="negative", negative_ppm=900_000, digest=digest(f"{company} {tick} said something of its own"),
    )  # fmt: skip


def day_of_news() -> dict[int, list[FoldInput]]:
    """One message for each contribution partition: every company is spoken of, from twenty sources, and a day passes."""
    heard = [Arrival(f"source {n}", "en", ms(0.1), 1) for n in range(20)]
    item = FoldItem.of(0, heard, [said(company, 0.1) for company in COMPANIES])
    end = ms(6_000)
    later = FoldItem.of(1, [Arrival("source 0", "en", ms(5_000), 1)], [])  # it closes the hour
    batches = [RawBatch(0, 0, 1, end, [item, later]), *(RawBatch(raw, 0, 0, end, []) for raw in range(1, RAW_PARTITIONS))]
    return {part: [FoldInput(0, body) for body in pieces] for part, pieces in enumerate(fold_messages(batches))}


def rows(store: Store) -> int:
    with store.read() as connection:
        return len(load_increments(connection, RUN, since_tick=0, through_tick=2**50))


def test_what_all_partitions_have_closed_is_one_transaction(store: CountingStore) -> None:
    fold, waiting = process(store), day_of_news()
    for part in waiting:
        fold.partition(part)
    claims = store.writes
    assert fold.take(waiting) == dict.fromkeys(range(CONTRIBUTION_PARTITIONS), 1)
    assert (store.writes - claims, waiting, rows(store)) == (1, {}, len(COMPANIES))


def test_no_further_partition_joins_a_transaction_that_is_full(store: CountingStore) -> None:
    fold, waiting = process(store), day_of_news()
    first = min(partition_of(company, CONTRIBUTION_PARTITIONS) for company in COMPANIES)
    assert max(fold.take(waiting, records_max=1)) == first
    assert min(waiting) == first + 1, "the others wait for the next one"
    while waiting:
        fold.take(waiting, records_max=1)
    assert rows(store) == len(COMPANIES)


def test_what_partitions_compute_alike_is_stored_once(store: CountingStore) -> None:
    process(store).take(day_of_news())
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.source_hours)).scalar_one() == 20
        hours = connection.execute(select(t.exposures.c.hour, t.exposures.c.language)).all()
    assert len(hours) == len(set(hours)) > 0


def test_a_process_that_has_lost_one_partition_stores_nothing_of_any(store: CountingStore) -> None:
    zombie, heir = process(store, "zombie"), process(store, "heir")
    zombie.partition(0), zombie.partition(7), zombie.partition(31)
    heir.partition(7)
    with pytest.raises(OwnershipLostError, match="fold 7: owner zombie"):
        zombie.take(day_of_news())
    assert rows(store) == 0
    with store.read() as connection:
        assert {row.next_offset for row in progress_of(connection, RUN, ROLE_FOLD)} == {0}


def test_partitions_without_a_closed_tick_commit_nothing(store: CountingStore) -> None:
    fold = process(store)
    fold.partition(3)
    before = store.writes
    pieces = fold_messages([RawBatch(0, 0, 0, ms(9), [])])[3]
    assert fold.take({3: [FoldInput(0, body) for body in pieces]}) == {3: 0}
    assert store.writes == before
