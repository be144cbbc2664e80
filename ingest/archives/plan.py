"""A mapping file: how an archive with names of its own is read, in TOML, so that it need not be told anew each time.

zone = "America/New_York"        # of days, and of times that name none; UTC where it is missing
[columns]                        # archive field = column of the file
title = "headline"
published_at = "date"
[always]                         # archive field = value of every line that has none
kind = "news"
[zones]                          # source = its own zone
"Caixin" = "Asia/Shanghai"
"""

import tomllib
from pathlib import Path

import msgspec

from groundswell.errors import UsageError, reason_of

__all__ = ["Plan", "load_plan"]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a mapping file says. Field names and zones are checked by whoever reads an archive with it."""

    columns: dict[str, str] = {}
    always: dict[str, str] = {}
    zone: str = "UTC"
    zones: dict[str, str] = {}


def load_plan(path: Path) -> Plan:
    """The plan of a mapping file.

    Raises:
        UsageError: it cannot be read, is no TOML, or says something else than a plan does.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Plan)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"mapping file {path}: {reason_of(error)}; it may hold zone, [columns], [always] and [zones]"
        raise UsageError(message) from error
