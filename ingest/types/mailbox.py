"""A mailbox for newsletters, read over IMAP with TLS. Nothing in it is changed: the folder is opened for reading only."""

import imaplib
import re
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

from msgspec import Meta

from groundswell.errors import reason_of
from groundswell.masking import mask_secrets, spellings
from groundswell.records import RawDocument
from ingest.types.intake import IntakeType, Taken
from ingest.types.message import message_of, sender_of

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Mailbox"]

PORT: Final = 993
TIMEOUT_S: Final = 30.0
MESSAGE_BYTES_MAX: Final = 5 * 1024 * 1024
_BROKEN: Final = (imaplib.IMAP4.error, OSError, ValueError)  # ssl.SSLError is an OSError


class Mailbox(IntakeType, frozen=True, kw_only=True):
    """One folder of a mailbox."""

    about: ClassVar[str] = "a folder of a mailbox, over IMAP with TLS, for newsletters"
    address: ClassVar[str] = "imaps://HOST/FOLDER without a name or password"
    schemes: ClassVar[tuple[str, ...]] = ("imaps",)
    look_every_s: ClassVar[int] = 300

    user: str  # login name
    password_variable: str  # environment variable that holds the password
    senders: tuple[str, ...] = ()  # only mail whose From is one of these; From can be forged, so filter at the server too
    ca_file: str = ""  # PEM file of the authority that signed the server's certificate; empty: those of the system
    messages_max: Annotated[int, Meta(ge=1, le=500)] = 50  # of one look; the rest come at the next

    def _take(
        self,
        *,
        source: "Source",
        mark: str,
        unseen: Callable[[list[str]], set[str]],  # noqa: ARG002 (numbers of messages only rise)
        environ: Mapping[str, str],
        fetched_ms: int,
    ) -> Taken:
        """Read the messages that came since the last look, in their order."""
        password = environ.get(self.password_variable, "")
        if not password:
            return Taken(ok=False, problem=f"environment variable {self.password_variable} is not set; put the mailbox's password into it")
        parts = urlsplit(source.url)
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            with imaplib.IMAP4_SSL(parts.hostname or "", parts.port or PORT, ssl_context=context, timeout=TIMEOUT_S) as server:
                server.login(self.user, password)
                return self._look(server, unquote(parts.path.strip("/")) or "INBOX", mark, source, fetched_ms)
        except _BROKEN as error:
            shown = mask_secrets(reason_of(error), spellings([password]))[:200]
            return Taken(ok=False, problem=f"mailbox {parts.hostname}: {shown}; check host, user, {self.password_variable} and the folder")

    def _look(self, server: Any, folder: str, mark: str, source: "Source", fetched_ms: int) -> Taken:
        quoted = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
        state, said = server.select(quoted, readonly=True)
        if state != "OK":
            return Taken(ok=False, problem=f"folder {folder!r}: {_text(said[0])[:100]}; check its name in url")
        validity = _text((server.response("UIDVALIDITY")[1] or [b""])[0])
        known, _, last = mark.partition(":")
        # Another UIDVALIDITY says that the numbers mean other messages: begin again; what was seen is known by its Message-ID.
        after = int(last) if known == validity and last.isdigit() else 0
        state, found = server.uid("SEARCH", None, f"UID {after + 1}:*")  # type: ignore[arg-type, unused-ignore]
        # "n:*" always matches the last message, even one with a smaller number.
        numbers = sorted(number for number in map(int, _text(found[0] or b"").split()) if number > after)[: self.messages_max]
        records: list[RawDocument] = []
        problems: list[str] = []
        for number in numbers:
            record, problem = self._message(server, number, source, fetched_ms)
            records += [record] if record else []
            problems += [f"message {number}: {problem}"] if problem else []
        shown = f"{len(problems)} of {len(numbers)} messages: {'; '.join(problems)}"[:500] if problems else None
        upto = numbers[-1] if numbers else after
        return Taken(records=records, entries=len(numbers), mark=f"{validity}:{upto}", problem=shown)

    def _message(self, server: Any, number: int, source: "Source", fetched_ms: int) -> tuple[RawDocument | None, str | None]:
        state, told = server.uid("FETCH", str(number), "(RFC822.SIZE)")
        size = re.search(rb"RFC822\.SIZE (\d+)", told[0] or b"" if isinstance(told[0], bytes) else b"")
        if state != "OK" or size is None:  # taken away since the search
            return None, None
        if int(size[1]) > MESSAGE_BYTES_MAX:
            return None, f"{int(size[1])} bytes, more than {MESSAGE_BYTES_MAX}"
        state, parts = server.uid("FETCH", str(number), "(BODY.PEEK[])")
        body = next((part[1] for part in parts if isinstance(part, tuple)), None)
        if state != "OK" or body is None:
            return None, None
        if self.senders and sender_of(body) not in {name.lower() for name in self.senders}:
            return None, None
        return message_of(body, source=source, fetched_ms=fetched_ms)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
