"""Rehearsals as they are stored: what was asked on the board, and what came of it. Rows are only ever added."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from groundswell.codec import canonical, decode
from groundswell.errors import NotFoundError
from groundswell.rehearsed import Comparison
from groundswell.store import schema as t
from groundswell.store.store import Store


@dataclass(frozen=True)
class Rehearsed:
    """One rehearsal."""

    name: str  # hash of what was asked
    at_ms: int
    who: str
    rules: str  # hash
    text: str
    body: bytes

    @property
    def found(self) -> Comparison:
        """What came of it."""
        return decode(self.body, Comparison)


def keep_rehearsal(store: Store, connection: Connection, run: str, rehearsed: Rehearsed) -> None:
    """Store a rehearsal; one that is there stays."""
    row = {"run": run, "rehearsal": rehearsed.name, "at_ms": rehearsed.at_ms, "who": rehearsed.who, "rules": rehearsed.rules}
    store.insert(connection, t.rehearsals, [row | {"text": rehearsed.text, "body": rehearsed.body}])


def rehearsed_of(name: str, found: Comparison, *, text: str, who: str, at_ms: int) -> Rehearsed:
    """What is to be stored of a comparison."""
    return Rehearsed(name, at_ms, who, found.rules, text, canonical(found))


def rehearsal_named(connection: Connection, run: str, name: str) -> Rehearsed:
    """One rehearsal of a run.

    Raises:
        NotFoundError: there is none of that name.
    """
    r = t.rehearsals.c
    statement = select(r.rehearsal, r.at_ms, r.who, r.rules, r.text, r.body).where(r.run == run, r.rehearsal == name)
    row = connection.execute(statement).one_or_none()
    if row is None:
        reason = f"rehearsal {name[:40]!r}: run {run!r} has none of that name; rehearse the rules again"
        raise NotFoundError(reason)
    return Rehearsed(*row)


def rehearsals_of(connection: Connection, run: str, *, limit: int) -> list[Rehearsed]:
    """The newest rehearsals of a run."""
    r = t.rehearsals.c
    statement = select(r.rehearsal, r.at_ms, r.who, r.rules, r.text, r.body).where(r.run == run)
    return [Rehearsed(*row) for row in connection.execute(statement.order_by(r.at_ms.desc(), r.rehearsal).limit(limit))]
