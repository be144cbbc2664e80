"""A consumer that threw messages away during a rebalance goes back for them, also where nothing has been acknowledged yet."""

from typing import Any, cast

from aiokafka.errors import IllegalStateError

from stream.shells.kafka import RewindingConsumer


class Thread:
    """The consumer's thread: three partitions, one of which has been acknowledged."""

    def __init__(self, *, taken_away: bool = False) -> None:
        self.sought: dict[str, int] = {}
        self._taken_away = taken_away

    async def seek_to_committed(self) -> dict[str, int | None]:
        self.sought |= {"read": 7}  # as aiokafka does: a partition without an offset stays where it is
        return {"never": None, "none": 0, "read": 7}

    async def seek_wait(self, partitions: dict[str, int]) -> None:
        if self._taken_away:
            raise IllegalStateError
        self.sought |= partitions


def consumer(thread: Thread) -> RewindingConsumer:
    """Only what seeks: a whole consumer brings a thread and an event loop of its own."""
    made = RewindingConsumer.__new__(RewindingConsumer)
    made._thread = cast(Any, thread)
    return made


async def test_partitions_without_an_acknowledged_offset_are_read_from_their_beginning() -> None:
    thread = Thread()
    assert await consumer(thread).seek_to_committed() == {"never": None, "none": 0, "read": 7}
    assert thread.sought == {"never": 0, "none": 0, "read": 7}


async def test_partitions_that_are_taken_away_meanwhile_are_left_to_the_next_assignment() -> None:
    thread = Thread(taken_away=True)
    await consumer(thread).seek_to_committed()
    assert thread.sought == {"read": 7}
