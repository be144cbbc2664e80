"""A right at Kafka that is taken away while a worker works: the worker ends and says which, and nothing is lost or doubled."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from groundswell.kafka_access import KafkaAccess
from groundswell.names import ROLE_SCORE, contribution_topic, fold_group, raw_topic, score_group
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of, total
from groundswell.store.store import Store
from stream.shells.publish import publish_archive
from stream.shells.topics import prepare_run
from stream.shells.worker import EXIT_DEPENDENCY, AgentName
from tests.kafka_run import KafkaRun, embedded_rows, kafka_run, rows_of
from tests.peers import SecureKafka
from tests.security.secure_rights import allow, give_out, take_away
from tests.synthetic_news import instruments, sealed_log

WHO: Final = "crawler"  # a login that has no rights of a worker but those that are given and taken here
DAYS, PER_DAY = 7, 30
Given = tuple[str, str, list[str]]


def given(run: str) -> dict[str, Given]:
    """What a worker of one run needs, by what for: kind of resource, name, rights."""
    return {
        "raw": ("topic", raw_topic(run), ["READ", "WRITE", "DESCRIBE_CONFIGS"]),
        "contributions": ("topic", contribution_topic(run), ["READ", "WRITE"]),
        "score group": ("group", score_group(run), ["READ"]),
        "fold group": ("group", fold_group(run), ["READ"]),
    }


@pytest.fixture
def lent(secure_kafka: SecureKafka) -> Iterator[Callable[[str], KafkaAccess]]:
    """Lend a login the rights of a worker of a run; they are taken back at the end, so that other tests find it as it was."""
    admin, runs = secure_kafka.access("admin"), []
    give_out(admin)

    def lend(run: str) -> KafkaAccess:
        runs.append(run)
        for kind, name, rights in given(run).values():
            allow(admin, WHO, kind, name, rights)
        return secure_kafka.access(WHO)

    yield lend
    for run in runs:
        for kind, name, _ in given(run).values():
            take_away(admin, WHO, kind, name)


def read_to(run: KafkaRun) -> int:
    """How many messages the score stage has done."""
    with run.store.read() as connection:
        return sum(row.next_offset for row in progress_of(connection, run.run, ROLE_SCORE))


@pytest.mark.parametrize(
    ("what", "agent", "right"),
    [
        ("raw", "score", "READ"),
        ("contributions", "score", "WRITE"),
        ("score group", "score", "READ"),
        ("contributions", "fold", "READ"),
        ("fold group", "fold", "READ"),
    ],
)
def test_a_worker_whose_right_is_taken_away_ends_with_its_name_and_goes_on_when_it_is_back(
    secure_kafka: SecureKafka, lent: Callable[[str], KafkaAccess], what: str, agent: AgentName, right: str, tmp_path: Path
) -> None:
    run = f"taken-{agent}-{what.replace(' ', '-')}"
    admin, access, log = secure_kafka.access("admin"), lent(run), sealed_log(tmp_path / "log.db", days=DAYS, per_day=PER_DAY)
    kind, name, rights = given(run)[what]
    with closing(Store(str(tmp_path / "kafka.db"))) as store:
        prepare_run(store, secure_kafka.access("worker"), run, kind="backfill", instruments=instruments())
        publish_archive(log, secure_kafka.access("worker"), run, store=store, envelope_records=2)
        with kafka_run(access, store.url, run, tmp_path / "work") as started:
            started.start("score", 0)
            if agent == "fold":
                started.start("fold", 0)
            started.wait(lambda: read_to(started) > 0, what="the first messages", within_s=60)
            take_away(admin, WHO, kind, name, right)
            lacks = f"no {right} on {kind} {name}; the login lacks a right: give {WHO} what"
            started.wait(lambda: started.has_said(agent, 0, lacks), what="the sentence", within_s=60)
            started.wait(lambda: bool(started.ended), what="the end", within_s=30)
            assert set(started.ended) == {(f"{agent}-0", EXIT_DEPENDENCY)}
            allow(admin, WHO, kind, name, rights)
            if agent == "score":
                started.start("fold", 0)
            expected = embedded_rows(log, tmp_path, run)
            started.finish(log)
            found = rows_of(store, run)
        with store.read() as connection:
            balance = total(balance_of(connection, run))
    assert expected["documents"]
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert balance.balance == 0
    assert balance.fetched == log.records()
