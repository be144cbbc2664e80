"""A real SIGKILL, again and again: what is stored in the end is what an undisturbed process stores."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundswell.local_log import LocalLog
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from tests import archives, peers
from tests import builders as b

KILLS = 5


def started(what: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults.embedded_process", what, str(folder)]
    return subprocess.Popen(command, cwd=peers.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_until(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Read so many lines, then kill it wherever it is by then; returns what it told."""
    told = []
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.strip())
            if len(told) == lines:
                process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        assert process.returncode in (0, -signal.SIGKILL), process.stderr.read()
    return told


def exported(folder: Path, run: str) -> dict[str, list[tuple[object, ...]]]:
    store = Store(str(folder / "store.db"))
    rows = b.export(store, run)
    with store.read() as connection:
        assert [row for row in balance_of(connection, run) if row.balance and run != "live"] == []
    store.close()
    return rows


def test_a_pipeline_that_is_killed_five_times_stores_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    chance, folders = random.Random(23), [tmp_path / "killed", tmp_path / "undisturbed"]
    archive = b.an_archive(23, records=420)
    for folder in folders:
        folder.mkdir()
        b.fill(LocalLog(folder / "log"), archive).close()
    steps = len(archive) // 9
    for _ in range(KILLS):
        # The first line says that it has opened; from then on a kill lands between any two statements of a step.
        told = run_until(started("pipeline", folders[0]), chance.randrange(2, steps // KILLS))
        assert told[-1] == "step"
    assert run_until(started("pipeline", folders[0]), -1)[-1] == "done"
    assert run_until(started("pipeline", folders[1]), -1)[-1] == "done"

    expected = exported(folders[1], "live")
    assert expected["alerts"]
    assert b.differences(expected, exported(folders[0], "live")) == {}


@pytest.mark.parametrize("seed", [31])
def test_a_backfill_that_is_killed_while_reading_sorting_and_running_ends_the_same(seed: int, tmp_path: Path) -> None:
    folders = [tmp_path / "killed", tmp_path / "undisturbed"]
    for folder in folders:
        folder.mkdir()
        archives.write(folder / "a.jsonl", [*archives.lines(seed, number=900), b"{broken"])
        archives.write(folder / "b.jsonl", [*archives.lines(seed + 1, number=300), b"{broken"])
    killed_in = [run_until(started("backfill", folders[0]), lines)[-1] for lines in (1, 3, 4)]
    assert run_until(started("backfill", folders[0]), -1)[-1] == "done"
    assert run_until(started("backfill", folders[1]), -1)[-1] == "done"

    assert killed_in[0] == "read"
    assert killed_in[-1] in ("run", "done")
    expected = exported(folders[1], "r1")
    assert expected["alerts"]
    assert b.differences(expected, exported(folders[0], "r1")) == {}
