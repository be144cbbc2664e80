"""What can go wrong between the outbox and a reader, with the real channels: nothing is lost, and nothing comes twice without a mark."""

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.notify.mail import MailNotifier, MailSettings
from alerts.notify.slack_bot import SlackBotNotifier, SlackBotSettings
from groundswell.clock import ManualClock
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from stream.shells.sender import ATTEMPTS_MAX, LEASE_MS, Fixed, Sender
from stream.shells.voice import Voice
from tests import peers
from tests.alerts.alert_factory import OPENED_MS, a_quote, an_alert
from tests.alerts.notify.hooks import BOT_TOKEN, SlackApi, a_slack_api
from tests.alerts.notify.peers import HOST, Relay, a_closed_port, a_relay

READER = "a@bank.example"
QUARTER_MS = 900_000


class Outbox:
    """A store with one alert that is due on one target, and a sender of it."""

    def __init__(self, path: Path, target: str, **alert: Any) -> None:
        self.store, self.clock, self.target = Store(str(path)), ManualClock(OPENED_MS), target
        with self.store.write() as connection:
            insert_alert(self.store, connection, LIVE_RUN, an_alert(**alert), targets=(target,))

    def sender(self, notifier: Any, *, name: str = "Linlan Bank") -> Sender:
        voice = Voice("https://gs.bank.example", lambda _: name)
        return Sender(self.store, LIVE_RUN, Fixed({self.target: notifier}), voice, self.clock.now_ms)

    async def look(self, sender: Sender, times: int = 1) -> None:
        for _ in range(times):
            await sender.send_due()
            self.clock.advance(QUARTER_MS)

    @property
    def row(self) -> tuple[str, int, str | None]:
        with self.store.read() as connection:
            state, attempts, reason = connection.execute(select(t.outbox.c.state, t.outbox.c.attempts, t.outbox.c.reason)).one()
        return state, attempts, reason


def by_mail(port: int, **given: Any) -> MailNotifier:
    fields: dict[str, Any] = {"host": HOST, "port": port, "sender": "gs@bank.example", "recipients": (READER,), "security": "none"}
    return MailNotifier("mail", MailSettings(**(fields | {"timeout_s": 60.0} | given)))


# --- SMTP -----------------------------------------------------------------------------------------------------------------------
async def test_a_relay_that_refuses_the_connection_is_tried_until_it_is_there(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail")
    await outbox.look(outbox.sender(by_mail(a_closed_port())), times=3)
    state, attempts, reason = outbox.row
    assert (state, attempts) == ("due", 3)
    assert "onnect" in str(reason)
    async with a_relay(Relay()) as relay:
        await outbox.look(outbox.sender(by_mail(relay.port)))
    assert outbox.row[0] == "sent"
    assert not relay.mails[0]["Subject"].startswith("[resent]"), "it never arrived before"


async def test_a_greylisted_mail_is_taken_the_second_time_and_comes_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail")
    async with a_relay(Relay(recipients={READER: "450 4.2.0 greylisted, come back"})) as relay:
        sender = outbox.sender(by_mail(relay.port))
        await outbox.look(sender)
        relay.recipients.clear()
        await outbox.look(sender)
    assert outbox.row[:2] == ("sent", 2)
    assert [mail["Subject"].startswith("[resent]") for mail in relay.mails] == [False]


async def test_a_4xx_that_becomes_a_5xx_ends_as_a_dead_letter_with_the_last_reason(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail")
    async with a_relay(Relay(data="451 4.3.0 busy")) as relay:
        sender = outbox.sender(by_mail(relay.port))
        await outbox.look(sender, times=2)
        relay.data = "550 5.7.1 not here"
        await outbox.look(sender, times=3)
    assert outbox.row == ("failed", 3, "550 5.7.1 not here")


async def test_a_relay_that_is_slow_for_ever_is_given_up_in_the_end(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail")
    async with a_relay(Relay(data="hang")) as relay:
        await outbox.look(outbox.sender(by_mail(relay.port, timeout_s=0.05)), times=ATTEMPTS_MAX + 2)
    state, attempts, reason = outbox.row
    assert (state, attempts) == ("failed", ATTEMPTS_MAX)
    assert "whether the mail arrived is unknown" in str(reason)


async def test_a_connection_that_drops_after_data_leads_to_a_second_mail_that_is_marked(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail")
    async with a_relay(Relay(data="250 kept, then drop")) as relay:
        sender = outbox.sender(by_mail(relay.port))
        await outbox.look(sender)
        assert outbox.row[0] == "attempted"
        relay.data = "250 queued"
        await outbox.look(sender, times=2)
    first, second = relay.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert second["Subject"] == f"[resent] {first['Subject']}"
    assert outbox.row[0] == "sent"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 and its key, in one folder."""
    openssl = shutil.which("openssl") or pytest.skip("needs the openssl program")
    subject = ["-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *subject]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*made, *files], check=True, capture_output=True)
    return tmp_path


async def test_a_certificate_that_does_not_hold_gets_no_mail_and_is_mended_by_a_setting(tmp_path: Path, certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    outbox = Outbox(tmp_path / "o.db", "mail")
    async with a_relay(Relay(), tls=context) as relay:
        await outbox.look(outbox.sender(by_mail(relay.port, security="starttls")), times=2)
        state, _, reason = outbox.row
        assert (state, relay.mails) == ("due", [])
        assert "certificate" in str(reason).lower()
        await outbox.look(outbox.sender(by_mail(relay.port, security="starttls", ca_file=str(certificate / "cert.pem"))))
    assert outbox.row[0] == "sent"


@pytest.mark.parametrize(
    "name", ["Bank\r\nBcc: victim@example.net", "=?utf-8?q?Bank=0d=0aBcc:_victim@example.net?=", "<script>alert(1)</script>", "长" * 500]
)
async def test_a_company_whose_name_is_an_attack_is_a_mail_like_any_other(tmp_path: Path, name: str) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail", evidence=[a_quote(title=name, quote=name, source=name)], doubts=[name])
    async with a_relay(Relay()) as relay:
        await outbox.look(outbox.sender(by_mail(relay.port), name=name))
    (mail,) = relay.mails
    assert relay.envelopes == [("gs@bank.example", [READER])]
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"]
    assert len(mail["Subject"]) <= 90
    _, html = mail.iter_parts()
    assert "<script" not in html.get_content()


# --- Slack ----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("broken", "ends"),
    [
        (lambda api: api.__dict__.update(status=429, error="ratelimited", headers={"Retry-After": "60"}), "sent"),
        (lambda api: api.__dict__.update(status=500, error="internal_error"), "sent"),
        (lambda api: api.__dict__.update(drop=True), "sent"),
        (lambda api: api.__dict__.update(error="token_revoked"), "failed"),
        (lambda api: api.__dict__.update(chars_max=10), "failed"),
    ],
    ids=["429", "500", "drop", "revoked", "too long"],
)
async def test_slack_in_trouble_loses_no_message_and_a_token_that_is_revoked_is_told(
    tmp_path: Path, broken: Callable[[SlackApi], None], ends: str
) -> None:
    outbox, api = Outbox(tmp_path / "o.db", "slack"), SlackApi()
    broken(api)
    async with a_slack_api(api):
        sender = outbox.sender(SlackBotNotifier("slack", SlackBotSettings(token=BOT_TOKEN, channel="C01", api_url=api.url)))
        await outbox.look(sender, times=2)
        dropped = api.drop
        api.__dict__.update(status=200, error=None, headers={}, drop=False, chars_max=13_000)
        await outbox.look(sender)
    assert outbox.row[0] == ends
    if ends == "sent":
        assert ("[resent]" in api.calls[-1][1]["text"]) is dropped, "only what may have arrived is marked"


# --- SIGKILL --------------------------------------------------------------------------------------------------------------------
async def test_a_sender_that_is_killed_between_the_mail_and_its_record_sends_once_more_and_marks_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db", "mail")
    outbox.store.close()
    arrived = asyncio.Event()

    class Watched(Relay):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            said = await super().handle_DATA(server, session, envelope)
            if not arrived.is_set():
                arrived.set()
                await self.released.wait()  # it has the mail, and the answer never comes
            return said

    async with a_relay(Watched()) as relay:

        def command(ahead_ms: int) -> list[str]:
            return [sys.executable, "-m", "tests.faults.sender_process", str(tmp_path / "o.db"), str(relay.port), str(ahead_ms)]

        first = await asyncio.create_subprocess_exec(*command(0), cwd=peers.REPOSITORY)
        try:
            await asyncio.wait_for(arrived.wait(), 180)
        finally:
            os.kill(first.pid, signal.SIGKILL)
            await first.wait()
        assert outbox.row[:2] == ("attempted", 1)
        second = await asyncio.create_subprocess_exec(*command(LEASE_MS), cwd=peers.REPOSITORY, stdout=subprocess.PIPE)
        said, _ = await asyncio.wait_for(second.communicate(), 180)
    assert (second.returncode, said) == (0, b"sent\n")
    once, again = relay.mails
    assert once["Message-ID"] == again["Message-ID"]
    assert again["Subject"] == f"[resent] {once['Subject']}"
    assert outbox.row[:2] == ("sent", 2)
