"""Commands that go on running without a page: run, crawl, worker, desk; and doctor, which looks after them."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswell.cli import channels
from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.errors import DependencyError, UsageError, reason_of
from groundswell.names import LIVE_RUN

if TYPE_CHECKING:
    from groundswell.metrics import Metrics
    from groundswell.probes import Probes
    from groundswell.settings import Settings
    from groundswell.store.store import Store
    from stream.shells.canaries import CanaryWatch


@click.command(epilog=example("groundswell run --store desk.db"))
@click.option("--no-board", is_flag=True, help="Do not serve the board from this process.")
@click.option("--port", type=click.IntRange(0, 65_535), default=None, help="Port of the board; 0 takes a free one.  [default: the setting]")
@o.store_option
def run(no_board: bool, port: int | None, store_url: str | None) -> None:
    """Follow the sources of the catalogue in one process: crawl, score, fold, decide, send, and show the board.

    Needs no Kafka. Kill it at any moment and start it again: nothing is lost and nothing is counted twice.
    """
    from groundswell.cli.show import serve_board
    from groundswell.clock import SystemClock
    from groundswell.local_log import LocalLog
    from groundswell.probes import Probes
    from ingest.sink import LocalLogSink
    from stream.operators.normalise import source_name
    from stream.shells.live import Live
    from stream.shells.lookout import Lookout

    settings, probes = _service_settings(), Probes()
    store, instruments, clock, metrics = o.open_store(store_url, makes=True), o.instruments(), SystemClock(), _metrics(settings, probes)
    log_path = Path(settings.data.dir) / "live.log"
    notifiers, sender = channels.settings_notifiers(settings), channels.sender(settings, store, link=channels.reader_links(settings))
    buttons = channels.slack_buttons(settings, channels.presses(store, clock.now_ms))

    async def work() -> None:
        from ingest.fetch import Fetcher
        from ingest.parsers import Parsers

        stop = _stop_event()
        async with Fetcher(contact=settings.catalogue.contact) as fetcher, Parsers(settings.catalogue.parsers) as parsers:
            sink = LocalLogSink(LocalLog(log_path), clock=clock, name=source_name)
            crawler, receiver = _crawler(settings, sink=sink, fetcher=fetcher, parsers=parsers, metrics=metrics)
            in_force = instruments.in_force(LIVE_RUN)
            lookout = Lookout(store, LIVE_RUN, notifiers, settings.board.base_url, clock, LocalLog(log_path), metrics, in_force)
            live = Live(
                store,
                LocalLog(log_path),
                instruments,
                crawler,
                channels.alert_targets(settings),
                sender,
                clock,
                lookout,
                metrics,
                probes,
                _canaries(settings, store, metrics),
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(live.run(stop))
                if receiver is not None:
                    group.create_task(receiver.run(stop))

    if not no_board:
        url = serve_board(settings, port=port, store=store, run=LIVE_RUN, log_path=log_path, display=instruments.display)
        click.echo(f"Board:  {url}")
    with channels.heard(buttons), _announced(settings, "run"):
        asyncio.run(work())


@click.command(epilog=example("groundswell crawl"))
def crawl() -> None:
    """Poll the sources of the catalogue and publish to Kafka; while the broker is away, a spool on disk keeps the order.

    If store.url is a database for several machines, the board is told while records wait in the spool.
    """
    from groundswell.clock import SystemClock
    from groundswell.kafka_access import KafkaAccess
    from groundswell.logs import logger
    from groundswell.probes import Probes
    from ingest.sink import KafkaSink
    from stream.operators.normalise import clean, identity

    settings, probes = _service_settings(kafka=True), Probes()
    metrics = _metrics(settings, probes)
    sink = KafkaSink(
        KafkaAccess.from_settings(settings.kafka),
        identity=lambda raw: identity(raw, text=f"{clean(raw.title)} {clean(raw.text)}"),
        spool=Path(settings.data.dir) / "spool.log",
        spool_bytes_max=settings.data.spool_mb_max * 1_000_000,
        clock=SystemClock(),
    )
    try:
        sink.connect()
    except DependencyError as error:  # nothing is lost: what is fetched goes to the spool until the broker is there
        logger("groundswell.crawl").error("the broker is away, records wait on disk", reason=reason_of(error))

    async def work() -> None:
        from ingest.fetch import Fetcher
        from ingest.parsers import Parsers

        async with Fetcher(contact=settings.catalogue.contact) as fetcher, Parsers(settings.catalogue.parsers) as parsers:
            stop = _stop_event()
            async with asyncio.TaskGroup() as group:
                group.create_task(_beat(probes, stop))
                group.create_task(_report_spool(settings, sink, stop))
                for part in _crawler(settings, sink=sink, fetcher=fetcher, parsers=parsers, metrics=metrics):
                    if part is not None:
                        group.create_task(part.run(stop))

    try:
        with _announced(settings, "crawl"):
            asyncio.run(work())
    finally:
        sink.close()


@click.command(epilog=example("groundswell worker --agents score,fold --processes 2"))
@click.option("--agents", default="score,fold", show_default=True, metavar="NAMES", help="score, fold or both.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of each agent.")
@click.option("--run", "run_name", default=LIVE_RUN, show_default=True, metavar="NAME", help="Run whose topics are worked on.")
@o.store_option
def worker(agents: str, processes: int, run_name: str, store_url: str | None) -> None:
    """Work on Kafka: the score agent (raw records to stored scores) and the fold agent (contributions to windows).

    Each agent is a consumer group of its own; start as many workers on as many machines as there is work. A process that
    ends is started again; --processes above the partitions of a topic only wait.
    """
    from groundswell.clock import SystemClock
    from groundswell.kafka_access import KafkaAccess
    from groundswell.store.versions import AHEAD_MS
    from stream.shells.kafka import run_worker
    from stream.shells.lookout import supervisor_report
    from stream.shells.supervisor import run_workers
    from stream.shells.topics import prepare_run
    from stream.shells.watchdog import Watchdog, start
    from stream.shells.worker import WorkerSettings

    settings = _service_settings(kafka=True)
    store, kafka = o.open_store(store_url, makes=True), KafkaAccess.from_settings(settings.kafka)
    if run_name == LIVE_RUN:
        prepare_run(store, kafka, run_name, kind="live", instruments=o.instruments(), now_ms=SystemClock().now_ms() + AHEAD_MS)
    found = WorkerSettings(
        kafka=kafka,
        store_url=store.url,
        run=run_name,
        data_dir=Path(settings.data.dir),
        metrics_host=settings.metrics.host,
        metrics_port=settings.metrics.port,
        metrics_watch=_watched(settings),
        held_records_max=settings.kafka.held_records_max,
        held_bytes_max=settings.kafka.held_bytes_max,
        log_level=settings.log.level,
        log_format=settings.log.format,
    )
    if run_name == LIVE_RUN:
        start(Watchdog(store, run_name, channels.settings_notifiers(settings), settings.board.base_url, SystemClock()))
    names: Any = [name.strip() for name in agents.split(",") if name.strip()]
    report = supervisor_report(store, f"{os.uname().nodename}, {run_name}")
    sys.exit(run_workers(found, names, o.instruments, entry=run_worker, processes=processes, report=report))


@click.command(epilog=example("groundswell desk"))
@click.option("--run", "run_name", default=LIVE_RUN, show_default=True, metavar="NAME", help="Run whose candidates are decided.")
@o.store_option
def desk(run_name: str, store_url: str | None) -> None:
    """Decide the candidates of a Kafka installation: incidents, alerts, and the messages of the live run.

    One at a time: a second desk takes over, and the first one ends.
    """
    from groundswell.clock import SystemClock
    from groundswell.probes import Probes
    from stream.shells.desk_worker import DeskWorker
    from stream.shells.lookout import Lookout

    settings, probes = _service_settings(), Probes()
    store, live, metrics = o.open_store(store_url, makes=True), run_name == LIVE_RUN, _metrics(settings, probes)
    notifiers = channels.settings_notifiers(settings) if live else {}
    # Without a secret that is set, the board could not read the links of a desk on another machine.
    link = channels.reader_links(settings) if settings.board.secret else None
    sender = channels.sender(settings, store, link=link) if live else None
    buttons = channels.slack_buttons(settings, channels.presses(store, SystemClock().now_ms)) if live else None
    targets = channels.alert_targets(settings) if live else ()
    instruments = o.instruments()
    in_force = instruments.in_force(run_name)
    lookout = Lookout(store, run_name, notifiers, settings.board.base_url, SystemClock(), metrics=metrics, in_force=in_force)
    canaries, stopped = _canaries(settings, store, metrics), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    found = DeskWorker(store, run_name, instruments, f"{os.uname().nodename}:{os.getpid()}", targets)
    probes.is_ready()
    with channels.heard(buttons), _announced(settings, "desk", run=run_name), asyncio.Runner() as runner:
        while not stopped.is_set():
            probes.beat()
            began_s = time.monotonic()
            decided = found.step()
            if decided is not None:
                metrics.observe_decided(found.closed_tick, decided, seconds=time.monotonic() - began_s)
            if sender is not None:
                metrics.observe_deliveries(runner.run(sender.send_due()))
                runner.run(lookout.look())
                runner.run(canaries.look())
            if decided is None:
                stopped.wait(0.5)
        if sender is not None:
            runner.run(sender.close())


# --- what the commands above are made of ------------------------------------------------------------------------------------
def _service_settings(*, kafka: bool = False) -> "Settings":
    from groundswell.logs import set_up_logs

    settings = o.settings()
    set_up_logs(level=settings.log.level, format=settings.log.format, secrets=_secrets(settings))
    if kafka and not settings.kafka.bootstrap:
        message = "kafka.bootstrap is not set: write GROUNDSWELL_KAFKA_BOOTSTRAP=HOST:PORT, or use `groundswell run`, which needs no Kafka"
        raise UsageError(message)
    return settings


def _secrets(settings: "Settings") -> tuple[str, ...]:
    """What no line of the log may show."""
    from groundswell.settings import secrets_of

    return (*secrets_of(settings), *channels.secrets_of_routes(settings))


async def _beat(probes: "Probes", stop: asyncio.Event) -> None:
    """Tell the probes that the loop turns."""
    probes.is_ready()
    while not stop.is_set():
        probes.beat()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 5.0)


async def _report_spool(settings: "Settings", sink: Any, stop: asyncio.Event) -> None:
    """Tell the board what waits in the spool; a file is no store that a board elsewhere could read."""
    from groundswell.clock import SystemClock
    from ingest.spool_report import LOOK_EVERY_S, SpoolReport

    if settings.store.url.startswith("sqlite"):
        return
    report = SpoolReport(settings.store.url, sink, clock=SystemClock())
    while not stop.is_set():
        await asyncio.to_thread(report.look)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
    report.close()


def _stop_event() -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _metrics(settings: "Settings", probes: "Probes") -> "Metrics":
    from prometheus_client import CollectorRegistry

    from groundswell.metrics import Metrics, serve_metrics

    metrics = Metrics(CollectorRegistry(), watched=_watched(settings))
    serve_metrics(metrics, settings.metrics.host, settings.metrics.port, probes=probes)
    return metrics


def _watched(settings: "Settings") -> tuple[str, ...]:
    """The companies of metrics.watch, each once; one that is in no catalogue would stay at zero for ever."""
    wanted = tuple(dict.fromkeys(settings.metrics.watch))
    unknown = [entity for entity in wanted if entity not in o.catalogue().entities] if wanted else []
    if unknown:
        message = f"metrics.watch: no company has the id {unknown[0]!r}; `groundswell entities list` prints them"
        raise UsageError(message)
    return wanted


def _announced(settings: "Settings", process: str, *, run: str = LIVE_RUN) -> contextlib.AbstractContextManager[object]:
    """Let Prometheus find this process while it works."""
    from groundswell.discovery import Endpoint, announced

    place = settings.metrics
    return announced(Path(settings.data.dir), process, endpoints=[Endpoint(place.host, place.port, process, run)])


def _crawler(settings: "Settings", *, sink: Any, fetcher: Any, parsers: Any, metrics: "Metrics") -> tuple[Any, Any]:
    """The crawler, and what listens for sources that push; None where there are none."""
    from groundswell.clock import SystemClock
    from groundswell.logs import set_up_logs
    from ingest.canary import Canaries
    from ingest.catalogue import load_catalogue
    from ingest.crawler import Crawler
    from ingest.memory import Memory
    from ingest.receiver import Receiver
    from ingest.types.table import type_of
    from ingest.types.webhook import Webhook

    sources, clock = load_catalogue(settings.catalogue.extra), SystemClock()
    kinds = {source.name: type_of(source) for source in sources}
    known = (os.environ.get(variable, "") for kind in kinds.values() for variable in kind.secret_variables())
    set_up_logs(level=settings.log.level, format=settings.log.format, secrets=[*_secrets(settings), *filter(None, known)])
    pushing = [source for source in sources if isinstance(kinds[source.name], Webhook)]
    asked = [source for source in sources if source not in pushing]
    memory = Memory(Path(settings.data.dir) / "crawler.db")
    canaries = Canaries(settings.canary.every_s * 1_000)
    crawler = Crawler(
        asked, sink=sink, memory=memory, fetcher=fetcher, clock=clock, metrics=metrics, canaries=canaries, off_loop=parsers.run
    )
    if not pushing:
        return crawler, None
    place = settings.push
    return crawler, Receiver(pushing, hand_over=crawler.hand_over, memory=memory, clock=clock, host=place.host, port=place.port)


def _canaries(settings: "Settings", store: "Store", metrics: "Metrics") -> "CanaryWatch":
    """What watches for canaries; without test addresses nobody is mailed of them."""
    from groundswell.clock import SystemClock
    from stream.shells.canaries import CanaryWatch

    c, targets = settings.canary, dict[str, Any]()
    if c.mail_to and settings.mail.host:
        targets["mail"] = channels.mail("mail", settings, c.mail_to)
    if c.slack_webhook_url:
        targets["slack"] = channels.slack_webhook("slack", c.slack_webhook_url)
    return CanaryWatch(store, LIVE_RUN, c.every_s * 1_000, targets, settings.board.base_url, SystemClock(), metrics)


@click.command(epilog=example("groundswell doctor --format jsonl"))
@o.listing_options
def doctor(form: str, output: str | None) -> None:
    """Check every part that is configured, from Python to the mail relay, and say what to do; sends nothing.

    Exit code 1 when something does not hold.
    """
    from groundswell.doctor import Probe, checks

    def model() -> str:
        return o.instruments().scorer.model_id

    def rules() -> str:
        return f"hash {o.instruments().rules.hash}"

    def routes() -> str:
        chosen = o.settings()
        if not chosen.routes.path:
            return "no file: every alert to the targets of the settings"
        from stream.shells.routes_file import load

        found, targets = load(Path(chosen.routes.path), lambda read: channels.routed_notifiers(chosen, read))
        return f"{len(found.reader)} readers, {len(targets)} targets"

    def sources() -> str:
        from ingest.catalogue import load_catalogue

        found = load_catalogue(o.settings().catalogue.extra)
        never = sum(source.checked == "never" for source in found)
        return f"{len(found)} sources, {never} of them never seen to work (groundswell sources test NAME)"

    rooms = [
        Probe("model", model, "install again; a bundle of your own: python -m models.train_linear"),
        Probe("rules", rules, "correct the file that rules.path names"),
        Probe("routes", routes, "correct the file that routes.path names"),
        Probe("sources", sources, "correct the files that catalogue.extra names"),
    ]
    found = checks(o.settings(), rooms=rooms)
    rows = [{"check": c.name, "ok": "yes" if c.ok else "NO", "found": c.detail, "to do": c.repair} for c in found]
    o.print_rows(rows, form=form, output=output, columns=["check", "ok", "found", "to do"], whole=True)
    if not all(c.ok for c in found):
        sys.exit(1)
