"""Archive files (jsonl, csv, parquet, each also .gz) as records, one row per line; a bad line is a row with its reason.

An archive line is `{"id"?, "source", "url"?, "kind"?, "title", "text"?, "language"?, "author"?, "published_at", "known_at"?}`.
Times are ISO 8601; a time without a zone is UTC. `published_at` may be a bare day: its place is the last millisecond of that
day and, without `known_at`, it is known when the day has ended (a fact dated Monday was not safely known before Tuesday).
Content never raises: whatever a line holds, exactly one row comes out for it, so rows can be counted against lines.
"""

import csv
import gzip
import io
import re
import shutil
import tempfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn, cast

import msgspec

from groundswell import names
from groundswell.errors import ArchiveLineError, UsageError, reason_of
from groundswell.records import Kind, KnownBasis, Precision, RawDocument

__all__ = ["BODY_BYTES", "FIELDS", "LINE_BYTES_MAX", "TEXT_CHARS_MAX", "ArchiveRow", "read_archive"]

LINE_BYTES_MAX: Final = 32 * 1024 * 1024  # a longer line is skipped without being held
BODY_BYTES: Final = 64 * 1024
TEXT_CHARS_MAX: Final = 100_000
SOURCE_CHARS_MAX: Final = 200
FORMATS: Final = ("jsonl", "csv", "parquet")
FIELDS: Final = ("id", "source", "url", "kind", "title", "text", "language", "author", "published_at", "known_at")
_NEEDED: Final = (("source",), ("title", "text"), ("published_at", "known_at"))  # one of each group must be a column
_BUFFER: Final = 1 << 20
_PARQUET_ROWS: Final = 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_BROKEN: Final = (OSError, EOFError, zlib.error)  # what a damaged file or packing raises while it is read


class ArchiveRow(msgspec.Struct, frozen=True):
    """One line of an archive: a document or the reason why there is none."""

    file: str  # name without its folder
    line: int  # 1-based; in csv the physical line on which the row begins (the header is 1), in parquet the row
    raw: RawDocument | None
    error: str | None  # file, line, rule, value, next step; None where raw is there
    body: bytes  # the line as it stood, at most BODY_BYTES


class _Line(msgspec.Struct):
    """An archive line before anything in it is believed."""

    source: str | None = None
    title: str | None = None
    text: str | None = None
    published_at: str | None = None
    known_at: str | None = None
    id: str | int | None = None
    url: str | None = None
    kind: str | None = None
    language: str | None = None
    author: str | None = None


class _Item(NamedTuple):
    """What a format's reader hands on: bytes (JSON) or named values, or why the line has neither."""

    line: int
    body: bytes
    record: bytes | dict[str, Any] | None
    problem: str = ""


class _Rules(NamedTuple):
    mapping: dict[str, str]  # archive field -> column of the file
    assume_lag_ms: int
    strict: bool
    not_after_ms: int | None
    start_line: int


class _Moment(NamedTuple):
    start_ms: int  # of the day where only a day is given, else the moment itself
    place_ms: int  # published: last millisecond of the day, else the moment
    known_ms: int  # end of the day, else the moment
    precision: Precision


def read_archive(
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    assume_lag_ms: int = 600_000,
    strict: bool = False,
    start_line: int = 0,
    not_after_ms: int | None = None,
) -> Iterator[ArchiveRow]:
    """Read one archive file, lazily and in bounded memory; the format follows from the name (`news.csv.gz`).

    Args:
        path: the file; `.jsonl`, `.csv` or `.parquet`, each also with `.gz`.
        mapping: archive field -> column name in the file, for columns that are called otherwise.
        assume_lag_ms: without `known_at` a document counts as known this long after it was published.
        strict: refuse lines without `known_at` instead of assuming it.
        start_line: rows whose `line` is at most this are not returned (pass the last row's `line` to resume).
        not_after_ms: the present; a line known (or, without `known_at`, published) after it is an error row, so that one
            typing error in a year cannot move the known clock into the future. A `published_at` later than the line's own
            `known_at` is left for the normaliser, which clamps and flags it.

    Raises:
        UsageError: no such file, an unknown suffix, a mapping to an unknown field, a missing column, a negative number.
        ArchiveLineError: (on the first step) a file that cannot be unpacked or opened as what its name says. One that
            breaks later yields the rows so far and then one error row.
    """
    kind = _format(path)
    chosen = dict(mapping or {})
    unknown = [field for field in chosen if field not in FIELDS]
    if unknown:
        _usage(path, f"the column mapping names {unknown[0]!r}, which is no archive field", f"use one of {', '.join(FIELDS)}")
    for name, number in (("assume_lag_ms", assume_lag_ms), ("start_line", start_line)):
        if number < 0:
            _usage(path, f"{name} is {number}", "give zero or more")
    if not path.is_file():
        _usage(path, "there is no such file", "check the path")
    return _rows(path, kind, _Rules(chosen, assume_lag_ms, strict, not_after_ms, start_line))


def _format(path: Path) -> str:
    parts = path.name.lower().split(".")
    kind = parts[-2] if parts[-1] == "gz" and len(parts) > 1 else parts[-1]
    if len(parts) < 2 or kind not in FORMATS:
        _usage(path, "the name does not say the format", "rename it to end in .jsonl, .csv or .parquet, each also with .gz")
    return kind


def _usage(path: Path, rule: str, step: str) -> NoReturn:
    message = f"{path}: {rule}; {step}"
    raise UsageError(message)


def _rows(path: Path, kind: str, rules: _Rules) -> Iterator[ArchiveRow]:
    items = {"jsonl": _jsonl_items, "csv": _csv_items, "parquet": _parquet_items}[kind]
    decode = msgspec.json.Decoder(dict if rules.mapping else _Line).decode
    line = 0
    try:
        with closing(items(path, rules)) as stream:
            for item in stream:
                line = item.line
                if line > rules.start_line:
                    yield _row(path.name, item, decode, rules)
    except _BROKEN as broken:
        rule = f"the file cannot be read {'on' if line else 'at all'}: {reason_of(broken)}"
        message = f"{path.name}, line {line + 1}: {rule}; fetch or pack the file again"
        if not line:
            raise ArchiveLineError(message) from broken
        if line + 1 > rules.start_line:
            yield ArchiveRow(path.name, line + 1, None, message, b"")


def _row(file: str, item: _Item, decode: Any, rules: _Rules) -> ArchiveRow:
    body = item.body[:BODY_BYTES]
    if item.record is None:
        return ArchiveRow(file, item.line, None, f"{file}, line {item.line}: {item.problem}", body)
    try:
        return ArchiveRow(file, item.line, _document(_fields(item.record, decode, rules.mapping), rules), None, body)
    except ArchiveLineError as bad:
        return ArchiveRow(file, item.line, None, f"{file}, line {item.line}: {bad}", body)


# --- one line ---------------------------------------------------------------------------------------------------------
def _bad(rule: str, value: object, step: str) -> NoReturn:
    shown = repr(value)
    message = f"{rule}; got {shown if len(shown) <= 80 else shown[:77] + '...'}; {step}"
    raise ArchiveLineError(message)


def _fields(record: bytes | dict[str, Any], decode: Any, mapping: dict[str, str]) -> _Line:
    if isinstance(record, bytes):
        if not record:
            _bad("the line is empty", "", "remove it")
        if not record.isascii():
            try:
                record.decode()  # the JSON decoder does not look into fields that it skips
            except UnicodeDecodeError as error:
                _bad(f"not UTF-8 at byte {error.start + 1}", record[error.start : error.start + 8], "convert the file to UTF-8")
        try:
            decoded = decode(record)
        except msgspec.ValidationError as error:
            _bad("a field has the wrong type", reason_of(error), "correct the line")
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            found = re.search(r"\(byte (\d+)\)", str(error))
            column = int(found[1]) + 1 if found else len(record) + 1
            _bad(f"not JSON at column {column} ({reason_of(error)})", record[max(0, column - 20) : column + 20], "correct the line")
        if isinstance(decoded, _Line):
            return decoded
        record = cast("dict[str, Any]", decoded)
    named = {field: record.get(mapping.get(field, field)) for field in FIELDS}
    try:
        return msgspec.convert(named, _Line)
    except msgspec.ValidationError as error:
        _bad("a field has the wrong type", reason_of(error), "correct the line or the column mapping")


def _document(line: _Line, rules: _Rules) -> RawDocument:
    """Check one line's values and give its times their meaning."""
    source = (line.source or "").strip()
    if not source or len(source) > SOURCE_CHARS_MAX:
        _bad(f"source must have 1 to {SOURCE_CHARS_MAX} characters", line.source, "name the source, or map the column that does")
    kind = line.kind or "news"
    if kind not in names.KINDS:
        _bad(f"kind must be one of {', '.join(names.KINDS)}", kind, "correct it or leave it out (news)")
    title, text = (line.title or "")[:TEXT_CHARS_MAX], (line.text or "")[:TEXT_CHARS_MAX]
    if not title.strip() and not text.strip():
        _bad("nothing to read: title and text are both empty", line.title, "give one of them")
    published, known_ms, basis = _times(line, rules)
    author = (line.author or "").strip()
    return RawDocument(
        source=source,
        title=title,
        kind=cast("Kind", kind),
        text=text,
        url=line.url or None,
        id=_identifier(line.id),
        author_hash=names.content_id("author", source, author) if author else None,
        language=line.language or None,
        published_ms=published.place_ms if published else None,
        published_precision=published.precision if published else "second",
        known_ms=known_ms,
        known_basis=basis,
    )


def _identifier(value: str | int | None) -> str | None:
    if not isinstance(value, int):
        return value or None
    try:
        return str(value)
    except ValueError as error:  # Python refuses to print integers of thousands of digits
        _bad("id is too long a number", reason_of(error), "give it as a string")


def _times(line: _Line, rules: _Rules) -> tuple[_Moment | None, int, KnownBasis]:
    published = _moment("published_at", line.published_at) if line.published_at else None
    limit = rules.not_after_ms
    if line.known_at:
        known = _moment("known_at", line.known_at)
        if limit is not None and known.start_ms > limit:
            _bad("known in the future", line.known_at, "correct known_at")
        if known.known_ms < 0:
            _bad("known before 1970", line.known_at, "correct known_at")
        return published, known.known_ms, "claimed"
    if rules.strict:
        _bad("known_at is missing and strict reading assumes none", line.known_at, "add known_at or read without strict")
    if published is None:
        _bad("published_at and known_at are both missing", line.published_at, "give at least one of them")
    if limit is not None and published.start_ms > limit:
        _bad("published in the future", line.published_at, "correct published_at or add known_at")
    if published.known_ms < 0:
        _bad("published before 1970, which cannot stand in for known_at", line.published_at, "correct published_at or add known_at")
    lag = 0 if published.precision == "day" else rules.assume_lag_ms
    return published, published.known_ms + lag, "assumed"


def _moment(field: str, value: str) -> _Moment:
    """Parse an ISO 8601 day or time; without a zone it is UTC.

    >>> _moment("published_at", "2024-02-29")
    _Moment(start_ms=1709164800000, place_ms=1709251199999, known_ms=1709251200000, precision='day')
    >>> _moment("published_at", "2024-02-29T08:30+08:00").precision
    'minute'
    """
    value = value.strip()
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or "W" in value[:10]:  # a bare week would pass as its Monday
        _bad(f"{field} must be an ISO 8601 day or time", value, "write it like 2024-03-01 or 2024-03-01T09:30:00Z")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    start_ms = (moment - _EPOCH) // _MILLISECOND
    if len(value) <= 10:
        end_ms = start_ms + names.DAY_MS
        return _Moment(start_ms, end_ms - 1, end_ms, "day")
    return _Moment(start_ms, start_ms, start_ms, _precision(value))


def _precision(value: str) -> Precision:
    if value[16:17] == ":":
        return "second"
    clock = re.split(r"[Z+-]", value[11 if value[4:5] == "-" else 9 :])[0]
    return "second" if len(clock.replace(":", "")) >= 6 else "minute"


# --- the formats ------------------------------------------------------------------------------------------------------
def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Physical lines: number, bytes without the line end, and whether they are whole (else longer than LINE_BYTES_MAX)."""
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(path.open("rb"))
        if path.name.lower().endswith(".gz"):
            packed = stack.enter_context(gzip.GzipFile(fileobj=stream))
            stream = stack.enter_context(io.BufferedReader(cast("io.RawIOBase", packed), _BUFFER))
        number = 0
        while body := stream.readline(LINE_BYTES_MAX + 1):
            number += 1
            if number == 1:
                body = body.removeprefix(b"\xef\xbb\xbf")  # a byte order mark is no part of the first field
            whole = len(body) <= LINE_BYTES_MAX or body.endswith(b"\n")
            if not whole:
                body = body[:BODY_BYTES]
                while (rest := stream.readline(_BUFFER)) and not rest.endswith(b"\n"):
                    pass
            yield number, body.rstrip(b"\r\n"), whole


_TOO_LONG: Final = f"the line is longer than {LINE_BYTES_MAX // 1024**2} MB; split it or shorten its text"


def _jsonl_items(path: Path, rules: _Rules) -> Generator[_Item, None, None]:  # noqa: ARG001 (one shape for the three)
    for number, body, whole in _lines(path):
        yield _Item(number, body, body if whole else None, "" if whole else _TOO_LONG)


class _CsvText:
    """Feeds the csv module line by line and remembers what the current row was made of."""

    def __init__(self, path: Path) -> None:
        self._lines = _lines(path)
        self.body = b""
        self.first = 0
        self.problem = ""

    def begin(self) -> None:
        self.body, self.first, self.problem = b"", 0, ""

    def __iter__(self) -> Iterator[str]:
        for number, body, whole in self._lines:
            self.first = self.first or number
            if len(self.body) < BODY_BYTES:
                self.body += body[:BODY_BYTES] + b"\n"
            if not whole:
                self.problem = _TOO_LONG
            try:
                yield body.decode() + "\n"
            except UnicodeDecodeError as error:
                self.problem = f"not UTF-8 at byte {error.start + 1} of the line; convert the file to UTF-8"
                yield body.decode(errors="replace") + "\n"


def _csv_items(path: Path, rules: _Rules) -> Generator[_Item, None, None]:
    # The module's limit is one for the process and 128 KB by default, less than an article; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), LINE_BYTES_MAX))
    text = _CsvText(path)
    rows = csv.reader(text, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        _usage(path, f"the header is not a csv row ({reason_of(error)})", "put the column names into the first line")
    _check_columns(path, header, rules)
    while True:
        text.begin()
        values: list[str] = []
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            text.problem = text.problem or f"not a csv row ({reason_of(error)}); correct its quotes"
        if not text.problem and len(values) != len(header):
            text.problem = f"the row has {len(values)} fields, the header {len(header)}; correct its quotes and commas"
        record = None if text.problem else dict(zip(header, (value or None for value in values), strict=True))
        yield _Item(text.first, text.body.removesuffix(b"\n"), record, text.problem)


def _check_columns(path: Path, columns: list[str], rules: _Rules) -> None:
    """A missing column is one mistake of the caller, not a million bad lines."""
    shown = ", ".join(columns)[:200] or "none"
    for field, column in rules.mapping.items():
        if column not in columns:
            _usage(path, f"the mapping takes {field} from column {column!r}, which the file lacks", f"its columns are: {shown}")
    for group in _NEEDED:
        if not any(rules.mapping.get(field, field) in columns for field in group):
            _usage(path, f"no column for {' or '.join(group)}", f"map one with its name; the columns are: {shown}")
    if len(set(columns)) < len(columns):
        _usage(path, "two columns have the same name", f"rename one; the columns are: {shown}")


def _parquet_items(path: Path, rules: _Rules) -> Generator[_Item, None, None]:
    import pyarrow as pa  # 40 MB that only this format needs
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        source: Any = stack.enter_context(path.open("rb"))
        if path.name.lower().endswith(".gz"):
            packed, source = source, stack.enter_context(tempfile.TemporaryFile())  # parquet is read from its end: unpack it first
            shutil.copyfileobj(gzip.GzipFile(fileobj=packed), source, _BUFFER)
        try:
            table = stack.enter_context(pq.ParquetFile(source))
        except pa.ArrowException as error:
            message = f"{path}: not a whole parquet file ({reason_of(error)}); fetch or write it again"
            raise ArchiveLineError(message) from error
        _check_columns(path, table.schema_arrow.names, rules)
        wanted = [name for name in table.schema_arrow.names if name in {rules.mapping.get(field, field) for field in FIELDS}]
        first = 1
        try:
            for batch in table.iter_batches(batch_size=_PARQUET_ROWS, columns=wanted):
                first += batch.num_rows
                if first - 1 > rules.start_line:
                    yield from _batch_items(batch, first - batch.num_rows)
                elif batch.num_rows:
                    yield _Item(first - 1, b"", None)
        except pa.ArrowException as error:
            raise OSError(reason_of(error)) from error


def _batch_items(batch: Any, first: int) -> Iterator[_Item]:
    import pyarrow as pa

    columns = {name: _as_text(batch.column(place), pa) for place, name in enumerate(batch.schema.names)}
    for offset in range(batch.num_rows):
        try:
            record = {name: column[offset].as_py() for name, column in columns.items()}
        except (UnicodeDecodeError, ValueError, OverflowError) as error:
            yield _Item(first + offset, b"", None, f"the row cannot be read ({reason_of(error)}); write it again as UTF-8 text")
            continue
        yield _Item(first + offset, msgspec.json.encode(record, enc_hook=str), record)


def _as_text(column: Any, pa: Any) -> Any:
    """Days and timestamps as ISO text (stored values are UTC where a zone is named), everything else as it is."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.timestamp("ms")).cast(pa.string())
    if pa.types.is_date(column.type):
        return column.cast(pa.date32()).cast(pa.string())
    return column
