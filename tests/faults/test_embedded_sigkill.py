"""A real SIGKILL, again and again: what is stored in the end is what an undisturbed process stores."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.store import schema as t
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from stream.shells.isolation import DEATHS_MAX, REASON
from tests import archives, peers
from tests import builders as b
from tests.faults.embedded_process import DEADLY

KILLS = 5


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.faults.embedded_process"]
    with subprocess.Popen(command, cwd=peers.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def told_by(nursery: subprocess.Popen[str], what: str, folder: Path, *, kill_after: int | None = None) -> list[str]:
    """Have a process started and kill it after so many of its lines, wherever it is by then; returns what it told."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(f"{what} {folder}\n")
    nursery.stdin.flush()
    process, told = int(nursery.stdout.readline()), []
    while (line := nursery.stdout.readline().strip()) != "ended":
        assert line, "the nursery is gone; its own error stands above"
        told.append(line)
        if len(told) == kill_after:
            os.kill(process, signal.SIGKILL)
    return told


def exported(folder: Path, run: str) -> dict[str, list[tuple[object, ...]]]:
    store = Store(str(folder / "store.db"))
    rows = b.export(store, run)
    with store.read() as connection:
        assert [row for row in balance_of(connection, run) if row.balance and run != "live"] == []
    store.close()
    return rows


def test_a_pipeline_that_is_killed_five_times_stores_what_an_undisturbed_one_does(nursery: subprocess.Popen[str], tmp_path: Path) -> None:
    chance, folders = random.Random(23), [tmp_path / "killed", tmp_path / "undisturbed"]
    archive = b.an_archive(23, records=420)
    for folder in folders:
        folder.mkdir()
        b.fill(LocalLog(folder / "log"), archive).close()
    steps = len(archive) // 9
    for _ in range(KILLS):
        # The first line says that it has opened; from then on a kill lands between any two statements of a step.
        told = told_by(nursery, "pipeline", folders[0], kill_after=chance.randrange(2, steps // KILLS))
        assert told[-1] == "step"
    assert told_by(nursery, "pipeline", folders[0])[-1] == "done"
    assert told_by(nursery, "pipeline", folders[1])[-1] == "done"

    expected = exported(folders[1], "live")
    assert expected["alerts"]
    assert b.differences(expected, exported(folders[0], "live")) == {}


def test_a_backfill_that_is_killed_while_reading_sorting_and_running_ends_the_same(nursery: subprocess.Popen[str], tmp_path: Path) -> None:
    folders = [tmp_path / "killed", tmp_path / "undisturbed"]
    for folder in folders:
        folder.mkdir()
        archives.write(folder / "a.jsonl", [*archives.lines(31, number=900), b"{broken"])
        archives.write(folder / "b.jsonl", [*archives.lines(32, number=300), b"{broken"])
    killed_in = [told_by(nursery, "backfill", folders[0], kill_after=lines)[-1] for lines in (1, 3, 4)]
    assert told_by(nursery, "backfill", folders[0])[-1] == "done"
    assert told_by(nursery, "backfill", folders[1])[-1] == "done"

    assert killed_in[0] == "read"
    assert killed_in[-1] in ("run", "done")
    expected = exported(folders[1], "r1")
    assert expected["alerts"]
    assert b.differences(expected, exported(folders[0], "r1")) == {}


def test_a_text_that_crashes_every_process_is_dropped_and_the_others_are_all_there(nursery: subprocess.Popen[str], tmp_path: Path) -> None:
    texts = [f"Aldora debt report {n}" for n in range(40)]
    deadly = [13, 27]
    for n in deadly:
        texts[n] = f"{DEADLY} {n}"
    with LocalLog(tmp_path / "log") as log:
        rows = [("document", "Harbour Wire", encode(b.a_raw(id=str(n), title=title, text=""))) for n, title in enumerate(texts)]
        log.append(rows, now_ms=b.T0_MS)
    ends = [told_by(nursery, "deadly", tmp_path)]
    while ends[-1][-1:] != ["done"]:
        assert len(ends) < 15, "process after process dies of the same text"
        ends.append(told_by(nursery, "deadly", tmp_path))

    assert len(ends) - 1 == 2 * (2 + DEATHS_MAX), "two deaths in a batch, two alone, for each"
    with closing(Store(str(tmp_path / "store.db"))) as store, store.read() as connection:
        d, a = t.drops.c, t.admissions.c
        assert [tuple(row) for row in connection.execute(select(d.position, d.reason).order_by(d.position))] == [
            (n + 1, REASON) for n in deadly
        ]
        assert connection.execute(select(func.count()).where(a.outcome == "scored")).scalar_one() == len(texts) - len(deadly)
        with LocalLog(tmp_path / "log") as log:
            assert [row for row in balance_of(connection, "live", log=log) if row.balance] == []
