"""A watched folder: files that another system drops, read when they have stopped changing."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from groundswell.errors import GroundswellError, reason_of
from groundswell.names import content_id
from groundswell.records import RawDocument
from ingest.types.article import article_of
from ingest.types.base import Request
from ingest.types.charset import decoded
from ingest.types.document import document_of
from ingest.types.feed import Feed
from ingest.types.intake import IntakeType, Taken
from ingest.types.message import message_of
from ingest.types.times import zone_of

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Folder"]

FILE_BYTES_MAX: Final = 20 * 1024 * 1024
RECORDS_MAX: Final = 20_000  # of one file; what is larger belongs into `groundswell backfill`
UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".filepart")
ARCHIVES: Final = (".jsonl", ".csv", ".parquet", ".jsonl.gz", ".csv.gz", ".parquet.gz")
DONE: Final = "done"
LISTED_MAX: Final = 10_000


class Folder(IntakeType, frozen=True, kw_only=True):
    """A folder that another system drops files into."""

    about: ClassVar[str] = "a folder that another system drops files into: archives, feeds, pages, mail, plain text"
    address: ClassVar[str] = "file:///FOLDER, the whole path"
    schemes: ClassVar[tuple[str, ...]] = ("file",)
    look_every_s: ClassVar[int] = 10

    after: Literal["move", "remember"] = "move"  # move: into the subfolder done; remember: files stay where they are
    files_max: Annotated[int, Meta(ge=1, le=1_000)] = 100  # of one look
    zone: str = ""  # offset like +08:00 of times that name none; empty: UTC

    def __post_init__(self) -> None:
        zone_of(self.zone)

    def _fits(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and len(parts.path) > 1

    def _take(
        self,
        *,
        source: "Source",
        mark: str,
        unseen: Callable[[list[str]], set[str]],
        environ: Mapping[str, str],  # noqa: ARG002 (a folder has no secret)
        fetched_ms: int,
    ) -> Taken:
        """Read the files that are as they were at the last look; the others are looked at again."""
        folder = Path(unquote(urlsplit(source.url).path))
        try:
            found = _listed(folder)
        except OSError as error:
            return Taken(ok=False, problem=f"folder {folder}: {error.strerror or reason_of(error)}; check that it is there and may be read")
        before = _before(mark)
        now = {path.name: [size, mtime_ns] for path, size, mtime_ns in found}
        still = [one for one in found if before.get(one[0].name) == now[one[0].name]]
        keys = {path: content_id("file", path.name, str(size), str(mtime_ns)) for path, size, mtime_ns in still}
        new = unseen(list(keys.values()))
        chosen = [path for path, _, _ in still if keys[path] in new][: self.files_max]
        records: list[RawDocument] = []
        problems: list[str] = []
        for path in chosen:
            read, problem = self._read(path, source, fetched_ms)
            records += read
            problems += [f"{path.name}: {problem}"] if problem else []
        shown = f"{len(problems)} of {len(chosen)} files: {'; '.join(problems)}"[:500] if problems else None
        return Taken(
            records=records,
            entries=len(chosen),
            mark=msgspec.json.encode(now).decode(),
            keys=[key for path, key in keys.items() if key not in new or path in chosen],
            problem=shown,
            done=lambda: _move(folder, chosen) if self.after == "move" else None,
        )

    def _read(self, path: Path, source: "Source", fetched_ms: int) -> tuple[list[RawDocument], str | None]:
        name = path.name.lower()
        try:
            if name.endswith(ARCHIVES):
                return _archive(path, source, fetched_ms)
            with path.open("rb") as file:
                body = file.read(FILE_BYTES_MAX + 1)
            return self._document(name, body, source, fetched_ms)
        except (OSError, GroundswellError, ValueError) as error:
            return [], reason_of(error)[:200]
        except Exception as error:  # whatever a parser of the outside world stumbles over is a fact about the file
            return [], f"unreadable: {type(error).__name__}: {reason_of(error)[:200]}"

    def _document(self, name: str, body: bytes, source: "Source", fetched_ms: int) -> tuple[list[RawDocument], str | None]:
        """The records of a file that is no archive."""
        if name.endswith((".xml", ".rss", ".atom", ".json")):
            parsed = Feed(zone=self.zone).parse(body, {}, asked=Request(url=source.url), source=source, fetched_ms=fetched_ms)
            return list(reversed(parsed.records)), None if parsed.readable else parsed.problem
        if name.endswith((".html", ".htm")):
            asked = Request(url="https://file.invalid/", role="article")
            parsed = article_of(body, {}, asked=asked, source=source, fetched_ms=fetched_ms, rules={}, zone=zone_of(self.zone))
            return [msgspec.structs.replace(record, url=None, asked_url=None, id=name) for record in parsed.records], parsed.problem
        if name.endswith(".eml"):
            record, problem = message_of(body, source=source, fetched_ms=fetched_ms)
            return [record] if record else [], problem
        if name.endswith(".txt"):
            title, _, text = decoded(body).text.strip().partition("\n")
            record = document_of(source, fetched_ms=fetched_ms, title=title, text=text, identifier=name)
            return [record] if record else [], None if record else "no word in it"
        return [], "its name ends in nothing that is read (.jsonl .csv .parquet .xml .rss .atom .json .html .eml .txt); rename it"


def _listed(folder: Path) -> list[tuple[Path, int, int]]:
    """(file, size, time of change) of what may be read, the oldest first; links lead out of the folder and are passed over."""
    found = []
    for path in sorted(folder.iterdir())[:LISTED_MAX]:
        if path.name.startswith(".") or path.name.lower().endswith(UNFINISHED):
            continue
        try:
            about = path.lstat()
        except FileNotFoundError:  # renamed while we looked
            continue
        if stat.S_ISREG(about.st_mode):
            found.append((path, about.st_size, about.st_mtime_ns))
    return sorted(found, key=lambda one: (one[2], one[0].name))


def _before(mark: str) -> dict[str, list[int]]:
    try:
        return msgspec.json.decode(mark or "{}", type=dict[str, list[int]])
    except msgspec.MsgspecError:
        return {}


def _archive(path: Path, source: "Source", fetched_ms: int) -> tuple[list[RawDocument], str | None]:
    from ingest.archives.read import read_archive  # the readers of archives load pyarrow

    records: list[RawDocument] = []
    wrong: list[str] = []
    if path.stat().st_size > FILE_BYTES_MAX:
        return [], f"larger than {FILE_BYTES_MAX} bytes; read it with groundswell backfill"
    for row in read_archive(path, assume_lag_ms=0):
        if len(records) >= RECORDS_MAX:
            wrong.append(f"more than {RECORDS_MAX} lines; read it with groundswell backfill")
            break
        if row.raw is None:
            wrong.append(row.error or "unreadable")
            continue
        # The archive's own clock is for replays: here the log says when it was known.
        records.append(
            msgspec.structs.replace(
                row.raw,
                source=source.name,
                owner=source.owner,
                kind=source.kind,
                tier=source.tier,
                role=source.role,
                known_ms=None,
                known_basis="recorded",
                fetched_ms=fetched_ms,
            )
        )
    return records, f"{len(wrong)} lines, the first: {wrong[0]}" if wrong else None


def _move(folder: Path, paths: list[Path]) -> None:
    """Into the subfolder; a name that is there already gets a number. What cannot be moved was remembered, and is not read again."""
    for path in paths:
        try:
            (folder / DONE).mkdir(exist_ok=True)
            target, number = folder / DONE / path.name, 1
            while target.exists():
                target, number = folder / DONE / f"{path.name}.{number}", number + 1
            path.rename(target)
        except OSError:
            continue
