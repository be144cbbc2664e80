"""Conditions: what the people who run the installation have to know, from when it began to hold until it ended.

A condition is a fact about the installation, not about opinion: it has no run, no statistic, and no place in any window.
Each kind has a heading in docs/runbook.md.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from sqlalchemy import ColumnElement, Connection, and_, select, update

from groundswell.store import schema as t
from groundswell.store.store import Store

Kind = Literal[
    "crash_loop", "final", "drops", "behind", "balance", "spool", "desk", "crawler", "canary", "routes", "dead_letters", "months"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TITLES: Final[dict[Kind, str]] = {
    "crash_loop": "workers crash again and again",
    "final": "a worker cannot go on",
    "drops": "a feed is being dropped",
    "behind": "the pipeline is behind",
    "balance": "the balance is not zero",
    "spool": "a crawler cannot publish",
    "desk": "the desk has stopped",
    "crawler": "no source is polled",
    "canary": "a canary is missing",
    "routes": "the routes file has a mistake",
    "dead_letters": "messages were given up",
    "months": "a month has no partitions",
}
HEADINGS: Final[dict[Kind, str]] = {
    "crash_loop": "workers-end-again-and-again",
    "final": "the-log-and-the-store-do-not-belong-together",
    "drops": "a-feed-is-being-dropped",
    "behind": "time-stands-still",
    "balance": "the-balance-is-not-zero",
    "spool": "the-broker-is-away",
    "desk": "the-desk-has-stopped",
    "crawler": "no-source-is-polled",
    "canary": "a-canary-is-missing",
    "routes": "the-routes-file-has-a-mistake",
    "dead_letters": "a-message-was-not-delivered",
    "months": "a-month-has-no-partitions",
}
"""Kind -> its place in docs/runbook.md."""


@dataclass(frozen=True)
class Condition:
    """One condition of one subject."""

    kind: Kind
    subject: str  # a source, a host, a run
    since_ms: int
    until_ms: int | None  # None: it still holds
    reason: str  # one line: what is so, in figures
    told_ms: int | None  # when the first target has taken the message


def hold(store: Store, kind: Kind, subject: str, *, reason: str, now_ms: int) -> bool:
    """Say that a condition holds.

    Returns:
        Whether this is new; one that holds already keeps its beginning and its first reason.

    Raises:
        DependencyError: the store is away.
    """
    with store.write() as connection:
        if connection.execute(select(t.conditions.c.since_ms).where(_open(kind, subject)).with_for_update()).first() is not None:
            return False
        row = {"kind": kind, "subject": subject, "since_ms": now_ms, "until_ms": None, "reason": reason[:500], "told_ms": None}
        store.insert(connection, t.conditions, [row])
        return True


def end(store: Store, kind: Kind, subject: str, *, now_ms: int) -> bool:
    """Say that a condition does not hold any more.

    Returns:
        Whether it did until now.

    Raises:
        DependencyError: the store is away.
    """
    with store.write() as connection:
        return connection.execute(update(t.conditions).where(_open(kind, subject)).values(until_ms=now_ms)).rowcount > 0


def settle(store: Store, kind: Kind, holding: dict[str, str], *, now_ms: int) -> list[str]:
    """Make the open conditions of a kind be exactly these.

    Args:
        store: the store.
        kind: which.
        holding: {subject: reason}.
        now_ms: wall time.

    Returns:
        The subjects of which this is new.
    """
    with store.read() as connection:
        before = {condition.subject for condition in open_conditions(connection) if condition.kind == kind}
    for subject in sorted(before - holding.keys()):
        end(store, kind, subject, now_ms=now_ms)
    return [s for s in sorted(holding.keys() - before) if hold(store, kind, s, reason=holding[s], now_ms=now_ms)]


def told(store: Store, condition: Condition, *, now_ms: int) -> None:
    """Remember that people have been told."""
    c = t.conditions.c
    this = and_(c.kind == condition.kind, c.subject == condition.subject, c.since_ms == condition.since_ms)
    with store.write() as connection:
        connection.execute(update(t.conditions).where(this).values(told_ms=now_ms))


def open_conditions(connection: Connection) -> list[Condition]:
    """Those that hold, the oldest first."""
    c = t.conditions.c
    rows = connection.execute(select(t.conditions).where(c.until_ms.is_(None)).order_by(c.since_ms, c.kind, c.subject)).mappings()
    return [Condition(**dict(row)) for row in rows]


def _open(kind: Kind, subject: str) -> ColumnElement[bool]:
    c = t.conditions.c
    return and_(c.kind == kind, c.subject == subject, c.until_ms.is_(None))
