"""Teachers: networks that are trained first and whose answers the one that ships learns from.

Each teacher is trained without one part of the labelled texts, and of those texts it alone is asked: an answer to what one has
learned by heart says nothing new, while a doubt about an unseen text tells how far its label can be trusted. Texts without a label (for
a head, or for none) are answered by all teachers, and the mean counts. So tweets that were labelled for topics teach sentiment too, and
archives that nobody labelled teach both.

Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"; into networks as large as their teachers: Furlanello et
al. 2018, "Born-Again Neural Networks"; answers about unseen texts to judge labels: Northcutt, Jiang and Chuang 2021, "Confident Learning".
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from models.encoder.lessons import ONE_OF, Lesson, Name, collate, plan
from models.encoder.network import Network, blocks_of
from models.encoder.prepare import Prepared, network_of
from models.encoder.recipe import Distillation, Recipe
from models.encoder.train import LOOK_TOKENS, Progress, Run
from models.spans import spans_of

OF_KIND = {"post": 0.0, "news": 1.0}  # head of sentiment -> what the gate wants of a text that the head is for

Shares = NDArray[np.float32]
Said = dict[str, Shares]  # head -> one teacher's probabilities of one text: [columns], of token heads [tokens, 3]


def numbers_of(recipe: Recipe) -> range:
    """Numbers of the teachers, from 1."""
    return range(1, recipe.distillation.teachers + 1)


def parts_of(texts: int, recipe: Recipe) -> list[int]:
    """Of each labelled text, the number of the one teacher that does not learn it; as many texts for each."""
    numbers = [1 + place % recipe.distillation.teachers for place in range(texts)]
    random.Random(f"{recipe.seed}/teachers").shuffle(numbers)
    return numbers


def recipe_of(recipe: Recipe, number: int) -> Recipe:
    """What a teacher is trained by: the recipe with another seed and all blocks, and no teachers of its own."""
    return msgspec.structs.replace(
        recipe,
        seed=recipe.seed + number,
        encoder=msgspec.structs.replace(recipe.encoder, layers=()),
        optimiser=msgspec.structs.replace(recipe.optimiser, epochs=recipe.distillation.epochs),
        distillation=Distillation(),
    )


def trained_teacher(recipe: Recipe, number: int, prepared: Prepared, run: Path, *, device: str, progress: Progress) -> Network:
    """Train one teacher in a folder of the run; one that has been trained there is only read."""
    progress({"note": f"teacher {number} of {recipe.distillation.teachers}"})
    own = recipe_of(recipe, number)
    lessons = [lesson for lesson, part in zip(prepared.learned, parts_of(len(prepared.learned), recipe), strict=True) if part != number]
    network = network_of(own, prepared.heads)
    folder = run / f"teacher-{number}"
    return Run(folder, recipe=own, network=network, lessons=lessons, looks=prepared.looks, device=device, progress=progress).train()


def begin_as(network: Network, teacher: Network, recipe: Recipe) -> None:
    """Give a student the teacher's weights, of those blocks that the student has, where the recipe asks for it."""
    if recipe.distillation.begin != "teacher":
        return
    above = blocks_of(teacher.encoder)
    for block, place in zip(blocks_of(network.encoder), recipe.encoder.layers or range(len(above)), strict=True):
        block.load_state_dict(above[place].state_dict())
    network.encoder.embeddings.load_state_dict(teacher.encoder.embeddings.state_dict())  # type: ignore[union-attr, operator]
    network.text.load_state_dict(teacher.text.state_dict())
    network.token.load_state_dict(teacher.token.state_dict())


def taught(recipe: Recipe, prepared: Prepared, teachers: Sequence[Network], *, device: str) -> list[Lesson]:
    """The lessons of a student: labelled texts with their labels softened by who has not seen them, then texts without labels."""
    lessons = prepared.learned + prepared.unlabelled
    parts: list[int | None] = [*parts_of(len(prepared.learned), recipe), *[None] * len(prepared.unlabelled)]
    found: list[Lesson] = lessons.copy()
    for teacher in teachers:
        teacher.eval().to(device)
    for numbers in plan([len(lesson.ids) for lesson in lessons], LOOK_TOKENS, random.Random(0)):
        said = [_said(teacher, [lessons[number] for number in numbers], device) for teacher in teachers]
        for row, number in enumerate(numbers):
            found[number] = softened(lessons[number], [one[row] for one in said], part=parts[number], settings=recipe.distillation)
    return found


@torch.no_grad()
def _said(teacher: Network, lessons: Sequence[Lesson], device: str) -> list[Said]:
    """A teacher's probabilities of each text."""
    batch = collate(lessons, device=device)
    text, token = teacher(batch.ids, batch.mask)
    shares = {head: (logits.softmax(-1) if head in ONE_OF else logits.sigmoid()).cpu().numpy() for head, logits in text.items()}
    logits_of = {head: logits.cpu().numpy() for head, logits in token.items()}
    return [
        {head: rows[row] for head, rows in shares.items()}
        | {head: rows[row, : len(lesson.ids)] for head, rows in logits_of.items()}  # softmax comes after the mean over a name's tokens
        for row, lesson in enumerate(lessons)
    ]


def softened(lesson: Lesson, said: Sequence[Said], *, part: int | None, settings: Distillation) -> Lesson:
    """A lesson with what teachers say of it in what is wanted.

    Args:
        lesson: as labelled.
        said: per teacher its answer.
        part: number of the teacher that has not learned the text; None: nobody has.
        settings: how far teachers count, and for which heads they answer alone.
    """
    own = said[part - 1] if part is not None else None
    wanted = dict(lesson.wanted)
    for head in said[0].keys() - {"gate", "target", "spans"}:
        if head in wanted:
            wanted[head] = _between(wanted[head], own[head] if own else None, settings.share)
        elif head in settings.heads and _is_for(head, lesson):
            wanted[head] = np.mean([one[head] for one in said], axis=0, dtype=np.float32)
    if lesson.tags is not None:
        tags = _between(lesson.tags, _softmax(own["spans"]) if own else None, settings.share)
    elif "spans" in settings.heads and "spans" in said[0]:
        tags = np.mean([_softmax(one["spans"]) for one in said], axis=0, dtype=np.float32)
    else:
        tags = None
    return replace(lesson, wanted=wanted, names=_names(lesson, tags, said, own, settings), tags=tags)


def _is_for(head: str, lesson: Lesson) -> bool:
    """Sentiment of posts is asked of posts alone, and that of news of news."""
    return head not in OF_KIND or OF_KIND[head] == lesson.wanted["gate"][0]


def _names(lesson: Lesson, tags: Shares | None, said: Sequence[Said], own: Said | None, settings: Distillation) -> tuple[Name, ...]:
    """The text's names with softened sentiments; where it has none, the names that teachers find."""
    if lesson.names and own is not None and "target" in own:
        return tuple(
            name._replace(wanted=_between(name.wanted, _towards([own], name), settings.share)) if name.wanted is not None else name
            for name in lesson.names
        )
    if lesson.names or lesson.tags is not None or tags is None or "target" not in settings.heads:
        return lesson.names
    found = (Name(first, last, None) for first, last in sorted(spans_of(tags.argmax(-1))))
    return tuple(name._replace(wanted=_towards(said, name)) for name in found)


def _between(label: Shares, answer: Shares | None, share: float) -> Shares:
    """A label with a share of an answer in it; the label where there is no answer."""
    return label if answer is None else ((1 - share) * label + share * answer).astype(np.float32)


def _towards(said: Sequence[Said], name: Name) -> Shares:
    """Sentiment towards a name: the mean over teachers of what each makes of the mean over the name's tokens."""
    return np.mean([_softmax(one["target"][name.first : name.last].mean(0)) for one in said], axis=0, dtype=np.float32)


def _softmax(logits: Shares) -> Shares:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return (raised / raised.sum(-1, keepdims=True)).astype(np.float32)
