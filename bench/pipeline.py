"""What the pipeline costs beside a plain loop, and beside itself in a full store. Ratios of medians, alternating, in one run."""

import gc
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, select, text

from groundswell.local_log import LocalLog
from groundswell.records import Position, Stamped
from groundswell.store import schema as t
from groundswell.store.store import Store
from ingest.archives.read import read_archive
from ingest.demo_archive import CATALOGUE, DemoSpec, write_demo
from stream.operators.admit import StampClock
from stream.pipeline import open_records
from stream.shells.backfill import ArchiveOptions, backfill, split, stage_archives
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, load_instruments, open_run

ROUNDS = 5
BATCH = 1_000
RUN = "bench"
SMALL, LARGE = 10_000, 300_000
MEASURED = 2_000


@dataclass(frozen=True)
class Ratio:
    """One line of the page."""

    what: str
    against: str
    ratio: float
    bound: str
    detail: str


def alternating(first: Callable[[int], float], second: Callable[[int], float]) -> tuple[float, float]:
    """Medians of seconds of two jobs, run in turn; the order changes every round, so that a drift of the machine hits both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        jobs = [(0, first), (1, second)]
        for place, job in jobs if number % 2 == 0 else reversed(jobs):
            gc.collect()
            seconds[place].append(job(number))
    return median(seconds[0]), median(seconds[1])


def against_a_plain_loop(folder: Path) -> Ratio:
    """Backfill of an archive, against reading and scoring the same texts and inserting the same rows."""
    folder.mkdir(parents=True)
    archive = folder / "demo.jsonl.gz"
    documents, _ = write_demo(archive, DemoSpec(days=30, per_day=200))
    instruments = load_instruments(catalogues=[CATALOGUE], use="linear")

    def pipeline(number: int) -> float:
        place = folder / f"pipeline{number}"
        place.mkdir()
        began = time.perf_counter()
        store = Store(str(place / "b.db"))
        backfill([archive], store, RUN, instruments, data_dir=place, options=ArchiveOptions())
        store.close()
        return time.perf_counter() - began

    pipeline(99)
    source = Store(str(folder / "pipeline99" / "b.db"))
    with source.read() as connection:
        rows = {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in t.metadata.sorted_tables}

    def plain(number: int) -> float:
        place = folder / f"plain{number}"
        place.mkdir()
        began = time.perf_counter()
        store = Store(str(place / "b.db"))
        _score_all(archive, instruments)
        for table in t.metadata.sorted_tables:
            for start in range(0, len(rows[table.name]), BATCH):
                with store.write() as connection:
                    store.insert(connection, table, rows[table.name][start : start + BATCH], keep=table is not t.search)
        store.close()
        return time.perf_counter() - began

    ours, theirs = alternating(pipeline, plain)
    inserted = sum(map(len, rows.values()))
    return Ratio(
        "backfill, documents per second",
        "a plain loop that reads and scores the same texts and inserts the same rows",
        theirs / ours,
        "at least 0.5",
        f"{documents / ours:,.0f} against {documents / theirs:,.0f} documents/s; {inserted / documents:.1f} rows a document",
    )


def _score_all(archive: Path, instruments: Instruments) -> None:
    """Read an archive and score its documents, and nothing else."""
    records, _ = split(read_archive(archive), label=archive.name)
    stamped = [Stamped(Position(0, number), record.known_ms, record.body, record.source) for number, record in enumerate(records)]
    documents = [document for _, document in open_records(stamped, StampClock()).documents]
    for start in range(0, len(documents), BATCH):
        instruments.scorer.score(documents[start : start + BATCH])


def in_a_full_store(folder: Path) -> Ratio:
    """Seconds per document with 300,000 documents in the store, against 10,000 in it."""
    folder.mkdir(parents=True)
    archive = folder / "demo.jsonl.gz"
    write_demo(archive, DemoSpec(days=30, per_day=400))
    instruments = load_instruments(catalogues=[CATALOGUE], use="linear")
    log = stage_archives([archive], folder / "bench.log", ArchiveOptions(), lambda _phase, _done, _total: None)
    store = Store(str(folder / "small.db"))
    open_run(store, RUN, kind="backfill", instruments=instruments)
    begun = EmbeddedPipeline(store, log, RUN, instruments)
    while begun.records_read < SMALL:
        begun.step(limit=500)
    _settle(store)
    shutil.copy(folder / "small.db", folder / "large.db")
    large = Store(str(folder / "large.db"))
    with large.write() as connection:
        held = _multiply(connection, SMALL, LARGE)
    _settle(large)

    def measured(name: str) -> Callable[[int], float]:
        def once(number: int) -> float:
            place = folder / f"{name}-{number}.db"
            shutil.copy(folder / f"{name}.db", place)
            seconds = _work_on(place, log, instruments)
            for leftover in folder.glob(f"{place.name}*"):
                leftover.unlink()
            return seconds

        return once

    few, many = alternating(measured("small"), measured("large"))
    return Ratio(
        f"seconds per document with {held:,} documents in the store",
        f"the same {MEASURED:,} documents with {SMALL:,} in it",
        many / few,
        "at most 1.2",
        f"{1e6 * many / MEASURED:,.0f} against {1e6 * few / MEASURED:,.0f} microseconds",
    )


def _work_on(path: Path, log: LocalLog, instruments: Instruments) -> float:
    """Seconds for the next documents of a run, the pipeline's start not counted."""
    store = Store(str(path))
    pipeline = EmbeddedPipeline(store, log, RUN, instruments)
    pipeline.step(limit=500)
    began = time.perf_counter()
    while pipeline.records_read < MEASURED + 500:
        pipeline.step(limit=500)
    seconds = time.perf_counter() - began
    store.close()
    return seconds


def _settle(store: Store) -> None:
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def _multiply(connection: Connection, have: int, wanted: int) -> int:
    """Copy every document, score, admission, story and increment into earlier months, until the store is full."""
    copies = wanted // have - 1
    shift_ticks = 40 * 86_400_000 // 15_000
    for number in range(1, copies + 1):
        values: dict[str, Any] = {
            "mark": f"{number:02x}",
            "ticks": shift_ticks * number,
            "ms": shift_ticks * 15_000 * number,
            "at": 10**7 * number,
        }
        for table, changed in _SHIFTED.items():
            columns = [column.name for column in t.metadata.tables[table].columns]
            chosen = ", ".join(changed.get(name, name) for name in columns)
            where = " AND position < 10000000" if table == "admissions" else " AND tick > :least" if "tick" in columns else ""
            run = f"WHERE run = '{RUN}'{where}" if "run" in columns else "WHERE length(document_id) = 16"
            least = connection.execute(text("SELECT min(tick) FROM admissions WHERE position < 10000000")).scalar_one() - 1
            connection.execute(
                text(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} {run}"), values | {"least": least}
            )
    return int(connection.execute(text("SELECT count(*) FROM documents")).scalar_one())


_SHIFTED = {
    "documents": {"document_id": "document_id || :mark", "known_ms": "known_ms - :ms", "published_ms": "published_ms - :ms"},
    "scores": {"document_id": "document_id || :mark"},
    "admissions": {
        "position": "position + :at",
        "document_id": "document_id || :mark",
        "known_ms": "known_ms - :ms",
        "tick": "tick - :ticks",
    },
    "stories": {"story": "story || :mark", "founded_ms": "founded_ms - :ms", "tick": "tick - :ticks"},
    "increments": {"tick": "tick - :ticks", "pane": "pane - :ticks / 20"},
}
