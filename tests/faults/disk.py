"""The disk is full where a crawler spools: the intake stops with an error, and what was taken before arrives."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw
from groundswell.errors import DependencyError, RecordError
from groundswell.names import RAW_PARTITIONS
from groundswell.records import Heartbeat, RawDocument
from ingest.sink import KafkaSink
from stream.operators.normalise import clean, identity
from stream.shells.publish import RawProducer
from stream.shells.wire import punctuation
from tests.faults.material import Material
from tests.faults.proxy import Proxy
from tests.faults.trial import Trial

DISK_BYTES: Final = 2_000_000  # more than one batch of the spool, less than the archive
RECORDS: Final = 10  # of one call, as a poll brings them
WAIT_S: Final = 5.0
TICKS_MAX: Final = 60


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system that is soon full; None where this user may not mount one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def documents_of(material: Material) -> list[RawDocument]:
    """The archive's documents in their order; a crawler has none that cannot be read."""
    found = []
    for stamped in material.log.read(0, limit=10**6):
        with contextlib.suppress(RecordError):
            raw = decode_raw(stamped.body)
            if not isinstance(raw, Heartbeat):
                found.append(raw)
    return found


def crawl_onto_a_full_disk(trial: Trial, disk: Path) -> list[str]:
    """Publish everything as a crawler: at first without a broker and onto a disk that fills, at last with both.

    Returns:
        What each refusal said; at least one.
    """
    documents = documents_of(trial.material)
    calls = [documents[place : place + RECORDS] for place in range(0, len(documents), RECORDS)]
    refusals: list[str] = []
    brokers = trial.world.brokers
    with Proxy(lambda: brokers.nodes[0].broker_port) as way:
        way.become("refusing")
        sink = _sink(f"127.0.0.1:{way.port}", trial, disk)
        while calls and not refusals:
            try:
                sink.put(calls[0])
            except DependencyError as error:
                refusals.append(str(error))  # nothing of this call may be taken for delivered: it comes again
            else:
                calls.pop(0)
        sink.close()
    trial.struck()
    assert calls, f"{DISK_BYTES} bytes hold everything: nothing was tested"
    sink = _sink(brokers.bootstrap, trial, disk)
    sink.connect()
    ticks = 0  # each drains for a second
    while waiting := sink.tick():
        ticks += 1
        assert ticks < TICKS_MAX, f"{waiting} records still wait although the broker is back"
    for call in calls:
        sink.put(call)
    sink.close()
    with RawProducer(brokers.bootstrap, trial.run.run) as producer:
        for partition in range(RAW_PARTITIONS):
            producer.send(partition, punctuation(trial.material.ends_ms[-1]))
        producer.confirm()
    trial.fed = len(trial.material.shares)
    return refusals


def _sink(bootstrap: str, trial: Trial, disk: Path) -> KafkaSink:
    """A crawler's sink, as `groundswell crawl` makes it."""
    return KafkaSink(
        bootstrap,
        trial.run.run,
        identity=lambda raw: identity(raw, text=f"{clean(raw.title)} {clean(raw.text)}"),
        spool=disk / "spool.db",
        clock=ManualClock(1),
        wait_s=WAIT_S,
    )
