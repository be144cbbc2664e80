"""Where a crawler's records go: the local log of one process, or Kafka with a spool on disk for when the broker is away."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from groundswell import codec
from groundswell.clock import Clock
from groundswell.errors import DependencyError, reason_of
from groundswell.kafka_access import KafkaAccess
from groundswell.local_log import LocalLog
from groundswell.logs import logger
from groundswell.names import LIVE_RUN, RAW_PARTITIONS, partition_of, raw_topic
from groundswell.records import Envelope, Heartbeat, RawDocument

__all__ = ["KafkaSink", "LocalLogSink", "Sink"]

RawRecord = RawDocument | Heartbeat
PUNCTUATION: Final = codec.encode(Envelope())
ENVELOPES_AT_ONCE: Final = 64  # not yet acknowledged; bounds memory together with names.ENVELOPE_BYTES_MAX
SPOOL_BATCH: Final = 1_000
SPOOL_BYTES_MAX: Final = 2_000_000_000
DRAIN_S: Final = 1.0  # of one tick: polls that have ended wait meanwhile
RECONNECT_S: Final = 10.0

log = logger(__name__)


class Sink(Protocol):
    """Takes a crawler's records. Called from one thread at a time, any thread."""

    def put(self, records: Sequence[RawRecord]) -> None:
        """Take records in this order; they are safe on return.

        Raises:
            DependencyError: they could not be made safe; none may be taken for delivered.
        """
        ...

    def tick(self) -> int:
        """Called about every two seconds, records or not: say that time goes on, and send what had to wait.

        Returns:
            How many records still wait.
        """
        ...

    def close(self) -> None:
        """No call follows."""
        ...


class LocalLogSink:
    """Appends to the local log; its reader learns from the clock that time goes on.

    Args:
        to: the log; closed by whoever opened it.
        clock: stamps the records.
        name: a source's name as it will be stored and counted, so that what was fetched and what became of it meet under one name.
    """

    def __init__(self, to: LocalLog, *, clock: Clock, name: Callable[[str], str] = lambda source: source) -> None:
        self._log, self._clock, self._name = to, clock, name

    def put(self, records: Sequence[RawRecord]) -> None:
        """Append, durably."""
        if records:
            rows = ((kind, self._name(source) or "?", body) for kind, source, body in map(_row, records))
            self._log.append(rows, now_ms=self._clock.now_ms())

    def tick(self) -> int:
        """Nothing ever waits here."""
        return 0

    def close(self) -> None:
        """The log stays open."""


def _row(record: RawRecord) -> tuple[str, str, bytes]:
    return ("document" if isinstance(record, RawDocument) else "heartbeat", record.source, codec.encode(record))


class KafkaSink:
    """Publishes envelopes to the raw topic, acknowledged by all replicas; while the broker is away, a spool keeps the order.

    A document's partition follows from its identity, so that all its copies meet in one log. While anything waits in the spool,
    everything new joins it behind. What was sent but not acknowledged is sent again: duplicates are recognised downstream.

    Args:
        kafka: the brokers; a bare "host:port" has neither encryption nor login. Its files are read once, here.
        run: whose raw topic.
        identity: the document id that the pipeline will give a record.
        spool: file of the spool; made when it is first needed, removed when it is empty.
        clock: stamps spooled records.
        wait_s: how long one call may wait for the broker.
        reconnect_s: how long a broker that was away is left alone.
        spool_bytes_max: how large the spool's file may become.

    Raises:
        UsageError: an address that is none, or a TLS file that cannot be read.
    """

    def __init__(
        self,
        kafka: KafkaAccess | str,
        run: str = LIVE_RUN,
        *,
        identity: Callable[[RawDocument], str],
        spool: Path,
        clock: Clock,
        wait_s: float = 5.0,
        reconnect_s: float = RECONNECT_S,
        spool_bytes_max: int = SPOOL_BYTES_MAX,
    ) -> None:
        self.topic = raw_topic(run)
        self._access, self._identity, self._clock, self._wait_s = KafkaAccess.of(kafka), identity, clock, wait_s
        self._access.addresses()
        self._tls = self._access.tls()
        self._reconnect_s = reconnect_s
        self._spool = _Spool(spool, bytes_max=spool_bytes_max)
        self._producer: Any = None
        self._retry_at_s = 0.0

    def connect(self) -> None:
        """Reach the broker and find the topic; calling it is optional, and after an error `put` still takes records.

        Raises:
            DependencyError: no broker answers within `wait_s`, or the topic is missing or has another number of partitions.
        """
        if self._producer is not None:
            return
        from kafka import KafkaProducer
        from kafka.errors import KafkaError
        from kafka.net.compat import KafkaNetClient

        clients: list[Any] = []

        def client_of(**configs: Any) -> Any:
            # A producer that fails while it is made (kafka-python 3.0) leaves its sockets open, and we try again every ten seconds.
            clients.append(KafkaNetClient(**configs))
            return clients[0]

        wait_ms = int(self._wait_s * 1_000)
        producer = None
        try:
            self._access.check_reachable(wait_s=self._wait_s, context=self._tls)
            producer = KafkaProducer(
                kafka_client=client_of,
                **self._access.for_kafka_python(self._tls),
                client_id="groundswell-crawler",
                acks="all",
                enable_idempotence=True,
                allow_auto_create_topics=False,
                compression_type="gzip",
                linger_ms=5,
                bootstrap_timeout_ms=wait_ms,
                max_block_ms=wait_ms,
                request_timeout_ms=wait_ms,
                delivery_timeout_ms=2 * wait_ms,
                metrics_enabled=False,
            )
            partitions = self._partitions(producer)
        except (KafkaError, OSError, ValueError, AssertionError, DependencyError) as error:
            if producer is not None:
                _abandon(producer, wait_s=self._wait_s)
            elif clients:
                clients[0].close()
            away = error if isinstance(error, DependencyError) else self._access.refused(error)
            reason = f"{away}; records wait in {self._spool.path}"
            raise DependencyError(reason) from error
        if partitions != set(range(RAW_PARTITIONS)):
            _abandon(producer, wait_s=self._wait_s)
            found = f"has {len(partitions)} partitions" if partitions else "is missing"
            reason = (
                f"Kafka {self._access.bootstrap}: topic {self.topic} {found}; "
                f"create it with {RAW_PARTITIONS} partitions and message.timestamp.type=LogAppendTime"
            )
            raise DependencyError(reason)
        self._producer = producer

    def _partitions(self, producer: Any) -> set[int]:
        from kafka.errors import KafkaTimeoutError

        try:
            return set(producer.partitions_for(self.topic) or ())
        except KafkaTimeoutError:  # a broker has answered before, so it is the topic that is not there
            return set()

    def put(self, records: Sequence[RawRecord]) -> None:
        """Publish, or spool; one of the two has happened on return.

        Raises:
            DependencyError: the broker is away, and the spool is full or cannot be written either.
        """
        rows = [_row(record) for record in records]
        if not self._spool.empty or not self._ready():
            self._spool.append(rows, now_ms=self._clock.now_ms())
            return
        unsent = self._publish([(self._partition(record), row) for record, row in zip(records, rows, strict=True)])
        if unsent:
            self._spool.append(unsent, now_ms=self._clock.now_ms())

    def tick(self) -> int:
        """Send what waits, then an empty envelope to every partition."""
        if self._ready() and self._drain():
            self._send([(partition, PUNCTUATION) for partition in range(RAW_PARTITIONS)])
        return self._spool.waiting

    def trouble(self) -> str | None:
        """What waits on disk and why, in one line; None where nothing does. Asked from any thread."""
        waiting = self._spool.waiting
        if not waiting:
            return None
        why = "the broker takes them again" if self._producer is not None else "the broker is away"
        return f"{waiting} records wait in {self._spool.path} ({self._spool.filled():.0%} of data.spool_mb_max): {why}"

    def close(self) -> None:
        """Let go of the broker; what waits stays on disk."""
        if self._producer is not None:
            _abandon(self._producer, wait_s=self._wait_s)  # nothing is pending: every call has waited for its acknowledgements
            self._producer = None
        self._spool.close()

    # --- sending ------------------------------------------------------------------------------------------------------
    def _ready(self) -> bool:
        """Whether there is a producer; one try per `reconnect_s`, so that a broker that is away does not hold up the polls."""
        if self._producer is None and time.monotonic() >= self._retry_at_s:
            try:
                self.connect()
            except DependencyError as error:
                self._retry_at_s = time.monotonic() + self._reconnect_s
                log.warning("broker away, records go to the spool", reason=reason_of(error), waiting=self._spool.waiting)
        return self._producer is not None

    def _partition(self, record: RawRecord) -> int:
        key = self._identity(record) if isinstance(record, RawDocument) else record.source
        return partition_of(key, RAW_PARTITIONS)

    def _publish(self, rows: Sequence[tuple[int, tuple[str, str, bytes]]]) -> list[tuple[str, str, bytes]]:
        """Send rows with their partitions, in order; returns those that were not acknowledged, in order."""
        by_partition: dict[int, list[tuple[str, str, bytes]]] = {}
        for partition, row in rows:
            by_partition.setdefault(partition, []).append(row)
        messages: list[tuple[int, bytes]] = []
        counts: list[tuple[int, int]] = []  # (partition, records) of each message
        for partition, held in by_partition.items():
            for envelope in codec.envelopes_of([body for _, _, body in held]):
                messages.append((partition, envelope))
                counts.append((partition, len(codec.records_of(envelope))))
        sent = self._send(messages)
        if sent == len(messages):
            return []
        acknowledged: dict[int, int] = {}
        for partition, count in counts[:sent]:
            acknowledged[partition] = acknowledged.get(partition, 0) + count
        unsent = []
        for partition, row in rows:
            if acknowledged.get(partition, 0):
                acknowledged[partition] -= 1
            else:
                unsent.append(row)
        return unsent

    def _send(self, messages: Sequence[tuple[int, bytes]]) -> int:
        """Send messages in order; returns how many of the first ones were acknowledged. After a failure the producer is gone."""
        from kafka.errors import KafkaError

        done = 0
        try:
            for start in range(0, len(messages), ENVELOPES_AT_ONCE):
                some = messages[start : start + ENVELOPES_AT_ONCE]
                pending = [self._producer.send(self.topic, value=value, partition=partition) for partition, value in some]
                for future in pending:
                    future.get(timeout=3 * self._wait_s)
                    done += 1
        except (KafkaError, OSError) as error:
            log.warning("broker lost", reason=reason_of(error), unsent=len(messages) - done)
            _abandon(self._producer, wait_s=self._wait_s)
            self._producer = None
            self._retry_at_s = time.monotonic() + self._reconnect_s
        return done

    def _drain(self) -> bool:
        """Send the spool's records in order, batch by batch, until nothing waits any more (True) or it has been long enough."""
        until_s = time.monotonic() + DRAIN_S
        while rows := self._spool.read():
            unsent = self._publish([(self._partition_of_body(body), (kind, source, body)) for kind, source, body in rows])
            if unsent:
                return False
            self._spool.advance(len(rows))
            if not self._spool.empty and time.monotonic() > until_s:
                return False
        return True

    def _partition_of_body(self, body: bytes) -> int:
        return self._partition(codec.decode_raw(body))


def _abandon(producer: Any, *, wait_s: float) -> None:
    """Close a producer and throw away its buffer: it must not deliver, behind our back, what the spool sends again in order.

    kafka-python 3.0 has no such call: `close(timeout=0)` raises while a batch is pending, and leaves its thread sending.
    """
    from kafka.errors import KafkaError

    producer._sender.force_close()
    with contextlib.suppress(KafkaError):
        producer.close(timeout=wait_s)


class _Spool:
    """Records that wait, in order, on disk: a local log and, beside it, how far it has been sent."""

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        self.path, self._bytes_max = path, bytes_max
        self._mark = path.with_name(path.name + ".sent")
        self._log = LocalLog(path) if path.exists() else None
        self._next = self._marked()
        self.waiting = self._count()

    @property
    def empty(self) -> bool:
        return self.waiting == 0

    def _marked(self) -> int:
        """Position of the last record that was sent; a mark of another file (a crash while it was removed) says nothing."""
        if self._log is None or not self._mark.exists():
            return 0
        log_id, _, position = self._mark.read_text().partition(" ")
        return int(position) if log_id == self._log.log_id and position.isdigit() else 0

    def _count(self) -> int:
        count = 0
        while self._log is not None and (some := self._log.read(self._next + count + 1, limit=SPOOL_BATCH)):
            count += len(some)
        return count

    def append(self, rows: Sequence[tuple[str, str, bytes]], *, now_ms: int) -> None:
        """Take rows; raises DependencyError, and takes none, where the limit is reached or the disk is full."""
        size = self._bytes()
        if size + sum(len(body) for _, _, body in rows) > self._bytes_max:
            reason = f"spool {self.path}: {size} bytes, data.spool_mb_max is reached; bring the broker back, or raise the setting"
            raise DependencyError(reason)
        if self._log is None:
            self._log = LocalLog(self.path)
        self._log.append(rows, now_ms=now_ms)
        self.waiting += len(rows)

    def _bytes(self) -> int:
        """What the spool takes of the disk: the file, and what SQLite has beside it until it is written back."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = 0
        for file in files:
            with contextlib.suppress(OSError):  # not there yet, or emptied meanwhile
                size += file.stat().st_size
        return size

    def filled(self) -> float:
        """Which share of its limit the spool has taken."""
        return self._bytes() / self._bytes_max

    def read(self) -> list[tuple[str, str, bytes]]:
        found = self._log.read(self._next + 1, limit=SPOOL_BATCH) if self._log is not None else []
        return [("document", stamped.source, stamped.body) for stamped in found]

    def advance(self, count: int) -> None:
        self._next += count
        self.waiting -= count
        if self.empty:
            self._remove()
            return
        fresh = self._mark.with_name(self._mark.name + ".new")
        try:
            fresh.write_text(f"{self._log.log_id} {self._next}" if self._log is not None else "")
            fresh.replace(self._mark)
        except OSError as error:
            # A full disk becomes free only if the spool is emptied. After a crash more of it is sent again, and recognised.
            log.warning("how far the spool was sent could not be noted", reason=reason_of(error), waiting=self.waiting)

    def _remove(self) -> None:
        """Everything was sent: the next trouble begins a new file, so that the spool does not grow for ever."""
        self.close()
        for path in (self.path, self._mark, self.path.with_name(self.path.name + "-wal"), self.path.with_name(self.path.name + "-shm")):
            path.unlink(missing_ok=True)
        self._next = 0

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
