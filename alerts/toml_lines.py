"""Say where in a TOML file a mistake stands: line, key, and the nearest key that there is."""

import difflib
import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from groundswell.errors import SettingsError, reason_of

T = TypeVar("T", bound=msgspec.Struct)
DOTS_SQUARED_MAX: Final = 4_000_000
"""Full stops of each line, squared and summed: one of two thousand takes half a second, and no list that people write has as many."""

Path = tuple[str | int, ...]

_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY: Final = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*=""")
ANY: Final = "..."
"""How msgspec names a key of a dict in a path."""

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
    _short_keys(text, place)
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # of a number with thousands of digits it is no TOMLDecodeError
        reason = f"{place}: is not TOML: {reason_of(error)}; mend the line, {example} shows how it looks"
        raise SettingsError(reason) from error
    except RecursionError as error:
        reason = f"{place}: is not TOML that anybody wrote: brackets within brackets without end; {example} shows how it looks"
        raise SettingsError(reason) from error
    _known_keys(table, kind, (), _File(text, place, kind))
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        said, _, at = reason_of(error).partition(" - at ")
        path = _named(_path_of(at.strip("`")), table, kind)
        shown = ".".join(map(str, path)) or "the file"
        found = _value_at(table, path)
        got = "" if found is None else f": {found!r}"
        reason = f"{place}:{line_of(text, path)}: {shown}: {said}{got}; correct it, {example} shows how it looks"
        raise SettingsError(reason) from error


def _short_keys(text: str, place: str) -> None:
    """Refuse keys of thousands of parts: the reader's time grows with the square of their number."""
    cost = 0
    for number, line in enumerate(text.splitlines(), start=1):
        cost += 0 if line.lstrip().startswith("#") else line.count(".") ** 2
        if cost > DOTS_SQUARED_MAX:
            reason = f"{place}:{number}: has more full stops than any key or list needs; break the line"
            raise SettingsError(reason)


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


class _File(NamedTuple):
    text: str
    place: str
    kind: type[msgspec.Struct]

    def unknown(self, path: Path, known: Sequence[str]) -> SettingsError:
        """The error of a key that its table does not have: where it may belong, the nearest, and all there are."""
        *table, key = path
        name = ".".join(map(str, table)) or "the file"
        tables = {field: get_type_hints(each) for field, each in get_type_hints(self.kind).items() if _is_struct(each)}
        elsewhere = next((f"; it belongs into [{field}]" for field, hints in tables.items() if key in hints), None)
        said = elsewhere or f"{nearest(str(key), known)}; {name} has {', '.join(known)}"
        return wrong(self.text, path, place=self.place, rule=f"there is no such key{said}")


def _known_keys(value: Any, kind: Any, path: Path, file: _File) -> None:
    """Raise at the first key that no struct on the way has."""
    inner = get_args(kind)
    if _is_struct(kind) and isinstance(value, dict):
        hints, tag = get_type_hints(kind), kind.__struct_config__.tag_field
        for key, given in value.items():
            if key == tag:
                continue
            if key not in hints:
                raise file.unknown((*path, key), list(hints))
            _known_keys(given, hints[key], (*path, key), file)
    elif get_origin(kind) in (tuple, list) and isinstance(value, list):
        for number, given in enumerate(value):
            _known_keys(given, inner[0], (*path, number), file)
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, given in value.items():
            _known_keys(given, inner[1], (*path, key), file)
    elif inner and (meant := _meant(value, [one for one in inner if _is_struct(one)])):
        _known_keys(value, meant, path, file)


def _meant(value: Any, structs: Sequence[type[msgspec.Struct]]) -> type[msgspec.Struct] | None:
    """The struct of a union that a table is: the only one, or the one whose tag it carries."""
    if len(structs) == 1:
        return structs[0]
    if not isinstance(value, dict):
        return None
    configs = ((one, one.__struct_config__) for one in structs)
    return next((one for one, config in configs if value.get(str(config.tag_field)) == config.tag), None)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _path_of(said: str) -> Path:
    """`$.reader[0].tz` as a path; `[...]`, some key of a table whose names are free, stays as it is."""
    return tuple(key or (int(number) if number != ANY else ANY) for key, number in _STEP.findall(said.removeprefix("$")))


def _named(path: Path, value: Any, kind: Any) -> Path:
    """A path with the name of the key where msgspec says only that some key of a table with free names is wrong: the first that is."""
    if ANY not in path:
        return path
    place = path.index(ANY)
    for step in path[:place]:
        kind = get_type_hints(kind, include_extras=True)[str(step)] if _is_struct(kind) else get_args(kind)[0]
        value = value[step]
    key = next((key for key, given in value.items() if not _fits(given, get_args(kind)[1])), ANY)
    return (*path[:place], key, *path[place + 1 :])


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _value_at(table: Any, path: Path) -> Any:
    for step in path:
        try:
            table = table[step]
        except (KeyError, IndexError, TypeError):
            return None
    return None if isinstance(table, dict) else table
