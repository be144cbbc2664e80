"""The durable local log: an SQLite file in Kafka's place, for one process. Also an archive's external sort.

A log is written in one of two ways: `append` stamps records as they come (a live log), or `stage` takes records that
bring their own known time and `seal` sorts them once (an archive). Reading is the same.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from groundswell.codec import decode_raw
from groundswell.errors import DependencyError, RecordError, UsageError
from groundswell.own_files import make_own
from groundswell.records import Heartbeat, Position, Stamped

SCHEMA_VERSION: Final = "1"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (position INTEGER PRIMARY KEY, known_ms INTEGER NOT NULL, kind TEXT NOT NULL,
    source TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS staged (known_ms INTEGER NOT NULL, identity BLOB NOT NULL, content BLOB NOT NULL,
    source TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS files (file TEXT PRIMARY KEY, lines INTEGER NOT NULL, done INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS bad_lines (file TEXT NOT NULL, line INTEGER NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (file, line));
"""


class StagedRecord(NamedTuple):
    """An archive's record on its way into the sort: order is (known_ms, identity, content)."""

    known_ms: int
    identity: str  # what names the document before it is cleaned: its id, else url, else source, time and title
    source: str
    body: bytes


class BadLine(NamedTuple):
    """An archive's line that could not be read."""

    file: str
    line: int  # from 1
    reason: str
    body: bytes


class LocalLog:
    """One log file; one writer, any number of readers.

    Raises:
        DependencyError: the file cannot be opened or written (disk full, no permission).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_own(path)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768;" + _TABLES)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('id', ?), ('schema', ?)", (uuid.uuid4().hex, SCHEMA_VERSION))
        except (sqlite3.Error, OSError) as error:
            reason = f"log {path}: {error}; check the folder's permissions and free space"
            raise DependencyError(reason) from error
        if self._meta("schema") != SCHEMA_VERSION:
            reason = f"log {path}: its schema is {self._meta('schema')}, this release reads {SCHEMA_VERSION}; start a new log"
            raise DependencyError(reason)
        self.log_id = self._meta("id") or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    # --- a live log --------------------------------------------------------------------------------------------------
    def append(self, records: Iterable[tuple[str, str, bytes]], *, now_ms: int) -> int:
        """Append (kind, source, body) records, stamped now or with the last stamp if that is later; durable on return.

        Bytes that are called a heartbeat and are none count as a document: they will become a drop, and a drop was fetched.

        Returns:
            The stamp.

        Raises:
            DependencyError: the disk is full or the file is gone; nothing was appended.
        """
        given = [("document" if kind == "heartbeat" and not _is_heartbeat(body) else kind, source, body) for kind, source, body in records]
        with self._transaction():
            last = self._db.execute("SELECT known_ms FROM records ORDER BY position DESC LIMIT 1").fetchone()
            stamp = max(now_ms, last[0]) if last else now_ms
            self._db.executemany(
                "INSERT INTO records (known_ms, kind, source, body) VALUES (?, ?, ?, ?)", [(stamp, *record) for record in given]
            )
        return stamp

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            reason = f"log {self.path}: {error}; nothing was written: free space on the disk, then go on"
            raise DependencyError(reason) from error

    def punctuate(self, *, now_ms: int) -> None:
        """Say in the log itself that time goes on: a record without a body. Only what is in the log can be replayed."""
        self.append([("time", "", b"")], now_ms=now_ms)

    def read(self, position: int, *, limit: int, until_ms: int | None = None) -> list[Stamped]:
        """Records from a position on, in order; with `until_ms`, only those known before it."""
        rows = self._db.execute(
            "SELECT position, known_ms, source, body FROM records WHERE position >= ? AND known_ms < ? ORDER BY position LIMIT ?",
            (position, 2**62 if until_ms is None else until_ms, limit),
        )
        return [Stamped(Position(0, place), known_ms, body, source) for place, known_ms, source, body in rows]

    def documents_by_source(self, *, since: int = 0) -> dict[str, tuple[int, int]]:
        """{source: (documents, those of them at or after a position)}, of one moment; heartbeats are not documents."""
        rows = self._db.execute(
            "SELECT source, count(*), sum(position >= ?) FROM records WHERE kind = 'document' GROUP BY source ORDER BY source", (since,)
        )
        return {source: (documents, after) for source, documents, after in rows}

    def records(self) -> int:
        """How many records the log holds."""
        return int(self._db.execute("SELECT count(*) FROM records").fetchone()[0])

    def end_position(self) -> int:
        """Where the next record will be, or would be if none were taken away; 0 of an empty log."""
        row = self._db.execute("SELECT max(position) FROM records").fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def last_known_ms(self) -> int | None:
        """Stamp of the last record."""
        row = self._db.execute("SELECT known_ms FROM records ORDER BY position DESC LIMIT 1").fetchone()
        return row[0] if row else None

    # --- an archive's log ----------------------------------------------------------------------------------------------
    def lines_staged(self, file: str) -> tuple[int, bool]:
        """How many lines of a file have been staged, and whether that was all of it."""
        row = self._db.execute("SELECT lines, done FROM files WHERE file = ?", (file,)).fetchone()
        return (row[0], bool(row[1])) if row else (0, False)

    def stage(self, file: str, records: Sequence[StagedRecord], bad: Sequence[BadLine] = (), *, lines: int, done: bool) -> None:
        """Take a batch of a file's records, and remember how far the file has been read, in one transaction.

        Raises:
            UsageError: the log has been sealed.
            DependencyError: the disk is full or the file is gone; nothing of the batch was taken.
        """
        if self.sealed:
            reason = f"log {self.path}: it is sorted already; new files belong to a new run"
            raise UsageError(reason)
        with self._transaction():
            self._db.executemany(
                "INSERT INTO staged VALUES (?, ?, ?, ?, ?)",
                [
                    (r.known_ms, blake2b(r.identity.encode("utf-8", "replace"), digest_size=8).digest(), _digest(r.body), r.source, r.body)
                    for r in records
                ],
            )
            self._db.executemany("INSERT OR IGNORE INTO bad_lines VALUES (?, ?, ?, ?)", bad)
            self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (file, lines, done))

    @property
    def sealed(self) -> bool:
        """Whether the archive is sorted and ready to be read."""
        return self._meta("sealed") is not None

    def seal(self) -> None:
        """Sort what was staged by (known_ms, identity, content), once; a killed sort starts again. Memory stays bounded.

        Raises:
            DependencyError: the disk is full: about twice the archive's size is needed; nothing was changed.
        """
        if self.sealed:
            return
        with self._transaction():
            self._db.execute(
                "INSERT INTO records (known_ms, kind, source, body)"
                " SELECT known_ms, 'document', source, body FROM staged ORDER BY known_ms, identity, content, body"
            )
            self._db.execute("DELETE FROM staged")
            self._db.execute("INSERT INTO meta VALUES ('sealed', '1')")

    def bad_lines(self) -> list[BadLine]:
        """Every line that could not be read, in order."""
        return [BadLine(*row) for row in self._db.execute("SELECT file, line, reason, body FROM bad_lines ORDER BY file, line")]


def _is_heartbeat(body: bytes) -> bool:
    try:
        return isinstance(decode_raw(body), Heartbeat)
    except RecordError:
        return False


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=8).digest()
