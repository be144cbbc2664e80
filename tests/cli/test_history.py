"""`groundswell backfill --to-prometheus`: what promtool takes, and Prometheus then answers with the values of `groundswell series`."""

import csv
import io
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pytest
from click.testing import CliRunner

from groundswell.cli import root
from groundswell.errors import NotFoundError, UsageError
from groundswell.history_export import HEAD_MS, write_history
from groundswell.store.query import closed_ms, series_like
from groundswell.store.store import Store
from ingest.demo_archive import CATALOGUE
from tests.cli.test_cli import archive, groundswell
from tests.prometheus_peer import Prometheus

SAID = ("raises its outlook", "faces a lawsuit over losses", "opens a branch", "cuts jobs after heavy losses", "defaults on its bonds")
DAYS = ("2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02")
COUNTS = ("negative", "neutral", "positive")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over the end of a month, and what it wrote for Prometheus in the same call."""
    made = tmp_path_factory.mktemp("history")
    lines = [
        {"source": "Harbour Wire", "title": f"Veyra Bank {said} {day}", "language": "en", "published_at": f"{day}T{hour:02}:10:00Z"}
        for day in DAYS
        for hour, said in zip((0, 8, 9, 9, 23), SAID, strict=True)
    ]
    file = archive(made / "turn.jsonl", lines)
    command = ("backfill", str(file), "--store", str(made / "s.db"), "--to-prometheus", str(made / "out"))
    done = groundswell(*command, folder=made, GROUNDSWELL_COMPANIES_EXTRA=str(CATALOGUE))
    assert done.returncode == 0, done.stderr
    assert "run turn: 2 months written to" in done.stderr
    return made


def windows(folder: Path) -> Iterator[dict[str, str]]:
    told = groundswell("series", "topic:*", "--format", "csv", "--store", str(folder / "s.db"), folder=folder)
    assert told.returncode == 0, told.stderr
    yield from csv.DictReader(io.StringIO(told.stdout))


def seconds(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp())


def test_a_file_holds_a_month_its_families_one_after_the_other_and_an_end(folder: Path) -> None:
    written = sorted((folder / "out").iterdir())
    assert [path.name for path in written] == ["turn-2026-02.om", "turn-2026-03.om"]
    for path in written:
        lines = path.read_text().splitlines()
        assert lines[-1] == "# EOF"
        families = [name for name, _ in groupby(line.split("{")[0] for line in lines if not line.startswith("#"))]
        assert families[:2] == ["groundswell_history_documents", "groundswell_history_negative_ratio"]
        assert len(families) == len(set(families))
        month = path.stem.removeprefix("turn-")
        begins = {datetime.fromtimestamp(int(line.rsplit(" ", 1)[1]) - 3_600, UTC) for line in lines if not line.startswith("#")}
        assert {f"{moment:%Y-%m}" for moment in begins} == {month}, "a window belongs to the month in which it begins"


def test_a_stored_run_can_be_written_without_its_archive_and_twice_gives_the_same(folder: Path, tmp_path: Path) -> None:
    done = groundswell("backfill", "--to-prometheus", str(tmp_path), "--run", "turn", "--store", str(folder / "s.db"), folder=folder)
    assert done.returncode == 0, done.stderr
    for path in (folder / "out").iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_the_last_three_hours_are_never_written(folder: Path, tmp_path: Path) -> None:
    with closing(Store(str(folder / "s.db"))) as store, store.read() as connection:
        closed = closed_ms(connection, "turn")
        assert closed is not None
        (*_, last) = write_history(connection, "turn", tmp_path, now_ms=closed)
        newest_s = max(int(line.rsplit(" ", 1)[1]) for line in last.read_text().splitlines() if not line.startswith("#"))
        assert closed - HEAD_MS - 3_600_000 < newest_s * 1_000 <= closed - HEAD_MS
        with pytest.raises(NotFoundError, match="before the last three"):
            write_history(connection, "turn", tmp_path, now_ms=seconds(f"{DAYS[0]}T04:00:00+00:00") * 1_000 - HEAD_MS)


def test_watched_companies_are_written_and_others_are_not(folder: Path, tmp_path: Path) -> None:
    with closing(Store(str(folder / "s.db"))) as store, store.read() as connection:
        stored = series_like(connection, "turn", ["entity:*"])
        written = {
            watched: companies(write_history(connection, "turn", tmp_path, now_ms=2**42, watched=watched))
            for watched in ((), ("VeyraBank",))
        }
    assert stored == ["entity:VeyraBank"]
    assert written == {(): set(), ("VeyraBank",): {"entity:VeyraBank"}}


def companies(paths: list[Path]) -> set[str]:
    return {found for path in paths for found in re.findall(r'series="(entity:[^"]+)"', path.read_text())}


@pytest.mark.parametrize(
    ("options", "says"), [((), "name an archive"), (("x.jsonl", "--dry-run", "--to-prometheus", "y"), "without files")]
)
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        CliRunner().invoke(root, ["backfill", *options], catch_exceptions=False)


def test_prometheus_answers_with_the_values_of_the_series_command(
    folder: Path, tmp_path: Path, prometheus: Callable[..., AbstractContextManager[Prometheus]]
) -> None:
    for path in sorted((folder / "out").iterdir()):
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(path), str(tmp_path / "data")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "none.yml").write_text("global: {}\n")
    rows = [row for row in windows(folder) if row["complete"] == "1"]
    with prometheus(tmp_path / "none.yml", data=tmp_path / "data") as server:
        documents = matrix(server, "groundswell_history_documents", rows)
        shares = matrix(server, "groundswell_history_negative_ratio", rows)
    expected = {(row["series"], sentiment, seconds(row["end"])): float(row[sentiment]) for row in rows for sentiment in COUNTS}
    assert documents == expected
    assert sum(documents.values()) == len(DAYS) * len(SAID) - 1, "the last hour has not closed"
    told = {(row["series"], "", seconds(row["end"])): float(row["negative_share"]) for row in rows if row["negative_share"]}
    assert shares == pytest.approx(told, abs=1e-5)
    assert shares


def matrix(server: Prometheus, metric: str, rows: list[dict[str, str]]) -> dict[tuple[str, str, int], float]:
    """{(series, sentiment, end in s): value} of every sample of the whole hours."""
    span = {"start": str(seconds(rows[0]["start"])), "end": str(max(seconds(row["end"]) for row in rows)), "step": "3600"}
    return {
        (one["metric"]["series"], one["metric"].get("sentiment", ""), int(at)): float(value)
        for one in server.get("query_range", query=f'{metric}{{run="turn",window="1h"}}', **span)["result"]
        for at, value in one["values"]
    }
