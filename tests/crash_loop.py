"""A worker that only crashes, under a real supervisor: what operations are told of."""

import os
import signal
import threading
from pathlib import Path

from groundswell.names import LIVE_RUN
from groundswell.store.store import Store
from stream.shells.lookout import supervisor_report
from stream.shells.supervisor import run_workers
from stream.shells.worker import EXIT_CRASH_LOOP, AgentName, WorkerSettings
from tests.synthetic_news import instruments


def crash(settings: WorkerSettings, agent: AgentName, made: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def crash_loop(store: Store, folder: Path) -> None:
    """Let a supervisor start it again and again, until it gives up and says so in the store."""
    settings = WorkerSettings("127.0.0.1:1", store.url, LIVE_RUN, folder, instance="t")
    report = supervisor_report(store, "host, live")
    code = run_workers(settings, ["score"], instruments, entry=crash, stopped=threading.Event(), first_delay_s=0.001, report=report)
    assert code == EXIT_CRASH_LOOP
