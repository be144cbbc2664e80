"""What every notifier promises, whatever its peer does. A new channel joins PEERS, and nothing else here changes."""

import asyncio
import contextlib
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from alerts.notify.base import Limits, Notifier
from alerts.notify.console import ConsoleNotifier
from alerts.notify.dingtalk import DingTalkNotifier
from alerts.notify.feishu import FeishuNotifier
from alerts.notify.mail import MailNotifier, MailSettings
from alerts.notify.message import Message, render
from alerts.notify.posts import Hook
from alerts.notify.slack import SlackNotifier, SlackSettings
from alerts.notify.slack_bot import SlackBotNotifier, SlackBotSettings
from alerts.notify.teams import TeamsNotifier
from alerts.notify.webhook import WebhookNotifier
from groundswell.records import Delivery
from tests.alerts.alert_factory import an_alert
from tests.alerts.notify.hooks import BOT_TOKEN, NOW_S, Hooked, SlackApi, a_hook, a_slack_api
from tests.alerts.notify.peers import HOST, SLACK_PATH, Relay, Slack, a_babbler, a_closed_port, a_relay, a_slack

SECRET = "c0ffeesecret"
Peer = Callable[[], AbstractAsyncContextManager[Notifier]]


def a_message() -> Message:
    return render(an_alert(), base_url="https://gs.bank.example", entity_name=lambda i: i)


def a_mail_notifier(port: int, *, login: bool = False, timeout_s: float = 60.0) -> MailNotifier:
    user, password = ("desk", SECRET) if login else (None, None)
    settings = MailSettings(
        host=HOST, port=port, sender="gs@bank.example", recipients=("a@bank.example",), security="starttls" if login else "none",
        username=user, password=password, timeout_s=timeout_s,
    )  # fmt: skip
    return MailNotifier("mail:desk", settings)


def mail(data: str, *, login: bool = False, timeout_s: float = 60.0) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_relay(Relay(data=data)) as relay:
            yield a_mail_notifier(relay.port, login=login, timeout_s=timeout_s)

    return peer


def slack(status: int, body: str, *, hang: bool = False, timeout_s: float = 60.0) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_slack(Slack(status=status, body=body, hang=hang)) as served:
            yield SlackNotifier("slack:risk", SlackSettings(webhook_url=served.url, timeout_s=timeout_s))

    return peer


def console(stream: Callable[[], io.StringIO]) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        yield ConsoleNotifier("console", stream())

    return peer


@contextlib.asynccontextmanager
async def mail_away() -> AsyncIterator[Notifier]:
    yield a_mail_notifier(a_closed_port(), login=True)


@contextlib.asynccontextmanager
async def slack_away() -> AsyncIterator[Notifier]:
    yield SlackNotifier("slack:risk", SlackSettings(webhook_url=f"http://{HOST}:{a_closed_port()}{SLACK_PATH}"))


@contextlib.asynccontextmanager
async def slack_nowhere() -> AsyncIterator[Notifier]:
    yield SlackNotifier("slack:risk", SlackSettings(webhook_url=f"http://{HOST}:0/{SECRET}"))


def babbling_mail(says: bytes) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_babbler(says) as port:
            yield a_mail_notifier(port)

    return peer


def babbling_slack(says: bytes) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_babbler(says) as port:
            yield SlackNotifier("slack:risk", SlackSettings(webhook_url=f"http://{HOST}:{port}{SLACK_PATH}"))

    return peer


HOOKED: dict[str, Callable[[str, Hook], Notifier]] = {
    "webhook": lambda name, given: WebhookNotifier(name, given, now_s=lambda: NOW_S),
    "teams": TeamsNotifier,
    "feishu": lambda name, given: FeishuNotifier(name, given, now_s=lambda: NOW_S),
    "dingtalk": lambda name, given: DingTalkNotifier(name, given, now_s=lambda: NOW_S),
}


def hook(kind: str, *, timeout_s: float = 60.0, **given: Any) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_hook(kind, Hooked(**given)) as hooked:
            yield HOOKED[kind](f"{kind}:risk", hooked.hook(kind, timeout_s=timeout_s))

    return peer


def hook_at(kind: str, says: bytes | None) -> Peer:
    """A peer that speaks no protocol; None: nobody listens."""

    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_babbler(says or b"") as port:
            found = Hooked(port=a_closed_port() if says is None else port)
            yield HOOKED[kind](f"{kind}:risk", found.hook(kind))

    return peer


def bot(*, timeout_s: float = 60.0, token: str = BOT_TOKEN, **given: Any) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_slack_api(SlackApi(**given)) as api:
            yield SlackBotNotifier("slack:risk", SlackBotSettings(token=token, channel="C0RISK", api_url=api.url, timeout_s=timeout_s))

    return peer


def bot_at(says: bytes) -> Peer:
    @contextlib.asynccontextmanager
    async def peer() -> AsyncIterator[Notifier]:
        async with a_babbler(says) as port:
            settings = SlackBotSettings(token=BOT_TOKEN, channel="C0RISK", api_url=f"http://{HOST}:{port}/api/")
            yield SlackBotNotifier("slack:risk", settings)

    return peer


def every_hook() -> dict[str, tuple[Peer, bool]]:
    """What every channel that is one POST has to bear."""
    found: dict[str, tuple[Peer, bool]] = {}
    for kind in HOOKED:
        found |= {
            kind: (hook(kind), True),
            f"{kind} 400": (hook(kind, status=400, body="no such /hooks/c0ffeesecret/0123456789"), False),
            f"{kind} 302": (hook(kind, status=302, body="", headers={"Location": "https://elsewhere.example/"}), False),
            f"{kind} 429": (hook(kind, status=429, body="slow down", headers={"Retry-After": "7"}), False),
            f"{kind} 500": (hook(kind, status=500, body="x" * 100_000), False),
            f"{kind} slow": (hook(kind, hang=True, timeout_s=0.2), False),
            f"{kind} hangs up": (hook(kind, drop=True), False),
            f"{kind} away": (hook_at(kind, None), False),
            f"{kind} from noise": (hook_at(kind, bytes(range(256)) * 4), False),
            f"{kind} from silence": (hook_at(kind, b""), False),
            f"{kind} cut short": (hook_at(kind, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), kind in ("webhook", "teams")),
        }
    return found


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


PEERS: dict[str, tuple[Peer, bool]] = {
    "console": (console(io.StringIO), True),
    "console closed": (console(closed), False),
    "mail": (mail("250 queued"), True),
    "mail 451": (mail("451 later"), False),
    "mail 550": (mail("550 never"), False),
    "mail drops": (mail("drop"), False),
    "mail slow": (mail("hang", timeout_s=0.2), False),
    "mail without encryption": (mail("250 queued", login=True), False),
    "mail away": (mail_away, False),
    "mail from a web server": (babbling_mail(b"HTTP/1.1 400 Bad Request\r\n\r\n"), False),
    "mail from noise": (babbling_mail(bytes(range(256)) * 4), False),
    "mail from silence": (babbling_mail(b""), False),
    "mail busy": (babbling_mail(b"421 too many connections\r\n"), False),
    "slack": (slack(200, "ok"), True),
    "slack 400": (slack(400, f"invalid_blocks {SLACK_PATH}"), False),
    "slack 429": (slack(429, "rate_limited"), False),
    "slack 500": (slack(500, "x" * 100_000), False),
    "slack slow": (slack(200, "ok", hang=True, timeout_s=0.2), False),
    "slack from noise": (babbling_slack(bytes(range(256)) * 4), False),
    "slack from silence": (babbling_slack(b""), False),
    "slack cut short": (babbling_slack(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), False),
    "slack in another alphabet": (babbling_slack(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe"), False),
    "slack away": (slack_away, False),
    "slack nowhere": (slack_nowhere, False),
    **every_hook(),
    "teams from a proxy": (hook("teams", body="<html>sign in to the guest network</html>"), False),
    "feishu from a proxy": (hook("feishu", body="<html>sign in to the guest network</html>"), False),
    "feishu refuses": (hook("feishu", body='{"code":19024,"msg":"Key Words Not Found"}'), False),
    "dingtalk from a proxy": (hook("dingtalk", body="[1, 2]"), False),
    "dingtalk refuses": (hook("dingtalk", body='{"errcode":130101,"errmsg":"send too fast"}'), False),
    "bot": (bot(), True),
    "bot revoked": (bot(error="token_revoked"), False),
    "bot with another token": (bot(token="xoxb-2-c0ffeesecret"), False),
    "bot 429": (bot(status=429, error="ratelimited", headers={"Retry-After": "30"}), False),
    "bot 500": (bot(status=500, raw="x" * 100_000), False),
    "bot from a proxy": (bot(raw="<html>sign in to the guest network</html>"), False),
    "bot slow": (bot(hang=True, timeout_s=0.2), False),
    "bot hangs up": (bot(drop=True), False),
    "bot too long": (bot(chars_max=10), False),
    "bot from noise": (bot_at(bytes(range(256)) * 4), False),
    "bot from silence": (bot_at(b""), False),
    "bot from a list": (bot_at(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"), False),
}
TARGETS = {"console", "mail:desk", "slack:risk", *(f"{kind}:risk" for kind in HOOKED)}

every_peer = pytest.mark.parametrize(("peer", "delivers"), PEERS.values(), ids=PEERS.keys())


@every_peer
@pytest.mark.parametrize("resend", [False, True])
async def test_every_attempt_ends_in_a_delivery_that_says_what_became_of_it(peer: Peer, delivers: bool, resend: bool) -> None:
    async with peer() as notifier:
        delivery = await notifier.send(a_message(), resend=resend)
    assert isinstance(delivery, Delivery)
    assert delivery.target == notifier.name
    assert delivery.target in TARGETS
    assert delivery.ok is delivers, delivery.reason
    if not delivers:
        assert delivery.reason
        assert len(delivery.reason) <= 300
        assert delivery.reason.isprintable()
    assert not (delivery.ok and delivery.permanent)


@every_peer
async def test_a_message_is_not_changed_by_being_sent(peer: Peer, delivers: bool) -> None:
    message = a_message()
    before = msgspec.json.encode(message)
    async with peer() as notifier:
        await notifier.send(message, resend=False)
        await notifier.send(message, resend=True)
    assert msgspec.json.encode(message) == before == msgspec.json.encode(a_message())


@every_peer
async def test_secrets_are_in_no_reason_and_no_repr(peer: Peer, delivers: bool) -> None:
    async with peer() as notifier:
        delivery = await notifier.send(a_message(), resend=False)
    seen = " ".join([repr(notifier), str(notifier), repr(delivery), repr(getattr(notifier, "_settings", ""))])
    assert SECRET not in seen


@every_peer
async def test_the_limits_are_declared_on_the_class(peer: Peer, delivers: bool) -> None:
    async with peer() as notifier:
        limits = type(notifier).limits
    assert isinstance(limits, Limits)
    assert limits.messages_per_s > 0
    assert limits.text_chars >= len(a_message().text)
    assert limits.subject_chars is None or limits.subject_chars >= len(a_message().subject)


@pytest.mark.parametrize(
    "peer",
    [mail("hang"), slack(200, "ok", hang=True), bot(hang=True), *(hook(kind, hang=True) for kind in HOOKED)],
    ids=["mail", "slack", "bot", *HOOKED],
)
async def test_an_attempt_can_be_cancelled(peer: Peer) -> None:
    async with peer() as notifier:
        attempt = asyncio.create_task(notifier.send(a_message(), resend=False))
        await asyncio.wait({attempt}, timeout=0.05)  # by now it is under way; it never ends by itself
        assert not attempt.done()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("base", {"aiosmtplib", "smtplib", "slack_sdk", "aiohttp"}),
        ("console", {"aiosmtplib", "smtplib", "slack_sdk", "aiohttp"}),
        ("mail", {"slack_sdk", "aiohttp"}),
        ("slack", {"aiosmtplib", "smtplib"}),
        ("slack_bot", {"aiosmtplib", "smtplib"}),
        *((kind, {"aiosmtplib", "smtplib", "slack_sdk"}) for kind in HOOKED),
    ],
)
def test_a_channel_loads_no_other_channels_library(module: str, absent: set[str]) -> None:
    look = f"import sys, alerts.notify.{module}; print(*sorted({absent!r} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == ""
