"""The past of a model: a re-scored run that says what it would have read before it was in force, so that its baselines need not form.

    live       A A A A A A A A A | B B B B          its own rows of B begin at the promotion
    re-scored  B B B B B B B B                      attached: baselines of B reach back over it

Nothing is copied: whoever folds reads the run's baselines beside its own (stream/shells/rebuild.py), from a tick on that the live run's
schedule keeps. So an alert from before is still made again as it was.
"""

from typing import Final

from sqlalchemy import Connection, select

from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN, TICK_MS
from groundswell.schedule import MODEL, PAST_OF, InForce
from groundswell.silence import HORIZON_TICKS
from groundswell.store import schema as t
from groundswell.store.audit import Entry
from groundswell.store.grid import first_hour_ms
from groundswell.store.query import closed_ms
from groundswell.store.runs import is_complete, manifest_of
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force, read_schedule

KIND: Final = "rescore"


def is_rescore(connection: Connection, run: str) -> bool:
    """Whether a run is a re-scored one."""
    return connection.execute(select(t.runs.c.kind).where(t.runs.c.run == run)).scalar_one_or_none() == KIND


def past_of(connection: Connection, run: str) -> str | None:
    """The model whose past a run is, in the live run; None where it is nobody's."""
    rows = [row.kind for row in read_schedule(connection, LIVE_RUN).rows if row.kind.startswith(PAST_OF) and row.hash == run]
    return rows[-1].removeprefix(PAST_OF) if rows else None


def attach_past(store: Store, run: str, *, now_ms: int, entry: Entry | None = None) -> InForce:
    """Make a finished re-scored run the past of its model. Every owner of the live run is fenced, and starts again with it.

    Args:
        store: the store.
        run: which one.
        now_ms: the wall clock.
        entry: what the audit log says of it, in the same transaction.

    Returns:
        From when on it counts.

    Raises:
        NotFoundError: there is no such run, or no live one.
        UsageError: it is not finished, was made with another catalogue, or is attached already.
    """
    with store.read() as connection:
        manifest, live = manifest_of(connection, run), manifest_of(connection, LIVE_RUN)
        if not is_complete(connection, run):
            reason = f"run {run!r}: it is not complete; run the same `groundswell rescore` again to finish it, then attach it"
            raise UsageError(reason)
        here, there = (each.get("versions", {}).get("catalogue") for each in (live, manifest))
    if here != there:
        reason = f"run {run!r}: it was made with catalogue {there}, the live run has {here}; make it again, then attach it"
        raise UsageError(reason)
    rows = put_in_force(
        store, LIVE_RUN, {f"{PAST_OF}{manifest['versions']['model']}": (run, b"")}, now_ms=now_ms, fence="attach", entry=entry
    )
    if not rows:
        reason = f"run {run!r}: it is the past of its model already; there is nothing to do"
        raise UsageError(reason)
    return rows[0]


def forming_span(connection: Connection, run: str, *, forming_ms: int) -> tuple[int, int] | None:
    """`[start, end)` in which the baselines of the model in force are forming; an empty one where they had formed before.

    Args:
        connection: a reading transaction.
        run: whose.
        forming_ms: how long a model has to have read.

    Returns:
        None while nothing has closed.
    """
    first_ms, until_ms = first_hour_ms(connection, run), closed_ms(connection, run)
    if first_ms is None or until_ms is None:
        return None
    schedule = read_schedule(connection, run)
    model = schedule.at(MODEL, until_ms)
    begun = [span for span in schedule.spans(MODEL, model or "") if span[0] < until_ms]
    start_ms = max(first_ms, begun[-1][0]) if begun else first_ms
    before = begun[:-1]
    pasts = [row.hash for row in schedule.of(f"{PAST_OF}{model}") if row.effective_ms <= until_ms]
    if pasts:
        manifest = manifest_of(connection, pasts[-1])
        before.append((manifest["from_ms"], min(manifest["to_ms"], begun[0][0])))
    since_ms = max(first_ms, start_ms - HORIZON_TICKS * TICK_MS)
    read_ms = sum(max(0, min(end, start_ms) - max(start, since_ms)) for start, end in before)
    return start_ms, start_ms + max(0, forming_ms - read_ms)
