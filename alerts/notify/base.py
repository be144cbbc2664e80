"""What a notifier is: it hands one message to one target and says what became of it.

A target is a configured destination with a stored name (`console`, `mail:desk`, `slack:risk`); the outbox and
Delivery.target carry that name. Add a channel: one file here that declares its `limits`, explains its set-up in a comment
at the top, and joins the table in tests/contract/test_notifier.py.
"""

import re
from collections.abc import Iterable
from typing import ClassVar, Protocol

import msgspec

from alerts.notify.message import Message, clean
from groundswell.records import Delivery

__all__ = ["Limits", "Notifier", "failed", "scrub"]

REASON_CHARS = 300


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel can take. Declared by every notifier class; the sender paces itself by it."""

    subject_chars: int | None  # None: no subject of its own
    text_chars: int  # of the whole message
    messages_per_s: float  # sustained, per target
    burst: int = 5  # how many at once after a rest
    threads: bool  # updates appear under the incident's first message


class Notifier(Protocol):
    """One target.

    The sender calls `send` once per attempt: it stores the attempt first, the returned Delivery after. Attempts for one
    target never overlap, and those of one incident come in order. A crash between the two leads to another attempt of a
    message that may have arrived: that one comes with `resend=True`.
    """

    limits: ClassVar[Limits]

    @property
    def name(self) -> str:
        """The target's stored name; never changes while the object lives."""
        ...

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """Try once to deliver; retries are the caller's.

        Must not change `message`, must not outlive its own time limit, and never raises for what a peer or a network does:
        that is a Delivery with `ok=False` and a reason without any secret in it. Only cancellation passes through.

        Args:
            message: what to say, from alerts.notify.message.render.
            resend: True if an earlier attempt may have arrived: the reader sees "[resent]".

        Returns:
            Delivery: `permanent=True` if trying again cannot help until somebody changes a setting, `unknown=True` if it may have
            arrived although nobody said so, `retry_after_s` if the peer named a delay in seconds, `provider_id` as the peer or the
            message itself identifies it. `ok=True` with a reason means delivered, but not everywhere.
        """
        ...


def failed(
    target: str,
    reason: str,
    *,
    permanent: bool = False,
    unknown: bool = False,
    retry_after_s: float | None = None,
    secrets: Iterable[str | None] = (),
) -> Delivery:
    r"""A Delivery that did not succeed, with its reason as one short line that holds none of the secrets.

    >>> failed("slack:risk", "no route\nto /T0/B0/key", secrets=["/T0/B0/key"]).reason
    'no route to ***'
    """
    said = scrub(reason, secrets=secrets)
    return Delivery(target=target, ok=False, reason=said, permanent=permanent, unknown=unknown, retry_after_s=retry_after_s)


def scrub(reason: str, *, secrets: Iterable[str | None]) -> str:
    """A peer's words made fit for a log: secrets masked (longest first, any case), one line, at most 300 characters."""
    for secret in sorted({s for s in secrets if s}, key=len, reverse=True):
        reason = re.sub(re.escape(secret), "***", reason, flags=re.IGNORECASE)
    return clean(reason, limit=REASON_CHARS)
