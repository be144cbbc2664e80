"""Listens to the buttons under Slack messages, by Socket Mode: an outbound connection, so nothing of ours has to be reached from outside.

Set-up, beside that of slack_bot.py: "Socket Mode" on; an app-level token (xapp-...) with `connections:write` in the environment
(GROUNDSWELL_SLACK_APP_TOKEN); "Interactivity" on. Without that token no message has a button.

Slack wants each press acknowledged within three seconds, whatever becomes of it; it may hand over the same press twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from alerts.notify.slack_bot import API_URL, BUTTONS
from groundswell.errors import SettingsError, reason_of
from groundswell.logs import logger

__all__ = ["Act", "SlackButtons", "presses_of"]

Act = Callable[[str, str, str], Awaitable[None]]
"""(who, what, alert_id): who is "slack:<user id>", what is a word of BUTTONS. Called once for each press; the same may come twice."""

ID_CHARS_MAX: Final = 64
CONNECT_S: Final = 30.0
_log = logger("groundswell.slack")

# The client logs each failed connection with its traceback, every few seconds.
_SILENT = logging.getLogger("groundswell.notify.slack.buttons")
_SILENT.setLevel(logging.CRITICAL)


@dataclass
class SlackButtons:
    """The connection of one app.

    Args:
        app_token: xapp-...
        act: what records a press.
        api_url: Slack's; a test has its own.
        proxy: the process's environment is not consulted.

    Raises:
        SettingsError: the token cannot be one.
    """

    app_token: str = field(repr=False)
    act: Act
    api_url: str = API_URL
    proxy: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.app_token.startswith("xapp-"):
            message = "slack.app_token: must be an app-level token, which begins with xapp- (not repeated here); set it, or leave it out"
            raise SettingsError(message)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until told to stop; the client connects again by itself when Slack asks for it or the line breaks."""
        web = AsyncWebClient(base_url=self.api_url, retry_handlers=[], logger=_SILENT)
        web.proxy = self.proxy
        client = SocketModeClient(self.app_token, web_client=web, logger=_SILENT)
        client.proxy = self.proxy
        client.socket_mode_request_listeners.append(self._take)
        # It tries until it succeeds; the links of the messages work meanwhile.
        connecting = asyncio.ensure_future(client.connect())  # type: ignore[no-untyped-call]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({connecting, stopping}, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
            if not (connecting.done() or stopping.done()):
                _log.error("buttons are not heard: is slack.app_token right, and Socket Mode on?", tried_s=CONNECT_S)
            await stopping
        finally:
            connecting.cancel()
            stopping.cancel()
            await asyncio.gather(connecting, stopping, return_exceptions=True)
            await client.close()  # type: ignore[no-untyped-call]

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        for who, what, alert_id in presses_of(request.payload if request.type == "interactive" else {}):
            try:
                await self.act(who, what, alert_id)
            except Exception as error:
                _log.error("a button's press was not recorded", who=who, what=what, alert=alert_id, reason=reason_of(error))


def presses_of(payload: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Who pressed what under which alert; nothing of what is not one of our buttons.

    >>> presses_of({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "acknowledge", "value": "a1"}]})
    [('slack:U1', 'acknowledge', 'a1')]
    """
    user, actions = payload.get("user"), payload.get("actions")
    if payload.get("type") != "block_actions" or not isinstance(user, dict) or not isinstance(actions, list):
        return []
    who = user.get("id")
    if not isinstance(who, str) or not who.isalnum():
        return []
    pressed: list[tuple[Any, Any]] = [(action.get("action_id"), action.get("value")) for action in actions if isinstance(action, dict)]
    return [(f"slack:{who}", str(what), alert_id) for what, alert_id in pressed if what in BUTTONS and _is_id(alert_id)]


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.replace("-", "").isalnum() and len(value) <= ID_CHARS_MAX
