"""`groundswell sources health` as it is typed."""

import json
from pathlib import Path

import pytest

from groundswell.exports import iso
from groundswell.names import HOUR_MS
from groundswell.store.store import Store
from tests.cli.test_cli import groundswell
from tests.dashboards.board.board_store import END_MS, FORUM, SILENT_MS, WIRE, fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(str(tmp_path / "desk.db"))
    fill(store, None, run="live", kind="live")
    store.close()
    return tmp_path


def states(folder: Path, *arguments: str) -> dict[str, dict[str, object]]:
    done = groundswell("sources", "health", "--format", "jsonl", *arguments, folder=folder, GROUNDSWELL_STORE_URL=str(folder / "desk.db"))
    assert done.returncode == 0, done.stderr
    return {str(row["source"]): row for row in map(json.loads, done.stdout.splitlines())}


def test_sources_health_says_state_since_and_why_and_lists_those_that_were_never_heard(folder: Path) -> None:
    found = states(folder)

    assert (found[WIRE]["state"], found[WIRE]["why"], found[WIRE]["expected_per_day"]) == ("live", "", 48.0)
    assert (found[FORUM]["state"], found[FORUM]["since"]) == ("blind", iso(SILENT_MS - 10 * 60_000 + 45 * 60_000))
    assert (found[FORUM]["silent_s"], found[FORUM]["usual_s"], found[FORUM]["allowed_s"]) == (5 * 3_600 + 585, 600, 2_700)
    unheard = [row for row in found.values() if row["why"] == "nothing has come from it yet"]
    assert {row["state"] for row in unheard} == {"forming"}
    assert len(unheard) > 5


def test_sources_health_can_be_asked_as_of_a_moment(folder: Path) -> None:
    assert states(folder, "--as-of", iso(END_MS - 6 * HOUR_MS))[FORUM]["state"] == "live"
