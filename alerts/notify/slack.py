"""Sends alerts to one Slack channel through an incoming webhook.

Set-up, in this order:
  1. api.slack.com/apps, "Create New App", from scratch, in the bank's workspace.
  2. "Incoming Webhooks": on; "Add New Webhook to Workspace"; choose the channel. One webhook is one channel.
  3. The address (https://hooks.slack.com/services/...) is a password: whoever has it can write to the channel. Put it in the
     environment (GROUNDSWELL_SLACK_WEBHOOK_URL), never in a file.
  4. Behind a proxy: give it as `proxy`; the process's environment is not consulted.

A webhook can neither edit nor thread: an update is a new message. The dossier is a plain link, because a button without an
app behind it shows a warning sign to whoever presses it. With a bot there are threads and, where allowed, buttons: slack_bot.py.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook.async_client import AsyncWebhookClient

from alerts.notify.base import Limits, failed
from alerts.notify.blocks import FALLBACK_CHARS, HEADER_CHARS, TOTAL_CHARS, clamp
from alerts.notify.message import Message, as_resent
from alerts.notify.posts import RETRIED_STATUS, retry_after_s
from groundswell.errors import SettingsError, reason_of
from groundswell.records import Delivery

__all__ = ["SILENT", "SlackNotifier", "SlackSettings"]


# The library logs each request, address included, wherever the root logger is at DEBUG.
SILENT = logging.getLogger("groundswell.notify.slack")
SILENT.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """One channel's webhook; checked when it is made.

    Raises:
        SettingsError: the address is none, or the time limit is not positive.
    """

    webhook_url: str = field(repr=False)
    proxy: str | None = field(default=None, repr=False)  # may hold a login
    timeout_s: float = 10.0  # for the whole attempt

    def __post_init__(self) -> None:
        parts = urlsplit(self.webhook_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
            message = "slack target: webhook_url: must be the address that Slack shows for the webhook (not repeated here); set it"
            raise SettingsError(message)
        if self.timeout_s <= 0:
            message = f"slack target: timeout_s: must be above 0 seconds, got {self.timeout_s}; 10 is usual"
            raise SettingsError(message)


class SlackNotifier:
    """One channel."""

    limits: ClassVar[Limits] = Limits(subject_chars=HEADER_CHARS, text_chars=TOTAL_CHARS, messages_per_s=1.0, threads=False)

    def __init__(self, name: str, settings: SlackSettings) -> None:
        self.name = name
        self._settings = settings

    def __repr__(self) -> str:
        return f"SlackNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One POST; see Notifier.send. 429 gives `retry_after_s`; any other 4xx is permanent; 5xx and the network are not."""
        said = as_resent(message) if resend else message
        body = {
            "text": said.fallback[:FALLBACK_CHARS],
            "mrkdwn": False,
            "blocks": clamp(said.blocks),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        limit = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session:
                response = await self._client(session).send_dict(body)
        except TimeoutError:
            return self._failed(f"no answer within {self._settings.timeout_s:g} s, whether the message arrived is unknown", unknown=True)
        except (aiohttp.ClientError, SlackClientError, OSError, ValueError) as error:
            return self._failed(reason_of(error), unknown=not isinstance(error, aiohttp.ClientConnectorError))
        if response.status_code == 200 and response.body.strip() == "ok":
            return Delivery(target=self.name, ok=True, provider_id=_header(response.headers, "x-slack-req-id"))
        wait_s = retry_after_s({key.lower(): value for key, value in response.headers.items()})
        permanent = 400 <= response.status_code < 500 and response.status_code not in RETRIED_STATUS
        return self._failed(f"{response.status_code} {response.body}".strip(), permanent=permanent, retry_after_s=wait_s)

    def _client(self, session: aiohttp.ClientSession) -> AsyncWebhookClient:
        # Without its own retries: the library repeats a POST whose answer was lost, and the outbox would not know.
        client = AsyncWebhookClient(self._settings.webhook_url, session=session, retry_handlers=[], logger=SILENT)
        client.proxy = self._settings.proxy
        return client

    def _failed(self, reason: str, *, permanent: bool = False, unknown: bool = False, retry_after_s: float | None = None) -> Delivery:
        address = self._settings.webhook_url
        secrets = (address, urlsplit(address).path, self._settings.proxy)
        return failed(self.name, reason, permanent=permanent, unknown=unknown, retry_after_s=retry_after_s, secrets=secrets)


def _header(headers: Any, name: str) -> str | None:
    """A header's value, however the server spelt its name; None without it."""
    return next((str(value) for key, value in headers.items() if key.lower() == name), None)
