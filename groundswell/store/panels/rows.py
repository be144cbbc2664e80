"""Rows of panels: a page reads them as they are, other programs by `told`.

A field `NAME_ms` is a moment and is told as `NAME_at`, UTC with Z; a length of time is in seconds, `NAME_s`. Shares lie in [0, 1].
"""

from typing import Any, get_args, get_origin

import msgspec
from sqlalchemy import Connection

from groundswell.exports import iso
from groundswell.names import TICK_MS
from groundswell.store.query import closed_ms


class PanelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a panel."""


def told(row: PanelRow) -> dict[str, Any]:
    """A row as other programs read it."""
    return {name_of(name): _told(name, getattr(row, name)) for name in row.__struct_fields__}


def columns(kind: type[PanelRow]) -> list[str]:
    """The columns of a panel's CSV: all that is no list of rows itself."""
    return [name_of(field.name) for field in msgspec.structs.fields(kind) if row_of(field.type) is None]


def row_of(kind: Any) -> type[PanelRow] | None:
    """The rows that a field is a list of; None where it is something else."""
    (inner,) = get_args(kind) if get_origin(kind) is list else (None,)
    return inner if isinstance(inner, type) and issubclass(inner, PanelRow) else None


def name_of(name: str) -> str:
    """What a field is called in what is told."""
    return f"{name.removesuffix('_ms')}_at" if name.endswith("_ms") else name


def _told(name: str, value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], PanelRow):
        return [told(one) for one in value]
    if name.endswith("_ms"):
        return None if value is None else iso(value)
    return round(value, 6) if isinstance(value, float) else value


def known_until(connection: Connection, run: str, as_of_ms: int | None = None) -> int | None:
    """Up to which known time a panel shows: as far as all is folded, or as was asked; None before the first tick."""
    until_ms = closed_ms(connection, run)
    if until_ms is None or as_of_ms is None:
        return until_ms
    return min(until_ms, as_of_ms - as_of_ms % TICK_MS)
