"""What an operation of the JSON API is, and what it was asked: shared by the rows (api.py) and the panels (panel_api.py)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from dashboards.board.shell import BoardState
from groundswell.errors import UsageError
from groundswell.moments import time_ms


class Page(NamedTuple):
    """Rows and the cursor behind them."""

    rows: list[dict[str, Any]]
    next: str | None = None


@dataclass(frozen=True)
class Asked:
    """A request's parameters, checked against what the operation takes."""

    given: Mapping[str, list[str]]
    limit: int
    state: BoardState

    def one(self, name: str) -> str | None:
        """A parameter that may be given once; an empty one is none."""
        found = self.given.get(name, [])
        if len(found) > 1:
            reason = f"{name}: was given {len(found)} times; give it once"
            raise UsageError(reason)
        return found[0] or None if found else None

    def ms(self, name: str) -> int | None:
        """A moment; a bare day as `to` counts whole."""
        found = self.one(name)
        return None if found is None else time_ms(found, name=name, end=name == "to")


@dataclass(frozen=True)
class Operation:
    """One address."""

    name: str
    summary: str
    row: type[msgspec.Struct]
    columns: list[str]
    parameters: tuple[str, ...]
    read: Callable[[Connection, str, Asked], Page]


PARAMETERS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "key": ("A series or a glob such as entity:*; may be given several times.", {"type": "array", "items": {"type": "string"}}),
    "from": ("First moment, ISO 8601; without a zone UTC.", {"type": "string"}),
    "to": ("Moment after the last; a bare day counts whole.", {"type": "string"}),
    "window": ("Length of a window: 15m, 1h, 1d.", {"type": "string", "default": "1h"}),
    "as_of": ("Only what was known before this moment.", {"type": "string"}),
    "vintage": ("first: each window as known at its own end.", {"type": "string", "enum": ["final", "first"], "default": "final"}),
    "series": ("A series such as entity:SVB or topic:debt_credit:en.", {"type": "string"}),
    "q": ("What is looked for: docs/search.md.", {"type": "string"}),
    "limit": ("Rows of a page at most.", {"type": "integer", "minimum": 1}),
    "after": ("The cursor that the page before has named.", {"type": "string"}),
}
