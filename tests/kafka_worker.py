"""A worker process of the Kafka shell with the fake scorer, started by tests/kafka_run.py."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from groundswell.logs import set_up_logs
from stream.shells.kafka import run_worker
from stream.shells.worker import AgentName, WorkerSettings
from tests.synthetic_news import instruments

PR_SET_PDEATHSIG = 1


def serve(settings: WorkerSettings, agent: AgentName, said: Path) -> None:
    """Be one worker until SIGTERM; what it says goes to a file."""
    if sys.platform == "linux":  # a test run that is killed leaves nobody behind
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    set_up_logs(level=settings.log_level, format="json", secrets=settings.secrets)
    run_worker(settings, agent, instruments)
