"""What fold and desk store, and what they are rebuilt from after a restart."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, or_, select

from groundswell.codec import canonical, decode, encode
from groundswell.names import TICK_MS
from groundswell.records import Alert, Candidate, Decision, Increment, Story
from groundswell.store import schema as t
from groundswell.store.store import Store

DECIDED = ("candidate_id", "tick", "incident", "verdict", "reason")


class IncrementBody(msgspec.Struct, array_like=True):
    """The body of an increment's row; without anything stale it has two parts."""

    members: dict[str, dict[str, list[int]]]
    negatives: list[list[str | int]]
    stale: list[list[str | int]] = []


def insert_increments(store: Store, connection: Connection, run: str, rows: Iterable[Increment]) -> None:
    """Write increments once; `documents` and `negative` repeat what the body says, for SQL."""
    store.insert(
        connection,
        t.increments,
        [
            {
                "run": run, "series": row.series, "tick": row.tick, "pane": row.pane, "daily": row.daily,
                "documents": _total(row, 0), "negative": _total(row, 1), "body": _body(row),
            }
            for row in rows
        ],
        keep=False,
    )  # fmt: skip


def _body(row: Increment) -> bytes:
    return canonical((row.members, row.negatives, row.stale) if row.stale else (row.members, row.negatives))


def _total(row: Increment, place: int) -> int:
    return sum(counts[place] for owners in row.members.values() for counts in owners.values())


def insert_stories(store: Store, connection: Connection, run: str, rows: Iterable[Story]) -> None:
    """Write stories once."""
    store.insert(connection, t.stories, [{"run": run} | msgspec.structs.asdict(row) for row in rows], keep=False)


def insert_rows(store: Store, connection: Connection, run: str, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows that several partitions compute alike (hours, exposures): the first one stays."""
    store.insert(connection, table, [{"run": run} | row for row in rows])


def insert_candidates(store: Store, connection: Connection, run: str, rows: Iterable[Candidate]) -> None:
    """Write candidates once."""
    store.insert(
        connection,
        t.candidates,
        [
            {
                "run": run, "candidate_id": row.candidate_id, "series": row.series, "window_s": row.window_s, "tick": row.tick,
                "body": encode(row),
            }
            for row in rows
        ],
        keep=False,
    )  # fmt: skip


def insert_decisions(store: Store, connection: Connection, run: str, rows: Iterable[Decision]) -> None:
    """Write what the desk did with each candidate, once."""
    store.insert(connection, t.decisions, [{"run": run} | msgspec.structs.asdict(row) for row in rows], keep=False)


def insert_alert(store: Store, connection: Connection, run: str, alert: Alert, *, targets: Iterable[str]) -> None:
    """Write an alert and, for each target, the message that is due. Runs other than live name no target."""
    row = {
        "run": run, "id": alert.id, "incident": alert.incident, "kind": alert.kind, "series": alert.series,
        "opened_ms": alert.opened_ms, "tick": alert.opened_ms // TICK_MS - 1, "severity": alert.severity, "body": canonical(alert),
    }  # fmt: skip
    store.insert(connection, t.alerts, [row], keep=False)
    due = {"run": run, "alert_id": alert.id, "state": "due", "attempts": 0, "next_ms": 0, "reason": None, "provider_id": None, "how": "now"}
    store.insert(connection, t.outbox, [due | {"target": target, "digest": None, "shown": None, "sent_ms": None} for target in targets])


# --- reading back ------------------------------------------------------------------------------------------------------
def load_increments(
    connection: Connection, run: str, *, since_tick: int, through_tick: int, series: Iterable[str] | None = None
) -> list[Increment]:
    """Increments of a span of known ticks (both inclusive), in the order in which they were folded."""
    row = t.increments.c
    statement = select(row.series, row.tick, row.pane, row.daily, row.body).where(
        row.run == run, row.tick.between(since_tick, through_tick)
    )
    if series is not None:
        statement = statement.where(row.series.in_(list(series)))
    return [
        increment_of(name, tick, pane, daily=daily, body=body)
        for name, tick, pane, daily, body in connection.execute(statement.order_by(row.tick, row.series, row.pane, row.daily))
    ]


def increment_of(series: str, tick: int, pane: int, *, daily: bool, body: bytes) -> Increment:
    """An increment from its row."""
    found = msgspec.json.decode(body, type=IncrementBody)
    return Increment(series=series, tick=tick, pane=pane, daily=daily, members=found.members, negatives=found.negatives, stale=found.stale)


def load_stories(connection: Connection, run: str, *, since_ms: int, through_tick: int, series: Iterable[str] | None = None) -> list[Story]:
    """Stories founded in a span, in the order in which they were founded."""
    row = t.stories.c
    statement = select(row.series, row.story, row.founded_ms, row.tick, row.digest).where(
        row.run == run,
        row.founded_ms >= since_ms,
        row.tick.between(since_ms // TICK_MS, through_tick),  # a story is founded in its tick: spares PostgreSQL the months before
    )
    if series is not None:
        statement = statement.where(row.series.in_(list(series)))
    return [
        Story(series=name, story=story, founded_ms=founded_ms, tick=tick, digest=bytes(digest))
        for name, story, founded_ms, tick, digest in connection.execute(statement.order_by(row.founded_ms, row.story))
    ]


def load_candidates(
    connection: Connection, run: str, *, since_tick: int, through_tick: int, series: Iterable[str] | None = None
) -> list[Candidate]:
    """Candidates of a span of ticks (both inclusive), in order of tick."""
    row = t.candidates.c
    statement = select(row.body).where(row.run == run, row.tick.between(since_tick, through_tick))
    if series is not None:
        statement = statement.where(row.series.in_(list(series)))
    return [decode(body, Candidate) for (body,) in connection.execute(statement.order_by(row.tick, row.candidate_id))]


def load_decided(connection: Connection, run: str, *, reasons: Iterable[str], through_tick: int) -> list[tuple[Candidate, Decision]]:
    """Candidates of all ticks up to one (inclusive) with what was decided, where the reason begins with one of some words."""
    d, c = t.decisions.c, t.candidates.c
    joined = t.decisions.join(t.candidates, (d.run == c.run) & (d.candidate_id == c.candidate_id))
    wanted = or_(*(d.reason.startswith(reason, autoescape=True) for reason in reasons))
    rows = connection.execute(
        select(c.body, *(d[name] for name in DECIDED)).select_from(joined).where(d.run == run, d.tick <= through_tick, wanted)
    )
    return [(decode(body, Candidate), Decision(**dict(zip(DECIDED, decided, strict=True)))) for body, *decided in rows]


def load_rows(connection: Connection, run: str, table: Table, *, since: int, before: int, by: str) -> list[Any]:
    """Rows of a table of periods with `since <= by < before`, ascending."""
    column = table.c[by]
    statement = select(table).where(table.c.run == run, column >= since, column < before).order_by(column)
    return list(connection.execute(statement))
