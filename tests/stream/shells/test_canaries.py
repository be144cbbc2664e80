"""A canary proves the way from the crawler to a mailbox, and counts nowhere."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from groundswell.clock import ManualClock
from groundswell.codec import encode
from groundswell.errors import NotFoundError
from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics
from groundswell.names import CANARY_SERIES, CANARY_SOURCE, HOUR_MS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.canaries import Canary, last_canary
from groundswell.store.conditions import open_conditions
from groundswell.store.facts import arrival_ticks
from groundswell.store.health import SourceWatch
from groundswell.store.query import balance_of, series_like
from groundswell.store.store import Store
from ingest.canary import Canaries
from stream.operators.exposure import FULL_PPM
from stream.shells.canaries import GRACE_MS, CanaryWatch
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.rebuild import rebuild_exposure
from tests import builders as b
from tests.stream.shells.test_lookout import Channel

RUN = "live"
BEGIN_MS = b.T0_MS // HOUR_MS * HOUR_MS + 600_000
DUE_MS = BEGIN_MS - 600_000 + HOUR_MS


class Scene:
    """The embedded pipeline, a crawler that sends nothing but canaries, and what watches for them; time is the test's."""

    def __init__(self, folder: Path) -> None:
        self.store, self.log = Store(str(folder / "s.db")), LocalLog(folder / "log")
        self.clock, self.mail, self.metrics = ManualClock(BEGIN_MS), Channel(), Metrics(CollectorRegistry())
        self.pipeline = EmbeddedPipeline(self.store, self.log, RUN, b.instruments())
        self.canaries, self.watch = Canaries(HOUR_MS), self.watching()
        self.at(BEGIN_MS)

    def watching(self) -> CanaryWatch:
        return CanaryWatch(self.store, RUN, HOUR_MS, {"mail": self.mail}, "http://desk.example", self.clock, self.metrics)

    def at(self, now_ms: int, *, crawls: bool = True) -> list[Canary]:
        """Let a moment come: the crawler looks, the log takes it, the pipeline folds, the watch looks."""
        self.clock.advance(now_ms - self.clock.now_ms())
        for document in self.canaries.due(now_ms):
            if crawls:
                self.log.append([("document", document.source, encode(document))], now_ms=now_ms)
        self.log.punctuate(now_ms=now_ms)
        while self.pipeline.step():
            pass
        return asyncio.run(self.watch.look())

    def holding(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            return [(condition.kind, condition.reason) for condition in open_conditions(connection)]

    def come(self) -> None:
        """One canary that comes through."""
        assert self.at(DUE_MS + 1_000) == []
        assert len(self.at(DUE_MS + 21_000)) == 1


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with closing(made.store), closing(made.log):
        yield made


def test_a_canary_reaches_desk_and_mailbox_and_is_stored_with_how_long_it_took(scene: Scene) -> None:
    assert scene.at(DUE_MS + 1_000) == []  # its tick is open
    assert scene.at(DUE_MS + 21_000) == [Canary(DUE_MS, DUE_MS + 21_000, told="mail")]

    (subject,) = scene.mail.subjects
    assert subject.startswith("[canary] ")
    assert subject.endswith(" UTC reached the desk after 21 s")
    with scene.store.read() as connection:
        assert last_canary(connection, RUN) == Canary(DUE_MS, DUE_MS + 21_000, told="mail")
    assert scene.metrics.registry.get_sample_value("groundswell_canary_timestamp_seconds") == DUE_MS / 1_000
    assert scene.metrics.registry.get_sample_value("groundswell_canary_latency_seconds") == 21


def test_a_canary_counts_in_no_series_no_exposure_and_no_health(scene: Scene) -> None:
    scene.come()
    with scene.store.read() as connection:
        with pytest.raises(NotFoundError):
            series_like(connection, RUN, ["*"])
        assert series_like(connection, RUN, [CANARY_SERIES]) == [CANARY_SERIES]
        assert arrival_ticks(connection, RUN, since_tick=0, through_tick=2**40) == []
        assert SourceWatch(RUN).rhythms(connection, at_ms=DUE_MS + HOUR_MS) == {}
        exposure = rebuild_exposure(connection, RUN, through_tick=(DUE_MS + 15_000) // TICK_MS)
        row = connection.execute(t.increments.select()).mappings().one()
        (balance,) = balance_of(connection, RUN, log=scene.log)
    assert exposure.first_hour is None
    assert exposure.now(DUE_MS // TICK_MS, "en") == FULL_PPM
    assert (row["series"], row["negative"]) == (CANARY_SERIES, 0)
    assert (balance.source, balance.fetched, balance.scored, balance.balance) == (CANARY_SOURCE, 1, 1, 0)


def test_a_canary_is_told_once_whoever_watches_and_however_often_it_is_sent(scene: Scene) -> None:
    scene.come()
    scene.watch = scene.watching()
    scene.canaries = Canaries(HOUR_MS)
    scene.canaries.due(BEGIN_MS)

    assert scene.at(DUE_MS + 60_000) == []
    assert len(scene.mail.subjects) == 1


def test_a_canary_that_is_missing_is_a_condition_until_one_comes(scene: Scene) -> None:
    scene.come()
    second = DUE_MS + HOUR_MS
    scene.at(second + 1_000, crawls=False)
    scene.at(second + GRACE_MS)
    assert scene.holding() == []

    scene.at(second + GRACE_MS + 60_000)
    ((kind, reason),) = scene.holding()
    assert kind == "canary"
    assert reason.endswith("UTC has not reached the desk after 6 min")

    scene.watch = scene.watching()  # a desk that was restarted takes nothing back before one has come
    scene.at(second + GRACE_MS + 120_000)
    assert len(scene.holding()) == 1
    scene.at(second + HOUR_MS + 1_000)
    scene.at(second + HOUR_MS + 30_000)
    assert scene.holding() == []


def test_a_target_that_refuses_is_named_and_the_way_to_the_desk_is_proven_all_the_same(scene: Scene) -> None:
    scene.mail.ok = False
    scene.come()
    with scene.store.read() as connection:
        found = last_canary(connection, RUN)

    assert found is not None
    assert (found.told, found.refused) == ("", "mail: closed")
