"""The source catalogue: what is read, who stands behind it, and what its publisher allows.

`sources.toml` comes with the package; settings `catalogue.extra` names more files of the same form, `[[source]]` tables. A later
entry replaces an earlier one of the same name, so `enabled = false` in a file of one's own switches a source off.
"""

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from groundswell.errors import SettingsError, reason_of
from groundswell.names import CANARY_SOURCE
from groundswell.records import Kind, Role
from ingest.types.table import TYPES, type_of

__all__ = ["SHIPPED", "Source", "address_problem", "entries_of", "load_catalogue"]

SHIPPED: Final = Path(__file__).parent / "sources.toml"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feed, and what is known of it before it was ever asked."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]  # stored with every document; never reuse it for another feed
    owner: Annotated[str, Meta(min_length=1, max_length=200)]  # who stands behind it; independence is counted in owners
    url: str
    type: str = "feed"  # how it is read: a name in ingest/types
    how: dict[str, Any] = {}  # what that type has to be told, a table [source.how]
    kind: Kind = "news"
    language: str | None = None  # what the feed's own claim is replaced by, where it is wrong or missing
    region: str = ""  # where its subject lies: a country in two letters, "EU" or "world"
    # 1 official or primary, 2 established press, 3 other press and blogs, 4 forums, hot lists; None: nobody says, and nothing rests on it
    tier: Annotated[int, Meta(ge=1, le=4)] | None = None
    role: Role = "press"  # what its owner is for the market
    rhythm: Annotated[float, Meta(gt=0, le=100_000)] | None = None  # items a day, about: what to expect before it was heard
    note: str = ""
    documented: str = ""  # where its address stands: the publisher's page of feeds, or the list that names it
    licence: str = ""  # what its publisher allows, in one line
    may_store_text: bool = True  # False: title and offsets are stored, the text goes once it is scored
    may_redistribute: bool = False  # whether its texts may be handed on to others
    checked: str = "never"  # day on which it was last seen to work, by `groundswell sources test` or a person
    every_s: Annotated[int, Meta(ge=10, le=86_400)] | None = None  # poll as often as this: only with the publisher's word for it
    allow_private: bool = False  # its address may be inside: loopback, private or link-local networks
    enabled: bool = True
    why_disabled: str = ""  # why it is not
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] | None = (
        None  # how long its texts are kept; 0: for ever; None: as the setting says
    )


def load_catalogue(extra: Sequence[str | Path] = (), *, shipped: Path = SHIPPED, disabled: bool = False) -> list[Source]:
    """Every enabled source, in the order of the files.

    Args:
        extra: more files, each winning over those before it.
        shipped: the file that comes with the package.
        disabled: also those that are switched off: their texts are still there.

    Raises:
        SettingsError: a file that cannot be read, or an entry that is none; the text names file, entry, field and value.
    """
    sources: dict[str, Source] = {}
    for path in (shipped, *map(Path, extra)):
        found = [_source(path, number, entry) for number, entry in enumerate(entries_of(path), start=1)]
        twice = [name for name, count in Counter(source.name for source in found).items() if count > 1]
        if twice:
            _fail(path, f"two sources are called {twice[0]!r}; a name stands for one feed, rename one")
        sources |= {source.name: source for source in found}
    return [source for source in sources.values() if source.enabled or disabled]


def entries_of(path: Path) -> list[Any]:
    """The [[source]] tables of a file as they stand; nothing in them is checked.

    Raises:
        SettingsError: a file that cannot be read, is no TOML, or holds something else.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        _fail(path, f"{reason_of(error)}; check the path and that it is TOML", error)
    entries = table.pop("source", [])
    if table or not isinstance(entries, list):
        _fail(path, f"holds [[source]] tables and nothing else, got {next(iter(table), 'source')!r}; remove or rename it")
    return entries


def address_problem(url: str) -> str | None:
    """What is wrong with an address that a crawler shall ask; None where nothing is.

    >>> address_problem("https://news.example/rss"), address_problem("ftp://news.example/rss")
    (None, 'url must be http:// or https:// with a host and no password; correct it')
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    return None if usable else "url must be http:// or https:// with a host and no password; correct it"


def _source(path: Path, number: int, entry: Any) -> Source:
    shown = entry.get("name", "without a name") if isinstance(entry, dict) else "no table"
    try:
        source = msgspec.convert(entry, Source)
    except msgspec.ValidationError as error:
        _fail(path, f"source {number} ({shown}): {reason_of(error)}; the fields are {', '.join(Source.__struct_fields__)}", error)
    if source.name == CANARY_SOURCE:
        _fail(path, f"source {number}: {CANARY_SOURCE!r} is the crawler's own name for what proves the way; give it another one")
    if source.type in TYPES and not source.enabled and not source.how:
        return source  # one that waits for somebody to write how it is read
    try:
        type_of(source)
    except SettingsError as error:
        _fail(path, f"source {number} ({shown}): {reason_of(error)}", error)
    return source


def _fail(path: Path, problem: str, cause: BaseException | None = None) -> NoReturn:
    message = f"source catalogue {path}: {problem}"
    raise SettingsError(message) from cause
