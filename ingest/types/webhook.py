"""Push feeds: what somebody posts to us, signed. Who listens is `ingest/receiver.py`; this file says what is believed."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from ingest.types.base import ENTRIES_MAX, Parsed, Request, SourceType, unreadable
from ingest.types.charset import decoded
from ingest.types.feed import Feed
from ingest.types.fields import FieldMap, compiled, json_of, search

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["SIGNATURE_HEADER", "TIMESTAMP_HEADER", "WINDOW_S", "Webhook", "signature_of"]

SIGNATURE_HEADER: Final = "X-Groundswell-Signature"
TIMESTAMP_HEADER: Final = "X-Groundswell-Timestamp"
WINDOW_S: Final = 300  # how far a timestamp may be from our clock, either way
SECRET_CHARACTERS_MIN: Final = 16


class Webhook(SourceType, frozen=True, kw_only=True):
    """A publisher that posts to us."""

    about: ClassVar[str] = "a publisher that posts to us, each request signed"
    address: ClassVar[str] = "webhook:NAME, with a name of a-z, 0-9, - and _; it is posted to /push/NAME"
    schemes: ClassVar[tuple[str, ...]] = ("webhook",)

    secret_variable: str  # environment variable that holds the secret which both sides know, 16 characters at least
    format: Literal["json", "feed"] = "json"  # what is posted: JSON by fields, or a feed
    items: str = "@"  # expression that finds the list of items; a single object is a list of one
    fields: FieldMap = FieldMap(  # where each part of a record stands; without it under its own name, published as published_at
        title="title", text="text", url="url", id="id", author="author", language="language", published="published_at", tickers="tickers"
    )

    def __post_init__(self) -> None:
        compiled(self.items, field="items")

    def _fits(self, url: str) -> bool:
        return re.fullmatch(r"webhook:[a-z0-9][a-z0-9_-]{0,63}", url) is not None

    def secret(self, environ: Mapping[str, str]) -> bytes:
        """What both sides know.

        Raises:
            ValueError: it is not set, or too short; the text names the variable.
        """
        secret = environ.get(self.secret_variable, "")
        if len(secret) < SECRET_CHARACTERS_MIN:
            message = (
                f"environment variable {self.secret_variable} must hold at least {SECRET_CHARACTERS_MIN} characters; set it and start again"
            )
            raise ValueError(message)
        return secret.encode()

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        if self.format == "feed":
            return Feed().parse(body, headers, asked=asked, source=source, fetched_ms=fetched_ms)
        items = search(self.items, json_of(decoded(body, headers.get("content-type", "")).text))
        items = [items] if isinstance(items, dict) else items
        if not isinstance(items, list) or len(items) > ENTRIES_MAX:
            return unreadable(f"{self.items!r} finds no object and no list of at most {ENTRIES_MAX}")
        made = (self.fields.record(item, source=source, base="", fetched_ms=fetched_ms) for item in items)
        records = [record for record in made if record is not None]
        if items and not records:
            return unreadable("no item has a title or a text")
        return Parsed(records=records[::-1], entries=len(items), readable=True)  # posted in order: the newest is the last


def signature_of(secret: bytes, timestamp: str, body: bytes) -> str:
    """What stands in the header: HMAC-SHA256 over timestamp, a dot, and the body.

    >>> signature_of(b"k" * 16, "1772440200", b"{}")[:19]
    'v1=f686e777e2848964'
    """
    return "v1=" + hmac.new(secret, timestamp.encode("ascii", "replace") + b"." + body, hashlib.sha256).hexdigest()


def refusal(headers: Mapping[str, str], body: bytes, *, secret: bytes, now_ms: int) -> str | None:
    """Why a request is not believed; None where it is. Says nothing that helps to forge one."""
    timestamp, signature = headers.get(TIMESTAMP_HEADER.lower(), ""), headers.get(SIGNATURE_HEADER.lower(), "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not signature:
        return f"{TIMESTAMP_HEADER} (seconds since 1970) and {SIGNATURE_HEADER} are needed"
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), signature_of(secret, timestamp, body).encode()):
        return "the signature does not fit the secret, the timestamp and the body"
    if abs(now_ms - int(timestamp) * 1_000) > WINDOW_S * 1_000:
        return f"the timestamp is more than {WINDOW_S} seconds from this clock"
    return None
