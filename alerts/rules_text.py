"""Rules as a commented file again, where nobody kept the file: the shipped text with its reasons, and the values that are in force."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from alerts.rules import Rules, rules_of, shipped_text

HEADER: Final = re.compile(r"^\[([^\]]+)\]\s*$")
KEY: Final = re.compile(r"^([A-Za-z0-9_-]+) = ")


def text_of(rules: Rules) -> str:
    """A rules file that reads as these rules, with the comments of the shipped one.

    >>> from alerts.rules import load_rules
    >>> text_of(load_rules()) == shipped_text()
    True
    """
    values: dict[str, Any] = msgspec.to_builtins(rules, order="deterministic")
    for name in Rules.__struct_fields__:  # sections that say what a missing section says are left out when rules are stored
        if name != "volume":
            values[name] = msgspec.to_builtins(_with_defaults(getattr(rules, name)), order="deterministic")
    text = "\n".join(_lines(shipped_text(), values)) + "\n"
    if rules_of(text, place="rules") != rules:
        text = "".join(_plain(values))
    return text


def _with_defaults(section: Any) -> dict[str, Any]:
    return {name: getattr(section, name) for name in section.__struct_fields__}


def _lines(text: str, values: dict[str, Any]) -> Iterator[str]:
    """The shipped lines with other values; a profile that there is not is left out, one that is not shipped comes last."""
    shipped = tomllib.loads(text)
    profiles = dict(values.get("volume", {}))
    section: tuple[str, ...] = ()
    for line in text.splitlines():
        header, key = HEADER.match(line), KEY.match(line)
        if header:
            section = tuple(header[1].split("."))
        here, given = _at(shipped, section), _at(values, section)
        if section[:1] == ("volume",) and given is None:
            if header:
                yield f"# The shipped profile {section[-1]} is not among these rules."
            continue
        if key and here is not None and given is not None and not _is_same(here[key[1]], given.get(key[1])):
            line = f"{key[1]} = {_toml(given[key[1]])}"
        yield line
    for name in sorted(profiles.keys() - shipped["volume"].keys()):
        yield f"\n[volume.{_toml_key(name)}]"
        yield from (f"{key} = {_toml(value)}" for key, value in profiles[name].items())


def _is_same(shipped: Any, given: Any) -> bool:
    """Whether a line can stay as it is; a set is stored in an order of its own."""
    is_set = isinstance(shipped, list) and all(isinstance(each, str) for each in shipped)
    return bool(set(shipped) == set(given) if is_set else shipped == given)


def _at(table: dict[str, Any], section: tuple[str, ...]) -> dict[str, Any] | None:
    for name in section:
        found = table.get(name)
        if found is None:
            return None
        table = found
    return table


def _plain(values: dict[str, Any]) -> Iterator[str]:
    """Every section without a comment: of rules that the shipped text has no room for."""
    for name, section in values.items():
        tables = {f"volume.{_toml_key(key)}": each for key, each in section.items()} if name == "volume" else {name: section}
        for header, each in tables.items():
            yield f"[{header}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in each.items()) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML writes it.

    >>> _toml(["a", "b"]), _toml({"hour": 10800}), _toml(1e-05), _toml(True)
    ('["a", "b"]', '{ hour = 10800 }', '1e-05', 'true')
    """
    match value:
        case dict():
            return "{ " + ", ".join(f"{_toml_key(key)} = {_toml(each)}" for key, each in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case float():
            return repr(value)
        case _:
            return msgspec.json.encode(value).decode()


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else msgspec.json.encode(name).decode()
