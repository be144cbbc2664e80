"""Whoever tells of conditions may be what has stopped: somebody else has to say so."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundswell.clock import ManualClock
from groundswell.names import CONTRIBUTION_PARTITIONS, ROLE_DESK, ROLE_FOLD, TICK_MS
from groundswell.store import schema as t
from groundswell.store.conditions import open_conditions
from groundswell.store.progress import Claim, advance, claim, progress_of
from groundswell.store.store import Store
from stream.shells.watchdog import STOPPED_MS, Watchdog
from tests import builders as b
from tests.stream.shells.test_lookout import Channel

WITHIN_S = 180.0


class Scene:
    """A live run on Kafka as its store shows it: fold workers, a desk, and a watchdog beside the workers."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s.db"
        self.store, self.mail, self.clock = Store(str(self.path)), Channel(), ManualClock(b.T0_MS)
        with self.store.write() as connection:
            self.store.insert(connection, t.runs, [{"run": "live", "kind": "live", "model_id": "m", "manifest": b"{}"}])
        self.folds = [claim(self.store, "live", ROLE_FOLD, part=part, owner="w") for part in range(CONTRIBUTION_PARTITIONS)]
        self.watchdog = Watchdog(self.store, "live", {"mail": self.mail}, "http://desk.example", self.clock)

    def fold(self, until_ms: int) -> None:
        with self.store.write() as connection:
            self.folds = [_moved(connection, held, until_ms) for held in self.folds]

    def decided_ms(self) -> int | None:
        with self.store.read() as connection:
            return max((row.time_ms for row in progress_of(connection, "live", ROLE_DESK)), default=None)

    def holding(self) -> list[str]:
        with self.store.read() as connection:
            return [condition.kind for condition in open_conditions(connection)]


def _moved(connection: object, held: Claim, until_ms: int) -> Claim:
    return advance(connection, held, next_offset=held.next_offset, time_ms=until_ms, closed_tick=until_ms // TICK_MS - 1)  # type: ignore[arg-type]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with closing(made.store):
        yield made


def desk(scene: Scene) -> "subprocess.Popen[bytes]":
    environ = os.environ | {
        "GROUNDSWELL_STORE_URL": str(scene.path), "GROUNDSWELL_METRICS_PORT": "0", "GROUNDSWELL_DATA_DIR": str(scene.path.parent),
        "GROUNDSWELL_MODELS_USE": "linear",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "groundswell", "desk"], env=environ, stdout=subprocess.DEVNULL)


def test_a_desk_that_was_killed_is_told_of_and_one_that_came_back_ends_it(scene: Scene) -> None:
    scene.fold(b.T0_MS)
    process = desk(scene)
    try:
        wait_until_decided(scene, b.T0_MS)
        scene.watchdog.look()
        assert "desk" not in scene.holding()

        process.send_signal(signal.SIGKILL)
        process.wait(WITHIN_S)
        scene.fold(b.T0_MS + STOPPED_MS + TICK_MS)
        scene.watchdog.look()
        scene.watchdog.look()
        assert "desk" in scene.holding()
        assert scene.mail.subjects == ["[operations] the desk has stopped: live"]

        process = desk(scene)
        wait_until_decided(scene, b.T0_MS + STOPPED_MS + TICK_MS)
        scene.watchdog.look()
        assert "desk" not in scene.holding()
    finally:
        process.kill()
        process.wait(WITHIN_S)


def wait_until_decided(scene: Scene, until_ms: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while scene.decided_ms() != until_ms:
        assert time.monotonic() < deadline, f"the desk has decided until {scene.decided_ms()}"


def test_a_run_without_any_desk_is_told_of_and_one_that_has_not_begun_is_not(scene: Scene) -> None:
    assert scene.watchdog.look() == []
    scene.fold(b.T0_MS)

    assert [condition.kind for condition in scene.watchdog.look()] == ["desk"]


def test_what_nobody_has_taken_is_told_again(scene: Scene) -> None:
    scene.fold(b.T0_MS)
    scene.mail.ok = False
    assert scene.watchdog.look() == []
    scene.mail.ok = True

    assert len(scene.watchdog.look()) == 1


def test_a_store_that_is_away_does_not_end_the_watch(tmp_path: Path) -> None:
    away = Store(str(tmp_path / "s.db"))
    away.close()
    (tmp_path / "s.db").unlink()
    (tmp_path / "s.db").mkdir()
    looks = iter([False, False, True])

    Watchdog(away, "live", {}, "http://desk.example", ManualClock(b.T0_MS)).watch(lambda _: next(looks))

    assert next(looks, None) is None
