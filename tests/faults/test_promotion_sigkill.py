"""A real SIGKILL around a real promotion: whatever was scored keeps its score, and every document has exactly one."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN
from groundswell.schedule import MODEL
from groundswell.store import schema as t
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from groundswell.store.versions import read_schedule
from models.registry import Registry, registry_at
from tests import builders as b
from tests import peers
from tests.model_bundles import a_linear

DOCUMENTS = 48


class Process:
    """One life of the pipeline; `model` is the one in force as it last said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.model = self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the process is gone; its own error stands above"
        return line

    def step(self, times: int = 1, *, what: str = "step") -> None:
        for _ in range(times):
            assert self._process.stdin is not None
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
            self.model = self._said()

    def finish(self) -> None:
        while self.model != "done":
            self.step()


@contextmanager
def living(folder: Path) -> Iterator[Process]:
    """A process from its start until it is killed; it cannot do anything about that."""
    command = [sys.executable, "-m", "tests.faults.promoted_process", str(folder)]
    with subprocess.Popen(command, cwd=peers.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Process(process)
        process.send_signal(signal.SIGKILL)


def a_registry(folder: Path) -> Registry:
    registry = registry_at(folder)
    registry.add(a_linear(folder.parent / "contrary", slope=-1.0))
    registry.promote("linear", force=True)
    return registry


def a_log(path: Path) -> None:
    with LocalLog(path) as log:
        for n in range(DOCUMENTS):
            raw = b.a_raw(source="wire", id=f"n{n}", title=f"Veyra Bank number {n} faces a lawsuit after heavy losses", text="")
            log.append([("document", "wire", encode(raw))], now_ms=b.T0_MS + n * 8_000)


def test_kills_between_a_promotion_and_a_rollback_leave_each_document_with_the_one_score_that_counted(tmp_path: Path) -> None:
    registry = a_registry(tmp_path / "registry")
    a_log(tmp_path / "log")
    with living(tmp_path) as process:
        first = process.model
        process.step(3)
        registry.promote("contrary", by="test", force=True)
        process.step(what="wait")
        second = process.model
        process.step(2)
    with living(tmp_path) as process:
        assert process.model == second, "a new process begins with what is in force"
        process.step(3)  # some of it is met again
        registry.rollback(by="test")
    with living(tmp_path) as process:
        assert process.model == first != second
        process.finish()

    store = Store(str(tmp_path / "store.db"))
    with store.read() as connection:
        a, s, i = t.admissions.c, t.scores.c, t.increments.c
        models = {row.document_id: row.model_id for row in connection.execute(select(s.document_id, s.model_id))}
        counted = connection.execute(select(a.known_ms, a.document_id).where(a.outcome == "scored")).all()
        schedule = read_schedule(connection, LIVE_RUN)
        folded = connection.execute(select(func.sum(i.documents)).where(i.series.like("topic:%"))).scalar_one()
        scores = connection.execute(select(func.count()).select_from(t.scores)).scalar_one()
        with LocalLog(tmp_path / "log") as log:
            assert [row for row in balance_of(connection, LIVE_RUN, log=log) if row.balance] == []
    store.close()
    assert folded == len(counted) == len(models) == scores == DOCUMENTS
    assert {models[row.document_id] == schedule.at(MODEL, row.known_ms) for row in counted} == {True}
    assert [row.hash for row in schedule.of(MODEL)] == [first, second, first]
