"""The audit log: who did what on the board or to its accounts, when and from where. Rows are only ever added."""

import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from groundswell.store import schema as t
from groundswell.store.store import Store

DETAIL_CHARACTERS_MAX: Final = 500
UNKNOWN: Final = "(unknown)"
"""Who it was where nobody of that name has an account: people type passwords into the wrong field."""


COMMAND_LINE: Final = "command line"
"""The place of whoever types a command."""

RULES_SAVED, ERRORS_SAVED, RUN_ATTACHED = "rules saved", "measured errors saved", "run attached"
SEARCH_SAVED, WATCHED, WATCHED_NO_LONGER = "search saved", "companies watched", "watched no longer"
"""What changes what is in force: the same words, whether it was done on the board or by a command."""


@dataclass(frozen=True)
class Entry:
    """One row."""

    at_ms: int
    who: str
    place: str  # the address that asked, or COMMAND_LINE
    what: str  # "signed in", "sign-in refused", "acknowledge", ...
    detail: str


def note(store: Store, connection: Connection, entry: Entry) -> None:
    """Add a row, in the transaction of what it speaks of where there is one.

    Args:
        store: the store.
        connection: a writing transaction.
        entry: the row; its detail is cut to DETAIL_CHARACTERS_MAX.
    """
    row = {
        "at_ms": entry.at_ms,
        "entry": secrets.token_hex(8),  # two people may do something in the same millisecond
        "who": entry.who,
        "place": entry.place,
        "what": entry.what,
        "detail": entry.detail[:DETAIL_CHARACTERS_MAX],
    }
    store.insert(connection, t.audit, [row], keep=False)


def entries(
    connection: Connection,
    *,
    who: str | None = None,
    what: str | None = None,
    at_ms: int | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The newest rows, newest first; those of one person, of one kind, of one moment, of `[from, to)`."""
    a = t.audit.c
    query = select(a.at_ms, a.who, a.place, a.what, a.detail).order_by(a.at_ms.desc(), a.entry).limit(limit)
    for column, given in ((a.who, who), (a.what, what), (a.at_ms, at_ms)):
        query = query if given is None else query.where(column == given)
    query = query if from_ms is None else query.where(a.at_ms >= from_ms)
    query = query if to_ms is None else query.where(a.at_ms < to_ms)
    return [Entry(*row) for row in connection.execute(query)]


def kinds(connection: Connection) -> list[str]:
    """Every word that the log has for what was done."""
    return sorted(connection.execute(select(t.audit.c.what).distinct()).scalars())
