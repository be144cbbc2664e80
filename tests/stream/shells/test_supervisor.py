"""The supervisor: who is started again, how soon, and when it gives up and says so."""

import json
import os
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import UsageError
from stream.shells import supervisor
from stream.shells.instruments import Instruments
from stream.shells.supervisor import CRASHES_MAX, Place, run_workers
from stream.shells.worker import EXIT_CRASH_LOOP, EXIT_DEPENDENCY, EXIT_FINAL, EXIT_UNEXPECTED, AgentName, WorkerSettings
from tests.synthetic_news import instruments


def settings(folder: Path) -> WorkerSettings:
    return WorkerSettings(kafka="127.0.0.1:1", store_url=str(folder / "s.db"), run="r", data_dir=folder, instance="t")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(settings(tmp_path), "score")


def test_delays_double_up_to_a_minute_and_a_long_life_begins_anew(place: Place) -> None:
    now_s, delays = 0.0, []
    for _ in range(9):
        place.started_s = now_s
        assert place.ended(EXIT_DEPENDENCY, now_s=now_s) is None
        delays.append(place.due_s - now_s)
        now_s = place.due_s
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    place.started_s = now_s
    place.ended(EXIT_DEPENDENCY, now_s=now_s + supervisor.STEADY_AFTER_S)
    assert place.due_s == now_s + supervisor.STEADY_AFTER_S, "at once"


@pytest.mark.parametrize("code", [EXIT_UNEXPECTED, -signal.SIGSEGV, -signal.SIGKILL, 1])
def test_ten_faults_within_ten_minutes_are_a_crash_loop(place: Place, code: int) -> None:
    assert [place.ended(code, now_s=n * 50.0) for n in range(CRASHES_MAX)] == [None] * (CRASHES_MAX - 1) + [EXIT_CRASH_LOOP]


def test_ten_faults_in_two_hours_are_none_and_a_peer_may_be_away_for_ever(place: Place) -> None:
    assert {place.ended(EXIT_UNEXPECTED, now_s=n * 720.0) for n in range(3 * CRASHES_MAX)} == {None}
    assert {place.ended(EXIT_DEPENDENCY, now_s=n * 1.0) for n in range(100)} == {None}


def test_a_word_of_no_help_counts_three_times_in_a_row(place: Place) -> None:
    codes = [EXIT_FINAL, EXIT_FINAL, EXIT_DEPENDENCY, EXIT_FINAL, EXIT_FINAL, EXIT_FINAL]
    assert [place.ended(code, now_s=0.0) for code in codes] == [None] * 5 + [EXIT_FINAL]


def note_and_end(settings: WorkerSettings, agent: AgentName, made: object) -> None:
    """Score ends once by a fault, then stays; fold says that starting again does not help, but not before score was started again."""
    note(settings, agent)
    if agent == "score" and starts(settings, "score") == 1:
        raise SystemExit(EXIT_UNEXPECTED)
    while agent == "score" or starts(settings, "score") < 2:
        threading.Event().wait(0.01)
    raise SystemExit(EXIT_FINAL)


def note(settings: WorkerSettings, agent: AgentName) -> None:
    with (settings.data_dir / f"{agent}-{settings.instance}").open("a") as file:
        file.write("started\n")


def starts(settings: WorkerSettings, agent: AgentName) -> int:
    file = settings.data_dir / f"{agent}-{settings.instance}"
    return file.read_text().count("started") if file.exists() else 0


def note_and_wait(settings: WorkerSettings, agent: AgentName, made: object) -> None:
    note(settings, agent)
    threading.Event().wait()


def note_and_crash(settings: WorkerSettings, agent: AgentName, made: object) -> None:
    note(settings, agent)
    os.kill(os.getpid(), signal.SIGSEGV)


def test_workers_are_started_again_until_one_says_that_this_does_not_help(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    code = run_workers(
        settings(tmp_path),
        ["score", "fold"],
        instruments,
        entry=note_and_end,
        stopped=threading.Event(),
        first_delay_s=0.01,
        report=lambda *what: said.append(what),
    )
    assert code == EXIT_FINAL
    assert (tmp_path / "fold-t-0").read_text().count("started") == 3
    assert (tmp_path / "score-t-0").read_text().count("started") == 2
    assert [kind for kind, _ in said] == ["final"]
    assert "fold of run 'r' ended with 78 3 times" in said[0][1]


def test_workers_are_announced_until_they_are_stopped_and_stay_announced_when_the_supervisor_gives_up(tmp_path: Path) -> None:
    shown, stopped = replace(settings(tmp_path), metrics_port=9464), threading.Event()
    file = tmp_path / "targets" / f"worker-{socket.gethostname()}-9464.json"

    def seen_while_running(*_: object) -> None:
        found.append(json.loads(file.read_text()))

    found: list[list[dict[str, Any]]] = []
    arguments: dict[str, Any] = {"entry": note_and_end, "stopped": stopped, "first_delay_s": 0.01, "report": seen_while_running}
    assert run_workers(shown, ["score", "fold"], instruments, **arguments) == EXIT_FINAL
    assert [(group["targets"], group["labels"]["process"]) for group in found[0]] == [
        (["127.0.0.1:9464"], "score"),
        (["127.0.0.1:9465"], "fold"),
    ]
    assert file.exists()

    stopped.set()
    assert run_workers(shown, ["score", "fold"], instruments, **arguments) == 0
    assert not file.exists()


def test_a_worker_that_only_crashes_ends_the_supervisor_with_a_code_and_a_word_of_its_own(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    code = run_workers(
        settings(tmp_path),
        ["score"],
        instruments,
        entry=note_and_crash,
        stopped=threading.Event(),
        first_delay_s=0.001,
        report=lambda *what: said.append(what),
    )
    assert code == EXIT_CRASH_LOOP
    assert (tmp_path / "score-t-0").read_text().count("started") == CRASHES_MAX
    assert [kind for kind, _ in said] == ["crash_loop"]


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
    thread.join(180)
    assert codes == [0]


@pytest.mark.parametrize(("agents", "processes"), [(["desk"], 1), ([], 1), (["score"], 0)])
def test_unknown_agents_and_no_processes_are_usage_errors(agents: list[AgentName], processes: int, tmp_path: Path) -> None:
    def entry(_settings: WorkerSettings, _agent: AgentName, _instruments: object) -> None: ...

    def never() -> Instruments:
        raise AssertionError

    with pytest.raises(UsageError, match="name score, fold or both"):
        run_workers(settings(tmp_path), agents, never, entry=entry, processes=processes)
