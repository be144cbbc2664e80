"""The bound on what fold holds, with a real broker: Faust stops fetching what is too far ahead, and loses nothing of it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundswell.names import RAW_PARTITIONS, ROLE_SCORE
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from groundswell.store.times import held_back
from stream.shells.publish import RawProducer, send_archive
from stream.shells.topics import prepare_run
from tests.kafka_run import embedded_rows, kafka_run, rows_of
from tests.synthetic_news import instruments, sealed_log

RUN = "holdback"
SILENT = 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "kafka.db"))) as store:
        yield store


def test_score_stops_at_the_bound_while_one_raw_partition_says_nothing_and_works_all_off_when_it_speaks(
    kafka: str, store: Store, tmp_path: Path
) -> None:
    log = sealed_log(tmp_path / "log.db")
    prepare_run(store, kafka, RUN, kind="backfill", instruments=instruments())
    messages: list[tuple[int, bytes]] = []
    send_archive(log, lambda partition, body: messages.append((partition, body)), envelope_records=1)
    late = [body for partition, body in messages if partition == SILENT]
    with (
        RawProducer(kafka, RUN) as producer,
        kafka_run(kafka, store.url, RUN, tmp_path / "work", held_records_max=RAW_PARTITIONS * 20) as run,
    ):
        for partition, body in messages:
            if partition != SILENT:
                producer.send(partition, body)
        producer.confirm()
        run.start("score", 0)
        run.start("fold", 0)
        every = list(range(RAW_PARTITIONS))
        waiting = str([partition for partition in every if partition != SILENT])
        run.wait(lambda: run.has_said("score", 0, waiting), what="all but the silent one wait")
        with store.read() as connection:
            read = sum(row.next_offset for row in progress_of(connection, RUN, ROLE_SCORE))
            found = held_back(connection, RUN)
        for body in late:
            producer.send(SILENT, body)
        producer.confirm()
        run.finish(log)
        rows = rows_of(store, RUN)
    assert found is not None
    assert (found.partition, found.time_ms) == (SILENT, None)
    assert read < (len(messages) - len(late)) * 2 // 3, "most of the archive waits in the log, not in memory"
    for table, expected in embedded_rows(log, tmp_path, RUN).items():
        assert rows[table] == expected, table
