"""What `groundswell data check` finds out before any training: sizes, classes, lengths, leaks, contradictions.

Pure functions over examples; reading files and printing are elsewhere. Two texts are the same when they are so after
near_duplicates.plain, and nearly the same from a Jaccard similarity of near_duplicates.SIMILARITY_MIN on.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from groundswell.names import SENTIMENTS
from models.examples import Example, Part
from models.near_duplicates import near_pairs, plain
from models.taxonomy import NATIVE_TOPICS

LINES_SHOWN: Final = 3  # of a conflict: enough to find it, short enough to read
QUANTILES: Final = (0.5, 0.9, 0.99, 1.0)


class Portion(msgspec.Struct, frozen=True):
    """One part of a set, or a user's file, as it was read."""

    name: str  # key of the set, or the name of the user's file
    part: Part
    rows: Sequence[tuple[int, Example]]  # line of the file, from 1, and its example
    of_user: bool = False


class Facts(msgspec.Struct, frozen=True):
    """Sizes and counts of a portion."""

    name: str
    part: Part
    of_user: bool
    rows: int
    empty: int  # texts of nothing but spaces
    lengths: tuple[int, int, int, int]  # characters: median, 90th and 99th percentile (nearest rank), longest; zeros without rows
    classes: Mapping[str, Mapping[str, int]]  # task -> class -> how often


class Spot(NamedTuple):
    """A line of a portion."""

    name: str
    part: Part
    line: int


class Leak(NamedTuple):
    """A text that is trained on and measured on."""

    source: Spot
    dev: Spot
    similarity: float  # 1 where the texts are the same; of near ones the Jaccard similarity of the nearest
    exact: bool


class Conflict(NamedTuple):
    """One text, two labels."""

    task: str  # topic, sentiment, labels, flags, negative, or "entity NAME"
    spots: tuple[tuple[Spot, str], ...]  # LINES_SHOWN at most, with what each says; the first of every label come first
    lines: int  # that are labelled for this task, all in all
    of_user: bool  # a line of a user's file takes part


class Report(msgspec.Struct, frozen=True):
    """All that was found; leaks and conflicts in the order of the portions."""

    facts: tuple[Facts, ...]
    leaks: tuple[Leak, ...]
    conflicts: tuple[Conflict, ...]

    @property
    def faults(self) -> list[str]:
        """What must be mended before training, a line for each kind; empty: nothing."""
        found = []
        if self.leaks:
            found.append(f"texts that leak from training into dev: {len(self.leaks)}; remove them from the training side")
        of_user = sum(conflict.of_user for conflict in self.conflicts)
        if of_user:
            found.append(f"texts of the user's files with conflicting labels: {of_user}; keep one label of each")
        return found


def check(portions: Sequence[Portion]) -> Report:
    """Look at everything that would be trained on and measured on."""
    texts = [[plain(example.text) for _, example in portion.rows] for portion in portions]
    return Report(
        facts=tuple(facts(portion) for portion in portions),
        leaks=tuple(leak for language in _languages(portions) for leak in _leaks(portions, texts, language=language)),
        conflicts=tuple(conflict for part in ("train", "dev") for conflict in _conflicts(portions, texts, part=part)),
    )


# --- sizes ------------------------------------------------------------------------------------------------------------
def facts(portion: Portion) -> Facts:
    """Sizes, lengths and class counts of one portion."""
    lengths = sorted(len(example.text) for _, example in portion.rows)
    classes: dict[str, Counter[str]] = {}
    for _, example in portion.rows:
        for task, name in _classes(example):
            classes.setdefault(task, Counter())[name] += 1
    return Facts(
        name=portion.name,
        part=portion.part,
        of_user=portion.of_user,
        rows=len(portion.rows),
        empty=sum(not example.text.strip() for _, example in portion.rows),
        lengths=tuple(lengths[max(0, math.ceil(q * len(lengths)) - 1)] if lengths else 0 for q in QUANTILES),  # type: ignore[arg-type]
        classes={task: dict(_in_order(task, counted)) for task, counted in classes.items()},
    )


def _classes(example: Example) -> Iterator[tuple[str, str]]:
    """(task, class) once per label that the example carries."""
    if example.topic is not None:
        yield "topic", NATIVE_TOPICS[example.topic]
    if example.sentiment is not None:
        yield "sentiment", SENTIMENTS[example.sentiment]
    if example.negative is not None:
        yield "negative", "negative" if example.negative else "other"
    for task, given in (("labels", example.labels), ("flags", example.flags)):
        if given is not None:
            yield from ((task, name) for name in given or ("none of them",))
    for target in example.targets or ():
        yield "entities", "place only" if target.sentiment is None else SENTIMENTS[target.sentiment]
        if target.start is None:
            yield "entities", "not in the text"


def _in_order(task: str, counted: Counter[str]) -> list[tuple[str, int]]:
    """Sentiments from negative to positive, everything else by how often it occurs."""
    if task in ("sentiment", "entities"):
        return [(name, counted[name]) for name in (*SENTIMENTS, "place only", "not in the text") if name in counted]
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


# --- leaks ------------------------------------------------------------------------------------------------------------
def _languages(portions: Sequence[Portion]) -> list[str]:
    return sorted({example.language for portion in portions for _, example in portion.rows})


def _leaks(portions: Sequence[Portion], texts: Sequence[Sequence[str]], *, language: str) -> Iterator[Leak]:
    """For every dev text the nearest text of each portion that is trained on, where they are the same or nearly so."""
    dev, dev_texts = _side(portions, texts, language=language, part="dev")
    train, train_texts = _side(portions, texts, language=language, part="train")
    first: dict[str, dict[str, Spot]] = {}
    for spot, text in zip(train, train_texts, strict=True):
        first.setdefault(text, {}).setdefault(spot.name, spot)
    best: dict[tuple[int, str], Leak] = {
        (row, name): Leak(source, dev[row], 1.0, exact=True)
        for row, text in enumerate(dev_texts)
        for name, source in first.get(text, {}).items()
    }
    for pair in near_pairs(dev_texts, train_texts):
        key = (pair.left, train[pair.right].name)
        if key not in best or pair.similarity > best[key].similarity:
            best[key] = Leak(train[pair.right], dev[pair.left], pair.similarity, exact=False)
    yield from (best[key] for key in sorted(best))


def _side(portions: Sequence[Portion], texts: Sequence[Sequence[str]], *, language: str, part: Part) -> tuple[list[Spot], list[str]]:
    """Lines and plain texts of one language and part; without empty texts, which leak nothing."""
    pairs = [
        (Spot(portion.name, part, line), text)
        for portion, own in zip(portions, texts, strict=True)
        if portion.part == part
        for (line, example), text in zip(portion.rows, own, strict=True)
        if text and example.language == language
    ]
    return [spot for spot, _ in pairs], [text for _, text in pairs]


# --- contradictions ---------------------------------------------------------------------------------------------------
def _conflicts(portions: Sequence[Portion], texts: Sequence[Sequence[str]], *, part: Part | str) -> Iterator[Conflict]:
    """Texts of one part that stand on several lines and are labelled differently for the same task."""
    said: dict[tuple[str, str], list[tuple[Portion, int, Example]]] = {}
    for portion, own in zip(portions, texts, strict=True):
        if portion.part == part:
            for (line, example), text in zip(portion.rows, own, strict=True):
                if text:
                    said.setdefault((example.language, text), []).append((portion, line, example))
    for same in said.values():
        if len(same) > 1:
            yield from _contradictions(same)


def _contradictions(same: Iterable[tuple[Portion, int, Example]]) -> Iterator[Conflict]:
    """Conflicts among the lines of one text, a conflict per task."""
    by_task: dict[str, dict[str, list[tuple[Portion, int]]]] = {}
    for portion, line, example in same:
        for task, label in _labels(example):
            by_task.setdefault(task, {}).setdefault(label, []).append((portion, line))
    for task, by_label in by_task.items():
        if len(by_label) < 2:
            continue
        firsts = [(places[0], label) for label, places in by_label.items()]
        others = [(place, label) for label, places in by_label.items() for place in places[1:]]
        shown = [(Spot(portion.name, portion.part, line), label) for (portion, line), label in firsts + others]
        places = [place for found in by_label.values() for place in found]
        yield Conflict(task, tuple(shown[:LINES_SHOWN]), len(places), any(portion.of_user for portion, _ in places))


def _labels(example: Example) -> Iterator[tuple[str, str]]:
    """(task, the whole label) of an example: what another line of the same text must not contradict."""
    for task, name in _classes(example):
        if task in ("topic", "sentiment", "negative"):
            yield task, name
    for task, given in (("labels", example.labels), ("flags", example.flags)):
        if given is not None:
            yield task, " ".join(given) or "none of them"
    for target in example.targets or ():
        if target.sentiment is not None:
            yield f"entity {target.name}", SENTIMENTS[target.sentiment]
