"""The training loop: it learns, it can be killed at any step, and it ends when looking on no longer helps."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from safetensors.torch import load_file  # noqa: E402

from groundswell.errors import UsageError  # noqa: E402
from models.encoder.recipe import Optimiser, Stopping, Tuning  # noqa: E402
from models.encoder.train import BEST, LAST, LOG, measure, schedule  # noqa: E402
from tests.dying_run import recipe_of  # noqa: E402
from tests.tiny_encoder import a_recipe, a_run, an_optimiser  # noqa: E402

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("one_thread")


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (folder / LOG).read_bytes().splitlines()]


def test_what_can_be_told_from_one_character_is_learned(checkpoint: Path, tmp_path: Path) -> None:
    run = a_run(tmp_path, a_recipe(checkpoint, optimiser=an_optimiser(epochs=6)), count=160)
    before = measure(run.network, run.looks["held_out"])
    after = measure(run.train(), run.looks["held_out"])
    assert before["news accuracy"] < 0.8
    assert after["news accuracy"] >= 0.95
    assert after["target accuracy"] >= 0.95
    assert after["spans F1"] >= 0.95


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(checkpoint: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    a_run(whole, recipe_of(checkpoint)).train()
    steps = [record["step"] for record in log_of(whole)]
    assert steps == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]  # each epoch has four steps and a look, and step 3 is the first checkpoint
    command = [sys.executable, "-m", "tests.dying_run", str(killed), str(checkpoint), "4"]
    dead = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=600)
    assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()
    assert (killed / LAST).exists()
    assert not (killed / BEST).exists()
    a_run(killed, recipe_of(checkpoint)).train()
    assert (killed / BEST).read_bytes() == (whole / BEST).read_bytes()
    last, expected = load_file(killed / LAST), load_file(whole / LAST)
    assert last.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in last.items())
    assert [record["step"] for record in log_of(killed)] == steps


def test_a_folder_with_another_recipe_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    a_run(tmp_path, a_recipe(checkpoint, optimiser=an_optimiser(epochs=1)), count=20).train()
    kept = {name: (tmp_path / name).read_bytes() for name in (BEST, LAST, LOG)}
    with pytest.raises(UsageError, match="name another folder"):
        a_run(tmp_path, a_recipe(checkpoint, optimiser=an_optimiser(epochs=2)), count=20).train()
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept


@pytest.mark.parametrize("depth", ["heads", "top"])
def test_kept_states_of_frozen_blocks_train_as_blocks_that_are_run_each_time(checkpoint: Path, tmp_path: Path, depth: Any) -> None:
    weights = []
    for cached in (True, False):
        tuning = Tuning(depth=depth, top=1, dropout=0.0, cached=cached)
        recipe = a_recipe(checkpoint, tuning=tuning, optimiser=an_optimiser(epochs=1))
        weights.append(a_run(tmp_path / str(cached), recipe, count=40).train().state_dict())
    for name, kept in weights[0].items():  # the kept states have half precision
        torch.testing.assert_close(kept, weights[1][name], atol=0.02, rtol=0.02, msg=name)


def test_a_run_without_progress_ends_when_patience_is_spent_and_stays_ended(checkpoint: Path, tmp_path: Path) -> None:
    optimiser = an_optimiser(epochs=50, encoder_rate=1e-12, head_rate=1e-12, token_head_rate=1e-12)
    recipe = a_recipe(checkpoint, optimiser=optimiser, stopping=Stopping(patience=2))
    a_run(tmp_path, recipe, count=20).train()
    log = log_of(tmp_path)
    assert [record["best"] == log[-1]["best"] for record in log if "eval" in record] == [True] * 3  # the first, and two no better
    assert log[-1]["step"] < log[0]["steps"]
    a_run(tmp_path, recipe, count=20).train()
    assert log_of(tmp_path) == log


def test_every_step_and_every_look_is_logged(checkpoint: Path, tmp_path: Path) -> None:
    told: list[Any] = []
    recipe = a_recipe(checkpoint, optimiser=an_optimiser(epochs=2), stopping=Stopping(evaluate_every=0.5))
    a_run(tmp_path, recipe, count=40, progress=told.append).train()
    log = log_of(tmp_path)
    assert len(told) == len(log)
    steps = [record for record in log if "loss" in record]
    assert [record["step"] for record in steps] == list(range(1, steps[0]["steps"] + 1))
    assert set(steps[0]["loss"]) == {"news", "gate", "target", "spans"}
    assert [record["step"] for record in log if "eval" in record][-1] == steps[-1]["step"]
    assert sum("eval" in record for record in log) == 4


@pytest.mark.parametrize("shape", ["linear", "cosine", "constant"])
def test_rates_rise_then_do_not_rise_again(shape: Any) -> None:
    factors = [schedule(done / 100, Optimiser(schedule=shape, warm_up=0.2)) for done in range(101)]
    assert factors[:21] == sorted(factors[:21])
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert (factors[0], factors[20]) == (0, 1)
    assert factors[-1] == (1 if shape == "constant" else pytest.approx(0))
