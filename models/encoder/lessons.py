"""Labelled texts as the network learns them: token ids, and for every head the probabilities that are wanted.

A label is a distribution with all its mass on one column, so labels, softened labels and a teacher's answers are one kind of
thing, and a text teaches exactly those heads that its set was labelled for.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundswell.names import SENTIMENTS
from models.datasets import CORPORA, TAUGHT_FLAGS
from models.encoder.tokens import Tokenizer
from models.examples import Example
from models.spans import BEGIN, INSIDE, OUTSIDE
from models.taxonomy import NATIVE_TOPICS

ONE_OF: Final = frozenset({"topic", "post", "news"})  # heads whose columns share one unit of probability; others stand alone
SORTED_AT_ONCE: Final = 4_000  # texts that are brought into order of length together: little padding, and still mixed


class Heads(NamedTuple):
    """Names of the columns of every text head, and which token heads there are."""

    text: dict[str, tuple[str, ...]]
    token: tuple[str, ...]


class Name(NamedTuple):
    """The tokens `[first, last)` of a name, and the sentiment wanted towards it: [3], or None where only the span is known."""

    first: int
    last: int
    wanted: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Lesson:
    """One text of t tokens."""

    ids: NDArray[np.int32]  # [t]
    wanted: dict[str, NDArray[np.float32]] = field(default_factory=dict)  # text head -> [columns]
    names: tuple[Name, ...] = ()
    tags: NDArray[np.float32] | None = None  # [t, 3] probabilities of outside, begin, inside


class Batch(NamedTuple):
    """n lessons side by side; the mask is None where all are of one length."""

    ids: Tensor  # [n, t]
    mask: Tensor | None  # [n, t]
    lessons: list[Lesson]
    tokens: int  # without padding


def heads_of(language: str, examples: Iterable[Example]) -> Heads:
    """The heads that examples of a language can teach."""
    examples = list(examples)
    labels = tuple(sorted({label for example in examples for label in example.labels or ()}))
    text: dict[str, tuple[str, ...]] = {}
    if any(example.topic is not None for example in examples):
        text["topic"] = NATIVE_TOPICS
    if labels:
        text["labels"] = labels
    text |= {"post": SENTIMENTS, "news": SENTIMENTS, "gate": ("news",)}
    if language == "zh" and any(example.flags is not None for example in examples):
        text["flags"] = TAUGHT_FLAGS
    named = any(target.sentiment is not None for example in examples for target in example.targets or ())
    spanned = any(_is_marked(example) for example in examples)
    return Heads(text, tuple(head for head, is_taught in (("target", named), ("spans", spanned)) if is_taught))


def lessons_of(examples: Sequence[Example], *, heads: Heads, tokenizer: Tokenizer) -> list[Lesson]:
    """Tokenise examples and lay their labels out."""
    encoded = tokenizer.encode([example.text for example in examples])
    lessons = []
    for row, example in enumerate(examples):
        part = slice(int(encoded.starts[row]), int(encoded.starts[row + 1]))
        lessons.append(Lesson(encoded.ids[part], _wanted(example, heads), *_names(example, encoded.offsets[part])))
    return lessons


def _is_marked(example: Example) -> bool:
    """Whether every name of the text is marked, so that what is not marked is none; a user's file with names is taken for that."""
    corpus = CORPORA.get(example.corpus)
    return example.targets is not None and (corpus is None or "spans" in corpus.tasks)


def sentiment_of(example: Example) -> int | None:
    """Sentiment of the whole text: as labelled, else what all its names agree on, else bad or not bad (not bad counts as neutral)."""
    if example.sentiment is not None:
        return example.sentiment
    if example.negative is not None:
        return SENTIMENTS.index("negative" if example.negative else "neutral")
    towards = {target.sentiment for target in example.targets or ()}
    return towards.pop() if _is_marked(example) and len(towards) == 1 else None


def _wanted(example: Example, heads: Heads) -> dict[str, NDArray[np.float32]]:
    wanted: dict[str, NDArray[np.float32]] = {"gate": np.array([example.kind == "news"], np.float32)}
    if example.topic is not None:
        wanted["topic"] = _one(example.topic, len(NATIVE_TOPICS))
    sentiment = sentiment_of(example)
    if sentiment is not None:
        wanted[example.kind] = _one(sentiment, len(SENTIMENTS))
    for head, given in (("labels", example.labels), ("flags", example.flags)):
        if given is not None and head in heads.text:
            wanted[head] = np.array([name in given for name in heads.text[head]], np.float32)
    return wanted


def _one(column: int, columns: int) -> NDArray[np.float32]:
    wanted = np.zeros(columns, np.float32)
    wanted[column] = 1
    return wanted


def _names(example: Example, offsets: NDArray[np.int32]) -> tuple[tuple[Name, ...], NDArray[np.float32] | None]:
    """Names as tokens. A name that the text lacks, or that lies beyond the last token, is judged by the whole text."""
    if example.targets is None:
        return (), None
    names = []
    tags = np.full(len(offsets), OUTSIDE)
    for target in example.targets:
        inside: NDArray[np.intp] = np.zeros(0, np.intp)
        if target.start is not None and target.end is not None:
            inside = np.flatnonzero((offsets[:, 1] > offsets[:, 0]) & (offsets[:, 0] < target.end) & (offsets[:, 1] > target.start))
        wanted = None if target.sentiment is None else _one(target.sentiment, len(SENTIMENTS))
        if len(inside):
            tags[inside] = INSIDE
            tags[inside[0]] = BEGIN
            names.append(Name(int(inside[0]), int(inside[-1]) + 1, wanted))
        elif wanted is not None:
            names.append(Name(0, len(offsets), wanted))
    return tuple(names), np.eye(3, dtype=np.float32)[tags] if _is_marked(example) else None


def plan(lengths: Sequence[int], tokens: int, chance: random.Random) -> list[list[int]]:
    """Batches of numbers of lessons, each of at most `tokens` tokens with padding, in an order drawn by `chance`.

    >>> sorted(sum(plan([5, 9, 5, 7], 14, random.Random(0)), []))
    [0, 1, 2, 3]
    """
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches: list[list[int]] = []
    for first in range(0, len(order), SORTED_AT_ONCE):
        batch: list[int] = []
        for number in sorted(order[first : first + SORTED_AT_ONCE], key=lambda number: lengths[number]):
            if batch and (len(batch) + 1) * lengths[number] > tokens:
                batches.append(batch)
                batch = []
            batch.append(number)
        batches.append(batch)
    chance.shuffle(batches)
    return batches


def collate(lessons: Sequence[Lesson], *, device: str) -> Batch:
    """Pad lessons to one length on a device; from pinned memory where that is a GPU."""
    lengths = [len(lesson.ids) for lesson in lessons]
    ids = torch.zeros(len(lessons), max(lengths), dtype=torch.long)
    for row, lesson in enumerate(lessons):
        ids[row, : lengths[row]] = torch.from_numpy(lesson.ids)
    mask = None
    if min(lengths) < max(lengths):
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).to(torch.float32)
    if device != "cpu":
        ids = ids.pin_memory().to(device, non_blocking=True)
        mask = mask.pin_memory().to(device, non_blocking=True) if mask is not None else None
    return Batch(ids, mask, list(lessons), sum(lengths))


def class_shares(lessons: Iterable[Lesson]) -> Mapping[str, NDArray[np.float64]]:
    """Mean of what is wanted of each head, column by column: the classes' shares."""
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    for lesson in lessons:
        for head, wanted in [*lesson.wanted.items(), *(("target", name.wanted) for name in lesson.names if name.wanted is not None)]:
            sums[head] = sums.get(head, np.zeros(len(wanted))) + wanted
            counts[head] = counts.get(head, 0) + 1
    return {head: total / counts[head] for head, total in sums.items()}
