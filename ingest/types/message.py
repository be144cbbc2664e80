"""One mail as a record: its subject, and the words of its plain or HTML part."""

import email
import email.policy
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Final

from groundswell.records import RawDocument
from ingest.types.base import TEXT_CHARACTERS_MAX
from ingest.types.charset import decoded
from ingest.types.document import document_of
from ingest.types.times import moment_of
from ingest.types.words import text_of_html

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["message_of", "sender_of"]

PARTS_MAX: Final = 100


def message_of(body: bytes, *, source: "Source", fetched_ms: int) -> tuple[RawDocument | None, str | None]:
    """The record of a mail and what is wrong with it; total.

    A part of text/plain wins over one of text/html. Attachments are not looked into. Who sent it is not kept.
    """
    try:
        message = _parsed(body)
        html, plain = "", ""
        for count, part in enumerate(message.walk()):
            if count >= PARTS_MAX:
                break
            kind = part.get_content_type()
            if kind not in ("text/plain", "text/html") or part.get_content_disposition() == "attachment":
                continue
            payload = part.get_payload(decode=True)
            words = decoded(payload, _header(part, "Content-Type")).text if isinstance(payload, bytes) else ""
            plain, html = (plain or words, html) if kind == "text/plain" else (plain, html or words)
        text = plain if plain.strip() else text_of_html(html[: 4 * TEXT_CHARACTERS_MAX])
        date = _header(message, "Date")
        record = document_of(
            source,
            fetched_ms=fetched_ms,
            title=_header(message, "Subject"),
            text=text,
            identifier=_header(message, "Message-ID"),
            language=_header(message, "Content-Language") or None,
            published=moment_of(date) if date else None,
        )
    except Exception as error:  # the mail parser raises whatever its input makes it stumble over
        return None, f"unreadable: {type(error).__name__}: {error}"[:200]
    return record, None if record is not None else "a mail without a word"


def sender_of(body: bytes) -> str:
    """The address in From, in lower case; empty where there is none that can be read."""
    try:
        found: Any = _parsed(body).get("From")
        return str(found.addresses[0].addr_spec).lower() if found is not None and found.addresses else ""
    except Exception:  # as above; who cannot be read is nobody
        return ""


def _parsed(body: bytes) -> EmailMessage:
    return email.message_from_bytes(body, policy=email.policy.default)


def _header(part: Any, name: str) -> str:
    try:
        value = part.get(name)
        return "" if value is None else str(value)
    except Exception:  # a header that the parser cannot read is none
        return ""
