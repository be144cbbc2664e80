"""The past of a model: a re-scored run that says what it would have read before it was in force, so that its baselines need not form.

    live       A A A A A A A A A | B B B B          its own rows of B begin at the promotion
    re-scored  B B B B B B B B                      attached: baselines of B reach back over it

Nothing is copied: whoever folds reads the run's baselines beside its own (stream/shells/rebuild.py), from a tick on that the live run's
schedule keeps. So an alert from before is still made again as it was.
"""

from typing import Final

from sqlalchemy import Connection, select

from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.schedule import PAST_OF, InForce
from groundswell.store import schema as t
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


def attach_past(store: Store, run: str, *, now_ms: int) -> InForce:
    """Make a finished re-scored run the past of its model. Every owner of the live run is fenced, and starts again with it.

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
    rows = put_in_force(store, LIVE_RUN, {f"{PAST_OF}{manifest['versions']['model']}": (run, b"")}, now_ms=now_ms, fence="attach")
    if not rows:
        reason = f"run {run!r}: it is the past of its model already; there is nothing to do"
        raise UsageError(reason)
    return rows[0]
