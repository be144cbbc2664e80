"""The contribution partitions of one fold process, from one rebalance to the next. No Kafka in here.

Every partition hears of every tick, so all of a process close their ticks at about the same time. They are committed together: one
transaction with the rows and the progress of all, where one for each of 32 partitions was a third of what fold cost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from alerts.rules import Rules
from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.derived import insert_candidates, insert_increments, insert_rows, insert_stories
from groundswell.store.progress import advance_all
from groundswell.store.store import Store
from stream.operators.admit import tick_of
from stream.pipeline import Folded
from stream.shells.fold_worker import FoldInput, FoldPartition
from stream.shells.versions import VersionsInForce

COMMIT_RECORDS: Final = 20_000
"""Contributions of one transaction, about: whole partitions only. Rows of all are in memory at once, and a group that gives partitions
away waits for the transaction in hand."""

HOURS_REMEMBERED: Final = 10_000


class SharedHours:
    """The hours whose rows a process has committed already.

    Source hours and exposures are the same in every partition, and every partition may have to be rebuilt from them, so each
    one stores them. Within a process the first is enough.
    """

    def __init__(self) -> None:
        self._stored: dict[int, None] = {}

    def new_only(self, folded: Folded) -> None:
        """Take the rows of stored hours out."""
        folded.source_hours = [row for row in folded.source_hours if row.hour not in self._stored]
        folded.exposures = [row for row in folded.exposures if row.hour not in self._stored]

    def committed(self, folded: Folded) -> None:
        """Remember what has been committed: every closed hour has an exposure row."""
        self._stored |= dict.fromkeys(row.hour for row in folded.exposures)
        for hour in list(self._stored)[:-HOURS_REMEMBERED]:
            del self._stored[hour]


@dataclass
class FoldProcess:
    """Takes messages of its partitions and commits what they close.

    Args:
        store: where everything is stored.
        run: whose contributions.
        rules: those of a run that has no others.
        owner: who writes the progress.
        log_id: the topic.
        hours: of this process, whatever partitions it has.
        raw_partitions: how many raw partitions have to pass a tick before it is closed.
        partitions: how many contribution partitions the run has.
        kind: what a partition is; a test may break it.
    """

    store: Store
    run: str
    rules: Rules
    owner: str
    log_id: str
    hours: SharedHours = field(default_factory=SharedHours)
    raw_partitions: int = RAW_PARTITIONS
    partitions: int = CONTRIBUTION_PARTITIONS
    kind: type[FoldPartition] = FoldPartition
    owned: dict[int, FoldPartition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._in_force = VersionsInForce(self.run, self.rules)

    def take(self, waiting: dict[int, list[FoldInput]], *, records_max: int = COMMIT_RECORDS) -> dict[int, int]:
        """Take messages of as many partitions as one transaction may hold out of `waiting`, fold what they close, and commit.

        Args:
            waiting: messages by partition; at least one partition's are taken, all of them.
            records_max: with so many contributions held no further partition joins the transaction.

        Returns:
            {partition that was taken: lowest offset of it that must not be acknowledged yet}

        Raises:
            ContinuityError: messages are missing, time went back, or the stored progress belongs to another topic.
            RecordError: something else was written to the topic.
            OwnershipLostError: another process owns one of the partitions; nothing was stored.
            DependencyError: the store is away; nothing was stored.
        """
        taken: list[FoldPartition] = []
        records = 0
        for partition in sorted(waiting):
            mine = self.partition(partition)
            mine.offer(waiting.pop(partition))
            taken.append(mine)
            records += mine.gate.records_held
            if records >= records_max:
                break
        self._commit(taken)
        return {mine.claim.part: mine.needed for mine in taken}

    def _commit(self, taken: Iterable[FoldPartition]) -> None:
        """Fold and store what has closed: one transaction for all, or nothing of any."""
        due = sorted((mine for mine in taken if mine.is_due), key=lambda mine: mine.claim.part)
        if not due:
            return
        with self.store.read() as connection:
            self._in_force.renew(connection)
        closed = [mine.close() for mine in due]
        rows = together([folded for folded, _ in closed])
        self.hours.new_only(rows)
        with self.store.write() as connection:
            # First: a zombie must meet the fence, not the new owner's rows.
            claims = advance_all(connection, [move for _, move in closed])
            self._in_force.check(connection, before_ms=max(tick_of(mine.gate.time_ms) for mine in due) * TICK_MS)
            store_folded(self.store, connection, self.run, rows)
        self.hours.committed(rows)
        for mine, claimed, (folded, _) in zip(due, claims, closed, strict=True):
            mine.claim = claimed
            mine.leaders_crowded_out += folded.leaders_crowded_out

    def partition(self, partition: int) -> FoldPartition:
        """One of its partitions, claimed and loaded where it is new."""
        if partition not in self.owned:
            self.owned[partition] = self.kind.open(
                self.store,
                self.run,
                partition,
                rules=self.rules,
                owner=self.owner,
                log_id=self.log_id,
                in_force=self._in_force,
                raw_partitions=self.raw_partitions,
                partitions=self.partitions,
            )
        return self.owned[partition]


def together(found: Sequence[Folded]) -> Folded:
    """The rows of several partitions. What each of them computes alike is there once, in one order for all processes that store it."""
    return Folded(
        increments=[row for each in found for row in each.increments],
        stories=[row for each in found for row in each.stories],
        baselines=[row for each in found for row in each.baselines],
        source_hours=sorted({row for each in found for row in each.source_hours}, key=lambda row: (row.hour, row.source, row.language)),
        exposures=sorted({row for each in found for row in each.exposures}, key=lambda row: (row.hour, row.language)),
        blind_spans=sorted({row for each in found for row in each.blind_spans}, key=lambda row: (row.source, row.since_tick)),
        candidates=[row for each in found for row in each.candidates],
    )


def store_folded(store: Store, connection: Connection, run: str, folded: Folded) -> None:
    """Write what closed ticks have led to, within the caller's transaction."""
    insert_increments(store, connection, run, folded.increments)
    insert_stories(store, connection, run, folded.stories)
    baselines = [
        {"series": r.series, "period_s": r.period_s, "period": r.index, "negative": r.negative, "stories": r.stories}
        for r in folded.baselines
    ]
    insert_rows(store, connection, run, t.baselines, baselines)
    insert_rows(store, connection, run, t.source_hours, map(vars, folded.source_hours))
    insert_rows(store, connection, run, t.exposures, map(vars, folded.exposures))
    insert_rows(store, connection, run, t.blind_spans, map(vars, folded.blind_spans))
    insert_candidates(store, connection, run, folded.candidates)
