"""Publish to a run's raw topic: the crawler's way in, and a sealed archive's.

An archive's records go to their raw partition in the log's order, up to 256 to an envelope, each with its known time. A record
that cannot say its known time travels alone, in an envelope that says it. At the end every partition gets a punctuation:
everything known has been sent.
"""

from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from sqlalchemy import select

from groundswell.codec import decode_raw, encode
from groundswell.errors import DependencyError, NotFoundError, RecordError, UsageError
from groundswell.kafka_access import KafkaAccess
from groundswell.local_log import LocalLog
from groundswell.names import ENVELOPE_BYTES_MAX, ENVELOPE_RECORDS_MAX, RAW_PARTITIONS, TICK_MS, partition_of, raw_topic
from groundswell.records import Envelope, RawDocument, Stamped
from groundswell.store import schema as t
from groundswell.store.basis import BASIS
from groundswell.store.store import Store
from stream.operators.normalise import normalise
from stream.shells.backfill import KIND, ArchiveOptions, Progress, account_for, basis_counted, log_path, stage_archives
from stream.shells.instruments import Instruments, update_manifest
from stream.shells.topics import prepare_run
from stream.shells.wire import MESSAGE_BYTES_MAX, punctuation

READ_RECORDS: Final = 5_000
UNCONFIRMED_MAX: Final = 1_000
"""Envelopes on their way at a time: bounds memory."""


class RawProducer:
    """Sends envelopes to the raw partitions of a run, durably and in order.

    Args:
        kafka: the brokers; a bare HOST:PORT has neither encryption nor login.
        run: whose raw topic.

    Raises:
        DependencyError: the broker does not answer, or refuses.
    """

    def __init__(self, kafka: KafkaAccess | str, run: str) -> None:
        self._access, self._topic = KafkaAccess.of(kafka), raw_topic(run)
        self._unconfirmed: deque[Any] = deque()
        self._access.check_reachable()
        try:
            # acks=all and idempotent: a retry neither loses nor doubles, and the order of a partition stays.
            self._producer = KafkaProducer(
                acks="all", enable_idempotence=True, linger_ms=5, max_request_size=MESSAGE_BYTES_MAX, **self._access.for_kafka_python()
            )
        except KafkaError as error:
            raise self._away(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, partition: int, envelope: bytes) -> None:
        """Send an envelope; waits while too many are on their way.

        Raises:
            DependencyError: an envelope could not be delivered, this one or an earlier one.
        """
        try:
            self._unconfirmed.append(self._producer.send(self._topic, value=envelope, partition=partition))
        except KafkaError as error:
            raise self._away(error) from error
        while len(self._unconfirmed) > UNCONFIRMED_MAX:
            self._confirm_one()

    def punctuate(self) -> None:
        """Move the time of every raw partition to the broker's append time; a crawler does it every 2 s."""
        for partition in range(RAW_PARTITIONS):
            self.send(partition, punctuation())

    def confirm(self) -> None:
        """Return when the broker has everything.

        Raises:
            DependencyError: something could not be delivered.
        """
        while self._unconfirmed:
            self._confirm_one()

    def close(self) -> None:
        """Give the connections back; call `confirm` before."""
        self._producer.close()

    def _confirm_one(self) -> None:
        try:
            self._unconfirmed.popleft().get(timeout=120)
        except KafkaError as error:
            raise self._away(error) from error

    def _away(self, error: KafkaError) -> DependencyError:
        return self._access.refused(error, place=f", topic {self._topic}")


def raw_partition(raw: RawDocument, *, known_ms: int) -> int:
    """The raw partition where all copies of a document meet.

    Raises:
        RecordError: the document cannot be normalised; any partition will do.
    """
    return partition_of(normalise(raw, known_ms=known_ms).document_id, RAW_PARTITIONS)


def publish_archive(
    log: LocalLog,
    kafka: KafkaAccess | str,
    run: str,
    *,
    store: Store,
    envelope_records: int = ENVELOPE_RECORDS_MAX,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Publish a sealed archive to the run's raw topic, once. The run has been made by `prepare_run`.

    Args:
        log: sorted by known time.
        kafka: the brokers.
        run: a run that is not live.
        store: where the run's manifest remembers that its archive was published.
        envelope_records: most records of one envelope.
        progress: told how many records have been handed over.

    Returns:
        How many records were published.

    Raises:
        UsageError: the log is not sealed, or the run's archive was published before, perhaps only in part.
        NotFoundError: there is no such run.
        DependencyError: the broker went away: start again under a new run name.
    """
    if not log.sealed:
        reason = f"log {log.path}: it is not sorted yet; seal it, then publish"
        raise UsageError(reason)
    _mark_begun(store, run)
    with RawProducer(kafka, run) as producer:
        sent = send_archive(log, producer.send, envelope_records=envelope_records, progress=progress)
        producer.confirm()
    update_manifest(store, run, published=sent)
    return sent


def publish_files(
    files: Sequence[Path],
    store: Store,
    run: str,
    instruments: Instruments,
    *,
    kafka: KafkaAccess | str,
    data_dir: Path,
    options: ArchiveOptions,
    progress: Progress = lambda _phase, _done, _total: None,
) -> int:
    """`groundswell backfill --kafka`: read and sort archives, and publish them to topics of their own.

    Returns:
        How many records were published.

    Raises:
        UsageError: a file that cannot be an archive, or a run that exists.
        DependencyError: broker, store or disk refuse.
    """
    prepare_run(store, kafka, run, kind=KIND, instruments=instruments, manifest={"files": sorted(f.name for f in files)})
    with stage_archives(files, log_path(data_dir, store, run), options, progress) as log:
        total = log.records()
        sent = publish_archive(log, kafka, run, store=store, progress=lambda done: progress("publish", done, total))
        account_for(store, run, log, log.bad_lines())
        update_manifest(store, run, **{BASIS: basis_counted(log)})
    for leftover in log.path.parent.glob(log.path.name + "*"):
        leftover.unlink()
    return sent


def _mark_begun(store: Store, run: str) -> None:
    with store.write() as connection:
        where = t.runs.c.run == run
        body = connection.execute(select(t.runs.c.manifest).where(where).with_for_update()).scalar_one_or_none()
        if body is None:
            reason = f"run {run!r}: it is not stored; make it with prepare_run first"
            raise NotFoundError(reason)
        manifest = msgspec.json.decode(body)
        if "published" in manifest:
            how = "only in part" if manifest["published"] is None else f"with {manifest['published']} records"
            reason = f"run {run!r}: its archive was published before, {how}; a second time would count twice: choose another --run name"
            raise UsageError(reason)
        connection.execute(t.runs.update().where(where).values(manifest=encode(manifest | {"published": None})))


def send_archive(
    log: LocalLog,
    send: Callable[[int, bytes], None],
    *,
    envelope_records: int = ENVELOPE_RECORDS_MAX,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Hand a sealed archive's envelopes to `send(raw partition, envelope)`, and at the end a punctuation to each partition.

    Returns:
        How many records were handed over.
    """
    waiting: list[list[bytes]] = [[] for _ in range(RAW_PARTITIONS)]
    sizes = [0] * RAW_PARTITIONS

    def flush(partition: int) -> None:
        if waiting[partition]:
            send(partition, encode(Envelope(records=[msgspec.Raw(body) for body in waiting[partition]])))
        waiting[partition], sizes[partition] = [], 0

    sent = position = 0
    while batch := log.read(position, limit=READ_RECORDS):
        for stamped in batch:
            partition, body = _place(stamped)
            if body is None:
                flush(partition)
                for message in _alone(stamped):
                    send(partition, message)
                continue
            if len(waiting[partition]) == envelope_records or sizes[partition] + len(body) > ENVELOPE_BYTES_MAX:
                flush(partition)
            waiting[partition].append(body)
            sizes[partition] += len(body) + 1
        sent += len(batch)
        position = batch[-1].position.offset + 1
        progress(sent)
    for partition in range(RAW_PARTITIONS):
        flush(partition)
        if sent:
            send(partition, punctuation((log.last_known_ms() or 0) + 2 * TICK_MS))
    return sent


def _place(stamped: Stamped) -> tuple[int, bytes | None]:
    """Raw partition of a record, and its bytes with its known time; None where it cannot carry one."""
    anywhere = int.from_bytes(blake2b(stamped.body, digest_size=8).digest()) % RAW_PARTITIONS
    try:
        raw = decode_raw(stamped.body)
    except RecordError:
        return anywhere, None
    if not isinstance(raw, RawDocument):
        return anywhere, None
    body = stamped.body if raw.known_ms == stamped.known_ms else encode(msgspec.structs.replace(raw, known_ms=stamped.known_ms))
    try:
        return raw_partition(raw, known_ms=stamped.known_ms), body
    except RecordError:
        return anywhere, body


def _alone(stamped: Stamped) -> list[bytes]:
    """A record that cannot say its known time, in an envelope that does; bytes that are not JSON go as themselves, behind a punctuation."""
    try:
        msgspec.json.decode(stamped.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [punctuation(stamped.known_ms), stamped.body]
    return [encode(Envelope(records=[msgspec.Raw(stamped.body)], time_ms=stamped.known_ms))]
