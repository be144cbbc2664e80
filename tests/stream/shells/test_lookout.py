"""The lookout finds what operators have to know, tells it once, and takes it back when it is over."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from prometheus_client import CollectorRegistry

from alerts.notify.base import Limits
from alerts.notify.message import Message
from groundswell.clock import ManualClock
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.metrics import BALANCE_TERMS, Metrics
from groundswell.records import Delivery, Drop, Position
from groundswell.store import schema as t
from groundswell.store.conditions import open_conditions
from groundswell.store.derived import insert_alert
from groundswell.store.facts import write_intake
from groundswell.store.outbox import put_back
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.lookout import BALANCE_EVERY_MS, BEHIND_MS, LOOK_EVERY_MS, Lookout, supervisor_report
from tests import builders as b
from tests.alerts.alert_factory import an_alert

RUN = "live"


class Channel:
    limits: ClassVar[Limits] = Limits(subject_chars=None, text_chars=10_000, messages_per_s=1.0, threads=False)

    def __init__(self, name: str = "mail", *, ok: bool = True) -> None:
        self.name, self.ok = name, ok
        self.subjects: list[str] = []

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        self.subjects.append(message.subject)
        return Delivery(target=self.name, ok=self.ok, reason=None if self.ok else "closed")


class Scene:
    """A live run that has folded some documents, and a lookout at the end of its time."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder / "s.db"))
        with LocalLog(folder / "log") as log:
            for n in range(60):
                raw = b.a_raw(id=str(n), title=f"Aldora debt {n}", text="", source="Harbour Wire")
                log.append([("document", "Harbour Wire", encode(raw))], now_ms=b.T0_MS + n * 1_000)
            log.punctuate(now_ms=b.T0_MS + 700_000)
            pipeline = EmbeddedPipeline(self.store, log, RUN, b.instruments())
            while pipeline.step():
                pass
        self.clock, self.mail = ManualClock(b.T0_MS + 720_000), Channel()
        self.metrics = Metrics(CollectorRegistry())
        self.lookout = Lookout(self.store, RUN, {"mail": self.mail}, "http://desk.example", self.clock, metrics=self.metrics)

    def look(self, *, later_ms: int = LOOK_EVERY_MS) -> list[tuple[str, str]]:
        self.clock.advance(later_ms)
        asyncio.run(self.lookout.look())
        with self.store.read() as connection:
            return [(condition.kind, condition.subject) for condition in open_conditions(connection)]

    def drop(self, number: int, reason: str, *, source: str = "Harbour Wire", part: int = 1) -> None:
        drops = [
            Drop(position=Position(part, n), known_ms=b.T0_MS + 600_000, source=source, reason=reason, body=b"x") for n in range(number)
        ]
        with self.store.write() as connection:
            write_intake(self.store, connection, RUN, drops=drops)
            self.store.add(connection, t.taken, [{"run": RUN, "part": part, "source": source, "documents": number}], column="documents")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with closing(made.store):
        yield made


def test_a_run_in_order_tells_nobody_anything(scene: Scene) -> None:
    assert scene.look() == []
    assert scene.mail.subjects == []


def test_a_feed_that_is_being_dropped_is_told_once_and_ends_when_it_is_over(scene: Scene) -> None:
    scene.drop(20, "raw record: no title")
    assert scene.look() == [("drops", "Harbour Wire")]
    assert scene.look() == [("drops", "Harbour Wire")]
    assert scene.mail.subjects == ["[operations] a feed is being dropped: Harbour Wire"]
    assert scene.metrics.registry.get_sample_value("groundswell_conditions", {"kind": "drops"}) == 1

    with scene.store.write() as connection:
        connection.execute(t.drops.delete())
        connection.execute(t.taken.delete().where(t.taken.c.part == 1))
    assert scene.look() == []
    assert scene.metrics.registry.get_sample_value("groundswell_conditions", {"kind": "drops"}) == 0


@pytest.mark.parametrize(("number", "reason"), [(19, "raw record: no title"), (500, "language: de")])
def test_a_few_drops_and_texts_in_other_languages_are_no_condition(scene: Scene, number: int, reason: str) -> None:
    scene.drop(number, reason)
    assert scene.look() == []


def test_a_run_that_is_behind_the_wall_clock_is_told_of(scene: Scene) -> None:
    assert scene.look(later_ms=BEHIND_MS) == [("behind", RUN)]
    assert scene.mail.subjects == ["[operations] the pipeline is behind: live"]


def test_a_document_without_a_fate_is_told_of_at_the_next_count(scene: Scene) -> None:
    scene.look()
    counted = {term: scene.metrics.registry.get_sample_value("groundswell_balance_documents", {"term": term}) for term in BALANCE_TERMS}
    assert (counted["fetched"], counted["scored"], counted["balance"]) == (counted["scored"], counted["fetched"], 0)
    with scene.store.write() as connection:
        connection.execute(t.admissions.delete().where(t.admissions.c.position == 5))
    assert scene.look() == [], "not counted at every look"
    assert ("balance", RUN) in scene.look(later_ms=BALANCE_EVERY_MS)
    with scene.store.read() as connection:
        reasons = {c.kind: c.reason for c in open_conditions(connection)}
    assert reasons["balance"] == "Harbour Wire +1"
    assert scene.metrics.registry.get_sample_value("groundswell_balance_documents", {"term": "balance"}) == 1


def test_a_target_that_refuses_is_tried_again_at_the_next_look(scene: Scene) -> None:
    scene.mail.ok = False
    scene.look(later_ms=BEHIND_MS)
    scene.mail.ok = True
    scene.look()
    scene.look()
    assert len(scene.mail.subjects) == 2


def test_what_a_supervisor_says_is_stored_and_taken_back_when_all_is_well(scene: Scene) -> None:
    report = supervisor_report(scene.store, "host, live")
    report("crash_loop", "host: score crashed 10 times")
    assert scene.look() == [("crash_loop", "host, live")]
    assert scene.mail.subjects == ["[operations] workers crash again and again: host, live"]
    report("steady", "all up")
    assert scene.look() == []


def test_a_supervisor_whose_store_is_away_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(str(tmp_path / "s.db"))
    store.close()
    (tmp_path / "s.db").unlink()
    (tmp_path / "s.db").mkdir()

    supervisor_report(store, "host")("crash_loop", "reason")

    assert "the condition could not be stored" in caplog.text


def test_a_message_that_was_given_up_is_told_by_its_target_and_ends_when_it_is_put_back(scene: Scene) -> None:
    with scene.store.write() as connection:
        insert_alert(scene.store, connection, RUN, an_alert(opened_ms=b.T0_MS + 600_000), targets=("mail:anna",))
    assert scene.look() == []
    with scene.store.write() as connection:
        connection.execute(t.outbox.update().values(state="failed", attempts=1, reason="550 no such user"))
    assert scene.look() == [("dead_letters", "mail:anna")]
    assert scene.mail.subjects == ["[operations] messages were given up: mail:anna"]
    put_back(scene.store, RUN, an_alert().id)
    assert scene.look() == []
