"""Rights at Kafka that are taken away while workers work, one after the other, and given back."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from groundswell.kafka_access import KafkaAccess
from groundswell.local_log import LocalLog
from groundswell.names import ROLE_FOLD, ROLE_SCORE, contribution_topic, fold_group, raw_topic, score_group
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of, total
from groundswell.store.store import Store
from stream.shells.publish import RawProducer, send_archive
from stream.shells.topics import prepare_run
from stream.shells.worker import EXIT_DEPENDENCY, AgentName
from tests.kafka_run import embedded_rows, kafka_run, rows_of
from tests.peers import SecureKafka
from tests.security.secure_rights import allow, give_out, take_away
from tests.synthetic_news import instruments, sealed_log

WHO: Final = "crawler"  # a login that has no rights of a worker but those that are given and taken here
RUN: Final = "taken"
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


TAKEN: Final[tuple[tuple[str, AgentName, str], ...]] = (
    ("raw", "score", "READ"),
    ("contributions", "score", "WRITE"),
    ("contributions", "fold", "READ"),
    ("fold group", "fold", "READ"),
)
"""What is taken away, whose work ends with it, and which right it is."""


def test_a_worker_whose_right_is_taken_away_says_which_and_goes_on_when_it_is_back_and_nothing_is_lost_or_doubled(
    secure_kafka: SecureKafka, lent: Callable[[str], KafkaAccess], tmp_path: Path
) -> None:
    admin, access, log = secure_kafka.access("admin"), lent(RUN), sealed_log(tmp_path / "log.db", days=DAYS, per_day=PER_DAY)
    expected, messages = embedded_rows(log, tmp_path, RUN), Messages(log)
    with closing(Store(str(tmp_path / "kafka.db"))) as store, RawProducer(secure_kafka.access("worker"), RUN) as producer:
        prepare_run(store, secure_kafka.access("worker"), RUN, kind="backfill", instruments=instruments())
        with kafka_run(access, store.url, RUN, tmp_path / "work") as started:
            started.start("score", 0)
            started.start("fold", 0)
            for number, (what, agent, right) in enumerate(TAKEN):
                kind, name, rights = given(RUN)[what]
                folded_ms = folded_to_ms(store)
                messages.send(producer, 0.15 if number else 0.4)
                started.wait(partial(messages.are_done, store, folded_ms), what=f"the messages before {what}")
                take_away(admin, WHO, kind, name, right)
                messages.send(producer, 0.03)  # there is work while it cannot be done
                lacks = f"no {right} on {kind} {name}; the login lacks a right: give {WHO} what"
                started.wait(partial(started.has_said, agent, 0, lacks), what=f"{agent} without {what}")
                started.wait(lambda number=number: len(started.ended) > number, what="its end")  # type: ignore[misc]
                allow(admin, WHO, kind, name, rights)
            messages.send(producer, 1.0)
            started.finish(log)
            found, ended = rows_of(store, RUN), set(started.ended)
        with store.read() as connection:
            balance = total(balance_of(connection, RUN))
    assert ended == {("score-0", EXIT_DEPENDENCY), ("fold-0", EXIT_DEPENDENCY)}
    assert expected["documents"]
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert (balance.fetched, balance.balance) == (log.records(), 0)


class Messages:
    """An archive's envelopes, sent a part at a time."""

    def __init__(self, log: LocalLog) -> None:
        self._all: list[tuple[int, bytes]] = []
        send_archive(log, lambda partition, envelope: self._all.append((partition, envelope)), envelope_records=1)
        self._sent = 0

    def send(self, producer: RawProducer, share: float) -> None:
        """Send so large a share of all that there are, and wait until the broker has it."""
        until = min(len(self._all), self._sent + int(len(self._all) * share) + 1)
        for partition, envelope in self._all[self._sent : until]:
            producer.send(partition, envelope)
        producer.confirm()
        self._sent = until

    def are_done(self, store: Store, folded_ms: int) -> bool:
        """Whether both work: score has read all that was sent, and fold has come further than it was."""
        with store.read() as connection:
            read = sum(row.next_offset for row in progress_of(connection, RUN, ROLE_SCORE))
        return read >= self._sent and folded_to_ms(store) > folded_ms


def folded_to_ms(store: Store) -> int:
    with store.read() as connection:
        return min(row.time_ms for row in progress_of(connection, RUN, ROLE_FOLD))
