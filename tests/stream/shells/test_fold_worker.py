from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from groundswell.codec import encode
from groundswell.errors import ContinuityError, OwnershipLostError, RecordError
from groundswell.names import RAW_PARTITIONS, ROLE_FOLD, TICK_MS
from groundswell.records import Arrival, Contribution
from groundswell.store.derived import load_increments
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.operators.stories import digest
from stream.shells.fold_process import FoldProcess, SharedHours
from stream.shells.fold_worker import FoldInput
from stream.shells.wire import FoldItem, FoldMessage, FoldPart
from tests.synthetic_news import rules

PART = 10  # of entity:SVB
FIRST_TICK = 117_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


def opened(store: Store, *, hours: SharedHours | None = None, part: int = PART) -> FoldProcess:
    """A process with one partition."""
    process = FoldProcess(store, "r", rules(), owner="o", log_id="t", hours=hours or SharedHours())
    process.partition(part)
    return process


def take(fold: FoldProcess, messages: Sequence[FoldInput]) -> int:
    (part,) = fold.owned
    return fold.take({part: list(messages)})[part]


def ms(tick: float) -> int:
    return round((FIRST_TICK + tick) * TICK_MS)


def item(offset: int, tick: float) -> FoldItem:
    """One document of entity:SVB, known at a tick."""
    made = Contribution(
        series="entity:SVB", document_id=f"d{offset}", known_ms=ms(tick), published_ms=ms(tick), daily=False, fresh=True, owner="o",
        owner_known=True, sentiment="neutral", negative_ppm=0, digest=digest(f"text number {offset * 7919}"),
    )  # fmt: skip
    return FoldItem.of(offset, [Arrival("s", "en", ms(tick), 1)], [made])


def part(raw: int, tick: float | None, *items: FoldItem, first: int = 0, last: int = 0) -> FoldPart:
    return FoldPart(raw, first, last, None if tick is None else ms(tick), list(items))


def rest_at(tick: float, *, but: int = 0) -> list[FoldPart]:
    """Every raw partition but one has come to a tick."""
    return [part(raw, tick) for raw in range(RAW_PARTITIONS) if raw != but]


def message(offset: int, *parts: FoldPart) -> FoldInput:
    return FoldInput(offset, encode(FoldMessage(parts=list(parts))))


def ticks_of(store: Store) -> list[int]:
    with store.read() as connection:
        return [row.tick - FIRST_TICK for row in load_increments(connection, "r", since_tick=0, through_tick=2**50)]


def test_nothing_is_folded_or_acknowledged_until_its_tick_has_closed_on_every_raw_partition(store: Store) -> None:
    fold = opened(store)
    assert take(fold, [message(0, part(0, 0.2, item(0, 0.1))), message(1, *rest_at(5))]) == 0
    assert ticks_of(store) == []
    assert take(fold, [message(2, part(0, 1.0))]) == 1, "message 1 brought time that is ahead of raw partition 0 and not stored yet"
    assert ticks_of(store) == [0]
    assert take(fold, [message(3, part(0, 5.0))]) == 4


def test_the_stored_tick_is_the_last_one_that_held_anything_and_the_time_the_one_that_is_closed(store: Store) -> None:
    take(opened(store), [message(0, part(0, 40, item(0, 0.1)), *rest_at(40))])
    with store.read() as connection:
        (row,) = progress_of(connection, "r", ROLE_FOLD)
    assert (row.closed_tick, row.time_ms) == (FIRST_TICK, ms(40))


def test_what_was_taken_already_is_passed_over_within_an_assignment_and_after_a_restart(store: Store) -> None:
    once = message(0, part(0, 0.5, item(0, 0.1)))
    fold = opened(store)
    take(fold, [once, FoldInput(1, once.body), message(2, part(0, 3), *rest_at(3))])
    assert ticks_of(store) == [0]
    take(opened(store), [FoldInput(3, once.body), message(4, part(0, 6), *rest_at(6))])
    assert ticks_of(store) == [0]
    with store.read() as connection:
        (row,) = load_increments(connection, "r", since_tick=0, through_tick=2**50)
    assert row.members["d0"]["o"][0] == 1


def test_after_a_restart_a_finished_raw_partition_does_not_hold_the_others_back(store: Store) -> None:
    first = [message(0, *rest_at(100)), message(1, part(0, 2, item(0, 0.1), first=0, last=0))]
    assert take(opened(store), first) == 0
    fold = opened(store)
    messages = [*first, message(2, part(0, 100, item(1, 50), first=1, last=1))]
    assert take(fold, messages) == 3
    assert ticks_of(store) == [0, 50]


def test_items_of_the_open_tick_are_read_again_after_a_restart(store: Store) -> None:
    messages = [message(0, part(0, 7.6, item(0, 7.5)), *rest_at(7.7)), message(1, part(0, 9), *rest_at(9))]
    assert take(opened(store), messages[:1]) == 0
    assert take(opened(store), messages) == 2
    assert ticks_of(store) == [7]


def test_an_item_before_its_partitions_time_is_a_broken_log(store: Store) -> None:
    fold = opened(store)
    take(fold, [message(0, part(0, 3))])
    with pytest.raises(ContinuityError, match="raw partition 0: an item known at"):
        take(fold, [message(1, part(0, 3, item(1, 2), first=1, last=1))])


@pytest.mark.parametrize("offsets", [[1], [0, 2], [0, 0]])
def test_missing_or_repeated_messages_stop(store: Store, offsets: list[int]) -> None:
    with pytest.raises(ContinuityError, match="contribution partition 10: offset"):
        take(opened(store), [message(offset, part(0, 1)) for offset in offsets])


def test_a_foreign_message_stops_and_nothing_is_stored(store: Store) -> None:
    with pytest.raises(RecordError):
        take(opened(store), [message(0, part(0, 3, item(0, 0.1)), *rest_at(3)), FoldInput(1, b"hello")])
    assert ticks_of(store) == []


def test_hours_that_another_partition_of_the_process_has_stored_are_not_sent_to_the_store_again(store: Store) -> None:
    hours = SharedHours()
    heard = [FoldItem.of(offset, item(offset, tick).arrivals, []) for offset, tick in ((0, 0.1), (1, 800))]
    messages = [message(0, part(0, 900, *heard), *rest_at(900))]
    take(opened(store, hours=hours), messages)
    other = opened(store, hours=hours, part=11)
    stored: list[int] = []
    hours.committed = lambda folded: stored.append(len(folded.exposures))  # type: ignore[method-assign]
    take(other, messages)
    assert stored == [0]


def test_a_former_owner_meets_the_fence_even_where_the_new_ones_rows_are_there_already(store: Store) -> None:
    messages = [message(0, part(0, 3, item(0, 0.1)), *rest_at(3))]
    zombie, heir = opened(store), opened(store)
    take(heir, messages)
    with pytest.raises(OwnershipLostError, match="fold 10: owner o"):
        take(zombie, messages)
    assert ticks_of(store) == [0]
