"""Figures: the arithmetic against scikit-learn and plain Python, intervals against what they promise."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from models import metrics as m
from models.metrics import Figure, Sheet

CLASSES = ("up", "down", "flat", "never asked")


def one_of(gold: Sequence[str], said: Sequence[str | None], top: Sequence[float] | None = None) -> Sheet:
    """A row per text; None: no answer."""
    answers = [frozenset() if name is None else frozenset({name}) for name in said]
    return Sheet(len(gold), np.arange(len(gold)), [frozenset({name}) for name in gold], answers, top=None if top is None else np.array(top))


def counts_of(sheet: Sheet, classes: Sequence[str]) -> NDArray[np.float64]:
    return m.class_entries(sheet, classes).sums(np.ones(sheet.texts)).reshape(len(classes), 3)


@pytest.fixture
def guesses() -> tuple[list[str], list[str]]:
    """Right two times in three, with a class that is never asked for and skewed shares."""
    chance = random.Random(3)
    gold = chance.choices(CLASSES[:3], weights=(70, 25, 5), k=400)
    return gold, [name if chance.random() < 0.67 else chance.choice(CLASSES) for name in gold]


# --- against a library that everybody knows ----------------------------------------------------------------------------
def test_figures_of_one_of_tasks_are_those_of_scikit_learn(guesses: tuple[list[str], list[str]]) -> None:
    gold, said = guesses
    counts = counts_of(one_of(gold, said), CLASSES)
    asked = sorted(set(gold))
    assert m.accuracy(counts) == pytest.approx(reference.accuracy_score(gold, said))
    assert m.macro_f1(counts) == pytest.approx(reference.f1_score(gold, said, labels=asked, average="macro"))
    assert m.weighted_f1(counts) == pytest.approx(reference.f1_score(gold, said, labels=asked, average="weighted"))
    rows = reference.precision_recall_fscore_support(gold, said, labels=CLASSES[:3])
    for found, wanted in zip((m.precision(counts), m.recall(counts), m.f1(counts)), rows[:3], strict=True):
        assert found[:3] == pytest.approx(wanted)
    assert counts[:3, m.ASKED] == pytest.approx(rows[3])


def test_a_confusion_is_that_of_scikit_learn_with_a_column_for_no_answer(guesses: tuple[list[str], list[str]]) -> None:
    gold, said = guesses
    table = m.confusion(one_of(gold, said), CLASSES)
    assert (table[:, :-1] == reference.confusion_matrix(gold, said, labels=CLASSES)).all()
    assert table[:, -1].sum() == 0
    assert m.confusion(one_of(["up", "up"], ["down", None]), CLASSES)[0].tolist() == [0, 1, 0, 0, 1]


def test_figures_of_several_labels_are_those_of_scikit_learn() -> None:
    chance = random.Random(4)
    names = ("a", "b", "c", "d")
    gold = [frozenset(name for name in names[:3] if chance.random() < 0.4) for _ in range(300)]
    said = [frozenset(name for name in names if chance.random() < (0.8 if name in row else 0.1)) for row in gold]
    counts = counts_of(Sheet(300, np.arange(300), gold, said), names)
    wanted, given = ([[name in row for name in names] for row in rows] for rows in (gold, said))
    assert m.micro_f1(counts) == pytest.approx(reference.f1_score(wanted, given, average="micro"))
    assert m.macro_f1(counts) == pytest.approx(reference.f1_score(wanted, given, average="macro", labels=[0, 1, 2]))
    assert m.precision(counts)[:3] == pytest.approx(reference.precision_score(wanted, given, average=None, labels=[0, 1, 2]))


def test_spans_count_as_right_only_to_the_character() -> None:
    sheet = Sheet(2, np.arange(2), [frozenset({"0:4", "9:13"}), frozenset()], [frozenset({"0:4", "9:12"}), frozenset({"3:5"})])
    counts = m.pooled_entries(sheet).sums(np.ones(2))
    assert counts.tolist() == [1, 3, 2]
    assert m.f1(counts) == pytest.approx(2 / 5)
    assert m.pooled_entries(Sheet(1, np.arange(1), [frozenset()], [frozenset()])).sums(np.ones(1)).tolist() == [0, 0, 0]


def test_what_has_nothing_to_divide_by_is_no_number() -> None:
    counts = counts_of(one_of(["up", "down"], ["down", None]), CLASSES)
    assert np.isnan(m.precision(counts)).tolist() == [True, False, True, True]
    assert np.isnan(m.recall(counts)).tolist() == [False, False, True, True]
    assert m.f1(counts)[:2].tolist() == [0, 0]
    assert m.macro_f1(counts) == 0


# --- calibration ---------------------------------------------------------------------------------------------------------
def plain_error(top: Sequence[float], hit: Sequence[bool]) -> float:
    """The definition, a row at a time: 15 equal bins, gaps between sums of probabilities and of right answers."""
    gaps = [0.0] * 15
    for share, right in zip(top, hit, strict=True):
        gaps[min(14, int(share * 15))] += share - right
    return sum(map(abs, gaps)) / len(top)


def calibrated(rows: int, seed: int, *, exaggeration: float = 0.0) -> Sheet:
    """Answers that are right as often as they promise, or promise more by some share of what is left to 1."""
    chance = random.Random(seed)
    shares = [0.4 + 0.6 * chance.random() for _ in range(rows)]
    said = ["up" if chance.random() < share else "down" for share in shares]
    return one_of(["up"] * rows, said, [share + exaggeration * (1 - share) for share in shares])


@pytest.mark.parametrize("rows", [7, 400, 3_100])
def test_calibration_error_and_bound_follow_their_definition(rows: int) -> None:
    sheet = calibrated(rows, seed=rows)
    assert sheet.top is not None
    top = sheet.top.tolist()
    gaps = m.gap_entries(sheet).sums(np.ones(rows))
    assert m.calibration_error(gaps) == pytest.approx(plain_error(top, sheet.right.tolist()), abs=1e-12)
    chance, draws = random.Random(0), 500 if rows < 3_000 else 100
    errors = sorted(plain_error(top, [chance.random() < share for share in top]) for _ in range(draws))
    assert m.calibration_bound(sheet.top) == pytest.approx(errors[int(0.95 * draws)], abs=1e-12)


def test_a_calibrated_model_stays_under_the_bound_and_one_that_promises_too_much_does_not() -> None:
    def within(sheet: Sheet) -> bool:
        assert sheet.top is not None
        return bool(m.calibration_error(m.gap_entries(sheet).sums(np.ones(sheet.texts))) <= m.calibration_bound(sheet.top))

    honest = [within(calibrated(300, seed)) for seed in range(40)]
    assert sum(honest) >= 34  # 38 on average
    assert not any(within(calibrated(600, seed, exaggeration=0.5)) for seed in range(10))


def test_the_bins_of_the_picture_hold_every_row_once() -> None:
    sheet = calibrated(500, seed=1)
    bins = m.reliability(sheet)
    assert len(bins) == m.BINS
    assert sum(one.rows for one in bins) == 500
    assert sum(one.rows * one.right for one in bins) == pytest.approx(sheet.right.sum())
    assert all(one.low <= one.probability <= one.high for one in bins if one.rows)
    assert m.reliability(one_of(["up"], ["up"])) == ()
    assert m.reliability(one_of(["up"], ["up"], [1.0]))[-1].rows == 1


# --- intervals -----------------------------------------------------------------------------------------------------------
def accuracy_of(sheet: Sheet, draws: int = m.DRAWS) -> Figure:
    sums = m.drawn_sums(m.class_entries(sheet, CLASSES), sheet.texts, draws=draws)
    return m.figure(m.accuracy(sums.reshape(1 + draws, -1, 3)))


def test_an_interval_holds_the_truth_about_as_often_as_it_promises() -> None:
    held = 0
    for seed in range(100):
        chance = random.Random(seed)
        found = accuracy_of(one_of(["up"] * 200, ["up" if chance.random() < 0.8 else "down" for _ in range(200)]), draws=200)
        held += found.low <= 0.8 <= found.high
    assert 87 <= held <= 100


def test_equal_sheets_have_equal_figures_to_the_last_bit(guesses: tuple[list[str], list[str]]) -> None:
    assert accuracy_of(one_of(*guesses)) == accuracy_of(one_of(*guesses))


def test_texts_are_redrawn_whole() -> None:
    """Four names of a text that stand or fall together are one piece of evidence, not four."""
    chance = random.Random(5)
    right = ["up" if chance.random() < 0.7 else "down" for _ in range(100)]
    apart = accuracy_of(one_of(["up"] * 400, [name for name in right for _ in range(4)]))
    names = [frozenset({name}) for name in right for _ in range(4)]
    together = accuracy_of(Sheet(100, np.repeat(np.arange(100), 4), [frozenset({"up"})] * 400, names))
    assert together.value == apart.value
    assert together.high - together.low == pytest.approx(2 * (apart.high - apart.low), rel=0.2)


def test_a_draw_in_which_a_figure_is_not_defined_is_left_out() -> None:
    found = m.figure(np.array([0.5, np.nan, 0.4, 0.6, np.nan]))
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (0.5, 0.405, 0.595)
    assert m.figure(np.array([0.5, np.nan])) == Figure(0.5, 0.5, 0.5)


def test_an_interval_is_stretched_to_its_value() -> None:
    found = m.figure(np.array([0.02, 0.03, 0.04, 0.05]))
    assert found.low == 0.02
    assert found.high > 0.049


def test_two_models_are_redrawn_alike() -> None:
    one, other = (list(m.redraws(50, draws=5)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert {weights.sum() for weights in one} == {50}
    assert not (one[0] == one[1]).all()
