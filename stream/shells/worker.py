"""What a worker process is told, how it ends, and what watches it. No Faust in here.

A worker never repairs itself: what it cannot handle ends the process at once, with a code that says why, and a supervisor
(compose, Kubernetes, systemd, or supervisor.py on one machine) starts it again from what is stored.
"""

import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from groundswell.logs import logger
from groundswell.masking import passwords_of_url
from stream.shells.score_worker import HELD_BYTES_MAX, HELD_RECORDS_MAX

AgentName = Literal["score", "fold"]
AGENTS: Final[tuple[AgentName, ...]] = ("score", "fold")

EXIT_UNEXPECTED: Final = 70  # a fault in here: start again, and report it
EXIT_DEPENDENCY: Final = 75  # Kafka or the store is away: start again
EXIT_OWNERSHIP: Final = 76  # another worker has the partition: start again
EXIT_STALLED: Final = 77  # nothing was done for too long although there is work: start again
EXIT_FINAL: Final = 78  # messages are missing, the topic is another one, the instruments differ: starting again does not help
EXIT_CRASH_LOOP: Final = 79  # of the supervisor: a worker crashes again and again

STOP_WITHIN_S: Final = 9.0
STALLED_AFTER_S: Final = 120.0

COLLECT_AFTER: Final = (50_000, 20, 50)
"""New objects, then collections of the younger generation, before one is looked at; Python begins with (700, 10, 10)."""

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
        metrics_watch: ids of companies that are counted by name in them.
        held_records_max: contributions that fold may have to hold, all its processes together; score waits rather than send more.
        held_bytes_max: the same in bytes.
        log_level: the least important line that a supervisor's processes show.
        log_format: "auto", "json" or "console".
    """

    kafka: KafkaAccess | str
    store_url: str = field(repr=False)  # it may hold a password
    run: str
    data_dir: Path
    instance: str | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    metrics_watch: tuple[str, ...] = ()
    held_records_max: int = HELD_RECORDS_MAX
    held_bytes_max: int = HELD_BYTES_MAX
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


def spare_the_collector() -> None:
    """Let Python's collector look less often, and never at what the process began with: the last call before its work.

    Records refer to nothing that refers back, so hardly anything waits for it; looking took 6 % of a worker's processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


class StallWatch:
    """Ends a process that gets nothing done although there is work: clients have been seen to stop silently.

    Work is there when the log holds more than has been done (`lag`), or, of a live run, always: punctuations must come.

    Args:
        stalled_after_s: how long nothing may be done.
        always: there is always work.
        leave: what ends the process.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        stalled_after_s: float = STALLED_AFTER_S,
        *,
        always: bool = True,
        leave: Callable[[int], object] = os._exit,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_s, self._always, self._leave, self._now_s = stalled_after_s, always, leave, now_s
        self._last_s: float | None = None
        self._lag = 0

    def beat(self) -> None:
        """Something has come, or something is done."""
        self._last_s = self._now_s()

    def rest(self) -> None:
        """Nothing has to come: no partition is assigned."""
        self._last_s, self._lag = None, 0

    def see(self, *, lag: int) -> None:
        """How many messages of the log are not done; without any, the time in which nothing can be done begins anew."""
        is_new = self._lag <= 0 and not self._always
        if lag > 0 and (is_new or self._last_s is None):
            self._last_s = self._now_s()
        self._lag = lag

    def check(self) -> None:
        """Leave if nothing has been done for too long."""
        has_work = self._always or self._lag > 0
        if has_work and self._last_s is not None and self._now_s() - self._last_s > self._limit_s:
            waiting = f"{self._lag} messages wait" if self._lag > 0 else "time must pass"
            _log.error("the worker ends", reason=f"nothing was done for {self._limit_s:.0f} s although {waiting}; the client is stuck")
            self._leave(EXIT_STALLED)

    def start(self) -> None:
        """Check every few seconds in a thread of its own: an event loop that is stuck cannot check itself."""

        def watch() -> None:
            while True:
                time.sleep(min(5.0, self._limit_s / 4))
                self.check()

        threading.Thread(target=watch, name="groundswell-stall-watch", daemon=True).start()
