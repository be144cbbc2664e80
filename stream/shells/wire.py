"""What travels between the Kafka workers: raw envelopes in, fold messages between score and fold. Pure; no Kafka in here.

A fold message goes to every contribution partition for each batch, whatever it holds: arrivals and time belong to all.

    FoldMessage [ part of raw partition 3: first, last, time, items [offset, arrivals, contributions of this partition] ]
                [ part of raw partition 9: ... ]

An item is tagged with its raw offset. Senders start where everything before has been acknowledged by the broker, and send
in order; so for each raw partition a reader needs one number, the highest offset it has taken: what is not above it is a
duplicate, from a sender that started again or from a zombie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import msgspec

from groundswell.codec import SCHEMA_VERSION, decode, encode
from groundswell.errors import RecordError
from groundswell.names import CONTRIBUTION_PARTITIONS, ENVELOPE_BYTES_MAX, partition_of
from groundswell.records import Arrival, Contribution, Envelope, Position, Stamped
from stream.operators.admit import BEGINNING_MS, StampClock

MESSAGE_BYTES_MAX: Final = 8 * ENVELOPE_BYTES_MAX
"""What topics and clients let pass. Envelopes and fold messages aim at ENVELOPE_BYTES_MAX; one large item may lie above."""


NOBODY: Final = b"[]"
ITEMS_REMEMBERED: Final = 2_048
"""Of the items whose arrivals a process has read. It takes a few hundred messages of one partition, then the same of the next one."""


@dataclass(frozen=True)
class RawMessage:
    """One message of a raw partition, as the broker gave it."""

    offset: int
    append_ms: int  # Kafka's timestamp
    body: bytes  # an envelope, if all is well


class FoldItem(msgspec.Struct, frozen=True, array_like=True):
    """What one raw message led to, for one contribution partition."""

    offset: int
    heard: msgspec.Raw  # list[Arrival]: the same in every partition, so it is encoded once, and read once by a process that has many
    contributions: list[Contribution]

    @classmethod
    def of(cls, offset: int, arrivals: list[Arrival], contributions: list[Contribution]) -> Self:
        """An item of its records."""
        return cls(offset, msgspec.Raw(encode(arrivals)), contributions)

    @property
    def arrivals(self) -> list[Arrival]:
        """Who was heard; nobody may change the list.

        Raises:
            RecordError: something else was written there.
        """
        return _arrivals(bytes(self.heard))


@lru_cache(maxsize=ITEMS_REMEMBERED)
def _arrivals(body: bytes) -> list[Arrival]:
    return decode(body, list[Arrival])


class FoldPart(msgspec.Struct, frozen=True, array_like=True):
    """What a batch `[first, last]` of one raw partition led to, for one contribution partition."""

    partition: int
    first: int
    last: int
    time_ms: int | None  # everything of the raw partition known before this has been sent; None: more of the batch follows
    items: list[FoldItem]


class FoldMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the contribution topic."""

    v: int = 1
    parts: list[FoldPart]


@dataclass(frozen=True)
class RawBatch:
    """What a batch of one raw partition led to, for all contribution partitions."""

    partition: int
    first: int
    last: int
    time_ms: int | None
    items: list[FoldItem]  # only of messages that led to anything; offsets ascend


class _OwnTime(msgspec.Struct):
    """The one field of an archive's record that its stamp is made from."""

    known_ms: int | None = None


_own_time: Final = msgspec.json.Decoder(_OwnTime)


# --- raw messages ---------------------------------------------------------------------------------------------------------
def stamp_message(message: RawMessage, partition: int, clock: StampClock, *, live: bool) -> list[Stamped]:
    """The records of a raw message with their stamps, and the partition's time moved behind them.

    Live, the log's append time is the stamp of every record. An archive's records bring their own known time; one that
    cannot say it takes its envelope's, else the partition's time so far. A message that is no envelope is handed on as one
    record, so that it is counted (as a drop with its bytes) instead of being lost.

    Raises:
        RecordError: an envelope of a later schema than this release reads.
    """
    envelope = open_envelope(message.body)
    bodies = [message.body] if envelope is None else [bytes(record) for record in envelope.records]
    stamped = []
    for index, body in enumerate(bodies):
        known_ms = clock.stamp(message.append_ms if live else _known_ms(body, envelope))
        stamped.append(Stamped(Position(partition, message.offset, index), known_ms, body))
    if live:
        clock.stamp(message.append_ms)
    elif envelope is not None and envelope.time_ms is not None:
        clock.stamp(envelope.time_ms)
    return stamped


def open_envelope(body: bytes) -> Envelope | None:
    """An envelope from its bytes; None where the bytes are none.

    Raises:
        RecordError: it is of a later schema than this release reads: nothing of it may be guessed at or thrown away.
    """
    try:
        envelope = decode(body, Envelope)
    except RecordError:
        return None
    if envelope.v > SCHEMA_VERSION:
        reason = f"envelope: schema version {envelope.v}, this release reads {SCHEMA_VERSION}; upgrade the workers before the crawlers"
        raise RecordError(reason)
    # Any JSON object decodes as an envelope without records; what a stranger sent must not pass for a punctuation.
    return envelope if envelope.records or b'"records"' in body else None


def _known_ms(body: bytes, envelope: Envelope | None) -> int:
    try:
        known_ms = _own_time.decode(body).known_ms
    except (msgspec.MsgspecError, UnicodeDecodeError):
        known_ms = None
    if known_ms is None and envelope is not None:
        known_ms = envelope.time_ms
    return BEGINNING_MS if known_ms is None else known_ms


def punctuation(time_ms: int | None = None) -> bytes:
    """An envelope that only moves time: to the broker's append time, or (archives) to a given one.

    >>> open_envelope(punctuation(7)).time_ms
    7
    """
    return encode(Envelope(time_ms=time_ms))


# --- fold messages --------------------------------------------------------------------------------------------------------
def fold_messages(
    batches: Sequence[RawBatch], *, size_max: int = ENVELOPE_BYTES_MAX, partitions: int = CONTRIBUTION_PARTITIONS
) -> list[list[bytes]]:
    """Encoded messages of each contribution partition, in the order in which they must be sent.

    A partition without contributions gets its message too: arrivals and time are for all.
    """
    parts: list[list[FoldPart]] = [[] for _ in range(partitions)]
    for batch in batches:
        mine: list[list[FoldItem]] = [[] for _ in range(partitions)]
        for item in batch.items:
            split: list[list[Contribution]] = [[] for _ in range(partitions)]
            for contribution in item.contributions:
                split[partition_of(contribution.series, partitions)].append(contribution)
            for place, contributions in enumerate(split):
                if contributions or bytes(item.heard) != NOBODY:
                    mine[place].append(FoldItem(item.offset, item.heard, contributions))
        for place, items in enumerate(mine):
            parts[place].append(FoldPart(batch.partition, batch.first, batch.last, batch.time_ms, items))
    return [_packed(of_one, size_max) for of_one in parts]


def held_size(items: Sequence[FoldItem]) -> tuple[int, int]:
    """(contributions, bytes) that fold holds of a batch's items, all contribution partitions together, until their tick closes."""
    records = sum(len(item.contributions) for item in items)
    size_bytes = sum(len(encode(item.contributions)) + CONTRIBUTION_PARTITIONS * len(bytes(item.heard)) for item in items)
    return records, size_bytes


def _packed(parts: list[FoldPart], size_max: int) -> list[bytes]:
    """One message, or as many as the size asks for; only the last piece of a part moves time."""
    whole = encode(FoldMessage(parts=parts))
    if len(whole) <= size_max:
        return [whole]
    if len(parts) > 1:
        half = len(parts) // 2
        return _packed(parts[:half], size_max) + _packed(parts[half:], size_max)
    part = parts[0]
    if len(part.items) < 2:
        return [whole]
    half = len(part.items) // 2
    border = part.items[half].offset
    early = FoldPart(part.partition, part.first, border - 1, None, part.items[:half])
    late = FoldPart(part.partition, border, part.last, part.time_ms, part.items[half:])
    return _packed([early], size_max) + _packed([late], size_max)


def open_fold_message(body: bytes) -> FoldMessage:
    """A fold message from its bytes.

    Raises:
        RecordError: something else was written to the contribution topic, or a later release wrote this.
    """
    message = decode(body, FoldMessage)
    if message.v > SCHEMA_VERSION:
        reason = f"fold message: schema version {message.v}, this release reads {SCHEMA_VERSION}; upgrade fold before score"
        raise RecordError(reason)
    return message
