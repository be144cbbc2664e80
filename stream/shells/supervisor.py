"""Start worker processes, and start again those that end: slower each time, and not for ever.

    ends with           then
    0, told to stop     nothing
    75, 76, 77          again, after a delay that doubles up to a minute: a peer comes back, a partition is handed over
    78                  again, three times in a row: then the supervisor ends with 78, since starting again does not help
    anything else       again; ten such ends of one place within ten minutes are a crash loop: the supervisor ends with 79

Before it gives up it says so: in its log, and as a condition in the store, which the desk mails.
"""

import multiprocessing
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Final, Literal, Protocol

from groundswell.discovery import Endpoint, announced
from groundswell.errors import UsageError
from groundswell.logs import logger, set_up_logs
from stream.shells.instruments import Instruments
from stream.shells.worker import (
    AGENTS,
    EXIT_CRASH_LOOP,
    EXIT_DEPENDENCY,
    EXIT_FINAL,
    EXIT_OWNERSHIP,
    EXIT_STALLED,
    STOP_WITHIN_S,
    AgentName,
    WorkerSettings,
)

FIRST_DELAY_S: Final = 1.0
DELAY_MAX_S: Final = 60.0
STEADY_AFTER_S: Final = 60.0
"""A process that lived this long starts again without delay when it ends."""

CRASHES_MAX: Final = 10
"""Ends by a fault within CRASHES_WITHIN_S: more than isolation needs for four deadly records of one batch."""

CRASHES_WITHIN_S: Final = 600.0
FINAL_TRIES: Final = 3
POLL_S: Final = 0.2
_NO_FAULT: Final = (0, EXIT_DEPENDENCY, EXIT_OWNERSHIP, EXIT_STALLED, EXIT_FINAL)
_log = logger("groundswell.supervisor")

Entry = Callable[[WorkerSettings, AgentName, Callable[[], Instruments]], None]
Said = Literal["crash_loop", "final", "steady"]


class Report(Protocol):
    """Told when the supervisor gives up, and when every process has been up for a while."""

    def __call__(self, said: Said, reason: str) -> None:
        """Must not raise: the supervisor goes on."""
        ...


def _only_log(said: Said, reason: str) -> None:
    del said, reason


@dataclass
class Place:
    """One process to be kept alive, whatever its present incarnation."""

    settings: WorkerSettings
    agent: AgentName
    first_delay_s: float = FIRST_DELAY_S
    started_s: float = 0.0
    due_s: float = 0.0
    short_lives: int = 0
    finals: int = 0
    crashes: deque[float] = field(default_factory=deque)

    def ended(self, code: int, *, now_s: float) -> int | None:
        """Note an end and when to start again; returns the code with which to give up, if so."""
        self.short_lives = 0 if now_s - self.started_s >= STEADY_AFTER_S else self.short_lives + 1
        delay_s = min(DELAY_MAX_S, self.first_delay_s * 2 ** (self.short_lives - 1)) if self.short_lives else 0.0
        self.due_s = now_s + delay_s
        _log.warning("a worker ended", agent=self.agent, instance=self.settings.instance, exit_code=code, again_in_s=delay_s)
        self.finals = self.finals + 1 if code == EXIT_FINAL else 0
        if self.finals == FINAL_TRIES:
            return EXIT_FINAL
        if code not in _NO_FAULT:
            self.crashes.append(now_s)
        while self.crashes and now_s - self.crashes[0] > CRASHES_WITHIN_S:
            self.crashes.popleft()
        return EXIT_CRASH_LOOP if len(self.crashes) >= CRASHES_MAX else None


def run_workers(
    settings: WorkerSettings,
    agents: Sequence[AgentName],
    instruments: Callable[[], Instruments],
    *,
    entry: Entry,
    processes: int = 1,
    stopped: threading.Event | None = None,
    first_delay_s: float = FIRST_DELAY_S,
    report: Report = _only_log,
) -> int:
    """Keep worker processes alive, and stop them all when told to (SIGTERM, SIGINT, or `stopped`).

    Args:
        settings: for all; instance names and metrics ports are numbered from these.
        agents: which agents; each gets processes of its own, because each is a consumer group of its own.
        instruments: called in each process; a function of a module, because it goes to other processes by its name.
        entry: `stream.shells.kafka.run_worker`.
        processes: how many of each agent.
        stopped: ends it from another thread.
        first_delay_s: before the first new start of a process; it doubles with each life that was short.
        report: told what people have to know.

    Returns:
        0 after a stop; EXIT_FINAL when a worker said that starting it again does not help; EXIT_CRASH_LOOP when one only crashes.

    Raises:
        UsageError: an unknown agent, or no processes.
    """
    places = _places(settings, agents, processes, first_delay_s)
    with announced(settings.data_dir, "worker", endpoints=[_endpoint(place) for place in places]) as found:
        code = _keep_alive(places, instruments, entry, stopped=stopped, first_delay_s=first_delay_s, report=report)
        found.stays = code != 0
    return code


def _endpoint(place: Place) -> Endpoint:
    s = place.settings
    return Endpoint(s.metrics_host, s.metrics_port, place.agent, s.run)


def _keep_alive(
    places: Sequence[Place],
    instruments: Callable[[], Instruments],
    entry: Entry,
    *,
    stopped: threading.Event | None,
    first_delay_s: float,
    report: Report,
) -> int:
    # Forked from a server that has the libraries loaded: a worker that ended is back after one second instead of five.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([entry.__module__])
    running: dict[int, BaseProcess] = {}
    steady = False
    with _stop_signals(stopped) as stop:
        try:
            while not stop.is_set():
                now_s = time.monotonic()
                for number, place in enumerate(places):
                    code = _tend(running, number, place, now_s=now_s, start=lambda p: _start(context, entry, p, instruments))
                    if code is not None:
                        _give_up(code, place, report)
                        return code
                if not steady and all(now_s - place.started_s >= STEADY_AFTER_S for place in places):
                    steady = True
                    report("steady", f"{len(places)} processes have been up for {STEADY_AFTER_S:.0f} s")
                stop.wait(min(POLL_S, first_delay_s))
        finally:
            _stop_all(running)
    return 0


def _places(settings: WorkerSettings, agents: Sequence[AgentName], processes: int, first_delay_s: float) -> list[Place]:
    unknown = [agent for agent in agents if agent not in AGENTS]
    if unknown or not agents or processes < 1:
        reason = f"workers: agents {','.join(agents) or 'none'}, {processes} processes; name score, fold or both, and one process or more"
        raise UsageError(reason)
    # With the process in it: two such commands on one machine must not fence each other.
    name = settings.instance or settings.owner.replace(":", "-")
    planned = [(agent, each) for agent in agents for each in range(processes)]
    return [
        Place(
            replace(settings, instance=f"{name}-{each}", metrics_port=settings.metrics_port and settings.metrics_port + number),
            agent,
            first_delay_s,
        )
        for number, (agent, each) in enumerate(planned)
    ]


def _tend(running: dict[int, BaseProcess], number: int, place: Place, *, now_s: float, start: Callable[[Place], BaseProcess]) -> int | None:
    """Start a place's process where it is due; returns the code with which to give up, if so."""
    process = running.get(number)
    if process is not None:
        if process.exitcode is None:
            return None
        del running[number]
        given_up = place.ended(process.exitcode, now_s=now_s)
        process.close()
        if given_up is not None:
            return given_up
    if now_s >= place.due_s:
        running[number] = start(place)
        place.started_s = now_s
    return None


def _give_up(code: int, place: Place, report: Report) -> None:
    where = f"{socket.gethostname()}: {place.agent} of run {place.settings.run!r}"
    if code == EXIT_FINAL:
        reason = f"{where} ended with {EXIT_FINAL} {FINAL_TRIES} times: starting it again does not help, its log says why"
    else:
        within = f"{len(place.crashes)} times within {CRASHES_WITHIN_S / 60:.0f} min"
        reason = f"{where} crashed {within}; the supervisor has ended, the log of the worker says more"
    _log.error("the supervisor gives up", reason=reason, exit_code=code)
    report("final" if code == EXIT_FINAL else "crash_loop", reason)


def _start(context: ForkServerContext, entry: Entry, place: Place, instruments: Callable[[], Instruments]) -> BaseProcess:
    name = f"groundswell-{place.agent}-{place.settings.instance}"
    process = context.Process(target=_serve, args=(entry, place.settings, place.agent, instruments), name=name)
    process.start()
    return process


def _serve(entry: Entry, settings: WorkerSettings, agent: AgentName, instruments: Callable[[], Instruments]) -> None:
    set_up_logs(level=settings.log_level, format=settings.log_format, secrets=settings.secrets)
    entry(settings, agent, instruments)


@contextmanager
def _stop_signals(stopped: threading.Event | None) -> Iterator[threading.Event]:
    """The event that ends the supervisor: the caller's, or one that SIGTERM and SIGINT set."""
    if stopped is not None:
        yield stopped
        return
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_all(running: Mapping[int, BaseProcess]) -> None:
    for process in running.values():
        process.terminate()
    deadline = time.monotonic() + STOP_WITHIN_S + 2
    for process in running.values():
        process.join(max(0.1, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
