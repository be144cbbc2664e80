"""The outbox: attempts stored before the call, results after, in order per target; nothing lost, nothing sent silently twice."""

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import select, update

from alerts.notify.base import Limits
from alerts.notify.message import Message
from groundswell.clock import ManualClock
from groundswell.errors import NotFoundError, OwnershipLostError
from groundswell.names import LIVE_RUN
from groundswell.records import Delivery
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.outbox import dead_letters, put_back
from groundswell.store.store import Store
from stream.shells.sender import ATTEMPTS_MAX, LEASE_MS, Fixed, Sender
from stream.shells.voice import Voice
from tests.alerts.alert_factory import OPENED_MS, an_alert

FIRST, SECOND = an_alert(id="a" * 16, opened_ms=OPENED_MS), an_alert(id="b" * 16, opened_ms=OPENED_MS + 60_000)


@dataclass
class Channel:
    """A notifier whose answers a test gives; afterwards it delivers everything."""

    name: str
    answers: list[Delivery | Exception] = field(default_factory=list)
    got: list[tuple[str, bool]] = field(default_factory=list)
    limits: ClassVar[Limits] = Limits(subject_chars=90, text_chars=1_000, messages_per_s=1.0, threads=False)

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        self.got.append((message.message_id[:1], resend))
        answer = self.answers.pop(0) if self.answers else Delivery(target=self.name, ok=True, provider_id="m1")
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "out.db"))
    with store.write() as connection:
        for alert in (SECOND, FIRST):
            insert_alert(store, connection, LIVE_RUN, alert, targets=("mail", "slack"))
    return store


def a_sender(store: Store, clock: ManualClock, *channels: Channel, **given: Any) -> Sender:
    return Sender(
        store, LIVE_RUN, Fixed({channel.name: channel for channel in channels}), Voice("http://127.0.0.1:8350", str), clock.now_ms, **given
    )


def outbox(store: Store) -> dict[tuple[str, str], tuple[str, int, str | None]]:
    box = t.outbox.c
    with store.read() as connection:
        rows = connection.execute(select(box.alert_id, box.target, box.state, box.attempts, box.reason))
        return {(row[0][:1], row[1]): (row[2], row[3], row[4]) for row in rows}


async def test_messages_go_out_once_and_the_oldest_first(store: Store) -> None:
    mail, slack = Channel("mail"), Channel("slack")
    sender = a_sender(store, ManualClock(1), mail, slack)
    assert len(await sender.send_due()) == 4
    assert mail.got == slack.got == [("a", False), ("b", False)]
    assert {state for state, _, _ in outbox(store).values()} == {"sent"}
    assert await sender.send_due() == []


async def test_a_target_that_refuses_for_now_waits_its_turn_and_the_others_go_on(store: Store) -> None:
    clock, slack = ManualClock(1_000), Channel("slack")
    mail = Channel("mail", [Delivery(target="mail", ok=False, reason="451 later", retry_after_s=7.0)])
    sender = a_sender(store, clock, mail, slack)
    await sender.send_due()
    assert mail.got == [("a", False)], "what comes later may not overtake it"
    assert slack.got == [("a", False), ("b", False)]
    assert outbox(store)["a", "mail"] == ("due", 1, "451 later")
    clock.advance(6_999)
    await sender.send_due()
    assert ("a", False) not in mail.got[1:]
    clock.advance(1)
    await sender.send_due()
    assert outbox(store)["a", "mail"][0] == "sent"


async def test_a_target_that_refuses_for_good_ends_as_failed_with_its_reason(store: Store) -> None:
    mail = Channel("mail", [Delivery(target="mail", ok=False, permanent=True, reason="550 no such user")] * 2)
    await a_sender(store, ManualClock(1), mail, Channel("slack")).send_due()
    assert outbox(store)["a", "mail"] == ("failed", 1, "550 no such user")


async def test_what_was_attempted_when_the_process_died_is_sent_again_and_marked(store: Store) -> None:
    with store.write() as connection:
        box = t.outbox.c
        connection.execute(update(t.outbox).where(box.alert_id == FIRST.id, box.target == "mail").values(state="attempted", attempts=1))
    mail = Channel("mail")
    await a_sender(store, ManualClock(1), mail, Channel("slack")).send_due()
    assert mail.got == [("a", True), ("b", False)]


async def test_a_notifier_that_raises_costs_nobody_else_anything_and_is_given_up_in_the_end(store: Store) -> None:
    clock, slack = ManualClock(1), Channel("slack")
    mail = Channel("mail", [RuntimeError("broken")] * (2 * ATTEMPTS_MAX))
    sender = a_sender(store, clock, mail, slack)
    for _ in range(ATTEMPTS_MAX):
        await sender.send_due()
        clock.advance(900_000)
    assert len(slack.got) == 2
    assert outbox(store)["a", "mail"] == ("failed", ATTEMPTS_MAX, "broken")


async def test_a_target_that_is_not_configured_any_more_is_said_to_be(store: Store) -> None:
    await a_sender(store, ManualClock(1), Channel("slack")).send_due()
    state, _, reason = outbox(store)["a", "mail"]
    assert state == "failed"
    assert reason is not None
    assert "'mail'" in reason


async def test_what_may_have_arrived_is_marked_when_it_is_sent_again_and_what_did_not_is_not(store: Store) -> None:
    clock = ManualClock(1)
    mail = Channel("mail", [Delivery(target="mail", ok=False, unknown=True, reason="hung up after DATA")])
    slack = Channel("slack", [Delivery(target="slack", ok=False, reason="500 try later")])
    sender = a_sender(store, clock, mail, slack)
    await sender.send_due()
    assert outbox(store)["a", "mail"] == ("attempted", 1, "hung up after DATA")
    clock.advance(5_000)
    await sender.send_due()
    assert ("a", True) in mail.got
    assert ("a", True) not in slack.got


async def test_a_slow_target_stops_no_other_and_is_not_asked_twice(store: Store) -> None:
    clock, released = ManualClock(1), asyncio.Event()

    class Slow(Channel):
        async def send(self, message: Message, *, resend: bool) -> Delivery:
            self.got.append((message.message_id[:1], resend))
            await released.wait()
            return Delivery(target=self.name, ok=True)

    mail, slack = Slow("mail"), Channel("slack")
    sender = a_sender(store, clock, mail, slack, patience_s=0.05)
    assert {delivery.target for delivery in await sender.send_due()} == {"slack"}
    assert await sender.send_due() == []
    assert mail.got == [("a", False)]
    assert outbox(store)["a", "mail"][0] == "attempted"
    released.set()
    assert [delivery.target for delivery in await sender.send_due()] == ["mail", "mail"]
    assert outbox(store)["b", "mail"][0] == "sent"


async def test_what_is_under_way_at_the_end_is_waited_for_and_its_result_kept(store: Store) -> None:
    clock, begun, released = ManualClock(1), asyncio.Event(), asyncio.Event()

    class Slow(Channel):
        async def send(self, message: Message, *, resend: bool) -> Delivery:
            begun.set()
            await released.wait()
            return Delivery(target=self.name, ok=True)

    sender = a_sender(store, clock, Slow("mail"), Channel("slack"), patience_s=0.0)
    await sender.send_due()
    await begun.wait()
    released.set()
    await sender.close()
    assert outbox(store)["a", "mail"][0] == outbox(store)["b", "mail"][0] == "sent"


async def test_a_channel_that_asks_for_rest_gets_it_for_everything(store: Store) -> None:
    clock, slack = ManualClock(1), Channel("slack")
    mail = Channel("mail", [Delivery(target="mail", ok=False, reason="429", retry_after_s=60.0)])
    sender = a_sender(store, clock, mail, slack)
    for _ in range(6):
        await sender.send_due()
        clock.advance(9_000)
    assert mail.got == [("a", False)]
    clock.advance(9_000)
    await sender.send_due()
    assert mail.got == [("a", False), ("a", False), ("b", False)]


async def test_a_channel_gets_no_more_at_once_than_it_takes(store: Store) -> None:
    clock, mail, slack = ManualClock(1), Channel("mail"), Channel("slack")
    with store.write() as connection:
        for n in range(20):
            name = f"{n:02d}" * 8
            insert_alert(store, connection, LIVE_RUN, an_alert(id=name, incident=name), targets=("mail",))
    sender = a_sender(store, clock, mail, slack)
    await sender.send_due()
    assert len(mail.got) == 5
    clock.advance(3_000)
    await sender.send_due()
    assert len(mail.got) == 8, "one a second, as its limits say"


# --- two senders ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def test_of_two_senders_the_newer_one_sends_and_the_older_one_ends(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = str(tmp_path / "two.db") if kind == "sqlite" else request.getfixturevalue("postgres_store_url")
    mail, clock = Channel("mail"), ManualClock(1)
    with closing(Store(url)) as one, closing(Store(url)) as two:
        with one.write() as connection:
            insert_alert(one, connection, LIVE_RUN, FIRST, targets=("mail",))
        older, newer = a_sender(one, clock, mail, owner="older"), a_sender(two, clock, mail, owner="newer")
        await older.send_due()
        with one.write() as connection:
            insert_alert(one, connection, LIVE_RUN, SECOND, targets=("mail",))
        await newer.send_due()
        with one.write() as connection:
            insert_alert(one, connection, LIVE_RUN, an_alert(id="c" * 16, incident="c" * 16), targets=("mail",))
        with pytest.raises(OwnershipLostError, match="owner older"):
            await older.send_due()
        await newer.send_due()
    assert mail.got == [("a", False), ("b", False), ("c", False)]


async def test_what_an_older_sender_had_under_way_is_not_sent_again_by_the_newer_one(store: Store) -> None:
    clock, released = ManualClock(1), asyncio.Event()

    class Slow(Channel):
        async def send(self, message: Message, *, resend: bool) -> Delivery:
            self.got.append((message.message_id[:1], resend))
            await released.wait()
            return Delivery(target=self.name, ok=True)

    mail = Slow("mail")
    older, newer = a_sender(store, clock, mail, patience_s=0.05), a_sender(store, clock, mail, patience_s=0.05)
    await older.send_due()
    with store.write() as connection:
        insert_alert(store, connection, LIVE_RUN, an_alert(id="c" * 16, incident="c" * 16), targets=("mail",))
    await newer.send_due()
    assert mail.got == [("a", False), ("c", False)], "what is under way is left to who began it"
    released.set()
    with pytest.raises(OwnershipLostError):
        await older.send_due()
    assert outbox(store)["a", "mail"][0] == "sent", "its result is a fact all the same"
    await newer.send_due()
    clock.advance(10 * LEASE_MS)
    await newer.send_due()
    assert mail.got == [("a", False), ("c", False), ("b", False)], "nothing twice"


# --- by hand --------------------------------------------------------------------------------------------------------------------
async def test_a_dead_letter_can_be_put_back_and_is_marked_only_if_it_may_have_arrived(store: Store) -> None:
    clock, slack = ManualClock(1), Channel("slack")
    mail = Channel("mail", [Delivery(target="mail", ok=False, permanent=True, reason="550 no such user")])
    sender = a_sender(store, clock, mail, slack)
    await sender.send_due()
    with store.read() as connection:
        assert "550 no such user" in dead_letters(connection, LIVE_RUN, since_ms=0)["mail"]
    with pytest.raises(NotFoundError, match="has no dead letter for slack"):
        put_back(store, LIVE_RUN, FIRST.id, target="slack")
    assert [item.target for item in put_back(store, LIVE_RUN, FIRST.id)] == ["mail"]
    await sender.send_due()
    assert mail.got[-2:] == [("a", False), ("b", False)]
    with store.write() as connection:
        connection.execute(update(t.outbox).values(state="failed", attempts=20))
    put_back(store, LIVE_RUN, FIRST.id, target="mail")
    await sender.send_due()
    assert mail.got[-1] == ("a", True)
    with store.read() as connection:
        assert set(dead_letters(connection, LIVE_RUN, since_ms=0)) == {"mail", "slack"}


async def test_when_a_target_took_a_message_is_kept_and_a_failed_try_has_no_such_time(store: Store) -> None:
    clock, mail = ManualClock(OPENED_MS + 7_000), Channel("mail", answers=[Delivery(target="mail", ok=False, reason="greylisted")])
    sender = a_sender(store, clock, mail, Channel("slack"))
    await sender.send_due()
    box = t.outbox.c
    query = select(box.sent_ms).where(box.target == "mail", box.alert_id == FIRST.id)
    with store.read() as connection:
        assert connection.execute(query).scalar_one() is None
    clock.advance(60_000)
    await sender.send_due()
    with store.read() as connection:
        assert connection.execute(query).scalar_one() == OPENED_MS + 67_000
