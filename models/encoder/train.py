"""The training loop: from a recipe and lessons to weights, resumable after a kill to the same result.

A run is a folder: recipe.toml, log.jsonl (a line per step and per look), last.safetensors (weights, optimiser, random state: what
a killed run goes on from) and best.safetensors (weights of the best look). Everything random hangs on the recipe's seed: the
order of an epoch is drawn from (seed, epoch), and the state of torch's generator is kept, so on one machine and number of
threads a resumed run ends with the weights of one that was never stopped. Nothing is pickled.
"""

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from groundswell.errors import UsageError
from models.encoder.lessons import Batch, Lesson, class_shares, collate, plan
from models.encoder.network import Network, add_adapters, blocks_of
from models.encoder.objectives import Tally, losses
from models.encoder.recipe import Optimiser, Recipe, Tuning, recipe_hash

LOG: Final = "log.jsonl"
LAST: Final = "last.safetensors"
BEST: Final = "best.safetensors"
LOOK_TOKENS: Final = 6_000  # tokens per batch where nothing is learned
HELD_OUT: Final = "held_out"  # the look that decides which weights are best

Progress = Callable[[Mapping[str, Any]], None]


class Run:
    """A training run in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        recipe: Recipe,
        network: Network,
        lessons: Sequence[Lesson],
        looks: Mapping[str, Sequence[Lesson]],
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> None:
        """Set a run up.

        Args:
            folder: where it is kept; a checkpoint of the same recipe there is gone on from.
            recipe: what to do.
            network: encoder and heads as loaded; adapters are added and blocks frozen here.
            lessons: what is learned.
            looks: name -> lessons that are only looked at; "held_out" must be among them.
            device: "cpu" or "cuda".
            progress: called with every line of the log.
        """
        self.folder, self.recipe, self.lessons, self.looks, self.device = folder, recipe, lessons, looks, device
        self._progress = progress
        torch.set_flush_denormal(True)  # moments of rare words decay to denormals, which are many times slower
        torch.manual_seed(recipe.seed)
        freeze(network, recipe.tuning)
        self.network = network.to(device)
        self.optimiser = torch.optim.AdamW(rates(network, recipe.optimiser), betas=recipe.optimiser.betas, fused=True)
        self._base_rates = [float(group["lr"]) for group in self.optimiser.param_groups]
        self._learned = {name: value for name, value in network.named_parameters() if value.requires_grad}
        self._average = {name: value.detach().clone() for name, value in self._learned.items()} if recipe.optimiser.average else {}
        self._weights = _class_weights(lessons, recipe, device)
        precision = recipe.optimiser.precision
        self._half = precision == "bf16" or (precision == "auto" and device == "cuda")
        self._states: list[Tensor] | None = None
        self.step, self.best, self.worse = 0, -math.inf, 0

    def train(self) -> Network:
        """Train to the end of the recipe, or until patience is spent; the network with the best weights."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stopped = self._resume()
        if self.network.frozen_blocks and self.recipe.tuning.cached:
            self._states = self._frozen_states()
        steps = [(epoch, batches) for epoch in range(self.recipe.optimiser.epochs) for batches in self._order(epoch)]
        looks = _places(self.recipe, len(steps))
        for epoch, batches in steps[self.step :]:
            if stopped:
                break
            self._learn(batches, total=len(steps), epoch=epoch)
            if self.step in looks:
                stopped = self._look()
            elif self.step % self.recipe.stopping.checkpoint_every == 0:
                self._save()
        self.network.load_state_dict(load_file(self.folder / BEST))
        return self.network.eval()

    def _order(self, epoch: int) -> list[list[list[int]]]:
        """The steps of an epoch, each one or more batches of numbers of lessons."""
        settings = self.recipe.optimiser
        chance = random.Random(f"{self.recipe.seed}/{epoch}")
        batches = plan([len(lesson.ids) for lesson in self.lessons], settings.tokens_per_batch, chance)
        return [batches[first : first + settings.accumulate] for first in range(0, len(batches), settings.accumulate)]

    def _learn(self, batches: Sequence[Sequence[int]], *, total: int, epoch: int) -> None:
        """One step of the optimiser."""
        began, settings = time.monotonic(), self.recipe.optimiser
        self.network.train()
        factor = schedule(self.step / total, settings)
        for group, rate in zip(self.optimiser.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor
        tokens, shown = 0, {}
        for numbers in batches:
            batch = collate([self.lessons[number] for number in numbers], device=self.device)
            with torch.autocast(self.device, torch.bfloat16, enabled=self._half):
                answers = self.network(batch.ids, batch.mask, states=self._kept(numbers))
            parts = losses(answers, batch, self.recipe.tasks, self._weights)
            (torch.stack(list(parts.values())).sum() / len(batches)).backward()  # type: ignore[no-untyped-call]
            tokens += batch.tokens
            values = torch.stack(list(parts.values())).detach().tolist()  # at once: each look at a GPU waits for it
            shown = {head: round(value, 4) for head, value in zip(parts, values, strict=True)}
        nn.utils.clip_grad_norm_(list(self._learned.values()), settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        keep = min(settings.average, (1 + self.step) / (10 + self.step))  # the first steps' weights are soon forgotten
        if self._average:
            learned = [self._learned[name].detach() for name in self._average]
            torch._foreach_lerp_(list(self._average.values()), learned, 1 - keep)
        rate = settings.encoder_rate * factor
        seconds = round(time.monotonic() - began, 3)
        record = {"step": self.step, "steps": total, "epoch": epoch, "tokens": tokens, "loss": shown}
        self._log({**record, "learning_rate": rate, "seconds": seconds})

    def _look(self) -> bool:
        """Measure, keep the weights where they are the best so far, save; True when patience is spent."""
        with self._averaged():
            measured = {name: measure(self.network, lessons, device=self.device) for name, lessons in self.looks.items()}
            value = float(np.mean(list(measured[HELD_OUT].values())))
            if value > self.best:
                self.best, self.worse = value, 0
                _write(self.folder / BEST, dict(self.network.state_dict()), {})
            else:
                self.worse += 1
        self._log({"step": self.step, "eval": measured, "mean": round(value, 5), "best": round(self.best, 5)})
        self._save()
        return self._spent()

    def _spent(self) -> bool:
        return 0 < self.recipe.stopping.patience <= self.worse

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """With the running average of the weights in place of the weights, where there is one."""
        kept = {name: value.detach().clone() for name, value in self._learned.items()} if self._average else {}
        with torch.no_grad():
            for name, average in self._average.items():
                self._learned[name].copy_(average)
            yield
            for name, value in kept.items():
                self._learned[name].copy_(value)

    @torch.no_grad()
    def _frozen_states(self) -> list[Tensor]:
        """What the frozen blocks say of every lesson, in half precision: half of the memory, and no digit that training would miss."""
        self.network.eval()
        states: list[Tensor] = [torch.empty(0)] * len(self.lessons)
        for numbers in plan([len(lesson.ids) for lesson in self.lessons], LOOK_TOKENS, random.Random(0)):
            batch = collate([self.lessons[number] for number in numbers], device=self.device)
            lower = self.network.lower(batch.ids, batch.mask).half().cpu()
            for row, number in enumerate(numbers):
                states[number] = lower[row, : len(self.lessons[number].ids)].clone()
        return states

    def _kept(self, numbers: Sequence[int]) -> Tensor | None:
        if self._states is None:
            return None
        padded = nn.utils.rnn.pad_sequence([self._states[number] for number in numbers], batch_first=True)
        return padded.to(self.device).float()

    # --- on disk -----------------------------------------------------------------------------------------------
    def _log(self, record: Mapping[str, Any]) -> None:
        with (self.folder / LOG).open("ab") as log:
            log.write(msgspec.json.encode(record) + b"\n")
        if self._progress:
            self._progress(record)

    def _save(self) -> None:
        """Everything that the next step depends on, in one file that appears whole or not at all."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self._average.items()}
        for name, value in self._learned.items():
            for key, state in self.optimiser.state.get(value, {}).items():
                tensors[f"adam.{key}.{name}"] = state
        tensors["random"] = torch.get_rng_state()
        if self.device == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        facts = {"recipe": recipe_hash(self.recipe), "step": self.step, "best": self.best, "worse": self.worse}
        _write(self.folder / LAST, tensors, {key: str(value) for key, value in facts.items()})

    def _resume(self) -> bool:
        """Go on from the folder's checkpoint, if it holds one; True when that run had already spent its patience.

        Raises:
            UsageError: the checkpoint is of another recipe.
        """
        if not (self.folder / LAST).exists():
            (self.folder / LOG).unlink(missing_ok=True)
            return False
        with safe_open(self.folder / LAST, framework="pt", device=self.device) as file:
            facts = file.metadata()
            if facts["recipe"] != recipe_hash(self.recipe):
                message = (
                    f"run {self.folder}: its checkpoint is of recipe {facts['recipe']}, this one is {recipe_hash(self.recipe)}; "
                    "name another folder, or remove this one to start afresh"
                )
                raise UsageError(message)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        self.step, self.best, self.worse = int(facts["step"]), float(facts["best"]), int(facts["worse"])
        self.network.load_state_dict(_under("network.", tensors))
        self._average = _under("average.", tensors)
        for name, value in self._learned.items():
            keys = ("step", "exp_avg", "exp_avg_sq")
            self.optimiser.state[value] = {key: tensors[f"adam.{key}.{name}"] for key in keys if f"adam.{key}.{name}" in tensors}
        torch.set_rng_state(tensors["random"].cpu())
        if "random.cuda" in tensors and self.device == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"].cpu())
        _cut_log(self.folder / LOG, self.step)
        return self._spent()


@torch.no_grad()
def measure(network: Network, lessons: Sequence[Lesson], *, device: str = "cpu") -> dict[str, float]:
    """Figures of each head on lessons, as objectives.Tally has them."""
    network.eval()
    tally = Tally()
    for numbers in plan([len(lesson.ids) for lesson in lessons], LOOK_TOKENS, random.Random(0)):
        batch: Batch = collate([lessons[number] for number in numbers], device=device)
        tally.add(network(batch.ids, batch.mask), batch)
    return {name: round(value, 5) for name, value in tally.figures().items()}


def freeze(network: Network, tuning: Tuning) -> None:
    """Leave to training what the recipe says: heads, adapters of the top blocks, the top blocks, or everything."""
    blocks = blocks_of(network.encoder)
    if tuning.depth == "full":
        network.encoder.embeddings.requires_grad_(tuning.embeddings)  # type: ignore[union-attr]
        return
    network.encoder.requires_grad_(False)
    top = 0 if tuning.depth == "heads" else min(tuning.top, len(blocks))
    network.frozen_blocks = len(blocks) - top
    if tuning.depth == "adapters":
        add_adapters(network.encoder, rank=tuning.adapter_rank, alpha=tuning.adapter_alpha, dropout=tuning.dropout, top=top)
    elif tuning.depth == "top":
        blocks[len(blocks) - top :].requires_grad_(True)


def rates(network: Network, settings: Optimiser) -> list[dict[str, Any]]:
    """Parameter groups: heads at their own rates, each block at a smaller one than the block above, the word vectors last."""
    blocks = blocks_of(network.encoder)
    parts: list[tuple[nn.Module, float]] = [(network.text, settings.head_rate), (network.token, settings.token_head_rate)]
    parts += [(block, settings.encoder_rate * settings.layer_decay ** (len(blocks) - 1 - place)) for place, block in enumerate(blocks)]
    parts.append((network.encoder.embeddings, settings.encoder_rate * settings.layer_decay ** len(blocks)))  # type: ignore[arg-type]
    groups = []
    for part, rate in parts:
        values = [value for value in part.parameters() if value.requires_grad]
        for matrices, decay in ((True, settings.weight_decay), (False, 0.0)):
            chosen = [value for value in values if (value.ndim > 1) is matrices]
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def schedule(done: float, settings: Optimiser) -> float:
    """Factor of the learning rates when a share of all steps is done.

    >>> [round(schedule(done, Optimiser(warm_up=.1)), 2) for done in (0, .05, .1, .55, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < settings.warm_up:
        return done / settings.warm_up
    left = (1 - done) / (1 - settings.warm_up) if settings.warm_up < 1 else 1.0
    return {"constant": 1.0, "linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2}[settings.schedule]


def _places(recipe: Recipe, total: int) -> set[int]:
    """Steps after which the held-out part is looked at; the last one always."""
    looks = math.floor(recipe.optimiser.epochs / recipe.stopping.evaluate_every)
    return {round(total * look * recipe.stopping.evaluate_every / recipe.optimiser.epochs) for look in range(1, looks + 1)} | {total}


def _class_weights(lessons: Sequence[Lesson], recipe: Recipe, device: str) -> dict[str, Tensor]:
    """Weights of classes, of mean 1 over the lessons, for the tasks that ask for balance."""
    weights = {}
    for head, shares in class_shares(lessons).items():
        power = recipe.tasks[head].balance if head in recipe.tasks else 0.0
        if power:
            raw = np.maximum(shares, 1e-4) ** -power
            weights[head] = torch.tensor(raw / (raw * shares).sum() * shares.sum(), dtype=torch.float32, device=device)
    return weights


def _write(path: Path, tensors: Mapping[str, Tensor], facts: dict[str, str]) -> None:
    partial = path.with_suffix(".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, metadata=facts)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _cut_log(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint: those steps are taken again."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if line.endswith(b"\n") and msgspec.json.decode(line)["step"] <= step]
    path.write_bytes(b"".join(kept))
