"""A target that its reader has stopped: nothing more goes there, each message says so, and an escalation goes on to whoever is next."""

from pathlib import Path

import pytest

from groundswell.exports import iso
from groundswell.records import Delivery
from groundswell.store.outbox import put_back
from groundswell.store.stops import last_word, stopped, withheld
from tests.stream.shells.outbox_desk import HOUR_MS, MINUTE_MS, Desk

ANNA = '[[reader]]\nname = "anna"\nmail = ["anna@bank.example"]\nslack = "C01"\n'
ESCALATES = ANNA + '[reader.escalation]\nafter_min = 15\nto = ["mail:head"]\n'
HEAD = '[[reader]]\nname = "head"\nmail = ["head@bank.example"]\nseries = []\n'
CALLS_CHIEF = (
    '[reader.escalation]\nafter_min = 60\nto = ["mail:chief"]\n[[reader]]\nname = "chief"\nmail = ["c@bank.example"]\nseries = []\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out.db"


async def test_nothing_more_is_sent_to_a_stopped_target_and_the_readers_others_go_on(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    desk.say("mail:anna", "stop")
    desk.open("a")
    await desk.sender().send_due()
    assert desk.channels["mail:anna"].got == []
    assert desk.rows()["a", "mail:anna"] == ("stopped", f"unsubscribed by anna, one click, {iso(desk.clock.now_ms())}")
    assert desk.rows()["a", "slack:anna"] == ("sent", None)
    with desk.store.read() as connection:
        assert withheld(connection, "live", "mail:anna") == 1


async def test_what_was_not_sent_stays_unsent_when_the_target_goes_on_and_what_comes_then_is_sent(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    desk.say("mail:anna", "stop")
    desk.open("a")
    sender = desk.sender()
    await sender.send_due()
    assert desk.say("mail:anna", "resume")
    desk.open("b")
    await sender.send_due()
    assert desk.channels["mail:anna"].ids == ["b" * 16 + ".0"]
    assert desk.rows()["a", "mail:anna"][0] == "stopped"


async def test_a_message_that_waits_for_another_try_is_not_tried_again(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    desk.channels["mail:anna"].answers = [Delivery(target="mail:anna", ok=False, unknown=True, reason="hung up")]
    desk.open("a")
    sender = desk.sender()
    await sender.send_due()
    assert desk.rows()["a", "mail:anna"] == ("attempted", "hung up")
    desk.say("mail:anna", "stop")
    desk.clock.advance(HOUR_MS)
    await sender.send_due()
    assert len(desk.channels["mail:anna"].got) == 1
    assert desk.rows()["a", "mail:anna"][0] == "stopped"


async def test_a_digest_is_not_sent_to_a_stopped_target(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'pings_a_day = 0\ndigest_at = "13:00"\n')
    desk.open("a")
    sender = desk.sender()
    await sender.send_due()
    desk.say("mail:anna", "stop")
    desk.clock.advance(HOUR_MS)
    await sender.send_due()
    assert desk.channels["mail:anna"].got == []
    assert {target: desk.rows()["a", target][0] for target in ("mail:anna", "slack:anna")} == {
        "mail:anna": "stopped",
        "slack:anna": "digested",
    }


async def test_the_last_word_counts_the_same_word_twice_is_one_and_a_clock_set_back_changes_nothing(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    assert desk.say("mail:anna", "resume") is False, "it was never stopped"
    assert [desk.say("mail:anna", "stop"), desk.say("mail:anna", "stop")] == [True, False]
    desk.clock.advance(-HOUR_MS)
    assert desk.say("mail:anna", "resume")
    with desk.store.read() as connection:
        assert stopped(connection) == {}
        word = last_word(connection, "mail:anna")
    assert word is not None
    assert word.what == "resume"


# --- escalation -----------------------------------------------------------------------------------------------------------------
async def test_an_escalation_goes_on_to_the_next_whom_its_reader_would_call_and_says_so(folder: Path) -> None:
    desk = Desk(folder, ESCALATES + HEAD + CALLS_CHIEF)
    desk.say("mail:head", "stop")
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(15 * MINUTE_MS)
    for _ in range(2):
        await sender.send_due()
    assert desk.channels["mail:head"].got == []
    ((message, _),) = desk.channels["mail:chief"].got
    assert "Escalated to chief in place of mail:head, unsubscribed: nobody acknowledged it within 60 min" in message.text
    state, reason = desk.rows()["a", "mail:head"]
    assert state == "stopped"
    assert str(reason).endswith("; mail:chief is told instead")
    assert desk.rows()["a", "mail:chief"][0] == "sent"


async def test_an_escalation_reaches_the_same_reader_elsewhere_first(folder: Path) -> None:
    desk = Desk(folder, ESCALATES + HEAD.replace("series", 'slack = "C02"\nlanguage = "zh"\nseries') + CALLS_CHIEF)
    desk.say("mail:head", "stop")
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(15 * MINUTE_MS)
    for _ in range(2):
        await sender.send_due()
    ((message, _),) = desk.channels["slack:head"].got
    assert "mail:head已退订，改为升级至head：15分钟内无人确认" in message.text
    assert desk.channels["mail:chief"].got == []


async def test_where_another_is_called_beside_a_stopped_target_that_one_is_enough(folder: Path) -> None:
    both = ESCALATES.replace('["mail:head"]', '["mail:head", "mail:deputy"]')
    desk = Desk(folder, both + HEAD + HEAD.replace("head", "deputy"))
    desk.say("mail:head", "stop")
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(15 * MINUTE_MS)
    await sender.send_due()
    assert len(desk.channels["mail:deputy"].got) == 1
    assert desk.rows()["a", "mail:head"][0] == "stopped"
    assert str(desk.rows()["a", "mail:head"][1]).endswith("; mail:deputy is told instead")


@pytest.mark.parametrize("called", [["head"], ["head", "deputy"]])
async def test_an_escalation_that_nobody_takes_is_a_dead_letter_and_never_silent(folder: Path, called: list[str]) -> None:
    targets = [f"mail:{name}" for name in called]
    desk = Desk(folder, ESCALATES.replace('["mail:head"]', str(targets).replace("'", '"')) + HEAD + HEAD.replace("head", "deputy"))
    for target in targets:
        desk.say(target, "stop")
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(15 * MINUTE_MS)
    await sender.send_due()
    for target in targets:
        state, reason = desk.rows()["a", target]
        assert state == "failed"
        assert "and nobody is next: name somebody else in escalation.to of the routes" in str(reason)
    desk.say(targets[0], "resume")
    assert [item.target for item in put_back(desk.store, "live", "a" * 16, target=targets[0])] == targets[:1]
    await sender.send_due()
    assert len(desk.channels[targets[0]].got) == 1


async def test_an_escalation_that_was_tried_before_its_target_was_stopped_goes_on_as_well(folder: Path) -> None:
    desk = Desk(folder, ESCALATES + HEAD + CALLS_CHIEF)
    desk.channels["mail:head"].answers = [Delivery(target="mail:head", ok=False, reason="greylisted")]
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(15 * MINUTE_MS)
    await sender.send_due()
    desk.say("mail:head", "stop")
    desk.clock.advance(HOUR_MS)
    for _ in range(2):
        await sender.send_due()
    assert len(desk.channels["mail:chief"].got) == 1


async def test_what_somebody_acknowledged_goes_to_nobody_else(folder: Path) -> None:
    desk = Desk(folder, ESCALATES + HEAD + CALLS_CHIEF)
    desk.say("mail:head", "stop")
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.acknowledged.add("a" * 16)
    desk.clock.advance(15 * MINUTE_MS)
    for _ in range(2):
        await sender.send_due()
    assert desk.rows()["a", "mail:head"] == ("withdrawn", "acknowledged in time")
    assert desk.channels["mail:chief"].got == []


async def test_readers_who_call_each_other_and_have_all_stopped_end_it(folder: Path) -> None:
    circle = HEAD + '[reader.escalation]\nafter_min = 5\nto = ["mail:anna"]\n'
    desk = Desk(folder, ESCALATES.replace('slack = "C01"\n', "") + circle)
    for target in ("mail:head", "mail:anna"):
        desk.say(target, "stop")
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(15 * MINUTE_MS)
    await sender.send_due()
    assert {target: state for (_, target), (state, _) in desk.rows().items()} == {
        "routes": "routed",
        "mail:anna": "stopped",
        "mail:head": "failed",
    }
