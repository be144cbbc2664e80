"""Writing to catalogue files: an entry as TOML, at the end of a file; and the day on which a source was last seen to work."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from groundswell.errors import UsageError, reason_of
from ingest.catalogue import Source, entries_of

__all__ = ["append_entry", "entry_text", "set_checked"]

_TABLE: Final = re.compile(r"^\s*\[\[\s*source\s*\]\]")
_ANY_TABLE: Final = re.compile(r"^\s*\[")
_KEY: Final = re.compile(r"^\s*checked\s*=")


def entry_text(fields: Mapping[str, Any]) -> str:
    r"""A [[source]] table.

    >>> print(entry_text({"name": "desk", "tier": 3, "enabled": False}), end="")
    [[source]]
    name = "desk"
    tier = 3
    enabled = false
    """
    return "[[source]]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in fields.items())


def _value(value: Any) -> str:
    if isinstance(value, str):  # JSON's escapes are TOML's; a control character that JSON would let pass is nobody's name
        return json.dumps(re.sub(r"[\x7f\ud800-\udfff]", "", value), ensure_ascii=False)
    return json.dumps(value)


def append_entry(path: Path, fields: Mapping[str, Any]) -> None:
    """Add an entry at the end of a catalogue file, or begin one with it.

    Raises:
        SettingsError: the file is no catalogue.
        UsageError: it has an entry of that name, or cannot be written.
    """
    text = ""
    if path.exists():
        if any(isinstance(entry, dict) and entry.get("name") == fields["name"] for entry in entries_of(path)):
            message = f"{path} has a source called {fields['name']!r}; choose another --name, or change the entry that is there"
            raise UsageError(message)
        text = path.read_text(encoding="utf-8")
    _write(path, f"{text.rstrip()}\n\n{entry_text(fields)}".lstrip("\n"))


def set_checked(path: Path, source: Source, *, day: str) -> None:
    """Write down that a source was seen to work, in a file of one's own.

    An entry that the file has is changed in its one line; else the whole entry is added, because an entry replaces another one whole.

    Args:
        path: the file.
        source: as it is in force.
        day: like 2026-11-28.

    Raises:
        SettingsError: the file is no catalogue.
        UsageError: it cannot be written, or its entry is written in a way that is not understood.
    """
    names = [entry.get("name") for entry in entries_of(path) if isinstance(entry, dict)] if path.exists() else []
    if source.name not in names:
        fields = {name: value for name, value in msgspec.to_builtins(source).items() if not _is_default(name, value)}
        if source.how:
            message = f"{path} has no entry {source.name!r}, and one with a table [source.how] must be copied by hand; copy it, then again"
            raise UsageError(message)
        append_entry(path, fields | {"checked": day})
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if _TABLE.match(line)]
    changed = lines
    if len(starts) == len(names):
        begin = starts[names.index(source.name)] + 1
        end = next((number for number in range(begin, len(lines)) if _ANY_TABLE.match(lines[number])), len(lines))
        kept = [line for line in lines[begin:end] if not _KEY.match(line)]
        changed = [*lines[:begin], f'checked = "{day}"', *kept, *lines[end:]]
    text = "\n".join(changed) + "\n"
    if not _says(text, source.name, day):
        message = f'{path}: the entry {source.name!r} cannot be changed by its lines; write checked = "{day}" into it by hand'
        raise UsageError(message)
    _write(path, text)


def _says(text: str, name: str, day: str) -> bool:
    """Whether a changed file is still a catalogue and says what it should: whatever a line looked like, TOML decides."""
    try:
        entries = tomllib.loads(text)["source"]
    except (tomllib.TOMLDecodeError, KeyError):
        return False
    return [entry.get("checked") for entry in entries if entry.get("name") == name] == [day]


def _is_default(name: str, value: Any) -> bool:
    field = next(field for field in msgspec.structs.fields(Source) if field.name == name)
    return name == "how" or (not field.required and value == field.default)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        message = f"{path}: {reason_of(error)}; check the folder and its permissions"
        raise UsageError(message) from error
