"""The Kafka shell: the application, its consumer, and a worker's life around the two agents. The only file that imports Faust.

    [raw] -> score agent: store facts -> a message to every contribution partition -> delivered? -> acknowledge
    [contributions] -> fold agent: gate, fold, commit rows and progress -> acknowledge what is folded

Faust is here for groups, assignment and the life of a worker, nothing else (docs/kafka.md says why). What is owned is keyed
by partition and generation: after every rebalance it is thrown away, claimed again and loaded from the store.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import faust
from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import Consumer
from prometheus_client import CollectorRegistry

from groundswell import names
from groundswell.errors import GroundswellError, reason_of
from groundswell.kafka_access import KafkaAccess
from groundswell.logs import logger
from groundswell.metrics import Metrics, serve_metrics
from groundswell.probes import Probes
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.shells.agents import TAKE_CONTRIBUTIONS, Agent, FoldAgent, ScoreAgent
from stream.shells.backfill import KIND
from stream.shells.instruments import Instruments, open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.rights import cause_of, lost_right, watch_rights
from stream.shells.topics import check_rights, is_live, topic_ids
from stream.shells.wire import MESSAGE_BYTES_MAX
from stream.shells.worker import AgentName, StallWatch, WorkerSettings, end_process, exit_code_of, leave_within, spare_the_collector

PUNCTUATE_EVERY_S: Final = 2.0
GIVEN_UP_AFTER_S: Final = 10.0  # a silent member's partitions go to others
LOOK_EVERY_S: Final = 5.0
LOOK_AGAIN_S: Final = 1.0  # whether partitions that wait for fold may go on
FETCH_BYTES: Final = 1024 * 1024
"""Of one partition in one answer, or one larger message, which may wait until its partition is the first of one. A broker's answer holds
50 MB: with four times as much for each, some of the raw partitions were in none, and fold, which waits for all of them, folded nothing
until the rest of a burst had been scored."""

ROLES: Final[Mapping[AgentName, str]] = {"score": names.ROLE_SCORE, "fold": names.ROLE_FOLD}
"""Agent -> what its progress rows are called."""

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
        consumer_max_fetch_size=FETCH_BYTES,
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
    spare_the_collector()
    watch.start()
    watch_rights(partial(lost_right, settings.kafka, settings.run, role=ROLES[agent]))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = _Worker(app, loop)
    try:
        worker.execute_from_commandline()
    except SystemExit:  # with 1, whatever has crashed in Faust's own tasks and threads
        if worker.crash_reason is not None:
            cause = cause_of(worker.crash_reason, settings.kafka, settings.run, role=ROLES[agent])
            end_process(cause, place=f"the client of {agent}")
        raise


def _build(settings: WorkerSettings, agent: AgentName, instruments: Instruments) -> tuple[Any, StallWatch]:
    """The application with its one agent."""
    store, ids = Store(settings.store_url), topic_ids(settings.kafka, settings.run)
    check_rights(settings.kafka, settings.run, role=ROLES[agent])
    if not is_live(settings.run):  # a run is made with one set of instruments; the live one says which with every alert
        open_run(store, settings.run, kind=KIND, instruments=instruments)
    app, watch, probes = make_app(settings, agent), StallWatch(always=is_live(settings.run)), Probes()
    app.transport.Consumer = partial(RewindingConsumer, needed=partial(needed_offsets, store, settings.run, agent))
    metrics = Metrics(CollectorRegistry(), watched=settings.metrics_watch) if settings.metrics_port else None
    if metrics is not None:
        serve_metrics(metrics, settings.metrics_host, settings.metrics_port, probes=probes)
    common = (app, settings, ids, watch, probes, metrics)
    own: Agent
    if agent == "score":
        if instruments.models is not None:
            instruments.models.metrics = metrics
        if metrics is not None:
            metrics.observe_model(instruments.scorer.model_id)
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
