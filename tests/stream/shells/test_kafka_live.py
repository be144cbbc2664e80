"""The live run on a real broker: its append time is the clock, and time goes on though no crawler speaks."""

from collections.abc import Iterator
from contextlib import closing
from inspect import signature
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.names import CONTRIBUTION_PARTITIONS, LIVE_RUN, RAW_PARTITIONS
from groundswell.records import Envelope, RawDocument
from groundswell.store import schema as t
from groundswell.store.store import Store
from stream.shells.kafka import make_app
from stream.shells.publish import RawProducer, raw_partition
from stream.shells.topics import prepare_run
from stream.shells.worker import WorkerSettings
from tests.kafka_run import kafka_run
from tests.synthetic_news import instruments

LONG_AGO_MS = 1_500_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


def test_records_are_stamped_by_the_broker_and_folded_without_another_word_from_the_crawler(
    kafka: str, store: Store, tmp_path: Path
) -> None:
    prepare_run(store, kafka, LIVE_RUN, kind="live", instruments=instruments())
    # Three series: its topic, its company, and the shipped search that "default" is found by.
    raw = RawDocument(source="s", id="1", title="Aldora default debt talk", language="en", known_ms=LONG_AGO_MS, published_ms=LONG_AGO_MS)
    partition = raw_partition(raw, known_ms=LONG_AGO_MS)
    with kafka_run(kafka, store.url, LIVE_RUN, tmp_path / "work") as run:
        run.start("score", 0)
        run.start("fold", 0)
        with RawProducer(kafka, LIVE_RUN) as producer:
            producer.punctuate()
            producer.send(partition, encode(Envelope(records=[msgspec.Raw(encode(raw)), msgspec.Raw(b'{"type":"document"}')])))
            producer.send(partition, b"\xff no envelope")
            producer.confirm()
        run.wait(lambda: run.folded() == 3, what="closing a tick by punctuations of the workers")
        codes = [run.stop("score", 0), run.stop("fold", 0)]
    with store.read() as connection:
        (admission,) = connection.execute(select(t.admissions)).all()
        drops = connection.execute(select(t.drops.c.reason, t.drops.c.body).order_by(t.drops.c.position, t.drops.c.place)).all()
        ticks = set(connection.execute(select(t.increments.c.tick)).scalars())
    assert admission.known_ms > LONG_AGO_MS + 10**11
    assert ticks == {admission.tick}
    assert [bytes(drop.body) for drop in drops] == [b'{"type":"document"}', b"\xff no envelope"]
    assert codes == [0, 0]


def test_one_answer_of_a_broker_has_room_for_every_partition(tmp_path: Path) -> None:
    """Else some are in no answer for as long as the others have more, and fold waits for all."""
    app = make_app(WorkerSettings("localhost:9", str(tmp_path / "s.db"), LIVE_RUN, tmp_path), "score")
    answer_bytes = signature(AIOKafkaConsumer.__init__).parameters["fetch_max_bytes"].default
    assert app.conf.consumer_max_fetch_size * max(RAW_PARTITIONS, CONTRIBUTION_PARTITIONS) <= answer_bytes
