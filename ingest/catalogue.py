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
from groundswell.records import Kind

__all__ = ["SHIPPED", "Source", "load_catalogue"]

SHIPPED: Final = Path(__file__).parent / "sources.toml"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feed."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]  # stored with every document; never reuse it for another feed
    owner: Annotated[str, Meta(min_length=1, max_length=200)]  # who stands behind it; independence is counted in owners
    url: str
    type: str = "feed"  # how it is read: a name in ingest/types
    how: dict[str, Any] = {}  # what that type has to be told, a table [source.how]
    kind: Kind = "news"
    language: str | None = None  # what the feed's own claim is replaced by, where it is wrong or missing
    tier: Annotated[int, Meta(ge=1, le=3)] = 2  # 1 official or primary, 2 established press, 3 anything else
    note: str = ""
    checked: str = "never"  # day on which a person last saw it work
    every_s: Annotated[int, Meta(ge=10, le=86_400)] | None = None  # poll as often as this: only with the publisher's word for it
    allow_private: bool = False  # its address may be inside: loopback, private or link-local networks
    enabled: bool = True
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
        found = _read(path)
        twice = [name for name, count in Counter(source.name for source in found).items() if count > 1]
        if twice:
            _fail(path, f"two sources are called {twice[0]!r}; a name stands for one feed, rename one")
        sources |= {source.name: source for source in found}
    return [source for source in sources.values() if source.enabled or disabled]


def _read(path: Path) -> list[Source]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        _fail(path, f"{reason_of(error)}; check the path and that it is TOML", error)
    entries = table.pop("source", [])
    if table or not isinstance(entries, list):
        _fail(path, f"holds [[source]] tables and nothing else, got {next(iter(table), 'source')!r}; remove or rename it")
    return [_source(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _source(path: Path, number: int, entry: Any) -> Source:
    shown = entry.get("name", "without a name") if isinstance(entry, dict) else "no table"
    try:
        source = msgspec.convert(entry, Source)
    except msgspec.ValidationError as error:
        _fail(path, f"source {number} ({shown}): {reason_of(error)}; the fields are {', '.join(Source.__struct_fields__)}", error)
    if source.name == CANARY_SOURCE:
        _fail(path, f"source {number}: {CANARY_SOURCE!r} is the crawler's own name for what proves the way; give it another one")
    try:
        parts = urlsplit(source.url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        _fail(path, f"source {number} ({shown}): url must be http:// or https:// with a host and no password; correct it")
    return source


def _fail(path: Path, problem: str, cause: BaseException | None = None) -> NoReturn:
    message = f"source catalogue {path}: {problem}"
    raise SettingsError(message) from cause
