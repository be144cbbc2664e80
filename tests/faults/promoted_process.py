"""A process that is there to be killed: the live pipeline over a log and a real registry, one step for each line that it reads.

It tells the model in force, at first and after each step. `wait` lets it look at the registry until another model is in force.
"""

import itertools
import os
import sys
from dataclasses import replace
from pathlib import Path

from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN
from groundswell.store.store import Store
from models.registry import registry_at
from models.scorer import Scorer
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, load_instruments, open_run
from stream.shells.reload import ScorerHolder
from tests.faults.embedded_process import tell

STEP = 4


def instruments_of(folder: Path) -> tuple[Instruments, ScorerHolder]:
    """As a live process has them, but for a registry that is looked at before every batch and not every other second."""
    registry, seconds = registry_at(folder), itertools.count(0.0, 1_000.0)
    begun, given = registry.revision(), load_instruments(registry=folder)

    def load() -> Scorer:
        return load_instruments(registry=folder).scorer

    holder = ScorerHolder(given.scorer, load=load, revision=registry.revision, begun=begun, now_s=lambda: next(seconds))
    return replace(given, holder=holder), holder


def main(folder: Path) -> None:
    """Run the folder's log into the folder's store, with the models of the folder's registry."""
    store = Store(str(folder / "store.db"))
    instruments, holder = instruments_of(folder / "registry")
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    with LocalLog(folder / "log") as log:
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        tell(instruments.scorer.model_id)
        for line in sys.stdin:
            if line.strip() == "wait":
                before = holder.current().model_id
                while holder.current().model_id == before:
                    os.sched_yield()
            elif not pipeline.step(limit=STEP):
                break
            tell(holder.current().model_id)
        pipeline.finish()
    tell("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
