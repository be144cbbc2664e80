"""From an alert to each reader's messages: routes, quiet hours, snoozes, digests, escalation; what waits is never forgotten."""

from pathlib import Path

import pytest

from groundswell.names import ROUTES_TARGET
from groundswell.records import Delivery
from stream.shells.dispatch import CATCH_UP_MS, HOLD_AGAIN_MS
from tests.stream.shells.outbox_desk import HOUR_MS, MINUTE_MS, Amendable, Desk, Keeper

ANNA = '[[reader]]\nname = "anna"\nmail = ["anna@bank.example"]\n'
HEAD = '[[reader]]\nname = "head"\nmail = ["head@bank.example"]\nseries = []\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out.db"


# --- readers --------------------------------------------------------------------------------------------------------------------
async def test_an_alert_becomes_a_message_for_each_target_of_each_reader_who_asked(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'slack = "C01"\n[[reader]]\nname = "ben"\nmail = ["ben@b.example"]\nkinds = ["sighting"]\n')
    desk.open("a")
    await desk.sender().send_due()
    assert desk.rows() == {
        ("a", ROUTES_TARGET): ("routed", "anna"),
        ("a", "mail:anna"): ("sent", None),
        ("a", "slack:anna"): ("sent", None),
    }


async def test_that_nobody_asked_for_an_alert_is_written_down(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'series = ["entity:OTHER"]\n')
    desk.open("a")
    assert await desk.sender().send_due() == []
    assert desk.rows() == {("a", ROUTES_TARGET): ("routed", "nobody asked for it")}


async def test_a_reader_gets_their_language_their_clock_their_links_and_why(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'language = "zh"\ntz = "Asia/Shanghai"\nseries = ["topic:*", "entity:*"]\n')
    desk.open("a")
    await desk.sender(link=lambda reader, alert_id, act: f"https://gs.bank.example/l/{reader}-{alert_id[:1]}-{act}").send_due()
    ((message, _),) = desk.channels["mail:anna"].got
    assert message.subject == "【预警·高】Linlan负面舆情突增：1小时14条独立报道，约为常态8倍（20:00 +08）"
    assert "收到本消息的原因：anna订阅了topic:*" in message.text
    assert message.links[0] == ("确认收到", "https://gs.bank.example/l/anna-a-acknowledge")
    assert message.unsubscribe_url == "https://gs.bank.example/l/anna-a-unsubscribe"


async def test_where_the_file_was_taken_out_what_waits_goes_to_the_settings_targets(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    desk.open("a")
    desk.routes, desk.channels = None, {"mail": Keeper("mail")}
    await desk.sender().send_due()
    assert desk.rows()["a", "mail"][0] == "sent"


# --- quiet hours, snoozes, digests ----------------------------------------------------------------------------------------------
async def test_quiet_hours_end_with_one_message_that_holds_everything(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'quiet = "11:00-15:00"\nthrough_quiet = "high"\n')
    desk.open("a", severity="medium")
    desk.open("b", severity="low")
    desk.open("c", severity="high")
    sender = desk.sender()
    await sender.send_due()
    assert desk.channels["mail:anna"].ids == ["c" * 16 + ".0"]
    assert desk.rows()["a", "mail:anna"] == ("held", "quiet hours")
    desk.clock.advance(3 * HOUR_MS - 1)
    assert await sender.send_due() == []
    desk.clock.advance(1)
    await sender.send_due()
    (_, (digest, resend)) = desk.channels["mail:anna"].got
    assert digest.subject == "[DIGEST] 2 events (12:00 to 12:00 UTC)"
    assert resend is False
    assert all(f"/alerts/{name * 16}" in digest.text for name in "ab")
    assert {desk.rows()[name, "mail:anna"][0] for name in "ab"} == {"digested"}
    assert await sender.send_due() == []


async def test_what_waits_for_a_later_digest_comes_along_in_the_first(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'quiet = "11:00-13:00"\nat_once = "medium"\ndigest_at = "18:00"\n')
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(59 * MINUTE_MS)
    desk.open("b", severity="low")
    await sender.send_due()
    desk.clock.advance(MINUTE_MS)
    await sender.send_due()
    assert desk.channels["mail:anna"].subjects == ["[DIGEST] 2 events, 1 HIGH (12:00 to 12:59 UTC)"]


async def test_over_the_readers_pings_a_day_the_rest_waits_for_the_digest(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'pings_a_day = 2\ndigest_at = "18:00"\n')
    sender = desk.sender()
    for name in "abc":
        desk.open(name)
        await sender.send_due()
    desk.open("d", incident="a" * 16, update=1)
    await sender.send_due()
    assert desk.channels["mail:anna"].ids == [name * 16 + ".0" for name in "abd"]
    assert desk.rows()["c", "mail:anna"] == ("held", "over 2 a day")


async def test_a_digest_that_died_on_its_way_is_sent_again_whole_marked_and_under_its_name(folder: Path) -> None:
    desk = Desk(folder, ANNA + 'at_once = "none"\ndigest_at = "18:00"\n'.replace('"none"', '"high"'))
    for name in "ab":
        desk.open(name, severity="low")
    await desk.sender().send_due()
    desk.clock.advance(6 * HOUR_MS)
    desk.channels["mail:anna"].answers = [Delivery(target="mail:anna", ok=False, unknown=True, reason="hung up after DATA")]
    sender = desk.sender()
    await sender.send_due()
    desk.open("c", severity="low")
    desk.clock.advance(HOUR_MS)
    await sender.send_due()
    (first, marked), (second, resent) = desk.channels["mail:anna"].got
    assert (marked, resent) == (False, True)
    assert first.message_id == second.message_id
    assert first.text == second.text, "the same content under the same name"
    assert {desk.rows()[name, "mail:anna"][0] for name in "ab"} == {"digested"}
    assert desk.rows()["c", "mail:anna"][0] == "held", "tomorrow's"


async def test_what_a_person_has_quieted_waits_with_the_reason_until_it_ends(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    desk.open("a")
    desk.open("b")
    desk.quiet["a" * 16] = "snoozed until 12:30"
    sender = desk.sender()
    await sender.send_due()
    assert desk.channels["mail:anna"].ids == ["b" * 16 + ".0"]
    assert desk.rows()["a", "mail:anna"] == ("held", "snoozed until 12:30")
    desk.clock.advance(HOLD_AGAIN_MS)
    assert await sender.send_due() == []
    desk.quiet.clear()
    desk.clock.advance(HOLD_AGAIN_MS)
    await sender.send_due()
    assert desk.rows()["a", "mail:anna"][0] == "sent"


# --- escalation -----------------------------------------------------------------------------------------------------------------
ESCALATES = ANNA + '[reader.escalation]\nafter_min = 15\nto = ["mail:head"]\n' + HEAD


async def test_what_nobody_acknowledges_is_escalated_and_says_so(folder: Path) -> None:
    desk = Desk(folder, ESCALATES)
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    assert desk.channels["mail:head"].got == []
    desk.clock.advance(15 * MINUTE_MS)
    await sender.send_due()
    ((message, _),) = desk.channels["mail:head"].got
    ((told, _),) = desk.channels["mail:anna"].got
    assert "You get this because anna follows everything" in told.text
    assert "Escalated to head: nobody acknowledged it within 15 min" in message.text
    assert desk.rows()["a", "mail:head"][0] == "sent"


async def test_what_somebody_acknowledged_in_time_is_withdrawn_and_stays_so(folder: Path) -> None:
    desk = Desk(folder, ESCALATES)
    desk.open("a", severity="high")
    sender = desk.sender()
    await sender.send_due()
    desk.acknowledged.add("a" * 16)
    desk.clock.advance(15 * MINUTE_MS)
    await sender.send_due()
    assert desk.rows()["a", "mail:head"] == ("withdrawn", "acknowledged in time")
    desk.acknowledged.clear()
    desk.clock.advance(HOUR_MS)
    await sender.send_due()
    assert desk.channels["mail:head"].got == []


# --- after an outage ------------------------------------------------------------------------------------------------------------
async def test_a_flood_after_an_outage_of_ours_becomes_one_message(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    for n, name in enumerate("abcd"):
        desk.open(name, at_ms=desk.clock.now_ms() - CATCH_UP_MS - n * MINUTE_MS)
    desk.open("e", at_ms=desk.clock.now_ms() - MINUTE_MS)
    sender = desk.sender()
    await sender.send_due()
    assert sorted(desk.channels["mail:anna"].subjects)[0] == "[CATCH-UP] 4 events, 4 HIGH (11:42 to 11:45 UTC)"
    assert len(desk.channels["mail:anna"].got) == 2, "and what is fresh by itself"
    assert {desk.rows()[name, "mail:anna"][0] for name in "abcd"} == {"digested"}
    assert desk.rows()["e", "mail:anna"][0] == "sent"


async def test_a_few_old_messages_are_sent_one_by_one(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    for name in "ab":
        desk.open(name, at_ms=desk.clock.now_ms() - 10 * CATCH_UP_MS)
    await desk.sender().send_due()
    assert len(desk.channels["mail:anna"].got) == 2


async def test_a_target_that_was_away_for_hours_gets_one_message_however_many_tries_there_were(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    mail, sender = desk.channels["mail:anna"], desk.sender()
    away = Delivery(target="mail:anna", ok=False, reason="connection refused")
    for n in range(12):
        desk.open("abcdef0123456789"[n])
        mail.answers = [away] * 50
        for _ in range(6):
            await sender.send_due()
            desk.clock.advance(2 * MINUTE_MS)
    mail.answers, tried = [], len(mail.got)
    desk.clock.advance(CATCH_UP_MS)
    while await sender.send_due():
        pass
    arrived = mail.got[tried:]
    assert len(arrived) == 1
    assert "12 alerts of 12 events" in arrived[0][0].text
    assert {state for (_, target), (state, _) in desk.rows().items() if target == "mail:anna"} == {"digested"}


# --- threads and first messages -------------------------------------------------------------------------------------------------
async def test_an_update_waits_for_the_first_message_of_its_incident_and_stands_below_it(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    mail, sender = desk.channels["mail:anna"], desk.sender()
    mail.answers = [Delivery(target="mail:anna", ok=False, reason="451 greylisted", retry_after_s=30.0)]
    desk.open("a")
    await sender.send_due()
    desk.clock.advance(MINUTE_MS // 6)
    desk.open("b", incident="a" * 16, update=1)
    desk.open("c")
    await sender.send_due()
    assert mail.ids == ["a" * 16 + ".0"], "it asked for half a minute"
    desk.clock.advance(MINUTE_MS)
    await sender.send_due()
    assert mail.ids[1:] == [name * 16 + ".0" for name in "abc"]
    assert [message.parent_id for message, _ in mail.got[1:]] == [None, "mail:anna/2", None]
    assert [message.thread_subject for message, _ in mail.got[1:]] == [None, mail.subjects[0], None]


async def test_another_event_does_not_wait_for_one_that_is_refused(folder: Path) -> None:
    desk = Desk(folder, ANNA)
    mail, sender = desk.channels["mail:anna"], desk.sender()
    mail.answers = [Delivery(target="mail:anna", ok=False, reason="451 this one looks odd")]
    desk.open("a")
    await sender.send_due()
    desk.clock.advance(1_000)
    desk.open("b", incident="a" * 16, update=1)
    desk.open("c")
    await sender.send_due()
    assert mail.ids == [name * 16 + ".0" for name in "ac"]


async def test_a_first_message_is_amended_when_things_change_and_only_then(folder: Path) -> None:
    slack = Amendable("slack:risk")
    desk = Desk(folder, '[[reader]]\nname = "risk"\nslack = "C01"\ntz = "Asia/Shanghai"\n', channels={"slack:risk": slack})
    desk.open("a")
    sender = desk.sender()
    await sender.send_due()
    desk.clock.advance(MINUTE_MS)
    await sender.send_due()
    assert slack.amended == [], "nothing has happened"
    desk.open("b", incident="a" * 16, update=1)
    await sender.send_due()
    desk.clock.advance(MINUTE_MS)
    await sender.send_due()
    desk.done["a" * 16] = "acknowledged by anna"
    for _ in range(3):
        desk.clock.advance(MINUTE_MS)
        await sender.send_due()
        await desk.sender().send_due()
    first = "slack:risk/1"
    assert slack.amended[0] == (first, "Latest: update 1 at 20:01 +08")
    assert slack.amended[-1] == (first, "Latest: update 1 at 20:01 +08 · acknowledged by anna")
    assert len(slack.amended) == 2
