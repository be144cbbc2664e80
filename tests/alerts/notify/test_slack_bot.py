"""The bot: threads, the first message that shows how things are, and buttons by Socket Mode; against an API on loopback."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from alerts.notify.message import Message, render
from alerts.notify.slack_bot import SlackBotNotifier, SlackBotSettings
from alerts.notify.slack_buttons import SlackButtons, presses_of
from groundswell.errors import SettingsError
from groundswell.records import Delivery
from tests.alerts.alert_factory import a_quote, an_alert
from tests.alerts.notify.hooks import APP_TOKEN, BOT_TOKEN, SlackApi, a_slack_api, texts

EVIL = "<!channel> <!here> @here <@U012> *bold* <https://evil.example|click> `code`"


def a_message(**overrides: Any) -> Message:
    return render(an_alert(**overrides), base_url="https://gs.bank.example", entity_name=lambda _: "S&P <Bank>")


def a_bot(api: SlackApi, *, buttons: bool = False, timeout_s: float = 60.0) -> SlackBotNotifier:
    return SlackBotNotifier(
        "slack:risk", SlackBotSettings(token=BOT_TOKEN, channel="C0RISK", api_url=api.url, buttons=buttons, timeout_s=timeout_s)
    )


async def test_an_update_stands_in_the_thread_of_the_first_message() -> None:
    async with a_slack_api(SlackApi()) as api:
        bot = a_bot(api)
        first = await bot.send(a_message(), resend=False)
        update = msgspec.structs.replace(a_message(id="b" * 16, update=1), parent_id=first.provider_id)
        await bot.send(update, resend=False)
    assert first == Delivery(target="slack:risk", ok=True, provider_id="C0RISK/1794893190.000001")
    (method, one), (_, two) = api.calls
    assert (method, one["channel"], one.get("thread_ts")) == ("chat.postMessage", "C0RISK", None)
    assert two["thread_ts"] == "1794893190.000001"
    assert (one["unfurl_links"], one["unfurl_media"]) == (False, False)


async def test_the_first_message_shows_how_things_are_and_loses_its_buttons() -> None:
    async with a_slack_api(SlackApi()) as api:
        bot = a_bot(api, buttons=True)
        sent = await bot.send(a_message(), resend=False)
        shown = await bot.amend(a_message(), provider_id=str(sent.provider_id), state="acknowledged by <!channel> anna, 13:40")
    assert shown.ok
    (_, posted), (method, amended) = api.calls
    assert (method, amended["ts"]) == ("chat.update", "1794893190.000001")
    assert amended["blocks"][1]["elements"][0]["text"] == "acknowledged by ‹!channel› anna, 13:40"
    assert [b["type"] for b in posted["blocks"]].count("actions") == 1
    assert "actions" not in [b["type"] for b in amended["blocks"]]


async def test_without_somebody_who_listens_there_are_links_and_no_buttons() -> None:
    async with a_slack_api(SlackApi()) as api:
        await a_bot(api).send(a_message(), resend=False)
    assert {b["type"] for b in api.calls[0][1]["blocks"]} == {"header", "section", "context"}


async def test_a_headline_mentions_nobody_and_formats_nothing() -> None:
    async with a_slack_api(SlackApi()) as api:
        await a_bot(api, buttons=True).send(a_message(evidence=[a_quote(title=EVIL, quote=EVIL)], doubts=[EVIL]), resend=False)
    body = api.calls[0][1]
    formatted = [b["text"]["text"] for b in body["blocks"] if b.get("text", {}).get("type") == "mrkdwn"]
    assert len(formatted) == 1, "our own links"
    assert "evil" not in formatted[0]
    said = "\n".join([body["text"], *texts([b for b in body["blocks"] if b.get("text", {}).get("type") != "mrkdwn"])])
    assert not set("<>@") & set(said.replace("&lt;", "").replace("&gt;", ""))
    assert body["mrkdwn"] is False


async def test_what_slack_finds_too_long_after_all_goes_once_more_and_shorter() -> None:
    async with a_slack_api(SlackApi(chars_max=4_000)) as api:
        message = a_message()
        long = {"type": "section", "text": {"type": "plain_text", "text": "d" * 2_900}}
        delivery = await a_bot(api).send(msgspec.structs.replace(message, blocks=(*message.blocks, long, long)), resend=False)
    assert delivery.ok, delivery.reason
    assert len(api.calls) == 2
    assert any("/alerts/a1b2c3d4e5f60718|" in text for text in texts(api.calls[1][1]["blocks"])), "the link stays"


@pytest.mark.parametrize(
    ("api", "permanent", "retry_after_s", "reason"),
    [
        (SlackApi(status=429, error="ratelimited", headers={"Retry-After": "30"}), False, 30.0, "ratelimited"),
        (SlackApi(status=429, raw="slow", headers={"Retry-After": "3"}), False, 3.0, "429"),
        (SlackApi(status=500, error="internal_error"), False, None, "internal_error"),
        (SlackApi(status=503, raw="<html>down</html>"), False, None, "503"),
        (SlackApi(error="token_revoked"), True, None, "token_revoked; set slack.bot_token"),
        (SlackApi(error="channel_not_found"), True, None, "channel_not_found; write the channel's id"),
        (SlackApi(error="is_archived"), True, None, "is_archived"),
        (SlackApi(error="msg_blocks_too_long"), True, None, "msg_blocks_too_long"),
        (SlackApi(raw="<html>sign in</html>"), False, None, "200"),
    ],
    ids=lambda value: str(value.error or value.raw) if isinstance(value, SlackApi) else "",
)
async def test_an_answer_says_whether_and_when_to_try_again(
    api: SlackApi, permanent: bool, retry_after_s: float | None, reason: str
) -> None:
    async with a_slack_api(api):
        delivery = await a_bot(api).send(a_message(), resend=False)
    assert (delivery.ok, delivery.permanent, delivery.retry_after_s) == (False, permanent, retry_after_s)
    assert str(delivery.reason).startswith(reason)


async def test_an_answer_that_is_lost_is_not_followed_by_a_second_post() -> None:
    async with a_slack_api(SlackApi(drop=True)) as api:
        delivery = await a_bot(api).send(a_message(), resend=False)
    assert (delivery.ok, delivery.permanent, len(api.calls)) == (False, False, 1)


async def test_the_token_reaches_no_log_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with a_slack_api(SlackApi(error="token_revoked")) as api:
            await a_bot(api).send(a_message(), resend=False)
    assert "c0ffeesecret" not in caplog.text


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"token": "xoxp-c0ffeesecret"}, "slack.bot_token: must be a bot token"),
        ({"channel": "#risk"}, "channel: must be its id, such as C0123456789, got '#risk'"),
        ({"timeout_s": 0}, "timeout_s: must be above 0"),
    ],
)
def test_an_impossible_setting_is_refused_without_the_token(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(SettingsError, match=rule) as caught:
        SlackBotSettings(**({"token": BOT_TOKEN, "channel": "C0RISK"} | given))
    assert "c0ffee" not in str(caught.value)


# --- buttons --------------------------------------------------------------------------------------------------------------------
def a_press(what: str = "acknowledge", *, envelope: str = "e1", value: str = "a1b2c3d4e5f60718") -> dict[str, Any]:
    action = {"type": "button", "action_id": what, "value": value}
    payload = {"type": "block_actions", "user": {"id": "U0ANNA"}, "actions": [action]}
    return {"envelope_id": envelope, "type": "interactive", "payload": payload, "accepts_response_payload": False}


async def test_a_press_is_acknowledged_to_slack_and_handed_over_with_who_what_and_which_alert() -> None:
    acts: list[tuple[str, str, str]] = []
    stop = asyncio.Event()

    async def act(who: str, what: str, alert_id: str) -> None:
        acts.append((who, what, alert_id))
        if what == "true":
            message = "the store is away"
            raise RuntimeError(message)
        if what == "false":
            stop.set()

    async with a_slack_api(SlackApi()) as api:
        for number, what in enumerate(("acknowledge", "true", "not a button", "false")):
            api.pressed.put_nowait(a_press(what, envelope=f"e{number}"))
        await asyncio.wait_for(SlackButtons(APP_TOKEN, act, api.url).run(stop), 180)
    assert acts == [("slack:U0ANNA", what, "a1b2c3d4e5f60718") for what in ("acknowledge", "true", "false")]
    assert api.acknowledged == ["e0", "e1", "e2", "e3"], "even what led to nothing: Slack would send it again"


async def test_a_slack_that_lets_nobody_listen_stops_nothing() -> None:
    stop = asyncio.Event()

    async def act(*_: str) -> None: ...

    async with a_slack_api(SlackApi()) as api:
        listening = asyncio.create_task(SlackButtons("xapp-2-wrong", act, api.url).run(stop))
        await asyncio.wait({listening}, timeout=0.1)
        assert not listening.done()
        stop.set()
        await asyncio.wait_for(listening, 180)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "view_submission", "user": {"id": "U1"}, "actions": []},
        {"type": "block_actions", "user": "U1", "actions": [{"action_id": "true", "value": "a"}]},
        {"type": "block_actions", "user": {"id": "U1"}, "actions": "x"},
        {"type": "block_actions", "user": {"id": "U 1"}, "actions": [{"action_id": "true", "value": "a"}]},
        {"type": "block_actions", "user": {"id": "U1"}, "actions": [None, {"action_id": "true", "value": "a' OR 1=1"}]},
        {"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "true", "value": "a" * 65}]},
    ],
)
def test_what_is_not_one_of_our_buttons_is_nothing(payload: dict[str, Any]) -> None:
    assert presses_of(payload) == []


def test_a_token_that_is_none_is_refused_without_showing_it() -> None:
    async def act(*_: str) -> None: ...

    with pytest.raises(SettingsError, match=r"slack\.app_token: must be") as caught:
        SlackButtons("c0ffeesecret", act)
    assert "c0ffee" not in str(caught.value)
