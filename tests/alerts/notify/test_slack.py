import logging
from typing import Any

import msgspec
import pytest

from alerts.notify.blocks import TOTAL_CHARS, clamp
from alerts.notify.message import Message, render
from alerts.notify.slack import SlackNotifier, SlackSettings
from groundswell.errors import SettingsError
from groundswell.records import Delivery
from tests.alerts.alert_factory import an_alert
from tests.alerts.notify.peers import SLACK_PATH, Slack, a_closed_port, a_slack


def a_message(**overrides: Any) -> Message:
    return render(an_alert(**overrides), base_url="https://gs.bank.example", entity_name=lambda _: "S&P <Bank>")


async def send(slack: Slack, *, resend: bool = False, message: Message | None = None, timeout_s: float = 60.0) -> Delivery:
    notifier = SlackNotifier("slack:risk", SlackSettings(webhook_url=slack.url, timeout_s=timeout_s))
    return await notifier.send(message or a_message(), resend=resend)


# --- what travels ------------------------------------------------------------------------------------------------------------------
async def test_a_post_carries_blocks_and_the_fallback_text() -> None:
    async with a_slack(Slack(headers={"X-Slack-Req-Id": "r-1"})) as slack:
        delivery = await send(slack)
    assert delivery == Delivery(target="slack:risk", ok=True, provider_id="r-1")
    (post,) = slack.posts
    assert post["text"] == "[HIGH] S&amp;P &lt;Bank&gt;: 14 negative stories in 1 h, 8x normal (05:26 UTC)"
    assert (post["mrkdwn"], post["unfurl_links"], post["unfurl_media"]) == (False, False, False)
    assert post["blocks"] == msgspec.json.decode(msgspec.json.encode(a_message().blocks))
    assert post["blocks"][0]["text"]["text"].startswith("[HIGH] S&P ‹Bank›:")


async def test_the_dossier_is_a_link_and_nothing_is_a_button() -> None:
    async with a_slack(Slack()) as slack:
        await send(slack)
    blocks = slack.posts[0]["blocks"]
    assert {b["type"] for b in blocks} == {"header", "section", "context"}
    assert any("<https://gs.bank.example/alerts/a1b2c3d4e5f60718|Open the dossier>" in b.get("text", {}).get("text", "") for b in blocks)


async def test_a_repeat_is_marked_in_header_and_fallback() -> None:
    async with a_slack(Slack()) as slack:
        await send(slack, resend=True)
    assert slack.posts[0]["text"].startswith("[resent] ")
    assert slack.posts[0]["blocks"][0]["text"]["text"].startswith("[resent] ")


# --- what Slack answers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("slack", "permanent", "retry_after_s", "reason"),
    [
        (Slack(status=429, body="rate_limited", headers={"Retry-After": "30"}), False, 30.0, "429 rate_limited"),
        (Slack(status=429, body="", headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), False, None, "429"),
        (Slack(status=429, body="", headers={}), False, None, "429"),
        (Slack(status=500, body="server_error"), False, None, "500 server_error"),
        (Slack(status=503, body="down", headers={"Retry-After": "5"}), False, 5.0, "503 down"),
        (Slack(status=404, body="no_service"), True, None, "404 no_service"),
        (Slack(status=403, body="invalid_token"), True, None, "403 invalid_token"),
        (Slack(status=410, body="channel_is_archived"), True, None, "410 channel_is_archived"),
        (Slack(status=400, body="invalid_blocks"), True, None, "400 invalid_blocks"),
        (Slack(status=400, body="invalid_payload"), True, None, "400 invalid_payload"),
        (Slack(status=400, body="no_text"), True, None, "400 no_text"),
        (Slack(status=408, body="timeout"), False, None, "408 timeout"),
        (Slack(status=200, body="<html>sign in to the guest network</html>"), False, None, "200 <html>sign in"),
    ],
    ids=lambda value: f"{value.status} {value.body[:20]}" if isinstance(value, Slack) else "",
)
async def test_an_answer_says_whether_and_when_to_try_again(
    slack: Slack, permanent: bool, retry_after_s: float | None, reason: str
) -> None:
    async with a_slack(slack):
        delivery = await send(slack)
    assert (delivery.target, delivery.ok, delivery.permanent, delivery.retry_after_s) == ("slack:risk", False, permanent, retry_after_s)
    assert str(delivery.reason).startswith(reason)
    assert len(slack.posts) == 1, "one attempt is one post: retries are the outbox's"


async def test_slack_slower_than_the_time_limit_is_given_up() -> None:
    async with a_slack(Slack(hang=True)) as slack:
        delivery = await send(slack, timeout_s=0.2)
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert delivery.reason == "no answer within 0.2 s, whether the message arrived is unknown"


async def test_an_answer_that_is_lost_is_not_followed_by_a_second_post() -> None:
    async with a_slack(Slack(drop=True)) as slack:
        delivery = await send(slack)
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert len(slack.posts) == 1


async def test_a_refused_connection_may_be_tried_again() -> None:
    delivery = await send(Slack(url=f"http://127.0.0.1:{a_closed_port()}{SLACK_PATH}"))
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert "Cannot connect" in str(delivery.reason)


async def test_a_proxy_of_the_environment_is_not_consulted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{a_closed_port()}")
    async with a_slack(Slack()) as slack:
        assert (await send(slack)).ok


async def test_the_address_reaches_no_log_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with a_slack(Slack(status=500, body="server_error")) as slack:
            await send(slack)
    assert "c0ffeesecret" not in "\n".join(r.getMessage() for r in caplog.records if r.name != "aiohttp.access")


async def test_an_answer_that_repeats_the_address_is_masked() -> None:
    async with a_slack(Slack(status=404, body=f"no such hook: {SLACK_PATH}")) as slack:
        delivery = await send(slack)
    assert delivery.reason == "404 no such hook: ***"


# --- limits ------------------------------------------------------------------------------------------------------------------------
def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


LINK = {"type": "section", "text": {"type": "mrkdwn", "text": "<https://gs.bank.example/alerts/a|Open>"}}


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [t["text"] for b in blocks for t in [*([b["text"]] if "text" in b else []), *b.get("elements", [])]]


def test_a_realistic_message_is_within_every_limit_and_untouched() -> None:
    blocks = a_message().blocks
    assert clamp(blocks) == list(blocks)


def test_each_text_is_cut_at_its_own_limit() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": plain("h" * 151)},
        {"type": "section", "text": plain("s" * 3_001)},
        {"type": "context", "elements": [plain("c" * 10) for _ in range(11)]},
    ]
    header, section, context = clamp(blocks)
    assert header["text"]["text"] == "h" * 149 + "…"
    assert section["text"]["text"] == "s" * 2_999 + "…"
    assert len(context["elements"]) == 10


def test_the_sum_is_clamped_from_the_end_and_the_link_survives() -> None:
    blocks = [{"type": "section", "text": plain(letter * 2_900)} for letter in "abcdef"] + [LINK]
    fitted = clamp(blocks)
    assert sum(map(len, texts(fitted))) == TOTAL_CHARS
    assert fitted[-1] == LINK
    assert [t[0] for t in texts(fitted)] == ["a", "b", "c", "d", "<"]


def test_fifty_blocks_are_the_most_and_the_link_is_among_them() -> None:
    fitted = clamp([*({"type": "section", "text": plain(str(n))} for n in range(60)), LINK])
    assert len(fitted) == 50
    assert fitted[-1] == LINK


def test_the_longest_doubts_and_parts_stay_sendable() -> None:
    message = a_message(doubts=["d" * 10_000] * 50)
    assert sum(map(len, texts(clamp(message.blocks)))) <= TOTAL_CHARS
    assert max(map(len, texts(clamp(message.blocks)))) <= 3_000


# --- settings --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["", "c0ffeesecret", "ftp://slack.example/c0ffeesecret", "https://", "https://slack.example"])
def test_an_impossible_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match="slack target: webhook_url") as caught:
        SlackSettings(webhook_url=url)
    assert "c0ffeesecret" not in str(caught.value)


def test_a_time_limit_is_positive() -> None:
    with pytest.raises(SettingsError, match="timeout_s: must be above 0 seconds, got -1"):
        SlackSettings(webhook_url="https://slack.example/x", timeout_s=-1)
