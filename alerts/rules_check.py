"""What is wrong with a rules file, in the words of somebody who is editing it: the line, the key, and what was probably meant."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

_HEADER: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_\-\"']+)\s*=")


class Misfit(NamedTuple):
    """One thing that the rules have no place for."""

    section: tuple[str, ...]  # ("surge",), ("volume", "nab"); () is the top of the file
    key: str  # "" where it is about the section
    said: str  # what is wrong, and what to do


def misfits(raw: Mapping[str, Any], kind: type[msgspec.Struct]) -> Iterator[Misfit]:
    """Everything in a parsed file that a tree of structs has no place for, in the file's order; what is missing comes last.

    Args:
        raw: as `tomllib` gives it.
        kind: the tree's root.
    """
    sections = {name: set(get_type_hints(each)) for name, each in get_type_hints(kind).items() if _is_struct(each)}
    yield from _of_struct(raw, kind, (), sections)


def line_of(text: str, misfit: Misfit) -> int | None:
    """The line of a misfit: of its key, else of its section's head; None where neither stands in the file."""
    section: tuple[str, ...] = ()
    head = None
    for number, line in enumerate(text.splitlines(), 1):
        if found := _HEADER.match(line):
            section = tuple(part.strip().strip("\"'") for part in found[1].split("."))
            head = number if section == misfit.section else head
            if not misfit.section and section == (misfit.key,):
                return number
        elif section == misfit.section and (found := _KEY.match(line)) and found[1].strip("\"'") == misfit.key:
            return number
    return head


def _of_struct(
    raw: Mapping[str, Any], kind: type[msgspec.Struct], section: tuple[str, ...], sections: Mapping[str, set[str]]
) -> Iterator[Misfit]:
    hints = get_type_hints(kind, include_extras=True)
    tag = kind.__struct_config__.tag_field
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        if key == tag:
            continue
        if key not in fields:
            yield Misfit(section, key, _unknown(key, list(fields), section, sections))
        else:
            yield from _of_value(value, hints[fields[key].name], section, key, sections)
    for key, field in fields.items():
        if field.required and key not in raw:
            yield Misfit(section, "" if section else key, f"{key} is missing; copy it, with its reason, from the shipped alerts/rules.toml")


def _of_value(value: Any, kind: Any, section: tuple[str, ...], key: str, sections: Mapping[str, set[str]]) -> Iterator[Misfit]:
    if _is_struct(kind) and isinstance(value, Mapping):
        yield from _of_struct(value, kind, (*section, key), sections)
    elif get_origin(kind) is dict and isinstance(value, Mapping) and (choices := _structs(get_args(kind)[1])):
        for name, each in value.items():
            chosen = _by_tag(each, choices)
            if chosen is None:
                tags = ", ".join(str(choice.__struct_config__.tag) for choice in choices)
                yield Misfit((*section, key, name), "", f"its {choices[0].__struct_config__.tag_field} is none of: {tags}")
            else:
                yield from _of_struct(each, chosen, (*section, key, name), sections)
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            yield Misfit(section, key, str(error))


def _unknown(key: str, known: list[str], section: tuple[str, ...], sections: Mapping[str, set[str]]) -> str:
    elsewhere = [name for name, keys in sections.items() if key in keys and (name,) != section]
    if elsewhere:
        return f"there is no such key here; it belongs into [{elsewhere[0]}]"
    near = get_close_matches(key, known, n=1, cutoff=0.4)
    return f"there is no such key; the nearest is {near[0]}" if near else f"there is no such key; there are: {', '.join(known)}"


def _by_tag(value: Any, choices: list[type[msgspec.Struct]]) -> type[msgspec.Struct] | None:
    if not isinstance(value, Mapping):
        return None
    return next((one for one in choices if value.get(str(one.__struct_config__.tag_field)) == one.__struct_config__.tag), None)


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return [each for each in kinds if _is_struct(each)]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
