"""Fold, as the owner of one contribution partition: messages in, closed ticks folded and stored with the progress. No Kafka in here.

    offer -> close -> one transaction of the rows and the progress, of all partitions of a process that have closed ticks (fold_process.py)

Messages may be acknowledged below the offset that is `needed`: everything before it is folded and committed, and so is the time
that it brought. After a restart fold reads from there; what it meets again is passed over.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from alerts.rules import Rules
from groundswell.errors import ContinuityError
from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, ROLE_FOLD, TICK_MS, partition_of
from groundswell.store.progress import NEVER_TICK, Claim, Move, claim
from groundswell.store.store import Store
from stream.operators.admit import BEGINNING_MS, Gate, tick_of
from stream.pipeline import Fold, Folded
from stream.shells.rebuild import rebuild_fold
from stream.shells.versions import VersionsInForce
from stream.shells.wire import FoldPart, open_fold_message


class FoldInput(NamedTuple):
    """One message of the contribution topic."""

    offset: int
    body: bytes


@dataclass
class FoldPartition:
    """One contribution partition, from its assignment to its revocation.

    Args:
        claim: this owner's; see `open`.
        fold: rebuilt through the claim's closed tick.
        in_force: the rules and models of each tick, of all partitions of a process; renewed before `close`.
        raw_partitions: how many raw partitions have to pass a tick before it is closed.
    """

    claim: Claim
    fold: Fold
    in_force: VersionsInForce
    raw_partitions: int = RAW_PARTITIONS
    expected: int | None = None  # offset of the next message; None before the first
    gate: Gate = field(init=False)
    seen: dict[int, int] = field(default_factory=dict)  # raw partition -> highest raw offset taken
    unfolded: deque[tuple[int, int]] = field(default_factory=deque)  # (offset, last tick) of messages that hold items
    leaders_crowded_out: int = 0  # of all that was committed
    moved_by: dict[int, int] = field(default_factory=dict)  # raw partition -> offset of the message that last moved its time

    def __post_init__(self) -> None:
        self.gate = Gate(self.raw_partitions, closed_tick=self.claim.closed_tick)
        if self.claim.time_ms != NEVER_TICK:
            # Every raw partition had come this far. The tick's start, not its time: items of the open tick are read again.
            for partition in range(self.raw_partitions):
                self.gate.advance(partition, tick_of(self.claim.time_ms) * TICK_MS)

    @classmethod
    def open(
        cls,
        store: Store,
        run: str,
        partition: int,
        *,
        rules: Rules,
        owner: str,
        log_id: str,
        in_force: VersionsInForce,
        raw_partitions: int = RAW_PARTITIONS,
        partitions: int = CONTRIBUTION_PARTITIONS,
    ) -> Self:
        """Take the partition and load what its former owner knew.

        Raises:
            ContinuityError: the stored progress belongs to another topic.
            DependencyError: the store is away.
        """
        taken = claim(store, run, ROLE_FOLD, part=partition, owner=owner, log_id=log_id)
        mine = series_of(partition, partitions)
        fold = Fold(rules, mine=mine)
        with store.read() as connection:
            in_force.renew(connection)
            if taken.closed_tick != NEVER_TICK:
                fold = rebuild_fold(connection, run, in_force=in_force, through_tick=taken.closed_tick, mine=mine)
        return cls(taken, fold, in_force, raw_partitions)

    def offer(self, messages: Sequence[FoldInput]) -> None:
        """Take messages; what they close waits for `close`.

        Raises:
            ContinuityError: messages are missing, or time went back.
            RecordError: something else was written to the topic.
        """
        for message in messages:
            self._check_order(message.offset)
            ticks = [self._offer(part, message.offset) for part in open_fold_message(message.body).parts]
            last_tick = max(ticks, default=BEGINNING_MS)
            if last_tick > self.gate.closed_tick:
                self.unfolded.append((message.offset, last_tick))

    @property
    def needed(self) -> int:
        """The lowest offset that must not be acknowledged yet."""
        return self.claim.next_offset

    @property
    def is_due(self) -> bool:
        """Whether ticks have closed that are not committed, with or without anything in them."""
        return self.gate.time_ms != BEGINNING_MS and tick_of(self.gate.time_ms) > tick_of(self.claim.time_ms)

    def _check_order(self, offset: int) -> None:
        due = self.claim.next_offset if self.expected is None else self.expected
        if offset > due or (self.expected is not None and offset < due):
            reason = (
                f"run {self.claim.run!r}, contribution partition {self.claim.part}: offset {offset} came where {due} was due; restart "
                "the worker; if that does not help, messages were deleted before they were folded: make the run again under a new name"
            )
            raise ContinuityError(reason)
        self.expected = offset + 1

    def _offer(self, part: FoldPart, offset: int) -> int:
        """Hand a part to the gate; returns the last tick of its new items."""
        # After a restart the first thing of a raw partition may be a late duplicate; the gate knows what was folded before.
        seen = self.seen.get(part.partition, part.first - 1)
        last_tick = BEGINNING_MS
        for item in part.items:
            if item.offset > seen:
                offered = self.gate.offer(part.partition, contributions=item.contributions, arrivals=item.arrivals)
                last_tick = max(last_tick, offered)
        self.seen[part.partition] = max(seen, part.last)
        if part.time_ms is not None and part.time_ms > self.gate.times_ms[part.partition]:
            self.gate.advance(part.partition, part.time_ms)
            self.moved_by[part.partition] = offset
        return last_tick

    def close(self) -> tuple[Folded, Move]:
        """Fold what has closed: the rows, and the progress that stands for them."""
        folded, last_folded = Folded(), self.claim.closed_tick
        self.fold.plan = self.in_force.plan()
        for closed in self.gate.close():
            self.fold.step(closed, folded)
            last_folded = closed.tick
        while self.unfolded and self.unfolded[0][1] <= self.gate.closed_tick:
            self.unfolded.popleft()
        return folded, Move(self.claim, self._next_offset(), self.gate.time_ms, last_folded)

    def _next_offset(self) -> int:
        """The lowest offset that a restart needs: unfolded items, or time of a raw partition that is ahead of the others.

        The time itself is stored only as far as all raw partitions have come; a finished one says nothing any more, so the
        message that brought its time must be read again.
        """
        open_tick = tick_of(self.gate.time_ms)
        ahead = [offset for partition, offset in self.moved_by.items() if tick_of(self.gate.times_ms[partition]) > open_tick]
        held = [self.unfolded[0][0]] if self.unfolded else []
        return min([*held, *ahead, self.expected or 0])


def series_of(partition: int, partitions: int = CONTRIBUTION_PARTITIONS) -> Callable[[str], bool]:
    """Whether a series belongs to a contribution partition."""
    return lambda series: partition_of(series, partitions) == partition
