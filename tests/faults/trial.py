"""One trial: workers over a real cluster and a real database, fed share by share, struck by faults, judged by every row."""

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from kafka import KafkaAdminClient

from groundswell import names
from groundswell.codec import decode_raw
from groundswell.errors import RecordError, reason_of
from groundswell.names import ROLE_DESK, ROLE_FOLD, ROLE_SCORE
from groundswell.store import schema as t
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of
from stream.operators.admit import BEGINNING_MS, tick_of
from stream.shells.backfill import account_for
from stream.shells.publish import RawProducer
from stream.shells.topics import prepare_run
from stream.shells.wire import punctuation
from stream.shells.worker import STALLED_AFTER_S
from tests import peers
from tests.faults.brokers import NODES, Brokers, broker_nodes
from tests.faults.material import Material
from tests.faults.postgres import Postgres, postgres_server
from tests.faults.proxy import Proxy
from tests.kafka_run import KafkaRun, embedded_rows, kafka_run, rows_of
from tests.kafka_worker import Role
from tests.synthetic_news import instruments

WORKERS: Final[tuple[tuple[Role, int], ...]] = (("score", 0), ("score", 1), ("fold", 0), ("fold", 1), ("desk", 0))
ROLE_NAMES: Final[dict[Role, str]] = {"score": ROLE_SCORE, "fold": ROLE_FOLD, "desk": ROLE_DESK}
POLL_S: Final = 0.05
NUDGE_EVERY_S: Final = 1.0
RECOVER_WITHIN_S: Final = 3 * STALLED_AFTER_S  # a worker that stands still is ended by its own watch meanwhile, and started again

Place = tuple[str, int]
"""Role and partition: one row of progress."""
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class World:
    """The peers, which outlive a trial."""

    brokers: Brokers
    postgres: Postgres
    database: Proxy  # between the workers of a proxied trial and PostgreSQL
    folder: Path


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Three Kafka nodes and a PostgreSQL server, with a proxy in front of each."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        database = stack.enter_context(Proxy(lambda: postgres.port))
        yield World(stack.enter_context(broker_nodes()), postgres, database, folder)


@dataclass
class Outcome:
    """What a trial found.

    Args:
        strikes: how often the fault was done.
        in_midst: how often there was work under way at that moment.
        seconds: from the end of each fault until every partition that it hit had committed again.
        lost: rows that the embedded shell has and this run has not.
        doubled: rows that this run has and the embedded shell has not.
        balance: documents without a fate, or with two, over all sources.
        codes: exit codes of workers that ended by themselves.
    """

    strikes: int = 0
    in_midst: int = 0
    seconds: list[float] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    balance: int = 0
    codes: Counter[int] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, nothing doubled, and every document has one fate."""
        return not (self.lost.total() or self.doubled.total() or self.balance)


class Trial:
    """One run under one fault, or several.

    Args:
        world: the peers.
        material: what is published.
        run: the workers.
        rng: decides whom and when.
    """

    def __init__(self, world: World, material: Material, run: KafkaRun, rng: random.Random) -> None:
        self.world, self.material, self.run, self.rng = world, material, run, rng
        self.outcome = Outcome()
        self.fed = 0  # shares that have been published
        self._since_s = 0.0

    @classmethod
    @contextmanager
    def begin(cls, world: World, material: Material, name: str, *, proxied: bool = False, seed: int = 1) -> Iterator[Self]:
        """A trial whose workers have all begun to work; its topics and its database are gone at the end.

        Args:
            world: the peers.
            material: what is published.
            name: of the run.
            proxied: the workers reach their peers through the proxies.
            seed: of everything that is left to chance.
        """
        with ExitStack() as stack:
            url = stack.enter_context(peers.fresh_database(world.postgres.url))
            told = url.replace(f":{world.postgres.port}/", f":{world.database.port}/") if proxied else url
            brokers = world.brokers.proxied if proxied else world.brokers.bootstrap
            run = stack.enter_context(kafka_run(brokers, url, name, world.folder / name, workers_store_url=told))
            prepare_run(run.store, world.brokers.bootstrap, name, kind="backfill", instruments=instruments(), replication=NODES)
            stack.callback(_delete_topics, world.brokers.bootstrap, name)
            trial = cls(world, material, run, random.Random(seed))
            for role, number in WORKERS:
                run.start(role, number)
            yield trial

    # --- feeding and waiting ----------------------------------------------------------------------------------------------
    def feed(self, shares: int = 1) -> None:
        """Publish the next shares, acknowledged by the brokers on return."""
        with RawProducer(self.world.brokers.bootstrap, self.run.run) as producer:
            for partition, body in [message for share in self.material.shares[self.fed : self.fed + shares] for message in share]:
                producer.send(partition, body)
            producer.confirm()
        self.fed = min(self.fed + shares, len(self.material.shares))

    def join(self, role: Role, number: int) -> None:
        """Start a worker more, and note how long it takes until it owns something."""
        began = nudged = time.monotonic()
        self.run.start(role, number)

        def owns() -> bool:
            nonlocal nudged
            if time.monotonic() - nudged > NUDGE_EVERY_S:  # a partition is claimed with the first message that comes out of it
                self._nudge()
                nudged = time.monotonic()
            return bool(self._owned(role, number))

        self.run.wait(owns, what=f"{role} {number} taking a share of the partitions", within_s=RECOVER_WITHIN_S)
        self.outcome.seconds.append(time.monotonic() - began)

    def _nudge(self) -> None:
        """Send every partition a punctuation that brings no new time."""
        with RawProducer(self.world.brokers.bootstrap, self.run.run) as producer:
            for partition in range(names.RAW_PARTITIONS):
                producer.send(partition, punctuation(self.material.ends_ms[self.fed - 1]))
            producer.confirm()

    def pause(self, seconds: float) -> None:
        """Let time pass in which workers that end are started again: how long a fault lasts, or when it comes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.run.start_again()
            time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))

    def places(self, role: Role | None = None, *, owner: str | None = None) -> dict[Place, tuple[int, int]]:
        """{role and partition: (epoch, revision)}, of all roles or one, of all owners or one."""
        wanted = [ROLE_NAMES[role]] if role else list(ROLE_NAMES.values())
        with self.run.store.read() as connection:
            rows = [row for each in wanted for row in progress_of(connection, self.run.run, each)]
        return {(row.role, row.part): (row.epoch, row.revision) for row in rows if owner in (None, row.owner)}

    def owned(self, role: Role, number: int) -> dict[Place, tuple[int, int]]:
        """What a worker owns at this moment; everything of its role where it has not claimed anything yet."""
        return self._owned(role, number) or self.places(role)

    def _owned(self, role: Role, number: int) -> dict[Place, tuple[int, int]]:
        return self.places(role, owner=f"{socket.gethostname()}:{self.run.pid(role, number)}")

    def struck(self) -> None:
        """Count a fault, and whether it comes while there is work under way; called right before it."""
        self.outcome.strikes += 1
        self.outcome.in_midst += not self.worked_off()
        self._since_s = time.monotonic()

    def over(self) -> dict[Place, tuple[int, int]]:
        """What lasted for a while is over now: from here on recovery is timed. Returns every partition as it stands."""
        self._since_s = time.monotonic()
        return self.places()

    def worked_off(self) -> bool:
        """Whether everything that was fed is decided."""
        tick = tick_of(self.material.ends_ms[self.fed - 1])
        with self.run.store.read() as connection:
            folded, decided = (progress_of(connection, self.run.run, role) for role in (ROLE_FOLD, ROLE_DESK))
        return all(tick_of(row.time_ms) >= tick for row in folded) and any(row.closed_tick >= tick - 1 for row in decided)

    def recover(self, hit: dict[Place, tuple[int, int]]) -> None:
        """Wait until each of these partitions has committed, and note how long that is after the fault; call `feed` before."""
        waiting = dict(hit)

        def gone_on() -> bool:
            now = self.places()
            for place in [place for place, before in waiting.items() if now[place][1] > 0 and now[place] > before]:
                del waiting[place]
            return not waiting

        self.run.wait(gone_on, what="going on after a fault", within_s=RECOVER_WITHIN_S)
        self.outcome.seconds.append(time.monotonic() - self._since_s)

    def catch_up(self) -> None:
        """Wait until everything that was fed is decided."""
        self.run.wait(self.worked_off, what=f"working off {self.fed} shares", within_s=RECOVER_WITHIN_S)

    # --- the judge -----------------------------------------------------------------------------------------------------------
    def finish(self, expected: Rows) -> Outcome:
        """Feed what is left, stop the workers once all is decided, and compare every row."""
        self.feed(len(self.material.shares) - self.fed)
        self.catch_up()
        stopped = {f"{role}-{number}": self.run.stop(role, number) for role, number in WORKERS}
        assert set(stopped.values()) == {0}, f"SIGTERM ends a worker, and that is no fault: {stopped}"
        found = rows_of(self.run.store, self.run.run)
        outcome = self.outcome
        for table, rows in with_poison(expected, self.material.poison).items():
            outcome.lost[table] = (Counter(rows) - Counter(found[table])).total()
            outcome.doubled[table] = (Counter(found[table]) - Counter(rows)).total()
        outcome.codes = Counter(code for _, code in self.run.ended)
        outcome.balance = self._balance()
        return outcome

    def _balance(self) -> int:
        store, run, poison = self.run.store, self.run.run, self.material.poison
        account_for(store, run, self.material.log, [])
        with store.write() as connection:
            f = t.fetched.c
            connection.execute(t.fetched.update().where(f.run == run, f.source == "?").values(documents=f.documents + len(poison)))
        with store.read() as connection:
            return sum(abs(row.balance) for row in balance_of(connection, run))


def with_poison(expected: Rows, poison: list[bytes]) -> Rows:
    """The expected rows, and a drop for each message that was no envelope."""
    drops = []
    for body in poison:
        try:
            decode_raw(body)
        except RecordError as error:
            drops.append((BEGINNING_MS, reason_of(error), body))
    assert len(drops) == len(poison)
    return expected | {"drops": [*expected["drops"], *drops]}


def expected_rows(material: Material, folder: Path) -> Rows:
    """What the embedded shell makes of a trial's records."""
    return embedded_rows(material.log, folder, "embedded")


def _delete_topics(bootstrap: str, run: str) -> None:
    """Hundreds of partitions that nobody reads any more would slow the next trial down."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        admin.delete_topics([names.raw_topic(run), names.contribution_topic(run)])
    finally:
        admin.close()
