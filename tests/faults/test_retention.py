"""An outage that is longer than the topic's retention: the gap is said, nothing is stored behind it."""

from contextlib import closing
from pathlib import Path

from kafka import KafkaAdminClient, TopicPartition

from groundswell.names import RAW_PARTITIONS, ROLE_SCORE, raw_topic
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.shells.publish import publish_archive
from stream.shells.topics import prepare_run
from stream.shells.worker import EXIT_FINAL
from tests.kafka_run import kafka_run
from tests.synthetic_news import instruments, sealed_log

RUN = "outage"


def test_messages_that_were_deleted_before_they_were_read_stop_the_worker_with_what_to_do(kafka: str, tmp_path: Path) -> None:
    with closing(Store(str(tmp_path / "store.db"))) as store:
        prepare_run(store, kafka, RUN, kind="backfill", instruments=instruments())
        publish_archive(sealed_log(tmp_path / "log.db"), kafka, RUN, store=store, envelope_records=5)
        with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
            gone = {TopicPartition(raw_topic(RUN), partition): 2 for partition in range(RAW_PARTITIONS)}
            admin.delete_records(gone)
        with kafka_run(kafka, store.url, RUN, tmp_path / "work") as run:
            run.start("score", 0)
            assert run.exit_code("score", 0) == EXIT_FINAL
            assert run.has_said("score", 0, "messages were deleted before they were read: restore the topic, or go on in a new run")
        with store.read() as connection:
            assert {row.next_offset for row in progress_of(connection, RUN, ROLE_SCORE)} == {0}
