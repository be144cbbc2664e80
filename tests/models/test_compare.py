"""Two models on the same texts: what agrees, what flips, what moves most, and how fast each is."""

import itertools
from pathlib import Path

import msgspec
import pytest

from models.by_language import JudgingScorer
from models.compare import WARM_UP_LINES, Comparison, compare
from models.registry import LINEAR, load_scorer
from stream.operators.normalise import detect_language
from tests.model_bundles import a_linear

LINES = [
    msgspec.json.encode({"id": number, "title": title})
    for number, title in enumerate(
        (
            "Lender files for bankruptcy after heavy losses",
            "Retailer beats forecasts and raises its outlook",
            "Company holds its annual meeting on Tuesday",
            "银行业绩下滑，亏损扩大",
            "12345 !!!",
        )
    )
]


def scorer(folder: Path | None = None) -> JudgingScorer:
    if folder is None:
        return load_scorer(LINEAR, finder=lambda _: [], digest=lambda _: b"")
    return load_scorer(folder, finder=lambda _: [], digest=lambda _: b"")


@pytest.fixture(scope="module")
def contrary(tmp_path_factory: pytest.TempPathFactory) -> JudgingScorer:
    return scorer(a_linear(tmp_path_factory.mktemp("bundles") / "contrary", slope=-1.0))


def compared(first: JudgingScorer, second: JudgingScorer, *, lines: list[bytes] = LINES, movers: int = 10) -> Comparison:
    ticks = itertools.count(0.0, 0.5)
    return compare(lines, {"a": first, "b": second}, detect=detect_language, movers=movers, now_s=lambda: next(ticks))


def test_a_model_agrees_with_itself() -> None:
    found = compared(scorer(), scorer())
    assert (found.lines, found.both) == (5, 4)
    assert all(one.share == 1.0 and one.differing == () for one in found.agreement)
    assert {one.largest for one in found.spread} == {0.0}
    assert all(count == 0 for first, row in found.flips.items() for second, count in row.items() if first != second)


def test_what_differs_is_counted_by_field_by_flip_and_by_text(contrary: JudgingScorer) -> None:
    found = compared(scorer(), contrary)
    agreement = {one.field: one for one in found.agreement}
    assert agreement["topic"].share == 1.0
    assert agreement["sentiment"].share < 1.0
    assert sum(map(sum, (row.values() for row in found.flips.values()))) == found.both
    flipped = sum(count for first, row in found.flips.items() for second, count in row.items() if first != second)
    assert flipped == len(agreement["sentiment"].differing)
    assert {one.probability for one in found.spread} == {"p_negative", "p_neutral", "p_positive", "topic"}
    assert all(0 <= one.mean <= one.largest <= 1 for one in found.spread)
    distances = [mover.distance for mover in found.movers]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == max(one.largest for one in found.spread)
    first = found.movers[0]
    assert msgspec.json.decode(LINES[first.line - 1])["title"] == first.text
    assert abs(first.p_negative[0] - first.p_negative[1]) <= first.distance


def test_only_as_many_texts_as_wanted_are_shown(contrary: JudgingScorer) -> None:
    assert [len(compared(scorer(), contrary, movers=n).movers) for n in (0, 2, 99)] == [0, 2, 4]


def test_each_side_says_how_many_lines_it_answers_a_second(contrary: JudgingScorer) -> None:
    found = compared(scorer(), contrary)
    assert [(side.name, side.scored, side.per_second) for side in found.sides] == [("a", 4, 10.0), ("b", 4, 10.0)]
    assert found.sides[0].model != found.sides[1].model


def test_texts_that_only_one_of_them_reads_are_counted_on_its_side_alone() -> None:
    english = load_scorer("linear", finder=lambda _: [], digest=lambda _: b"", languages=["en"])
    found = compared(scorer(), english)
    assert [side.scored for side in found.sides] == [4, 3]
    assert found.both == 3


def test_lines_that_neither_can_read_leave_nothing_to_compare(contrary: JudgingScorer) -> None:
    found = compared(scorer(), contrary, lines=[b"{broken", LINES[-1]] * WARM_UP_LINES)
    assert (found.both, found.agreement, found.spread, found.movers) == (0, (), (), ())
