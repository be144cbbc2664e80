"""Sends alerts by SMTP. The only file that knows the protocol.

Set-up, in this order:
  1. Ask the mail team for a relay: host, port, and whether it wants STARTTLS (587) or TLS from the start (465).
  2. Ask for a sender address of its own, such as groundswell@bank.example, and for DKIM on the relay (it signs, we do not).
  3. If the relay wants a login, put its password in the environment (GROUNDSWELL_MAIL_PASSWORD), never in a file.
  4. A relay with an internal certificate: give its CA as `ca_file`. Encryption without verification is not offered.
  5. `groundswell doctor` says whether the relay answers.

One target is one list of recipients who always get the same mail. A reader filters by List-Id; vacation replies stay away because
of Auto-Submitted; updates appear under the incident's first mail by References (to a root that need never have been sent).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import ClassVar, Final, Literal

import aiosmtplib
import msgspec

from alerts.notify.base import Limits, failed, scrub
from alerts.notify.message import RESENT, Message, as_resent, clean, with_first_line
from groundswell.errors import SettingsError, reason_of
from groundswell.records import Delivery

__all__ = ["WIRE", "MailNotifier", "MailSettings", "compose"]

# Folded at 78 characters, a subject of about that length would begin with an empty line, which mail programs show as a blank before it.
WIRE: Final = policy.SMTP.clone(cte_type="7bit", max_line_length=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """A relay, a sender and those who get the mail; checked when it is made.

    Raises:
        SettingsError: an address cannot be one, nobody would get the mail, or a password would travel in the clear.
    """

    host: str
    sender: str  # "Groundswell <groundswell@bank.example>"; its domain is the Message-ID's
    recipients: tuple[str, ...]
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None  # PEM of the relay's own certificate authority; None: the system's
    list_name: str = "alerts"  # left part of List-Id
    timeout_s: float = 30.0  # for the whole attempt, from connecting to the server's last answer

    def __post_init__(self) -> None:
        _address(self.sender, field_name="sender")
        for recipient in self.recipients:
            _address(recipient, field_name="recipients")
        rules = (
            (bool(self.recipients), "recipients: at least one address is needed, got none; name who shall get the mail"),
            (self.timeout_s > 0, f"timeout_s: must be above 0 seconds, got {self.timeout_s}; 30 is usual"),
            ((self.username is None) == (self.password is None), "username, password: give both or none; complete the login"),
            (
                self.password is None or self.security != "none",
                'security: a password needs encryption, got "none"; set "starttls" or "tls"',
            ),
            (self.list_name.replace("-", "").isalnum(), f"list_name: letters, digits and hyphens only, got {self.list_name!r}; rename it"),
        )
        for holds, rule in rules:
            if not holds:
                message = f"mail target: {rule}"
                raise SettingsError(message)

    @property
    def domain(self) -> str:
        """The sender's domain."""
        return _address(self.sender, field_name="sender").domain


class MailNotifier:
    """One list of recipients behind one relay. A connection is made per mail: alerts are rare, and relays close idle ones."""

    limits: ClassVar[Limits] = Limits(subject_chars=200, text_chars=1_000_000, messages_per_s=1.0, threads=True)

    def __init__(self, name: str, settings: MailSettings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Make the notifier; nothing is connected yet.

        Raises:
            SettingsError: `ca_file` cannot be read.
        """
        self.name = name
        self._settings = settings
        self._clock = clock
        self._tls = None if settings.security == "none" else _tls_context(settings.ca_file)

    def __repr__(self) -> str:
        return f"MailNotifier({self.name!r}, {self._settings.host}:{self._settings.port})"

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        """One SMTP transaction; see Notifier.send.

        A 5xx answer is permanent; a 4xx answer, everything that a network does, and a relay without encryption are not. Some
        recipients refused for good: ok, with the reason naming them. Some refused for now: not ok, so that they are tried again;
        the others then see the same Message-ID twice, which mail programs fold, and the mark.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                refused, _ = await self._transact(compose(message, self._settings, now=self._clock(), resend=resend))
        except aiosmtplib.SMTPRecipientsRefused as error:
            return self._partly({r.recipient: (r.code, r.message) for r in error.recipients}, none_accepted=True)
        except aiosmtplib.SMTPResponseException as error:
            return self._failed(f"{error.code} {error.message}", permanent=500 <= error.code < 600)
        except aiosmtplib.SMTPNotSupported as error:
            return self._failed(f"the relay lacks what the settings ask for: {reason_of(error)}", permanent=True)
        except aiosmtplib.SMTPServerDisconnected as error:
            return self._failed(f"the relay hung up, whether the mail arrived is unknown: {reason_of(error)}", unknown=True)
        except TimeoutError:
            return self._failed(f"no answer within {self._settings.timeout_s:g} s, whether the mail arrived is unknown", unknown=True)
        except (aiosmtplib.SMTPException, OSError) as error:
            return self._failed(reason_of(error))
        some = (
            self._partly({who: (reply[0], reply[1]) for who, reply in refused.items()}) if refused else Delivery(target=self.name, ok=True)
        )
        return msgspec.structs.replace(some, provider_id=_provider_id(message, self._settings))

    async def _transact(self, mail: EmailMessage) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._tls,
            local_hostname=settings.domain,  # else the machine's own name is looked up, and told
            timeout=settings.timeout_s,
        )
        try:
            await client.connect()
            sender = _address(settings.sender, field_name="sender").addr_spec
            recipients = [parseaddr(r)[1] for r in settings.recipients]
            if all(address.isascii() for address in (sender, *recipients)):
                outcome = await client.sendmail(sender, recipients, mail.as_bytes(policy=WIRE))
            else:  # needs a relay that says SMTPUTF8
                outcome = await client.send_message(mail, sender=sender, recipients=recipients)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # accepted is accepted, however the goodbye goes
                await client.quit()
            return outcome
        finally:
            client.close()

    def _failed(self, reason: str, *, permanent: bool = False, unknown: bool = False) -> Delivery:
        return failed(self.name, reason, permanent=permanent, unknown=unknown, secrets=(self._settings.password,))

    def _partly(self, refused: dict[str, tuple[int, str]], *, none_accepted: bool = False) -> Delivery:
        """What to say when recipients were refused: those refused for now decide whether to try again."""
        reason = "refused: " + "; ".join(f"{who} ({code} {text})" for who, (code, text) in sorted(refused.items()))
        final = all(500 <= code < 600 for code, _ in refused.values())
        if none_accepted or not final:
            return self._failed(reason, permanent=final)
        return Delivery(target=self.name, ok=True, reason=scrub(reason, secrets=(self._settings.password,)))


def compose(message: Message, settings: MailSettings, *, now: datetime, resend: bool = False) -> EmailMessage:
    """The mail as it travels: multipart/alternative, text first.

    An update has the subject of what it updates, because some programs thread by that too, and its own as the first line of its text.
    Message-ID depends on the alert alone, so an attempt repeated is the same mail; only Date (from `now`, aware) differs.
    """
    said, subject = (as_resent(message) if resend else message), message.subject
    if message.update and message.thread_subject:
        subject = f"Re: {message.thread_subject}"
        said = with_first_line(said, message.subject)
    mail = EmailMessage()
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mark = f"{RESENT} " if said.resent and not subject.startswith(RESENT) else ""
    mail["Subject"] = clean(f"{mark}{subject}", limit=200)  # again: a message need not come from render
    mail["Date"] = format_datetime(now.astimezone(UTC))
    mail["Message-ID"] = _provider_id(said, settings)
    root = f"<{said.thread_id}@{settings.domain}>"
    if said.update:
        mail["In-Reply-To"] = root
    mail["References"] = root
    mail["List-Id"] = f"<{settings.list_name}.{settings.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if said.unsubscribe_url is not None:
        mail["List-Unsubscribe"] = f"<{said.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["Content-Language"] = said.language
    mail.set_content(said.text)
    mail.add_alternative(said.html, subtype="html")
    return mail


def _provider_id(message: Message, settings: MailSettings) -> str:
    return f"<{message.message_id}@{settings.domain}>"


def _address(text: str, *, field_name: str) -> Address:
    name, spec = parseaddr(text)
    try:
        address = Address(display_name=name, addr_spec=spec)
    except (ValueError, IndexError, HeaderParseError):
        address = Address()
    complete = bool(address.username) and ("." in address.domain.strip(".") or address.domain == "localhost")
    if not complete or {"\r", "\n"} & set(text):
        message = f'mail target: {field_name}: must be "name@domain" or "Name <name@domain>", got {text!r}; correct the address'
        raise SettingsError(message)
    return address


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        message = f"mail target: ca_file: must be a readable PEM file, got {ca_file!r} ({reason_of(error)}); correct the path"
        raise SettingsError(message) from error
