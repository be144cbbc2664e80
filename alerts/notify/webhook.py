"""Posts alerts as signed JSON to any address of your own: a ticket system, a chat nobody here has heard of.

Set-up: give the reader `webhook_url_env` and `webhook_secret_env` in the routes file: names of the variables that hold the address and
a secret of at least 16 characters, the same on both ends.

What arrives, and how to check it (docs/delivery.md shows it in ten lines):
  - the body: {"schema": 1, "id", "thread", "update", "resent", "language", "subject", "text", "url", "links", "alert": {...}}
  - `Idempotency-Key`: the message's id, the same at every attempt. Keep those that you have seen, and answer 200 to a repeat.
  - `Groundswell-Signature`: `t=<seconds>,v1=<hex>`, where hex is the HMAC-SHA256 of "<seconds>." and the body, keyed with the secret.
    Refuse what is older than five minutes; compare in constant time; check before parsing. `verify` below is that check.
Answer any 2xx. A 4xx (but 408, 409, 425, 429) says that it will never be taken; `Retry-After` is kept.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final

from alerts.notify.base import Limits
from alerts.notify.message import Message, as_resent
from alerts.notify.posts import Answer, Hook, Judged, by_status, encoded, post
from groundswell.errors import SettingsError
from groundswell.records import Delivery

__all__ = ["SCHEMA", "SIGNATURE", "WebhookNotifier", "body_of", "sign", "verify"]

SCHEMA: Final = 1
"""Rises when a field of the body changes its meaning or goes; new fields may come at any time."""

SIGNATURE: Final = "Groundswell-Signature"
SECRET_CHARS_MIN: Final = 16
TOLERANCE_S: Final = 300


class WebhookNotifier:
    """One address."""

    limits: ClassVar[Limits] = Limits(subject_chars=None, text_chars=1_000_000, messages_per_s=5.0, threads=True)

    def __init__(self, name: str, hook: Hook, *, now_s: Callable[[], float] = time.time) -> None:
        """Make the notifier; nothing is connected yet.

        Raises:
            SettingsError: there is no secret, or one that can be guessed.
        """
        if len(hook.secret or "") < SECRET_CHARS_MIN:
            message = (
                f"webhook target {name}: secret: must have at least {SECRET_CHARS_MIN} characters, got {len(hook.secret or '')}; set it"
            )
            raise SettingsError(message)
        self.name = name
        self._settings = hook
        self._secret = (hook.secret or "").encode()
        self._now_s = now_s

    def __repr__(self) -> str:
        return f"WebhookNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One POST; see Notifier.send. Its id is the provider's, because the receiver knows it by that."""
        said = as_resent(message) if resend else message
        body = encoded(body_of(said))
        headers = {
            SIGNATURE: sign(self._secret, body, at_s=int(self._now_s())),
            "Idempotency-Key": said.message_id,
        }

        def judge(answer: Answer) -> Judged:
            judged = by_status(answer)
            return Judged(ok=True, provider_id=said.message_id) if judged.ok else judged

        return await post(self.name, self._settings, body=body, judge=judge, headers=headers)


def body_of(message: Message) -> dict[str, Any]:
    """The JSON body of a message. Titles, quotes and sources in it were written by strangers: escape them wherever you show them."""
    return {
        "schema": SCHEMA,
        "id": message.message_id,
        "thread": message.thread_id,
        "update": message.update,
        "resent": message.resent,
        "language": message.language,
        "severity": message.severity,
        "subject": message.subject,
        "text": message.text,
        "url": message.url,
        "links": [{"label": label, "url": url} for label, url in message.links],
        "alert": message.data or None,
    }


def sign(secret: bytes, body: bytes, *, at_s: int) -> str:
    """The signature header of a body at a moment.

    >>> sign(b"k" * 16, b"{}", at_s=1)[:11]
    't=1,v1=f176'
    """
    return f"t={at_s},v1={hmac.new(secret, f'{at_s}.'.encode() + body, hashlib.sha256).hexdigest()}"


def verify(secret: bytes, body: bytes, *, header: str, now_s: float) -> bool:
    """Whether a body came from whoever knows the secret, in the last five minutes: what a receiver does."""
    at, _, found = header.partition(",")
    if not re.fullmatch(r"t=[0-9]{1,12}", at) or abs(now_s - int(at[2:])) > TOLERANCE_S:
        return False
    return hmac.compare_digest(sign(secret, body, at_s=int(at[2:])).encode(), f"{at},{found}".encode("utf-8", "replace"))
