"""Workers that are killed in the middle of their work, again and again: not a row is lost, and none is counted twice."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundswell.names import ROLE_FOLD, ROLE_SCORE
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.shells.publish import publish_archive
from stream.shells.topics import prepare_run
from stream.shells.worker import AgentName
from tests.kafka_run import KafkaRun, embedded_rows, kafka_run, rows_of
from tests.synthetic_news import instruments, sealed_log

RUN = "sigkill"
KILLS = 5
ENVELOPE_RECORDS = 5


def scored(run: KafkaRun) -> int:
    """Raw messages whose facts are stored."""
    with run.store.read() as connection:
        return sum(row.next_offset for row in progress_of(connection, RUN, ROLE_SCORE))


@pytest.fixture
def store(postgres_store_url: str) -> Iterator[Store]:
    with closing(Store(postgres_store_url)) as store:
        yield store


def test_five_kills_at_random_moments_change_nothing(kafka: str, store: Store, tmp_path: Path) -> None:
    log = sealed_log(tmp_path / "log.db")
    rng = random.Random(17)
    prepare_run(store, kafka, RUN, kind="backfill", instruments=instruments())
    messages = publish_archive(log, kafka, RUN, store=store, envelope_records=ENVELOPE_RECORDS) // ENVELOPE_RECORDS
    with kafka_run(kafka, store.url, RUN, tmp_path / "work") as run:
        workers: list[tuple[AgentName, int]] = [("score", 0), ("fold", 0), ("fold", 1)]
        for agent, number in workers:
            run.start(agent, number)
        expected = embedded_rows(log, tmp_path, RUN)
        unfinished = 0
        for moment in sorted(rng.uniform(0.05, 0.9) for _ in range(KILLS)):
            run.wait(lambda m=moment: scored(run) >= m * messages, what=f"scoring {moment:.0%}", within_s=60)  # type: ignore[misc]
            unfinished += not run.folded_through(log.last_known_ms() or 0)
            run.kill(*rng.choice(workers))
        run.finish(log)
        found = rows_of(store, RUN)
        with store.read() as connection:
            epochs = [max(row.epoch for row in progress_of(connection, RUN, role)) for role in (ROLE_SCORE, ROLE_FOLD)]
    assert unfinished == KILLS, "every kill came in mid-run"
    assert min(epochs) >= 2, "both agents were killed and took their partitions again"
    for table, rows in expected.items():
        assert found[table] == rows, table
