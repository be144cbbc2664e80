"""What a worker process is told, how it ends, and who starts it again. No Faust in here.

A worker never repairs itself: what it cannot handle ends the process at once, with a code that says why, and a supervisor
(compose, Kubernetes, or `run_workers` on one machine) starts it again from what is stored.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Literal

from groundswell.errors import (
    BundleError,
    ContinuityError,
    DependencyError,
    GroundswellError,
    NotFoundError,
    OwnershipLostError,
    UsageError,
    reason_of,
)
from groundswell.kafka_access import KafkaAccess
from groundswell.logs import logger, set_up_logs
from groundswell.masking import passwords_of_url
from stream.shells.instruments import Instruments

AgentName = Literal["score", "fold"]
AGENTS: Final[tuple[AgentName, ...]] = ("score", "fold")

EXIT_UNEXPECTED: Final = 70  # a fault in here: start again, and report it
EXIT_DEPENDENCY: Final = 75  # Kafka or the store is away: start again
EXIT_OWNERSHIP: Final = 76  # another worker has the partition: start again
EXIT_STALLED: Final = 77  # nothing arrived for too long: start again
EXIT_FINAL: Final = 78  # messages are missing, the topic is another one, the instruments differ: starting again does not help

STOP_WITHIN_S: Final = 9.0
STALLED_AFTER_S: Final = 120.0
RESTART_AFTER_S: Final = 1.0
FINAL_TRIES: Final = 3
_log = logger("groundswell.worker")


@dataclass(frozen=True)
class WorkerSettings:
    """Where a worker finds everything.

    Args:
        kafka: the brokers; a bare HOST:PORT has neither encryption nor login.
        store_url: the store; PostgreSQL where workers run on several machines.
        run: whose records.
        data_dir: this machine's folder.
        instance: a name that stays the same over restarts and that no other worker of the same agent has ("0", a pod's name);
            with it a restarted worker has its partitions back at once, without it when the group has given the old one up (10 s).
        metrics_host: where the process shows its metrics.
        metrics_port: 0 shows none.
        log_level: the least important line that `run_workers`' processes show.
        log_format: "auto", "json" or "console".
    """

    kafka: KafkaAccess | str
    store_url: str = field(repr=False)  # it may hold a password
    run: str
    data_dir: Path
    instance: str | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"

    @property
    def owner(self) -> str:
        """Who writes progress rows: host and process."""
        return f"{socket.gethostname()}:{os.getpid()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no line of a log may hold."""
        return (KafkaAccess.of(self.kafka).password, *passwords_of_url(self.store_url))


_CODES: Final[Mapping[type[GroundswellError], int]] = {
    OwnershipLostError: EXIT_OWNERSHIP,
    DependencyError: EXIT_DEPENDENCY,
    ContinuityError: EXIT_FINAL,
    NotFoundError: EXIT_FINAL,
    UsageError: EXIT_FINAL,
    BundleError: EXIT_FINAL,
}


def exit_code_of(error: BaseException) -> int:
    """The code that a process ends with for an error.

    >>> exit_code_of(OwnershipLostError("epoch 3 has been replaced")), exit_code_of(KeyError("x"))
    (76, 70)
    """
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), EXIT_UNEXPECTED)


def end_process(error: BaseException, *, place: str, leave: Callable[[int], object] = os._exit) -> None:
    """Log an error and end the process at once: no handler, no final commit, nothing acknowledged any more."""
    known = isinstance(error, tuple(_CODES))
    _log.error("the worker ends", place=place, reason=reason_of(error), exc_info=None if known else error)
    sys.stderr.flush()
    leave(exit_code_of(error))


def leave_within(seconds: float = STOP_WITHIN_S, *, leave: Callable[[int], object] = os._exit) -> threading.Timer:
    """Give a graceful stop so long; then leave anyway: what is not acknowledged is done again by the next worker."""
    timer = threading.Timer(seconds, leave, [0])
    timer.daemon = True
    timer.start()
    return timer


class StallWatch:
    """Ends a process to which nothing comes any more although something must: clients have been seen to stop silently.

    Args:
        stalled_after_s: how long nothing may come.
        leave: what ends the process.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        stalled_after_s: float = STALLED_AFTER_S,
        *,
        leave: Callable[[int], object] = os._exit,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_s, self._leave, self._now_s = stalled_after_s, leave, now_s
        self._last_s: float | None = None

    def beat(self) -> None:
        """Something has come."""
        self._last_s = self._now_s()

    def rest(self) -> None:
        """Nothing has to come: no partition is assigned."""
        self._last_s = None

    def check(self) -> None:
        """Leave if nothing has come for too long."""
        if self._last_s is not None and self._now_s() - self._last_s > self._limit_s:
            _log.error("the worker ends", reason=f"no message for {self._limit_s:.0f} s although time must pass; the client is stuck")
            self._leave(EXIT_STALLED)

    def start(self) -> None:
        """Check every few seconds in a thread of its own: an event loop that is stuck cannot check itself."""

        def watch() -> None:
            while True:
                time.sleep(min(5.0, self._limit_s / 4))
                self.check()

        threading.Thread(target=watch, name="groundswell-stall-watch", daemon=True).start()


# --- several workers on one machine ---------------------------------------------------------------------------------------
Entry = Callable[[WorkerSettings, AgentName, Callable[[], Instruments]], None]


def run_workers(
    settings: WorkerSettings,
    agents: Sequence[AgentName],
    instruments: Callable[[], Instruments],
    *,
    entry: Entry,
    processes: int = 1,
    stopped: threading.Event | None = None,
) -> int:
    """Start worker processes, start again those that end, and stop them all when told to (SIGTERM, SIGINT, or `stopped`).

    Args:
        settings: for all; instance names and metrics ports are numbered from these.
        agents: which agents; each gets processes of its own, because each is a consumer group of its own.
        instruments: called in each process; a function of a module, because it goes to other processes by its name.
        entry: `stream.shells.kafka.run_worker`.
        processes: how many of each agent.
        stopped: ends it from another thread.

    Returns:
        0 after a stop, EXIT_FINAL when a worker said that starting it again does not help.

    Raises:
        UsageError: an unknown agent, or no processes.
    """
    unknown = [agent for agent in agents if agent not in AGENTS]
    if unknown or not agents or processes < 1:
        reason = f"workers: agents {','.join(agents) or 'none'}, {processes} processes; name score, fold or both, and one process or more"
        raise UsageError(reason)
    stop = stopped or threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)} if stopped is None else {}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    planned = [(agent, each) for agent in agents for each in range(processes)]
    # With the process in it: two such commands on one machine must not fence each other.
    name = settings.instance or f"{socket.gethostname()}-{os.getpid()}"
    told = [
        (replace(settings, instance=f"{name}-{each}", metrics_port=settings.metrics_port and settings.metrics_port + place), agent)
        for place, (agent, each) in enumerate(planned)
    ]
    # Forked from a server that has the libraries loaded: a worker that ended is back after one second instead of five.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([entry.__module__])
    running: dict[int, BaseProcess] = {}
    broken: dict[int, int] = {}
    code = 0
    try:
        while not stop.is_set() and code == 0:
            for place, (own, agent) in enumerate(told):
                process = running.get(place)
                if process is not None and process.exitcode is None:
                    continue
                if process is not None:
                    _log.warning("a worker ended", agent=agent, instance=own.instance, exit_code=process.exitcode)
                    broken[place] = broken.get(place, 0) + 1 if process.exitcode == EXIT_FINAL else 0
                    if broken[place] == FINAL_TRIES:
                        code = EXIT_FINAL
                        break
                started = context.Process(target=_serve, args=(entry, own, agent, instruments), name=f"groundswell-{agent}-{own.instance}")
                started.start()
                running[place] = started
            stop.wait(RESTART_AFTER_S)
    finally:
        _stop_all(running)
        for number, handler in before.items():
            signal.signal(number, handler)
    return code


def _serve(entry: Entry, settings: WorkerSettings, agent: AgentName, instruments: Callable[[], Instruments]) -> None:
    set_up_logs(level=settings.log_level, format=settings.log_format, secrets=settings.secrets)
    entry(settings, agent, instruments)


def _stop_all(running: Mapping[int, BaseProcess]) -> None:
    for process in running.values():
        process.terminate()
    deadline = time.monotonic() + STOP_WITHIN_S + 2
    for process in running.values():
        process.join(max(0.1, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
