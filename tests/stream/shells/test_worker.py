import threading
from pathlib import Path

import pytest

from groundswell.errors import ContinuityError, DependencyError, OwnershipLostError, UsageError
from stream.shells.instruments import Instruments
from stream.shells.worker import (
    EXIT_DEPENDENCY,
    EXIT_FINAL,
    EXIT_OWNERSHIP,
    EXIT_STALLED,
    EXIT_UNEXPECTED,
    AgentName,
    StallWatch,
    WorkerSettings,
    end_process,
    exit_code_of,
    leave_within,
    run_workers,
)
from tests.synthetic_news import instruments


def settings(folder: Path) -> WorkerSettings:
    return WorkerSettings(kafka="127.0.0.1:1", store_url=str(folder / "s.db"), run="r", data_dir=folder, instance="t")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OwnershipLostError("x"), EXIT_OWNERSHIP),
        (DependencyError("x"), EXIT_DEPENDENCY),
        (ContinuityError("x"), EXIT_FINAL),
        (UsageError("x"), EXIT_FINAL),
        (ZeroDivisionError(), EXIT_UNEXPECTED),
    ],
)
def test_every_kind_of_end_has_its_own_exit_code(error: Exception, code: int) -> None:
    left: list[int] = []
    end_process(error, place="here", leave=left.append)
    assert left == [code] == [exit_code_of(error)]
    assert code not in (0, 1, 2)


def test_a_graceful_stop_that_takes_too_long_is_cut_short() -> None:
    left = threading.Event()
    leave_within(0.01, leave=lambda _: left.set())
    assert left.wait(10)


class Seconds:
    now = 0.0


def test_a_worker_to_which_nothing_comes_leaves_with_its_own_code() -> None:
    left: list[int] = []
    seconds = Seconds()
    watch = StallWatch(60, leave=left.append, now_s=lambda: seconds.now)
    seconds.now = 1_000.0
    watch.check()
    assert left == [], "before the first message there is nothing to miss"
    watch.beat()
    seconds.now += 60
    watch.check()
    assert left == []
    seconds.now += 1
    watch.check()
    assert left == [EXIT_STALLED]


def test_a_worker_without_partitions_is_not_stalled() -> None:
    left: list[int] = []
    seconds = Seconds()
    watch = StallWatch(60, leave=left.append, now_s=lambda: seconds.now)
    watch.beat()
    watch.rest()
    seconds.now = 1_000.0
    watch.check()
    assert left == []


def note_and_end(settings: WorkerSettings, agent: AgentName, made: object) -> None:
    with (settings.data_dir / f"{agent}-{settings.instance}").open("a") as file:
        file.write("started\n")
    raise SystemExit(EXIT_FINAL if agent == "fold" else EXIT_UNEXPECTED)


def note_and_wait(settings: WorkerSettings, agent: AgentName, made: object) -> None:
    (settings.data_dir / f"{agent}-{settings.instance}").write_text("started\n")
    threading.Event().wait()


def test_workers_are_started_again_until_one_says_that_this_does_not_help(tmp_path: Path) -> None:
    code = run_workers(settings(tmp_path), ["score", "fold"], instruments, entry=note_and_end, processes=1, stopped=threading.Event())
    assert code == EXIT_FINAL
    assert (tmp_path / "fold-t-0").read_text().count("started") == 3
    assert (tmp_path / "score-t-0").read_text().count("started") >= 2


def test_a_stop_ends_all_workers_and_is_no_failure(tmp_path: Path) -> None:
    stopped = threading.Event()
    codes: list[int] = []

    def work() -> None:
        codes.append(run_workers(settings(tmp_path), ["fold"], instruments, entry=note_and_wait, processes=2, stopped=stopped))

    thread = threading.Thread(target=work)
    thread.start()
    waited = threading.Event()
    while not all((tmp_path / f"fold-t-{n}").exists() for n in range(2)) and thread.is_alive():
        waited.wait(0.02)
    stopped.set()
    thread.join(20)
    assert codes == [0]


@pytest.mark.parametrize(("agents", "processes"), [(["desk"], 1), ([], 1), (["score"], 0)])
def test_unknown_agents_and_no_processes_are_usage_errors(agents: list[AgentName], processes: int, tmp_path: Path) -> None:
    def entry(_settings: WorkerSettings, _agent: AgentName, _instruments: object) -> None: ...

    def never() -> Instruments:
        raise AssertionError

    with pytest.raises(UsageError, match="name score, fold or both"):
        run_workers(settings(tmp_path), agents, never, entry=entry, processes=processes)
