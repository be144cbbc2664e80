"""Which model the live run uses from which place of its log on: facts first, so a replay keeps the score that counted.

    offset     0 ........... 41 | 42 ............ 97 | 98 ......
    model            A          |         B          |    A (rolled back)
    switches   [A from 0, B from 42, A from 98]      in the run's manifest

A switch is stored in the transaction of the first batch that the new model has scored: whatever lies before it has its score
already, so the old model is never needed again, and a process that dies between the promotion and that transaction has not
switched. `effective_ms` is the known time of the first document after it: alerts of a tick name the model in force at its end.
Every other run is made with one model and has no switches.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from groundswell.codec import canonical
from groundswell.records import Position
from groundswell.store import schema as t
from groundswell.store.store import Store
from models.taxonomy import measured_topics

KEY: Final = "models"
"""Where a manifest keeps its switches."""


class Switch(msgspec.Struct, frozen=True):
    """From this place on, documents are scored by this model."""

    model_id: str
    part: int | None  # raw partition; None: of every one
    offset: int  # first position whose document it scores
    effective_ms: int  # known time of that document


def first_switch(model_id: str) -> Switch:
    """The model of a run that has not scored anything yet.

    >>> first_switch("linear-1")
    Switch(model_id='linear-1', part=None, offset=0, effective_ms=0)
    """
    return Switch(model_id, None, 0, 0)


def read_switches(connection: Connection, run: str, *, lock: bool = False) -> list[Switch]:
    """The switches of a run, oldest first; none where the run has no row or keeps none."""
    return _switches(_manifest(connection, run, lock=lock) or {})


def _manifest(connection: Connection, run: str, *, lock: bool) -> dict[str, Any] | None:
    wanted = select(t.runs.c.manifest).where(t.runs.c.run == run)
    body = connection.execute(wanted.with_for_update() if lock else wanted).scalar_one_or_none()
    return None if body is None else msgspec.json.decode(body)


def _switches(manifest: dict[str, Any]) -> list[Switch]:
    return msgspec.convert(manifest.get(KEY, []), list[Switch])


def model_at(switches: Sequence[Switch], position: Position) -> str | None:
    """The model that scores, or has scored, the document at a position; None where no switch says so.

    >>> both = [first_switch("a"), Switch("b", 0, 42, 9_000)]
    >>> [model_at(both, Position(0, 41)), model_at(both, Position(0, 42)), model_at(both, Position(1, 99)), model_at([], Position(0, 1))]
    ['a', 'b', 'a', None]
    """
    found = None
    for switch in switches:
        if switch.part in (None, position.partition) and switch.offset <= position.offset:
            found = switch.model_id
    return found


def versions_at(versions: dict[str, str], switches: Sequence[Switch], *, end_ms: int) -> dict[str, str]:
    """Hashes in force at the end of a tick: those given, with the model that known time has reached.

    >>> versions_at({"model": "b", "rules": "r"}, [first_switch("a"), Switch("b", 0, 42, 9_000)], end_ms=9_000)
    {'model': 'a', 'rules': 'r'}
    """
    reached = [switch.model_id for switch in switches if switch.effective_ms < end_ms]
    return versions | {"model": reached[-1]} if reached else versions


def record_switch(store: Store, connection: Connection, run: str, switch: Switch, *, languages: Collection[str]) -> list[Switch]:
    """Store a switch within the caller's transaction; returns all of the run, this one last.

    Args:
        store: the store.
        connection: the transaction of the first batch that the new model has scored.
        run: whose.
        switch: what to add.
        languages: those that the new model scores.
    """
    manifest = _manifest(connection, run, lock=True)
    if manifest is None:
        return []
    switches = [*_switches(manifest), switch]
    changed = {
        KEY: msgspec.to_builtins(switches),
        "versions": manifest.get("versions", {}) | {"model": switch.model_id},
        "measured": {language: list(measured_topics(language)) for language in sorted(languages)},
    }
    given = {"model_id": switch.model_id, "manifest": msgspec.json.encode(manifest | changed)}
    connection.execute(t.runs.update().where(t.runs.c.run == run).values(given))
    content = canonical({"languages": sorted(languages)})
    row = {"kind": "model", "hash": switch.model_id, "effective_ms": switch.effective_ms, "content": content}
    store.insert(connection, t.versions, [row])  # kept from the first time that it came into force
    return switches
