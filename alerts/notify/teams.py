"""Sends alerts to a Microsoft Teams channel or chat as Adaptive Cards, through a Workflows webhook.

Set-up, in this order:
  1. In Teams: the channel's "...", "Workflows", template "Post to a channel when a webhook request is received". Choose the channel.
  2. Copy the address that it shows. It is a password: put it into the environment and its variable's name into the routes file
     (`teams_url_env`). The former "Incoming Webhook" connectors take another format and are being switched off.
  3. Give the workflow a second owner: it stops when its only owner leaves.

From Microsoft's documentation, not from a real tenant (none was at hand): the envelope of one attachment, 202 for "taken", 28 KB at
most, four requests a second, 429 with Retry-After. A workflow answers before the card is posted: "delivered" means taken by the workflow.
It can neither thread nor edit: an update is a new card. Strangers' words stand in text runs, which Teams does not format; a mention
needs an entity that we never send.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from alerts.notify.base import Limits
from alerts.notify.message import Message, as_resent
from alerts.notify.posts import Answer, Hook, Judged, by_status, encoded, fitted, post
from groundswell.records import Delivery

__all__ = ["BYTES_MAX", "TeamsNotifier", "card"]

BYTES_MAX: Final = 27_000  # 28 KB, less what the workflow adds
STYLES: Final = {"low": "default", "medium": "warning", "high": "attention"}


class TeamsNotifier:
    """One workflow."""

    limits: ClassVar[Limits] = Limits(subject_chars=None, text_chars=BYTES_MAX, messages_per_s=1.0, threads=False)

    def __init__(self, name: str, hook: Hook) -> None:
        self.name = name
        self._settings = hook

    def __repr__(self) -> str:
        return f"TeamsNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One POST; see Notifier.send."""
        body = encoded(envelope(as_resent(message) if resend else message))
        return await post(self.name, self._settings, body=body, judge=_judge)


def _judge(answer: Answer) -> Judged:
    judged = by_status(answer)
    if judged.ok and "<html" in answer.body[:200].lower():  # a proxy's or a login's page is no workflow
        return Judged(ok=False, reason=judged.reason)
    # Old connectors said so within a 200.
    if judged.ok and "429" in answer.body and "throttl" in answer.body.lower():
        return Judged(ok=False, reason=judged.reason)
    return judged


def envelope(message: Message) -> dict[str, Any]:
    """The body of the POST, within Teams' size: what does not fit is left out from the end, and the button stays."""
    return fitted(message, _body, bytes_max=BYTES_MAX)


def _body(message: Message, pieces: Sequence[str]) -> dict[str, Any]:
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card(message, pieces)}
    return {"type": "message", "summary": message.subject, "attachments": [attachment]}


def card(message: Message, pieces: Sequence[str]) -> dict[str, Any]:
    """The card: the subject, the pieces, and a button for each link of our own."""
    links = [*([(message.open_label, message.url)] if message.url else []), *message.links]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {"type": "Container", "style": STYLES.get(message.severity, "default"), "items": [_runs(message.subject, weight="Bolder")]},
            *(_runs(piece) for piece in pieces),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": label or "Open", "url": url} for label, url in links],
    }


def _runs(text: str, *, weight: str = "Default") -> dict[str, Any]:
    """A block of text runs: they are shown as they stand."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, "weight": weight}]}
