"""Sends alerts to a Slack channel as a bot: updates stand in the first message's thread, and the first message shows how things are.

Set-up, in this order:
  1. api.slack.com/apps, "Create New App", from scratch, in the bank's workspace.
  2. "OAuth & Permissions": the bot scope `chat:write`; "Install to Workspace"; copy the bot token (xoxb-...).
  3. The token goes into the environment (GROUNDSWELL_SLACK_BOT_TOKEN), never into a file.
  4. Invite the bot into the channel, and write the channel's id (C0123456789; not its name) into the routes file (`slack`).
  5. Buttons only where your security people allow Socket Mode (alerts/notify/slack_buttons.py); without it there are plain links.

Slack's own documentation and the client's sources say what follows; no real workspace was at hand: chat.postMessage answers HTTP 200 with
`ok` and, when it is not, `error`; 429 with Retry-After; `ts` names a message in its channel and is its thread's; about one message a
second and channel. `clamp` keeps a message below the size at which Slack says msg_blocks_too_long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from alerts.notify.base import Limits, failed
from alerts.notify.blocks import FALLBACK_CHARS, HEADER_CHARS, TOTAL_CHARS, clamp, plain
from alerts.notify.message import Message, as_resent
from alerts.notify.posts import retry_after_s
from alerts.notify.slack import SILENT
from groundswell.errors import SettingsError, reason_of
from groundswell.records import Delivery

__all__ = ["API_URL", "BUTTONS", "SlackBotNotifier", "SlackBotSettings"]

API_URL: Final = "https://slack.com/api/"
BUTTONS: Final = {"acknowledge": ("Acknowledge", "确认收到"), "true": ("True", "属实"), "false": ("False", "不实")}
"""Word of an act -> what its button says in English and in Chinese."""

LATER: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
STEPS: Final = {
    "not_in_channel": "invite the bot into the channel",
    "channel_not_found": "write the channel's id, and invite the bot into it",
    "token_revoked": "set slack.bot_token to a token that holds",
    "invalid_auth": "set slack.bot_token to a token that holds",
    "account_inactive": "install the app again and set slack.bot_token",
    "missing_scope": "give the app the bot scope chat:write and install it again",
}
SHORTER_CHARS: Final = 3_000  # what is tried once where Slack finds a message too long after all
TOO_LONG: Final = frozenset({"msg_blocks_too_long", "msg_too_long"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackBotSettings:
    """A bot and a channel; checked when it is made.

    Raises:
        SettingsError: the token or the channel cannot be one.
    """

    token: str = field(repr=False)
    channel: str  # its id
    buttons: bool = False  # somebody listens to them (Socket Mode)
    api_url: str = API_URL
    proxy: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.token.startswith("xoxb-") or not self.token.isascii() or set(self.token) & set(" \r\n\t"):
            message = "slack target: slack.bot_token: must be a bot token, which begins with xoxb- (not repeated here); set it"
            raise SettingsError(message)
        if not self.channel.isalnum() or not self.channel.isascii() or self.channel[:1] not in "CGD":
            message = f"slack target: channel: must be its id, such as C0123456789, got {self.channel!r}; the channel's details show it"
            raise SettingsError(message)
        if self.timeout_s <= 0:
            message = f"slack target: timeout_s: must be above 0 seconds, got {self.timeout_s}; 10 is usual"
            raise SettingsError(message)


class SlackBotNotifier:
    """One channel."""

    limits: ClassVar[Limits] = Limits(subject_chars=HEADER_CHARS, text_chars=TOTAL_CHARS, messages_per_s=1.0, burst=3, threads=True)

    def __init__(self, name: str, settings: SlackBotSettings) -> None:
        self.name = name
        self._settings = settings

    def __repr__(self) -> str:
        return f"SlackBotNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One chat.postMessage, in the thread of `message.parent_id` where there is one; see Notifier.send.

        Where Slack finds it too long, once more with its beginning alone: that was refused, so nothing arrives twice.
        """
        said = as_resent(message) if resend else message
        delivery = await self._call("chat_postMessage", said, thread_ts=_ts(said.parent_id))
        if not delivery.ok and any(word in str(delivery.reason) for word in TOO_LONG):
            return await self._call("chat_postMessage", said, thread_ts=_ts(said.parent_id), chars=SHORTER_CHARS)
        return delivery

    async def amend(self, message: Message, *, provider_id: str, state: str) -> Delivery:
        """Show how things are in a message that was sent: one chat.update.

        Args:
            message: the incident's first, as it was sent.
            provider_id: what Slack called it.
            state: one line in the reader's language; nothing more of it is offered as a button.
        """
        shown = {"type": "context", "elements": [plain(state)]}
        return await self._call("chat_update", message, ts=_ts(provider_id), before=[shown], buttons=False)

    async def _call(
        self,
        method: str,
        message: Message,
        *,
        chars: int = TOTAL_CHARS,
        before: Sequence[dict[str, Any]] = (),
        buttons: bool = True,
        **given: str | None,
    ) -> Delivery:
        header, *rest = clamp(message.blocks, total_chars=chars)
        blocks = [header, *before, *rest]
        if buttons and self._settings.buttons and message.data:
            blocks.append(_buttons(message))
        body: dict[str, Any] = {"channel": self._settings.channel, "text": message.fallback[:FALLBACK_CHARS], "blocks": blocks}
        if method == "chat_postMessage":
            body |= {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
        limit = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session:
                call = getattr(self._client(session), method)
                answer = await call(**body, **{key: value for key, value in given.items() if value is not None})
        except TimeoutError:
            return self._failed(f"no answer within {self._settings.timeout_s:g} s, whether the message arrived is unknown", unknown=True)
        except SlackApiError as error:
            return self._refused(error.response)
        except (aiohttp.ClientError, SlackClientError, OSError, ValueError, TypeError) as error:
            return self._failed(reason_of(error), unknown=not isinstance(error, aiohttp.ClientConnectorError))
        return Delivery(target=self.name, ok=True, provider_id=f"{answer.get('channel', self._settings.channel)}/{answer.get('ts', '')}")

    def _refused(self, response: Any) -> Delivery:
        data = response.data if isinstance(getattr(response, "data", None), dict) else {}
        # An answer that is no JSON leaves aiohttp's own response, which calls its status differently.
        status = getattr(response, "status_code", getattr(response, "status", 0))
        headers = {str(key).lower(): str(value) for key, value in (getattr(response, "headers", None) or {}).items()}
        said = str(data.get("error") or f"{status} no answer that Slack would give")
        step = STEPS.get(said)
        final = said in data.values() and said not in LATER and status not in (408, 429, *range(500, 600))
        return self._failed(f"{said}; {step}" if step else said, permanent=final, wait_s=retry_after_s(headers))

    def _client(self, session: aiohttp.ClientSession) -> AsyncWebClient:
        s = self._settings
        # Without its own retries: the library repeats a POST whose answer was lost, and the outbox would not know.
        client = AsyncWebClient(s.token, base_url=s.api_url, session=session, retry_handlers=[], logger=SILENT)
        client.proxy = s.proxy
        return client

    def _failed(self, reason: str, *, permanent: bool = False, unknown: bool = False, wait_s: float | None = None) -> Delivery:
        secrets = (self._settings.token, self._settings.proxy)
        return failed(self.name, reason, permanent=permanent, unknown=unknown, retry_after_s=wait_s, secrets=secrets)


def _ts(provider_id: str | None) -> str | None:
    """The message's name within its channel: what stands behind the slash."""
    return provider_id.partition("/")[2] or None if provider_id else None


def _buttons(message: Message) -> dict[str, Any]:
    place = 1 if message.language == "zh" else 0
    alert_id = message.message_id.removesuffix(".0")
    elements = [{"type": "button", "action_id": act, "value": alert_id, "text": plain(labels[place])} for act, labels in BUTTONS.items()]
    return {"type": "actions", "block_id": "groundswell", "elements": elements}
