"""A live pipeline, a real Prometheus and a real Alertmanager: what goes wrong here is told to a person there."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from groundswell.clock import SystemClock
from groundswell.discovery import Endpoint, announced
from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics, serve_metrics
from groundswell.names import LIVE_RUN
from groundswell.store.store import Store
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher
from ingest.memory import Memory
from ingest.sink import LocalLogSink
from stream.shells.instruments import load_instruments
from stream.shells.live import Live
from stream.shells.lookout import Lookout
from stream.shells.sender import Fixed, Sender
from stream.shells.voice import Voice
from tests.crash_loop import crash_loop
from tests.ingest.publisher import answer, publishing, rss
from tests.peers import free_port
from tests.prometheus_peer import DEPLOY, Prometheus, check_metrics, shipped_configuration, until

Start = Callable[..., AbstractContextManager[Any]]
TITLES = ("Bank fails after a run on deposits", "Factory opens a new line", "Harbour operator raises its dividend")


class Receiver(ThreadingHTTPServer):
    """Takes what an Alertmanager posts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.posts: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """It is the test that speaks."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def alertmanager_configuration(folder: Path, receiver: str) -> Path:
    """deploy/alertmanager, as it is but for waiting times and for whom it tells."""
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    head, _, _ = text.partition("receivers:\n")
    head = head.replace("group_wait: 10s", "group_wait: 0s").replace("group_wait: 30s", "group_wait: 0s")
    path = folder / "alertmanager.yml"
    path.write_text(f"{head}receivers:\n  - name: operations\n    webhook_configs: [{{url: '{receiver}'}}]\n", encoding="utf-8")
    return path


@contextmanager
def live_pipeline(store: Store, folder: Path, metrics: Metrics) -> Iterator[None]:
    """The embedded shell on a feed of its own, in a thread, until the block ends."""
    stop, ready = asyncio.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def work() -> None:
        clock = SystemClock()
        with LocalLog(folder / "live.log") as writing, LocalLog(folder / "live.log") as reading, Memory(folder / "crawler.db") as memory:
            async with publishing() as publisher, Fetcher() as fetcher:
                publisher.play("/feed", answer(200, rss(*TITLES), content_type="application/rss+xml"))
                source = Source(name="wire", owner="wire", url=f"{publisher.url}/feed", allow_private=True)
                sink = LocalLogSink(writing, clock=clock)
                crawler = Crawler([source], sink=sink, memory=memory, fetcher=fetcher, clock=clock, metrics=metrics)
                made = load_instruments(use="linear")
                lookout = Lookout(store, LIVE_RUN, {}, "http://127.0.0.1", clock, metrics=metrics, in_force=made.in_force(LIVE_RUN))
                sender = Sender(store, LIVE_RUN, Fixed({}), Voice("http://127.0.0.1", str), clock.now_ms)
                ready.set()
                await Live(store, reading, made, crawler, (), sender, clock, lookout, metrics).run(stop)

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    try:
        assert ready.wait(180)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(180)
        loop.close()


def test_a_crash_loop_becomes_a_notification_and_documents_become_samples_with_exemplars(
    tmp_path: Path, prometheus: Start, alertmanager: Start, receiver: Receiver
) -> None:
    metrics, port = Metrics(CollectorRegistry()), free_port()
    served = serve_metrics(metrics, "127.0.0.1", port)
    assert served is not None
    with closing(Store(str(tmp_path / "live.db"))) as store:
        crash_loop(store, tmp_path)
        with (
            live_pipeline(store, tmp_path, metrics),
            announced(tmp_path, "run", endpoints=[Endpoint("127.0.0.1", port, "run", LIVE_RUN)]),
            alertmanager(alertmanager_configuration(tmp_path, receiver.url)) as manager,
            prometheus(shipped_configuration(tmp_path, targets=tmp_path / "targets", alertmanager=manager)) as server,
        ):
            posts = until(lambda: posts_of(receiver, "GroundswellWorkersGivenUp"), says="a post of the Alertmanager")
            check_notification(posts[0])
            check_samples(server)
            check_metrics(port)
    served[0].shutdown()
    served[0].server_close()
    served[1].join()


def posts_of(receiver: Receiver, name: str) -> list[dict[str, Any]]:
    """Those that tell of one alert: a slow machine may have others to tell of, before it and after it."""
    return [post for post in receiver.posts if post["commonLabels"].get("alertname") == name]


def check_notification(post: dict[str, Any]) -> None:
    (alert,) = post["alerts"]
    assert (post["receiver"], alert["status"]) == ("operations", "firing")
    assert alert["labels"] == {"alertname": "GroundswellWorkersGivenUp", "kind": "crash_loop", "severity": "critical"}
    assert alert["annotations"]["runbook_url"] == "docs/runbook.md#workers-end-again-and-again"
    assert alert["annotations"]["description"].startswith("The condition crash_loop holds: ")


def check_samples(server: Prometheus) -> None:
    """The documents of the feed are there, with where they come from, what is recorded of them, and their ids."""
    scored = until(lambda: server.query("sum by (process, run) (groundswell_documents_scored_total) == 3"), says="3 documents")
    assert scored == [({"process": "run", "run": "live"}, 3.0)]
    lag = "stage:groundswell_partition_lag_messages:sum"
    until(lambda: [labels for labels, _ in server.query(lag)] == [{"stage": "fold"}, {"stage": "intake"}], says="two recorded series")
    assert server.query("count(groundswell_documents_scored_total)") == [({}, 336.0)]
    assert server.query("groundswell_model_info")[0][0]["model"]
    asked = {"query": "groundswell_document_latency_seconds_bucket", "start": "0", "end": "9999999999"}
    found = until(lambda: server.get("query_exemplars", **asked), says="exemplars")
    exemplars = {tuple(one["labels"]) for series in found for one in series["exemplars"]}
    assert exemplars == {("document_id",)}
