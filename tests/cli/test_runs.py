"""drops, runs and forget as they are typed: words, columns, exit codes, and what they say is left."""

import json
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.records import Drop, Position
from groundswell.store import schema as t
from groundswell.store.facts import write_intake
from groundswell.store.store import Store
from tests.cli.test_cli import LINES, archive, groundswell

TEXT = encode({"type": "document", "source": "Harbour Wire", "title": "Pankki kaatui\n\u202eillalla"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A backfill with two bad lines, and a live run with two drops and its log."""
    file = archive(tmp_path / "march.jsonl", [*LINES, "{broken", {"source": "x", "title": "no date"}])
    assert ask(tmp_path, "backfill", str(file)).returncode == 0
    store = Store(str(tmp_path / "desk.db"))
    drops = [
        Drop(position=Position(0, n), known_ms=1_790_000_000_000 + n, source="wire", reason=reason, body=body)
        for n, reason, body in ((1, "language: fi", TEXT), (2, "raw record: broken", b"\xff\x00abc"))
    ]
    with store.write() as connection:
        store.insert(connection, t.runs, [{"run": "live", "kind": "live", "model_id": "m", "manifest": b"{}"}])
        write_intake(store, connection, "live", drops=drops)
    store.close()
    LocalLog(tmp_path / "data" / "live.log").close()
    return tmp_path


def ask(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return groundswell(*arguments, folder=folder, stdin=stdin, GROUNDSWELL_STORE_URL=str(folder / "desk.db"))


def rows(folder: Path, *arguments: str) -> list[dict[str, object]]:
    done = ask(folder, *arguments, "--format", "jsonl")
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- drops --------------------------------------------------------------------------------------------------------------------
def test_drops_are_listed_with_place_time_source_reason_and_size(folder: Path) -> None:
    found = rows(folder, "drops", "list")
    assert [row["place"] for row in found] == ["0:2:0", "0:1:0"]
    assert found[1] == {
        "place": "0:1:0", "known_at": "2026-09-21T14:13:20.001Z", "source": "wire", "reason": "language: fi", "bytes": len(TEXT),
        "replayed_at": None, "removed_at": None,
    }  # fmt: skip
    assert [row["place"] for row in rows(folder, "drops", "list", "--reason", "raw record")] == ["0:2:0"]
    assert [row["source"] for row in rows(folder, "drops", "list", "--run", "march")] == ["file:march.jsonl"] * 2


def test_a_drop_is_shown_with_its_bytes_and_what_to_do(folder: Path) -> None:
    shown = ask(folder, "drops", "show", "0:1:0").stdout
    assert "to do        No model here reads that language." in shown
    assert "replay       groundswell drops replay 0:1:0" in shown
    assert "Pankki kaatui" in shown
    assert "\u202e" not in shown
    assert "00000000  ff 00 61 62 63" in ask(folder, "drops", "show", "0:2:0").stdout
    bad = rows(folder, "drops", "list", "--run", "march")[0]["place"]
    line = ask(folder, "drops", "show", str(bad), "--run", "march").stdout
    assert str(bad).startswith("-1:")
    assert "replay       no: only the live run takes records" in line


def test_a_replay_puts_the_bytes_into_the_log_and_says_where(folder: Path) -> None:
    done = ask(folder, "drops", "replay", "0:1:0")
    assert (done.returncode, done.stdout.startswith("1 records put back into ")) == (0, True)
    with LocalLog(folder / "data" / "live.log") as log:
        assert [(one.source, one.body) for one in log.read(0, limit=9)] == [("Harbour Wire", TEXT)]
    again = ask(folder, "drops", "replay", "--reason", "language")
    assert (again.returncode, again.stdout.split(" into ")[0]) == (1, "0 records put back")
    assert "passed over 0:1:0: it was replayed on" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("drops", "show", "7:7:7"), 1, "nothing was dropped there"),
        (("drops", "replay"), 2, "give places, or --reason"),
        (("drops", "replay", "0:1:0", "--reason", "language"), 2, "give places, or --reason"),
        (("drops", "replay", "-1:29:0", "--run", "march"), 2, "only the live run takes records"),
        (("runs", "show", "june"), 1, "run 'june': it is not stored"),
        (("runs", "attach", "march"), 2, "baselines of two kinds do not mix"),
        (("runs", "drop", "june", "--yes"), 1, "run 'june': it is not stored"),
        (("forget", "source", "Nobody"), 1, "source 'Nobody': no text is stored of it"),
        (("forget", "document", "d"), 1, "document 'd': no text is stored of it"),
        (("forget", "author", "Ada"), 1, "this author: no text is stored of it"),
    ],
)
def test_an_error_is_a_line_with_the_next_step_and_its_exit_code(arguments: tuple[str, ...], code: int, said: str, folder: Path) -> None:
    done = ask(folder, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# --- runs ---------------------------------------------------------------------------------------------------------------------
def test_runs_are_listed_shown_and_verified(folder: Path) -> None:
    live, march = rows(folder, "runs", "list")
    assert (live["run"], live["kind"], live["complete"]) == ("live", "live", None)
    assert (march["run"], march["documents"], march["complete"], march["first_known"]) == ("march", 28, True, "2026-03-01T08:10:00Z")
    shown = ask(folder, "runs", "show", "march").stdout
    assert '"complete": true' in shown
    assert "Harbour Wire" in shown
    assert "fold" in shown
    assert [(row["check"], row["holds"]) for row in rows(folder, "runs", "verify", "march")] == [
        ("balance", True), ("facts", True), ("increments", True), ("alerts", True),
    ]  # fmt: skip


def test_a_run_that_does_not_hold_is_said_to_and_ends_with_one(folder: Path) -> None:
    store = Store(str(folder / "desk.db"))
    with store.write() as connection:
        connection.execute(t.fetched.update().where(t.fetched.c.source == "Harbour Wire").values(documents=99))
    store.close()
    done = ask(folder, "runs", "verify", "march")

    assert done.returncode == 1
    assert "balance: source Harbour Wire: +71" in done.stderr


def test_a_run_is_dropped_only_when_that_is_confirmed_and_can_then_be_made_again(folder: Path) -> None:
    refused = ask(folder, "runs", "drop", "march", stdin="n\n")
    assert refused.returncode == 1
    assert len(rows(folder, "runs", "list")) == 2
    dropped = ask(folder, "runs", "drop", "march", "--yes")
    assert (dropped.returncode, "run march dropped: " in dropped.stdout) == (0, True)
    assert [row["run"] for row in rows(folder, "runs", "list")] == ["live"]
    again = ask(folder, "backfill", str(folder / "march.jsonl"))
    assert "run march complete: fetched 30, scored 28" in again.stdout


# --- forget -------------------------------------------------------------------------------------------------------------------
def test_what_is_forgotten_is_counted_and_what_still_holds_it_is_named(folder: Path) -> None:
    done = ask(folder, "forget", "source", "Harbour Wire")
    assert done.returncode == 0
    assert done.stdout.startswith("28 texts and the bytes of 0 drops removed.")
    assert "live.log, the local log, still holds the raw bytes, for as long as the file is kept" in done.stdout
    assert "(28 were gone before)" in ask(folder, "forget", "source", "Harbour Wire").stdout
    store = Store(str(folder / "desk.db"))
    with store.read() as connection:
        assert set(connection.execute(select(t.documents.c.title)).scalars()) == {""}
    store.close()


def test_with_kafka_the_date_is_said_by_which_the_raw_bytes_are_gone(folder: Path) -> None:
    done = groundswell(
        "forget", "source", "Harbour Wire", folder=folder, GROUNDSWELL_STORE_URL=str(folder / "desk.db"),
        GROUNDSWELL_KAFKA_BOOTSTRAP="127.0.0.1:9",
    )  # fmt: skip
    assert "Kafka still holds the raw bytes, until 20" in done.stdout


def test_archives_do_not_expire_unless_that_is_asked_for(folder: Path) -> None:
    assert ask(folder, "forget", "expired").stdout.startswith("0 texts")
    assert ask(folder, "forget", "expired", "--archives").stdout.startswith("28 texts")
