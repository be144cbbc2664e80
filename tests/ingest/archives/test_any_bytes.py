"""Archives of any bytes: whatever a damaged or hostile file holds, it gives rows, bad lines or one refusal, and nothing else is raised."""

import contextlib
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundswell.errors import ArchiveLineError, UsageError
from ingest.archives.read import read_archive
from tests.ingest.archives.test_gdelt import gkg_row
from tests.ingest.archives.test_warc import page, record, response

PAGES = [record("https://a.example/", b"GET / HTTP/1.1\r\n\r\n", kind="request"), response("https://a.example/1", page()[:1_500])]
GKG = "".join(f"{gkg_row()}\n" for _ in range(3)).encode()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"source": ["a", "b"], "title": ["c", "d"], "known_at": ["2026-03-01", "2026-03-02"]}), out)
    return out.getvalue()


def _zip(body: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", body)
    return out.getvalue()


FILES = {
    "a.warc": b"".join(PAGES),
    "a.warc.gz": b"".join(map(gzip.compress, PAGES)),
    "a.gkg.csv": GKG,
    "a.gkg.csv.zip": _zip(GKG),
    "a.gkg.csv.gz": gzip.compress(GKG),
    "a.parquet": _parquet(),
}
Change = Callable[[bytes], bytes]


@st.composite
def changed(draw: st.DrawFn, body: bytes) -> bytes:
    """A body with some bytes cut out, doubled, or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(body) - 1)))
        end = draw(st.integers(start, min(len(body), start + 40)))
        new = draw(st.one_of(st.binary(max_size=20), st.just(body[start:end] * 2), st.just(b"")))
        body = body[:start] + new + body[end:]
    return body


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=350, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_changed_in_a_file_nothing_else_is_raised(tmp_path: Path, name: str, data: st.DataObject) -> None:
    path = tmp_path / name
    path.write_bytes(data.draw(changed(FILES[name])))
    rows = []
    with contextlib.suppress(ArchiveLineError, UsageError):  # refused as a whole
        rows = list(read_archive(path))
    assert [row.line for row in rows] == sorted({row.line for row in rows})
    assert all((row.raw is None) != (row.error is None) for row in rows)
    assert all(row.error is None or row.error.startswith(f"{name}, line {row.line}: ") for row in rows)
