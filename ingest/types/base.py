"""What a source type is: declared facts, the fields that its catalogue entry may have, and one pure `parse`.

A type is a frozen struct whose fields are what `[source.how]` may say. `parse` gets bytes and gives records and further requests;
it has no network, no clock and no memory, and whatever the bytes are, it does not raise. Who asks, and what is asked again, is
decided in `ingest/poll.py`.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self
from urllib.parse import urljoin, urlsplit

import msgspec

from groundswell.errors import UsageError, reason_of
from groundswell.masking import mask_url
from groundswell.records import RawDocument
from ingest.types.words import without_surrogates

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = [
    "ENTRIES_MAX",
    "HttpType",
    "KeyedType",
    "Parsed",
    "Request",
    "SourceType",
    "UnreadableError",
    "cut_short",
    "link_of",
    "unreadable",
]

_VARIABLE: Final = re.compile(r"(?!GROUNDSWELL_)[A-Z][A-Z0-9_]{0,99}")
ENTRIES_MAX: Final = 5_000  # of one answer; the rest is counted and said
TITLE_CHARACTERS_MAX: Final = 2_000
TEXT_CHARACTERS_MAX: Final = 100_000
NAME_CHARACTERS_MAX: Final = 2_000  # of a link or an identifier; a longer one is no name


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One address that a poll asks: the source's own, a further page of it, or a single article."""

    url: str
    role: Literal["start", "page", "article"] = "start"  # an article is asked once, a page whenever something leads to it
    key: str = ""  # what an article is remembered by; changes when the listing says that the article did
    page: int = 1  # which page this is, 1 for the source's own address
    said: RawDocument | None = None  # what the listing said of an article


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer holds."""

    records: list[RawDocument] = []
    follow: list[Request] = []
    entries: int = 0  # in the answer, those without a word included
    title: str = ""
    language: str | None = None  # as the source claims
    ttl_s: int | None = None  # how long the publisher says it may be kept
    update_s: int | None = None
    problem: str | None = None  # what is wrong with it; records may have been recovered all the same
    readable: bool = False  # whether it is what the type expects, however empty


class UnreadableError(Exception):
    """What a parser found out about an answer: it is not what it should be, or would cost too much. Its text is the problem."""


def cut_short(found: int, what: str) -> str | None:
    """The problem of an answer of which only a part was read; None where all was."""
    return f"{found} {what}, only the first {ENTRIES_MAX} were read" if found > ENTRIES_MAX else None


def unreadable(problem: str) -> Parsed:
    """An answer that is not what it should be."""
    return Parsed(problem=without_surrogates(problem)[:300])


class SourceType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way of reading a source. Subclasses add the fields of `[source.how]`, facts as class data, and `_parse`.

    An instance is made once for each poll, from the catalogue entry; it is asked from any thread and keeps nothing.
    """

    about: ClassVar[str] = ""  # one line for docs/sources.md
    address: ClassVar[str] = "http:// or https:// with a host and no password"  # what the entry's url looks like
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")

    @classmethod
    def of(cls, how: Mapping[str, Any]) -> Self:
        """The type as an entry configures it.

        Raises:
            ValidationError: of msgspec: a field that there is not, or a value that it cannot have.
        """
        return msgspec.convert(dict(how), cls)

    def check(self, source: "Source") -> None:
        """Whether the rest of the entry fits the type.

        Raises:
            ValueError: it does not; the text names the rule, the value and the next step.
        """
        for name in self.secret_variables():
            if not _VARIABLE.fullmatch(name):
                # What is written in its place may be the secret itself.
                message = "a secret is named by an environment variable of your own, like VENDOR_KEY; write its name, not what it holds"
                raise ValueError(message)
        if not self._fits(source.url):
            message = f"url must be {self.address}, got {mask_url(source.url)[:80]!r}; correct it"
            raise ValueError(message)

    def reads_on(self) -> bool:
        """Whether further pages may hold something new though this one did not: where the oldest come first."""
        return False

    def secret_variables(self) -> tuple[str, ...]:
        """The environment variables that hold this source's secrets: no line of a log may hold their values."""
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name.endswith("_variable") and getattr(self, name))

    def _fits(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            return parts.scheme in self.schemes and bool(parts.hostname) and parts.username is None and parts.port != 0
        except ValueError:
            return False

    def parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        """The records of an answer, the newest first, and what has to be asked besides. Pure and total.

        Args:
            body: the answer, unpacked.
            headers: of the answer, names in any case.
            asked: what was asked for.
            source: the entry.
            fetched_ms: when it was fetched.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            return self._parse(body, lowered, asked=asked, source=source, fetched_ms=fetched_ms)
        except UnreadableError as error:
            return unreadable(str(error))
        except Exception as error:  # whatever a parser of the outside world stumbles over is a fact about the answer
            return unreadable(f"unreadable: {type(error).__name__}: {reason_of(error)[:200]}")

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        raise NotImplementedError


class HttpType(SourceType, frozen=True, kw_only=True):
    """A type that is asked over HTTP."""

    hosts: tuple[str, ...] = ()  # more hosts that it may lead to; without them only the host of its url

    def leads_to(self, url: str, *, source: "Source") -> bool:
        """Whether an answer of this source may send us to an address: its own host, and those that the entry names."""
        try:
            host = urlsplit(url).hostname or ""
            return urlsplit(url).scheme in ("http", "https") and (
                _site(host) == _site(urlsplit(source.url).hostname or "") or host in {name.lower() for name in self.hosts}
            )
        except ValueError:
            return False

    def credentials(self, environ: Mapping[str, str]) -> "Credentials":  # noqa: ARG002 (a type with a key needs it)
        """What is sent along so that the source answers; nothing for most."""
        return Credentials()


class Credentials(msgspec.Struct, frozen=True):
    """What a source is asked with. Its values are added to a request at the last moment and stored nowhere."""

    headers: dict[str, str] = {}
    parameters: dict[str, str] = {}
    secrets: tuple[str, ...] = ()  # what no reason may hold


class KeyedType(HttpType, frozen=True, kw_only=True):
    """A type whose source may want a key. The catalogue has the name of an environment variable, never the key."""

    key_variable: str = ""  # environment variable that holds the key
    key_header: str = "Authorization"  # header that it is sent in, unless key_parameter is set
    key_prefix: str = "Bearer "  # what stands before it in the header
    key_parameter: str = ""  # parameter of the address that it is sent in

    def credentials(self, environ: Mapping[str, str]) -> Credentials:
        """The key from the environment.

        Raises:
            UsageError: the variable is not set, or cannot be sent.
        """
        if not self.key_variable:
            return Credentials()
        key = environ.get(self.key_variable, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            state = "is not set" if not key else "holds characters that cannot be sent"
            message = f"environment variable {self.key_variable} {state}; put the source's key into it and start again"
            raise UsageError(message)
        if self.key_parameter:
            return Credentials(parameters={self.key_parameter: key}, secrets=(key,))
        return Credentials(headers={self.key_header: f"{self.key_prefix}{key}"}, secrets=(key,))


def _site(host: str) -> str:
    return host.lower().removeprefix("www.").removeprefix("m.").removeprefix("amp.")


def link_of(value: Any, *, base: str) -> str | None:
    """An absolute http(s) address from what a source says, or None.

    >>> link_of("/a/1", base="https://news.example/rss"), link_of("javascript:x()", base="https://news.example/")
    ('https://news.example/a/1', None)
    """
    name = name_of(value)
    try:
        link = name_of(urljoin(base, name)) if name else None
        return link if link and urlsplit(link).scheme in ("http", "https") and urlsplit(link).hostname else None
    except ValueError:
        return None


def name_of(value: Any) -> str | None:
    """An identifier or address as the source gives it, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        cleaned = without_surrogates(str(value)).strip()
    except ValueError:  # Python prints no integer of thousands of digits
        return None
    return cleaned if 0 < len(cleaned) <= NAME_CHARACTERS_MAX else None


def word_of(value: Any) -> str | None:
    """A short word, such as a language."""
    name = name_of(value)
    return name[:35] if name else None
