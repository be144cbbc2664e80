"""Labelled texts beside what a scorer answers to them, asked the way a user asks: lines in, lines out.

The lines are those of `groundswell score`, so a figure that rests on them is the figure that anybody gets from that command's
output. Names are given where the sentiment towards names is asked for, and held back where the names are asked for (spans).

Task       one row is   asked for                                   answered by
topic      a text       one of the 20 native topics                 native_topic
sentiment  a text       one of three                                the highest of p_negative, p_neutral, p_positive
negative   a text       negative or other                           sentiment
entities   a name       one of three, towards the name              the sentiment of the entity of that name
spans      a text       the places of its names                     start and end of entities, no names given
labels     a text       any of the Chinese labels                   labels
flags      a text       any of the risk flags                       flags
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np

from groundswell.names import SENTIMENTS
from models.by_language import JudgingScorer
from models.datasets import CORPORA, TAUGHT_FLAGS
from models.examples import Example
from models.metrics import Sheet
from models.score_file import DetectLanguage, score_lines
from models.taxonomy import NATIVE_TOPICS, RISK_FLAGS

Task = Literal["topic", "sentiment", "negative", "entities", "spans", "labels", "flags"]
Scope = Literal["corpus", "language", "kind"]
Answer = Mapping[str, Any]

TASKS: Final[tuple[Task, ...]] = ("topic", "sentiment", "negative", "entities", "spans", "labels", "flags")
NEGATIVE: Final = ("negative", "other")


class Answers(msgspec.Struct, frozen=True):
    """One scorer's output lines for a list of examples."""

    model: str
    plain: Sequence[Answer]  # without names given
    named: Sequence[Answer | None]  # with the names of the example's targets; None where it has none


# --- asking ------------------------------------------------------------------------------------------------------------
def answers_of(scorer: JudgingScorer, examples: Sequence[Example], *, detect: DetectLanguage) -> Answers:
    """Ask a scorer, by way of the lines of `groundswell score`.

    Args:
        scorer: any scorer that also judges names.
        examples: labelled or not; only text and the names of targets are shown to the scorer.
        detect: decides the language, as for `groundswell score`.
    """
    targeted = [i for i, example in enumerate(examples) if example.targets]
    lines = [{"id": i, "text": example.text} for i, example in enumerate(examples)]
    asking = [lines[i] | {"entities": [target.name for target in examples[i].targets or ()]} for i in targeted]
    plain, judged = (
        [msgspec.json.decode(line) for line in score_lines(map(msgspec.json.encode, asked), scorer, detect=detect, judge=scorer)]
        for asked in (lines, asking)
    )
    named: list[Answer | None] = [None] * len(examples)
    for i, answer in zip(targeted, judged, strict=True):
        named[i] = answer
    return Answers(scorer.model_id, plain, named)


def answers_at(answers: Answers, places: Sequence[int]) -> Answers:
    """The answers at some places of the list of examples, in the order of `places`."""
    return Answers(answers.model, [answers.plain[i] for i in places], [answers.named[i] for i in places])


# --- groups and sheets -----------------------------------------------------------------------------------------------
class Group(NamedTuple):
    """Examples that are measured together: their places in the list."""

    task: Task
    scope: Scope
    name: str
    places: tuple[int, ...]


def groups_of(examples: Sequence[Example]) -> Iterator[Group]:
    """Groups with at least one labelled row, tasks in their order, corpora before pools."""
    names: tuple[tuple[Scope, Callable[[Example], str]], ...] = (
        ("corpus", lambda example: example.corpus),
        ("language", lambda example: f"all {example.language}"),
        ("kind", lambda example: f"{example.language} {example.kind}"),
    )
    for task in TASKS:
        labelled = [i for i, example in enumerate(examples) if _is_labelled(task, example)]
        seen: set[tuple[int, ...]] = set()
        for scope, name_of in names:
            groups: dict[str, list[int]] = {}
            for i in labelled:
                groups.setdefault(name_of(examples[i]), []).append(i)
            for name, places in groups.items():
                if tuple(places) not in seen:
                    seen.add(tuple(places))
                    yield Group(task, scope, name, tuple(places))


def _is_labelled(task: Task, example: Example) -> bool:
    if task == "entities":
        return any(target.sentiment is not None for target in example.targets or ())
    if task == "spans":  # asked for only where a set marks every name; a user's file is taken to do so
        corpus = CORPORA.get(example.corpus)
        return bool(example.targets) and (corpus is None or "spans" in corpus.tasks)
    return getattr(example, task) is not None


def sheet_of(task: Task, examples: Sequence[Example], answers: Sequence[Answer]) -> Sheet:
    """Gold and said, row by row, for examples that carry the task's labels and their answers, in order."""
    if task == "entities":
        return _entity_sheet(examples, answers)
    rows = {"topic": _topic, "negative": _negative, "spans": _spans, "labels": _labels, "flags": _flags}
    answered = _sentiments(examples, answers) if task == "sentiment" else map(rows[task], examples, answers)
    gold, said, tops = zip(*answered, strict=True)
    top = None if task in ("spans", "labels", "flags") else np.array(tops, np.float64)
    return Sheet(len(examples), np.arange(len(examples)), gold, said, top=top)


_Row = tuple[frozenset[str], frozenset[str], float]  # gold, said, probability of the answer


def _topic(example: Example, answer: Answer) -> _Row:
    said = answer["native_topic"]
    gold = frozenset({NATIVE_TOPICS[example.topic or 0]})
    return gold, frozenset() if said is None else frozenset({NATIVE_TOPICS[said]}), max(answer["native_topic_probs"] or [0.0])


def _sentiments(examples: Sequence[Example], answers: Sequence[Answer]) -> Iterator[_Row]:
    """Among the classes that the group has: a set without neutral texts does not ask for neutral. Of a set of one class, among all.

    An unscored text has the probability 0 for each class, and so the first of them as its answer, with no confidence at all: that is
    how the public measuring tool reads such a line, and figures must be its figures. `Measured.unscored` says how many there are.
    """
    asked = sorted({example.sentiment or 0 for example in examples})
    if len(asked) == 1:  # there would be nothing to choose from, and every answer right
        asked = list(range(len(SENTIMENTS)))
    for example, answer in zip(examples, answers, strict=True):
        shares = [answer[f"p_{SENTIMENTS[i]}"] or 0.0 for i in asked]
        best = max(range(len(asked)), key=shares.__getitem__)
        yield _one(SENTIMENTS[example.sentiment or 0]), _one(SENTIMENTS[asked[best]]), shares[best] / (sum(shares) or 1.0)


def _negative(example: Example, answer: Answer) -> _Row:
    share, said = answer["p_negative"] or 0.0, answer["sentiment"] == "negative"
    gold = _one(NEGATIVE[0] if example.negative else NEGATIVE[1])
    if answer["sentiment"] is None:
        return gold, frozenset(), 0.0
    return gold, _one(NEGATIVE[0] if said else NEGATIVE[1]), share if said else 1 - share


def _spans(example: Example, answer: Answer) -> _Row:
    gold = [(target.start, target.end) for target in example.targets or ()]
    said = [(entity["start"], entity["end"]) for entity in answer["entities"] or ()]
    return *(frozenset(f"{start}:{end}" for start, end in places if start is not None) for places in (gold, said)), 0.0  # type: ignore[return-value]


def _labels(example: Example, answer: Answer) -> _Row:
    return frozenset(example.labels or ()), frozenset(answer.get("labels") or ()), 0.0


def _flags(example: Example, answer: Answer) -> _Row:
    """FinESE says nothing of flags that its events do not teach: those are neither right nor wrong there."""
    said = frozenset(answer.get("flags") or ())
    return frozenset(example.flags or ()), said & frozenset(TAUGHT_FLAGS) if example.corpus == "finese" else said, 0.0


def _entity_sheet(examples: Sequence[Example], answers: Sequence[Answer]) -> Sheet:
    """A row per target; a target without an answer is wrong at a probability of 1, for the model claims that nothing is there."""
    text: list[int] = []
    rows: list[_Row] = []
    about: list[str] = []
    mixed: list[bool] = []
    for i, (example, answer) in enumerate(zip(examples, answers, strict=True)):
        said = {entity["name"].strip().lower(): entity for entity in answer["entities"] or ()}
        targets = [(target.name, SENTIMENTS[target.sentiment]) for target in example.targets or () if target.sentiment is not None]
        for name, sentiment in targets:
            entity, gold = said.get(name.strip().lower()), _one(sentiment)
            rows.append((gold, _one(entity["sentiment"]), _top(entity)) if entity else (gold, frozenset(), 1.0))
            text.append(i)
            about.append(name)
            mixed.append(len({other for _, other in targets}) > 1)
    asked, answered, tops = zip(*rows, strict=True)
    return Sheet(len(examples), np.array(text), asked, answered, about=about, top=np.array(tops, np.float64), mixed=np.array(mixed))


def _top(entity: Answer) -> float:
    return max(float(entity[f"p_{name}"]) for name in SENTIMENTS)


def _one(name: str) -> frozenset[str]:
    return frozenset({name})


def sheet_of_group(group: Group, examples: Sequence[Example], answers: Answers) -> Sheet:
    """The sheet of one group's examples."""
    pool = answers.named if group.task == "entities" else answers.plain
    return sheet_of(group.task, [examples[i] for i in group.places], [pool[i] or {} for i in group.places])


def classes_of(task: Task, sheet: Sheet) -> tuple[str, ...]:
    """A task's classes in a fixed order; labels are those that were asked for or given."""
    fixed = {"topic": NATIVE_TOPICS, "sentiment": SENTIMENTS, "entities": SENTIMENTS, "negative": NEGATIVE, "flags": RISK_FLAGS}
    return fixed[task] if task in fixed else tuple(sorted(frozenset().union(*sheet.gold, *sheet.said)))
