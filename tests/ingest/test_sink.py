"""Where records go: a local log, or a real broker; when it is away the spool keeps everything, in order."""

import gc
import logging
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw, records_of
from groundswell.errors import DependencyError
from groundswell.local_log import LocalLog
from groundswell.names import RAW_PARTITIONS, partition_of, raw_topic
from groundswell.records import Heartbeat, RawDocument
from ingest.sink import PUNCTUATION, KafkaSink, LocalLogSink, Sink
from tests import peers


def document(name: str, *, title: str = "t") -> RawDocument:
    return RawDocument(source="desk", title=title, id=name)


def identity(raw: RawDocument) -> str:
    return f"identity of {raw.id}"


BEAT = Heartbeat(source="desk", fetched_ms=1, ok=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@contextmanager
def forgiving_kafka_python() -> Iterator[None]:
    """kafka-python 3.0 leaves the socket of a refused connection to the garbage collector, which warns; its log lines hold it."""
    told = logging.getLogger("kafka")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        told.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for thread in threading.enumerate():
                if "groundswell-crawler" in thread.name:
                    thread.join(180)
            told.setLevel(logging.NOTSET)
            gc.collect()


@contextmanager
def kafka_sink(bootstrap: str, run: str, spool: Path, clock: ManualClock, *, wait_s: float = 60.0, **given: Any) -> Iterator[KafkaSink]:
    sink = KafkaSink(bootstrap, run, identity=identity, spool=spool, clock=clock, wait_s=wait_s, **given)
    try:
        yield sink
    finally:
        sink.close()


def nobody() -> str:
    """An address where nobody listens."""
    return f"127.0.0.1:{peers.free_port()}"


def spooled(spool: Path) -> list[str | None]:
    with LocalLog(spool) as log:
        records = [decode_raw(stamped.body) for stamped in log.read(0, limit=1_000)]
    return [record.id if isinstance(record, RawDocument) else "beat" for record in records]


# --- local log --------------------------------------------------------------------------------------------------------------
def test_the_local_log_gets_records_in_order_with_the_clocks_stamp_and_their_kind(tmp_path: Path, clock: ManualClock) -> None:
    with LocalLog(tmp_path / "raw.db") as log:
        sink: Sink = LocalLogSink(log, clock=clock)
        sink.put([document("1"), document("2"), BEAT])
        sink.put([])
        assert sink.tick() == 0
        sink.close()
        stamped = log.read(0, limit=10)
        assert [decode_raw(record.body) for record in stamped] == [document("1"), document("2"), BEAT]
        assert {record.known_ms for record in stamped} == {1_000}
        assert log.documents_by_source() == {"desk": (2, 2)}


# --- a broker that is away --------------------------------------------------------------------------------------------------
def test_a_broker_that_is_away_is_a_clear_error_after_a_short_wait(spool: Path, clock: ManualClock) -> None:
    address = nobody()
    with kafka_sink(address, "r", spool, clock, wait_s=0.3) as sink, pytest.raises(DependencyError) as caught:
        sink.connect()
    for part in (f"Kafka {address}", "is the broker running, kafka.bootstrap its address", str(spool)):
        assert part in str(caught.value)


def test_records_for_a_broker_that_is_away_wait_on_disk_in_order_even_over_a_restart(spool: Path, clock: ManualClock) -> None:
    address = nobody()
    for part in (["1", "2"], ["3"]):
        with kafka_sink(address, "r", spool, clock, wait_s=0.3) as sink:
            sink.put([*map(document, part), BEAT])
            waiting = sink.tick()
    assert waiting == 5
    assert spooled(spool) == ["1", "2", "beat", "3", "beat"]


def test_a_broker_that_is_away_is_tried_once_in_a_while_and_does_not_hold_up_every_put(spool: Path, clock: ManualClock) -> None:
    import time

    with kafka_sink(nobody(), "r", spool, clock, wait_s=0.3, reconnect_s=600) as sink:
        started = time.monotonic()
        for number in range(200):
            sink.put([document(str(number))])
        assert time.monotonic() - started < 40.0  # 200 waits of 0.3 s would be a minute


def test_a_spool_that_cannot_be_written_is_an_error(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("")
    with kafka_sink(nobody(), "r", tmp_path / "file" / "spool.db", clock, wait_s=0.3) as sink, pytest.raises(DependencyError):
        sink.put([document("1")])


def test_a_spool_takes_no_more_than_its_limit_of_the_disk_and_keeps_what_it_has(spool: Path, clock: ManualClock) -> None:
    taken, refusal = list[str](), ""
    with kafka_sink(nobody(), "r", spool, clock, wait_s=0.3, spool_bytes_max=300_000) as sink:
        while not refusal and len(taken) < 1_000:
            try:
                sink.put([document(str(len(taken)), title="t" * 2_000)])
                taken.append(str(len(taken)))
            except DependencyError as error:
                refusal = str(error)
        assert sink.tick() == len(taken) > 10
    assert "data.spool_mb_max is reached; bring the broker back, or raise the setting" in refusal
    assert sum(file.stat().st_size for file in spool.parent.glob("spool.db*")) < 500_000
    assert spooled(spool) == taken


# --- a real broker ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def run() -> str:
    return f"sink{uuid.uuid4().hex[:8]}"


def create_topic(bootstrap: str, run: str, *, partitions: int = RAW_PARTITIONS) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        configs = {"message.timestamp.type": "LogAppendTime"}
        admin.create_topics([NewTopic(name=raw_topic(run), num_partitions=partitions, replication_factor=1, topic_configs=configs)])
    finally:
        admin.close()


@pytest.fixture
def make_topic(kafka: str, run: str) -> Callable[..., None]:
    return partial(create_topic, kafka, run)


def consumed(bootstrap: str, run: str) -> dict[int, list[bytes]]:
    """Every message of the raw topic, by partition, in order."""
    from kafka import KafkaConsumer, TopicPartition

    consumer: Any = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        partitions = [TopicPartition(raw_topic(run), number) for number in range(RAW_PARTITIONS)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: dict[int, list[bytes]] = {number: [] for number in range(RAW_PARTITIONS)}
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for partition, messages in consumer.poll(timeout_ms=500).items():
                found[partition.partition] += [message.value for message in messages]
        return found
    finally:
        consumer.close()


def emptied(sink: KafkaSink) -> None:
    """One tick drains for a second; on a slow machine it takes several."""
    for _ in range(300):
        if sink.tick() == 0:
            return
    pytest.fail("the spool is not emptied")


def ids(messages: list[bytes]) -> list[str | None]:
    records = [decode_raw(body) for message in messages for body in records_of(message)]
    return [record.id if isinstance(record, RawDocument) else "beat" for record in records]


def test_documents_meet_in_the_partition_of_their_identity_in_order(
    kafka: str, run: str, make_topic: Callable[..., None], spool: Path, clock: ManualClock
) -> None:
    make_topic()
    with kafka_sink(kafka, run, spool, clock) as sink:
        sink.connect()
        for part in range(3):
            sink.put([document(f"{number % 20}", title=f"part {part}") for number in range(40)])
        sink.put([BEAT])
    found = consumed(kafka, run)
    assert sum(len(ids(messages)) for messages in found.values()) == 121
    for partition, messages in found.items():
        for name in ids(messages):
            key = "desk" if name == "beat" else identity(document(name or ""))
            assert partition_of(key, RAW_PARTITIONS) == partition
        titles = [record.title for m in messages for body in records_of(m) if isinstance(record := decode_raw(body), RawDocument)]
        assert titles == sorted(titles)
    assert not spool.exists()


def test_every_partition_gets_a_punctuation_with_each_tick(
    kafka: str, run: str, make_topic: Callable[..., None], spool: Path, clock: ManualClock
) -> None:
    make_topic()
    with kafka_sink(kafka, run, spool, clock) as sink:
        assert [sink.tick(), sink.tick()] == [0, 0]
    found = consumed(kafka, run)
    assert found == {partition: [PUNCTUATION, PUNCTUATION] for partition in range(RAW_PARTITIONS)}
    assert records_of(PUNCTUATION) == []


def test_what_waited_is_sent_in_order_before_anything_new_and_the_spool_is_removed(
    kafka: str, run: str, make_topic: Callable[..., None], spool: Path, clock: ManualClock
) -> None:
    with kafka_sink(nobody(), run, spool, clock, wait_s=0.3) as away:
        away.put([document("same", title=str(number)) for number in range(2_500)])
    make_topic()
    with kafka_sink(kafka, run, spool, clock) as sink:
        sink.put([document("same", title="2500")])  # joins the others behind
        emptied(sink)
    bodies = [body for messages in consumed(kafka, run).values() for message in messages for body in records_of(message)]
    records = [decode_raw(body) for body in bodies]
    assert [record.title for record in records if isinstance(record, RawDocument)] == [str(number) for number in range(2_501)]
    assert list(spool.parent.glob("spool.db*")) == []


def test_a_spool_is_emptied_also_where_nothing_can_be_written_any_more(
    kafka: str, run: str, make_topic: Callable[..., None], spool: Path, clock: ManualClock
) -> None:
    with kafka_sink(nobody(), run, spool, clock, wait_s=0.3) as away:
        away.put([document("same", title=str(number)) for number in range(2_500)])
    spool.with_name("spool.db.sent.new").mkdir()  # where the next mark would be written
    make_topic()
    with kafka_sink(kafka, run, spool, clock) as sink:
        emptied(sink)
    assert sum(len(ids(messages)) for messages in consumed(kafka, run).values()) == 2_500
    assert not spool.exists()


@pytest.mark.kafka
def test_a_broker_that_goes_away_between_two_puts_loses_nothing(run: str, tmp_path: Path, clock: ManualClock) -> None:
    spool = tmp_path / "spool.db"
    with forgiving_kafka_python(), ExitStack() as lifetime:
        bootstrap = lifetime.enter_context(peers.kafka_cluster())
        create_topic(bootstrap, run)
        with kafka_sink(bootstrap, run, spool, clock, wait_s=1.0) as sink:
            sink.connect()
            sink.put([document("before")])
            assert not spool.exists()
            lifetime.close()
            sink.put([document(f"during {number}") for number in range(300)])
            sink.put([document("after")])
            assert sink.tick() == 301
    assert spooled(spool) == [*(f"during {number}" for number in range(300)), "after"]


def test_a_missing_topic_and_one_with_other_partitions_are_errors_that_say_what_to_create(
    kafka: str, run: str, make_topic: Callable[..., None], spool: Path, clock: ManualClock
) -> None:
    with kafka_sink(kafka, run, spool, clock, wait_s=2.0) as sink:
        with pytest.raises(DependencyError, match=f"{raw_topic(run)} is missing; create it with 16 partitions"):
            sink.connect()
        make_topic(partitions=4)
        with pytest.raises(DependencyError, match="has 4 partitions; create it with 16"):
            sink.connect()
        sink.put([document("1")])
    assert spooled(spool) == ["1"]
