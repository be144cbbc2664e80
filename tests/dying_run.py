"""`python -m tests.dying_run FOLDER CHECKPOINT STEP`: a training run that is killed as soon as it has logged a step."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from models.encoder.recipe import Recipe, Stopping, Tuning
from tests.tiny_encoder import a_recipe, a_run, an_optimiser

ADAPTERS: Final = Tuning(depth="adapters", top=1, adapter_rank=4)


def recipe_of(checkpoint: Path) -> Recipe:
    """Dropout, adapters, kept states, a running average: everything that a checkpoint has to carry."""
    optimiser = an_optimiser(epochs=2, average=0.9, accumulate=2)
    return a_recipe(checkpoint, tuning=ADAPTERS, optimiser=optimiser, stopping=Stopping(checkpoint_every=3))


def main(folder: Path, checkpoint: Path, step: int) -> None:
    """Train until the step is logged."""

    def die(record: Mapping[str, Any]) -> None:
        if record["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    a_run(folder, recipe_of(checkpoint), progress=die).train()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
