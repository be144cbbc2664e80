"""Labelled texts as lessons: which head is taught, where names lie in tokens, and how batches are cut."""

import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from models.datasets import CORPORA, TAUGHT_FLAGS  # noqa: E402
from models.encoder.lessons import Lesson, class_shares, collate, heads_of, plan, sentiment_of  # noqa: E402
from models.examples import Example, Target  # noqa: E402
from tests.tiny_encoder import a_recipe, an_example, toy_lessons  # noqa: E402

TEXT = "北谷大涨阿克跌"  # one token for each character, after [CLS]


def the_lesson(checkpoint: Path, example: Example) -> Lesson:
    return toy_lessons(a_recipe(checkpoint), [example])[1][0]


def of_length(*lengths: int) -> list[Lesson]:
    return [Lesson(np.arange(1, length + 1, dtype=np.int32)) for length in lengths]


def test_a_text_teaches_only_what_it_is_labelled_for(checkpoint: Path) -> None:
    heads, (judged, plain) = toy_lessons(a_recipe(checkpoint), [an_example(TEXT, sentiment=2), an_example(TEXT)])
    assert set(heads.text) == {"post", "news", "gate"}
    assert heads.token == ()
    assert set(judged.wanted) == {"news", "gate"}
    assert judged.wanted["news"].tolist() == [0, 0, 1]
    assert set(plain.wanted) == {"gate"}
    assert plain.tags is None


def test_heads_follow_from_the_labels_that_there_are() -> None:
    examples = [an_example(TEXT, topic=3, labels=("b",), flags=()), an_example(TEXT, labels=("a", "b"))]
    heads = heads_of("zh", examples)
    assert heads.text["labels"] == ("a", "b")
    assert heads.text["flags"] == TAUGHT_FLAGS
    assert "topic" in heads.text
    assert "flags" not in heads_of("en", examples).text


def test_labels_and_flags_that_are_annotated_as_none_are_wanted_as_none(checkpoint: Path) -> None:
    examples = [an_example(TEXT, labels=("a",), flags=(TAUGHT_FLAGS[0],)), an_example(TEXT, labels=(), flags=())]
    _, (some, none) = toy_lessons(a_recipe(checkpoint), examples)
    assert (some.wanted["labels"].sum(), some.wanted["flags"].sum()) == (1, 1)
    assert (none.wanted["labels"].sum(), none.wanted["flags"].sum()) == (0, 0)


def test_names_are_found_by_their_tokens(checkpoint: Path) -> None:
    lesson = the_lesson(checkpoint, an_example(TEXT, targets=(Target("北谷", 0, 2, 2), Target("阿克", 4, 6, None))))
    assert [(name.first, name.last) for name in lesson.names] == [(1, 3), (5, 7)]
    first, second = lesson.names
    assert first.wanted is not None
    assert first.wanted.tolist() == [0, 0, 1]
    assert second.wanted is None
    assert lesson.tags is not None
    assert lesson.tags.argmax(-1).tolist() == [0, 1, 2, 0, 0, 1, 2, 0, 0]


def test_a_name_that_the_text_lacks_is_judged_by_the_whole_text(checkpoint: Path) -> None:
    lesson = the_lesson(checkpoint, an_example(TEXT, targets=(Target("钢铁", None, None, 0),)))
    assert [(name.first, name.last) for name in lesson.names] == [(0, len(lesson.ids))]
    assert lesson.tags is not None
    assert not lesson.tags.argmax(-1).any()


def test_a_corpus_that_marks_some_names_only_teaches_no_spans() -> None:
    partial = next(key for key, corpus in CORPORA.items() if "spans" not in corpus.tasks)
    example = Example(text=TEXT, corpus=partial, language="zh", kind="news", targets=(Target("北谷", 0, 2, 2),))
    assert heads_of("zh", [example]).token == ("target",)


@pytest.mark.parametrize(
    ("example", "sentiment"),
    [
        (an_example(TEXT, sentiment=1, negative=True), 1),
        (an_example(TEXT, negative=True), 0),
        (an_example(TEXT, negative=False), 1),
        (an_example(TEXT, targets=(Target("北谷", 0, 2, 2), Target("阿克", 4, 6, 2))), 2),
        (an_example(TEXT, targets=(Target("北谷", 0, 2, 2), Target("阿克", 4, 6, 0))), None),
        (an_example(TEXT), None),
    ],
)
def test_the_sentiment_of_a_text_is_what_is_known_of_it(example: Example, sentiment: int | None) -> None:
    assert sentiment_of(example) == sentiment


def test_every_lesson_is_in_one_batch_and_no_batch_is_too_large() -> None:
    lengths = random.Random(3).choices(range(2, 40), k=500)
    batches = plan(lengths, 120, random.Random(0))
    assert sorted(number for batch in batches for number in batch) == list(range(500))
    assert all(len(batch) * max(lengths[number] for number in batch) <= 120 for batch in batches)
    padding = sum(len(batch) * max(lengths[number] for number in batch) for batch in batches) - sum(lengths)
    assert padding < 0.05 * sum(lengths)


def test_the_order_hangs_on_the_seed_alone() -> None:
    lengths = random.Random(3).choices(range(2, 40), k=100)
    assert plan(lengths, 120, random.Random(1)) == plan(lengths, 120, random.Random(1))
    assert plan(lengths, 120, random.Random(1)) != plan(lengths, 120, random.Random(2))


def test_a_lesson_longer_than_a_batch_is_a_batch() -> None:
    assert sorted(plan([5, 500, 5], 100, random.Random(0))) == [[0, 2], [1]]


def test_padding_is_masked_and_left_out_where_there_is_none() -> None:
    batch = collate(of_length(3, 1), device="cpu")
    assert batch.ids.tolist() == [[1, 2, 3], [1, 0, 0]]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.tokens == 4
    assert collate(of_length(2, 2), device="cpu").mask is None


def test_class_shares_are_means_over_the_lessons_that_teach_a_head() -> None:
    ids = np.ones(2, np.int32)
    lessons = [Lesson(ids, {"news": np.array(row, np.float32)}) for row in ([1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1])]
    shares = class_shares([*lessons, Lesson(ids)])
    assert shares["news"].tolist() == [0.25, 0, 0.75]
