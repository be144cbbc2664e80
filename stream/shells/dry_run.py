"""A dry run of archives: what a backfill would find, take and leave, from a sample that really goes through the pipeline.

    each file --read, up to READ_ROWS--> rows, bad lines, first and last known time, how their times are known
    their first rows --pipeline, in a folder that goes again--> duplicates, languages, drops; seconds and bytes for each document

Nothing is written to the store that the backfill would fill.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from groundswell.local_log import LocalLog
from groundswell.moments import spoken
from groundswell.records import RawDocument
from groundswell.store import schema as t
from groundswell.store.query import Balance, balance_of, drops_by_reason, total
from groundswell.store.store import Store
from ingest.archives.packed import Meter
from ingest.archives.read import ArchiveRow
from stream.shells.backfill import KIND, ArchiveOptions, Progress, split
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, open_run

READ_ROWS = 50_000
"""Rows of one file that are read; what is behind them is estimated."""

BAD_LINES_MAX = 20
"""Bad lines that are shown of one file."""

RUN = "dry-run"


@dataclass
class FileRead:
    """What the beginning of one file holds, or all of it."""

    file: str
    rows: int = 0
    bad: int = 0
    shown: list[str] = field(default_factory=list)  # the first bad lines: file, line, rule, value, next step
    whole: bool = True  # the file was read to its end
    rows_about: int = 0  # in the whole file
    first_known_ms: int | None = None
    last_known_ms: int | None = None
    basis: Counter[str] = field(default_factory=Counter)  # how known times came about -> documents
    precision: Counter[str] = field(default_factory=Counter)  # of published times -> documents
    sample: list[RawDocument] = field(default_factory=list)


@dataclass(frozen=True)
class DryRun:
    """What a backfill would be like."""

    files: list[FileRead]
    sampled: Balance  # of the documents that went through the pipeline
    languages: dict[str, int]
    drops: dict[str, int]  # reason -> documents of the sample
    documents_about: int  # of all files, bad lines left out
    documents_per_s: float
    work_s: float
    store_bytes: int
    log_bytes: int  # of the sorted log and the room that its sort takes, while the run is made


def dry_run(
    files: Sequence[Path],
    instruments: Instruments,
    *,
    options: ArchiveOptions,
    sample: int,
    progress: Progress = lambda _phase, _done, _total: None,
    timer: Callable[[], float] = time.perf_counter,
) -> DryRun:
    """Read the beginning of each file, send a sample through the pipeline, and estimate the rest.

    Args:
        files: as a backfill takes them.
        instruments: model, rules and catalogue: what is slow about a backfill.
        options: how lines are read.
        sample: documents that are scored, the first ones of each file, shared evenly.
        progress: told how far it has come; phases "read" and "run".
        timer: seconds on a clock that never goes back.

    Raises:
        UsageError: a file that cannot be an archive.
        ArchiveLineError: one that cannot be unpacked or opened.
    """
    files = list({file.resolve(): file for file in files}.values())
    share = -(-sample // len(files))
    read = [_read(file, options, keep=share, progress=progress) for file in files]
    documents = [raw for each in read for raw in each.sample]
    with TemporaryDirectory() as folder:
        measured = _played(documents, instruments, Path(folder), progress=progress, timer=timer)
    about = sum(round(each.rows_about * (each.rows - each.bad) / each.rows) for each in read if each.rows)
    scale = about / len(documents) if documents else 0.0
    return DryRun(
        files=read,
        sampled=measured.balance,
        languages=measured.languages,
        drops=measured.drops,
        documents_about=about,
        documents_per_s=len(documents) / measured.seconds if measured.seconds else 0.0,
        work_s=measured.seconds * scale,
        store_bytes=round(measured.store_bytes * scale),
        log_bytes=round(measured.log_bytes * scale),
    )


# --- reading ----------------------------------------------------------------------------------------------------------------------
def _read(file: Path, options: ArchiveOptions, *, keep: int, progress: Progress) -> FileRead:
    meter, found = Meter(), FileRead(file.name)
    rows = options.rows(file, meter=meter)
    for row in islice(rows, READ_ROWS):
        _count(row, found, keep=keep)
        if found.rows % 1_000 == 0:
            progress("read", found.rows, None)
    found.whole = next(rows, None) is None
    found.rows_about = found.rows if found.whole else meter.rows or round(found.rows / max(meter.share, 1e-9))
    return found


def _count(row: ArchiveRow, found: FileRead, *, keep: int) -> None:
    found.rows += 1
    if row.raw is None:
        found.bad += 1
        if len(found.shown) < BAD_LINES_MAX:
            found.shown.append(row.error or "unreadable")
        return
    known_ms = row.raw.known_ms or 0
    found.first_known_ms = known_ms if found.first_known_ms is None else min(found.first_known_ms, known_ms)
    found.last_known_ms = known_ms if found.last_known_ms is None else max(found.last_known_ms, known_ms)
    found.basis[row.raw.known_basis] += 1
    found.precision[row.raw.published_precision if row.raw.published_ms is not None else "none"] += 1
    if len(found.sample) < keep:
        found.sample.append(row.raw)


# --- playing ----------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Measured:
    balance: Balance
    languages: dict[str, int]
    drops: dict[str, int]
    seconds: float
    store_bytes: int
    log_bytes: int


def _played(
    documents: Sequence[RawDocument], instruments: Instruments, folder: Path, *, progress: Progress, timer: Callable[[], float]
) -> _Measured:
    store, rows = Store(str(folder / "store.db")), (ArchiveRow("sample", n, raw, None, b"") for n, raw in enumerate(documents))
    open_run(store, RUN, kind=KIND, instruments=instruments)
    empty_bytes = _held_bytes(store)
    begun_s = timer()
    with LocalLog(folder / "sorted.log") as log:
        log.stage("sample", split(rows, label="sample")[0], lines=len(documents), done=True)
        log.seal()
        pipeline = EmbeddedPipeline(store, log, RUN, instruments)
        while pipeline.step():
            progress("run", pipeline.records_read, len(documents))
        pipeline.finish()
        seconds = timer() - begun_s
        with store.read() as connection:
            balance = total(balance_of(connection, RUN, log=log))
            a = t.admissions.c
            counted = select(a.language, func.count()).where(a.run == RUN).group_by(a.language).order_by(func.count().desc(), a.language)
            languages = {row[0] or "none": row[1] for row in connection.execute(counted)}
            drops = drops_by_reason(connection, RUN)
        log_bytes = sum(path.stat().st_size for path in folder.glob("sorted.log*"))
    store_bytes = _held_bytes(store) - empty_bytes
    store.close()
    return _Measured(balance, languages, drops, seconds, store_bytes, log_bytes)


def _held_bytes(store: Store) -> int:
    """What a SQLite store holds, wherever its pages are just now; PostgreSQL needs about as much."""
    with store.read() as connection:
        pages, page_bytes = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_count", "page_size"))
    return pages * page_bytes


# --- words ------------------------------------------------------------------------------------------------------------------------
def told(found: DryRun, *, iso: Callable[[int], str]) -> Iterator[str]:
    """What is to be said of it, line by line."""
    for each in found.files:
        rows = f"{each.rows:,} rows" if each.whole else f"the first {each.rows:,} of about {each.rows_about:,} rows"
        yield f"{each.file}: {rows}, {each.bad:,} bad"
        yield from (f"  {line}" for line in each.shown)
        if each.bad > len(each.shown):
            yield f"  and {each.bad - len(each.shown):,} more"
        if each.first_known_ms is not None and each.last_known_ms is not None:
            yield f"  known from {iso(each.first_known_ms)} to {iso(each.last_known_ms)}: {_shares(each.basis)}"
            yield f"  published to the {_shares(each.precision)}"
    sampled = found.sampled
    yield f"sample of {sampled.fetched:,} through the pipeline: " + ", ".join(
        f"{name} {getattr(sampled, name):,}" for name in ("scored", "duplicate", "edited", "dropped")
    )
    yield f"  languages: {_shares(Counter(found.languages))}"
    yield from (f"  dropped: {reason}: {number:,}" for reason, number in found.drops.items())
    yield f"about {found.documents_about:,} documents in all, at {found.documents_per_s:,.0f} a second here and now:"
    yield f"  {spoken(round(found.work_s * 1_000))} of work, {_megabytes(found.store_bytes)} in the store,"
    yield f"  {_megabytes(found.log_bytes)} in the data folder while it is sorted"


def _shares(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.most_common()) or "none"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
