"""Every source type by the name that the catalogue calls it."""

import difflib
import re
from typing import TYPE_CHECKING, Final, get_type_hints

import msgspec

from groundswell.errors import SettingsError, reason_of
from ingest.types.base import SourceType
from ingest.types.feed import Feed
from ingest.types.filings import Filings
from ingest.types.folder import Folder
from ingest.types.json_api import JsonApi
from ingest.types.listing import Listing
from ingest.types.mailbox import Mailbox
from ingest.types.sitemap import Sitemap
from ingest.types.thread import Thread
from ingest.types.webhook import Webhook

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["TYPES", "type_of"]

TYPES: Final[dict[str, type[SourceType]]] = {
    "feed": Feed,
    "json_api": JsonApi,
    "sitemap": Sitemap,
    "listing": Listing,
    "filings": Filings,
    "thread": Thread,
    "folder": Folder,
    "webhook": Webhook,
    "mailbox": Mailbox,
}


def type_of(source: "Source") -> SourceType:
    """How a source is read: its type, as its entry configures it.

    Raises:
        SettingsError: no such type, a field that the type does not have, a value that the field cannot have, or an address that
            does not fit the type; the text names source, field, value and the nearest right name. The catalogue adds its file.
    """
    kind = TYPES.get(source.type)
    if kind is None:
        message = f"type {source.type!r} is not known{_nearest(source.type, list(TYPES))}; types are {', '.join(TYPES)}"
        raise SettingsError(message)
    try:
        read = kind.of(source.how)
        read.check(source)
    except msgspec.ValidationError as error:
        message = f"[source.how] of type {source.type}: {_explained(reason_of(error), kind)}"
        raise SettingsError(message) from error
    except ValueError as error:
        message = f"type {source.type}: {reason_of(error)}"
        raise SettingsError(message) from error
    return read


def _explained(reason: str, kind: type[msgspec.Struct]) -> str:
    """The reason that msgspec gives, with the nearest field that there is, at the place where the wrong one stands."""
    found = re.match(r"Object contains unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?", reason)
    if found is None:
        return f"{reason}; docs/sources.md lists the fields"
    fields = _fields_at(kind, found[2] or "")
    place = f"{found[2]}." if found[2] else ""
    return f"there is no field {place}{found[1]!s}{_nearest(found[1], fields)}; the fields are {', '.join(fields)}"


def _fields_at(kind: type[msgspec.Struct], path: str) -> list[str]:
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        hint = get_type_hints(kind).get(part)
        structs = [one for one in _parts(hint) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        kind = structs[0] if structs else kind
    return list(kind.__struct_fields__)


def _parts(hint: object) -> list[object]:
    inner = getattr(hint, "__args__", ())
    return [hint, *(part for one in inner for part in _parts(one))]


def _nearest(name: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""
