"""The backfill shell: archives at full speed through the same pipeline. Resumable at any moment; it never pings.

    files --read--> staged --sort--> a local log in known order --EmbeddedPipeline--> the run's rows

The sort is the local log's own (bounded memory, on disk). A killed backfill goes on where its last transaction stands.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from groundswell.codec import encode
from groundswell.local_log import BadLine, LocalLog, StagedRecord
from groundswell.names import content_id
from groundswell.records import Drop, Position, RawDocument
from groundswell.schedule import WATCHES
from groundswell.store import schema as t
from groundswell.store.basis import BASIS
from groundswell.store.facts import write_intake
from groundswell.store.query import Balance, balance_of
from groundswell.store.store import Store
from groundswell.store.tallies import tally
from groundswell.watches import NOTHING
from ingest.archives.packed import Meter
from ingest.archives.read import ArchiveRow, read_archive
from stream.operators.normalise import source_name
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, open_run, update_manifest

STAGE_LINES = 5_000
KIND = "backfill"

Progress = Callable[[str, int, int | None], None]
"""Called with (phase, done, total or None) while the work goes on; phases: "read", "sort", "run"."""


@dataclass(frozen=True)
class ArchiveOptions:
    """How archive lines are read; part of the run's identity, but for the present."""

    assume_lag_ms: int = 600_000
    strict: bool = False
    mapping: Mapping[str, str] | None = None
    not_after_ms: int | None = None
    always: Mapping[str, str] | None = None
    zone: str = "UTC"
    zones: Mapping[str, str] | None = None

    def rows(self, file: Path, *, start_line: int = 0, meter: Meter | None = None) -> Iterator[ArchiveRow]:
        """The rows of one file, read so."""
        return read_archive(file, start_line=start_line, meter=meter, **vars(self))

    @property
    def manifest(self) -> dict[str, Any]:
        """What a run remembers of them. What came later is left out where it says nothing, so that older runs are still met."""
        said = {"assume_lag_ms": self.assume_lag_ms, "strict": self.strict, "mapping": dict(self.mapping or {})}
        later = {"always": dict(self.always or {}), "zone": self.zone.removeprefix("UTC"), "zones": dict(self.zones or {})}
        return said | {name: value for name, value in later.items() if value}


@dataclass(frozen=True)
class Backfilled:
    """What a finished backfill has to say."""

    run: str
    rows: list[Balance]  # by source; bad lines under "file:NAME"
    bad_lines: list[BadLine]
    already: bool  # the run was complete before: nothing was done


def backfill(
    files: Sequence[Path],
    store: Store,
    run: str,
    instruments: Instruments,
    *,
    data_dir: Path,
    options: ArchiveOptions,
    progress: Progress = lambda _phase, _done, _total: None,
) -> Backfilled:
    """Run archives through the pipeline into a run of their own.

    Args:
        files: archives as `ingest/archives/read.py` knows them; their order does not matter.
        store: where the run goes.
        run: its name; the same name, files and instruments resume or change nothing.
        instruments: model, rules and catalogue.
        data_dir: where the sorted log lies while the run is made; about the size of the unpacked archives.
        options: how lines are read.
        progress: told how far it has come.

    Raises:
        UsageError: another archive, or other instruments, under the same run name; a file that cannot be an archive.
        DependencyError: store or disk refuse; run the same command again to go on.
    """
    inputs = sorted(({"name": f.name, "sha256": _sha256(f)} for f in files), key=lambda i: (i["sha256"], i["name"]))
    watched = None if instruments.watches == NOTHING else instruments.watches.hash  # None: as in runs from before there were any
    manifest = {"files": inputs, WATCHES: watched} | options.manifest
    stored = open_run(store, run, kind=KIND, instruments=instruments, manifest=manifest)
    if stored.get("complete"):
        with store.read() as connection:
            return Backfilled(run, balance_of(connection, run), [], already=True)
    log = stage_archives(files, log_path(data_dir, store, run), options, progress)
    with log:
        pipeline = EmbeddedPipeline(store, log, run, instruments)
        total = log.records()
        while pipeline.step():
            progress("run", pipeline.records_read, total)
        pipeline.finish()
        bad = log.bad_lines()
        account_for(store, run, log, bad)
        with store.read() as connection:
            rows = balance_of(connection, run)
        update_manifest(store, run, complete=True, **{BASIS: basis_counted(log)})
    for leftover in log.path.parent.glob(log.path.name + "*"):
        leftover.unlink()
    return Backfilled(run, rows, bad, already=False)


def log_path(data_dir: Path, store: Store, run: str) -> Path:
    """Where a run's sorted log lies."""
    return data_dir / "runs" / f"{content_id(store.url, run)}.log"


def stage_archives(files: Sequence[Path], path: Path, options: ArchiveOptions, progress: Progress) -> LocalLog:
    """Read archives into a log sorted by known time; goes on where an earlier, killed call stopped."""
    log = LocalLog(path)
    staged = 0
    files = list({file.resolve(): file for file in files}.values())
    labels = _labels(files)
    for file in [] if log.sealed else files:
        name = labels[file]  # not where it lies: a resumed archive may have been moved
        lines, done = log.lines_staged(name)
        if done:
            continue
        rows = options.rows(file, start_line=lines)
        while batch := list(islice(rows, STAGE_LINES)):
            lines = batch[-1].line
            records, bad = split(batch, label=labels[file])
            log.stage(name, records, bad, lines=lines, done=False)
            staged += len(batch)
            progress("read", staged, None)
        log.stage(name, [], lines=lines, done=True)
    progress("sort", 0, None)
    log.seal()
    return log


def _labels(files: Sequence[Path]) -> dict[Path, str]:
    """What each file is called where its bad lines are counted: its name, or its path where two have the same name."""
    names = [file.name for file in files]
    return {file: file.name if names.count(file.name) == 1 else str(file) for file in files}


def split(batch: Iterable[ArchiveRow], *, label: str) -> tuple[list[StagedRecord], list[BadLine]]:
    """Archive rows as what the log stages: records with their sort keys, and bad lines."""
    records, bad = [], []
    for row in batch:
        if row.raw is None:
            bad.append(BadLine(label, row.line, row.error or "unreadable", row.body))
        else:
            source = source_name(row.raw.source) or "?"
            records.append(StagedRecord(row.raw.known_ms or 0, _identity(row.raw), source, encode(row.raw)))
    return records, bad


def _identity(raw: RawDocument) -> str:
    return raw.id or raw.url or f"{raw.source}\x1f{raw.published_ms}\x1f{raw.title}"


def account_for(store: Store, run: str, log: LocalLog, bad: Sequence[BadLine]) -> None:
    """Store what was fetched, by source, and the bad lines as drops: the balance then needs no log, and counts no row again."""
    fetched = {source: documents for source, (documents, _) in log.documents_by_source().items()}
    places = {file: number for number, file in enumerate(sorted({line.file for line in bad}))}
    for line in bad:
        fetched[f"file:{line.file}"] = fetched.get(f"file:{line.file}", 0) + 1
    drops = [
        Drop(
            position=Position(-1 - places[line.file], line.line),  # below every partition of a log
            known_ms=0,
            source=f"file:{line.file}",
            reason=line.reason,
            body=line.body,
        )
        for line in bad
    ]
    rows: list[dict[str, Any]] = [{"run": run, "source": source, "documents": n} for source, n in fetched.items()]
    with store.write() as connection:
        store.insert(connection, t.fetched, rows)
        write_intake(store, connection, run, drops=drops)
    tally(store, run)


def basis_counted(log: LocalLog) -> dict[str, int]:
    """{how known times came about: documents} of a sealed log: the archive's own word, whatever the store knew before."""
    counts: Counter[str] = Counter()
    place = 0
    while batch := log.read(place, limit=STAGE_LINES):
        counts.update(_basis.decode(stamped.body).known_basis for stamped in batch)
        place = batch[-1].position.offset + 1
    return dict(counts)


class _Basis(msgspec.Struct):
    known_basis: str = "recorded"


_basis = msgspec.json.Decoder(_Basis)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
    except OSError:
        return "unreadable"  # read_archive says what is wrong with it
