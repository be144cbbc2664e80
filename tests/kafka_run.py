"""One run through the Kafka shell, with real worker processes, and what it is compared with."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, get_args

from sqlalchemy import select

from groundswell.kafka_access import KafkaAccess
from groundswell.local_log import LocalLog
from groundswell.names import ROLE_FOLD, TICK_MS
from groundswell.store import schema as t
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.operators.admit import tick_of
from stream.shells.desk_worker import DeskWorker
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.score_worker import HELD_RECORDS_MAX
from stream.shells.worker import EXIT_FINAL, WorkerSettings
from tests.kafka_worker import Role, WorkerMain, serve
from tests.synthetic_news import instruments

COMPARED: Final = (
    t.increments, t.stories, t.baselines, t.source_hours, t.exposures, t.candidates, t.decisions, t.incidents, t.alerts,
    t.documents, t.scores,
)  # fmt: skip
"""Tables that are equal whatever shell has made them; positions are not, so admissions and drops are compared without."""

POLL_S: Final = 0.1
WITHIN_S: Final = 300.0
"""How long anything may take that has to come: nobody waits for longer than it does take."""
RESTART_AFTER_S: Final = 1.0  # as the supervisor waits
CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.kafka_worker"])  # importing the libraries takes seconds, and five kills mean six starts


def rows_of(store: Store, run: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every compared table as sorted tuples without the run, blobs as bytes."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with store.read() as connection:
        for table in COMPARED:
            columns = [column for column in table.columns if column.name != "run"]
            statement = select(*columns)
            if "run" in table.c:
                statement = statement.where(table.c.run == run)
            found[table.name] = sorted((tuple(_plain(v) for v in row) for row in connection.execute(statement)), key=repr)
        a, d = t.admissions.c, t.drops.c
        kept = select(a.known_ms, a.source, a.language, a.outcome, a.document_id, a.content_hash).where(a.run == run)
        found["admissions"] = sorted((tuple(row) for row in connection.execute(kept)), key=repr)
        dropped = select(d.known_ms, d.reason, d.body).where(d.run == run)
        found["drops"] = sorted((tuple(_plain(v) for v in row) for row in connection.execute(dropped)), key=repr)
    return found


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def embedded_rows(log: LocalLog, folder: Path, run: str) -> dict[str, list[tuple[Any, ...]]]:
    """What the embedded shell makes of a log, in a store of its own."""
    store = Store(str(folder / "embedded.db"))
    open_run(store, run, kind="backfill", instruments=instruments())
    pipeline = EmbeddedPipeline(store, log, run, instruments())
    while pipeline.step():
        pass
    pipeline.finish()
    found = rows_of(store, run)
    store.close()
    return found


@dataclass
class KafkaRun:
    """Worker processes of one run; `with` stops what is left of them.

    Args:
        bootstrap: Kafka, as the workers are told.
        store: where this process looks at what they do.
        run: whose workers.
        folder: what they write, and what they say.
        store_url: the store, as the workers are told; the same one unless something stands in between.
        main: what a worker process does; a benchmark brings its own instruments.
    """

    kafka: KafkaAccess | str
    store: Store
    run: str
    folder: Path
    store_url: str | None = None
    ended: list[tuple[str, int]] = field(default_factory=list)  # (worker, exit code) of those that ended by themselves
    held_records_max: int = HELD_RECORDS_MAX
    main: WorkerMain = serve
    _running: dict[str, BaseProcess] = field(default_factory=dict)
    _started: int = 0
    _ended_s: dict[str, float] = field(default_factory=dict)  # worker -> when it was found to have ended

    def start(self, agent: Role, number: int) -> None:
        """Start a worker; one of the same agent and number must have ended."""
        name = f"{agent}-{number}"
        self._started += 1
        self._ended_s.pop(name, None)
        settings = WorkerSettings(
            self.kafka,
            self.store_url or self.store.url,
            self.run,
            self.folder,
            instance=str(number),
            held_records_max=self.held_records_max,
        )
        said = self.folder / f"{name}-{self._started}.log"
        self._running[name] = CONTEXT.Process(target=self.main, args=(settings, agent, said), name=name)
        self._running[name].start()

    def kill(self, agent: Role, number: int) -> None:
        """SIGKILL a worker, and start it again as a supervisor would."""
        process = self._running[f"{agent}-{number}"]
        process.kill()
        process.join()
        self.start(agent, number)

    def stop(self, agent: Role, number: int, *, within_s: float = WITHIN_S) -> int | None:
        """SIGTERM a worker as soon as it heeds it, and do not start it again; returns its exit code, None if it has not ended in time."""
        process = self._running[f"{agent}-{number}"]
        deadline = time.monotonic() + within_s
        while process.is_alive() and not _heeds_sigterm(self.pid(agent, number)) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        process.terminate()
        process.join(within_s)
        code = process.exitcode
        if code is not None:
            del self._running[f"{agent}-{number}"]
            process.close()
        return code

    def pid(self, agent: Role, number: int) -> int:
        """Process id of a worker that runs."""
        found = self._running[f"{agent}-{number}"].pid
        assert found is not None
        return found

    def exit_code(self, agent: Role, number: int, *, within_s: float = WITHIN_S) -> int | None:
        """What a worker ends with by itself; None if it has not in time."""
        process = self._running[f"{agent}-{number}"]
        process.join(within_s)
        return process.exitcode

    def end(self) -> None:
        """SIGKILL every worker that is left."""
        for process in self._running.values():
            process.kill()
            process.join()
            process.close()
        self._running = {}

    def wait(self, done: Callable[[], bool], *, what: str, within_s: float = WITHIN_S) -> None:
        """Poll until something is so; a worker that has ended is started again, as a supervisor would."""
        deadline = time.monotonic() + within_s
        while not done():
            self.start_again(last=time.monotonic() > deadline)
            if time.monotonic() > deadline:
                said = "\n".join(self._said(name) for name in self._running)
                message = f"{what}: not within {within_s} s; the workers said:\n{said}"
                raise AssertionError(message)
            time.sleep(POLL_S)

    def start_again(self, *, last: bool = False) -> None:
        """Start workers that have ended by themselves, as a supervisor would; raises AssertionError for code 78, and for any at `last`."""
        for name, process in list(self._running.items()):
            code = process.exitcode
            if code is None:
                continue
            if code == EXIT_FINAL or last:
                message = f"worker {name} ended with code {code}:\n{self._said(name)}"
                raise AssertionError(message)
            if name not in self._ended_s:
                self.ended.append((name, code))
                self._ended_s[name] = time.monotonic()
            if time.monotonic() - self._ended_s[name] < RESTART_AFTER_S:
                continue
            role, _, number = name.partition("-")
            self.start(next(known for known in get_args(Role) if known == role), int(number))

    def has_said(self, agent: Role, number: int, words: str) -> bool:
        """Whether a worker has logged these words, in any of its lives."""
        return any(words in said for said in self._logs(f"{agent}-{number}"))

    def _said(self, name: str) -> str:
        return "\n".join(said[-3_000:] for said in self._logs(name))

    def _logs(self, name: str) -> list[str]:
        return [path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}-*.log"))]

    def folded_through(self, time_ms: int) -> bool:
        """Whether every fold partition has closed every tick before a time."""
        with self.store.read() as connection:
            return all(tick_of(row.time_ms) >= tick_of(time_ms) for row in progress_of(connection, self.run, ROLE_FOLD))

    def folded(self) -> int:
        """How many increments are stored: the run's progress, roughly."""
        with self.store.read() as connection:
            return len(connection.execute(select(t.increments.c.tick).where(t.increments.c.run == self.run)).all())

    def finish(self, log: LocalLog, *, within_s: float = WITHIN_S) -> None:
        """Wait until the whole archive is folded, then let the desk decide."""
        end_ms = (log.last_known_ms() or 0) + 2 * TICK_MS
        self.wait(lambda: self.folded_through(end_ms), what="folding the archive", within_s=within_s)
        desk = DeskWorker(self.store, self.run, instruments(), owner=f"test:{os.getpid()}")
        while desk.step() is not None:
            pass


def _heeds_sigterm(pid: int) -> bool:
    """Whether a process has a handler of its own for SIGTERM by now; True where nobody can tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@contextmanager
def kafka_run(
    kafka: KafkaAccess | str,
    store_url: str,
    run: str,
    folder: Path,
    *,
    workers_store_url: str | None = None,
    held_records_max: int = HELD_RECORDS_MAX,
    main: WorkerMain = serve,
) -> Iterator[KafkaRun]:
    """A run whose workers end with the block."""
    with ExitStack() as stack:
        store = Store(store_url)
        stack.callback(store.close)
        folder.mkdir(parents=True, exist_ok=True)
        started = KafkaRun(kafka, store, run, folder, workers_store_url, held_records_max=held_records_max, main=main)
        try:
            yield started
        finally:
            started.end()
