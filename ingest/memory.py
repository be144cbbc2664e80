"""What a crawler remembers between polls and restarts, in one SQLite file.

Each source's state, which items it has seen, which requests still wait, and for what is not asked over HTTP, how far it was read.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from groundswell.codec import decode, encode
from groundswell.errors import RecordError
from groundswell.names import content_id
from groundswell.records import RawDocument
from groundswell.sqlite_file import SqliteFile
from ingest.catalogue import Source
from ingest.polite import SourceState
from ingest.timetable import Rest
from ingest.types.base import Request

__all__ = ["Memory", "Waiting", "item_id"]

SEEN_MAX: Final = 20_000  # per source; more than any answer may hold, so that a feed's own items are never forgotten
_IF_DAMAGED: Final = "the file is damaged: remove it and start again; what publishers still list is fetched once more, and recognised"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS states (source TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen (source TEXT NOT NULL, item TEXT NOT NULL, seen_ms INTEGER NOT NULL,
    PRIMARY KEY (source, item)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (source TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS marks (source TEXT PRIMARY KEY, mark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rests (host TEXT PRIMARY KEY, body BLOB NOT NULL);
"""


class Waiting(msgspec.Struct, frozen=True):
    """A request that a poll could not make, or that failed: it is made by a later one."""

    request: Request
    tries: int = 0


def item_id(raw: RawDocument) -> str:
    """What an item is known by: the same identifier with other words is another item, because an edit must get through."""
    return content_id(raw.id or "", raw.url or "", raw.title, raw.text)


class Memory:
    """One file; one crawler. Losing it costs duplicates, which the pipeline recognises, and one unconditional poll per source.

    Raises:
        DependencyError: the file cannot be opened, read or written; any call may meet that.
    """

    def __init__(self, path: Path, *, seen_max: int = SEEN_MAX) -> None:
        self._seen_max = seen_max
        self._file = SqliteFile(path, what="crawler memory", script=_TABLES, if_damaged=_IF_DAMAGED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def state(self, source: Source) -> SourceState:
        """What is remembered of a source; nothing where its address in the catalogue has changed."""
        row = self._file.row("SELECT body FROM states WHERE source = ?", (source.name,))
        try:
            state = decode(row[0], SourceState) if row else None
        except RecordError:
            state = None
        return state if state is not None and state.url == source.url else SourceState(url=source.url)

    def unseen(self, source: Source, items: Sequence[str]) -> set[str]:
        """Those of the items that were not there before."""
        return {item for item in items if self._file.row("SELECT 1 FROM seen WHERE source = ? AND item = ?", (source.name, item)) is None}

    def waiting(self, source: Source) -> list[Waiting]:
        """The requests that wait, those that wait longest first."""
        row = self._file.row("SELECT body FROM waiting WHERE source = ?", (source.name,))
        try:
            return decode(row[0], list[Waiting]) if row else []
        except RecordError:  # of another release: what is still listed will be found again
            return []

    def mark(self, source: Source) -> str:
        """How far a source was read that is not asked over HTTP, in its type's own words; empty at first."""
        row = self._file.row("SELECT mark FROM marks WHERE source = ?", (source.name,))
        return str(row[0]) if row else ""

    def keep(
        self,
        source: Source,
        state: SourceState,
        *,
        items: Iterable[str] = (),
        now_ms: int,
        waiting: Sequence[Waiting] | None = None,
        mark: str | None = None,
    ) -> None:
        """Remember a poll, in one transaction: the state, and every item of its answer. The oldest items make room.

        Args:
            source: whose poll it was.
            state: what is remembered of it.
            items: every item of the answer, and the key of every article that was read.
            now_ms: the moment of the poll.
            waiting: the requests that wait from now on; None: as before.
            mark: how far it was read; None: as before.

        Raises:
            DependencyError: the disk is full or the file is gone; nothing was remembered.
        """
        with self._file.transaction() as db:
            if waiting is not None:
                db.execute("DELETE FROM waiting WHERE source = ?", (source.name,))
            if waiting:
                db.execute("INSERT INTO waiting VALUES (?, ?)", (source.name, encode(list(waiting))))
            if mark is not None:
                db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (source.name, mark))
            db.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (source.name, encode(state)))
            db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", [(source.name, item, now_ms) for item in items])
            db.execute(
                "DELETE FROM seen WHERE source = ? AND item IN"
                " (SELECT item FROM seen WHERE source = ? ORDER BY seen_ms DESC, item LIMIT -1 OFFSET ?)",
                (source.name, source.name, self._seen_max),
            )

    def rests(self, *, now_ms: int) -> dict[str, Rest]:
        """{host: the rest that it has asked for}; those that are over are forgotten.

        Raises:
            DependencyError: the file cannot be written.
        """
        rows = self._file.rows("SELECT host, body FROM rests")
        found: dict[str, Rest] = {}
        for host, body in rows:
            with suppress(RecordError):
                found[host] = decode(body, Rest)
        asked = {host: rest for host, rest in found.items() if rest.until_ms > now_ms}
        with self._file.transaction() as db:
            db.executemany("DELETE FROM rests WHERE host = ?", [(host,) for host, _ in rows if host not in asked])
        return asked

    def keep_rest(self, host: str, rest: Rest) -> None:
        """Remember that a host has asked for rest.

        Raises:
            DependencyError: the disk is full or the file is gone.
        """
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO rests VALUES (?, ?)", (host, encode(rest)))
