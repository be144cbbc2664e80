"""The brokers are cut off from a crawler and come back: what it publishes arrives once, in order, and its spool is gone."""

import gc
import time
import warnings
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw, records_of
from groundswell.names import RAW_PARTITIONS, raw_topic
from groundswell.records import RawDocument
from ingest.sink import KafkaSink
from tests.faults.brokers import Brokers
from tests.faults.proxy import Way

WITHIN_S: Final = 300.0


def _document(number: int) -> RawDocument:
    return RawDocument(source="desk", title=str(number), id="one identity, so that all meet in one partition")


def _create_topic(bootstrap: str, run: str) -> None:
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    configs = {"message.timestamp.type": "LogAppendTime"}
    admin.create_topics([NewTopic(name=raw_topic(run), num_partitions=RAW_PARTITIONS, replication_factor=3, topic_configs=configs)])
    admin.close()


def _published(bootstrap: str, run: str) -> list[int]:
    """The titles in the log, as numbers."""
    consumer: Any = KafkaConsumer(bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        partitions = [TopicPartition(raw_topic(run), number) for number in range(RAW_PARTITIONS)]
        consumer.assign(partitions)
        ends, found = consumer.end_offsets(partitions), []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for messages in consumer.poll(timeout_ms=500).values():
                found += [decode_raw(body) for message in messages for body in records_of(message.value)]
        return [int(record.title) for record in found if isinstance(record, RawDocument)]
    finally:
        consumer.close()


def _empty(sink: KafkaSink) -> None:
    """Wait until nothing waits on disk: on a slow machine even the last record may have to."""
    deadline = time.monotonic() + WITHIN_S
    while sink.tick() > 0:
        assert time.monotonic() < deadline, "the spool is not emptied"


def crawl_through_an_outage(brokers: Brokers, way: Way, *, run: str, spool: Path) -> tuple[int, list[int]]:
    """Publish 1,601 documents in order; from the 100th to the 1,500th the network to the brokers misbehaves.

    Returns:
        How many waited on disk at the worst, and what is in the log, first times only: what was sent without an answer is sent
        again, and duplicates are for the pipeline to recognise.
    """
    _create_topic(brokers.bootstrap, run)
    sink = KafkaSink(
        brokers.proxied, run, identity=lambda raw: raw.id or "", spool=spool, clock=ManualClock(1), wait_s=1.0, reconnect_s=0.1
    )
    sink.connect()
    sink.put([_document(number) for number in range(100)])
    brokers.network(way)
    for number in range(100, 1_500, 100):
        sink.put([_document(number + step) for step in range(100)])
    waited = sink.tick()
    brokers.network("open")
    sink.put([_document(number) for number in range(1_500, 1_600)])
    _empty(sink)
    sink.put([_document(1_600)])
    _empty(sink)
    sink.close()
    # A producer that never reached a broker leaves its sockets to the garbage collector: have it done with them here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return waited, list(dict.fromkeys(_published(brokers.bootstrap, run)))
