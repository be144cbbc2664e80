r"""Sends alerts to a DingTalk group through a custom robot's webhook.

Set-up, in this order:
  1. The group's settings, "Group assistant", "Add robot", "Custom"; copy its address.
  2. Under security, choose the signature and copy the secret (it begins with SEC).
  3. Both go into the environment, the names of their variables into the routes file (`dingtalk_url_env`, `dingtalk_secret_env`).

From DingTalk's documentation, not from the real service (none was at hand): signed is "<milliseconds>\n<secret>" by HMAC-SHA256 keyed with
the secret, in base64, as parameters of the address; the time may be an hour off; 20 messages a minute, then ten minutes of silence;
20,000 bytes at most; the answer is HTTP 200 with an `errcode` that is 0 for "sent". A robot can neither thread nor edit. The text is
Markdown: what strangers wrote gets look-alikes for its signs, so nothing of theirs is a heading, a link or a picture.
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

__all__ = ["BYTES_MAX", "DingTalkNotifier", "signature"]

BYTES_MAX: Final = 19_000
LATER_CODES: Final = frozenset({-1, 130101, 130102, 410100, 90018})  # busy, or too many messages
STEPS: Final = {
    310000: "check dingtalk_secret_env and this machine's clock; a robot with keywords or an address list refuses too",
    300001: "the robot's address is wrong: set the one that the group shows",
    400101: "the robot was removed: set the new one's address",
}
_FLAT: Final = str.maketrans(
    {"*": "∗", "_": "＿", "~": "∼", "`": "'", "#": "＃", "[": "［", "]": "］", "<": "‹", ">": "›", "!": "！", "|": "¦", "@": "＠"}
)


class DingTalkNotifier:
    """One group."""

    limits: ClassVar[Limits] = Limits(subject_chars=None, text_chars=BYTES_MAX, messages_per_s=0.25, burst=3, threads=False)

    def __init__(self, name: str, hook: Hook, *, now_s: Callable[[], float] = time.time) -> None:
        self.name = name
        self._settings = hook
        self._now_s = now_s

    def __repr__(self) -> str:
        return f"DingTalkNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One POST; see Notifier.send."""
        query = {}
        if self._settings.secret:
            at_ms = int(self._now_s() * 1_000)
            query = {"timestamp": str(at_ms), "sign": signature(self._settings.secret, at_ms=at_ms)}
        body = encoded(body_of(as_resent(message) if resend else message))
        return await post(self.name, self._settings, body=body, judge=_judge, query=query)


def signature(secret: str, *, at_ms: int) -> str:
    """The signature of a moment; the body is not signed.

    >>> signature("SECdemo", at_ms=1)
    'eKd3+uLy4LQP29MIr3sP9R51DH59rmvLVO50dOJvmL8='
    """
    return base64.b64encode(hmac.new(secret.encode(), f"{at_ms}\n{secret}".encode(), hashlib.sha256).digest()).decode()


def body_of(message: Message) -> dict[str, Any]:
    """The Markdown message, within DingTalk's size: what does not fit is left out from the end, and the links stay."""
    return fitted(message, _body, bytes_max=BYTES_MAX)


def _body(message: Message, pieces: Sequence[str]) -> dict[str, Any]:
    return {"msgtype": "markdown", "markdown": {"title": _flat(message.subject), "text": _markdown(message, pieces)}}


def _markdown(message: Message, pieces: Sequence[str]) -> str:
    links = [*([(message.open_label, message.url)] if message.url else []), *message.links]
    ours = "  ".join(f"[{label or 'Open'}]({url.replace(')', '%29')})" for label, url in links)
    said = ("  \n".join(_flat(line) for line in piece.split("\n")) for piece in pieces)
    return "\n\n".join(filter(None, [f"**{_flat(message.subject)}**", *said, ours]))


def _flat(text: str) -> str:
    return text.translate(_FLAT)


def _judge(answer: Answer) -> Judged:
    said = fields_of(answer)
    return by_code(answer, said.get("errcode"), said.get("errmsg", ""), steps=STEPS, later=LATER_CODES)
