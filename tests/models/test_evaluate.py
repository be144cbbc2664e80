"""What a scorer is worth on labelled texts: against the public tool where it is at hand, and by hand on a few lines."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from groundswell.names import SENTIMENTS
from groundswell.records import Mention
from models.answers import Answers, Task, answers_at, answers_of, groups_of
from models.by_language import JudgingScorer
from models.datasets import TAUGHT_FLAGS
from models.evaluate import HEADLINE, Measured, agreement, compare, measure, sign_test
from models.examples import Example, Target
from models.registry import LINEAR, load_scorer
from models.scorer import find_name
from models.taxonomy import NATIVE_TOPICS, RISK_FLAGS
from stream.operators.normalise import detect_language

TOOL: Final = Path(__file__).resolve().parents[3] / "shared" / "tools" / "eval_scores.py"
NAMES: Final = ("Aldora", "Brennick", "Corvane")
TAILS: Final = (
    "posts record profit",
    "cuts its outlook after heavy losses",
    "opens an office in Lyon",
    "faces a fraud inquiry",
    "pays a dividend",
)
CHINESE: Final = ("央行下调存款准备金率", "公司业绩大幅增长", "股价跌停", "原油期货上涨", "监管部门处罚银行")


def finder(text: str) -> list[Mention]:
    places = [(name, find_name(text, name)) for name in NAMES[:2]]
    return sorted((Mention(name.lower(), *place) for name, place in places if place), key=lambda mention: mention.start)


@pytest.fixture(scope="module")
def scorer() -> JudgingScorer:
    return load_scorer(LINEAR, finder=finder, digest=lambda _: b"")


def example(text: str, *, corpus: str = "mine", language: str = "en", kind: str = "news", **labels: Any) -> Example:
    return Example(text=text, corpus=corpus, language=language, kind=kind, **labels)


def headline(number: int) -> str:
    return f"{NAMES[number % 3]} {TAILS[number % 5]}, says {NAMES[(number + 1) % 3]} in note {number}"


def answer(**fields: Any) -> dict[str, Any]:
    """An output line as an unscored text has it, but for the given fields."""
    blank = dict.fromkeys(("topic", "native_topic", "native_topic_probs", "sentiment", "entities", "flags"))
    return blank | {f"p_{name}": None for name in SENTIMENTS} | fields


def feeling(negative: float, neutral: float, positive: float) -> dict[str, Any]:
    shares = (negative, neutral, positive)
    said = SENTIMENTS[shares.index(max(shares))]
    return answer(sentiment=said, **{f"p_{name}": share for name, share in zip(SENTIMENTS, shares, strict=True)})


def answers(*plain: dict[str, Any], named: Sequence[dict[str, Any] | None] | None = None, model: str = "m") -> Answers:
    return Answers(model, plain, named or [None] * len(plain))


def only(found: Sequence[Measured]) -> Measured:
    assert len(found) == 1
    return found[0]


# --- against the public tool -------------------------------------------------------------------------------------------
def gold_lines(task: Task) -> tuple[list[dict[str, Any]], list[Example]]:
    """The same labelled texts as the tool reads them and as this project does; labels are drawn, not true."""
    lines: list[dict[str, Any]] = []
    examples = []
    for i in range(60):
        text, sentiment, topic = headline(i), i * 7 % 3, i * i % 20
        if task == "topic":
            lines.append({"text": text, "native_topic": topic})
            examples.append(example(text, topic=topic))
        elif task == "sentiment":
            lines.append({"text": text, "sentiment": SENTIMENTS[sentiment]})
            examples.append(example(text, sentiment=sentiment))
        elif task == "labels":
            text, labels = f"{CHINESE[i % 5]}{i}", (("宏观",), ("公司", "行业"), ())[i % 3]
            lines.append({"text": text, "labels": list(labels)})
            examples.append(example(text, language="zh", labels=labels))
        else:
            names = [NAMES[i % 3], NAMES[(i + 1) % 3]]
            targets = [Target(name, text.index(name), text.index(name) + len(name), (sentiment + j) % 3) for j, name in enumerate(names)]
            lines.append({"text": text, "entities": [{"name": t.name, "sentiment": SENTIMENTS[t.sentiment or 0]} for t in targets]})
            examples.append(example(text, targets=tuple(targets)))
    return lines, examples


@pytest.mark.skipif(not TOOL.exists(), reason=f"the public measuring tool is not at {TOOL}")
@pytest.mark.parametrize("task", ["topic", "sentiment", "entities", "spans", "labels"])
def test_figures_are_those_of_the_public_tool(task: Task, scorer: JudgingScorer, tmp_path: Path) -> None:
    lines, examples = gold_lines(task)
    found = answers_of(scorer, examples, detect=detect_language)
    scored = found.named if task == "entities" else found.plain
    for name, rows in (("gold", lines), ("scored", scored)):
        (tmp_path / name).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    command = [sys.executable, str(TOOL), str(tmp_path / "gold"), str(tmp_path / "scored"), "--task", task]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    own = only([one for one in measure(examples, found) if one.task == task])
    ours = {name: figure.value for name, figure in own.figures.items()} | {"rows": own.rows, "ece_bound": own.ece_bound}
    shared = set(theirs) & set(ours)
    assert shared >= {"rows"} | set(HEADLINE[task]) if task != "spans" else shared == {"rows", "f1", "precision", "recall"}
    assert {name: ours[name] for name in shared} == pytest.approx({name: theirs[name] for name in shared}, abs=6e-5)


# --- tasks by hand -----------------------------------------------------------------------------------------------------
def test_a_text_without_an_answer_is_wrong_and_counted() -> None:
    examples = [example("a", topic=0), example("b", topic=1)]
    one = only(measure(examples, answers(answer(), answer(sentiment="neutral", native_topic=1, native_topic_probs=[0.1, 0.9]))))
    assert (one.rows, one.unscored, one.figures["accuracy"].value) == (2, 1, 0.5)
    assert one.confusion is not None
    assert one.confusion.counts[0][-1] == 1


def test_an_unscored_sentiment_is_the_first_class_without_any_confidence() -> None:
    """As the public tool reads it; only a negative text gains by it."""
    examples = [example("a", sentiment=0), example("b", sentiment=2), example("c", sentiment=2)]
    one = only(measure(examples, answers(answer(), answer(), feeling(0.1, 0.1, 0.8))))
    assert (one.rows, one.unscored) == (3, 2)
    assert one.figures["accuracy"].value == pytest.approx(2 / 3)
    assert one.reliability[0].rows == 2
    assert [row.name for row in one.classes] == ["negative", "positive"]


def test_a_set_without_neutral_texts_asks_for_no_neutral() -> None:
    examples = [example("a", sentiment=0), example("b", sentiment=2)]
    one = only(measure(examples, answers(feeling(0.3, 0.6, 0.1), feeling(0.1, 0.6, 0.3))))
    assert one.figures["accuracy"].value == 1.0
    assert [found.rows for found in one.reliability if found.rows] == [2]
    assert one.reliability[11].probability == pytest.approx(0.75)  # .3 of the .4 that negative and positive have


def test_a_name_that_is_not_answered_is_wrong_with_full_confidence() -> None:
    targets = (Target("Aldora", 0, 6, 0), Target("Brennick", 10, 18, 2))
    entity = {"name": "aldora ", "start": 0, "end": 6, "sentiment": "negative", "p_negative": 0.9, "p_neutral": 0.1, "p_positive": 0.0}
    found = measure([example("a", targets=targets)], answers(answer(entities=[]), named=[answer(entities=[entity])]))
    one, spans = found
    assert (one.task, one.rows, one.texts) == ("entities", 2, 1)
    assert one.figures["accuracy"].value == one.figures["conflict"].value == 0.5
    assert one.reliability[-1].rows == 1
    assert one.confusion is not None
    assert one.confusion.counts == ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 1))
    assert (spans.task, spans.figures["f1"].value, spans.figures["recall"].value) == ("spans", 0.0, 0.0)


def test_figures_with_nothing_to_divide_by_are_left_out() -> None:
    """No flag was asked for and none was given: there is no precision, and no NaN in its place."""
    one = only(measure([example("a", flags=())], answers(answer(sentiment="neutral", flags=[]))))
    assert one.figures == {}
    assert b"null" not in msgspec.json.encode(one.figures)
    spans = measure([example("a", targets=(Target("Aldora", 0, 6, None),))], answers(answer(entities=[])))
    assert set(only(spans).figures) == {"f1", "recall"}


def test_flags_that_a_set_says_nothing_of_are_neither_right_nor_wrong() -> None:
    taught, untaught = TAUGHT_FLAGS[0], next(flag for flag in RISK_FLAGS if flag not in TAUGHT_FLAGS)
    said = answer(sentiment="negative", flags=[taught, untaught])
    for corpus, given in (("finese", {taught}), ("mine", {taught, untaught})):
        one = only(measure([example("a", corpus=corpus, flags=(taught,))], answers(said)))
        assert {row.name for row in one.classes if row.given} == given


def test_negative_or_not_takes_the_probability_of_its_answer() -> None:
    examples = [example("a", negative=True), example("b", negative=False)]
    one = only(measure(examples, answers(feeling(0.9, 0.1, 0.0), feeling(0.2, 0.2, 0.6))))
    assert one.figures["accuracy"].value == 1.0
    assert [found.probability for found in one.reliability if found.rows] == pytest.approx([0.8, 0.9])


# --- groups ------------------------------------------------------------------------------------------------------------
def test_pools_are_measured_where_they_hold_other_rows() -> None:
    examples = [
        example("a", corpus="x", kind="news", sentiment=0),
        example("b", corpus="y", kind="post", sentiment=0),
        example("c", corpus="z", kind="post", sentiment=0),
        example("d", corpus="w", language="zh", sentiment=0),
        example("e", corpus="x"),
    ]
    found = [(group.scope, group.name, group.places) for group in groups_of(examples)]
    assert found == [
        ("corpus", "x", (0,)),
        ("corpus", "y", (1,)),
        ("corpus", "z", (2,)),
        ("corpus", "w", (3,)),
        ("language", "all en", (0, 1, 2)),
        ("kind", "en post", (1, 2)),
    ]


# --- two models --------------------------------------------------------------------------------------------------------
def two_models() -> tuple[list[Example], Answers, Answers]:
    """The first is right on all of forty, the second on every second."""
    examples = [example(str(i), sentiment=0) for i in range(40)]
    right, wrong = feeling(0.8, 0.1, 0.1), feeling(0.1, 0.1, 0.8)
    return examples, answers(*[right] * 40, model="a"), answers(*[right, wrong] * 20, model="b")


def test_two_models_are_compared_on_the_same_redrawn_texts() -> None:
    examples, first, second = two_models()
    one = compare(examples, first, second)[0]
    assert (one.models, one.agreement, one.only_first, one.only_second) == (("a", "b"), 0.5, 20, 0)
    difference = one.differences["accuracy"]
    assert difference.value == pytest.approx(0.5)
    assert 0.3 < difference.low < 0.5 < difference.high < 0.7
    assert [change.text for change in one.changes] == list(range(1, 40, 2))
    assert (one.changes[0].gold, one.changes[0].first, one.changes[0].second) == (("negative",), ("negative",), ("positive",))
    itself = compare(examples, first, first)[0]
    assert itself.differences["accuracy"] == msgspec.convert({"value": 0, "low": 0, "high": 0}, type(difference))
    assert (itself.p_value, itself.changes) == (1.0, ())


def test_the_probability_of_a_split_is_the_binomial_one() -> None:
    stats = pytest.importorskip("scipy.stats")
    for first, second in ((0, 0), (3, 11), (20, 0), (7, 8), (400, 460)):
        expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
        assert sign_test(first, second) == pytest.approx(expected)


def test_agreement_needs_no_labels_and_leaves_unscored_texts_out() -> None:
    entity = {"name": "Aldora", "start": 0, "end": 6, "sentiment": "neutral", "p_neutral": 0.9}
    base = feeling(0.8, 0.1, 0.1) | {"flags": ["litigation", "downgrade"], "entities": [entity]}
    same = base | {"p_negative": 0.7, "flags": ["downgrade", "litigation"], "entities": [entity | {"p_neutral": 0.5}]}
    other = base | {"sentiment": "neutral"}
    found = agreement(answers(base, base, base), answers(same, other, answer()))
    assert [(one.field, one.texts, one.share, one.differing) for one in found] == [
        ("sentiment", 2, 0.5, (1,)),
        ("flags", 2, 1.0, ()),
        ("entities", 2, 1.0, ()),
    ]


def test_answers_can_be_had_for_some_of_the_texts() -> None:
    examples, _, second = two_models()
    part = answers_at(second, range(1, 40, 2))
    assert only(measure([examples[i] for i in range(1, 40, 2)], part)).figures["accuracy"].value == 0.0


# --- a scorer ----------------------------------------------------------------------------------------------------------
def test_names_are_shown_for_their_sentiment_and_held_back_for_their_places(scorer: JudgingScorer) -> None:
    text = "Corvane posts record profit"
    found = answers_of(scorer, [example(text, targets=(Target("Corvane", 0, 7, 2),)), example(text)], detect=detect_language)
    assert found.plain[0]["entities"] == []  # the finder does not know the name
    assert found.named[0] is not None
    assert [entity["name"] for entity in found.named[0]["entities"]] == ["Corvane"]
    assert found.named[1] is None


def test_measuring_a_scorer_gives_the_same_bytes_again(scorer: JudgingScorer) -> None:
    examples = [example(headline(i), topic=i % 20, sentiment=i % 3) for i in range(30)]
    first, again = (msgspec.json.encode(measure(examples, answers_of(scorer, examples, detect=detect_language))) for _ in range(2))
    assert first == again
    read = msgspec.json.decode(first, type=list[Measured])
    assert [one.task for one in read] == ["topic", "sentiment"]
    assert all(figure.low <= figure.value <= figure.high for one in read for figure in one.figures.values())
    assert read[0].confusion is not None
    assert read[0].confusion.classes == NATIVE_TOPICS
    assert np.sum(read[0].confusion.counts) == 30
