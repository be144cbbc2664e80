"""Score, as the owner of one raw partition: facts stored first, then what they lead to, ready to be sent. No Kafka in here.

A partition does not run further ahead of what is folded than its `lead` allows: what one raw partition is ahead of the others
fold has to hold in memory.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from sqlalchemy import select, union_all

from groundswell.errors import ContinuityError
from groundswell.metrics import Metrics
from groundswell.names import CONTRIBUTION_PARTITIONS, ENVELOPE_BYTES_MAX, RAW_PARTITIONS, ROLE_SCORE
from groundswell.records import Admission, Contribution, Stamped
from groundswell.store import schema as t
from groundswell.store.facts import in_span
from groundswell.store.progress import Claim, claim
from groundswell.store.times import documents_since, folded_ms
from stream.operators.admit import BEGINNING_MS, StampClock
from stream.operators.lead import Lead
from stream.pipeline import arrivals_of
from stream.shells.intake_stage import IntakePart, IntakeStage, Taken
from stream.shells.wire import FoldItem, RawBatch, RawMessage, held_size, stamp_message

BATCH_BYTES: Final = 2 * ENVELOPE_BYTES_MAX
"""Raw bytes of one partition in one transaction, about: whole messages only."""

HELD_RECORDS_MAX: Final = 800_000
HELD_BYTES_MAX: Final = 512 * 1024 * 1024
"""What fold may have to hold of a run, all its processes together; each raw partition may use its part of it."""

MESSAGE_HELD_BYTES: Final = 8 * 1024
"""What fold's clients keep for one batch that holds nothing, about: a message that is not acknowledged, in each partition."""

DOCUMENT_HELD: Final = (4, 4 * 1024)
"""Contributions and bytes of one document, about: for what a former owner has sent."""


class _MadeStamps(StampClock):
    """A clock for records whose stamps were made before: it stands at the batch's end and lets them pass."""

    def stamp(self, known_ms: int) -> int:
        """The stamp itself."""
        return known_ms


@dataclass
class ScorePartition:
    """One raw partition, from its assignment to its revocation.

    Args:
        stage: shared by the partitions of a process; called by one thread at a time.
        claim: this owner's; see `open`.
        live: the log's append time is the stamp; an archive's records bring their own.
        metrics: instruments of this process; replays are not counted again.
        lead: how far it may run ahead of what is folded.
        partitions: how many contribution partitions fold it.
    """

    stage: IntakeStage
    claim: Claim
    live: bool
    metrics: Metrics | None = None
    lead: Lead = field(default_factory=lambda: lead_of())
    partitions: int = CONTRIBUTION_PARTITIONS
    expected: int | None = None  # offset of the next message; None before the first
    clock: StampClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = StampClock(self.claim.time_ms)

    @classmethod
    def open(
        cls,
        stage: IntakeStage,
        partition: int,
        *,
        owner: str,
        log_id: str,
        live: bool,
        metrics: Metrics | None = None,
        lead: Lead | None = None,
        partitions: int = CONTRIBUTION_PARTITIONS,
    ) -> Self:
        """Take the partition: whoever had it before can store nothing any more.

        Raises:
            ContinuityError: the stored progress belongs to another topic.
        """
        taken = claim(stage.store, stage.run, ROLE_SCORE, part=partition, owner=owner, log_id=log_id)
        mine = cls(stage, taken, live, metrics, lead or lead_of(), partitions)
        if taken.time_ms != BEGINNING_MS:  # what its former owners have sent is held like its own
            with stage.store.read() as connection:
                since_ms = folded_ms(connection, stage.run, partitions=partitions)
                documents = documents_since(connection, stage.run, partition, since_ms=since_ms)
            records, size_bytes = DOCUMENT_HELD
            mine.lead.send(taken.time_ms, records=documents * records, size_bytes=documents * size_bytes)
        return mine

    def may_take(self, offset: int) -> bool:
        """Whether the partition may take its next message now, which has this offset.

        If not, its messages wait, and it is asked again when more may have been folded; other partitions go on meanwhile.
        """
        if offset < self.claim.next_offset:
            return True  # a replay: fold may be waiting for what the former owner has stored and not sent
        if self.lead.is_full:
            with self.stage.store.read() as connection:
                self.lead.fold(folded_ms(connection, self.claim.run, partitions=self.partitions))
        return self.lead.may_go_on(self.clock.time_ms)

    def take(self, messages: Sequence[RawMessage]) -> list[RawBatch]:
        """Store what messages bring, and return what has to be sent before they are acknowledged; see `take_together`."""
        return take_together([(self, messages)])[0]

    def replay(self, messages: Sequence[RawMessage]) -> tuple[list[RawBatch], Sequence[RawMessage]]:
        """What those of some messages lead to that were stored before, and the others.

        Replays keep the known times that they were admitted with, cost no inference and lead to the same again.

        Raises:
            ContinuityError: messages are missing.
        """
        self._check_order(messages)
        replayed = [message for message in messages if message.offset < self.claim.next_offset]
        return [self._replay(replayed)] if replayed else [], messages[len(replayed) :]

    def _check_order(self, messages: Sequence[RawMessage]) -> None:
        for message in messages:
            where = f"run {self.claim.run!r}, raw partition {self.claim.part}"
            if self.expected is None and message.offset > self.claim.next_offset:
                reason = (
                    f"{where}: the first message has offset {message.offset}, the store stopped before {self.claim.next_offset}; "
                    "messages were deleted before they were read: restore the topic, or go on in a new run"
                )
                raise ContinuityError(reason)
            if self.expected is not None and message.offset != self.expected:
                reason = f"{where}: offset {message.offset} came where {self.expected} was due; restart the worker"
                raise ContinuityError(reason)
            self.expected = message.offset + 1

    def part_of(self, messages: Sequence[RawMessage]) -> IntakePart:
        """New messages as the stage takes them; the partition's time is moved behind them."""
        records = [record for m in messages for record in stamp_message(m, self.claim.part, self.clock, live=self.live)]
        # Punctuations leave no row: offset and time are moved here, so that a restart knows all the time that was passed on.
        return IntakePart(records, _MadeStamps(self.clock.time_ms), self.claim, messages[-1].offset + 1)

    def stored(self, messages: Sequence[RawMessage], taken: Taken, moved: Claim | None, *, seconds: float) -> RawBatch:
        """New messages are stored, so long after they were taken: what they lead to."""
        self.claim = moved or self.claim
        if self.metrics is not None:
            known_ms = max(0, self.clock.time_ms)
            self.metrics.observe_intake(taken.admissions, taken.scored, taken.drops, seconds=seconds, known_ms=known_ms)
        batch = self._batch(messages, taken, time_ms=self.clock.time_ms)
        held, size_bytes = held_size(batch.items)
        self.lead.send(self.clock.time_ms, records=held, size_bytes=size_bytes + MESSAGE_HELD_BYTES)
        return batch

    def _replay(self, messages: Sequence[RawMessage]) -> RawBatch:
        stored = self._stored_stamps(messages[0].offset, messages[-1].offset)
        records = []
        for message in messages:
            for record in stamp_message(message, self.claim.part, StampClock(), live=self.live):
                place = record.position.offset, record.position.index
                records.append(Stamped(record.position, stored.get(place, record.known_ms), record.body, record.source))
        taken, _ = self.stage.take(records, _MadeStamps())
        is_all = messages[-1].offset + 1 == self.claim.next_offset
        return self._batch(messages, taken, time_ms=self.claim.time_ms if is_all else None)

    def _stored_stamps(self, first: int, last: int) -> dict[tuple[int, int], int]:
        """{(offset, index): known_ms} of what was admitted or dropped in a span of offsets."""
        spans = []
        for table in (t.admissions, t.drops):
            c, mine = table.c, in_span(table, self.claim.run, self.claim.part, first, last)
            spans.append(select(c.position, c.place, c.known_ms).where(mine))
        with self.stage.store.read() as connection:
            return {(position, place): known_ms for position, place, known_ms in connection.execute(union_all(*spans))}

    def _batch(self, messages: Sequence[RawMessage], taken: Taken, *, time_ms: int | None) -> RawBatch:
        admissions: dict[int, list[Admission]] = defaultdict(list)
        contributions: dict[int, list[Contribution]] = defaultdict(list)
        for admission in taken.admissions:
            admissions[admission.position.offset].append(admission)
        for position, contribution in taken.contributions:
            contributions[position.offset].append(contribution)
        items = [FoldItem.of(offset, arrivals_of(found), contributions[offset]) for offset, found in sorted(admissions.items())]
        return RawBatch(self.claim.part, messages[0].offset, messages[-1].offset, time_ms, items)


def take_together(given: Sequence[tuple[ScorePartition, Sequence[RawMessage]]]) -> list[list[RawBatch]]:
    """Store what messages of some partitions of one process bring: what is new in one transaction, what is replayed before it.

    Args:
        given: partitions, ascending, each with its messages.

    Returns:
        Of each partition what has to be sent before its messages are acknowledged.

    Raises:
        ContinuityError: messages are missing.
        OwnershipLostError: another process owns one of the partitions; nothing new was stored.
        DependencyError: the store is away; nothing new was stored.
    """
    batches: list[list[RawBatch]] = []
    fresh: list[tuple[int, ScorePartition, Sequence[RawMessage]]] = []
    for place, (mine, messages) in enumerate(given):
        replayed, new = mine.replay(messages)
        batches.append(replayed)
        if new:
            fresh.append((place, mine, new))
    if not fresh:
        return batches
    begun_s = time.monotonic()
    taken = fresh[0][1].stage.take_all([mine.part_of(new) for _, mine, new in fresh])
    seconds = time.monotonic() - begun_s
    for (place, mine, new), (led_to, moved) in zip(fresh, taken, strict=True):
        batches[place].append(mine.stored(new, led_to, moved, seconds=seconds))
    return batches


def lead_of(*, held_records_max: int = HELD_RECORDS_MAX, held_bytes_max: int = HELD_BYTES_MAX) -> Lead:
    """How far one raw partition may run ahead, where fold may hold so much of all of them.

    >>> lead_of(held_records_max=1_600).records_max
    100
    """
    return Lead(max(1, held_records_max // RAW_PARTITIONS), max(1, held_bytes_max // RAW_PARTITIONS))


def in_batches(messages: Sequence[RawMessage], *, bytes_max: int = BATCH_BYTES) -> list[list[RawMessage]]:
    """Messages of one partition as batches that one transaction can hold, in order.

    >>> [len(b) for b in in_batches([RawMessage(n, 0, b"x" * 40) for n in range(5)], bytes_max=100)]
    [2, 2, 1]
    """
    batches: list[list[RawMessage]] = []
    size = 0
    for message in messages:
        if not batches or size + len(message.body) > bytes_max:
            batches.append([])
            size = 0
        batches[-1].append(message)
        size += len(message.body)
    return batches
