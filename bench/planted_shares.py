"""Planted errors: what a share comes to when the classifier's errors, the labelled texts that measure them and the window are all made up.

Worlds of the models that ship: each topic of each matrix errs as its matrix says it does, the texts that the matrix was counted on are
drawn anew, and the correction sees those counts alone. Windows are not drawn: every possible count has its probability.
"""

from collections.abc import Iterable, Sequence
from math import lgamma, log
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.prevalence import ErrorMatrix, Errors, corrected_share, matrices_in
from models.error_matrix import load_matrices

Floats = NDArray[np.float64]
SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
DOCUMENTS: Final = (5, 10, 20, 50, 100, 500)
REDRAWN: Final = 30
PESSIMISTIC: Final = ((0.6, 0.1), (0.7, 0.15), (0.6, 0.2), (0.55, 0.05))  # hits of negatives, alarms of others
LABELLED: Final = (100, 500)  # negatives, others


class World(NamedTuple):
    """How a classifier errs, and what labelled texts say of it, drawn anew each time."""

    hit: float
    alarm: float
    measured: list[Errors]


class Figures(NamedTuple):
    """Mean absolute errors of a share, and how often its interval holds the planted one."""

    raw: float  # as it was called
    before: float  # Rogan and Gladen (1978)
    now: float  # corrected_share
    held: float


def shipped_worlds(rng: np.random.Generator, redrawn: int = REDRAWN) -> list[World]:
    """A world for each topic of each matrix that ships."""
    worlds = []
    for matrix in matrices_in(load_matrices()[1]):
        truth = {topic: _rates(matrix.of_topic(topic)) for topic in matrix.topics}
        again = [_counted_again(matrix, truth, rng) for _ in range(redrawn)]
        worlds += [World(*rates, [one.of_topic(topic) for one in again]) for topic, rates in truth.items()]
    return worlds


def pessimistic_worlds(rng: np.random.Generator, redrawn: int = REDRAWN) -> list[World]:
    """Worlds of classifiers that err more than any that ships, measured on fewer texts."""
    return [World(hit, alarm, [_counted(hit, alarm, LABELLED, rng) for _ in range(redrawn)]) for hit, alarm in PESSIMISTIC]


def _rates(errors: Errors) -> tuple[float, float]:
    return errors.hits / errors.negatives, errors.alarms / errors.others


def _counted_again(matrix: ErrorMatrix, truth: dict[str, tuple[float, float]], rng: np.random.Generator) -> ErrorMatrix:
    topics = {topic: _counted(*truth[topic], (int(one.negatives), int(one.others)), rng) for topic, one in matrix.topics.items()}
    sums = (sum(column) for column in zip(*((e.hits, e.negatives, e.alarms, e.others) for e in topics.values()), strict=True))
    hits, negatives, alarms, others = sums
    whole = Errors(hits=hits, negatives=negatives, alarms=alarms, others=others)
    return ErrorMatrix(model=matrix.model, language=matrix.language, corpora=[], whole=whole, topics=topics)


def _counted(hit: float, alarm: float, labelled: tuple[int, int], rng: np.random.Generator) -> Errors:
    hits, alarms = (float(rng.binomial(texts, rate)) for texts, rate in zip(labelled, (hit, alarm), strict=True))
    return Errors(hits=hits, negatives=labelled[0], alarms=alarms, others=labelled[1])


def rogan_gladen(negative: int, documents: int, errors: Errors) -> float:
    """The share by the formula of 1978, kept within [0, 1]: what was shown before."""
    hit, alarm = _rates(errors)
    return min(1.0, max(0.0, (negative / documents - alarm) / (hit - alarm)))


def figures(worlds: Sequence[World], documents: int, shares: Sequence[float] = SHARES) -> dict[float, Figures]:
    """{planted share: mean figures over the worlds} of windows of so many documents."""
    rows = [_of_world(world, documents, shares) for world in worlds]
    return {share: Figures(*np.mean([row[n] for row in rows], axis=0).tolist()) for n, share in enumerate(shares)}


def _of_world(world: World, documents: int, shares: Sequence[float]) -> list[list[float]]:
    chances = [_chances(documents, world.alarm + (world.hit - world.alarm) * share) for share in shares]
    rows: list[list[list[float]]] = []
    for errors in world.measured:
        found = [corrected_share(negative, documents, errors) for negative in range(documents + 1)]
        shown = [one for one in found if one is not None]
        if len(shown) <= documents:
            continue
        raw = np.arange(documents + 1) / documents
        before = np.array([rogan_gladen(negative, documents, errors) for negative in range(documents + 1)])
        now, low, high = (np.array([getattr(one, name) for one in shown]) for name in ("share", "low", "high"))
        rows.append(
            [
                [*(float(chance @ abs(each - share)) for each in (raw, before, now)), float(chance @ ((low <= share) & (share <= high)))]
                for share, chance in zip(shares, chances, strict=True)
            ]
        )
    means: list[list[float]] = np.mean(rows, axis=0).tolist()
    return means


def _chances(documents: int, rate: float) -> Floats:
    """Of each number that is called negative, of so many documents."""
    whole = lgamma(documents + 1)
    ways = (whole - lgamma(n + 1) - lgamma(documents - n + 1) for n in range(documents + 1))
    return np.exp([way + n * log(rate) + (documents - n) * log(1 - rate) for n, way in enumerate(ways)])


def overall(found: Iterable[Figures]) -> Figures:
    """Means over planted shares."""
    return Figures(*np.mean(list(found), axis=0).tolist())


def table(title: str, worlds: Sequence[World]) -> str:
    """Mean absolute errors raw / by Rogan and Gladen / now, and how often the interval holds: a row for each number of documents."""
    head = " | ".join(f"{share:.2f}" for share in SHARES)
    lines = [f"| {title}: documents | {head} | all | held | held least |", "|---" * (len(SHARES) + 4) + "|"]
    for documents in DOCUMENTS:
        found = figures(worlds, documents)
        cells = [f"{one.raw:.3f} {one.before:.3f} **{one.now:.3f}**" for one in (*found.values(), overall(found.values()))]
        held = f"{overall(found.values()).held:.1%} | {min(one.held for one in found.values()):.1%}"
        lines.append(f"| {documents} | {' | '.join(cells)} | {held} |")
    return "\n".join(lines)
