"""Replay: the kept bytes of drops go back to the end of the run's raw log, as new records with a new time and a fate of their own.

    drops --chosen--> refused? (cut, removed, replayed before) --put back--> local log or raw topic --marked--> drop_marks

A drop stays what it was: the record that it stands for was fetched once and dropped once; the replayed one is fetched and
counted again, so the balance holds. The mark is written after the log has the bytes: a process that dies between the two may put
them back twice, and the second copy then counts as a duplicate.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from groundswell.codec import decode_raw, encode
from groundswell.errors import RecordError, UsageError
from groundswell.exports import iso
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN, RAW_PARTITIONS, partition_of
from groundswell.records import Envelope, Heartbeat, Position, RawDocument
from groundswell.store.drops import StoredDrop, drop_at, drops_of, mark_drops
from groundswell.store.store import Store
from stream.operators.normalise import clean, identity, source_name
from stream.pipeline import DROP_BYTES_MAX
from stream.shells.wire import open_envelope

BATCH: Final = 200
"""Drops that are put back and marked together: bounds memory at about 13 MB."""


class Returned(NamedTuple):
    """The bytes of a drop, with the source that they count for."""

    source: str
    body: bytes


Put = Callable[[Sequence[Returned]], None]
"""Puts records at the end of a run's raw log; they are there on return."""


@dataclass
class Replayed:
    """What a replay did."""

    put_back: list[StoredDrop] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)  # place -> why


def replay(
    store: Store, run: str, *, put: Put, now_ms: int, places: Sequence[Position] = (), reason: str | None = None, again: bool = False
) -> Replayed:
    """Put drops back.

    Args:
        store: where the drops are.
        run: the live run.
        put: the run's raw log.
        now_ms: the wall clock, for the mark.
        places: these drops; one that cannot be replayed refuses them all.
        reason: all drops whose reason begins so; those that cannot be replayed are passed over. Not together with `places`.
        again: also those that were replayed before.

    Raises:
        UsageError: another run than live, or a place whose drop cannot be put back.
        NotFoundError: nothing was dropped at a place.
        DependencyError: the log cannot be written; what was marked before is there.
    """
    if run != LIVE_RUN:
        error = f"run {run!r}: only the live run takes records; mend the archive, then make the run again under a new name"
        raise UsageError(error)
    done = Replayed()
    with store.read() as connection:
        chosen = [drop_at(connection, run, place)[0] for place in places]
        if reason is not None:
            chosen += sorted(drops_of(connection, run, reason=reason), key=lambda drop: (drop.known_ms, drop.position))
    refused = {drop.place: why for drop in chosen if (why := refusal(drop, again=again))}
    for place, why in refused.items():
        if places:
            error = f"drop {place}: {why}; nothing was put back"
            raise UsageError(error)
        done.passed_over[place] = why
    wanted = [drop for drop in chosen if drop.place not in refused]
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        _put_back(store, run, some, put=put, now_ms=now_ms)
        done.put_back += some
    return done


def refusal(drop: StoredDrop, *, again: bool = False) -> str | None:
    """Why a drop cannot be put back; None if it can."""
    if drop.removed_ms is not None:
        return f"its bytes were removed on {iso(drop.removed_ms)}"
    if not drop.bytes:
        return "none of its bytes were kept: its source's text may not be stored; let its source be fetched again"
    if drop.bytes >= DROP_BYTES_MAX:
        return f"only its first {DROP_BYTES_MAX:,} bytes were kept; let its source be fetched again"
    if drop.replayed_ms is not None and not again:
        return f"it was replayed on {iso(drop.replayed_ms)}; give --again to do so once more"
    return None


def _put_back(store: Store, run: str, drops: Sequence[StoredDrop], *, put: Put, now_ms: int) -> None:
    with store.read() as connection:
        found = [drop_at(connection, run, drop.position) for drop in drops]
    put([_returned(drop, body) for drop, body in found])
    with store.write() as connection:
        mark_drops(store, connection, run, [drop.position for drop in drops], replayed_ms=now_ms)


def _returned(drop: StoredDrop, body: bytes) -> Returned:
    """The source as intake will count it, so that what is fetched and what becomes of it meet under one name."""
    try:
        return Returned(source_name(decode_raw(body).source) or drop.source, body)
    except RecordError:
        return Returned(drop.source, body)


# --- the two logs -----------------------------------------------------------------------------------------------------------
def to_local_log(log: LocalLog, *, now_ms: Callable[[], int]) -> Put:
    """To the end of the embedded shell's log; its process may be running, another one writes to the file all the same."""

    def put(records: Sequence[Returned]) -> None:
        log.append([("document", record.source, record.body) for record in records], now_ms=now_ms())

    return put


def to_raw_topic(producer: Any) -> Put:
    """To the raw topic, where the crawler would have sent it.

    Args:
        producer: a RawProducer of the run.
    """

    def put(records: Sequence[Returned]) -> None:
        for partition, message in messages_of(record.body for record in records):
            producer.send(partition, message)
        producer.confirm()

    return put


def messages_of(bodies: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """(raw partition, message) of each record: its document's partition, so that all its copies meet; else any.

    Bytes that were a whole message (no envelope, or one of a later release) go as they came.

    >>> [message for _, message in messages_of([b'{"type":"document"}', b"no JSON"])]
    [b'{"v":1,"records":[{"type":"document"}],"time_ms":null}', b'no JSON']
    """
    return [(_partition(body), body if _whole_message(body) else encode(Envelope(records=[msgspec.Raw(body)]))) for body in bodies]


def _whole_message(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
        return open_envelope(body) is not None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, RecordError):
        return True


def _partition(body: bytes) -> int:
    try:
        raw = decode_raw(body)
    except RecordError:
        return int.from_bytes(blake2b(body, digest_size=8).digest()) % RAW_PARTITIONS
    return partition_of(raw.source if isinstance(raw, Heartbeat) else document_id_of(raw), RAW_PARTITIONS)


def document_id_of(raw: RawDocument) -> str:
    """The id that intake will give a document, whether or not it can be scored."""
    return identity(raw, text=f"{clean(raw.title)} {clean(raw.text)}")
