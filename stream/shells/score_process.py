"""The raw partitions of one score process, from one rebalance to the next. No Kafka in here.

What a round brings of several partitions is stored in one transaction: its statements cost the same for ten documents and for a thousand,
and a live run has few documents in each of many partitions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from groundswell.metrics import Metrics
from groundswell.names import CONTRIBUTION_PARTITIONS, ENVELOPE_BYTES_MAX
from stream.operators.lead import Lead
from stream.shells.intake_stage import IntakeStage
from stream.shells.score_worker import BATCH_BYTES, ScorePartition, in_batches, lead_of, take_together
from stream.shells.wire import RawBatch, RawMessage

TOGETHER_BYTES: Final = ENVELOPE_BYTES_MAX
"""With so many raw bytes no further partition joins a transaction, which with a slow model would last for minutes; the last one that joins
may bring BATCH_BYTES of its own. As much work may be lost with one partition."""


class Stored(NamedTuple):
    """What became of a partition's messages."""

    messages: int  # that were taken, from the first on; 0: the partition has to wait for fold
    batches: list[RawBatch]  # to send before they are acknowledged


@dataclass
class ScoreProcess:
    """Takes messages of its partitions and stores what they bring.

    Args:
        stage: the model and the store; called by one thread at a time.
        owner: who writes the progress.
        log_id: the topic.
        live: the log's append time is the stamp; an archive's records bring their own.
        metrics: instruments of this process.
        lead: makes what says how far a partition may run ahead of what is folded.
        partitions: how many contribution partitions fold the run.
        kind: what a partition is; a test may break it.
    """

    stage: IntakeStage
    owner: str
    log_id: str
    live: bool
    metrics: Metrics | None = None
    lead: Callable[[], Lead] = lead_of
    partitions: int = CONTRIBUTION_PARTITIONS
    kind: type[ScorePartition] = ScorePartition
    owned: dict[int, ScorePartition] = field(default_factory=dict)

    def take(
        self, waiting: dict[int, list[RawMessage]], *, batch_bytes: int = BATCH_BYTES, together_bytes: int = TOGETHER_BYTES
    ) -> Mapping[int, Stored]:
        """Take a batch of each of as many partitions as one transaction may hold out of `waiting`, and store what they bring.

        Args:
            waiting: messages by partition; at least one partition is looked at.
            batch_bytes: of one partition, about.
            together_bytes: with so many no further partition joins.

        Raises:
            ContinuityError: messages are missing, or the stored progress belongs to another topic.
            OwnershipLostError: another process owns one of the partitions; nothing new was stored.
            DependencyError: the store is away; nothing new was stored.
        """
        found, given = self._cut(waiting, batch_bytes=batch_bytes, together_bytes=together_bytes)
        for (mine, messages), batches in zip(given, take_together(given), strict=True):
            found[mine.claim.part] = Stored(len(messages), batches)
        return found

    def _cut(
        self, waiting: dict[int, list[RawMessage]], *, batch_bytes: int, together_bytes: int
    ) -> tuple[dict[int, Stored], list[tuple[ScorePartition, list[RawMessage]]]]:
        """What one transaction takes out of `waiting`, and the partitions that have to wait."""
        found: dict[int, Stored] = {}
        given: list[tuple[ScorePartition, list[RawMessage]]] = []
        size_bytes = 0
        for partition in sorted(waiting):
            mine = self.partition(partition)
            if given and mine.claim.follows_death:  # its records are scored one by one, which may last; nobody else's wait for that
                continue
            messages = waiting.pop(partition)
            if not mine.may_take(messages[0].offset):
                found[partition] = Stored(0, [])
                continue
            given.append((mine, in_batches(messages, bytes_max=batch_bytes)[0]))
            size_bytes += sum(len(message.body) for message in given[-1][1])
            if size_bytes >= together_bytes or mine.claim.follows_death:
                break
        return found, given

    def partition(self, partition: int) -> ScorePartition:
        """One of its partitions, claimed and loaded where it is new."""
        if partition not in self.owned:
            self.owned[partition] = self.kind.open(
                self.stage,
                partition,
                owner=self.owner,
                log_id=self.log_id,
                live=self.live,
                metrics=self.metrics,
                lead=self.lead(),
                partitions=self.partitions,
            )
        return self.owned[partition]
