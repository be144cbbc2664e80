"""What an archive line means, and that no content stops a file."""

import csv
import gzip
import json
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundswell import names
from groundswell.errors import ArchiveLineError, UsageError
from groundswell.records import RawDocument
from ingest.archives.read import BODY_BYTES, LINE_BYTES_MAX, TEXT_CHARS_MAX, ArchiveRow, read_archive

GOOD: dict[str, Any] = {"source": "Harbour Wire", "title": "Tin demand recovers", "published_at": "2024-03-01T09:30:00Z"}
NOON_MS = 1_709_294_400_000  # 2024-03-01T12:00:00Z


def _jsonl(tmp_path: Path, *lines: object, name: str = "a.jsonl") -> Path:
    path = tmp_path / name
    data = b"".join((line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return path


def _one(tmp_path: Path, line: object, **options: Any) -> ArchiveRow:
    (row,) = read_archive(_jsonl(tmp_path, line), **options)
    return row


def _raw(tmp_path: Path, **changes: object) -> RawDocument:
    row = _one(tmp_path, {**GOOD, **changes})
    assert row.error is None
    assert row.raw is not None
    return row.raw


def _error(tmp_path: Path, line: object, **options: Any) -> str:
    row = _one(tmp_path, line, **options)
    assert row.raw is None
    assert row.error is not None
    assert row.error.startswith("a.jsonl, line 1: ")
    return row.error


# --- what a line means --------------------------------------------------------------------------------------------------
def test_a_line_becomes_a_raw_document_with_every_field(tmp_path: Path) -> None:
    line = GOOD | {"id": "h-1", "url": "https://harbour.example/1", "kind": "report", "text": "Lead.", "language": "en", "author": "Ann"}
    (row,) = read_archive(_jsonl(tmp_path, line))
    assert (row.file, row.line, row.error) == ("a.jsonl", 1, None)
    assert row.raw == RawDocument(
        source="Harbour Wire",
        title="Tin demand recovers",
        kind="report",
        text="Lead.",
        url="https://harbour.example/1",
        id="h-1",
        author_hash=names.content_id("author", "Harbour Wire", "Ann"),
        language="en",
        published_ms=1_709_285_400_000,
        published_precision="second",
        known_ms=1_709_286_000_000,
        known_basis="assumed",
    )


@pytest.mark.parametrize(
    ("published_at", "published_ms", "precision"),
    [
        ("2024-03-01T12:00:00Z", NOON_MS, "second"),
        ("2024-03-01 12:00:00", NOON_MS, "second"),
        ("2024-03-01T20:00:00+08:00", NOON_MS, "second"),
        ("2024-03-01T12:00:00.250Z", NOON_MS + 250, "second"),
        ("20240301T120000Z", NOON_MS, "second"),
        ("2024-03-01T12:00Z", NOON_MS, "minute"),
        ("2024-03-01T07:00-05:00", NOON_MS, "minute"),
        ("2024-03-01T12", NOON_MS, "minute"),
        ("2024-03-01", NOON_MS + names.DAY_MS // 2 - 1, "day"),
    ],
)
def test_a_time_without_a_zone_is_utc_and_its_precision_is_what_was_written(
    tmp_path: Path, published_at: str, published_ms: int, precision: str
) -> None:
    raw = _raw(tmp_path, published_at=published_at)
    assert (raw.published_ms, raw.published_precision) == (published_ms, precision)


def test_a_bare_day_is_known_at_its_end(tmp_path: Path) -> None:
    raw = _raw(tmp_path, published_at="2024-03-01")
    assert raw.known_ms == NOON_MS + names.DAY_MS // 2
    assert raw.known_basis == "assumed"


def test_a_claimed_known_time_is_taken_and_marked(tmp_path: Path) -> None:
    raw = _raw(tmp_path, known_at="2024-03-01T12:00:00Z")
    assert (raw.known_ms, raw.known_basis) == (NOON_MS, "claimed")


def test_a_publication_after_its_own_known_time_is_left_to_the_normaliser(tmp_path: Path) -> None:
    raw = _raw(tmp_path, published_at="2099-01-01T00:00:00Z", known_at="2024-03-01T12:00:00Z")
    assert raw.known_ms == NOON_MS
    assert raw.published_ms is not None
    assert raw.published_ms > NOON_MS


def test_a_line_without_published_time_stands_on_its_known_time(tmp_path: Path) -> None:
    raw = _raw(tmp_path, published_at=None, known_at="2024-03-01T12:00:00Z")
    assert (raw.published_ms, raw.known_ms) == (None, NOON_MS)


def test_the_assumed_lag_can_be_chosen(tmp_path: Path) -> None:
    row = _one(tmp_path, GOOD | {"published_at": "2024-03-01T12:00:00Z"}, assume_lag_ms=1_000)
    assert row.raw is not None
    assert row.raw.known_ms == NOON_MS + 1_000


def test_an_author_is_hashed_with_its_source_and_not_kept(tmp_path: Path) -> None:
    raw = _raw(tmp_path, author="@ann")
    other = _raw(tmp_path, author="@ann", source="Openfloor")
    assert raw.author_hash is not None
    assert raw.author_hash != other.author_hash
    assert "ann" not in repr(raw).replace(raw.author_hash, "")


def test_a_numeric_id_is_the_same_as_its_digits(tmp_path: Path) -> None:
    assert _raw(tmp_path, id=17).id == "17"


def test_a_huge_text_is_accepted_and_cut(tmp_path: Path) -> None:
    raw = _raw(tmp_path, text="银" * 3_500_000)
    assert raw.text == "银" * TEXT_CHARS_MAX


# --- what is refused, and how it says so ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"source": None}, "source must have"),
        ({"source": "  "}, "source must have"),
        ({"source": "x" * 201}, "source must have"),
        ({"title": " ", "text": ""}, "nothing to read"),
        ({"kind": "tweet"}, "kind must be one of news, report, filing, comment; got 'tweet'"),
        ({"published_at": None}, "published_at and known_at are both missing"),
        ({"published_at": "yesterday"}, "published_at must be an ISO 8601 day or time; got 'yesterday'"),
        ({"published_at": "2024-W09"}, "published_at must be an ISO 8601 day or time"),
        ({"published_at": "1899-12-30"}, "published before 1970"),
        ({"known_at": "2024-13-01T00:00:00Z"}, "known_at must be an ISO 8601 day or time"),
        ({"known_at": "1969-12-31T00:00:00Z"}, "known before 1970"),
        ({"title": 5}, "a field has the wrong type; got 'Expected `str | null`, got `int`"),
        ({"id": True}, "a field has the wrong type"),
    ],
)
def test_a_bad_value_is_an_error_row_that_names_the_rule_and_the_next_step(tmp_path: Path, change: dict[str, object], rule: str) -> None:
    error = _error(tmp_path, GOOD | change)
    assert rule in error
    assert error.count(";") >= 2


def test_a_publication_after_the_present_is_refused_only_where_it_would_move_the_known_clock(tmp_path: Path) -> None:
    future = GOOD | {"published_at": "2099-01-01T00:00:00Z"}
    assert "published in the future" in _error(tmp_path, future, not_after_ms=NOON_MS)
    assert "known in the future" in _error(tmp_path, GOOD | {"known_at": "2099-01-01T00:00:00Z"}, not_after_ms=NOON_MS)
    assert _one(tmp_path, future | {"known_at": "2024-03-01T12:00:00Z"}, not_after_ms=NOON_MS).error is None
    assert _one(tmp_path, GOOD | {"published_at": "2024-03-01"}, not_after_ms=NOON_MS).error is None


def test_strict_reading_refuses_to_assume_a_known_time(tmp_path: Path) -> None:
    assert "known_at is missing" in _error(tmp_path, GOOD, strict=True)
    assert _one(tmp_path, GOOD | {"known_at": "2024-03-01T12:00:00Z"}, strict=True).error is None


def test_broken_json_is_an_error_row_with_its_column(tmp_path: Path) -> None:
    assert "not JSON at column 13" in _error(tmp_path, b'{"source": "', strict=True)
    assert "not JSON at column 5" in _error(tmp_path, b'{"a"}')


@pytest.mark.parametrize("place", ["title", "ignored"])
def test_a_line_that_is_not_utf8_is_an_error_row_even_in_an_unused_field(tmp_path: Path, place: str) -> None:
    line = json.dumps(GOOD | {place: "X"}).encode().replace(b'"X"', b'"\xff\xfe"')
    assert "not UTF-8 at byte" in _error(tmp_path, line)


def test_deep_nesting_and_empty_lines_are_error_rows(tmp_path: Path) -> None:
    rows = list(read_archive(_jsonl(tmp_path, b'{"x":' + b"[" * 50_000, b"", b"[]", GOOD)))
    assert [row.error is None for row in rows] == [False, False, False, True]
    assert "the line is empty" in (rows[1].error or "")


def test_an_error_row_keeps_the_first_64_kib_of_its_line(tmp_path: Path) -> None:
    line = b"x" * (BODY_BYTES + 10)
    assert _one(tmp_path, line).body == line[:BODY_BYTES]


def test_a_line_beyond_the_limit_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(4):
            stream.write(bytes(LINE_BYTES_MAX))
        stream.write(b"\n" + json.dumps(GOOD).encode() + b"\n")
    tracemalloc.start()
    try:
        long, good = read_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "longer than 32 MB" in (long.error or "")
    assert (good.line, good.error) == (2, None)
    assert peak < 3 * LINE_BYTES_MAX


# --- files -----------------------------------------------------------------------------------------------------------------
def test_reading_resumes_after_a_line(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, *({**GOOD, "id": number} for number in range(1, 6)))
    rows = list(read_archive(path, start_line=3))
    assert [(row.line, row.raw.id if row.raw else None) for row in rows] == [(4, "4"), (5, "5")]


def test_a_mapping_renames_columns(tmp_path: Path) -> None:
    line = {"outlet": "Harbour Wire", "headline": "Tin recovers", "title": "wrong", "date": "2024-03-01"}
    row = _one(tmp_path, line, mapping={"source": "outlet", "title": "headline", "published_at": "date"})
    assert row.raw is not None
    assert (row.raw.source, row.raw.title, row.raw.published_precision) == ("Harbour Wire", "Tin recovers", "day")


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert _one(tmp_path, b"\xef\xbb\xbf" + json.dumps(GOOD).encode()).error is None


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_rows_may_span_lines_and_bad_ones_do_not_stop_the_rest(tmp_path: Path, name: str) -> None:
    rows = [
        "source,title,text,published_at",
        'Harbour Wire,"Two\nlines, one row",,2024-03-01',
        "Harbour Wire,too,many,2024-03-01,fields",
        'Harbour Wire,"bad" quote,,2024-03-01',
        f"Harbour Wire,Long,{'银' * 200_000},2024-03-01T09:00:00Z",
    ]
    data = "\r\n".join(rows).encode() + b"\r\nHarbour Wire,\xff,,2024-03-01\r\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = list(read_archive(path))
    assert [row.line for row in found] == [2, 4, 5, 6, 7]
    assert found[0].raw is not None
    assert found[0].raw.title == "Two\nlines, one row"
    assert found[0].raw.url is None
    assert "5 fields, the header 4" in (found[1].error or "")
    assert "not a csv row" in (found[2].error or "")
    assert found[3].raw is not None
    assert len(found[3].raw.text) == TEXT_CHARS_MAX
    assert "not UTF-8 at byte 14" in (found[4].error or "")
    assert [row.line for row in read_archive(path, start_line=4)] == [5, 6, 7]


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_parquet_days_and_timestamps_mean_the_same_as_their_text(tmp_path: Path, name: str) -> None:
    moment = datetime(2024, 3, 1, 12, tzinfo=UTC)
    table = pa.table(
        {
            "source": ["Harbour Wire", "Harbour Wire", None],
            "headline": ["One", "Two", "Three"],
            "published_at": pa.array([date(2024, 3, 1)] * 3),
            "known_at": pa.array([moment, None, moment], pa.timestamp("us", tz="Asia/Shanghai")),
            "unused": [1, 2, 3],
        }
    )
    plain = tmp_path / "plain.parquet"
    pq.write_table(table, plain)
    path = tmp_path / name
    path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    one, two, three = read_archive(path, mapping={"title": "headline"})
    assert one.raw is not None
    assert (one.raw.known_ms, one.raw.known_basis, one.raw.published_precision) == (NOON_MS, "claimed", "day")
    assert two.raw is not None
    assert two.raw.known_ms == NOON_MS + names.DAY_MS // 2
    assert "line 3: source must have" in (three.error or "")
    assert b"unused" not in three.body
    assert [row.line for row in read_archive(path, mapping={"title": "headline"}, start_line=2)] == [3]
    assert list(read_archive(path, mapping={"title": "headline"}, start_line=3)) == []


def test_a_packed_file_that_breaks_in_the_middle_yields_its_rows_and_one_error(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, *({**GOOD, "id": names.content_id(str(number))} for number in range(20_000)), name="a.jsonl.gz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    rows = list(read_archive(path))
    assert len(rows) > 1_000
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    assert [row.error is None for row in rows] == [True] * (len(rows) - 1) + [False]
    assert "cannot be read on" in (rows[-1].error or "")
    assert list(read_archive(path, start_line=rows[-1].line)) == []


def test_a_parquet_file_with_a_damaged_part_yields_the_rows_before_it_and_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    titles = [names.content_id(str(number)) for number in range(2_048)]
    table = pa.table({"source": ["Harbour Wire"] * 2_048, "title": titles, "published_at": ["2024-03-01"] * 2_048})
    pq.write_table(table, path, row_group_size=1_024, compression="gzip")
    column = pq.read_metadata(path).row_group(1).column(1)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start + 40 : start + column.total_compressed_size] = bytes(column.total_compressed_size - 40)
    path.write_bytes(data)
    rows = list(read_archive(path))
    assert [row.line for row in rows if row.error] == [1_025]
    assert len(rows) == 1_025
    assert [row.line for row in read_archive(path, start_line=1_024)] == [1_025]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.parquet", "a.parquet.gz"])
def test_a_file_that_is_not_what_its_name_says_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no archive at all")
    with pytest.raises(ArchiveLineError, match="again"):
        list(read_archive(path))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"mapping": {"headline": "title"}}, "no archive field"),
        ({"assume_lag_ms": -1}, "assume_lag_ms is -1"),
        ({"start_line": -1}, "start_line is -1"),
    ],
)
def test_impossible_wishes_are_usage_errors(tmp_path: Path, options: dict[str, Any], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        read_archive(_jsonl(tmp_path, GOOD), **options)


@pytest.mark.parametrize("name", ["missing.jsonl", "a.txt", "a", "a.gz", "a.txt.gz"])
def test_missing_files_and_unknown_suffixes_are_usage_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"no such file|does not say the format"):
        read_archive(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "mapping", "rule"),
    [
        ("outlet,title,published_at", {}, "no column for source"),
        ("source,title,published_at", {"text": "body"}, "from column 'body'"),
        ("source,title,title,known_at", {}, "same name"),
        ("", {}, "no column for source"),
    ],
)
def test_a_missing_column_is_one_usage_error_and_not_a_million_bad_lines(
    tmp_path: Path, header: str, mapping: dict[str, str], rule: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header + "\n" if header else "", encoding="utf-8")
    with pytest.raises(UsageError, match=rule):
        list(read_archive(path, mapping=mapping))


# --- any bytes ---------------------------------------------------------------------------------------------------------------
_FIELD = st.one_of(st.none(), st.text(max_size=12), st.integers(), st.sampled_from(["2024-03-01", "9999-12-31", "news", "0001-01-01"]))
_LINE = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from([*GOOD, "text", "id", "kind", "author"]), _FIELD).map(lambda line: json.dumps(line).encode()),
    st.dictionaries(st.sampled_from(["id", "text", "known_at"]), _FIELD).map(lambda line: json.dumps(GOOD | line).encode()),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(_LINE, max_size=6), mapped=st.booleans())
def test_whatever_the_bytes_every_line_is_one_row_and_nothing_raises(tmp_path: Path, lines: list[bytes], mapped: bool) -> None:
    path = tmp_path / "fuzz.jsonl"
    data = b"\n".join(lines)
    path.write_bytes(data)
    rows = list(read_archive(path, mapping={"title": "text"} if mapped else None))
    assert len(rows) == len(data.split(b"\n")) - (data == b"" or data.endswith(b"\n"))
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    assert all((row.raw is None) != (row.error is None) for row in rows)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rest=st.binary(max_size=200))
def test_whatever_stands_below_a_csv_header_nothing_raises(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "fuzz.csv"
    path.write_bytes(b"source,title,published_at\n" + rest)
    lines = [row.line for row in read_archive(path)]
    assert lines == sorted(set(lines))


def test_csv_written_by_the_standard_library_comes_back_word_for_word(tmp_path: Path) -> None:
    titles = ['He said "sell", then left', "line\nbreak", "逗号，引号“”", " padded "]
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["source", "title", "published_at"])
        writer.writerows([["Harbour Wire", title, "2024-03-01"] for title in titles])
    assert [row.raw.title if row.raw else row.error for row in read_archive(path)] == titles
