"""A dry run says what a backfill would find and cost, from a sample that is really worked on, and changes nothing."""

from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import ArchiveLineError, UsageError
from groundswell.exports import iso
from stream.shells.backfill import ArchiveOptions
from stream.shells.dry_run import DryRun, dry_run, told
from tests import archives
from tests import builders as b


class Timer:
    """A clock on which every look takes four seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 4.0
        return self.now_s


def run(*files: Path, sample: int = 100, **options: Any) -> DryRun:
    return dry_run(files, b.instruments(), options=ArchiveOptions(**options), sample=sample, timer=Timer())


def lines(number: int, **changes: Any) -> list[dict[str, Any] | bytes]:
    return [archives.a_line(id=f"n{n}", title=f"Aldora debt number {n}") | changes for n in range(number)]


def test_it_says_rows_bad_lines_times_duplicates_languages_and_drops_of_a_file(tmp_path: Path) -> None:
    rows = lines(20)
    rows += [
        rows[0],
        b"{broken",
        archives.a_line(id="zh", title="阿尔多拉银行债务违约"),
        archives.a_line(id="ru", title="Банк России", text=""),
    ]
    found = run(archives.write(tmp_path / "a.jsonl", rows))
    (read,) = found.files
    assert (read.rows, read.bad, read.whole, read.rows_about) == (24, 1, True, 24)
    assert read.shown == [line for line in read.shown if line.startswith("a.jsonl, line 22: not JSON")]
    assert len(read.shown) == 1
    assert (read.first_known_ms, read.last_known_ms) == (b.T0_MS + 8 * 3_600_000 + 60_000,) * 2
    assert (dict(read.basis), dict(read.precision)) == ({"claimed": 23}, {"second": 23})
    assert (found.sampled.fetched, found.sampled.scored, found.sampled.duplicate, found.sampled.dropped) == (23, 21, 1, 1)
    assert found.languages == {"en": 21, "zh": 1}
    assert found.drops == {"language: other": 1}


def test_work_and_disk_are_estimated_for_all_documents_from_what_the_sample_took(tmp_path: Path) -> None:
    whole = run(archives.write(tmp_path / "a.jsonl", lines(200)), sample=200)
    half = run(tmp_path / "a.jsonl", sample=50)
    assert (whole.documents_about, half.documents_about) == (200, 200)
    assert (whole.work_s, whole.documents_per_s) == (4.0, 50.0)  # the sample took four seconds on this clock
    assert (half.work_s, half.documents_per_s) == (16.0, 12.5)
    assert whole.store_bytes > 200 * 500
    assert 0.5 < half.store_bytes / whole.store_bytes < 3
    assert whole.log_bytes > 200 * 100


def test_bad_lines_count_in_no_estimate_and_a_file_without_documents_costs_nothing(tmp_path: Path) -> None:
    good = archives.write(tmp_path / "good.jsonl", [*lines(30), *([b"{broken"] * 30)])
    assert run(good).documents_about == 30
    found = run(archives.write(tmp_path / "bad.jsonl", [b"{broken"] * 30))
    assert (found.documents_about, found.work_s, found.sampled.fetched) == (0, 0.0, 0)
    assert len(found.files[0].shown) == 20
    assert any("and 10 more" in line for line in told(found, iso=iso))


def test_what_is_assumed_or_only_a_day_is_said(tmp_path: Path) -> None:
    rows = lines(4, published_at="2026-09-21", known_at=None)
    found = run(archives.write(tmp_path / "a.jsonl", rows))
    assert (dict(found.files[0].basis), dict(found.files[0].precision)) == ({"assumed": 4}, {"day": 4})
    said = "\n".join(told(found, iso=iso))
    assert "assumed 4" in said
    assert "published to the day 4" in said
    strict = run(tmp_path / "a.jsonl", strict=True)
    assert strict.files[0].bad == 4


def test_several_files_share_the_sample_and_one_that_is_none_is_an_error(tmp_path: Path) -> None:
    one, two = archives.write(tmp_path / "a.jsonl", lines(40)), archives.write(tmp_path / "b.jsonl", lines(40, source="Openfloor"))
    found = run(one, two, sample=20)
    assert [len(read.sample) for read in found.files] == [10, 10]
    (tmp_path / "c.parquet").write_bytes(b"none")
    with pytest.raises(ArchiveLineError, match="parquet"):
        run(tmp_path / "c.parquet")
    with pytest.raises(UsageError, match="no such file"):
        run(tmp_path / "d.jsonl")
