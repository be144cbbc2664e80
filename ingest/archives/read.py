"""Archive files as records, one row per line; a bad line is a row with its reason.

Content never raises: whatever a line holds, exactly one row comes out for it, so rows can be counted against lines. What the fields
and times of a line mean: `lines.py`; the formats: `tables.py`, `warc.py`, `gdelt.py`; how files are unpacked: `packed.py`.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from groundswell.errors import ArchiveLineError, UsageError, reason_of
from groundswell.records import RawDocument
from ingest.archives.gdelt import REFUSED, gkg_items
from ingest.archives.lines import BODY_BYTES, FIELDS, LINE_BYTES_MAX, TEXT_CHARS_MAX, Item, Rules, document_of, zone_of
from ingest.archives.packed import BROKEN, Meter, suffixes
from ingest.archives.tables import csv_items, jsonl_items, parquet_items
from ingest.archives.warc import warc_items

__all__ = ["BODY_BYTES", "FIELDS", "FORMATS", "LINE_BYTES_MAX", "TEXT_CHARS_MAX", "ArchiveRow", "read_archive"]

Items = Callable[[Path, Rules, Meter | None], Generator[Item, None, None]]
FORMATS: Final[Mapping[str, Items]] = {
    "jsonl": jsonl_items, "csv": csv_items, "parquet": parquet_items, "warc": warc_items, "gkg.csv": gkg_items,
}  # fmt: skip
"""What a file's name ends in, before .gz or .zip -> what reads it."""

_FIXED: Final = frozenset({"warc", "gkg.csv"})  # formats whose columns have no names of their own to be mapped


class ArchiveRow(msgspec.Struct, frozen=True):
    """One line of an archive: a document or the reason why there is none."""

    file: str  # name without its folder
    line: int  # 1-based; in csv the physical line on which the row begins (the header is 1), in parquet the row, in warc the record
    raw: RawDocument | None
    error: str | None  # file, line, rule, value, next step; None where raw is there
    body: bytes  # the line as it stood, at most BODY_BYTES; of a page only its address


def read_archive(
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    always: Mapping[str, str] | None = None,
    zone: str = "UTC",
    zones: Mapping[str, str] | None = None,
    assume_lag_ms: int = 600_000,
    strict: bool = False,
    start_line: int = 0,
    not_after_ms: int | None = None,
    meter: Meter | None = None,
) -> Iterator[ArchiveRow]:
    """Read one archive file, lazily and in bounded memory; the format follows from the name (`news.csv.gz`).

    Args:
        path: the file; its name ends as FORMATS says, then perhaps in `.gz`, or in `.zip` with one file in it.
        mapping: archive field -> column name in the file, for columns that are called otherwise.
        always: archive field -> value of every line that has none.
        zone: of days, and of times that name none.
        zones: the same, by source.
        assume_lag_ms: without `known_at` a document counts as known this long after it was published.
        strict: refuse lines without `known_at`, or whose `known_at` was assumed, instead of taking them.
        start_line: rows whose `line` is at most this are not returned (pass the last row's `line` to resume).
        not_after_ms: the present; a line known (or, without `known_at`, published) after it is an error row, so that one
            typing error in a year cannot move the known clock into the future. A `published_at` later than the line's own
            `known_at` is left for the normaliser, which clamps and flags it.
        meter: told how much of the file has been read.

    Raises:
        UsageError: no such file, an unknown suffix, field or zone, a missing column, a negative number.
        ArchiveLineError: (on the first step) a file that cannot be unpacked or opened as what its name says. One that
            breaks later yields the rows so far and then one error row.
    """
    kind = _format(path)
    _check_fields(path, {*(mapping or {}), *(always or {})})
    for name in (zone, *(zones or {}).values()):
        try:
            zone_of(name)
        except ArchiveLineError as error:
            raise UsageError(reason_of(error)) from error
    if mapping and kind in _FIXED:
        _usage(path, "its columns have no names that could be mapped", "leave the mapping out")
    for name, number in (("assume_lag_ms", assume_lag_ms), ("start_line", start_line)):
        if number < 0:
            _usage(path, f"{name} is {number}", "give zero or more")
    if not path.is_file():
        _usage(path, "there is no such file", "check the path")
    rules = Rules(dict(mapping or {}), dict(always or {}), zone, dict(zones or {}), assume_lag_ms, strict, not_after_ms, start_line)
    return _rows(path, FORMATS[kind], rules, meter)


def _format(path: Path) -> str:
    parts = suffixes(path.name)[0]
    if len(parts) > 1 and parts[-1] == "csv" and parts[-2] in REFUSED:
        _usage(path, *REFUSED[parts[-2]].split("; "))
    kind = ".".join(parts[-2:]) if ".".join(parts[-2:]) in FORMATS else parts[-1] if parts else ""
    if kind not in FORMATS:
        ends = ", ".join(f".{name}" for name in FORMATS)
        _usage(path, "the name does not say the format", f"rename it to end in one of {ends}, each also with .gz or .zip")
    return kind


def _check_fields(path: Path, fields: set[str]) -> None:
    unknown = sorted(fields - set(FIELDS))
    if unknown:
        _usage(path, f"the column mapping names {unknown[0]!r}, which is no archive field", f"use one of {', '.join(FIELDS)}")


def _usage(path: Path, rule: str, step: str) -> NoReturn:
    message = f"{path}: {rule}; {step}"
    raise UsageError(message)


def _rows(path: Path, items: Items, rules: Rules, meter: Meter | None) -> Iterator[ArchiveRow]:
    line = 0
    try:
        with closing(items(path, rules, meter)) as stream:
            for item in stream:
                line = item.line
                if line > rules.start_line:
                    yield _row(path.name, item, rules)
    except BROKEN as broken:
        rule = f"the file cannot be read {'on' if line else 'at all'}: {reason_of(broken)}"
        message = f"{path.name}, line {line + 1}: {rule}; fetch or pack the file again"
        if not line:
            raise ArchiveLineError(message) from broken
        if line + 1 > rules.start_line:
            yield ArchiveRow(path.name, line + 1, None, message, b"")


def _row(file: str, item: Item, rules: Rules) -> ArchiveRow:
    body = item.body[:BODY_BYTES]
    if item.record is None:
        return ArchiveRow(file, item.line, None, f"{file}, line {item.line}: {item.problem}", body)
    try:
        return ArchiveRow(file, item.line, document_of(item.record, rules), None, body)
    except ArchiveLineError as bad:
        return ArchiveRow(file, item.line, None, f"{file}, line {item.line}: {bad}", body)
