"""The watchdog: what nobody would be told of, because whoever tells of conditions is what has stopped.

    desk   fold goes on, and the desk decides nothing

It runs beside the supervisor of the workers, in a thread. What it finds is a condition like those of the lookout: stored, shown on
the board, and mailed from here. Where everything has stopped nobody is left to say so: Prometheus asks for that from outside.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from alerts.notify.base import Notifier
from groundswell.clock import Clock
from groundswell.errors import GroundswellError, reason_of
from groundswell.logs import logger
from groundswell.names import CONTRIBUTION_PARTITIONS, ROLE_DESK
from groundswell.store import schema as t
from groundswell.store.conditions import Condition, open_conditions, settle
from groundswell.store.progress import NEVER_TICK
from groundswell.store.store import Store
from groundswell.store.times import folded_ms
from stream.shells.lookout import tell

WATCH_EVERY_S: Final = 30.0
STOPPED_MS: Final = 120_000
"""Known time that fold may be ahead of the desk: the desk follows within a second."""

_log = logger("groundswell.watchdog")


@dataclass
class Watchdog:
    """Watches the desk of one run from another process.

    Args:
        store: where everything is stored.
        run: which run.
        notifiers: by target name; each is told once.
        base_url: where the board is reached.
        clock: the wall clock.
        partitions: contribution partitions of the run.
    """

    store: Store
    run: str
    notifiers: Mapping[str, Notifier]
    base_url: str
    clock: Clock
    partitions: int = CONTRIBUTION_PARTITIONS

    def look(self) -> list[Condition]:
        """Look once; returns what people were told of.

        Raises:
            DependencyError: the store is away.
        """
        now_ms = self.clock.now_ms()
        with self.store.read() as connection:
            stopped = desk_stopped(connection, self.run, partitions=self.partitions)
        settle(self.store, "desk", stopped, now_ms=now_ms)
        with self.store.read() as connection:
            untold = [c for c in open_conditions(connection) if c.kind == "desk" and c.subject == self.run and c.told_ms is None]
        return asyncio.run(self._tell(untold, now_ms))

    async def _tell(self, untold: list[Condition], now_ms: int) -> list[Condition]:
        return [c for c in untold if await tell(self.store, c, self.notifiers, base_url=self.base_url, now_ms=now_ms)]

    def watch(self, stopped: Callable[[float], bool]) -> None:
        """Look again and again, until `stopped(seconds to wait)` is true; a store that is away is waited for."""
        while not stopped(WATCH_EVERY_S):
            try:
                self.look()
            except GroundswellError as error:
                _log.warning("the watchdog cannot look", reason=reason_of(error))


def desk_stopped(connection: Connection, run: str, *, partitions: int = CONTRIBUTION_PARTITIONS) -> dict[str, str]:
    """{run: by how much} where fold is far ahead of the run's desk; a run that has folded nothing has not begun."""
    p = t.progress.c
    folded = folded_ms(connection, run, partitions=partitions)
    time_ms, owner = connection.execute(select(func.max(p.time_ms), func.max(p.owner)).where(p.run == run, p.role == ROLE_DESK)).one()
    if folded == NEVER_TICK:
        return {}
    if time_ms is None:
        return {run: "no desk has ever decided anything, though there are folded ticks; no alert can come"}
    if folded - time_ms <= STOPPED_MS:
        return {}
    return {run: f"{owner} has decided nothing of the last {(folded - time_ms) // 1_000} s that are folded; no alert can come"}


def start(watchdog: Watchdog) -> threading.Event:
    """Watch in a thread of its own; setting the event ends it."""
    ended = threading.Event()
    threading.Thread(target=watchdog.watch, args=(ended.wait,), name="watchdog", daemon=True).start()
    return ended
