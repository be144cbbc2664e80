"""A rules file as a page shows it: sections with what each number means, and what is different in another one. Pure."""

import difflib
import re
from dataclasses import dataclass, field
from typing import Final

HEADER: Final = re.compile(r"^\s*\[([^\]]+)\]\s*(?:#.*)?$")
KEY: Final = re.compile(r"""^\s*([A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*=\s*(.*)$""")
CONTEXT_LINES: Final = 2
DIFFERENT_MAX: Final = 600


@dataclass
class Group:
    """Values that one comment speaks of."""

    meaning: str = ""
    values: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Section:
    """A table of the file."""

    name: str  # empty: what stands before the first one
    about: str = ""
    groups: list[Group] = field(default_factory=list)


def sections_of(text: str) -> list[Section]:
    r"""The tables of a file, each value with the comment above it.

    >>> [section] = sections_of("# Loud things.\n[desk]\n# Pings a day.\nbudget = 3\nlate = 1\n")
    >>> section.name, section.about, section.groups
    ('desk', 'Loud things.', [Group(meaning='Pings a day.', values=[('budget', '3'), ('late', '1')])])
    """
    found = [Section("")]
    said: list[str] = []
    for line in text.splitlines():
        header, key = HEADER.match(line), KEY.match(line)
        if line.lstrip().startswith("#"):
            said.append(line.strip().lstrip("#").strip())
        elif header:
            found.append(Section(header[1].strip(), " ".join(said)))
            said = []
        elif key:
            if said or not found[-1].groups:
                found[-1].groups.append(Group(" ".join(said)))
                said = []
            found[-1].groups[-1].values.append((key[1], key[2].strip()))
        elif not line.strip() and said and len(found) == 1:  # of the whole file
            found[0].about, said = " ".join(said), []
        elif line.strip() and found[-1].groups:  # a value that goes on
            name, value = found[-1].groups[-1].values[-1]
            found[-1].groups[-1].values[-1] = (name, f"{value} {line.strip()}")
    return [section for section in found if section.groups or section.name]


def different(before: str, after: str) -> list[tuple[str, str]]:
    r"""What is different, line by line with two lines around it: "+", "-", " ", or "@" between places.

    >>> different("a = 1\nb = 2\n", "a = 1\nb = 3\n")
    [('@', ''), (' ', 'a = 1'), ('-', 'b = 2'), ('+', 'b = 3')]
    """
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT_LINES, lineterm=""))[2:]
    made = [("@", "") if line.startswith("@@") else (line[:1] or " ", line[1:]) for line in lines]
    return made[:DIFFERENT_MAX]
