"""Say where in a TOML file a mistake stands: line, key, and the nearest key that there is."""

import difflib
import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from groundswell.errors import SettingsError, reason_of

T = TypeVar("T", bound=msgspec.Struct)
Path = tuple[str | int, ...]

_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY: Final = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*=""")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]")


def read(text: str, kind: type[T], *, place: str, example: str) -> T:
    """A struct from TOML.

    Args:
        text: the file.
        kind: a struct that forbids unknown fields, of such structs.
        place: what the file is called.
        example: a file that is right, for the next step.

    Raises:
        SettingsError: no TOML, an unknown key, or a value of the wrong type or range; with the line.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = f"{place}: is not TOML: {reason_of(error)}; mend the line, {example} shows how it looks"
        raise SettingsError(reason) from error
    _known_keys(table, kind, (), text=text, place=place)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        said, _, at = reason_of(error).partition(" - at ")
        path = _path_of(at.strip("`"))
        shown = ".".join(map(str, path)) or "the file"
        found = _value_at(table, path)
        got = "" if found is None else f": {found!r}"
        reason = f"{place}:{line_of(text, path)}: {shown}: {said}{got}; correct it, {example} shows how it looks"
        raise SettingsError(reason) from error


def wrong(text: str, path: Path, *, place: str, rule: str) -> SettingsError:
    """The error of a rule that a type cannot say, with its line."""
    return SettingsError(f"{place}:{line_of(text, path)}: {'.'.join(map(str, path))}: {rule}")


def nearest(name: str, choices: Sequence[str]) -> str:
    """`, did you mean ...?` where something is near."""
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""


def line_of(text: str, path: Path) -> int:
    r"""The line (from 1) on which a key is given, else its table's, else the first.

    >>> line_of("[[reader]]\nname = 'a'\n[[reader]]\nname = 'b'\n", ("reader", 1, "name"))
    4
    """
    best, length = 1, 0
    counts: dict[str, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = _table_of(header[2], header[1] == "[[", counts)
            here = table
        elif key:
            here = (*table, next(filter(None, key.groups())))
        else:
            continue
        if len(here) > length and path[: len(here)] == here:
            best, length = number, len(here)
    return best


def _table_of(name: str, is_item: bool, counts: dict[str, int]) -> Path:
    """The path of a table's header; `counts` says how many of each list there have been."""
    path: list[str | int] = []
    parts = [part.strip().strip("\"'") for part in name.split(".")]
    for place, part in enumerate(parts):
        path.append(part)
        key = ".".join(map(str, path))
        if is_item and place == len(parts) - 1:
            counts[key] = counts.get(key, -1) + 1
        if key in counts:
            path.append(counts[key])
    return tuple(path)


def _known_keys(value: Any, kind: Any, path: Path, *, text: str, place: str) -> None:
    """Raise at the first key that no struct on the way has."""
    inner = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        hints = get_type_hints(kind)
        for key, given in value.items():
            if key not in hints:
                where = ".".join(map(str, path)) or "the file"
                raise wrong(
                    text, (*path, key), place=place, rule=f"there is no such key{nearest(key, list(hints))}; {where} has {', '.join(hints)}"
                )
            _known_keys(given, hints[key], (*path, key), text=text, place=place)
    elif get_origin(kind) in (tuple, list) and isinstance(value, list):
        for number, given in enumerate(value):
            _known_keys(given, inner[0], (*path, number), text=text, place=place)
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, given in value.items():
            _known_keys(given, inner[1], (*path, key), text=text, place=place)
    elif inner:  # an optional struct: the one among them that is one
        structs = [one for one in inner if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        if len(structs) == 1:
            _known_keys(value, structs[0], path, text=text, place=place)


def _path_of(said: str) -> Path:
    """`$.reader[0].tz` as a path."""
    return tuple(key or (int(number) if number != "..." else 0) for key, number in _STEP.findall(said.removeprefix("$")))


def _value_at(table: Any, path: Path) -> Any:
    for step in path:
        try:
            table = table[step]
        except (KeyError, IndexError, TypeError):
            return None
    return None if isinstance(table, dict) else table
