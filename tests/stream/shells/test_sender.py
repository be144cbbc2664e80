"""The outbox: attempts stored before the call, results after, in order per target; nothing lost, nothing sent silently twice."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import select, update

from alerts.notify.base import Limits
from alerts.notify.message import Message
from groundswell.clock import ManualClock
from groundswell.names import LIVE_RUN
from groundswell.records import Delivery
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from stream.shells.sender import ATTEMPTS_MAX, Fixed, Sender
from stream.shells.voice import Voice
from tests.alerts.alert_factory import OPENED_MS, an_alert

FIRST, SECOND = an_alert(id="a" * 16, opened_ms=OPENED_MS), an_alert(id="b" * 16, opened_ms=OPENED_MS + 60_000)


@dataclass
class Channel:
    """A notifier whose answers a test gives; afterwards it delivers everything."""

    name: str
    answers: list[Delivery | Exception] = field(default_factory=list)
    got: list[tuple[str, bool]] = field(default_factory=list)
    limits: ClassVar[Limits] = Limits(subject_chars=90, text_chars=1_000, messages_per_s=1.0, threads=False, repeats_seen=True)

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


def a_sender(store: Store, clock: ManualClock, *channels: Channel) -> Sender:
    return Sender(
        store, LIVE_RUN, Fixed({channel.name: channel for channel in channels}), Voice("http://127.0.0.1:8350", str), clock.now_ms
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
