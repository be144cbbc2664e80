"""What changes when one model takes the place of another: both asked about the same texts, no labels needed."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np

from groundswell.names import SENTIMENTS
from models.answers import Answers
from models.by_language import JudgingScorer
from models.evaluate import Agreement, agreement
from models.score_file import DetectLanguage, score_lines

WARM_UP_LINES: Final = 8  # answered before the clock starts: engines plan their work on the first call
PROBABILITIES: Final = tuple(f"p_{name}" for name in SENTIMENTS)

Answer = Mapping[str, Any]


class Side(msgspec.Struct, frozen=True):
    """One of the two models."""

    name: str
    model: str
    scored: int  # lines with an answer
    per_second: float  # lines answered per second, everything included


class Spread(msgspec.Struct, frozen=True):
    """How far a probability moves, over the texts that both scored; all in [0, 1]."""

    probability: str  # "p_negative", ..., or "topic": half the sum of the topics' differences
    mean: float
    percentile_95: float
    largest: float


class Mover(msgspec.Struct, frozen=True):
    """A text on which the two are far apart."""

    line: int  # from 1
    id: str | int | None
    text: str
    topics: tuple[str, str]
    sentiments: tuple[str, str]
    p_negative: tuple[float, float]
    distance: float  # largest of the differences in the probabilities of `Spread`, in [0, 1]


class Comparison(msgspec.Struct, frozen=True):
    """Two models on the same lines."""

    lines: int
    both: int  # lines that both scored
    sides: tuple[Side, Side]
    agreement: tuple[Agreement, ...]
    flips: dict[str, dict[str, int]]  # sentiment of the first -> sentiment of the second -> texts
    spread: tuple[Spread, ...]  # empty where no line was scored by both
    movers: tuple[Mover, ...]  # the largest distance first; of equals the first line


def compare(
    lines: Sequence[bytes],
    scorers: Mapping[str, JudgingScorer],
    *,
    detect: DetectLanguage,
    movers: int = 10,
    now_s: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Ask two models about the same lines.

    Args:
        lines: as `groundswell score` takes them.
        scorers: name -> scorer; exactly two.
        detect: decides the language, as for `groundswell score`.
        movers: how many of the texts with the largest differences are wanted.
        now_s: a clock that never goes back.
    """
    (first, one), (second, other) = [(name, _asked(scorer, lines, detect, now_s)) for name, scorer in scorers.items()]
    answers = one[0], other[0]
    both = [i for i, pair in enumerate(zip(*answers, strict=True)) if all(answer["sentiment"] is not None for answer in pair)]
    distances = {name: np.array([_distance(name, answers[0][i], answers[1][i]) for i in both]) for name in (*PROBABILITIES, "topic")}
    flips = {name: dict.fromkeys(SENTIMENTS, 0) for name in SENTIMENTS}
    for i in both:
        flips[answers[0][i]["sentiment"]][answers[1][i]["sentiment"]] += 1
    models = [scorer.model_id for scorer in scorers.values()]
    sides = [
        Side(name, model, sum(answer["sentiment"] is not None for answer in asked), per_second)
        for name, model, (asked, per_second) in zip((first, second), models, (one, other), strict=True)
    ]
    return Comparison(
        lines=len(lines),
        both=len(both),
        sides=(sides[0], sides[1]),
        agreement=tuple(agreement(*(Answers(model, asked, ()) for model, asked in zip(models, answers, strict=True)))) if both else (),
        flips=flips,
        spread=tuple(_spread(name, values) for name, values in distances.items()) if both else (),
        movers=_movers(lines, answers, both, distances, wanted=movers),
    )


def _asked(scorer: JudgingScorer, lines: Sequence[bytes], detect: DetectLanguage, now_s: Callable[[], float]) -> tuple[list[Answer], float]:
    """All answers, and how many lines were answered per second."""
    for _ in score_lines(islice(lines, WARM_UP_LINES), scorer, detect=detect, judge=scorer):
        pass
    began = now_s()
    answers = [msgspec.json.decode(line) for line in score_lines(lines, scorer, detect=detect, judge=scorer)]
    return answers, len(lines) / max(now_s() - began, 1e-9)


def _distance(name: str, one: Answer, other: Answer) -> float:
    if name != "topic":
        return abs(float(one[name]) - float(other[name]))
    topics: list[Mapping[str, float]] = [one["topic_probs"], other["topic_probs"]]
    return sum(abs(topics[0].get(topic, 0.0) - topics[1].get(topic, 0.0)) for topic in {*topics[0], *topics[1]}) / 2


def _spread(name: str, values: "np.ndarray[Any, np.dtype[np.float64]]") -> Spread:
    return Spread(name, float(values.mean()), float(np.percentile(values, 95)), float(values.max()))


def _movers(
    lines: Sequence[bytes],
    answers: tuple[Sequence[Answer], Sequence[Answer]],
    both: Sequence[int],
    distances: "Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]",
    *,
    wanted: int,
) -> tuple[Mover, ...]:
    if not both:
        return ()
    furthest = np.max(list(distances.values()), axis=0)
    found = []
    for place in np.argsort(-furthest, kind="stable")[:wanted].tolist():
        one, other = answers[0][both[place]], answers[1][both[place]]
        given = msgspec.json.decode(lines[both[place]])
        found.append(
            Mover(
                line=both[place] + 1,
                id=one["id"],
                text=" ".join(part for part in (given.get("title"), given.get("text")) if part),
                topics=(one["topic"], other["topic"]),
                sentiments=(one["sentiment"], other["sentiment"]),
                p_negative=(one["p_negative"], other["p_negative"]),
                distance=float(furthest[place]),
            )
        )
    return tuple(found)
