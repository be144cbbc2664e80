"""Packed archives: what breaks, lies or unpacks without end is reported by place and never held."""

import gzip
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from groundswell.errors import ArchiveLineError
from groundswell.names import content_id
from ingest.archives.packed import UNPACKED_FREE_BYTES, Meter, opened
from ingest.archives.read import read_archive

LINE = json.dumps({"source": "Harbour Wire", "title": "Tin recovers", "published_at": "2026-03-01"}).encode() + b"\n"


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in files.items():
            packed.writestr(name, body)
    return path


def bomb(unpacked_bytes: int) -> bytes:
    """Some good lines, and then zeros that pack to a thousandth of their size."""
    out, block = io.BytesIO(), bytes(1 << 20)
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as stream:
        stream.write(LINE * 3)
        for _ in range(unpacked_bytes >> 20):
            stream.write(block)
    return out.getvalue()


def test_a_zip_of_one_file_is_read_like_that_file(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.jsonl.zip", {"folder/": b"", "folder/whatever": LINE * 2})
    assert [row.line for row in read_archive(path)] == [1, 2]


def test_a_zip_of_several_files_or_none_is_refused_as_a_whole(tmp_path: Path) -> None:
    for files in ({"a": LINE, "b": LINE}, {}):
        with pytest.raises(ArchiveLineError, match=rf"holds {len(files)} files; pack one"):
            list(read_archive(zipped(tmp_path / "a.csv.zip", files)))


def test_a_zip_with_a_password_or_a_foreign_packing_is_refused_as_a_whole(tmp_path: Path) -> None:
    body = bytearray(zipped(tmp_path / "a.jsonl.zip", {"a": LINE}).read_bytes())
    central = body.index(b"PK\x01\x02")
    locked, foreign = bytearray(body), bytearray(body)
    locked[6] |= 1
    locked[central + 8] |= 1
    foreign[8] = foreign[central + 10] = 97
    for changed, said in ((locked, "password"), (foreign, "cannot be read")):
        (tmp_path / "a.jsonl.zip").write_bytes(changed)
        with pytest.raises(ArchiveLineError, match=said):
            list(read_archive(tmp_path / "a.jsonl.zip"))


def test_a_zip_that_is_none_or_whose_bytes_are_wrong_is_reported_by_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zip"
    path.write_bytes(b"no zip at all")
    with pytest.raises(ArchiveLineError, match="not a whole zip"):
        list(read_archive(path))
    lines = b"".join(LINE.replace(b"Tin", content_id(str(n)).encode()) for n in range(60_000))
    body = bytearray(zipped(path, {"a": lines}).read_bytes())
    body[len(body) * 3 // 4] ^= 0xFF
    path.write_bytes(body)
    *rows, last = read_archive(path)
    assert len(rows) > 10_000
    assert all(row.raw for row in rows[:10_000])
    assert f"a.jsonl.zip, line {last.line}: " in (last.error or "")
    assert [row.line for row in (*rows, last)] == list(range(1, last.line + 1))


def test_what_unpacks_without_end_is_stopped_with_its_good_lines_and_one_error_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(bomb(UNPACKED_FREE_BYTES + (16 << 20)))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        *rows, last = read_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [row.line for row in rows] == [1, 2, 3]
    assert "bomb.jsonl.gz, line 4: " in (last.error or "")
    assert "which no text does" in (last.error or "")
    assert peak < 120 << 20


def test_a_packed_parquet_that_unpacks_without_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet.gz"
    path.write_bytes(bomb(UNPACKED_FREE_BYTES + (16 << 20)))
    with pytest.raises(ArchiveLineError, match="which no text does"):
        list(read_archive(path))


def test_a_parquet_with_wrong_types_has_bad_lines_with_their_numbers(tmp_path: Path) -> None:
    table = pa.table(
        {
            "source": ["Harbour Wire"] * 2,
            "title": pa.array([["a", "list"], ["of", "words"]]),
            "published_at": pa.array([1.5, 2.5]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    rows = list(read_archive(tmp_path / "a.parquet"))
    assert [row.line for row in rows] == [1, 2]
    assert all(row.raw is None and "a field has the wrong type" in (row.error or "") for row in rows)


def test_a_meter_knows_how_much_of_a_file_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(LINE * 1_000))
    meter = Meter()
    assert meter.share == 0.0
    with opened(path, meter) as stream:
        stream.read()
    assert (meter.share, meter.size_bytes, meter.rows) == (1.0, path.stat().st_size, None)
    pq.write_table(pa.table({"source": ["a"] * 7, "title": ["b"] * 7, "known_at": ["2026-03-01"] * 7}), tmp_path / "a.parquet")
    assert len(list(read_archive(tmp_path / "a.parquet", meter=meter))) == 7
    assert (meter.rows, meter.share) == (7, 1.0)
