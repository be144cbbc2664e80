"""The command line as other programs call it: words, columns, exit codes, errors that name the next step."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from groundswell.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
HEADLINES = ("raises its outlook", "faces a lawsuit over losses", "opens a branch", "cuts jobs after heavy losses")
LINES = [
    {"source": "Harbour Wire", "title": f"Veyra Bank {what}", "language": "en", "published_at": f"2026-03-0{day}T{hour:02}:00:00Z"}
    for day in range(1, 8)
    for hour, what in enumerate(
        ("raises its outlook", "faces a lawsuit over losses", "opens a branch", "cuts jobs after heavy losses"), start=8
    )
]


def groundswell(*arguments: str, folder: Path, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GROUNDSWELL")}
    environment |= {"PYTHONPATH": str(ROOT), "GROUNDSWELL_DATA_DIR": str(folder / "data"), "GROUNDSWELL_MODELS_USE": "linear", **variables}
    command = [sys.executable, "-m", "groundswell", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True, env=environment, timeout=600, check=False)


def archive(path: Path, lines: Sequence[object]) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    file = archive(folder / "march.jsonl", [*LINES, "{broken", {"source": "x", "title": "no date"}])
    done = groundswell("backfill", str(file), "--store", str(folder / "desk.db"), folder=folder)
    assert done.returncode == 0, done.stderr
    assert "run march complete: fetched 30, scored 28, duplicate 0, edited 0, dropped 2, in_flight 0, balance 0" in done.stdout
    assert "march.jsonl" in done.stderr
    assert done.stderr.count("bad line: ") == 2
    return folder / "desk.db"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    done = groundswell(command, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "Usage: groundswell" in done.stdout
    assert "--help" in done.stdout


def test_every_export_says_how_known_times_came_about(store: Path) -> None:
    where = ("--store", str(store))
    windows = groundswell("series", "topic:*", "--format", "csv", *where, folder=store.parent).stdout
    assert {row["known_basis"] for row in csv.DictReader(io.StringIO(windows))} == {"assumed"}
    (run,) = map(json.loads, groundswell("runs", "list", "--format", "jsonl", *where, folder=store.parent).stdout.splitlines())
    assert run["known_basis"] == "assumed"


def test_a_second_backfill_changes_nothing(store: Path) -> None:
    before = groundswell("series", "*", "--format", "csv", "--store", str(store), folder=store.parent).stdout
    done = groundswell("backfill", str(store.parent / "march.jsonl"), "--store", str(store), folder=store.parent)
    assert done.returncode == 0
    assert "was complete already, nothing changed" in done.stdout
    assert groundswell("series", "*", "--format", "csv", "--store", str(store), folder=store.parent).stdout == before


def test_another_archive_under_the_same_run_is_refused(store: Path, tmp_path: Path) -> None:
    other = archive(tmp_path / "other.jsonl", LINES[:3])
    done = groundswell("backfill", str(other), "--run", "march", "--store", str(store), folder=store.parent)
    assert done.returncode == 2
    assert "choose another --run name" in done.stderr
    assert "Traceback" not in done.stderr


def test_series_prints_every_window_with_its_columns_and_zeros_where_it_is_empty(store: Path) -> None:
    asked = (
        "series",
        "topic:*:en",
        "--from",
        "2026-03-01",
        "--to",
        "2026-03-07",
        "--window",
        "1d",
        "--format",
        "csv",
        "--store",
        str(store),
    )
    rows = list(csv.DictReader(io.StringIO(groundswell(*asked, folder=store.parent).stdout)))
    assert list(rows[0])[:13] == [
        "series", "start", "end", "documents", "stories", "owners", "negative", "neutral", "positive",
        "negative_share", "low", "high", "complete",
    ]  # fmt: skip
    by_series = {name: [row for row in rows if row["series"] == name] for name in {row["series"] for row in rows}}
    assert all(len(windows) == 7 for windows in by_series.values())
    assert sum(int(row["documents"]) for row in rows) == 28
    assert all(int(row["documents"]) == sum(int(row[s]) for s in ("negative", "neutral", "positive")) for row in rows)
    quiet = groundswell("series", "entity:Nobody", *asked[2:], folder=store.parent)
    assert [row["documents"] for row in csv.DictReader(io.StringIO(quiet.stdout))] == ["0"] * 7


def test_a_topic_that_the_model_cannot_measure_has_no_counts_rather_than_zeros(store: Path) -> None:
    asked = ("series", "topic:management:zh", "topic:debt_credit:zh", "--window", "1d", "--format", "jsonl", "--store", str(store))
    rows = [json.loads(line) for line in groundswell(*asked, folder=store.parent).stdout.splitlines()]
    assert {row["documents"] for row in rows if row["series"] == "topic:management:zh"} == {None}
    assert {row["documents"] for row in rows if row["series"] == "topic:debt_credit:zh"} == {0}


def test_as_of_shows_what_was_known_then(store: Path) -> None:
    asked = ("series", "topic:*:en", "--window", "1d", "--format", "jsonl", "--store", str(store), "--as-of", "2026-03-03T00:00:00Z")
    rows = [json.loads(line) for line in groundswell(*asked, folder=store.parent).stdout.splitlines()]
    assert sum(row["documents"] for row in rows) == 8


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("series", "nothing:*"), 1, "nothing stored matches"),
        (("series", "*", "--run", "june"), 1, "stored runs: march"),
        (("series", "*", "--window", "7m"), 2, "panes are 5 minutes"),
        (("series", "*", "--from", "yesterdayish"), 2, "--from 'yesterdayish': not a time"),
        (("series", "*", "--from", "2026-03-05", "--to", "2026-03-02"), 2, "the span is empty; give the later moment as --to"),
        (("explain", "0000"), 1, "no alert has that id"),
        (("alerts", "--format", "xml"), 2, "Invalid value for '--format'"),
        (("backfill", "missing.jsonl"), 2, "there is no such file"),
        (("worker",), 2, "GROUNDSWELL_KAFKA_BOOTSTRAP"),
        (("frobnicate",), 2, "No such command"),
    ],
)
def test_an_error_is_a_line_with_the_next_step_and_its_exit_code(arguments: tuple[str, ...], code: int, said: str, store: Path) -> None:
    done = groundswell(*arguments, folder=store.parent, GROUNDSWELL_STORE_URL=str(store))
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_away_says_how_to_go_on(tmp_path: Path) -> None:
    done = groundswell("alerts", "--store", "postgresql://nobody@127.0.0.1:9/none", folder=tmp_path)
    assert done.returncode == 3
    assert "is the server running" in done.stderr


def test_score_keeps_every_line_in_its_place(tmp_path: Path) -> None:
    given = [
        {"id": "a", "title": "Veyra Bank shares collapse on fraud fears", "language": "en", "entities": ["Veyra Bank", "Harbour"]},
        "{broken",
        {"id": "c", "title": "特斯拉上海工厂召回车辆"},
        {"id": "d", "title": "12345 !!!"},
    ]
    done = groundswell("score", "-", folder=tmp_path, stdin="".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in given))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("id") for row in rows] == ["a", None, "c", "d"]
    assert rows[0]["sentiment"] == "negative"
    assert [entity["name"] for entity in rows[0]["entities"]] == ["Veyra Bank", "Harbour"]
    assert rows[0]["entities"][1]["start"] is None
    assert "error" in rows[1]
    assert rows[2]["language"] == "zh"
    assert "labels" in rows[2]
    assert rows[2]["native_topic"] is None
    assert rows[3]["sentiment"] is None
    assert rows[3]["reason"]


def test_config_shows_where_each_value_came_from_and_masks_secrets(tmp_path: Path) -> None:
    done = groundswell("config", folder=tmp_path, GROUNDSWELL_SLACK_WEBHOOK_URL="https://hooks.example/services/T0/B0/secret")
    assert "B0/secret" not in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("slack.webhook_url")]
    assert "GROUNDSWELL_SLACK_WEBHOOK_URL" in line
