"""Score, fold and desk over a log in memory that does to them what Kafka may do: redeliver, reassign, crash, bring zombies."""

import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from groundswell.errors import OwnershipLostError
from groundswell.local_log import LocalLog, StagedRecord
from groundswell.names import CONTRIBUTION_PARTITIONS, DAY_MS, LIVE_RUN, RAW_PARTITIONS
from groundswell.schedule import MODEL, RULES
from groundswell.store.history import attach
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force
from stream.shells.desk_worker import DeskWorker
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.fold_process import FoldProcess, SharedHours
from stream.shells.fold_worker import FoldInput, FoldPartition
from stream.shells.instruments import Instruments, open_run, update_manifest
from stream.shells.intake_stage import IntakeStage
from stream.shells.publish import send_archive
from stream.shells.reload import Models
from stream.shells.score_worker import ScorePartition
from stream.shells.verify import verify
from stream.shells.versions import content_of_rules
from stream.shells.wire import RawMessage, fold_messages
from tests.fake_scorer import FakeScorer
from tests.kafka_run import embedded_rows, rows_of
from tests.synthetic_news import BEGIN_MS, instruments, sealed_log

RUN = "r"


class Cluster:
    """Two topics in memory with their committed offsets, and the workers' memory, which a crash takes away."""

    def __init__(self, store: Store, log: LocalLog, rng: random.Random, *, run: str = RUN) -> None:
        self.run = run
        self.store, self.rng, self.made = store, rng, instruments()
        self.raw: list[list[RawMessage]] = [[] for _ in range(RAW_PARTITIONS)]
        self.contributions: list[list[bytes]] = [[] for _ in range(CONTRIBUTION_PARTITIONS)]
        self.raw_acknowledged, self.raw_next = [0] * RAW_PARTITIONS, [0] * RAW_PARTITIONS
        self.fold_acknowledged, self.fold_next = [0] * CONTRIBUTION_PARTITIONS, [0] * CONTRIBUTION_PARTITIONS
        self.score: dict[int, ScorePartition] = {}
        self.fold: dict[int, FoldPartition] = {}
        self.hours = SharedHours()
        self.stage = IntakeStage(store, run, self.made.scorer, shared=True)
        self.delivered: list[list[list[bytes]]] = []  # what a zombie may send again
        open_run(store, run, kind="backfill" if run == RUN else "live", instruments=self.made)
        self.publish(log)

    def publish(self, log: LocalLog) -> None:
        send_archive(log, self._publish, envelope_records=7)

    def _publish(self, partition: int, envelope: bytes) -> None:
        self.raw[partition].append(RawMessage(len(self.raw[partition]), 0, envelope))

    def send(self, messages: list[list[bytes]], *, to: list[int]) -> None:
        for partition in to:
            self.contributions[partition] += messages[partition]

    def score_step(self, *, crash: bool) -> None:
        rng = self.rng
        behind = [p for p in range(RAW_PARTITIONS) if self.raw_next[p] < len(self.raw[p])]
        batches = []
        for partition in rng.sample(behind, min(len(behind), rng.randint(1, 8))):
            if partition not in self.score:
                self.score[partition] = ScorePartition.open(self.stage, partition, owner="s", log_id="raw", live=False)
            first = self.raw_next[partition]
            self.raw_next[partition] = min(len(self.raw[partition]), first + rng.randint(1, 9))
            batches += self.score[partition].take(self.raw[partition][first : self.raw_next[partition]])
        messages = fold_messages(batches, size_max=rng.choice([4_000, 500_000]))
        everyone = list(range(CONTRIBUTION_PARTITIONS))
        self.send(messages, to=rng.sample(everyone, rng.randint(0, CONTRIBUTION_PARTITIONS)) if crash else everyone)
        if crash:
            self.score, self.raw_next = {}, list(self.raw_acknowledged)
            return
        self.delivered.append(messages)
        self.raw_acknowledged = [
            max(acknowledged, rng.choice([reached, max(acknowledged, reached - 1)]))  # a commit may lag
            for acknowledged, reached in zip(self.raw_acknowledged, self.raw_next, strict=True)
        ]

    def fold_step(self, partition: int, *, crash: bool) -> None:
        process = FoldProcess(self.store, self.run, self.made.rules, owner="f", log_id="c", hours=self.hours, owned=self.fold)
        if partition not in self.fold:
            process.partition(partition)
            self.fold_next[partition] = self.fold_acknowledged[partition]
        first = self.fold_next[partition]
        messages = self.contributions[partition][first : first + self.rng.randint(1, 12)]
        if messages:
            done = process.take({partition: [FoldInput(first + n, body) for n, body in enumerate(messages)]})[partition]
            self.fold_next[partition] += len(messages)
            self.fold_acknowledged[partition] = self.rng.choice([done, self.fold_acknowledged[partition]])
        if crash:
            del self.fold[partition]

    def is_scored(self) -> bool:
        return all(reached == len(raw) for reached, raw in zip(self.raw_next, self.raw, strict=True))

    def is_folded(self) -> bool:
        return self.is_scored() and all(
            n in self.fold and reached == len(mine)
            for n, (reached, mine) in enumerate(zip(self.fold_next, self.contributions, strict=True))
        )


def run_to_the_end(cluster: Cluster, *, crashes: float) -> None:
    rng = cluster.rng
    steps = 0
    while not cluster.is_folded():
        steps += 1
        may_crash = steps < 150  # else it need not end
        if not cluster.is_scored():
            cluster.score_step(crash=may_crash and rng.random() < crashes)
        if may_crash and cluster.delivered and rng.random() < crashes:
            cluster.send(rng.choice(cluster.delivered), to=rng.sample(range(CONTRIBUTION_PARTITIONS), 5))
        for partition in rng.sample(range(CONTRIBUTION_PARTITIONS), 8):
            cluster.fold_step(partition, crash=may_crash and rng.random() < crashes / 3)
    desk = DeskWorker(cluster.store, cluster.run, cluster.made, owner="d")
    while desk.step() is not None:
        if rng.random() < crashes:
            desk = DeskWorker(cluster.store, cluster.run, cluster.made, owner="d")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> LocalLog:
    return sealed_log(tmp_path_factory.mktemp("log") / "log.db", days=21, per_day=14)


@pytest.fixture(scope="module")
def expected(log: LocalLog, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    return embedded_rows(log, tmp_path_factory.mktemp("embedded"), RUN)


@pytest.mark.parametrize("crashes", [0.0, 0.3], ids=["undisturbed", "crashes, redelivery, zombies"])
def test_every_row_equals_the_embedded_run(
    crashes: float, log: LocalLog, expected: dict[str, list[tuple[object, ...]]], tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "store.db"))
    run_to_the_end(Cluster(store, log, random.Random(5)), crashes=crashes)
    found = rows_of(store, RUN)
    store.close()
    assert len(expected["alerts"]) >= 2
    for table, rows in expected.items():
        assert found[table] == rows, table


class Twin(FakeScorer):
    """Another model with the same answers."""

    model_id = "fake-2"


def changing(store: Store) -> Instruments:
    """Another model from day 8, other rules from day 18 on, for a run that is made with instruments that can have both."""
    began = instruments()
    scorers = {scorer.model_id.encode(): scorer for scorer in (FakeScorer, Twin)}
    models = Models(
        began.scorer, b"fake-1", load=lambda content: scorers[content](), promoted=lambda: b"fake-1", revision=lambda: "1", begun="1",
        now_ms=lambda: 0, start=lambda work: work(), now_s=lambda: 0.0,
    )  # fmt: skip
    made = replace(began, models=models, content=b"fake-1")
    open_run(store, RUN, kind="backfill", instruments=made)
    deaf = msgspec.structs.replace(began.rules, surge=msgspec.structs.replace(began.rules.surge, stories_min_hour=999, stories_min_day=999))
    put_in_force(store, RUN, {MODEL: ("fake-2", b"fake-2")}, now_ms=BEGIN_MS + 8 * DAY_MS)
    put_in_force(store, RUN, {RULES: content_of_rules(deaf)}, now_ms=BEGIN_MS + 18 * DAY_MS)
    return made


def test_model_and_rules_that_change_in_mid_stream_change_at_one_tick_on_every_partition(log: LocalLog, tmp_path: Path) -> None:
    single, store = Store(str(tmp_path / "single.db")), Store(str(tmp_path / "store.db"))
    pipeline = EmbeddedPipeline(single, log, RUN, changing(single))
    while pipeline.step(limit=40):
        pass
    pipeline.finish()
    cluster = Cluster(store, log, random.Random(6))
    made = changing(store)
    cluster.made, cluster.stage = made, IntakeStage(store, RUN, made.scorer, shared=True, scorers=made.scorers(store, RUN))
    run_to_the_end(cluster, crashes=0.3)
    with single.read() as connection:
        alerts = alerts_of(connection, RUN)
    assert {alert.versions["model"] for alert in alerts} == {"fake-2"}
    assert {(alert.opened_ms - BEGIN_MS) // DAY_MS for alert in alerts} == {16}, "the surge of day 20 comes under rules that hear nothing"
    expected, found = rows_of(single, RUN), rows_of(store, RUN)
    for table, rows in expected.items():
        assert found[table] == rows, table
    single.close()
    store.close()


def test_a_replaced_owner_can_store_nothing(log: LocalLog, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    cluster = Cluster(store, log, random.Random(1))
    zombie = ScorePartition.open(cluster.stage, 3, owner="old", log_id="raw", live=False)
    heir = ScorePartition.open(cluster.stage, 3, owner="new", log_id="raw", live=False)
    heir.take(cluster.raw[3][:2])
    before = rows_of(store, RUN)
    with pytest.raises(OwnershipLostError, match="score 3: owner old"):
        zombie.take(cluster.raw[3][:4])
    assert rows_of(store, RUN) == before
    store.close()


def test_a_history_reaches_every_partition_and_each_says_from_which_tick_on(log: LocalLog, tmp_path: Path) -> None:
    """Backfilled to day 14; live until day 15.5 without it, then with it: the surge of day 16 falls into what would be forming time."""
    store = Store(str(tmp_path / "store.db"))
    past, early, late = parts_of(log, tmp_path, [BEGIN_MS + 14 * DAY_MS, BEGIN_MS + 15 * DAY_MS + DAY_MS // 2])
    backfilled(store, past)
    cluster = Cluster(store, early, random.Random(4), run=LIVE_RUN)
    run_to_the_end(cluster, crashes=0.1)
    history, _ = attach(store, "past")
    cluster.publish(late)
    with pytest.raises(OwnershipLostError):  # whoever worked without the history is fenced
        run_to_the_end(cluster, crashes=0.0)
    cluster.score, cluster.fold, cluster.raw_next = {}, {}, list(cluster.raw_acknowledged)
    run_to_the_end(cluster, crashes=0.1)
    with store.read() as connection:
        alerts = alerts_of(connection, LIVE_RUN)

    assert sorted(history.folded) == list(range(CONTRIBUTION_PARTITIONS))
    first = [alert for alert in alerts if alert.opened_ms < BEGIN_MS + 19 * DAY_MS]
    assert [alert.update for alert in first] == list(range(len(first)))
    assert {alert.series for alert in first} == {"entity:brennick"}
    checks = {check.name: check.shown for check in verify(store, LIVE_RUN, cluster.made)}
    assert checks == {"balance": [], "facts": [], "increments": [], "alerts": []}
    store.close()


def parts_of(log: LocalLog, folder: Path, borders_ms: list[int]) -> list[LocalLog]:
    """An archive cut at moments into archives of which no document is in two."""
    found = []
    told: set[bytes] = set()
    for number, (start_ms, end_ms) in enumerate(pairwise([0, *borders_ms, 2**60])):
        mine = [one for one in log.read(0, limit=100_000) if start_ms <= one.known_ms < end_ms and _name(one.body) not in told]
        told |= {_name(one.body) for one in mine}
        part = LocalLog(folder / f"part{number}.db")
        part.stage("part", [StagedRecord(one.known_ms, str(n), one.source, one.body) for n, one in enumerate(mine)], lines=1, done=True)
        part.seal()
        found.append(part)
    return found


def _name(body: bytes) -> bytes:
    found = re.search(rb'"source":"[^"]*".*"id":"[^"]*"', body)
    return re.sub(rb'"title".*"id"', b"", found[0]) if found else body


def backfilled(store: Store, log: LocalLog) -> None:
    made = instruments()
    open_run(store, "past", kind="backfill", instruments=made)
    pipeline = EmbeddedPipeline(store, log, "past", made)
    while pipeline.step():
        pass
    pipeline.finish()
    update_manifest(store, "past", complete=True)
