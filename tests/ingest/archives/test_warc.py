"""WARC files: pages with what they say of themselves, known when the crawler recorded them."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import ArchiveLineError, UsageError
from ingest.archives.read import ArchiveRow, read_archive
from ingest.archives.warc import HTML_BYTES_MAX

BODY = "The harbour board of Veyra said on Monday that it would cut a third of its berths after heavy losses. " * 6
STAMP = "2026-03-02T10:00:05Z"
STAMP_MS = 1_772_445_605_000


def page(
    title: str = "Veyra harbour cuts berths", *, head: str = '<meta property="article:published_time" content="2026-03-02T09:30:00+01:00">'
) -> bytes:
    article = f"<article><h1>{title}</h1><p>{BODY}</p><p>{BODY}</p></article>"
    return f"<html lang='en'><head><title>{title}</title>{head}</head><body>{article}</body></html>".encode()


def record(url: str, payload: bytes, *, kind: str) -> bytes:
    """One WARC record as it stands in a file."""
    headers = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: {STAMP}\r\n"
    headers += f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(payload)}\r\n\r\n"
    return headers.encode() + payload + b"\r\n\r\n"


def response(url: str, body: bytes, *, status: str = "200 OK", kind: str = "text/html; charset=utf-8", packing: str = "") -> bytes:
    http = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n" + (f"Content-Encoding: {packing}\r\n" if packing else "") + "\r\n"
    return record(url, http.encode() + body, kind="response")


def write(path: Path, records: Sequence[bytes]) -> Path:
    """A WARC file; packed ones have a gzip member for each record, as crawlers write them."""
    path.write_bytes(b"".join(gzip.compress(one) if path.name.endswith(".gz") else one for one in records))
    return path


def only(path: Path, **options: Any) -> ArchiveRow:
    (row,) = read_archive(path, **options)
    return row


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_page_becomes_a_document_with_its_own_time_and_the_crawlers(tmp_path: Path, name: str) -> None:
    row = only(write(tmp_path / name, [response("https://www.harbour.example/veyra", page())]), strict=True)
    assert row.error is None
    assert row.raw is not None
    assert (row.raw.source, row.raw.url, row.raw.title) == (
        "harbour.example",
        "https://www.harbour.example/veyra",
        "Veyra harbour cuts berths",
    )
    assert "a third of its berths" in row.raw.text
    assert (row.raw.published_ms, row.raw.published_precision) == (STAMP_MS - 5_000 - 5_400_000, "second")
    assert (row.raw.known_ms, row.raw.known_basis) == (STAMP_MS, "recorded")


@pytest.mark.parametrize(
    ("head", "precision"),
    [
        ('<script type="application/ld+json">{"datePublished": "2026-03-02T08:30"}</script>', "minute"),
        ('<meta content="2026-03-02" name="article:published_time">', "day"),
        ('<meta name="date" content="2026-03-02">', "day"),
        ('<meta property="article:published_time" content="some morning">', "second"),
    ],
)
def test_a_pages_published_time_has_the_precision_that_it_has_there(tmp_path: Path, head: str, precision: str) -> None:
    raw = only(write(tmp_path / "a.warc", [response("https://harbour.example/veyra", page(head=head))])).raw
    assert raw is not None
    assert raw.published_precision == precision
    assert (raw.published_ms is None) == ("some morning" in head)


def test_what_is_no_page_is_passed_over_and_numbers_are_those_of_the_records(tmp_path: Path) -> None:
    records = [
        record("https://a.example/", b"GET / HTTP/1.1\r\n\r\n", kind="request"),
        response("https://a.example/1", page()),
        response("https://a.example/2", page(), status="404 Not Found"),
        response("https://a.example/3", b"\x89PNG", kind="image/png"),
        response("https://a.example/4", page("Another one")),
    ]
    path = write(tmp_path / "a.warc.gz", records)
    assert [row.line for row in read_archive(path)] == [2, 5]
    assert [row.line for row in read_archive(path, start_line=2)] == [5]


def test_an_answer_that_is_packed_is_unpacked_and_one_without_an_article_is_a_bad_line(tmp_path: Path) -> None:
    records = [
        response("https://a.example/1", gzip.compress(page()), packing="gzip"),
        response("https://a.example/2", b"<html></html>"),
        response("https://a.example/3", b"<p>" + b"x" * HTML_BYTES_MAX),
        response("https://a.example/4", gzip.compress(bytes(64 << 20)), packing="gzip"),
    ]
    first, *bad = read_archive(write(tmp_path / "a.warc", records))
    assert first.raw is not None
    assert [row.raw for row in bad] == [None] * 3
    assert [(row.error or "").split(": ", 1)[1].split(";")[0] for row in bad] == [
        "no article was found in the page", "the page is longer than 4 MB", "the page is longer than 4 MB",
    ]  # fmt: skip
    assert [row.body for row in bad] == [f"https://a.example/{n}".encode() for n in (2, 3, 4)]  # its text is not kept in a drop


@pytest.mark.parametrize("url", ["https://[a.example/1", "https:no-host"])
def test_a_page_whose_address_is_none_is_a_bad_line(tmp_path: Path, url: str) -> None:
    row = only(write(tmp_path / "a.warc", [response(url, page())]))
    assert "source must have 1 to 200 characters" in (row.error or "")


def test_a_page_in_another_character_set_is_read_in_it(tmp_path: Path) -> None:
    title = "港口公司削减三分之一的泊位"
    body = page(title).decode().encode("gb18030")
    raw = only(write(tmp_path / "a.warc", [response("https://a.example/1", body, kind="text/html; charset=gb18030")])).raw
    assert raw is not None
    assert raw.title == title


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_file_that_breaks_off_gives_the_pages_before_it_and_one_error(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [response(f"https://a.example/{n}", page(f"Title {n} of a page")) for n in range(4)])
    path.write_bytes(path.read_bytes()[:-100])
    *rows, last = read_archive(path)
    assert [row.line for row in rows] == [1, 2, 3]
    assert all(row.raw for row in rows)
    assert (last.line, last.raw) == (4, None)
    assert f"{name}, line 4: the file cannot be read on" in (last.error or "")


@pytest.mark.parametrize("body", [b"no archive at all\n" * 9, gzip.compress(b"no archive at all\n" * 9)])
def test_a_file_that_is_no_warc_is_refused_as_a_whole(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / ("a.warc.gz" if body[:1] == b"\x1f" else "a.warc")
    path.write_bytes(body)
    with pytest.raises(ArchiveLineError, match="not a WARC record"):
        list(read_archive(path))


def test_a_page_has_no_columns_to_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no names that could be mapped"):
        read_archive(tmp_path / "a.warc", mapping={"title": "headline"})
