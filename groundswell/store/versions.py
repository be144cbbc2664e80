"""Versions as they are stored: what each one holds, and from which known time on a run uses it.

    versions   (kind, hash) -> content            written once; what has its name is never another thing
    in_force   (run, kind, effective_ms) -> hash  written once, always ahead of everything that the run has read

Whoever commits work of a run has read its schedule before, and looks again within the transaction: a row that came in between, for a
time that the work lies behind, undoes the commit. So no two workers can disagree about a tick, however late each one looks.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select, update

from groundswell.errors import DependencyError, NotFoundError
from groundswell.exports import iso
from groundswell.names import TICK_MS
from groundswell.schedule import PAST_OF, RULES_TEXT, InForce, Schedule
from groundswell.store import schema as t
from groundswell.store.audit import Entry, note
from groundswell.store.store import Store

AHEAD_MS: Final = 60_000
"""How far ahead a version comes into force: every worker has seen it by then, and a model has been loaded beside the old one."""


def read_schedule(connection: Connection, run: str) -> Schedule:
    """The versions of a run; empty where it has no row."""
    f = t.in_force.c
    rows = connection.execute(select(f.effective_ms, f.kind, f.hash).where(f.run == run).order_by(f.effective_ms, f.kind))
    return Schedule(tuple(InForce(*row) for row in rows))


def check_schedule(connection: Connection, run: str, schedule: Schedule, *, before_ms: int) -> None:
    """Be sure, within the caller's transaction, that everything before a known time was done with what is in force there.

    Raises:
        DependencyError: something came into force that the caller did not know of.
    """
    if not schedule.agrees(read_schedule(connection, run), before_ms):
        reason = (
            f"run {run!r}: a version came into force before {iso(before_ms)} while this process worked without it; nothing of this commit "
            "was stored: start the process again"
        )
        raise DependencyError(reason)


def contents_of(connection: Connection, kind: str) -> dict[str, bytes]:
    """{hash: content} of every version of a kind."""
    v = t.versions.c
    return {name: bytes(content) for name, content in connection.execute(select(v.hash, v.content).where(v.kind == kind))}


def content_of(connection: Connection, kind: str, version: str) -> bytes:
    """What a version holds.

    Raises:
        NotFoundError: it is not stored.
    """
    v = t.versions.c
    content = connection.execute(select(v.content).where(v.kind == kind, v.hash == version)).scalar_one_or_none()
    if content is None:
        reason = f"version {kind} {version}: it is not stored; restore the store's versions table"
        raise NotFoundError(reason)
    return bytes(content)


def begin_schedule(store: Store, connection: Connection, run: str, contents: Mapping[str, tuple[str, bytes]]) -> None:
    """What a new run begins with, or an older one lacks.

    Args:
        store: the store.
        connection: the transaction that makes the run's row.
        run: its name.
        contents: kind -> (hash, content).
    """
    keep_contents(store, connection, contents)
    known = {row.kind for row in read_schedule(connection, run).rows}
    rows = [{"run": run, "kind": kind, "effective_ms": 0, "hash": name} for kind, (name, _) in contents.items() if kind not in known]
    store.insert(connection, t.in_force, rows)


def keep_contents(store: Store, connection: Connection, contents: Mapping[str, tuple[str, bytes]]) -> None:
    """Write what versions hold, where they hold anything; those that are there already stay."""
    rows = [{"kind": kind, "hash": name, "content": content} for kind, (name, content) in sorted(contents.items()) if content]
    store.insert(connection, t.versions, rows)


def keep_rules_text(store: Store, connection: Connection, version: str, text: str) -> None:
    """Keep a rules file as it was written, under the hash of its rules; the first one stays."""
    keep_contents(store, connection, {RULES_TEXT: (version, text.encode())})


def rules_text_of(connection: Connection, version: str) -> str | None:
    """The file that rules were written as; None where nobody kept it."""
    v = t.versions.c
    found = connection.execute(select(v.content).where(v.kind == RULES_TEXT, v.hash == version)).scalar_one_or_none()
    return None if found is None else bytes(found).decode()


def put_in_force(
    store: Store,
    run: str,
    contents: Mapping[str, tuple[str, bytes]],
    *,
    now_ms: int,
    manifest: Mapping[str, Any] | None = None,
    fence: str | None = None,
    entry: Entry | None = None,
) -> list[InForce]:
    """Put versions in force: together, at the start of a tick that nothing of the run has come to yet.

    Args:
        store: the store.
        run: whose.
        contents: kind -> (hash, content); those that are the last of their kind already are left out.
        now_ms: the moment at or after which; AHEAD_MS from now, or at once where nobody else works on the run.
        manifest: what to change in the run's manifest with it.
        fence: take the run from everybody who works on it, in this name: they have to load something before they go on.
        entry: what the audit log says of it, where anything was written.

    Returns:
        What was written; nothing where all of it was there.

    Raises:
        NotFoundError: no such run.
        DependencyError: the store is away; nothing was changed.
    """
    with store.write() as connection:
        rows = add_versions(store, connection, run, contents, now_ms=now_ms, manifest=manifest)
        if rows and fence is not None:
            p = t.progress.c
            connection.execute(update(t.progress).where(p.run == run).values(epoch=p.epoch + 1, revision=0, owner=fence))
        if rows and entry is not None:
            note(store, connection, entry)
    return rows


def hold_schedule(connection: Connection, run: str) -> tuple[int, bytes]:
    """Let nobody commit work of a run, or change its versions, until the transaction ends.

    Returns:
        The known time that the run has come to, and its manifest.

    Raises:
        NotFoundError: no such run.
    """
    # The progress first: whoever commits holds a row of it, so no commit is under way, and the schedule cannot change meanwhile.
    p, r = t.progress.c, t.runs.c
    locked = select(p.time_ms).where(p.run == run).order_by(p.role.desc(), p.part).with_for_update()
    reached_ms = max(connection.execute(locked).scalars(), default=0)
    body = connection.execute(select(r.manifest).where(r.run == run).with_for_update()).scalar_one_or_none()
    if body is None:
        reason = f"run {run!r}: it is not stored; `groundswell runs list` prints the runs"
        raise NotFoundError(reason)
    return reached_ms, bytes(body)


def add_versions(
    store: Store,
    connection: Connection,
    run: str,
    contents: Mapping[str, tuple[str, bytes]],
    *,
    now_ms: int,
    manifest: Mapping[str, Any] | None = None,
) -> list[InForce]:
    """`put_in_force` within the caller's transaction, which must write nothing else of the run."""
    reached_ms, body = hold_schedule(connection, run)
    schedule = read_schedule(connection, run)
    wanted = {kind: given for kind, given in contents.items() if not _is_last(schedule, kind, given[0])}
    if not wanted:
        return []
    last_ms = max((row.effective_ms for row in schedule.rows), default=-TICK_MS)
    effective_ms = max(-(-now_ms // TICK_MS) * TICK_MS, (reached_ms // TICK_MS + 1) * TICK_MS, last_ms + TICK_MS)
    keep_contents(store, connection, wanted)
    rows = [InForce(effective_ms, kind, name) for kind, (name, _) in sorted(wanted.items())]
    store.insert(connection, t.in_force, [{"run": run} | row._asdict() for row in rows], keep=False)
    _tell(connection, run, msgspec.json.decode(body), rows, manifest or {})
    return rows


def _is_last(schedule: Schedule, kind: str, name: str) -> bool:
    rows = schedule.of(kind)
    return bool(rows) and rows[-1].hash == name


def _tell(connection: Connection, run: str, stored: dict[str, Any], rows: Iterable[InForce], changes: Mapping[str, Any]) -> None:
    """The run's own row repeats the newest versions, for whoever lists it."""
    versions = stored.get("versions", {}) | {row.kind: row.hash for row in rows if not row.kind.startswith(PAST_OF)}
    given = {"manifest": msgspec.json.encode({**stored, **changes, "versions": versions})}
    if "model" in versions:
        given["model_id"] = versions["model"]
    connection.execute(t.runs.update().where(t.runs.c.run == run).values(given))
