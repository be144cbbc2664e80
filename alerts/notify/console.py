"""Writes alerts to a terminal or a file: the target of a laptop, a demo and a first evening.

Set-up: none; the live run always has it.
"""

from typing import ClassVar, TextIO

from alerts.notify.base import Limits, failed
from alerts.notify.message import Message, as_resent
from groundswell.errors import reason_of
from groundswell.records import Delivery

__all__ = ["ConsoleNotifier"]


class ConsoleNotifier:
    """Writes the subject and the text to a stream that the caller opened and closes."""

    limits: ClassVar[Limits] = Limits(subject_chars=None, text_chars=100_000, messages_per_s=100.0, threads=False)

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def __repr__(self) -> str:
        return f"ConsoleNotifier({self.name!r})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """Write and flush; see Notifier.send. A closed stream is permanent, a full disk is not."""
        said = as_resent(message) if resend else message
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        lines = f"{said.subject}\n\n{said.text}\n"
        try:
            # A terminal without Chinese letters shows escapes instead of failing.
            self._stream.write(lines.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            return failed(self.name, reason_of(error), permanent=isinstance(error, ValueError | BrokenPipeError))
        return Delivery(target=self.name, ok=True, provider_id=message.message_id)
