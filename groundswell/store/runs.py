"""Which runs there are, and how far each has come."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import iso
from groundswell.names import LIVE_RUN, ROLE_DESK, ROLE_FOLD
from groundswell.store import schema as t
from groundswell.store.months import dropped_counts
from groundswell.store.progress import progress_of

HISTORY: Final = "history"
"""Where the live run's manifest keeps what it goes on from (history.py)."""

DROPPING: Final = "dropping_ms"
"""Where the manifest of a run that is being dropped says since when."""


@dataclass(frozen=True)
class RunRow:
    """A run in one line."""

    run: str
    kind: str
    model_id: str
    documents: int  # that count
    alerts: int
    first_known_ms: int | None  # of what was heard
    last_known_ms: int | None
    complete: bool | None  # None: it never ends (live), or nobody says when it has (a demo)
    note: str


def manifest_of(connection: Connection, run: str) -> dict[str, Any]:
    """What a run was made from, with which versions.

    Raises:
        NotFoundError: no such run.
    """
    body = connection.execute(select(t.runs.c.manifest).where(t.runs.c.run == run)).scalar_one_or_none()
    if body is None:
        reason = f"run {run!r}: it is not stored; `groundswell runs list` prints the runs"
        raise NotFoundError(reason)
    manifest: dict[str, Any] = msgspec.json.decode(body)
    return manifest


def refuse_dropping(run: str, manifest: dict[str, Any]) -> None:
    """A run whose rows are being deleted is not opened any more.

    Raises:
        UsageError: it is being dropped.
    """
    if DROPPING in manifest:
        reason = (
            f"run {run!r}: it is being dropped since {iso(manifest[DROPPING])} and some of its rows are gone; finish it with "
            f"`groundswell runs drop {run} --yes`, or choose another run"
        )
        raise UsageError(reason)


def runs_of(connection: Connection) -> list[RunRow]:
    """Every run, by name."""
    a = t.admissions.c
    heard = select(a.run, func.min(a.known_ms), func.max(a.known_ms)).where(a.outcome != "dropped").group_by(a.run)
    known = {run: (first, last) for run, first, last in connection.execute(heard)}
    counted = _by_run(connection, select(a.run, func.count()).where(a.outcome == "scored").group_by(a.run))
    alerts = _by_run(connection, select(t.alerts.c.run, func.count()).group_by(t.alerts.c.run))
    rows = list(connection.execute(select(t.runs).order_by(t.runs.c.run)))
    manifests = {row.run: msgspec.json.decode(row.manifest) for row in rows}
    history = manifests.get(LIVE_RUN, {}).get(HISTORY, {}).get("run")
    return [
        RunRow(
            run=row.run,
            kind=row.kind,
            model_id=row.model_id,
            documents=counted.get(row.run, 0)
            + sum(number for (_, fate, *_), number in dropped_counts(connection, row.run).items() if fate == "scored"),
            alerts=alerts.get(row.run, 0),
            first_known_ms=known.get(row.run, (None, None))[0],
            last_known_ms=known.get(row.run, (None, None))[1],
            complete=is_complete(connection, row.run) if row.kind in ("backfill", "rescore") else None,
            note=_note(row.run, manifests[row.run], history),
        )
        for row in rows
    ]


def _by_run(connection: Connection, statement: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(statement)}


def _note(run: str, manifest: dict[str, Any], history: str | None) -> str:
    if DROPPING in manifest:
        return "being dropped"
    if history is not None and run == LIVE_RUN:
        return f"goes on from {history}"
    return "history of live" if run == history else ""


def is_complete(connection: Connection, run: str) -> bool:
    """Whether a backfill has run to its end.

    One through Kafka has no process that could say so: it has when every published record has its fate, every partition has
    folded the last of them, and the desk has decided it.

    Raises:
        NotFoundError: no such run.
    """
    manifest = manifest_of(connection, run)
    published = manifest.get("published")
    if DROPPING in manifest or published is None:
        return bool(manifest.get("complete")) and DROPPING not in manifest
    a, d = t.admissions.c, t.drops.c
    admitted = select(func.count(), func.max(a.tick)).where(a.run == run, a.outcome != "dropped")
    number, last_tick = connection.execute(admitted).one()
    dropped = connection.execute(select(func.count()).where(d.run == run, d.part >= 0)).scalar_one()
    if number + dropped < published:
        return False
    folded, decided = progress_of(connection, run, ROLE_FOLD), progress_of(connection, run, ROLE_DESK)
    closed = [row.closed_tick for row in (*folded, *decided)]
    return last_tick is None or (bool(folded) and bool(decided) and min(closed) >= last_tick)
