"""JSON lines, CSV and Parquet: files whose rows have named values."""

import csv
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from groundswell.errors import ArchiveLineError, UsageError, reason_of
from ingest.archives.lines import BODY_BYTES, FIELDS, LINE_BYTES_MAX, TOO_LONG, Item, Rules
from ingest.archives.packed import BUFFER_BYTES, Meter, lines_of, opened, suffixes

__all__ = ["csv_items", "jsonl_items", "parquet_items"]

_NEEDED: Final = (("source",), ("title", "text"), ("published_at", "known_at"))  # one of each group must be a column
_PARQUET_ROWS: Final = 1024
_GROUP_BYTES_MAX: Final = 8 * 1024**3  # of the columns that are read, unpacked


def jsonl_items(path: Path, rules: Rules, meter: Meter | None) -> Generator[Item, None, None]:  # noqa: ARG001 (one shape for all)
    """Each line as it stands."""
    for number, body, whole in lines_of(path, meter):
        yield Item(number, body, body if whole else None, "" if whole else TOO_LONG)


# --- csv --------------------------------------------------------------------------------------------------------------------
class _CsvText:
    """Feeds the csv module line by line and remembers what the current row was made of."""

    def __init__(self, path: Path, meter: Meter | None) -> None:
        self._lines = lines_of(path, meter)
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
                self.problem = TOO_LONG
            try:
                yield body.decode() + "\n"
            except UnicodeDecodeError as error:
                self.problem = f"not UTF-8 at byte {error.start + 1} of the line; convert the file to UTF-8"
                yield body.decode(errors="replace") + "\n"


def csv_items(path: Path, rules: Rules, meter: Meter | None) -> Generator[Item, None, None]:
    """Each row, named by the header."""
    # The module's limit is one for the process and 128 KB by default, less than an article; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), LINE_BYTES_MAX))
    text = _CsvText(path, meter)
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
        yield Item(text.first, text.body.removesuffix(b"\n"), record, text.problem)


def _check_columns(path: Path, columns: list[str], rules: Rules) -> None:
    """A missing column is one mistake of the caller, not a million bad lines."""
    shown = ", ".join(columns)[:200] or "none"
    for field, column in rules.mapping.items():
        if column not in columns:
            _usage(path, f"the mapping takes {field} from column {column!r}, which the file lacks", f"its columns are: {shown}")
    for group in _NEEDED:
        if not any(field in rules.always or rules.mapping.get(field, field) in columns for field in group):
            _usage(path, f"no column for {' or '.join(group)}", f"map one with its name; the columns are: {shown}")
    if len(set(columns)) < len(columns):
        _usage(path, "two columns have the same name", f"rename one; the columns are: {shown}")


def _usage(path: Path, rule: str, step: str) -> NoReturn:
    message = f"{path}: {rule}; {step}"
    raise UsageError(message)


# --- parquet ------------------------------------------------------------------------------------------------------------------
def parquet_items(path: Path, rules: Rules, meter: Meter | None) -> Generator[Item, None, None]:
    """Each row, by the columns that an archive line has."""
    import pyarrow as pa  # 40 MB that only this format needs
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        source: Any = stack.enter_context(path.open("rb"))
        if suffixes(path.name)[1]:
            source = stack.enter_context(tempfile.TemporaryFile())  # parquet is read from its end: unpack it first
            with opened(path) as packed:
                shutil.copyfileobj(packed, source, BUFFER_BYTES)
        try:
            table = stack.enter_context(pq.ParquetFile(source))
        except (pa.ArrowException, OSError) as error:
            message = f"{path}: not a whole parquet file ({reason_of(error)}); fetch or write it again"
            raise ArchiveLineError(message) from error
        _check_columns(path, table.schema_arrow.names, rules)
        columns = {rules.mapping.get(field, field) for field in FIELDS}
        wanted = [name for name in table.schema_arrow.names if name in columns]
        _check_groups(path, table.metadata, columns)
        first, rows = 1, table.metadata.num_rows
        if meter is not None:
            meter.rows, meter.size_bytes = rows, rows
        try:
            for batch in table.iter_batches(batch_size=_PARQUET_ROWS, columns=wanted):
                first += batch.num_rows
                if meter is not None:
                    meter.read_bytes = first - 1
                if first - 1 > rules.start_line:
                    yield from _batch_items(batch, first - batch.num_rows)
                elif batch.num_rows:
                    yield Item(first - 1, b"", None)
        except (pa.ArrowException, NotImplementedError) as error:
            raise OSError(reason_of(error)) from error


def _check_groups(path: Path, metadata: Any, columns: set[str]) -> None:
    """A part of a file is unpacked as a whole, so what it says of its size is looked at first."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        parts = [group.column(place) for place in range(group.num_columns)]
        size_bytes = sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] in columns)
        if size_bytes > _GROUP_BYTES_MAX:
            message = f"{path}: row group {number} unpacks to {size_bytes:,} bytes; write the file again in smaller row groups"
            raise ArchiveLineError(message)


def _batch_items(batch: Any, first: int) -> Iterator[Item]:
    columns = {name: _as_text(batch.column(place)) for place, name in enumerate(batch.schema.names)}
    for offset in range(batch.num_rows):
        try:
            record = {name: column[offset].as_py() for name, column in columns.items()}
        except (UnicodeDecodeError, ValueError, OverflowError) as error:
            yield Item(first + offset, b"", None, f"the row cannot be read ({reason_of(error)}); write it again as UTF-8 text")
            continue
        yield Item(first + offset, msgspec.json.encode(record, enc_hook=str), record)


def _as_text(column: Any) -> Any:
    """Days and timestamps as ISO text (what names a zone is stored in UTC), everything else as it is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type):
        text = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.timestamp("ms")).cast(pa.string())
        return pc.binary_join_element_wise(text, "Z", "") if column.type.tz else text
    if pa.types.is_date(column.type):
        return column.cast(pa.date32()).cast(pa.string())
    return column
