"""What a run watches, as it is stored: the versions of one kind (groundswell/store/versions.py), read and changed."""

from collections.abc import Callable

from sqlalchemy import Connection

from groundswell.codec import canonical, decode
from groundswell.names import LIVE_RUN
from groundswell.schedule import WATCHES, InForce
from groundswell.store.store import Store
from groundswell.store.versions import AHEAD_MS, add_versions, content_of, hold_schedule, read_schedule
from groundswell.watches import NOTHING, Watches


def newest_watches(connection: Connection, run: str) -> tuple[Watches, list[InForce]]:
    """The newest version of what a run watches, one that is still to come among them, and every version, oldest first.

    Raises:
        NotFoundError: the content of the version is not stored.
    """
    rows = read_schedule(connection, run).of(WATCHES)
    return (decode(content_of(connection, WATCHES, rows[-1].hash), Watches) if rows else NOTHING), rows


def change_watches(
    store: Store, connection: Connection, change: Callable[[Watches], Watches], *, now_ms: int
) -> tuple[Watches, list[InForce]]:
    """Change what the live run watches, a little ahead: from one tick on for every worker.

    Args:
        store: the store.
        connection: a writing transaction; until it ends nobody else changes the list, so that no change is lost.
        change: from the newest version to the one that is wanted.
        now_ms: the wall time.

    Returns:
        What is watched then, and its version; no version where that is the newest already.

    Raises:
        NotFoundError: there is no live run yet.
        UsageError: as `change` says.
    """
    hold_schedule(connection, LIVE_RUN)
    before, _ = newest_watches(connection, LIVE_RUN)
    watches = change(before)
    if watches.hash == before.hash:
        return before, []
    content = {WATCHES: (watches.hash, canonical(watches))}
    return watches, add_versions(store, connection, LIVE_RUN, content, now_ms=now_ms + AHEAD_MS)
