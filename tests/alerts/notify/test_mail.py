import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.notify.mail import MailNotifier, MailSettings, compose
from alerts.notify.message import Message, render
from groundswell.errors import SettingsError
from groundswell.records import Delivery
from tests.alerts.alert_factory import an_alert
from tests.alerts.notify.peers import HOST, Relay, a_closed_port, a_relay

NOW = datetime(2026, 11, 17, 13, 26, 22, tzinfo=timezone(timedelta(hours=8)))
SENDER = "Groundswell <groundswell@bank.example>"
ANALYST, OTHER = "analyst2@bank.example", "analyst3@bank.example"
PASSWORD = "open sesame"


def a_message(*, resend: bool = False, **overrides: Any) -> Message:
    names = {"LINLAN": "临澜银行 Linlan"}
    return render(an_alert(**overrides), base_url="https://gs.bank.example", entity_name=lambda i: names.get(i, i), resend=resend)


def settings(**overrides: Any) -> MailSettings:
    fields: dict[str, Any] = {"host": HOST, "sender": SENDER, "recipients": (ANALYST,), "security": "none", "timeout_s": 60.0}
    return MailSettings(**(fields | overrides))


async def send(relay: Relay, *, resend: bool = False, message: Message | None = None, **overrides: Any) -> Delivery:
    notifier = MailNotifier("mail:desk", settings(port=relay.port, **overrides), clock=lambda: NOW)
    return await notifier.send(message or a_message(), resend=resend)


# --- what travels ------------------------------------------------------------------------------------------------------------------
async def test_a_mail_arrives_with_its_headers_and_text_before_html() -> None:
    async with a_relay(Relay()) as relay:
        delivery = await send(relay)
    assert delivery == Delivery(target="mail:desk", ok=True, provider_id="<a1b2c3d4e5f60718.0@bank.example>")
    (mail,) = relay.mails
    assert relay.envelopes == [("groundswell@bank.example", [ANALYST])]
    assert mail["From"] == SENDER
    assert mail["To"] == ANALYST
    assert mail["Subject"] == "[HIGH] 临澜银行 Linlan: 14 negative stories in 1 h, 8x normal (05:26 UTC)"
    assert mail["Date"] == "Tue, 17 Nov 2026 05:26:22 +0000"
    assert mail["Message-ID"] == "<a1b2c3d4e5f60718.0@bank.example>"
    assert mail["List-Id"] == "<alerts.bank.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["MIME-Version"] == "1.0"
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == a_message().text
    assert html.get_content().replace("\r\n", "\n") == a_message().html


async def test_the_relay_is_greeted_with_the_senders_domain_not_the_machines_name() -> None:
    async with a_relay(Relay()) as relay:
        await send(relay)
    assert relay.commands == ["EHLO bank.example"]


def test_updates_stand_in_the_thread_of_the_incident() -> None:
    first = compose(a_message(), settings(), now=NOW)
    update = compose(a_message(id="b" * 16, update=1), settings(), now=NOW)
    root = "<0f1e2d3c4b5a6978.root@bank.example>"
    assert first["References"] == update["References"] == root
    assert (first["In-Reply-To"], update["In-Reply-To"]) == (None, root)
    assert update["Message-ID"] == f"<{'b' * 16}.0@bank.example>"


def test_an_update_has_the_subject_of_what_it_updates_and_says_its_own_first() -> None:
    first = a_message()
    update = msgspec.structs.replace(a_message(id="b" * 16, update=1, statistic=28), thread_subject=first.subject)
    mail, again = compose(update, settings(), now=NOW), compose(update, settings(), now=NOW, resend=True)
    assert mail["Subject"] == f"Re: {first.subject}"
    assert again["Subject"] == f"[resent] Re: {first.subject}"
    text, html = mail.iter_parts()
    assert text.get_content().startswith(f"{update.subject}\n{update.text[:20]}")
    assert f">{update.subject}</p>" in html.get_content()
    assert again.get_content_type() == "multipart/alternative"
    assert next(again.iter_parts()).get_content().startswith(f"{update.subject}\n[resent] ")


def test_the_same_attempt_at_another_time_differs_in_its_date_alone() -> None:
    def headers(now: datetime) -> dict[str, str]:
        mail = compose(a_message(), settings(), now=now)
        return {key: str(value) for key, value in mail.items() if key != "Content-Type"}  # its boundary is random

    early, late = headers(NOW), headers(NOW + timedelta(hours=1))
    assert {key for key in early if early[key] != late[key]} == {"Date"}


async def test_a_repeat_is_marked_and_keeps_its_message_id() -> None:
    async with a_relay(Relay()) as relay:
        await send(relay)
        await send(relay, resend=True)
        await send(relay, resend=True, message=a_message(resend=True))
    first, second, third = relay.mails
    assert first["Message-ID"] == second["Message-ID"] == third["Message-ID"]
    assert second["Subject"] == third["Subject"] == f"[resent] {first['Subject']}"


@pytest.mark.parametrize(
    "subject",
    ["Alert\r\nBcc: victim@example.net", "Alert\nX-Injected: 1", "=?utf-8?q?Alert=0d=0aBcc:_victim@example.net?=", "长" * 900, "\udcff"],
)
async def test_a_hostile_subject_that_did_not_come_from_render_injects_nothing(subject: str) -> None:
    async with a_relay(Relay()) as relay:
        delivery = await send(relay, message=msgspec.structs.replace(a_message(), subject=subject))
    assert delivery.ok
    again = message_from_bytes(relay.mails[0].as_bytes(), policy=policy.default)
    assert set(again.keys()) == set(compose(a_message(), settings(), now=NOW).keys())
    assert relay.envelopes == [("groundswell@bank.example", [ANALYST])]
    assert "\n" not in again["Subject"]


@pytest.mark.parametrize("length", [60, 68, 69, 70, 75, 90])
async def test_a_subject_of_any_length_arrives_as_it_was_written(length: int) -> None:
    subject = "[HIGH] a bank: 14 negative stories in an hour, eight times as many as normal (05:26 UTC), and so on"[:length].rstrip()
    async with a_relay(Relay()) as relay:
        await send(relay, message=msgspec.structs.replace(a_message(), subject=subject))
    assert relay.mails[0]["Subject"] == subject


def test_one_click_unsubscribing_is_offered_only_where_it_would_work() -> None:
    without = compose(a_message(), settings(), now=NOW)
    assert "List-Unsubscribe" not in without
    message = msgspec.structs.replace(a_message(), unsubscribe_url="https://gs.bank.example/l/abc")
    mail = compose(message, settings(), now=NOW)
    assert (mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]) == ("<https://gs.bank.example/l/abc>", "List-Unsubscribe=One-Click")


# --- what the relay answers ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("relay", "permanent", "reason"),
    [
        (Relay(data="451 4.3.0 try later"), False, "451 4.3.0 try later"),
        (Relay(data="452 4.2.2 mailbox full"), False, "452 4.2.2 mailbox full"),
        (Relay(data="550 5.7.1 looks like spam"), True, "550 5.7.1 looks like spam"),
        (Relay(data="554 5.6.0 rejected"), True, "554 5.6.0 rejected"),
        (Relay(recipients={ANALYST: "450 4.2.1 greylisted"}), False, f"refused: {ANALYST} (450 4.2.1 greylisted)"),
        (Relay(recipients={ANALYST: "550 5.1.1 no such user"}), True, f"refused: {ANALYST} (550 5.1.1 no such user)"),
        (Relay(data="drop"), False, "the relay hung up, whether the mail arrived is unknown"),
    ],
    ids=lambda value: value.data if isinstance(value, Relay) else None,
)
async def test_a_refusal_is_permanent_only_if_the_relay_says_so(relay: Relay, permanent: bool, reason: str) -> None:
    async with a_relay(relay):
        delivery = await send(relay)
    assert (delivery.target, delivery.ok, delivery.permanent) == ("mail:desk", False, permanent)
    assert str(delivery.reason).startswith(reason)
    assert relay.mails == []


async def test_a_relay_slower_than_the_time_limit_is_given_up() -> None:
    async with a_relay(Relay(data="hang")) as relay:
        delivery = await send(relay, timeout_s=0.2)
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert delivery.reason == "no answer within 0.2 s, whether the mail arrived is unknown"


async def test_a_relay_that_is_away_may_be_tried_again() -> None:
    delivery = await send(Relay(port=a_closed_port()))
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert "onnect" in str(delivery.reason)


async def test_one_recipient_refused_for_good_is_reported_and_not_tried_again() -> None:
    async with a_relay(Relay(recipients={OTHER: "550 5.1.1 left the bank"})) as relay:
        delivery = await send(relay, recipients=(ANALYST, OTHER))
    assert delivery.ok
    assert delivery.provider_id == "<a1b2c3d4e5f60718.0@bank.example>"
    assert delivery.reason == f"refused: {OTHER} (550 5.1.1 left the bank)"
    assert len(relay.mails) == 1


async def test_one_recipient_refused_for_now_is_not_lost() -> None:
    async with a_relay(Relay(recipients={OTHER: "450 4.2.1 greylisted"})) as relay:
        delivery = await send(relay, recipients=(ANALYST, OTHER))
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert delivery.reason == f"refused: {OTHER} (450 4.2.1 greylisted)"


# --- encryption ------------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate of 127.0.0.1, made now, and the relay's side of it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program")
    folder = tmp_path_factory.mktemp("tls")
    request = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=relay -addext subjectAltName=IP:127.0.0.1"
    )
    made = [openssl, *request.split(), "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


async def test_a_login_goes_through_starttls(certificate: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = certificate
    async with a_relay(Relay(), tls=context, login=True) as relay:
        delivery = await send(relay, security="starttls", ca_file=str(ca_file), username="desk", password=PASSWORD)
    assert delivery.ok, delivery.reason
    assert relay.logins == [(b"desk", PASSWORD.encode())]
    assert len(relay.mails) == 1


async def test_a_wrong_password_is_permanent_and_not_repeated_in_the_reason(certificate: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = certificate
    async with a_relay(Relay(), tls=context, login=True) as relay:
        delivery = await send(relay, security="starttls", ca_file=str(ca_file), username="desk", password="hunter2")
    assert (delivery.ok, delivery.permanent) == (False, True)
    assert str(delivery.reason).startswith("535 ")
    assert "hunter2" not in str(delivery.reason)


async def test_a_relay_that_repeats_the_password_is_not_quoted(certificate: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = certificate
    async with a_relay(Relay(data=f"451 later, {PASSWORD.upper()}"), tls=context, login=True) as relay:
        delivery = await send(relay, security="starttls", ca_file=str(ca_file), username="desk", password=PASSWORD)
    assert delivery.reason == "451 later, ***"


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[Path, ssl.SSLContext]) -> None:
    async with a_relay(Relay(), tls=certificate[1], login=True) as relay:
        delivery = await send(relay, security="starttls", username="desk", password=PASSWORD)
    assert not delivery.ok
    assert "certificate" in str(delivery.reason).lower()
    assert (relay.logins, relay.mails) == ([], [])


async def test_a_relay_without_starttls_gets_neither_login_nor_mail() -> None:
    async with a_relay(Relay()) as relay:
        delivery = await send(relay, security="starttls", username="desk", password=PASSWORD)
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert "starttls" in str(delivery.reason).lower()
    assert (relay.logins, relay.mails) == ([], [])


# --- settings --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        ({"sender": "nobody"}, "sender: must be"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "sender: must be"),
        ({"recipients": ("x@", ANALYST)}, "recipients: must be"),
        ({"recipients": ()}, "recipients: at least one"),
        ({"timeout_s": 0}, "timeout_s: must be above 0"),
        ({"username": "desk"}, "username, password: give both or none"),
        ({"username": "desk", "password": PASSWORD}, "security: a password needs encryption"),
        ({"list_name": "a b"}, "list_name: letters"),
    ],
)
def test_an_impossible_setting_is_refused(overrides: dict[str, Any], rule: str) -> None:
    with pytest.raises(SettingsError, match=f"mail target: {rule}"):
        settings(**overrides)


def test_a_missing_ca_file_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"ca_file: must be a readable PEM file, got 'nowhere.pem'"):
        MailNotifier("mail:desk", settings(security="tls", ca_file="nowhere.pem"))


def test_without_a_clock_the_date_is_now_in_utc() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    notifier = MailNotifier("mail:desk", settings())
    assert before <= notifier._clock() <= datetime.now(UTC)
