"""What a document costs: processor seconds by stage, memory of open state, and memory while a burst is worked off.

Broker and store run on one core, the workers on the other. A burst is published before the workers start, as many documents as are worked
off in about `BURST_S`; the scorer costs nothing, so its line is everything in the score stage but the model.
"""

import gc
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from sqlalchemy import text

from bench.material import BEGIN_MS, ENVELOPE_RECORDS, SERIES, CheapScorer, documents, end_ms, instruments, publish, serve_cheap
from bench.pipeline import Ratio
from bench.processes import MemoryWatch, cores, cpu_s, family, highest_in_quarter, pin, rss_bytes
from groundswell.names import RAW_PARTITIONS, partition_of
from groundswell.records import Arrival, Document
from groundswell.store.store import Store
from stream.operators.contribute import contribute
from stream.operators.normalise import normalise
from stream.operators.stories import LEADER_BYTES, LEADERS_MAX
from stream.shells.fold_process import FoldProcess
from stream.shells.fold_worker import FoldInput
from stream.shells.topics import prepare_run
from stream.shells.wire import FoldItem, RawBatch, fold_messages
from tests.kafka_run import CONTEXT, KafkaRun, kafka_run
from tests.kafka_worker import Role
from tests.peers import fresh_database, kafka_cluster, postgres_cluster

PEERS, WORKERS = {1}, {0}  # cores
PER_S = 50.0
FOLDED_WITHIN_S = 1_800.0
TRIAL, MOST = 10_000, 1_000_000
BURST_S = 150.0
OPEN = 60_000
MILLION = 1_000_000
MILLION_PER_S = 2.5
"""On the known axis: a backlog of 4.6 days. Leaders of stories live for three, so that all are known before the last quarter."""

QUARTERS = {2: "second", 3: "third"}
ROLES: tuple[Role, ...] = ("fold", "score", "desk")


def of_a_burst(folder: Path, burst_s: float = BURST_S, opened: int = OPEN) -> list[Ratio]:
    """Processor seconds by stage, memory during a burst, and memory of what is open."""
    folder.mkdir(parents=True)
    with cores(PEERS), kafka_cluster() as bootstrap, postgres_cluster() as server:
        trial = Burst(folder, bootstrap, server, count=TRIAL, run="trial")
        trial.work()
        count = min(MOST, int(burst_s / trial.seconds * TRIAL) // 1_000 * 1_000)
        burst = Burst(folder, bootstrap, server, count=count, run="burst")
        burst.work()
    return [*burst.lines(), *of_open_state(folder, opened)]


def of_a_million(folder: Path, count: int = MILLION) -> list[Ratio]:
    """Memory while a backlog of days is worked off: its last quarter against the third."""
    folder.mkdir(parents=True)
    with cores(PEERS), kafka_cluster() as bootstrap, postgres_cluster() as server:
        backlog = Burst(folder, bootstrap, server, count=count, run="million", per_s=MILLION_PER_S)
        backlog.work()
    return backlog.memory(against=3)


class Burst:
    """Many documents that are there before the workers are.

    Args:
        folder: what the workers write.
        bootstrap: Kafka.
        server: PostgreSQL.
        count: how many.
        run: its name.
        per_s: how dense they are on the known axis.
    """

    def __init__(self, folder: Path, bootstrap: str, server: str, *, count: int, run: str, per_s: float = PER_S) -> None:
        self.folder, self.bootstrap, self.server, self.count, self.run, self.per_s = folder, bootstrap, server, count, run, per_s
        self.seconds, self.used_s, self.rows, self.bytes = 0.0, dict[str, float](), 0, 0

    def work(self) -> None:
        """Publish, start the workers, and watch them until everything is folded and decided."""
        with fresh_database(self.server) as url:
            store = Store(url)
            prepare_run(store, self.bootstrap, self.run, kind="backfill", instruments=instruments())
            publish(documents(self.count, per_s=self.per_s), self.bootstrap, self.run)
            with kafka_run(self.bootstrap, url, self.run, self.folder / self.run, main=serve_cheap) as workers:
                pids = self._start(workers)
                workers.wait(partial(_has_begun, store), what="the first documents", within_s=120)
                before, began_s = self._used(pids), time.monotonic()
                with MemoryWatch({name: partial(list, [pid]) for name, pid in pids.items()}) as self.watch:
                    last_ms = end_ms(self.count, per_s=self.per_s)
                    workers.wait(lambda: workers.folded_through(last_ms), what="folding", within_s=FOLDED_WITHIN_S)
                self.seconds = time.monotonic() - began_s
                self.used_s = {name: after - before[name] for name, after in self._used(pids).items()}
                if workers.ended:
                    message = f"workers have ended: {workers.ended}"
                    raise RuntimeError(message)
            self.rows, self.bytes = _size(store)
            store.close()

    def _start(self, workers: KafkaRun) -> dict[str, int]:
        for role in ROLES:
            workers.start(role, 0)
        pids: dict[str, int] = {role: workers.pid(role, 0) for role in ROLES}
        for pid in pids.values():
            pin(pid, WORKERS)
        return pids

    def _used(self, pids: dict[str, int]) -> dict[str, float]:
        peers = {name: sum(map(cpu_s, family(word))) for name, word in (("broker", "java"), ("store", "postgres"))}
        return {name: cpu_s(pid) for name, pid in pids.items()} | peers

    def lines(self) -> list[Ratio]:
        """What it cost."""
        per_document = {name: 1e6 * used / self.count for name, used in self.used_s.items()}
        all_of_it = sum(per_document.values())
        times = [
            Ratio(
                f"processor time of {name}",
                "that of all: score, fold, desk, broker and store",
                micros / all_of_it,
                "printed",
                f"{micros:,.0f} of {all_of_it:,.0f} microseconds a document; {self._what}",
            )
            for name, micros in per_document.items()
        ]
        rows = Ratio(
            "rows a document in PostgreSQL",
            "one",
            self.rows / self.count,
            "printed",
            f"{self.bytes / self.count:,.0f} bytes a document with indexes; {self._what}",
        )
        return [*times, *self.memory(), rows]

    @property
    def _what(self) -> str:
        return f"{self.count:,} documents at once, worked off in {self.seconds:.0f} s ({self.count / self.seconds:,.0f}/s)"

    def memory(self, *, against: int = 2) -> list[Ratio]:
        """Of each worker the last quarter of the time against an earlier one."""
        lines = []
        for role in ROLES:
            before, last = (highest_in_quarter(self.watch.samples[role], number) for number in (against, 4))
            detail = f"{last / 2**20:,.0f} against {before / 2**20:,.0f} MiB; {self._what}"
            if role == "fold":
                grown, hours = 4 / (4 - against) * (last - before) / self.count, self.count / self.per_s / 3_600
                detail += f"; {grown:,.0f} bytes a document; windows hold a day of known time, leaders three days, of {hours:.1f} hours"
            what = f"memory of {role}, last quarter of a burst"
            lines.append(Ratio(what, f"its {QUARTERS[against]} quarter", last / before, "flat: about 1", detail))
        return lines


def _has_begun(store: Store) -> bool:
    with store.read() as connection:
        return connection.execute(text("SELECT 1 FROM admissions LIMIT 1")).first() is not None


def _size(store: Store) -> tuple[int, int]:
    """(rows, bytes) of all tables."""
    with store.write() as connection:
        connection.execute(text("ANALYZE"))
    with store.read() as connection:
        found = "SELECT sum(greatest(reltuples, 0)), sum(pg_total_relation_size(oid)) FROM pg_class"
        rows, size = connection.execute(text(f"{found} WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")).one()
        return int(rows), int(size)


# --- what is open ---------------------------------------------------------------------------------------------------------
def of_open_state(folder: Path, count: int) -> list[Ratio]:
    """Memory of documents that wait for their tick, and of what remains when it is folded, measured in a process of their own."""
    with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        held, kept = pool.submit(measure_open_state, folder / "open.db", count).result()
    remains = f"leaders of stories, at most {LEADERS_MAX:,} of {LEADER_BYTES} bytes a series, and windows, a day of known time"
    return [
        Ratio(
            "memory of 1,000,000 documents whose tick is open, in fold",
            "1 GiB",
            held / count * MILLION / 2**30,
            "printed",
            f"extrapolated from {count:,} documents with {held / count:,.0f} bytes each, {SERIES} series a document",
        ),
        Ratio(
            "memory that remains of them when they are folded",
            "what was open",
            kept / held,
            "printed",
            f"{kept / 2**20:,.0f} of {held / 2**20:,.0f} MiB, with what the process has not given back: {remains}",
        ),
    ]


def measure_open_state(path: Path, count: int) -> tuple[int, int]:
    """Bytes that fold holds of documents while no raw partition has passed them, and after all have."""
    store = Store(str(path))
    fold = FoldProcess(store, "open", instruments().rules, owner="bench", log_id="bench")
    before = _used_bytes()
    for batches in _raw_batches(count):
        _take(fold, batches)
    held = _used_bytes() - before
    last_ms = end_ms(count, per_s=PER_S)
    _take(fold, [RawBatch(part, 0, count, last_ms, []) for part in range(RAW_PARTITIONS)])
    kept = _used_bytes() - before
    store.close()
    return held, kept


def _used_bytes() -> int:
    gc.collect()
    return rss_bytes(os.getpid())


def _raw_batches(count: int) -> Iterator[list[RawBatch]]:
    """Documents as the score stage hands them on, an envelope to an offset, without any word that time has passed them."""
    scorer = CheapScorer()
    waiting: dict[int, list[Document]] = {part: [] for part in range(RAW_PARTITIONS)}
    for number, raw in enumerate(documents(count, per_s=PER_S)):
        document = normalise(raw, known_ms=raw.known_ms or BEGIN_MS)
        part = partition_of(document.document_id, RAW_PARTITIONS)
        waiting[part].append(document)
        if len(waiting[part]) == ENVELOPE_RECORDS or number + 1 == count:
            found, waiting[part] = waiting[part], []
            heard = Counter((d.source, d.known_ms) for d in found)
            arrivals = [Arrival(source, "en", known_ms, n) for (source, known_ms), n in heard.items()]
            scored = zip(found, scorer.score(found), strict=True)
            contributions = [each for d, score in scored if score is not None for each in contribute(d, score)]
            yield [RawBatch(part, number, number, None, [FoldItem.of(number, arrivals, contributions)])]


def _take(fold: FoldProcess, batches: list[RawBatch]) -> None:
    waiting: dict[int, list[FoldInput]] = {}
    for part, pieces in enumerate(fold_messages(batches)):
        begin = fold.partition(part).expected or 0
        waiting[part] = [FoldInput(begin + place, body) for place, body in enumerate(pieces)]
    while waiting:
        fold.take(waiting)
