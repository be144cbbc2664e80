"""Figures of a classifier, each with a bootstrap interval: pure functions over arrays.

Every figure is a function of sums over texts: right answers, answers given and answers asked for per class, and the gap
between probability and outcome per calibration bin. So value and interval come from the same lines: the value from the sums
of all texts, the interval from the sums of redrawn texts. Texts are redrawn, not rows: a text's entities stand or fall together.

Method of the intervals: percentile bootstrap (Efron and Tibshirani 1993, chapter 13). Expected calibration error: Naeini,
Cooper and Hauskrecht 2015, with equal-width bins of the highest probability.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 1_000
SEED: Final = 0
LEVEL: Final = 0.95  # of every interval, and of `ece_bound`
BINS: Final = 15
BOUND_DRAWS: Final = 500
BOUND_DRAWS_MANY: Final = 100  # from BOUND_ROWS_MANY rows on: the bound hardly moves there
BOUND_ROWS_MANY: Final = 3_000
RIGHT, GIVEN, ASKED = range(3)  # what is counted of a class, in the order of the last axis of `counts`

Floats = NDArray[np.float64]


class Figure(msgspec.Struct, frozen=True):
    """A measured value and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


class Bin(msgspec.Struct, frozen=True):
    """Rows whose highest probability is in `[low, high)`; the last bin includes its upper edge."""

    low: float
    high: float
    rows: int
    probability: float  # mean of the rows' highest probabilities; 0 without rows
    right: float  # share of right answers among them; 0 without rows


@dataclass(frozen=True)
class Sheet:
    """What was asked and what was answered: one row per question; a text may hold several, or none.

    gold and said are sets of names per row: one name for "one of" tasks (none where nothing was answered), any number for
    labels, flags and spans.
    """

    texts: int
    text: NDArray[np.int64]  # [rows] the text of each row, 0 .. texts - 1
    gold: Sequence[frozenset[str]]
    said: Sequence[frozenset[str]]
    about: Sequence[str] = ()  # [rows] the name that a row asks about; empty where rows ask about whole texts
    top: Floats | None = None  # [rows] probability of the answer, in [0, 1]; None where answers carry none
    mixed: NDArray[np.bool_] | None = None  # [rows] the text's rows have different gold answers

    @property
    def right(self) -> NDArray[np.bool_]:
        """[rows] whether the answer is exactly what was asked for."""
        return np.array([gold == said for gold, said in zip(self.gold, self.said, strict=True)], bool)


# --- sums over texts -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Entries:
    """A sparse matrix [texts, columns] as (text, column, value) triples: what each text adds to each sum."""

    text: NDArray[np.int64]
    column: NDArray[np.int64]
    value: Floats
    columns: int

    def sums(self, weights: Floats) -> Floats:
        """[columns] sums with each text counted `weights[text]` times."""
        sums: Floats = np.bincount(self.column, weights=self.value * weights[self.text], minlength=self.columns).astype(np.float64)
        return sums  # without entries numpy counts in integers


def redraws(texts: int, *, draws: int) -> Iterator[Floats]:
    """How often each text is drawn, `draws` times over; equal arguments give equal draws, so two models can be paired."""
    generator = np.random.default_rng(SEED)
    for _ in range(draws):
        yield np.bincount(generator.integers(0, texts, texts), minlength=texts).astype(np.float64)


def drawn_sums(entries: Entries, texts: int, *, draws: int = DRAWS) -> Floats:
    """[1 + draws, columns]: the sums of all texts, then those of each draw."""
    return np.stack([entries.sums(np.ones(texts)), *(entries.sums(weights) for weights in redraws(texts, draws=draws))])


def figure(values: Floats) -> Figure:
    """The first of [1 + draws] values, with the percentile interval of the others.

    A draw in which a figure is not defined (no row of a class) is left out; the value itself must be defined. An interval is
    stretched to its value where all draws lie on one side of it, as they may for sums of absolute gaps.
    """
    value, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(drawn) else (value, value)
    return Figure(value, min(value, float(low)), max(value, float(high)))


# --- figures over counts [..., classes, 3] ---------------------------------------------------------------------------
def class_entries(sheet: Sheet, classes: Sequence[str]) -> Entries:
    """RIGHT, GIVEN and ASKED of each class, three columns a class; an answer outside `classes` is just not right."""
    return _entries(sheet, {name: i for i, name in enumerate(classes)}, len(classes))


def pooled_entries(sheet: Sheet) -> Entries:
    """The same with all names as one class: what is asked for are places (spans), not kinds."""
    return _entries(sheet, dict.fromkeys(frozenset().union(*sheet.gold, *sheet.said), 0), 1)


def _entries(sheet: Sheet, place: Mapping[str, int], classes: int) -> Entries:
    texts: list[int] = []
    columns: list[int] = []
    for text, gold, said in zip(sheet.text.tolist(), sheet.gold, sheet.said, strict=True):
        for kind, names in ((RIGHT, gold & said), (GIVEN, said), (ASKED, gold)):
            found = [3 * place[name] + kind for name in names if name in place]
            columns += found
            texts += [text] * len(found)
    return Entries(np.array(texts, np.int64), np.array(columns, np.int64), np.ones(len(texts)), 3 * classes)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Quotient; not a number where there is nothing to divide by."""
    quotient: Floats = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return quotient


def precision(counts: Floats) -> Floats:
    """[..., classes] right / given; not a number for a class that was never given."""
    return ratio(counts[..., RIGHT], counts[..., GIVEN])


def recall(counts: Floats) -> Floats:
    """[..., classes] right / asked; not a number for a class that was never asked for."""
    return ratio(counts[..., RIGHT], counts[..., ASKED])


def f1(counts: Floats) -> Floats:
    """[..., classes] harmonic mean of precision and recall; 0 for a class that is asked for and never given."""
    return ratio(2 * counts[..., RIGHT], counts[..., GIVEN] + counts[..., ASKED])


def accuracy(counts: Floats) -> Floats:
    """[...] share of right answers; for "one of" tasks, where each row asks for one class."""
    return ratio(counts[..., RIGHT].sum(axis=-1), counts[..., ASKED].sum(axis=-1))


def micro_f1(counts: Floats) -> Floats:
    """[...] F1 over all classes together."""
    return f1(counts.sum(axis=-2))


def macro_f1(counts: Floats) -> Floats:
    """[...] mean of F1 over the classes that are asked for; one that is only given costs the others precision, no more."""
    asked = counts[..., ASKED] > 0
    return ratio(np.where(asked, np.nan_to_num(f1(counts)), 0).sum(axis=-1), asked.sum(axis=-1).astype(np.float64))


def weighted_f1(counts: Floats) -> Floats:
    """[...] mean of F1, each class weighted by how often it is asked for."""
    return ratio((np.nan_to_num(f1(counts)) * counts[..., ASKED]).sum(axis=-1), counts[..., ASKED].sum(axis=-1))


def confusion(sheet: Sheet, classes: Sequence[str]) -> NDArray[np.int64]:
    """[classes, classes + 1] rows by gold and said class of a "one of" task; the last column: no answer among `classes`."""
    place = {name: i for i, name in enumerate(classes)}
    table = np.zeros((len(classes), len(classes) + 1), np.int64)
    for gold, said in zip(sheet.gold, sheet.said, strict=True):
        table[place[next(iter(gold))], place.get(next(iter(said), ""), len(classes))] += 1
    return table


# --- calibration ------------------------------------------------------------------------------------------------------
def _bins(top: Floats) -> NDArray[np.int64]:
    return np.minimum((top * BINS).astype(np.int64), BINS - 1)


def gap_entries(sheet: Sheet) -> Entries:
    """Probability minus outcome per calibration bin, and in a last column the number of rows."""
    top = sheet.top if sheet.top is not None else np.zeros(0)
    rows = np.full(len(top), BINS)
    value = np.concatenate([top - sheet.right, np.ones(len(top))])
    return Entries(np.tile(sheet.text, 2), np.concatenate([_bins(top), rows]), value, BINS + 1)


def calibration_error(gaps: Floats) -> Floats:
    """[...] expected calibration error from [..., BINS + 1] sums of `gap_entries`.

    Its bootstrap interval lies high: redrawing adds gaps of its own, and they are summed without their signs. What says
    whether a model is calibrated is `calibration_bound`.
    """
    return ratio(np.abs(gaps[..., :BINS]).sum(axis=-1), gaps[..., BINS])


def calibration_bound(top: Floats) -> float:
    """What a perfectly calibrated model with these probabilities stays under in 95 of 100 cases, on as many rows.

    The draws are those of Python's `random.Random(0)`, one number per row and draw, so that any program can repeat them.
    """
    draws = BOUND_DRAWS if len(top) < BOUND_ROWS_MANY else BOUND_DRAWS_MANY
    _, state, _ = random.Random(0).getstate()
    generator = np.random.RandomState()
    generator.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))
    column, errors = _bins(top), np.empty(draws)
    for draw in range(draws):
        gaps = np.bincount(column, weights=top - (generator.random_sample(len(top)) < top), minlength=BINS)
        errors[draw] = np.abs(gaps).sum() / len(top)
    return float(np.sort(errors)[int(LEVEL * draws)])


def reliability(sheet: Sheet) -> tuple[Bin, ...]:
    """The calibration bins with what was promised and what came true; empty where answers carry no probability."""
    if sheet.top is None:
        return ()
    column = _bins(sheet.top)
    rows, tops, rights = (np.bincount(column, weights=w, minlength=BINS) for w in (np.ones(len(column)), sheet.top, sheet.right * 1.0))
    some = np.maximum(rows, 1)
    return tuple(Bin(i / BINS, (i + 1) / BINS, int(rows[i]), float(tops[i] / some[i]), float(rights[i] / some[i])) for i in range(BINS))
