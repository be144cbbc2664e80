import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient

from groundswell import names
from groundswell.errors import ContinuityError, DependencyError, NotFoundError, UsageError
from groundswell.names import ROLE_FOLD
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.store import Store
from stream.shells import topics
from stream.shells.intake_stage import IntakeStage
from stream.shells.score_worker import ScorePartition
from stream.shells.topics import TopicIds, create_topics, prepare_run, topic_ids
from tests.fake_scorer import FakeScorer
from tests.synthetic_news import instruments


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        yield admin


def prepared(store: Store, kafka: str, run: str) -> TopicIds:
    return prepare_run(store, kafka, run, kind="backfill", instruments=instruments())


def test_topics_are_made_once_and_known_by_the_brokers_ids(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_READY_WITHIN_S", 0.1)
    with pytest.raises(NotFoundError, match=r"no topic groundswell.contributions.topics1 on this broker; make it with"):
        topic_ids(kafka, "topics1")
    monkeypatch.undo()
    made = create_topics(kafka, "topics1")
    assert create_topics(kafka, "topics1") == made == topic_ids(kafka, "topics1")
    assert made.raw != made.contributions


def test_a_broker_that_hears_late_of_a_topic_does_not_end_a_worker(kafka: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(topic_ids, kafka, "topics6")
        with pytest.raises(TimeoutError):
            asked.result(timeout=1.0)  # it waits
        assert create_topics(kafka, "topics6") == asked.result()


def test_a_run_has_a_row_for_every_fold_partition_before_anybody_works_on_it(kafka: str, store: Store) -> None:
    ids = prepared(store, kafka, "topics2")
    assert prepared(store, kafka, "topics2") == ids
    with store.read() as connection:
        rows = progress_of(connection, "topics2", ROLE_FOLD)
    assert [row.part for row in rows] == list(range(names.CONTRIBUTION_PARTITIONS))
    assert {(row.epoch, row.time_ms, row.log_id) for row in rows} == {(0, NEVER_TICK, ids.contributions)}


def test_a_topic_that_was_deleted_and_made_again_is_not_the_same_log(kafka: str, store: Store, admin: KafkaAdminClient) -> None:
    ids = prepared(store, kafka, "topics3")
    ScorePartition.open(IntakeStage(store, "topics3", FakeScorer()), 0, owner="o", log_id=ids.raw, live=False)
    admin.delete_topics([names.raw_topic("topics3")])
    waited = threading.Event()
    while admin.describe_topics([names.raw_topic("topics3")])[0]["error_code"] == 0:
        waited.wait(0.02)
    with pytest.raises(ContinuityError, match=rf"run 'topics3': the stored progress belongs to topic id {ids.raw}, but .* start a new run"):
        prepared(store, kafka, "topics3")


def test_a_topic_of_another_shape_is_refused(kafka: str, admin: KafkaAdminClient) -> None:
    admin.create_topics({names.raw_topic("topics4"): {"num_partitions": 3, "replication_factor": 1}})
    with pytest.raises(UsageError, match=r"topic groundswell.raw.topics4: partitions is 3, needed is 16"):
        create_topics(kafka, "topics4")


def test_an_archives_topic_that_would_stamp_with_the_append_time_is_refused(kafka: str, admin: KafkaAdminClient) -> None:
    how = {"num_partitions": 16, "replication_factor": 1, "configs": {"message.timestamp.type": "LogAppendTime"}}
    admin.create_topics({names.raw_topic("topics5"): how})
    with pytest.raises(UsageError, match=r"message.timestamp.type is LogAppendTime, needed is CreateTime"):
        create_topics(kafka, "topics5")


class Leaderless(KafkaAdminClient):  # type: ignore[misc]
    """Of each topic the first partition has no leader: its only copy is on a broker that is away."""

    def describe_topics(self, *args: Any, **kwargs: Any) -> Any:
        found = super().describe_topics(*args, **kwargs)
        for topic in found:
            topic["partitions"][0]["leader_id"] = -1
        return found


def test_a_partition_without_a_leader_is_waited_for_and_then_a_dependency_that_is_away(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create_topics(kafka, "topics7")
    monkeypatch.setattr(topics, "KafkaAdminClient", Leaderless)
    monkeypatch.setattr(topics, "_READY_WITHIN_S", 0.1)
    with pytest.raises(DependencyError, match=r"run 'topics7': a partition of its topics has no leader; are all brokers running"):
        topic_ids(kafka, "topics7")


def test_a_broker_that_does_not_answer_is_named() -> None:
    with pytest.raises(DependencyError, match=r"Kafka 127.0.0.1:9: .*refused; is the broker running"):
        topic_ids("127.0.0.1:9", "r")


@pytest.mark.parametrize("bootstrap", ["", "broker", "broker:", "127.0.0.1:9,b"])
def test_an_address_that_is_none_is_a_usage_error(bootstrap: str) -> None:
    with pytest.raises(UsageError, match="is not HOST:PORT; separate several by commas"):
        topic_ids(bootstrap, "r")
