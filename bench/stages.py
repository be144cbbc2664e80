"""What a document costs in each stage, in one process and without Kafka: the stages as the workers drive them, with PostgreSQL.

Processor time of this process alone: the broker's, the store's and the client library's of Kafka are in `resources`. The scorer costs
nothing. The lines "of it" are the pure operators of a stage, driven once more by themselves over the same documents; what is left of the
stage is its way to the store. Two commits are compared by running this file in a checkout of each, in turn.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

import msgspec

from bench.material import ENVELOPE_RECORDS, CheapScorer, documents, instruments
from bench.pipeline import Ratio
from groundswell.codec import encode
from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, TICK_MS
from groundswell.records import Contribution, Document, Envelope, Score
from groundswell.store.store import Store
from stream.operators.admit import ClosedTick, Gate, StampClock
from stream.operators.contribute import contribute
from stream.operators.stories import Leaders
from stream.operators.windows import increments_of
from stream.pipeline import Fold, Folded, open_records
from stream.shells.fold_process import FoldProcess
from stream.shells.fold_worker import FoldInput
from stream.shells.instruments import open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.publish import raw_partition
from stream.shells.score_process import ScoreProcess
from stream.shells.wire import FoldPart, RawBatch, RawMessage, fold_messages, open_fold_message, punctuation, stamp_message
from stream.shells.worker import spare_the_collector
from tests.peers import fresh_database, postgres_cluster

DOCUMENTS: Final = 20_000
PER_S: Final = 50.0  # on the known axis
ROUNDS: Final = 3
ENVELOPES: Final = 4  # of a raw partition to a transaction, about as many as a worker takes from a burst
FOR_EVER_MS: Final = 2**62
RUN: Final = "stages"
T = TypeVar("T")


class Meter:
    """Processor seconds of this thread, by what they were used for."""

    def __init__(self) -> None:
        self.used_s: dict[str, float] = {}

    def call(self, name: str, work: Callable[[], T]) -> T:
        """Do a piece of work and add what it used."""
        began_s = time.thread_time()
        try:
            return work()
        finally:
            self.used_s[name] = self.used_s.get(name, 0.0) + time.thread_time() - began_s


def of_stages(folder: Path, count: int = DOCUMENTS, rounds: int = ROUNDS) -> list[Ratio]:
    """Microseconds a document: the score stage, the messages between both, the fold stage, and the pure operators of each."""
    folder.mkdir(parents=True)
    logs = raw_logs(count)
    meters = []
    with postgres_cluster() as server, _collector_of_a_worker():
        for _ in range(rounds):
            meters.append(Meter())
            with fresh_database(server) as url:
                _drive(Store(url), logs, meters[-1])
    used = {name: median(meter.used_s[name] for meter in meters) for name in meters[0].used_s}
    whole = sum(spent for name, spent in used.items() if not name.startswith("of it"))
    what = f"{count:,} documents in envelopes of {ENVELOPE_RECORDS}, {PER_S:.0f}/s on the known axis, medians of {rounds} runs"
    return [
        Ratio(name, "all stages", spent / whole, "printed", f"{1e6 * spent / count:.1f} of {1e6 * whole / count:.1f} microseconds; {what}")
        for name, spent in used.items()
    ]


@contextmanager
def _collector_of_a_worker() -> Iterator[None]:
    before = gc.get_threshold()
    spare_the_collector()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def raw_logs(count: int) -> list[list[RawMessage]]:
    """The raw partitions of a run as an archive fills them: envelopes, and at the end that time has passed them."""
    bodies: list[list[msgspec.Raw]] = [[] for _ in range(RAW_PARTITIONS)]
    last_ms = 0
    for document in documents(count, per_s=PER_S):
        last_ms = document.known_ms or 0
        bodies[raw_partition(document, known_ms=last_ms)].append(msgspec.Raw(encode(document)))
    logs = []
    for found in bodies:
        packed = [encode(Envelope(records=found[at : at + ENVELOPE_RECORDS])) for at in range(0, len(found), ENVELOPE_RECORDS)]
        packed.append(punctuation(last_ms + 2 * TICK_MS))
        logs.append([RawMessage(offset, last_ms, body) for offset, body in enumerate(packed)])
    return logs


def _drive(store: Store, logs: Sequence[Sequence[RawMessage]], meter: Meter) -> None:
    """All raw partitions in rounds, as a worker takes them; then every contribution partition takes what the round brought."""
    made = instruments()
    open_run(store, RUN, kind="backfill", instruments=made)
    intake = IntakeStage(store, RUN, made.scorer, shared=True)
    score = ScoreProcess(intake, owner="bench", log_id="bench", live=False)
    for part in range(RAW_PARTITIONS):
        score.partition(part)
    fold = FoldProcess(store, RUN, made.rules, owner="bench", log_id="bench")
    for part in range(CONTRIBUTION_PARTITIONS):
        fold.partition(part)
    offsets = [0] * CONTRIBUTION_PARTITIONS
    sent: list[RawBatch] = []
    for at in range(0, max(map(len, logs)), ENVELOPES):
        batches: list[RawBatch] = []
        raw = {part: list(log[at : at + ENVELOPES]) for part, log in enumerate(logs) if log[at : at + ENVELOPES]}
        while raw:
            for stored in meter.call("score", partial(score.take, raw)).values():
                batches += stored.batches
        pieces = meter.call("messages for fold", partial(fold_messages, batches))
        waiting = {part: [FoldInput(offsets[part] + place, body) for place, body in enumerate(found)] for part, found in enumerate(pieces)}
        offsets = [offset + len(found) for offset, found in zip(offsets, pieces, strict=True)]
        while waiting:
            meter.call("fold", partial(fold.take, waiting))
        sent += batches
    store.close()
    _operators(logs, sent, meter)


def _operators(logs: Sequence[Sequence[RawMessage]], sent: Sequence[RawBatch], meter: Meter) -> None:
    """The pure parts by themselves."""
    scorer = CheapScorer()
    for part, log in enumerate(logs):
        found = meter.call("of it score: decode, normalise, identity", partial(_opened, part, log))
        meter.call("of it score: contribute", partial(_contributed, list(zip(found, scorer.score(found), strict=True))))
    rules = instruments().rules
    for pieces in fold_messages(sent):
        opened = meter.call("of it fold: decode", partial(_decoded, pieces))
        closed = meter.call("of it fold: gate", partial(_closed, opened))
        for tick in closed:
            for found_in_series in _by_series(tick.contributions):
                placed = meter.call("of it fold: stories", partial(_placed, Leaders(), found_in_series, tick.tick))
                meter.call("of it fold: windows", partial(increments_of, tick.tick, placed))
        meter.call("of it fold: all of the fold", partial(_folded, Fold(rules), closed))


def _opened(part: int, log: Iterable[RawMessage]) -> list[Document]:
    clock = StampClock()
    return [d for m in log for _, d in open_records(stamp_message(m, part, clock, live=False), StampClock()).documents]


def _contributed(scored: Iterable[tuple[Document, Score | None]]) -> list[Contribution]:
    return [each for document, score in scored if score is not None for each in contribute(document, score)]


def _decoded(pieces: Iterable[bytes]) -> list[FoldPart]:
    return [part for body in pieces for part in open_fold_message(body).parts]


def _closed(parts: Iterable[FoldPart]) -> list[ClosedTick]:
    gate = Gate(RAW_PARTITIONS)
    for part in parts:
        for item in part.items:
            gate.offer(part.partition, contributions=item.contributions, arrivals=item.arrivals)
    for partition in range(RAW_PARTITIONS):
        gate.advance(partition, FOR_EVER_MS)
    return list(gate.close())


def _placed(leaders: Leaders, found: Sequence[Contribution], tick: int) -> list[tuple[Contribution, str]]:
    return [(each, story) for each, (story, _) in zip(found, leaders.assign_all(found, tick=tick), strict=True)]


def _folded(fold: Fold, closed: Iterable[ClosedTick]) -> None:
    for tick in closed:
        fold.step(tick, Folded())


def _by_series(contributions: Sequence[Contribution]) -> Iterator[list[Contribution]]:
    ordered = sorted(contributions, key=lambda c: c.series)
    return (list(found) for _, found in groupby(ordered, key=lambda c: c.series))
