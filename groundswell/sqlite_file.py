"""One small SQLite file of one process, such as the local log: opened, read and written with errors that say what to do."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from groundswell.errors import DependencyError
from groundswell.own_files import make_own

__all__ = ["SqliteFile"]

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class SqliteFile:
    """The connection to a file; made with its folder if missing. May be used from any thread, one at a time.

    Args:
        path: of the file.
        what: how errors name it.
        script: run when it is opened: its tables, made where they are missing.
        if_damaged: what to do once SQLite cannot read it any more.

    Raises:
        DependencyError: it cannot be opened or written, or is damaged.
    """

    def __init__(self, path: Path, *, what: str, script: str, if_damaged: str) -> None:
        self.path, self._what, self._if_damaged = path, what, if_damaged
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make_own(path)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {script}")
        except (sqlite3.Error, OSError) as error:
            raise self._trouble(error, step="check the folder's permissions and free space") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that a query finds.

        Raises:
            DependencyError: the file cannot be read.
        """
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error, step="check the disk and the file's permissions") from error

    def row(self, query: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first of them; None where there is none. Raises as `rows`."""
        return next(iter(self.rows(query, values)), None)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written in the block, or nothing of it, whatever ends the block.

        Raises:
            DependencyError: the disk is full, or the file is gone or damaged; nothing was written.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise self._trouble(error, step="nothing was written: free space on the disk, then go on") from error

    def _trouble(self, error: Exception, *, step: str) -> DependencyError:
        if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            step = self._if_damaged
        return DependencyError(f"{self._what} {self.path}: {error}; {step}")
