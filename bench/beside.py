"""What a backfill costs the live run beside it: seconds from fetched to scored, alone and with an archive running in."""

import os
import subprocess
import sys
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.pipeline import Ratio
from bench.replays import ROOT
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN, ROLE_SCORE
from groundswell.records import RawDocument
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of, total
from groundswell.store.store import Store
from ingest.demo_archive import DemoSpec, write_demo
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import load_instruments, open_run
from tests.peers import fresh_database, postgres_cluster

PER_S = 5
ALONE_S, BESIDE_S = 60.0, 120.0
IDLE_S = 0.05  # as often as this the live loop looks for more, at least
P95_S, FACTOR = 2.0, 2.0  # wanted


@dataclass
class Live:
    """A live run with the models that ship, fed with so many headlines a second."""

    store: Store
    log: LocalLog
    pipeline: EmbeddedPipeline
    fed: int = 0
    waiting: deque[tuple[int, float]] = field(default_factory=deque)  # (position, when it was fetched)

    def run(self, seconds: float) -> list[float]:
        """Feed and work for a while; seconds from fetched to stored score, of each document."""
        found: list[float] = []
        began, before = time.perf_counter(), self.fed
        while (passed := time.perf_counter() - began) < seconds or self.waiting:
            while passed < seconds and self.fed - before < passed * PER_S:
                self.feed()
            if not self.pipeline.step():
                time.sleep(IDLE_S)
            with self.store.read() as connection:
                behind = progress_of(connection, LIVE_RUN, ROLE_SCORE)[0].next_offset
            while self.waiting and self.waiting[0][0] < behind:
                found.append(time.perf_counter() - self.waiting.popleft()[1])
        return found

    def feed(self) -> None:
        """One new headline, as a crawler appends it."""
        self.fed += 1
        now_ms = time.time_ns() // 1_000_000
        title = f"Linlan Bank says quarter {self.fed} brought losses of {self.fed * 7 % 100} million"
        raw = RawDocument(source="Harbour Wire", title=title, id=str(self.fed), kind="news", published_ms=now_ms, fetched_ms=now_ms)
        self.log.append([("document", raw.source, encode(raw))], now_ms=now_ms)
        self.waiting.append((self.fed, time.perf_counter()))  # positions of a log count from 1


def beside_a_backfill(folder: Path) -> list[Ratio]:
    """One store on PostgreSQL, two processes: the live run and `groundswell backfill`, which gives way to it."""
    folder.mkdir(parents=True)
    archive = folder / "demo.jsonl.gz"
    documents, _ = write_demo(archive, DemoSpec(days=60, per_day=1_000))
    instruments = load_instruments()
    with postgres_cluster() as server, fresh_database(server) as url, closing(Store(url)) as store, LocalLog(folder / "live.log") as log:
        open_run(store, LIVE_RUN, kind="live", instruments=instruments)
        live = Live(store, log, EmbeddedPipeline(store, log, LIVE_RUN, instruments))
        live.run(5.0)  # the first scores of a process are slow
        alone = live.run(ALONE_S)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GROUNDSWELL_STORE_URL": url, "GROUNDSWELL_DATA_DIR": str(folder)}
        command = [sys.executable, "-m", "groundswell", "backfill", str(archive), "--run", "past", "--quiet"]
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as past:
            while not _scored(store, "past") and past.poll() is None:  # it reads and sorts first
                live.run(1.0)
            beside = live.run(BESIDE_S)
            ended = past.poll()
            past.terminate()
        done = _scored(store, "past")
        with store.read() as connection:
            balance = [row for row in balance_of(connection, LIVE_RUN, log=log) if row.balance]
    if ended is not None or not done or balance:
        sys.exit(f"bench: the backfill ended with {ended} after {done} documents, live balance {balance}: nothing was measured beside it")
    said = f"{PER_S} live documents/s; {done:,} of {documents:,} documents came in beside them within {BESIDE_S:.0f} s"
    a, b = (np.percentile(found, [50, 95, 99]) for found in (alone, beside))
    figures = "; ".join(f"{name} {x[0]:.2f}, {x[1]:.2f}, {x[2]:.2f} s" for name, x in (("alone p50, p95, p99", a), ("beside it", b)))
    return [
        Ratio("p95 from fetched to scored beside a backfill", "alone", b[1] / a[1], f"at most {FACTOR:.0f}", f"{figures}; {said}"),
        Ratio("p95 from fetched to scored beside a backfill", f"{P95_S:.0f} s", b[1] / P95_S, "at most 1", said),
    ]


def _scored(store: Store, run: str) -> int:
    with store.read() as connection:
        return total(balance_of(connection, run)).scored
