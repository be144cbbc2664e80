"""What the channels that are one POST say, and how they read answers. The vendors' rules are in tests/alerts/notify/hooks.py."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.notify.base import Notifier
from alerts.notify.dingtalk import DingTalkNotifier
from alerts.notify.feishu import FeishuNotifier
from alerts.notify.message import Message, render
from alerts.notify.pace import Pace
from alerts.notify.posts import Hook, retry_after_s
from alerts.notify.teams import TeamsNotifier
from alerts.notify.webhook import SIGNATURE, WebhookNotifier, sign, verify
from groundswell.errors import SettingsError
from groundswell.records import Delivery
from tests.alerts.alert_factory import a_quote, an_alert
from tests.alerts.notify.hooks import NOW_S, SECRET, Hooked, a_hook

KINDS: dict[str, Callable[[str, Hook], Notifier]] = {
    "webhook": lambda name, hook: WebhookNotifier(name, hook, now_s=lambda: NOW_S),
    "teams": TeamsNotifier,
    "feishu": lambda name, hook: FeishuNotifier(name, hook, now_s=lambda: NOW_S),
    "dingtalk": lambda name, hook: DingTalkNotifier(name, hook, now_s=lambda: NOW_S),
}
EVIL = '<at user_id="all">all</at> @all <!channel> [win](http://evil.example) ![x](http://evil.example/p.png) **b** =cmd()'
every_kind = pytest.mark.parametrize("kind", KINDS)


def a_message(**overrides: Any) -> Message:
    links = {"acknowledge": "https://gs.bank.example/l/abc"}
    given = {"links": links, "because": "you follow entity:*"}
    return render(an_alert(**overrides), base_url="https://gs.bank.example", entity_name=lambda i: i, **given)  # type: ignore[arg-type]


async def send(kind: str, hooked: Hooked, *, message: Message | None = None, resend: bool = False) -> Delivery:
    async with a_hook(kind, hooked):
        return await KINDS[kind](f"{kind}:risk", hooked.hook(kind)).send(message or a_message(), resend=resend)


def walked(value: object) -> list[Any]:
    """Every object within a body."""
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in walked(inner))]
    return [found for inner in value for found in walked(inner)] if isinstance(value, list) else []


# --- what travels ---------------------------------------------------------------------------------------------------------------
@every_kind
async def test_what_is_sent_passes_the_vendors_own_check_and_carries_the_dossier(kind: str) -> None:
    hooked = Hooked()
    delivery = await send(kind, hooked)
    assert (delivery.ok, hooked.refused) == (True, [])
    body = json.dumps(hooked.posts[0], ensure_ascii=False)
    assert "14 negative stories in 1 h, 8x normal" in body
    assert "https://gs.bank.example/alerts/a1b2c3d4e5f60718" in body
    assert "https://gs.bank.example/l/abc" in body
    assert "you follow entity:" in body


@every_kind
async def test_a_repeat_says_so(kind: str) -> None:
    hooked = Hooked()
    await send(kind, hooked, resend=True)
    assert "resent" in json.dumps(hooked.posts[0])


@every_kind
async def test_a_message_of_any_length_fits_and_keeps_its_links(kind: str) -> None:
    hooked = Hooked()
    message = msgspec.structs.replace(a_message(), sections=tuple("长" * 9_000 for _ in range(9)))
    assert (await send(kind, hooked, message=message)).ok, hooked.refused
    assert "https://gs.bank.example/alerts/a1b2c3d4e5f60718" in json.dumps(hooked.posts[0])


@every_kind
async def test_a_strangers_words_are_no_mention_no_link_and_no_picture(kind: str) -> None:
    hooked = Hooked()
    await send(kind, hooked, message=a_message(evidence=[a_quote(title=EVIL, quote=EVIL)], doubts=[EVIL]))
    body = hooked.posts[0]
    if kind == "dingtalk":
        assert "at" not in body, "nobody is mentioned without it"
        text = body["markdown"]["text"]
        assert not set("<>!@#") & set(text)
        assert text.count("](") == 2, "our own two links"
    elif kind == "feishu":
        assert {found["tag"] for found in walked(body) if "content" in found} == {"plain_text"}
    elif kind == "teams":
        assert not [found for found in walked(body) if found.get("type") in ("TextBlock", "Image", "mention")]
        assert "entities" not in json.dumps(body)
    else:
        assert "http://evil.example" not in body["text"]


async def test_the_generic_webhook_says_its_schema_its_alert_and_an_id_that_stays() -> None:
    hooked = Hooked()
    await send("webhook", hooked)
    await send("webhook", hooked, resend=True)
    first, second = hooked.posts
    assert set(first) == {
        "schema", "id", "thread", "update", "resent", "language", "severity", "subject", "text", "url", "links", "alert",
    }  # fmt: skip
    assert (first["schema"], first["id"], first["thread"]) == (1, "a1b2c3d4e5f60718.0", "0f1e2d3c4b5a6978.root")
    assert (first["alert"]["statistic"], first["alert"]["opened_at"]) == (14, "2026-11-17T05:26:00Z")
    assert [request.headers["Idempotency-Key"] for request in hooked.seen] == [first["id"]] * 2
    assert (first["resent"], second["resent"]) == (False, True)


NO_SIGNATURE = ("t=\u00b2,v1=", "t=" + "9" * 5_000 + ",v1=", "t=1000,v1=\udcff", "t=\u0663,v1=", "t=-1,v1=", "nonsense")
"""What servers hand over of a header that was written to break its reader."""


def test_a_signature_holds_for_its_body_its_secret_and_five_minutes() -> None:
    secret, body = SECRET.encode(), b'{"schema":1}'
    header = sign(secret, body, at_s=1_000)
    assert verify(secret, body, header=header, now_s=1_299)
    for wrong in (
        verify(secret, body + b" ", header=header, now_s=1_000),
        verify(b"another-secret-of-16", body, header=header, now_s=1_000),
        verify(secret, body, header=header, now_s=1_301),
        verify(secret, body, header=header, now_s=699),
        verify(secret, body, header=header.replace("t=1000", "t=1200"), now_s=1_200),
        verify(secret, body, header="", now_s=1_000),
        verify(secret, body, header="t=x,v1=", now_s=1_000),
        verify(secret, body, header=f"{header}é", now_s=1_000),
        *(verify(secret, body, header=each, now_s=1_000) for each in NO_SIGNATURE),
    ):
        assert not wrong


async def test_a_receiver_without_the_secret_refuses_for_good() -> None:
    hooked = Hooked()
    async with a_hook("webhook", hooked):
        other = msgspec.structs.replace(a_message())
        hook = Hook(channel="webhook", url=hooked.hook("webhook").url, secret="not the one that it knows")
        delivery = await WebhookNotifier("webhook:risk", hook, now_s=lambda: NOW_S).send(other, resend=False)
    assert (delivery.ok, delivery.permanent) == (False, True)
    assert hooked.seen[0].headers[SIGNATURE].startswith("t=1794893190,v1=")


# --- what is answered -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "hooked", "permanent", "retry_after_s", "reason"),
    [
        ("webhook", Hooked(status=404, body="gone"), True, None, "404 gone"),
        ("webhook", Hooked(status=409, body="busy with that one"), False, None, "409 busy"),
        ("webhook", Hooked(status=503, body="", headers={"Retry-After": "9"}), False, 9.0, "503"),
        ("webhook", Hooked(status=302, body=""), True, None, "302 it redirects"),
        ("teams", Hooked(status=429, body="throttled", headers={"Retry-After": "30"}), False, 30.0, "429 throttled"),
        ("teams", Hooked(status=401, body="DirectApiAuthorizationRequired"), True, None, "401 Direct"),
        ("teams", Hooked(body="Microsoft Teams endpoint returned HTTP error 429, throttled"), False, None, "200 Microsoft"),
        ("feishu", Hooked(body='{"code":19021,"msg":"sign match fail"}'), True, None, "19021 sign match fail; check feishu_secret_env"),
        ("feishu", Hooked(body='{"code":11232,"msg":"frequency limited"}'), False, None, "11232 frequency limited"),
        ("feishu", Hooked(status=502, body="<html>bad gateway</html>"), False, None, "502 <html>"),
        ("dingtalk", Hooked(body='{"errcode":310000,"errmsg":"keywords not in content"}'), True, None, "310000 keywords"),
        ("dingtalk", Hooked(body='{"errcode":130101,"errmsg":"send too fast"}'), False, None, "130101 send too fast"),
        ("dingtalk", Hooked(body='{"errcode":-1,"errmsg":"busy"}'), False, None, "-1 busy"),
    ],
    ids=lambda value: str(value.body)[:24] if isinstance(value, Hooked) else "",
)
async def test_an_answer_says_whether_and_when_to_try_again(
    kind: str, hooked: Hooked, permanent: bool, retry_after_s: float | None, reason: str
) -> None:
    delivery = await send(kind, hooked)
    assert (delivery.ok, delivery.permanent, delivery.retry_after_s) == (False, permanent, retry_after_s)
    assert str(delivery.reason).startswith(reason)
    assert len(hooked.posts) == 1, "one attempt is one post: retries are the outbox's"


def test_a_date_in_retry_after_counts_from_the_answers_own_date() -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2026 07:30:00 GMT", "date": date}) == 120.0
    assert retry_after_s({"retry-after": date, "date": date}) is None
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2026 07:30:00 GMT"}) is None
    assert retry_after_s({"retry-after": "9999999"}) == 86_400.0


@pytest.mark.parametrize(
    "url", ["", "c0ffeesecret", "ftp://x.example/c0ffeesecret", "https://", "https://x.example/c0ffee\nsecret", "http://[/c0"]
)
def test_an_impossible_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match="teams target: url: must be") as caught:
        Hook(channel="teams", url=url)
    assert "c0ffee" not in str(caught.value)


def test_a_secret_that_can_be_guessed_is_refused_and_so_is_no_time_at_all() -> None:
    with pytest.raises(SettingsError, match="at least 16 characters, got 5"):
        WebhookNotifier("webhook:risk", Hook(channel="webhook", url="https://x.example/y", secret="short"))
    with pytest.raises(SettingsError, match="timeout_s: must be above 0 seconds, got 0"):
        Hook(channel="teams", url="https://x.example/y", timeout_s=0)


# --- pace -----------------------------------------------------------------------------------------------------------------------
@every_kind
def test_a_channel_is_never_spoken_to_faster_than_it_says(kind: str) -> None:
    limits = KINDS[kind]("x", Hook(channel=kind, url="https://x.example/y", secret=SECRET)).limits
    pace = Pace(limits)
    minute = sum(pace.take(now_ms=now_ms) for now_ms in range(0, 60_000, 10))
    assert minute <= limits.burst + 60 * limits.messages_per_s
    assert minute >= 60 * limits.messages_per_s - 1
    if kind == "dingtalk":
        assert minute <= 20, "what it does not forgive"


def test_a_channel_that_asks_for_rest_gets_it_whatever_the_clock_does() -> None:
    pace = Pace(TeamsNotifier.limits)
    assert pace.take(now_ms=10_000)
    pace.rest(until_ms=20_000)
    assert [pace.take(now_ms=now_ms) for now_ms in (19_999, 5_000, 20_000)] == [False, False, True]


def test_the_check_that_the_documentation_shows_a_receiver_is_the_one_that_fits() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "delivery.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], shown)  # our own page
    body, now_s = b'{"schema":1}', int(time.time())
    assert shown["is_ours"](SECRET.encode(), body, sign(SECRET.encode(), body, at_s=now_s))
    assert not shown["is_ours"](SECRET.encode(), body + b" ", sign(SECRET.encode(), body, at_s=now_s))
    assert not shown["is_ours"](SECRET.encode(), body, sign(SECRET.encode(), body, at_s=now_s - 400))
    for header in (*NO_SIGNATURE, f"t={now_s},v1=\udcff"):
        assert not shown["is_ours"](SECRET.encode(), body, header)
