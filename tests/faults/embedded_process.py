"""Processes that are there to be killed: the embedded pipeline over a log, or a backfill, telling a line for each step.

A nursery loads everything once (that alone takes seconds) and forks a process for each line that it reads: `pipeline FOLDER`,
`backfill FOLDER`, or `deadly FOLDER`, a pipeline whose scorer dies of a certain word. It tells the process's id first and, when that
is gone, `ended`.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from groundswell.local_log import LocalLog
from groundswell.records import Document, Score
from groundswell.store.store import Store
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b

RUN = "live"
STEP = 9
DEADLY = "deadly"


def tell(what: str) -> None:
    """A line that is out before anything else happens."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


class DeadlyScorer(b.CountingScorer):
    """Ends its process at a word, as a fault in a native library does."""

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One answer per document, unless one of them is deadly."""
        if any(DEADLY in document.title for document in documents):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().score(documents)


def pipeline(folder: Path, scorer: b.CountingScorer | None = None) -> None:
    """Run the folder's log into the folder's store."""
    store, instruments = Store(str(folder / "store.db")), b.instruments(scorer=scorer)
    open_run(store, RUN, kind="live", instruments=instruments)
    with LocalLog(folder / "log") as log:
        running = EmbeddedPipeline(store, log, RUN, instruments, targets=("console",))
        tell("opened")
        while running.step(limit=STEP):
            tell("step")
        running.finish()


def deadly(folder: Path) -> None:
    """The pipeline with the deadly scorer."""
    pipeline(folder, DeadlyScorer())


def archive(folder: Path) -> None:
    """Run the folder's archive files into the folder's store."""
    files = sorted(folder.glob("*.jsonl"))
    options = ArchiveOptions()
    backfill(files, Store(str(folder / "store.db")), "r1", b.instruments(), data_dir=folder, options=options, progress=_progress)


def _progress(phase: str, _done: int, _total: int | None) -> None:
    tell(phase)


def nursery() -> None:
    """Fork a process for each line read, one after the other."""
    for line in sys.stdin:
        what, folder = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if not child:
            tell(str(os.getpid()))
            {"pipeline": pipeline, "backfill": archive, "deadly": deadly}[what](Path(folder))
            tell("done")
            os._exit(0)
        os.waitpid(child, 0)
        tell("ended")


if __name__ == "__main__":
    nursery()
