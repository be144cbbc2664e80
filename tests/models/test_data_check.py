"""What is found in labelled texts before they are trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from models.data_check import Conflict, Facts, Leak, Portion, Spot, check, facts
from models.datasets import CORPORA, read_numbered
from models.examples import Example, Part, Target
from models.near_duplicates import SIMILARITY_MIN

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "train").is_dir(), reason=f"the labelled sets are not at {DATA}")


def example(text: str, *, language: str = "en", **labels: Any) -> Example:
    return Example(text=text, corpus="any", language=language, kind="news", **labels)


def portion(name: str, rows: Sequence[Example], *, part: Part = "train", of_user: bool = False) -> Portion:
    return Portion(name, part, list(enumerate(rows, 1)), of_user=of_user)


# --- sizes --------------------------------------------------------------------------------------------------------------
def test_lengths_are_nearest_ranks_in_characters() -> None:
    found = facts(portion("a", [example("x" * length) for length in range(100, 0, -1)]))
    assert found.lengths == (50, 90, 99, 100)
    assert facts(portion("a", [example("泽塔")])).lengths == (2, 2, 2, 2)
    assert facts(portion("a", [])) == Facts("a", "train", False, 0, 0, (0, 0, 0, 0), {})


def test_empty_texts_are_counted() -> None:
    assert facts(portion("a", [example(""), example(" \n"), example("x")])).empty == 2


def test_classes_are_counted_per_task() -> None:
    rows = [
        example("a", sentiment=2, topic=4, negative=True),
        example("b", sentiment=0, topic=4, negative=False),
        example("c", sentiment=2, labels=("中国", "债券"), flags=("downgrade",)),
        example("d", labels=("中国",), flags=(), targets=(Target("d", 0, 1, 1), Target("e", None, None, None))),
    ]
    assert facts(portion("a", rows)).classes == {
        "sentiment": {"negative": 1, "positive": 2},
        "topic": {"Dividend": 2},
        "negative": {"negative": 1, "other": 1},
        "labels": {"中国": 2, "债券": 1},
        "flags": {"downgrade": 1, "none of them": 1},
        "entities": {"neutral": 1, "place only": 1, "not in the text": 1},
    }


# --- leaks --------------------------------------------------------------------------------------------------------------
def test_a_text_on_both_sides_is_an_exact_leak() -> None:
    train = portion("a", [example("other words here"), example("Acme falls https://example.org/1")])
    report = check([train, portion("b", [example("unseen text"), example("ACME  falls https://example.org/2")], part="dev")])
    assert report.leaks == (Leak(Spot("a", "train", 2), Spot("b", "dev", 2), 1.0, exact=True),)
    assert report.faults == ["texts that leak from training into dev: 1; remove them from the training side"]


def test_a_text_with_one_word_changed_is_a_near_leak_at_its_similarity() -> None:
    text = "acme holdings shares fall again after the board cut its annual dividend"
    train = portion("mine", [example("acme board meets"), example(text.replace("annual", "yearly"))], of_user=True)
    (leak,) = check([train, portion("b", [example(text)], part="dev")]).leaks
    assert (leak.source, leak.dev, leak.exact) == (Spot("mine", "train", 2), Spot("b", "dev", 1), False)
    assert leak.similarity == pytest.approx(9 / 13)
    assert leak.similarity >= SIMILARITY_MIN


def test_a_text_that_only_shares_a_topic_is_no_leak() -> None:
    train = portion("a", [example("acme falls after results"), example("same", language="zh"), example("  ")])
    dev = portion("b", [example("zeta falls after results of acme"), example("same"), example("")], part="dev")
    assert check([train, dev]).leaks == ()
    assert check([train, dev]).faults == []


def test_of_several_sources_each_portion_is_named_once_with_its_nearest_text() -> None:
    text = "acme holdings shares fall again after the board cut its annual dividend"
    near = example(text.replace("annual", "yearly"))
    train = [portion("a", [near, example(text), example(text)]), portion("b", [near, near])]
    leaks = check([*train, portion("c", [example(text)], part="dev")]).leaks
    assert [(leak.source, leak.exact) for leak in leaks] == [(Spot("a", "train", 2), True), (Spot("b", "train", 1), False)]


def test_a_dev_part_may_repeat_itself() -> None:
    assert check([portion("a", [example("acme falls again"), example("acme falls again")], part="dev")]).leaks == ()


# --- contradictions -----------------------------------------------------------------------------------------------------
def test_one_text_with_two_labels_is_a_conflict_with_at_most_three_lines() -> None:
    rows = [example("Acme", sentiment=0), example("other"), *(example("acme", sentiment=1) for _ in range(5))]
    report = check([portion("a", rows)])
    spots = ((Spot("a", "train", 1), "negative"), (Spot("a", "train", 3), "neutral"), (Spot("a", "train", 4), "neutral"))
    assert report.conflicts == (Conflict("sentiment", spots, lines=6, of_user=False),)
    assert report.faults == []


def test_a_conflict_that_a_file_of_the_user_takes_part_in_is_a_fault() -> None:
    ours = portion("tfns", [example("acme", sentiment=0)])
    for rows in ([example("Acme", sentiment=2)], [example("zeta", sentiment=2), example("zeta", sentiment=1)]):
        report = check([ours, portion("mine", rows, of_user=True)])
        assert [conflict.of_user for conflict in report.conflicts] == [True]
        assert report.faults == ["texts of the user's files with conflicting labels: 1; keep one label of each"]


@pytest.mark.parametrize(
    ("one", "other", "task"),
    [
        ({"topic": 1}, {"topic": 2}, "topic"),
        ({"negative": True}, {"negative": False}, "negative"),
        ({"labels": ("中国",)}, {"labels": ()}, "labels"),
        ({"flags": ("downgrade",)}, {"flags": ("downgrade", "litigation")}, "flags"),
        ({"targets": (Target("A", 0, 1, 0),)}, {"targets": (Target("B", 0, 1, 0), Target("A", 0, 1, 2))}, "entity A"),
    ],
)
def test_every_task_can_be_contradicted(one: dict[str, Any], other: dict[str, Any], task: str) -> None:
    (conflict,) = check([portion("a", [example("x", **one), example("x", **other)])]).conflicts
    assert conflict.task == task
    assert len({label for _, label in conflict.spots}) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"sentiment": 0}, {"sentiment": 0}),
        ({"sentiment": 0}, {"topic": 3}),
        ({"labels": None}, {"labels": ()}),
        ({"targets": (Target("A", 0, 1, 0),)}, {"targets": (Target("A", 0, 1, None),)}),
        ({"targets": (Target("A", 0, 1, 0),)}, {"targets": (Target("B", 0, 1, 2),)}),
    ],
)
def test_labels_of_different_things_do_not_contradict(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert check([portion("a", [example("x", **one), example("x", **other)])]).conflicts == ()


def test_texts_of_different_languages_and_parts_and_empty_ones_do_not_contradict() -> None:
    train = [example("x", sentiment=0), example("x", sentiment=1, language="zh"), example(" ", sentiment=1), example("", sentiment=0)]
    assert check([portion("a", train), portion("a", [example("x", sentiment=2)], part="dev")]).conflicts == ()


# --- the real sets ------------------------------------------------------------------------------------------------------
@needs_data
def test_the_real_sets_hold_no_exact_leak_no_conflict_and_no_empty_text() -> None:
    small = ("finentity", "finfe", "wwwxmu")
    report = check([Portion(key, part, read_numbered(DATA, key, part)) for key in small for part in CORPORA[key].parts])
    assert [leak for leak in report.leaks if leak.exact] == []
    assert report.conflicts == ()
    assert [found.empty for found in report.facts] == [0] * 4
    assert sum(found.rows for found in report.facts) == 15_933
