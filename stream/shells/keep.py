"""Keep a rehearsal as a run: the rows of the run it was made over, and what the rehearsed rules made of them.

    of the run, as they are     admissions, increments, stories, baselines, exposures, ... and what the desk decided before the span
    of the rehearsal            candidates, decisions and alerts of the span, and every incident as it leaves it

So `alerts`, `explain`, `why-not`, `runs verify` and the board read it like any other run. It has no outbox: nothing is sent.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, func, literal, select

from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.schedule import RULES
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert, insert_candidates, insert_decisions
from groundswell.store.history import history_of
from groundswell.store.progress import progress_of
from groundswell.store.runs import manifest_of
from groundswell.store.store import Store
from stream.shells.desk_stage import upsert_incidents
from stream.shells.rehearse import Rehearsal
from stream.shells.versions import content_of_rules

KIND: Final = "rehearsal"

DECIDED: Final = (t.candidates, t.decisions, t.alerts)
"""Rows of the run's own desk and detectors: those of ticks before the span are kept too."""

OWN: Final = (*DECIDED, t.incidents, t.outbox, t.in_force, t.rehearsals, t.canaries, t.suspects, t.runs)
"""Tables that are not copied as they stand."""


def keep(store: Store, done: Rehearsal, name: str) -> None:
    """Store a rehearsal as a run of its own, in one transaction.

    Raises:
        UsageError: there is a run of that name, the rehearsal ends before its run does, or the run is live and goes on from a history.
    """
    with store.write() as connection:
        manifest = manifest_of(connection, done.run)
        _check(connection, done, name)
        body = manifest | {
            "versions": {**manifest.get("versions", {}), RULES: done.rules.hash},
            "rehearsed": {"run": done.run, "from_ms": done.span.start_ms},
            "complete": True,
        }
        model_id = connection.execute(select(t.runs.c.model_id).where(t.runs.c.run == done.run)).scalar_one()
        store.insert(
            connection, t.runs, [{"run": name, "kind": KIND, "model_id": model_id, "manifest": msgspec.json.encode(body)}], keep=False
        )
        for table in t.DERIVED:
            if table not in OWN:
                _copy(connection, table, done.run, name)
        for table in DECIDED:
            _copy(connection, table, done.run, name, before_tick=done.span.since)
        _write(store, connection, done, name)


def refuse_name(connection: Connection, name: str) -> None:
    """Say so before the work where nothing can be kept under this name.

    Raises:
        UsageError: there is a run of that name, or it is the live one's.
    """
    if name == LIVE_RUN or connection.execute(select(func.count()).where(t.runs.c.run == name)).scalar_one():
        reason = f"--keep {name!r}: there is such a run, or only the live one may be called so; choose another name"
        raise UsageError(reason)


def _check(connection: Connection, done: Rehearsal, name: str) -> None:
    refuse_name(connection, name)
    last = max(claim.closed_tick for claim in progress_of(connection, done.run, "desk"))
    if done.span.through < last:
        reason = f"--keep {name!r}: a run is whole or it is none; leave --to out"
        raise UsageError(reason)
    if history_of(connection, done.run) is not None:
        reason = f"--keep {name!r}: run {done.run!r} goes on from a history, which a kept run cannot read; rehearse without --keep"
        raise UsageError(reason)


def _copy(connection: Connection, table: Table, run: str, name: str, *, before_tick: int | None = None) -> None:
    """Rows of a run under another name."""
    columns = [literal(name) if column.name == "run" else column for column in table.columns]
    statement = select(*columns).where(table.c.run == run)
    if before_tick is not None:
        statement = statement.where(table.c.tick < before_tick)
    connection.execute(table.insert().from_select([column.name for column in table.columns], statement))


def _write(store: Store, connection: Connection, done: Rehearsal, name: str) -> None:
    insert_candidates(store, connection, name, done.candidates)
    insert_decisions(store, connection, name, done.decisions)
    for alert in done.alerts:
        insert_alert(store, connection, name, alert, targets=())
    upsert_incidents(store, connection, name, done.incidents.values())
    _, content = content_of_rules(done.rules)
    versions: list[Mapping[str, Any]] = [{"kind": RULES, "hash": done.rules.hash, "content": content}]
    store.insert(connection, t.versions, versions)
    rows = [{"run": name, "kind": row.kind, "effective_ms": row.effective_ms, "hash": row.hash} for row in done.in_force.schedule.rows]
    store.insert(connection, t.in_force, rows)
