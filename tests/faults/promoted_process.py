"""A process that is there to be killed: the live pipeline over a log and a real registry, one step for each line that it reads.

It tells the model in force, at first and after each step. `wait` lets it look at the registry until another model is in force.
"""

import itertools
import os
import sys
from dataclasses import replace
from pathlib import Path

import msgspec

from groundswell.codec import canonical
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN
from groundswell.schedule import MODEL
from groundswell.store.store import Store
from groundswell.store.versions import read_schedule
from models.registry import registry_at
from models.scorer import Scorer
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, load_instruments, open_run
from stream.shells.reload import Models
from tests.faults.embedded_process import tell

STEP = 4


def instruments_of(folder: Path) -> Instruments:
    """As a live process has them, but its registry is looked at before every batch, and a model is in force from the next tick on."""
    registry, seconds = registry_at(folder), itertools.count(0.0, 1_000.0)
    begun, given = registry.revision(), load_instruments(registry=folder)

    def load(content: bytes) -> Scorer:
        return load_instruments(registry=folder, bundles=msgspec.json.decode(content)["bundles"]).scorer

    models = Models(
        given.scorer,
        given.content,
        load=load,
        promoted=lambda: canonical({"bundles": registry.in_force()}),
        revision=registry.revision,
        begun=begun,
        now_ms=lambda: 0,
        now_s=lambda: next(seconds),
    )
    return replace(given, models=models)


def last_model(store: Store) -> str:
    """The model that was put in force last."""
    with store.read() as connection:
        return read_schedule(connection, LIVE_RUN).of(MODEL)[-1].hash


def main(folder: Path) -> None:
    """Run the folder's log into the folder's store, with the models of the folder's registry."""
    store = Store(str(folder / "store.db"))
    instruments = instruments_of(folder / "registry")
    scorers = instruments.scorers(store, LIVE_RUN)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    with LocalLog(folder / "log") as log:
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        tell(last_model(store))
        for line in sys.stdin:
            if line.strip() == "wait":
                before = last_model(store)
                while last_model(store) == before:
                    scorers.propose()
                    os.sched_yield()
            elif not pipeline.step(limit=STEP):
                break
            tell(last_model(store))
        pipeline.finish()
    tell("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
