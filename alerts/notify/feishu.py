r"""Sends alerts to a Feishu (Lark) group through a custom bot's webhook.

Set-up, in this order:
  1. The group's settings, "Bots", "Add bot", "Custom bot"; copy its address.
  2. Under security, tick "signature verification" and copy the secret.
  3. Both go into the environment, the names of their variables into the routes file (`feishu_url_env`, `feishu_secret_env`).

From Feishu's documentation, not from the real service (none was at hand): signed is "<seconds>\n<secret>" as the key of an HMAC-SHA256
over nothing, in base64; the time may be an hour off; 100 messages a minute and 5 a second; 20 KB at most; the answer is HTTP 200 with a
`code` that is 0 for "sent". A custom bot can neither thread nor edit: an update is a new card. Strangers' words stand in `plain_text`,
where `<at>` is no mention.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from alerts.notify.base import Limits
from alerts.notify.message import Message, as_resent
from alerts.notify.posts import Answer, Hook, Judged, by_code, encoded, fields_of, fitted, post
from groundswell.records import Delivery

__all__ = ["BYTES_MAX", "FeishuNotifier", "signature"]

BYTES_MAX: Final = 19_000  # 20 KB, less the signature
TEMPLATES: Final = {"low": "grey", "medium": "orange", "high": "red"}
LATER_CODES: Final = frozenset({11232, 11233, 9499})  # too many messages; 9499 also comes with HTTP 429
STEPS: Final = {
    19021: "check feishu_secret_env, and this machine's clock",
    19022: "the bot's list of addresses lacks this machine's",
    19024: "the bot asks for a keyword: choose signature verification in its place",
    19001: "the bot was removed: set the new one's address",
}


class FeishuNotifier:
    """One group."""

    limits: ClassVar[Limits] = Limits(subject_chars=None, text_chars=BYTES_MAX, messages_per_s=1.0, threads=False)

    def __init__(self, name: str, hook: Hook, *, now_s: Callable[[], float] = time.time) -> None:
        self.name = name
        self._settings = hook
        self._now_s = now_s

    def __repr__(self) -> str:
        return f"FeishuNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One POST; see Notifier.send."""
        body = body_of(as_resent(message) if resend else message)
        if self._settings.secret:
            at_s = int(self._now_s())
            body = {"timestamp": str(at_s), "sign": signature(self._settings.secret, at_s=at_s), **body}
        return await post(self.name, self._settings, body=encoded(body), judge=_judge)


def signature(secret: str, *, at_s: int) -> str:
    """The signature of a moment; the body is not signed.

    >>> signature("demo", at_s=1599360473)
    'l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8='
    """
    return base64.b64encode(hmac.new(f"{at_s}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def body_of(message: Message) -> dict[str, Any]:
    """The card, within Feishu's size: what does not fit is left out from the end, and the button stays."""
    return fitted(message, _body, bytes_max=BYTES_MAX)


def _body(message: Message, pieces: Sequence[str]) -> dict[str, Any]:
    return {"msg_type": "interactive", "card": _card(message, pieces)}


def _card(message: Message, pieces: Sequence[str]) -> dict[str, Any]:
    links = [*([(message.open_label, message.url)] if message.url else []), *message.links]
    buttons = [{"tag": "button", "text": _plain(label or "Open"), "url": url, "type": "default"} for label, url in links]
    return {
        "config": {"wide_screen_mode": True},
        "header": {"title": _plain(message.subject), "template": TEMPLATES.get(message.severity, "grey")},
        "elements": [
            *({"tag": "div", "text": _plain(piece)} for piece in pieces),
            *([{"tag": "action", "actions": buttons}] if buttons else []),
        ],
    }


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}


def _judge(answer: Answer) -> Judged:
    said = fields_of(answer)
    return by_code(answer, said.get("code", said.get("StatusCode")), said.get("msg", ""), steps=STEPS, later=LATER_CODES)
