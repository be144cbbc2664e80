"""Processes of a Kafka installation: each on a port of its own, found by a real Prometheus through the files that they write."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from groundswell.codec import encode
from groundswell.names import LIVE_RUN
from groundswell.records import Envelope, RawDocument
from groundswell.store.store import Store
from stream.shells.kafka import run_worker
from stream.shells.publish import RawProducer
from stream.shells.supervisor import run_workers
from stream.shells.topics import prepare_run
from stream.shells.worker import WorkerSettings
from tests.peers import REPOSITORY, free_port, kafka_cluster, running
from tests.prometheus_peer import Prometheus, check_metrics, shipped_configuration, until
from tests.synthetic_news import instruments

SEEN_BY = {"score": "groundswell_known_timestamp_seconds", "fold": "groundswell_closed_tick_timestamp_seconds"}
"""Process -> what shows that it works."""


@contextmanager
def workers(settings: WorkerSettings) -> Iterator[None]:
    """A supervisor with a score and a fold worker."""
    stopped, codes = threading.Event(), list[int]()
    arguments = {"entry": run_worker, "stopped": stopped}
    thread = threading.Thread(target=lambda: codes.append(run_workers(settings, ["score", "fold"], instruments, **arguments)))  # type: ignore[arg-type]
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(120)
    assert codes == [0]


@contextmanager
def desk(store: Store, folder: Path, *, port: int) -> Iterator[None]:
    """`groundswell desk`, as it is typed."""
    variables = {"METRICS_PORT": str(port), "DATA_DIR": str(folder), "STORE_URL": store.url, "MODELS_USE": "linear"}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL")}
    environ |= {"PYTHONPATH": str(REPOSITORY), **{f"GROUNDSWELL_{name}": value for name, value in variables.items()}}
    command = [sys.executable, "-m", "groundswell", "desk"]
    with running(command, stop=signal.SIGTERM, cwd=folder, environ=environ, log=folder / "desk.log"):
        yield


@pytest.mark.kafka
def test_each_process_is_found_by_prometheus_and_gone_after_its_stop(
    tmp_path: Path, prometheus: Callable[..., AbstractContextManager[Prometheus]]
) -> None:
    first, port = free_port(neighbours=1), free_port()
    with closing(Store(str(tmp_path / "s.db"))) as store, ExitStack() as stack:
        kafka = stack.enter_context(kafka_cluster())  # its own: what it leaves in the live run's topics is nobody else's
        prepare_run(store, kafka, LIVE_RUN, kind="live", instruments=instruments())
        settings = WorkerSettings(kafka, store.url, LIVE_RUN, tmp_path, instance="shown", metrics_port=first)
        server = stack.enter_context(prometheus(shipped_configuration(tmp_path, targets=tmp_path / "targets")))
        with workers(settings), desk(store, tmp_path, port=port):
            publish(kafka)
            for process, metric in SEEN_BY.items():
                found = until(lambda p=process, m=metric: server.query(f'{m}{{process="{p}"}} > 0'), says=f"{process} works")
                assert [(labels["run"], labels["job"]) for labels, _ in found] == [("live", "groundswell")]
            until(lambda: server.query('groundswell_decided_tick_timestamp_seconds{process="desk"} > 0'), says="the desk decides")
            until(lambda: {labels["process"] for labels, _ in server.query("up == 1")} == {"score", "fold", "desk"}, says="three are up")
            until(lambda: server.query('min(groundswell_raw_partition_timestamp_seconds{process="fold"}) > 0'), says="time goes on")
            for shown in (first, first + 1, port):
                check_metrics(shown)
        assert not list((tmp_path / "targets").glob("*.json"))
        until(lambda: not server.get("targets")["activeTargets"], says="no target is left")


def publish(kafka: str) -> None:
    raw = RawDocument(source="s", id="shown", title="Aldora default debt talk", language="en")
    with RawProducer(kafka, LIVE_RUN) as producer:
        producer.send(0, encode(Envelope(records=[msgspec.Raw(encode(raw))])))
        producer.punctuate()
        producer.confirm()
