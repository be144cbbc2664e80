"""GDELT's knowledge graph files: titles with the stamp at which GDELT had seen them. Rows written for the project."""

import zipfile
from pathlib import Path

import pytest

from groundswell.errors import UsageError
from ingest.archives.gdelt import COLUMNS
from ingest.archives.read import ArchiveRow, read_archive

TITLE = "Veyra Bank&#x2019;s losses &amp; write-downs"
STAMP_MS = 1_772_445_600_000  # 2026-03-02T10:00:00Z


def gkg_row(*, stamp: str = "20260302100000", extras: str = f"<PAGE_TITLE>{TITLE}</PAGE_TITLE>", translation: str = "") -> str:
    values = [""] * COLUMNS
    values[0], values[1], values[3], values[4] = f"{stamp}-1", stamp, "harbour.example", "https://harbour.example/veyra"
    values[25], values[26] = translation, extras
    return "\t".join(values)


def rows(tmp_path: Path, *lines: str) -> list[ArchiveRow]:
    path = tmp_path / "20260302100000.gkg.csv"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return list(read_archive(path, strict=True))


def test_a_row_becomes_a_title_known_at_gdelts_own_stamp(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, gkg_row())
    assert row.raw is not None
    assert (row.raw.source, row.raw.url, row.raw.kind) == ("harbour.example", "https://harbour.example/veyra", "news")
    assert (row.raw.title, row.raw.text) == ("Veyra Bank’s losses & write-downs", "")
    assert (row.raw.known_ms, row.raw.known_basis) == (STAMP_MS, "recorded")
    assert row.raw.published_ms is None
    assert row.raw.language == "en"


def test_the_pages_own_time_and_language_are_taken_where_the_row_has_them(tmp_path: Path) -> None:
    extras = f"<PAGE_TITLE>{TITLE}</PAGE_TITLE><PAGE_PRECISEPUBTIMESTAMP>20260302091500</PAGE_PRECISEPUBTIMESTAMP>"
    (row,) = rows(tmp_path, gkg_row(extras=extras, translation="srclc:zho;eng:Moses 2.1.1"))
    assert row.raw is not None
    assert (row.raw.published_ms, row.raw.published_precision) == (STAMP_MS - 45 * 60_000, "second")
    assert row.raw.language == "zh"


def test_a_row_without_a_title_a_stamp_or_its_columns_is_a_bad_line(tmp_path: Path) -> None:
    found = rows(tmp_path, gkg_row(extras=""), gkg_row(stamp="20261302100000"), "a\tb", gkg_row())
    assert [row.raw is None for row in found] == [True, True, True, False]
    for row, rule in zip(
        found, ("title and text are both empty", "its stamp is no time", "has 2 columns, a GKG file has 27"), strict=False
    ):
        assert f"20260302100000.gkg.csv, line {row.line}: " in (row.error or "")
        assert rule in (row.error or "")


def test_it_is_read_as_gdelt_packs_it(tmp_path: Path) -> None:
    path = tmp_path / "20260302100000.gkg.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("20260302100000.gkg.csv", gkg_row() + "\n")
    (row,) = read_archive(path)
    assert row.raw is not None


@pytest.mark.parametrize("name", ["20260302100000.export.CSV.zip", "20260302100000.mentions.csv"])
def test_files_that_hold_no_titles_are_refused_with_the_one_that_does(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="hold no titles, and nothing is invented here; read the gkg file of the same stamp"):
        read_archive(tmp_path / name)
