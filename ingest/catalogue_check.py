"""What is wrong with catalogue files, all of it at once and without a network; `load_catalogue` stops at the first thing."""

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from groundswell.errors import SettingsError, reason_of
from ingest.catalogue import Source, address_problem, entries_of
from ingest.types.table import TYPES, type_of

__all__ = ["Problem", "problems_of"]

_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(Source)}
_NEEDED: Final = tuple(field.name for field in msgspec.structs.fields(Source) if field.required)
_OFFICIAL: Final = frozenset({"central_bank", "regulator", "statistics"})


class Problem(NamedTuple):
    """One thing that is wrong."""

    file: str
    entry: str  # "3 (fed_press)", or "-" for the file as a whole
    field: str  # "-" where it is no single field
    rule: str  # what must hold, what stands there, what to do

    def __str__(self) -> str:
        return f"{self.file}: source {self.entry}: {self.field}: {self.rule}"


class _Entry(NamedTuple):
    file: str
    label: str
    source: Source


def problems_of(paths: Sequence[Path]) -> list[Problem]:
    """Everything that is wrong with catalogue files, in their order.

    Args:
        paths: the shipped file first, then one's own, each winning over those before it.
    """
    found: list[Problem] = []
    read: list[_Entry] = []
    for path in paths:
        try:
            tables = entries_of(path)
        except SettingsError as error:
            found.append(Problem(str(path), "-", "-", reason_of(error).removeprefix(f"source catalogue {path}: ")))
            continue
        for number, table in enumerate(tables, start=1):
            label = f"{number} ({table.get('name', 'without a name')})" if isinstance(table, dict) else f"{number} (no table)"
            wrong = [Problem(str(path), label, field, rule) for field, rule in _of_table(table)]
            found += wrong
            if not wrong:
                read.append(_Entry(str(path), label, msgspec.convert(table, Source)))
    found += [Problem(entry.file, entry.label, field, rule) for entry in read for field, rule in _of_source(entry.source)]
    return [*found, *_twice_in_a_file(read), *_same_address(read), *_owners(read)]


# --- one entry ------------------------------------------------------------------------------------------------------------------
def _of_table(table: Any) -> Iterator[tuple[str, str]]:
    """Fields that are unknown, missing, or hold what they may not."""
    if not isinstance(table, dict):
        yield "-", "must be a [[source]] table; write it as one"
        return
    for name in table.keys() - _TYPES.keys():
        near = difflib.get_close_matches(name, _TYPES, n=1, cutoff=0.6)
        yield name, f"no such field; {f'write {near[0]}' if near else 'the fields are ' + ', '.join(_TYPES)}"
    for name in _NEEDED:
        if name not in table:
            yield name, "missing; every source needs it"
    for name, value in table.items():
        if name in _TYPES:
            try:
                msgspec.convert(value, _TYPES[name])
            except msgspec.ValidationError as error:
                yield name, f"{reason_of(error)}; got {_shown(value)}, correct it"


def _is_asked(source: Source) -> bool:
    """Whether it is read over HTTP; a folder, a mailbox and what posts to us have addresses of their own."""
    kind = TYPES.get(source.type)
    return kind is None or "http" in kind.schemes


def _of_source(source: Source) -> Iterator[tuple[str, str]]:
    """What holds together within one entry."""
    if _is_asked(source):
        if problem := address_problem(source.url):
            yield "url", problem
        if source.enabled and not source.documented:
            yield (
                "documented",
                "missing; say where the address stands, or it cannot be checked: the publisher's page, or the list that has it",
            )
    else:
        try:
            type_of(source)
        except SettingsError as error:
            yield "-", reason_of(error)
    if source.checked != "never" and not _is_day(source.checked):
        yield "checked", f'must be "never" or a day like 2026-11-28; got {_shown(source.checked)}, correct it'
    if source.language is not None and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", source.language):
        yield "language", f"must be a code like en or zh; got {_shown(source.language)}, correct it"
    if source.region and not re.fullmatch(r"[A-Z]{2}|world", source.region):
        yield "region", f'must be a country in two capitals, EU or "world"; got {_shown(source.region)}, correct it'
    if source.role in _OFFICIAL and source.tier != 1:
        yield "tier", f"must be 1 for a {source.role.replace('_', ' ')}; got {source.tier}, correct it or the role"
    if source.may_redistribute and not source.may_store_text:
        yield "may_redistribute", "cannot be true where the text may not even be stored; correct one of the two"
    if source.enabled and not source.licence:
        yield "licence", "missing; say in one line what the publisher allows before its texts are read"
    if not source.enabled and not source.why_disabled:
        yield "why_disabled", "missing; say why it is switched off, for whoever wants to switch it on"
    if source.enabled and source.why_disabled:
        yield "why_disabled", "it is enabled; remove the reason, or write enabled = false"


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


# --- entries among each other -----------------------------------------------------------------------------------------------------
def _twice_in_a_file(read: Sequence[_Entry]) -> Iterator[Problem]:
    for entry, first in _later(read, key=lambda entry: (entry.file, entry.source.name)):
        yield Problem(entry.file, entry.label, "name", f"also the name of source {first.label}; a name stands for one feed, rename one")


def _same_address(read: Sequence[_Entry]) -> Iterator[Problem]:
    """Two names of one address would count every document's source twice; an entry that replaces one of its name is meant."""
    in_force = {entry.source.name: entry for entry in read}.values()
    for entry, first in _later(list(in_force), key=lambda entry: _address(entry.source.url)):
        yield Problem(
            entry.file, entry.label, "url", f"also the address of {first.source.name!r}; remove one, or its name will count twice"
        )


def _owners(read: Sequence[_Entry]) -> Iterator[Problem]:
    """An owner spelled in two ways counts as two independent ones."""
    for entry, first in _later(read, key=lambda entry: _plain(entry.source.owner)):
        if entry.source.owner != first.source.owner:
            same = f"{first.source.owner!r} of {first.source.name!r}"
            rule = f"{entry.source.owner!r} is {same} spelled otherwise; owners are counted, so write one"
            yield Problem(entry.file, entry.label, "owner", rule)


def _later(read: Sequence[_Entry], *, key: Callable[[_Entry], object]) -> Iterator[tuple[_Entry, _Entry]]:
    """Every entry whose key was there before, with the first that had it."""
    groups: defaultdict[object, list[_Entry]] = defaultdict(list)
    for entry in read:
        groups[key(entry)].append(entry)
    return ((entry, group[0]) for group in groups.values() for entry in group[1:])


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{(parts.hostname or '').removeprefix('www.')}{parts.path.rstrip('/')}?{parts.query}"


def _plain(owner: str) -> str:
    """An owner without what people write now so, now so.

    >>> _plain("The Guardian, News & Media") == _plain("Guardian News and Media")
    True
    """
    words = re.findall(r"\w+", owner.casefold().replace("&", " and "))
    return " ".join(words[1:] if words[:1] == ["the"] else words)
