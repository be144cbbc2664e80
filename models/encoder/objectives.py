"""What the network is trained towards, head by head, and how well it does on lessons it does not learn from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.encoder.lessons import ONE_OF, Batch, Lesson
from models.encoder.network import Answers
from models.encoder.recipe import Task
from models.spans import TAGS, spans_of

PLAIN = Task()


def losses(answers: Answers, batch: Batch, tasks: Mapping[str, Task], class_weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One loss per head that the batch teaches, weighted, and scaled so that every text of the batch counts alike."""
    found: dict[str, Tensor] = {}
    for head, logits in answers.text.items():
        rows = [row for row, lesson in enumerate(batch.lessons) if head in lesson.wanted]
        if rows:
            wanted = _stacked([batch.lessons[row].wanted[head] for row in rows], logits)
            found[head] = _loss(head, logits[rows], wanted, tasks.get(head, PLAIN), class_weights.get(head)).sum()
    if "target" in answers.token:
        judged, wanted_names = names_of(answers.token["target"], batch)
        if judged is not None:
            loss = _loss("target", judged, wanted_names, tasks.get("target", PLAIN), class_weights.get("target"))
            found["target"] = loss.sum()
    if "spans" in answers.token:
        rows = [row for row, lesson in enumerate(batch.lessons) if lesson.tags is not None]
        if rows:
            logits = answers.token["spans"]
            wanted, share = (_stacked(part, logits) for part in _tags_of([batch.lessons[row] for row in rows], logits.shape[1]))
            found["spans"] = (_loss("spans", logits[rows], wanted, tasks.get("spans", Task(smoothing=0)), None) * share).sum()
    return {head: tasks.get(head, PLAIN).weight * loss / len(batch.lessons) for head, loss in found.items()}


def names_of(logits: Tensor, batch: Batch) -> tuple[Tensor | None, Tensor]:
    """Mean logits over each judged name's tokens [names, 3] and what is wanted of them [names, 3]; None without names."""
    judged = [(row, name) for row, lesson in enumerate(batch.lessons) for name in lesson.names if name.wanted is not None]
    if not judged:
        return None, _stacked([], logits)
    share = np.zeros((len(judged), *logits.shape[:2]), np.float32)  # one product for all names: a GPU spends its time on starting work
    for place, (row, name) in enumerate(judged):
        share[place, row, name.first : name.last] = 1 / (name.last - name.first)
    means = _stacked(share, logits).flatten(1) @ logits.float().flatten(0, 1)
    return means, _stacked([name.wanted for _, name in judged if name.wanted is not None], logits)


def _tags_of(lessons: Sequence[Lesson], tokens: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Wanted tags [n, tokens, 3], and what each token counts [n, tokens]: a text's tokens share one, padding counts nothing."""
    wanted = np.zeros((len(lessons), tokens, len(TAGS)), np.float32)
    share = np.zeros((len(lessons), tokens), np.float32)
    for row, lesson in enumerate(lessons):
        assert lesson.tags is not None
        wanted[row, : len(lesson.tags)] = lesson.tags
        share[row, : len(lesson.tags)] = 1 / len(lesson.tags)
    return wanted, share


def _stacked(wanted: Sequence[NDArray[np.float32]] | NDArray[np.float32], like: Tensor) -> Tensor:
    found = torch.from_numpy(np.asarray(wanted, np.float32))
    return found if like.device.type == "cpu" else found.pin_memory().to(like.device, non_blocking=True)


def _loss(head: str, logits: Tensor, wanted: Tensor, task: Task, weights: Tensor | None) -> Tensor:
    """Cross-entropy per row; labels are smoothed towards all columns alike, and a row weighs what its class weighs."""
    logits = logits.float()
    if head in ONE_OF or head in ("target", "spans"):
        smooth = wanted * (1 - task.smoothing) + task.smoothing / wanted.shape[-1]
        loss = -(smooth * functional.log_softmax(logits, dim=-1)).sum(-1)
        return loss if weights is None else loss * (wanted * weights).sum(-1)
    smooth = wanted * (1 - task.smoothing) + task.smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none", pos_weight=weights).mean(-1)


class Tally:
    """Answers beside what was wanted, batch by batch, and the figures from them."""

    def __init__(self) -> None:
        self._classes: dict[str, tuple[list[int], list[int]]] = {}
        self._labels: dict[str, list[NDArray[np.int64]]] = {}
        self._spans = np.zeros(3, np.int64)

    def add(self, answers: Answers, batch: Batch) -> None:
        """Count one batch."""
        for head, logits in answers.text.items():
            rows = [row for row, lesson in enumerate(batch.lessons) if head in lesson.wanted]
            if rows:
                self._count(head, logits[rows], np.stack([batch.lessons[row].wanted[head] for row in rows]))
        if "target" in answers.token:
            judged, wanted = names_of(answers.token["target"], batch)
            if judged is not None:
                self._count("target", judged, wanted.cpu().numpy())
        if "spans" in answers.token:
            tags = answers.token["spans"].argmax(-1).cpu().numpy()
            for row, lesson in enumerate(batch.lessons):
                if lesson.tags is not None:
                    found, wanted_spans = spans_of(tags[row, : len(lesson.tags)]), spans_of(lesson.tags.argmax(-1))
                    self._spans += [len(found & wanted_spans), len(found - wanted_spans), len(wanted_spans - found)]

    def _count(self, head: str, logits: Tensor, wanted: NDArray[Any]) -> None:
        if head in ONE_OF or head == "target":
            known, given = self._classes.setdefault(head, ([], []))
            known += wanted.argmax(-1).tolist()
            given += logits.argmax(-1).tolist()
        else:
            yes, truth = (logits > 0).cpu().numpy(), wanted > 0.5
            part = np.stack([(yes & truth).sum(0), (yes & ~truth).sum(0), (~yes & truth).sum(0)])
            self._labels.setdefault(head, []).append(part.astype(np.int64))

    def figures(self) -> dict[str, float]:
        """Accuracy and macro F1 of classes, micro F1 of labels, strict F1 of spans."""
        found: dict[str, float] = {}
        for head, (known, given) in self._classes.items():
            truth, answer = np.array(known), np.array(given)
            found[f"{head} accuracy"] = float((truth == answer).mean())
            found[f"{head} macro F1"] = float(
                np.mean([_f1((truth == c) & (answer == c), truth == c, answer == c) for c in np.unique(truth)])
            )
        for head, parts in self._labels.items():
            found[f"{head} micro F1"] = _ratio(*np.sum(parts, axis=0).sum(axis=1).tolist())
        if self._spans.any():
            found["spans F1"] = _ratio(*self._spans.tolist())
        return found


def _f1(both: NDArray[np.bool_], truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> float:
    return 2 * float(both.sum()) / float(truth.sum() + answer.sum())


def _ratio(both: int, only_found: int, only_wanted: int) -> float:
    return 2 * both / max(1, 2 * both + only_found + only_wanted)
