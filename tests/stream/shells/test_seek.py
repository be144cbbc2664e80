"""Where a consumer begins: never above what the store has done, also where nothing was acknowledged, or the store was restored."""

from typing import Any, cast

from aiokafka.errors import IllegalStateError
from faust.types import TP

from stream.shells.kafka import RewindingConsumer

NEVER, NONE, READ, RESTORED = (TP("raw", partition) for partition in range(4))
COMMITTED = {NEVER: None, NONE: 0, READ: 7, RESTORED: 90}
NEEDED = {READ.partition: 8, RESTORED.partition: 40}


class Thread:
    """The consumer's thread: four partitions, two of which have been acknowledged."""

    def __init__(self, *, taken_away: bool = False) -> None:
        self.sought: dict[TP, int] = {}
        self._taken_away = taken_away

    async def seek_to_committed(self) -> dict[TP, int | None]:
        self.sought |= {tp: offset for tp, offset in COMMITTED.items() if offset}  # as aiokafka does: others stay where they are
        return dict(COMMITTED)

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        if self._taken_away:
            raise IllegalStateError
        self.sought |= partitions


def consumer(thread: Thread) -> RewindingConsumer:
    """Only what seeks: a whole consumer brings a thread and an event loop of its own."""
    made = RewindingConsumer.__new__(RewindingConsumer)
    made._thread = cast(Any, thread)
    made._needed = lambda: NEEDED
    return made


async def test_every_partition_begins_at_the_lower_one_of_two_offsets() -> None:
    thread = Thread()
    assert await consumer(thread).seek_to_committed() == {NEVER: 0, NONE: 0, READ: 7, RESTORED: 40}
    assert thread.sought == {NEVER: 0, NONE: 0, READ: 7, RESTORED: 40}


async def test_partitions_that_are_taken_away_meanwhile_are_left_to_the_next_assignment() -> None:
    thread = Thread(taken_away=True)
    await consumer(thread).seek_to_committed()
    assert thread.sought == {READ: 7, RESTORED: 90}
