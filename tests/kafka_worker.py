"""A worker process of the Kafka shell with the fake scorer, or a desk, started by tests/kafka_run.py."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from groundswell.errors import GroundswellError, reason_of
from groundswell.logs import logger, set_up_logs
from groundswell.store.store import Store
from stream.shells.desk_worker import DeskWorker
from stream.shells.instruments import Instruments
from stream.shells.kafka import run_worker
from stream.shells.worker import WorkerSettings, exit_code_of
from tests.synthetic_news import instruments

PR_SET_PDEATHSIG = 1
DESK_POLL_S = 0.1
Role = Literal["score", "fold", "desk"]
WorkerMain = Callable[[WorkerSettings, Role, Path], None]
"""What a worker process does, given what it is told, what it is, and the file for what it says."""


def serve(settings: WorkerSettings, agent: Role, said: Path, make: Callable[[], Instruments] = instruments) -> None:
    """Be one worker until SIGTERM; what it says goes to a file."""
    if sys.platform == "linux":  # a test run that is killed leaves nobody behind
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    set_up_logs(level=settings.log_level, format="json", secrets=settings.secrets)
    if agent == "desk":
        decide(settings, make())
    else:
        run_worker(settings, agent, make)


def decide(settings: WorkerSettings, chosen: Instruments) -> None:
    """Be the run's desk until SIGTERM, as `groundswell desk` is; an error ends it with a worker's code for that error."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        DeskWorker(Store(settings.store_url), settings.run, chosen, settings.owner).run_until(stopped, poll_s=DESK_POLL_S)
    except GroundswellError as error:
        logger("tests.desk").error("the desk ends", reason=reason_of(error))
        raise SystemExit(exit_code_of(error)) from error
