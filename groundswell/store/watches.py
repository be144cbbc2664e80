"""What a run watches, as it is stored: the versions of one kind (groundswell/store/versions.py), read and replaced."""

from sqlalchemy import Connection

from groundswell.codec import canonical, decode
from groundswell.names import LIVE_RUN
from groundswell.schedule import WATCHES, InForce
from groundswell.store.store import Store
from groundswell.store.versions import AHEAD_MS, content_of, put_in_force, read_schedule
from groundswell.watches import NOTHING, Watches


def newest_watches(connection: Connection, run: str) -> tuple[Watches, list[InForce]]:
    """The newest version of what a run watches, one that is still to come among them, and every version, oldest first.

    Raises:
        NotFoundError: the content of the version is not stored.
    """
    rows = read_schedule(connection, run).of(WATCHES)
    return (decode(content_of(connection, WATCHES, rows[-1].hash), Watches) if rows else NOTHING), rows


def put_watches(store: Store, watches: Watches, *, now_ms: int) -> list[InForce]:
    """Let the live run watch this, a little ahead: from one tick on for every worker.

    Returns:
        The new version; nothing where it is the newest already.

    Raises:
        NotFoundError: there is no live run yet.
        DependencyError: the store is away; nothing was changed.
    """
    return put_in_force(store, LIVE_RUN, {WATCHES: (watches.hash, canonical(watches))}, now_ms=now_ms + AHEAD_MS)
