"""The two agents of the Kafka shell: batches of events in, work done in a thread, events acknowledged in order. No import of Faust.

    score   raw partitions: facts stored, contributions sent to every partition and delivered, then acknowledged
    fold    contribution partitions: closed ticks folded and committed, then acknowledged; the rest is held

The application, its consumer and its topics are handed in (kafka.py). What is owned is keyed by partition and generation: after every
rebalance it is thrown away, claimed again and loaded from the store.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Final, Literal, TypeVar

from aiokafka.errors import KafkaError

from alerts.rules import Rules
from groundswell import names
from groundswell.errors import OwnershipLostError, reason_of
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.probes import Probes
from groundswell.store.progress import NEVER_TICK
from groundswell.store.store import Store
from stream.operators.admit import tick_of
from stream.shells.fold_process import FoldProcess, SharedHours
from stream.shells.fold_worker import FoldInput, FoldPartition
from stream.shells.intake_stage import IntakeStage
from stream.shells.rights import cause_of
from stream.shells.score_process import ScoreProcess
from stream.shells.score_worker import lead_of
from stream.shells.topics import TopicIds, is_live
from stream.shells.wire import RawBatch, RawMessage, fold_messages, punctuation
from stream.shells.worker import StallWatch, WorkerSettings, end_process

TAKE_RAW: Final = 64
"""Messages of one round, of all partitions together. More make fewer transactions, but fold waits longer for each round: with 256 a burst
was scored in nine tenths of the time, and folded no sooner."""

TAKE_CONTRIBUTIONS: Final = 512

TAKE_WITHIN_S: Final = 0.2
FINISH_WITHIN_S: Final = 20.0
LOOK_WITHIN_S: Final = 4.0
HELD_WARNING: Final = 100_000
"""Contributions that one partition holds back before a line says which raw partition is behind."""

T = TypeVar("T")
_log = logger("groundswell.kafka")


def own_topic(app: Any, name: str, *, partitions: int) -> Any:
    """A topic of raw bytes that this project makes itself."""
    return app.topic(
        name, partitions=partitions, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", allow_empty=True
    )


class Agent(ABC):
    """What both agents share: a thread for the work, and memory that lasts for one generation of the group."""

    topic: Any  # what it reads
    stage: Literal["intake", "fold"]  # as metrics call it
    take_max: int  # messages of one batch

    def __init__(
        self, app: Any, settings: WorkerSettings, ids: TopicIds, watch: StallWatch, probes: Probes, metrics: Metrics | None
    ) -> None:
        self.app, self.settings, self.ids, self.watch, self.probes, self.metrics = app, settings, ids, watch, probes, metrics
        self.generation: int | None = None
        self._done: dict[int, int] = {}  # partition -> offset behind the last message that was worked on
        self.leaving = False  # a rebalance has begun: finish the transaction in hand, begin no other
        self._busy = asyncio.Lock()
        # One thread: a scorer is called from one thread at a time, and the event loop keeps its heartbeats.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="groundswell-work")

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do blocking work off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def run(self, stream: Any) -> None:
        """Take batches until the worker stops; any error ends the process, so that nothing of a failed batch is ever acknowledged."""
        try:
            async for events in stream.noack_take(self.take_max, within=TAKE_WITHIN_S):
                self.watch.beat()
                await self.safely(partial(self.handle, events))
                self._done |= {e.message.partition: e.message.offset + 1 for e in events if e.message.generation_id == self.generation}
                self.watch.beat()
        finally:
            self.generation = None  # a timer may outlive this, and must not begin a round behind one that was cut off

    async def safely(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do one piece of work at a time, and end the process if it fails."""
        try:
            async with self._busy:
                await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # whatever it is, nothing may be acknowledged after it
            role = names.ROLE_SCORE if self.stage == "intake" else names.ROLE_FOLD
            error = await asyncio.to_thread(cause_of, error, self.settings.kafka, self.settings.run, role=role)
            end_process(error, place=f"{type(self).__name__}, run {self.settings.run!r}")

    @abstractmethod
    async def handle(self, events: list[Any]) -> None:
        """Work on one batch of events and acknowledge, in order, what is done."""

    def of_now(self, events: list[Any]) -> dict[int, list[Any]]:
        """The events of the present generation by partition, in order; on a new generation all memory is dropped first."""
        generation = self.app.consumer_generation_id
        if generation != self.generation:
            self.forget()
            self.generation, self.leaving, self._done = generation, False, {}
        found: dict[int, list[Any]] = defaultdict(list)
        for event in events:
            if event.message.generation_id == generation:
                found[event.message.partition].append(event)
        return found

    async def assigned(self, _app: Any, _partitions: Any, **_: Any) -> None:
        """Partitions have been given to this worker: the same ones or others, but always as if for the first time."""
        if self.leaving and self.app.consumer_generation_id == self.generation:
            # Events from before cannot be told from those that are delivered again; a new process has none.
            end_process(OwnershipLostError("the group gave partitions back within one generation"), place=type(self).__name__)
        self.probes.is_ready()

    async def look(self) -> None:
        """Every few seconds: the loop turns; and how much the broker holds that is not done, whatever the client believes."""
        self.probes.beat()
        mine = [tp for tp in self.app.consumer.assignment() if tp.topic == self.topic.get_topic_name()]
        if self.app.rebalancing or not mine:
            self._observe_lags({})
            return
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                ends = await self.app.consumer.highwaters(*mine)
                position = self.app.consumer.position
                behind = {tp.partition: ends[tp] - self._done.get(tp.partition, await position(tp) or 0) for tp in mine}
        except (TimeoutError, KafkaError) as error:
            _log.debug("the lag is not known", reason=reason_of(error))
            return
        self.watch.see(lag=sum(max(0, each) for each in behind.values()))
        self._observe_lags(behind)

    def _observe_lags(self, messages: Mapping[int, int]) -> None:
        if self.metrics is not None:
            self.metrics.observe_lags(self.stage, messages)

    @abstractmethod
    def forget(self) -> None:
        """Drop everything that is known of partitions."""

    def is_current(self, generation: int | None) -> bool:
        """Whether work of a generation may go on."""
        return not self.leaving and self.app.consumer_generation_id == generation

    async def revoked(self, _app: Any, _partitions: Any, **_: Any) -> None:
        """Partitions are about to be given to somebody: the transaction in hand is finished first, so that nobody's is cut off."""
        self.leaving = True
        self.watch.rest()
        self.probes.waits("the group shares its partitions out anew")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_WITHIN_S), self._busy:
                self.forget()


class ScoreAgent(Agent):
    """Raw partitions in, facts stored, contributions sent.

    The events of a partition that is too far ahead wait here, not acknowledged, and no more of it is fetched meanwhile.
    """

    stage = "intake"
    take_max = TAKE_RAW

    def __init__(self, *common: Any, stage: IntakeStage) -> None:
        super().__init__(*common)
        app, settings = self.app, self.settings
        self._intake = stage
        self._mine = self._nothing_owned()
        self._waiting: dict[int, deque[Any]] = defaultdict(deque)  # events that are not acknowledged, in order
        self.held_back: frozenset[int] = frozenset()  # partitions that wait on purpose
        self.topic = own_topic(app, names.raw_topic(settings.run), partitions=names.RAW_PARTITIONS)
        self._out = own_topic(app, names.contribution_topic(settings.run), partitions=names.CONTRIBUTION_PARTITIONS)

    def forget(self) -> None:
        """Drop everything that is known of partitions, and the events that waited."""
        self._mine, self._waiting, self.held_back = self._nothing_owned(), defaultdict(deque), frozenset()

    def _nothing_owned(self) -> ScoreProcess:
        settings = self.settings
        lead = partial(lead_of, held_records_max=settings.held_records_max, held_bytes_max=settings.held_bytes_max)
        return ScoreProcess(self._intake, settings.owner, self.ids.raw, is_live(settings.run), self.metrics, lead)

    async def handle(self, events: list[Any]) -> None:
        """Work off what has come, and what waited and may go on."""
        for partition, found in self.of_now(events).items():
            self._waiting[partition].extend(found)
        await self._work_off()

    async def look_again(self) -> None:
        """Partitions that wait for fold go on when it has come closer, though nothing new should arrive."""
        if self.held_back:
            self.watch.beat()
            await self.safely(self._work_off)

    async def _work_off(self) -> None:
        """In rounds: the next batch of every partition that may go on stored, sent to all fold partitions, delivered, acknowledged."""
        generation = self.generation
        while self.is_current(generation):
            ahead = {partition: list(islice(events, self.take_max)) for partition, events in sorted(self._waiting.items()) if events}
            taken, batches = await self._take(ahead)
            if not taken:
                if not self.is_current(generation):
                    return
                self._hold_back(frozenset(ahead))
                return
            await self._deliver(await self.in_thread(partial(fold_messages, batches)))
            for partition, size in taken.items():
                for _ in range(size):
                    self._waiting[partition].popleft().ack()

    async def _take(self, ahead: dict[int, list[Any]]) -> tuple[dict[int, int], list[RawBatch]]:
        """Take a batch of each partition that may go on; returns how many messages of each were taken, and what they led to.

        One piece of work for each transaction: with a slow model a round takes minutes, and a group that shares out anew waits for one.
        """
        generation, mine = self.generation, self._mine
        waiting = {partition: [_raw_message(event) for event in events] for partition, events in ahead.items()}
        taken: dict[int, int] = {}
        batches: list[RawBatch] = []
        while waiting and self.is_current(generation):
            for partition, stored in (await self.in_thread(partial(mine.take, waiting))).items():
                if stored.messages:
                    taken[partition] = stored.messages
                    batches += stored.batches
            self.watch.beat()
        return taken, batches

    def _hold_back(self, partitions: frozenset[int]) -> None:
        """Fetch no more of partitions that wait, and go on fetching those that do not.

        Faust's own pressure switch: with its `pause_partitions` what has been fetched already is thrown away.
        """
        consumer, topic = self.app.consumer, names.raw_topic(self.settings.run)
        mine = {tp.partition: tp for tp in consumer.assignment() if tp.topic == topic}
        for partition in partitions & mine.keys():
            consumer.on_buffer_full(mine[partition])
        for partition in (self.held_back - partitions) & mine.keys():
            consumer.on_buffer_drop(mine[partition])
        if partitions != self.held_back:
            _log.info("raw partitions wait until fold has come closer", partitions=sorted(partitions))
        self.held_back = partitions
        if self.metrics is not None:
            self.metrics.observe_held_back(len(partitions))

    async def _deliver(self, messages: list[list[bytes]]) -> None:
        """Send to every partition and wait until the broker has all of it; a second piece follows only a delivered first one."""
        for piece in range(max(map(len, messages))):
            sent = [
                await self._out.send(partition=partition, value=pieces[piece])
                for partition, pieces in enumerate(messages)
                if piece < len(pieces)
            ]
            await asyncio.gather(*sent)

    async def punctuate(self) -> None:
        """Let time pass in the partitions of this worker, though no crawler should be alive."""
        topic = names.raw_topic(self.settings.run)
        if not self.app.rebalancing:
            for tp in self.app.consumer.assignment():
                if tp.topic == topic:
                    await self.topic.send(partition=tp.partition, value=punctuation())


def _raw_message(event: Any) -> RawMessage:
    return RawMessage(event.message.offset, round(event.message.timestamp * 1000), event.value)


class FoldAgent(Agent):
    """Contribution partitions in, closed ticks folded and committed; what is not folded is not acknowledged."""

    stage = "fold"
    take_max = TAKE_CONTRIBUTIONS

    def __init__(self, *common: Any, store: Store, rules: Rules) -> None:
        super().__init__(*common)
        self._store, self._rules, self._hours = store, rules, SharedHours()
        self._held: dict[int, deque[Any]] = defaultdict(deque)
        self._mine = self._nothing_owned()
        self.topic = own_topic(self.app, names.contribution_topic(self.settings.run), partitions=names.CONTRIBUTION_PARTITIONS)

    def _nothing_owned(self) -> FoldProcess:
        settings = self.settings
        return FoldProcess(self._store, settings.run, self._rules, settings.owner, self.ids.contributions, self._hours)

    def forget(self) -> None:
        """Drop everything that is known of partitions, and the events that were held for them."""
        self._mine, self._held = self._nothing_owned(), defaultdict(deque)
        if self.metrics is not None:
            self.metrics.observe_no_partition()

    async def handle(self, events: list[Any]) -> None:
        """Fold what the batch closes, and acknowledge what is folded and committed."""
        begun_s = time.monotonic()
        by_partition = self.of_now(events)
        generation, mine, all_held = self.generation, self._mine, self._held
        waiting: dict[int, list[FoldInput]] = {}
        for partition, found in by_partition.items():
            waiting[partition] = [FoldInput(event.message.offset, event.value) for event in found]
            for event in found:
                # What is held is the place of a message; its bytes may be half a megabyte.
                event.value = event.message.value = None
            all_held[partition].extend(found)
        while waiting:
            if not self.is_current(generation):
                return
            for partition, next_offset in (await self.in_thread(partial(self._take, mine, waiting))).items():
                held = all_held[partition]
                while held and held[0].message.offset < next_offset:
                    held.popleft().ack()
        self._observe(mine.owned.values(), seconds=time.monotonic() - begun_s)

    def _take(self, mine: FoldProcess, waiting: dict[int, list[FoldInput]]) -> dict[int, int]:
        before = {partition: (owned.gate.records_held, owned.leaders_crowded_out) for partition, owned in mine.owned.items()}
        taken = mine.take(waiting)
        for partition in taken:
            owned = mine.owned[partition]
            records_held, crowded_out = before.get(partition, (0, 0))
            if self.metrics is not None:
                self.metrics.observe_crowded_out(owned.leaders_crowded_out - crowded_out)
            if records_held < HELD_WARNING <= owned.gate.records_held:
                held, behind = owned.gate.records_held, owned.gate.held_back_by()
                _log.warning("many contributions wait", partition=partition, held=held, behind=behind)
        return taken

    def _observe(self, owned: Collection[FoldPartition], *, seconds: float) -> None:
        if self.metrics is None or not owned:
            return
        self.metrics.observe_raw_times([min(times) for times in zip(*(mine.gate.times_ms for mine in owned), strict=True)])
        time_ms = min(mine.claim.time_ms for mine in owned)
        if time_ms != NEVER_TICK:
            held_records = sum(mine.gate.records_held for mine in owned)
            self.metrics.observe_tick(tick_of(time_ms) - 1, held_records=held_records, seconds=seconds)
