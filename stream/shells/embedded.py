"""The embedded shell: one process, a local log in Kafka's place. Kill it at any moment and it goes on.

    log.read -> IntakeStage.take (commit) -> gate -> Fold.step, DeskStage.decide (commit with the progress) -> ...

After a restart it reads from the lowest offset that was not folded; what is stored already is met as a replay.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics
from groundswell.names import ROLE_DESK, ROLE_FOLD, ROLE_SCORE, TICK_MS
from groundswell.records import Alert
from groundswell.store.progress import NEVER_TICK, Claim, advance, claim
from groundswell.store.store import Store
from stream.operators.admit import Gate, StampClock, tick_end_ms, tick_of
from stream.pipeline import Fold, Folded
from stream.shells.desk_stage import DeskStage
from stream.shells.fold_process import store_folded
from stream.shells.instruments import Instruments
from stream.shells.intake_stage import IntakeStage, raw_records
from stream.shells.isolation import OpenBatch
from stream.shells.rebuild import rebuild_fold

BATCH = 1_000


@dataclass
class EmbeddedPipeline:
    """All three stages over one local log.

    Args:
        store: where everything is stored.
        log: the raw log.
        run: name of the run.
        instruments: model, rules and catalogue in force.
        targets: where alerts are sent; empty for every run but live.
        metrics: instruments of this process.
        fold: memory to begin a new run with, where it is not to be empty and as the instruments say.
        open_batch: makes documents of the log's records, where it does not hold raw ones.

    Raises:
        ContinuityError: the store's progress belongs to another log.
    """

    store: Store
    log: LocalLog
    run: str
    instruments: Instruments
    targets: Sequence[str] = ()
    metrics: Metrics | None = None
    fold: Fold | None = None
    open_batch: OpenBatch | None = None
    alerts_seen: int = field(default=0, init=False)
    records_read: int = field(default=0, init=False)  # by this process

    def __post_init__(self) -> None:
        made = self.instruments
        if made.models is not None:
            made.models.metrics = self.metrics
        if self.metrics:
            self.metrics.observe_model(made.scorer.model_id)
        scorers = made.scorers(self.store, self.run)
        self._intake = IntakeStage(self.store, self.run, made.scorer, scorers=scorers, open_batch=self.open_batch or raw_records)
        self._in_force = made.in_force(self.run)
        self._desk = DeskStage(self.store, self.run, made.display, self._in_force, self.targets, made.sector)
        owner = f"{socket.gethostname()}:{os.getpid()}"
        self._claims: dict[str, Claim] = {
            role: claim(self.store, self.run, role, owner=owner, log_id=self.log.log_id) for role in (ROLE_SCORE, ROLE_FOLD, ROLE_DESK)
        }
        folded = self._claims[ROLE_FOLD]
        self._fold = self.fold or Fold(made.rules)
        with self.store.read() as connection:
            self._in_force.renew(connection)
            if folded.closed_tick != NEVER_TICK:
                self._fold = rebuild_fold(connection, self.run, in_force=self._in_force, through_tick=folded.closed_tick)
                self._desk.restore(connection, through_tick=folded.closed_tick)
        self._gate = Gate(1, closed_tick=folded.closed_tick)
        # What is read from here on was not folded; a record that the log stamped before a time that was passed is late, not lost.
        self._clock = StampClock() if folded.time_ms == NEVER_TICK else StampClock(passed_ms(folded))
        self._unfolded: deque[tuple[int, int]] = deque()  # (offset, known_ms) of records read but not folded yet
        self._next = folded.next_offset

    @property
    def time_ms(self) -> int:
        """The log's time: the stamp of the last record read."""
        return self._clock.time_ms

    def step(self, *, limit: int = BATCH, until_ms: int | None = None) -> int:
        """Take the next records, at most `limit`, and fold the ticks that they close.

        Returns:
            How many records were read; 0 when there is nothing new.

        Raises:
            DependencyError: the store is away: end the process (or build a new pipeline), nothing is lost.
            OwnershipLostError: another process has taken this run.
        """
        batch = self.log.read(self._next, limit=limit, until_ms=until_ms)
        if batch:
            passed_ms, began_s = self._clock.time_ms, time.monotonic()
            taken, moved = self._intake.take(batch, self._clock, claim=self._claims[ROLE_SCORE])
            self._claims[ROLE_SCORE] = moved or self._claims[ROLE_SCORE]
            if self.metrics:
                seconds = time.monotonic() - began_s
                self.metrics.observe_intake(taken.admissions, taken.scored, taken.drops, seconds=seconds, known_ms=self._clock.time_ms)
            self._gate.offer(0, contributions=[c for _, c in taken.contributions], arrivals=taken.arrivals)
            self._unfolded.extend((stamped.position.offset, max(stamped.known_ms, passed_ms)) for stamped in batch)
            self._next = batch[-1].position.offset + 1
            self.records_read += len(batch)
            self._close_ticks(self._clock.time_ms)
        if self.metrics:
            self.metrics.observe_lags("intake", {0: self.log.end_position() - self._next})
        return len(batch)

    def _close_ticks(self, time_ms: int) -> None:
        """Everything known before a time has been read: fold and decide the ticks that end by then, in one transaction."""
        began_s = time.monotonic()
        self._gate.advance(0, time_ms)
        folded = Folded()
        alerts: list[Alert] = []
        closed, before = list(self._gate.close()), self._claims[ROLE_FOLD]
        if not closed and tick_of(time_ms) <= tick_of(before.time_ms):
            return
        last_tick = closed[-1].tick if closed else before.closed_tick  # quiet ticks move time alone: "behind" must not look like "calm"
        with self.store.write() as connection:
            self._move(connection, last_tick, time_ms)  # first: a zombie must meet the fence, not the new owner's rows
            self._in_force.renew(connection)  # behind the fence nothing can come into force for a tick that is folded here
            self._fold.plan = self._in_force.plan()
            found = [(tick.tick, self._fold.step(tick, folded)) for tick in closed]
            store_folded(self.store, connection, self.run, folded)  # first: the desk looks at what is stored
            for tick, candidates in found:
                alerts += self._desk.decide(connection, tick, candidates)
        self.alerts_seen += len(alerts)
        if self.metrics:
            seconds = time.monotonic() - began_s
            closed_tick = tick_of(time_ms) - 1
            self.metrics.observe_tick(closed_tick, held_records=self._gate.records_held, seconds=seconds)
            self.metrics.observe_crowded_out(folded.leaders_crowded_out)
            self.metrics.observe_decided(closed_tick, alerts)

    def _move(self, connection: Connection, last_tick: int, time_ms: int) -> None:
        while self._unfolded and tick_of(self._unfolded[0][1]) < tick_of(time_ms):
            self._unfolded.popleft()
        next_offset = self._unfolded[0][0] if self._unfolded else self._next
        for role in (ROLE_FOLD, ROLE_DESK):
            self._claims[role] = advance(connection, self._claims[role], next_offset=next_offset, time_ms=time_ms, closed_tick=last_tick)

    def finish(self) -> None:
        """The log has ended (an archive): close every tick that is still open."""
        if self._unfolded:
            self._close_ticks(self._unfolded[-1][1] + 2 * TICK_MS)


def passed_ms(folded: Claim) -> int:
    """The time that a stored progress has passed: the open tick's start, since items of that tick are read again."""
    end_ms = tick_end_ms(folded.closed_tick) if folded.closed_tick != NEVER_TICK else folded.time_ms
    return max(end_ms, tick_of(folded.time_ms) * TICK_MS)
