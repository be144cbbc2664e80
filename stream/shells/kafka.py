"""The Kafka shell: Faust's agents around the score and fold stages. The only file that imports Faust.

    [raw] -> score agent: store facts -> a message to every contribution partition -> delivered? -> acknowledge
    [contributions] -> fold agent: gate, fold, commit rows and progress -> acknowledge what is folded

Faust is here for groups, assignment and the life of a worker, nothing else (docs/kafka.md says why). What is owned is keyed
by partition and generation: after every rebalance it is thrown away, claimed again and loaded from the store.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from prometheus_client import CollectorRegistry

from alerts.rules import Rules
from groundswell import names
from groundswell.errors import GroundswellError, OwnershipLostError, reason_of
from groundswell.kafka_access import KafkaAccess
from groundswell.logs import logger
from groundswell.metrics import Metrics, serve_metrics
from groundswell.probes import Probes
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.store import Store
from stream.operators.admit import tick_of
from stream.shells.backfill import KIND
from stream.shells.fold_worker import FoldInput, FoldPartition, SharedHours
from stream.shells.instruments import Instruments, open_run
from stream.shells.score_worker import ScorePartition, in_batches, lead_of
from stream.shells.stages import IntakeStage
from stream.shells.topics import TopicIds, check_rights, is_live, topic_ids
from stream.shells.wire import MESSAGE_BYTES_MAX, RawMessage, fold_messages, punctuation
from stream.shells.worker import AgentName, StallWatch, WorkerSettings, end_process, exit_code_of, leave_within

TAKE_RAW: Final = 64
TAKE_CONTRIBUTIONS: Final = 512
TAKE_WITHIN_S: Final = 0.2
PUNCTUATE_EVERY_S: Final = 2.0
GIVEN_UP_AFTER_S: Final = 10.0  # a silent member's partitions go to others
FINISH_WITHIN_S: Final = 20.0
LOOK_EVERY_S: Final = 5.0
LOOK_WITHIN_S: Final = 4.0
LOOK_AGAIN_S: Final = 1.0  # whether partitions that wait for fold may go on
HELD_WARNING: Final = 100_000
"""Contributions that one partition holds back before a line says which raw partition is behind."""

ROLES: Final[Mapping[AgentName, str]] = {"score": names.ROLE_SCORE, "fold": names.ROLE_FOLD}
"""Agent -> what its progress rows are called."""

T = TypeVar("T")
_log = logger("groundswell.kafka")


def make_app(settings: WorkerSettings, agent: AgentName) -> Any:
    """A Faust application that does only what we want of it. The application id is the consumer group."""
    folder = settings.data_dir / "faust" / f"{agent}-{settings.instance or 'worker'}"
    folder.mkdir(parents=True, exist_ok=True)
    access = KafkaAccess.of(settings.kafka)
    return faust.App(
        names.score_group(settings.run) if agent == "score" else names.fold_group(settings.run),
        broker=[f"kafka://{broker.strip()}" for broker in access.bootstrap.split(",")],
        broker_credentials=_credentials(access),
        datadir=str(folder),
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        # With the default a rebalance waits for events that we hold back, and they for messages that do not come.
        stream_wait_empty=False,
        stream_buffer_maxsize=TAKE_CONTRIBUTIONS,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=MESSAGE_BYTES_MAX,
        consumer_group_instance_id=f"{agent}-{settings.instance}" if settings.instance else None,
        broker_session_timeout=GIVEN_UP_AFTER_S,
        broker_heartbeat_interval=GIVEN_UP_AFTER_S / 4,
        broker_commit_interval=1.0,
        producer_acks=-1,
        producer_linger=0.002,
        producer_max_request_size=MESSAGE_BYTES_MAX,
    )


class RewindingConsumer(Consumer):
    """Faust's consumer, which begins where the store needs it to: at the lower one of two offsets, Kafka's and the store's.

    Kafka's is never above the store's, unless the store was restored from a backup: then the topic is read again from there on.
    It may be missing: what is fetched while a rebalance is under way is thrown away, and aiokafka passes over partitions of which
    nothing has been acknowledged when it seeks back. Their first messages would be gone, until the process ends at the gap.

    Args:
        needed: {partition: lowest offset that the store has not done}; asked in a thread.
    """

    def __init__(self, *args: Any, needed: Callable[[], Mapping[int, int]], **kwargs: Any) -> None:
        self._needed = needed
        super().__init__(*args, **kwargs)

    async def seek_to_committed(self) -> Any:
        """Seek every partition; returns {partition: where it begins}."""
        committed = await super().seek_to_committed()
        try:
            needed = await asyncio.to_thread(self._needed)
        except GroundswellError as error:
            end_process(error, place="seeking")
        begin = {tp: min(offset or 0, needed.get(tp.partition, 0)) for tp, offset in committed.items()}
        back = {tp: offset for tp, offset in begin.items() if not offset or offset < (committed[tp] or 0)}
        if any(committed[tp] for tp in back):
            _log.warning("the store is behind what was acknowledged: reading again", partitions=sorted(tp.partition for tp in back))
        if back:
            with contextlib.suppress(IllegalStateError):  # taken away meanwhile: the next assignment comes here again
                await self.seek_wait(back)
        return dict(committed) | back


def needed_offsets(store: Store, run: str, agent: AgentName) -> dict[int, int]:
    """{partition: next offset} of a role; a partition without a row is needed from its beginning."""
    with store.read() as connection:
        return {row.part: row.next_offset for row in progress_of(connection, run, ROLES[agent])}


def _credentials(access: KafkaAccess) -> Any:
    """What Faust hands to aiokafka's consumer and producer; None where nothing is encrypted and nobody logs in."""
    context = access.tls()
    if access.login:
        return faust.SASLCredentials(username=access.username, password=access.password, ssl_context=context, mechanism=access.mechanism)
    return faust.SSLCredentials(context) if context else None


def own_topic(app: Any, name: str, *, partitions: int) -> Any:
    """A topic of raw bytes that this project makes itself."""
    return app.topic(
        name, partitions=partitions, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", allow_empty=True
    )


class Agent(ABC):
    """What both agents share: a thread for the work, and memory that lasts for one generation of the group."""

    topic: Any  # what it reads
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
        """Take batches for ever; any error ends the process, so that nothing of a failed batch is ever acknowledged."""
        async for events in stream.noack_take(self.take_max, within=TAKE_WITHIN_S):
            self.watch.beat()
            await self.safely(partial(self.handle, events))
            self._done |= {e.message.partition: e.message.offset + 1 for e in events if e.message.generation_id == self.generation}
            self.watch.beat()

    async def safely(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do one piece of work at a time, and end the process if it fails."""
        try:
            async with self._busy:
                await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # whatever it is, nothing may be acknowledged after it
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
            return
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                ends = await self.app.consumer.highwaters(*mine)
                behind = [ends[tp] - self._done.get(tp.partition, await self.app.consumer.position(tp) or 0) for tp in mine]
        except (TimeoutError, KafkaError) as error:
            _log.debug("the lag is not known", reason=reason_of(error))
            return
        self.watch.see(lag=sum(max(0, each) for each in behind))

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

    take_max = TAKE_RAW

    def __init__(self, *common: Any, stage: IntakeStage) -> None:
        super().__init__(*common)
        app, settings = self.app, self.settings
        self._stage = stage
        self._owned: dict[int, ScorePartition] = {}
        self._waiting: dict[int, deque[Any]] = defaultdict(deque)  # events that are not acknowledged, in order
        self.held_back: frozenset[int] = frozenset()  # partitions that wait on purpose
        self.topic = own_topic(app, names.raw_topic(settings.run), partitions=names.RAW_PARTITIONS)
        self._out = own_topic(app, names.contribution_topic(settings.run), partitions=names.CONTRIBUTION_PARTITIONS)

    def forget(self) -> None:
        """Drop everything that is known of partitions, and the events that waited."""
        self._owned, self._waiting, self.held_back = {}, defaultdict(deque), frozenset()

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
        generation, owned = self.generation, self._owned
        while self.is_current(generation):
            ahead = {partition: list(islice(events, self.take_max)) for partition, events in sorted(self._waiting.items()) if events}
            taken, messages = await self.in_thread(partial(self._take, owned, ahead)) if ahead else ({}, [])
            if not taken:
                self._hold_back(frozenset(ahead))
                return
            await self._deliver(messages)
            for partition, size in taken.items():
                for _ in range(size):
                    self._waiting[partition].popleft().ack()

    def _take(self, owned: dict[int, ScorePartition], ahead: dict[int, list[Any]]) -> tuple[dict[int, int], list[list[bytes]]]:
        """Take a batch of each partition that may go on; returns how many messages of each were taken, and what to send."""
        taken, batches = {}, []
        for partition, events in ahead.items():
            mine = owned.get(partition) or self._open(owned, partition)
            if mine.may_take(events[0].message.offset):
                messages = in_batches([_raw_message(event) for event in events])[0]
                batches += mine.take(messages)
                taken[partition] = len(messages)
        return taken, fold_messages(batches) if batches else []

    def _open(self, owned: dict[int, ScorePartition], partition: int) -> ScorePartition:
        settings = self.settings
        owned[partition] = ScorePartition.open(
            self._stage,
            partition,
            owner=settings.owner,
            log_id=self.ids.raw,
            live=is_live(settings.run),
            metrics=self.metrics,
            lead=lead_of(held_records_max=settings.held_records_max, held_bytes_max=settings.held_bytes_max),
        )
        return owned[partition]

    def _hold_back(self, partitions: frozenset[int]) -> None:
        """Fetch no more of partitions that wait, and go on fetching those that do not.

        Faust's own pressure switch: with its `pause_partitions` what has been fetched already is thrown away.
        """
        consumer, topic = self.app.consumer, names.raw_topic(self.settings.run)
        for partition in partitions:
            consumer.on_buffer_full(TP(topic, partition))
        for partition in self.held_back - partitions:
            consumer.on_buffer_drop(TP(topic, partition))
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

    take_max = TAKE_CONTRIBUTIONS

    def __init__(self, *common: Any, store: Store, rules: Rules) -> None:
        super().__init__(*common)
        app, settings = self.app, self.settings
        self._store, self._rules, self._hours = store, rules, SharedHours()
        self._owned: dict[int, FoldPartition] = {}
        self._held: dict[int, deque[Any]] = defaultdict(deque)
        self.topic = own_topic(app, names.contribution_topic(settings.run), partitions=names.CONTRIBUTION_PARTITIONS)

    def forget(self) -> None:
        """Drop everything that is known of partitions, and the events that were held for them."""
        self._owned, self._held = {}, defaultdict(deque)

    async def handle(self, events: list[Any]) -> None:
        """Fold what the batch closes, and acknowledge what is folded and committed."""
        begun_s = time.monotonic()
        by_partition = self.of_now(events)
        generation, owned = self.generation, self._owned
        for partition, found in sorted(by_partition.items()):
            inputs = [FoldInput(event.message.offset, event.value) for event in found]
            for event in found:
                # What is held is the place of a message; its bytes may be half a megabyte.
                event.value = event.message.value = None
            if not self.is_current(generation):
                return
            next_offset = await self.in_thread(partial(self._take, owned, partition, inputs))
            held = self._held[partition]
            held.extend(found)
            while held and held[0].message.offset < next_offset:
                held.popleft().ack()
        if self.metrics is not None and owned:
            self.metrics.observe_raw_times([min(times) for times in zip(*(mine.gate.times_ms for mine in owned.values()), strict=True)])
        time_ms = min((mine.claim.time_ms for mine in owned.values()), default=NEVER_TICK)
        if self.metrics is not None and time_ms != NEVER_TICK:
            held_records = sum(mine.gate.records_held for mine in owned.values())
            self.metrics.observe_tick(tick_of(time_ms) - 1, held_records=held_records, seconds=time.monotonic() - begun_s)

    def _take(self, owned: dict[int, FoldPartition], partition: int, inputs: list[FoldInput]) -> int:
        if partition not in owned:
            owned[partition] = FoldPartition.open(
                self._store,
                self.settings.run,
                partition,
                rules=self._rules,
                owner=self.settings.owner,
                log_id=self.ids.contributions,
                hours=self._hours,
            )
        mine = owned[partition]
        before = mine.gate.records_held
        next_offset = mine.take(inputs)
        if before < HELD_WARNING <= mine.gate.records_held:
            _log.warning("many contributions wait", partition=partition, held=mine.gate.records_held, behind=mine.gate.held_back_by())
        return next_offset


def run_worker(settings: WorkerSettings, agent: AgentName, instruments: Callable[[], Instruments]) -> None:
    """Be one worker of one agent until SIGTERM; the process's main thread, and its last call.

    The run's topics and rows have been made by `topics.prepare_run`.

    Args:
        settings: where everything is.
        agent: "score" or "fold".
        instruments: called once, before the worker joins its group.

    Raises:
        SystemExit: always: 0 after a graceful stop; see worker.EXIT_* for the others.
    """
    try:
        app, watch = _build(settings, agent, instruments())
    except GroundswellError as error:
        _log.error("the worker ends", reason=reason_of(error))
        raise SystemExit(exit_code_of(error)) from error
    watch.start()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    _Worker(app, loop).execute_from_commandline()


def _build(settings: WorkerSettings, agent: AgentName, instruments: Instruments) -> tuple[Any, StallWatch]:
    """The application with its one agent."""
    store, ids = Store(settings.store_url), topic_ids(settings.kafka, settings.run)
    check_rights(settings.kafka, settings.run, role=ROLES[agent])
    if not is_live(settings.run):  # a run is made with one set of instruments; the live one says which with every alert
        open_run(store, settings.run, kind=KIND, instruments=instruments)
    app, watch, probes = make_app(settings, agent), StallWatch(always=is_live(settings.run)), Probes()
    app.transport.Consumer = partial(RewindingConsumer, needed=partial(needed_offsets, store, settings.run, agent))
    metrics = Metrics(CollectorRegistry()) if settings.metrics_port else None
    if metrics is not None:
        serve_metrics(metrics, settings.metrics_host, settings.metrics_port, probes=probes)
    common = (app, settings, ids, watch, probes, metrics)
    own: Agent
    if agent == "score":
        if instruments.models is not None:
            instruments.models.metrics = metrics
        scorers = instruments.scorers(store, settings.run)
        own = score = ScoreAgent(*common, stage=IntakeStage(store, settings.run, instruments.scorer, shared=True, scorers=scorers))
        if is_live(settings.run):
            app.timer(PUNCTUATE_EVERY_S)(score.punctuate)
        app.timer(LOOK_AGAIN_S)(score.look_again)
    else:
        own = FoldAgent(*common, store=store, rules=instruments.rules)

    @app.agent(own.topic, name=names.SCORE_AGENT if agent == "score" else names.FOLD_AGENT)  # type: ignore[untyped-decorator]
    async def work(stream: Any) -> None:
        await own.run(stream)

    app.timer(LOOK_EVERY_S)(own.look)
    app.on_partitions_revoked.connect(own.revoked)
    app.on_partitions_assigned.connect(own.assigned)
    return app, watch


class _Worker(faust.Worker):
    """Faust's worker, which leaves within ten seconds of SIGTERM even while a batch is being scored."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(app, loop=loop, quiet=True, redirect_stdouts=False, override_logging=False)
        self.spinner = None  # it would write to standard output

    def _on_sigterm(self) -> None:
        leave_within()
        super()._on_sigterm()

    def _on_sigint(self) -> None:
        leave_within()
        super()._on_sigint()
