"""One archive, two shells: Kafka with real worker processes leads to the same rows and the same alerts, byte for byte."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundswell.codec import canonical
from groundswell.errors import UsageError
from groundswell.local_log import LocalLog
from groundswell.store.store import Store
from stream.shells.publish import publish_archive
from stream.shells.rehearse import rehearse
from stream.shells.topics import prepare_run
from stream.shells.worker import AgentName
from tests.kafka_run import embedded_rows, kafka_run, rows_of
from tests.synthetic_news import instruments, sealed_log

RUN = "parity"


@pytest.fixture
def log(tmp_path: Path) -> LocalLog:
    return sealed_log(tmp_path / "log.db")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "kafka.db"))) as store:
        yield store


def test_workers_and_one_that_joins_in_mid_run_lead_to_the_rows_of_the_embedded_shell(
    kafka: str, log: LocalLog, store: Store, tmp_path: Path
) -> None:
    workers: list[tuple[AgentName, int]] = [("score", 0), ("fold", 0), ("fold", 1)]
    prepare_run(store, kafka, RUN, kind="backfill", instruments=instruments())
    published = publish_archive(log, kafka, RUN, store=store, envelope_records=20)
    with kafka_run(kafka, store.url, RUN, tmp_path / "work") as run:
        expected = embedded_rows(log, tmp_path, RUN)
        for agent, number in workers[:-1]:
            run.start(agent, number)
        run.wait(lambda: run.folded() > 0, what="the first fold worker")
        run.start(*workers[-1])  # all partitions are taken from the first one, and given out again
        run.finish(log)
        found = rows_of(store, RUN)
        codes = [run.stop(agent, number) for agent, number in workers]
    rehearsed = rehearse(store, RUN, instruments().rules, display=instruments().display)
    with pytest.raises(UsageError, match=f"published before, with {published} records"):
        publish_archive(log, kafka, RUN, store=store)
    assert published == log.records()
    assert len(expected["alerts"]) >= 3
    assert any("watch:credit" in row for row in found["increments"])
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert sorted(canonical(alert) for alert in rehearsed.alerts) == sorted(row[-1] for row in found["alerts"])
    assert codes == [0, 0, 0], "SIGTERM ends a worker gracefully"
