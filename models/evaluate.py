"""What a scorer is worth on labelled texts, and how two scorers differ: figures with intervals, per corpus, language and kind."""

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any, Final

import msgspec
import numpy as np

from models import metrics as m
from models.answers import Answers, Group, Scope, Task, classes_of, groups_of, sheet_of_group
from models.examples import Example
from models.metrics import Bin, Figure, Floats, Sheet

HEADLINE: Final[Mapping[Task, tuple[str, ...]]] = {
    "topic": ("accuracy", "macro_f1"),
    "sentiment": ("accuracy", "macro_f1"),
    "negative": ("accuracy", "macro_f1"),
    "entities": ("accuracy", "conflict"),
    "spans": ("f1",),
    "labels": ("micro_f1", "macro_f1"),
    "flags": ("micro_f1", "macro_f1"),
}
"""The figures by which a task is judged; the others are for whoever looks closer."""


# --- what was measured -----------------------------------------------------------------------------------------------
class ClassRow(msgspec.Struct, frozen=True):
    """One class: how often asked for and given; None where a share has nothing to divide by."""

    name: str
    asked: int
    given: int
    precision: Figure | None
    recall: Figure | None
    f1: Figure | None


class Confusion(msgspec.Struct, frozen=True):
    """counts[i][j]: rows of class i that were answered as class j; j = len(classes): as none of them."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One task on one group of texts. Every share is in [0, 1]."""

    task: Task
    scope: Scope
    corpus: str  # the corpus; for a pool of several: its language ("all en"), or language and kind ("en news")
    model: str
    texts: int
    rows: int  # questions: names for entities and spans, texts otherwise
    unscored: int  # texts without an answer (another language, no letters): wrong, but for sentiment (see answers.py)
    figures: dict[str, Figure]  # without those that have nothing to divide by
    ece_bound: float | None = None  # metrics.calibration_bound; None where answers carry no probability
    classes: tuple[ClassRow, ...] = ()
    confusion: Confusion | None = None
    reliability: tuple[Bin, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """A question that two models answer differently; `text` is its place among the examples."""

    text: int
    about: str  # the name that is asked about; empty: the whole text
    gold: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the same questions."""

    task: Task
    scope: Scope
    corpus: str
    models: tuple[str, str]
    texts: int
    rows: int  # questions; for spans texts
    agreement: float  # share of questions with the same answer
    only_first: int  # questions that only the first answers rightly
    only_second: int
    p_value: float  # of such a split between equals: exact McNemar test, two-sided, rows taken as independent
    differences: dict[str, Figure]  # first minus second, texts redrawn in pairs
    changes: tuple[Change, ...]


class Agreement(msgspec.Struct, frozen=True):
    """How far two models agree in one field of their answers; needs no labels."""

    field: str
    texts: int
    share: float
    differing: tuple[int, ...]  # places of the texts


# --- measuring ------------------------------------------------------------------------------------------------------
def measure(examples: Sequence[Example], answers: Answers) -> list[Measured]:
    """Every task that the examples are labelled for: per corpus, per language, and per language and kind.

    A pool that holds the same rows as a group before it is left out. `answers` are a scorer's (`answers_of`), example by example.
    """
    return [_measured(group, examples, answers) for group in groups_of(examples)]


def _measured(group: Group, examples: Sequence[Example], answers: Answers) -> Measured:
    sheet = sheet_of_group(group, examples, answers)
    classes = classes_of(group.task, sheet)
    counts = _drawn_counts(group.task, sheet, classes)
    single = group.task in ("topic", "sentiment", "negative", "entities")
    return Measured(
        task=group.task,
        scope=group.scope,
        corpus=group.name,
        model=answers.model,
        texts=sheet.texts,
        rows=sum(map(len, sheet.gold)) if group.task == "spans" else len(sheet.gold),
        unscored=sum(answers.plain[i]["sentiment"] is None for i in group.places),
        figures=_defined(_figures(group.task, sheet, counts)),
        ece_bound=m.calibration_bound(sheet.top) if sheet.top is not None else None,
        classes=_class_rows(classes, counts) if group.task != "spans" else (),
        confusion=Confusion(classes, tuple(map(tuple, m.confusion(sheet, classes).tolist()))) if single else None,
        reliability=m.reliability(sheet),
    )


def _drawn_counts(task: Task, sheet: Sheet, classes: Sequence[str]) -> Floats:
    """[1 + draws, classes, 3]; spans are one class."""
    entries = m.pooled_entries(sheet) if task == "spans" else m.class_entries(sheet, classes)
    return m.drawn_sums(entries, sheet.texts).reshape(1 + m.DRAWS, -1, 3)


def _figures(task: Task, sheet: Sheet, counts: Floats) -> dict[str, Floats]:
    """[1 + draws] per figure, in the order in which they are shown."""
    pooled = counts.sum(axis=-2)
    if task == "spans":
        return {"f1": m.f1(pooled), "precision": m.precision(pooled), "recall": m.recall(pooled)}
    if task in ("labels", "flags"):
        figures = {"micro_f1": m.micro_f1(counts), "macro_f1": m.macro_f1(counts)}
        return figures | {"precision": m.precision(pooled), "recall": m.recall(pooled)}
    figures = {"accuracy": m.accuracy(counts), "macro_f1": m.macro_f1(counts), "weighted_f1": m.weighted_f1(counts)}
    if sheet.mixed is not None and sheet.mixed.any():
        figures["conflict"] = m.accuracy(m.drawn_sums(_mixed_entries(sheet), sheet.texts)[:, None, :])
    figures["ece"] = m.calibration_error(m.drawn_sums(m.gap_entries(sheet), sheet.texts))
    return figures


def _defined(figures: Mapping[str, Floats]) -> dict[str, Figure]:
    return {name: m.figure(values) for name, values in figures.items() if np.isfinite(values[0])}


def _mixed_entries(sheet: Sheet) -> m.Entries:
    """RIGHT and ASKED of the rows whose text asks for different answers."""
    rows = np.flatnonzero(sheet.mixed) if sheet.mixed is not None else np.zeros(0, np.int64)
    columns = np.repeat([m.RIGHT, m.ASKED], len(rows))
    return m.Entries(np.tile(sheet.text[rows], 2), columns, np.concatenate([sheet.right[rows] * 1.0, np.ones(len(rows))]), 3)


def _class_rows(classes: Sequence[str], counts: Floats) -> tuple[ClassRow, ...]:
    shares = [share(counts) for share in (m.precision, m.recall, m.f1)]
    rows = []
    for i, name in enumerate(classes):
        given, asked = int(counts[0, i, m.GIVEN]), int(counts[0, i, m.ASKED])
        if given or asked:
            figures = [m.figure(share[:, i]) if np.isfinite(share[0, i]) else None for share in shares]
            rows.append(ClassRow(name, asked, given, *figures))
    return tuple(rows)


# --- two models on the same texts ----------------------------------------------------------------------------------------
def compare(examples: Sequence[Example], first: Answers, second: Answers) -> list[Compared]:
    """Two models on the same labelled examples, in the groups of `measure`; texts are redrawn in pairs."""
    return [_compared(group, examples, (first, second)) for group in groups_of(examples)]


def _compared(group: Group, examples: Sequence[Example], answers: tuple[Answers, Answers]) -> Compared:
    sheets = [sheet_of_group(group, examples, one) for one in answers]
    figures = [_figures(group.task, sheet, _drawn_counts(group.task, sheet, classes_of(group.task, sheet))) for sheet in sheets]
    one, other = sheets
    only_first, only_second = int((one.right & ~other.right).sum()), int((other.right & ~one.right).sum())
    differing = [row for row, said in enumerate(one.said) if said != other.said[row]]
    return Compared(
        task=group.task,
        scope=group.scope,
        corpus=group.name,
        models=(answers[0].model, answers[1].model),
        texts=one.texts,
        rows=len(one.gold),
        agreement=1 - len(differing) / len(one.gold),
        only_first=only_first,
        only_second=only_second,
        p_value=sign_test(only_first, only_second),
        differences=_defined({name: values - figures[1][name] for name, values in figures[0].items()}),
        changes=tuple(
            Change(
                text=group.places[int(one.text[row])],
                about=one.about[row] if one.about else "",
                gold=tuple(sorted(one.gold[row])),
                first=tuple(sorted(one.said[row])),
                second=tuple(sorted(other.said[row])),
            )
            for row in differing
        ),
    )


def sign_test(only_first: int, only_second: int) -> float:
    """Two-sided exact probability of so uneven a split between two equal models (McNemar 1947, exact form).

    >>> sign_test(0, 0), sign_test(5, 5), sign_test(8, 0)
    (1.0, 1.0, 0.0078125)
    """
    rows = only_first + only_second
    tail = sum(comb(rows, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << rows))


def agreement(first: Answers, second: Answers) -> list[Agreement]:
    """Agreement of two models field by field, over the texts that both have scored; labels are not needed."""
    both = [i for i, pair in enumerate(zip(first.plain, second.plain, strict=True)) if all(one["sentiment"] is not None for one in pair)]
    found = []
    for field in ("topic", "native_topic", "sentiment", "labels", "flags", "entities"):
        said = [[_comparable(answers.plain[i].get(field)) for i in both] for answers in (first, second)]
        if any(value is not None for value in said[0] + said[1]):
            differing = tuple(i for i, one, other in zip(both, *said, strict=True) if one != other)
            found.append(Agreement(field, len(both), 1 - len(differing) / len(both), differing))
    return found


def _comparable(value: Any) -> Any:
    """A field's answer without its order and without probabilities."""
    if not isinstance(value, list):
        return value
    return frozenset((one["start"], one["end"], one["sentiment"]) if isinstance(one, dict) else one for one in value)
