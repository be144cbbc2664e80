"""The desk of a Kafka installation: one owner of a fenced row decides what all fold partitions have closed. No Kafka in here.

    barrier = the last tick that is closed on every contribution partition
    loop: candidates up to the barrier, tick by tick -> DeskStage.decide -> one transaction with the desk's progress

It sends nothing: the outbox is the sender's.
"""

import threading
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from groundswell.names import CONTRIBUTION_PARTITIONS, ROLE_DESK
from groundswell.records import Alert, Candidate
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates
from groundswell.store.progress import NEVER_TICK, Claim, advance, claim
from groundswell.store.store import Store
from groundswell.store.times import folded_ms
from stream.operators.admit import tick_of
from stream.shells.desk_stage import DeskStage
from stream.shells.instruments import Instruments

TICKS: Final = 100
"""Ticks with candidates that are decided in one transaction."""


@dataclass
class DeskWorker:
    """The desk of one run. A second one takes the row over; the first then ends at its next commit.

    Args:
        store: where everything is stored.
        run: whose candidates.
        instruments: rules, and the reader's words for series.
        owner: who this is, for the row: host and process.
        targets: where alerts are sent; empty for every run but live.
        partitions: how many contribution partitions have to close a tick before it is decided.
    """

    store: Store
    run: str
    instruments: Instruments
    owner: str
    targets: tuple[str, ...] = ()
    partitions: int = CONTRIBUTION_PARTITIONS
    _claim: Claim = field(init=False)
    _stage: DeskStage = field(init=False)

    def __post_init__(self) -> None:
        i = self.instruments
        self._stage = DeskStage(self.store, self.run, i.display, i.in_force(self.run), self.targets, i.sector)
        self._claim = claim(self.store, self.run, ROLE_DESK, owner=self.owner)
        if self._claim.closed_tick != NEVER_TICK:
            with self.store.read() as connection:
                self._stage.restore(connection, through_tick=self._claim.closed_tick)

    @property
    def closed_tick(self) -> int:
        """The last tick that was decided; NEVER_TICK before the first."""
        return self._claim.closed_tick

    def step(self) -> list[Alert] | None:
        """Decide the next closed ticks, at most `TICKS` of those with candidates.

        Returns:
            The alerts that this led to; None when no tick has closed since the last call.

        Raises:
            OwnershipLostError: another desk has taken the run; nothing was stored.
            DependencyError: the store is away: end the process (or make a new worker), nothing is lost.
        """
        with self.store.read() as connection:
            time_ms = folded_ms(connection, self.run, partitions=self.partitions)
            if time_ms == NEVER_TICK or tick_of(time_ms) - 1 <= self._claim.closed_tick:
                return None
            row = t.candidates.c
            span = row.tick.between(self._claim.closed_tick + 1, tick_of(time_ms) - 1)
            ticks = list(
                connection.execute(select(row.tick).where(row.run == self.run, span).distinct().order_by(row.tick).limit(TICKS)).scalars()
            )
            found = load_candidates(connection, self.run, since_tick=ticks[0], through_tick=ticks[-1]) if ticks else []
        closed_tick = ticks[-1] if len(ticks) == TICKS else tick_of(time_ms) - 1
        return self._decide(found, closed_tick=closed_tick, time_ms=time_ms)

    def _decide(self, candidates: list[Candidate], *, closed_tick: int, time_ms: int) -> list[Alert]:
        by_tick: dict[int, list[Candidate]] = {}
        for candidate in candidates:
            by_tick.setdefault(candidate.tick, []).append(candidate)
        alerts: list[Alert] = []
        with self.store.write() as connection:
            # First: a desk that was replaced must meet the fence, not the new one's rows.
            self._claim = advance(connection, self._claim, next_offset=self._claim.next_offset, time_ms=time_ms, closed_tick=closed_tick)
            self._stage.in_force.renew(connection)  # behind the fence nothing can come into force for a tick that is decided here
            for tick, found in sorted(by_tick.items()):
                alerts += self._stage.decide(connection, tick, found)
        return alerts

    def run_until(self, stopped: threading.Event, *, poll_s: float = 0.5) -> None:
        """Decide until told to stop; `step`'s errors end it."""
        while not stopped.is_set():
            if self.step() is None:
                stopped.wait(poll_s)
