"""Losses beside figures worked out by hand, and the figures of a look."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from models.encoder.lessons import Batch, Lesson, Name, collate  # noqa: E402
from models.encoder.network import Answers  # noqa: E402
from models.encoder.objectives import Tally, losses, names_of  # noqa: E402
from models.encoder.recipe import Task  # noqa: E402

HARD = {head: Task(smoothing=0) for head in ("news", "labels", "target", "spans")}
UP = np.array([0, 0, 1], np.float32)
DOWN = np.array([1, 0, 0], np.float32)


def a_batch(*lessons: Lesson) -> Batch:
    return collate(lessons, device="cpu")


def a_lesson(length: int = 3, **parts: object) -> Lesson:
    return Lesson(np.ones(length, np.int32), **parts)  # type: ignore[arg-type]


def test_undecided_answers_cost_the_logarithm_of_the_choices() -> None:
    batch = a_batch(a_lesson(wanted={"news": UP}), a_lesson(wanted={"news": DOWN}))
    found = losses(Answers({"news": torch.zeros(2, 3)}, {}), batch, HARD, {})
    assert float(found["news"]) == pytest.approx(math.log(3))


def test_a_text_counts_alike_whatever_share_of_the_batch_teaches_a_head() -> None:
    batch = a_batch(a_lesson(wanted={"news": UP}), a_lesson(), a_lesson(), a_lesson())
    found = losses(Answers({"news": torch.zeros(4, 3), "post": torch.zeros(4, 3)}, {}), batch, HARD, {})
    assert set(found) == {"news"}
    assert float(found["news"]) == pytest.approx(math.log(3) / 4)


def test_weights_of_tasks_and_classes_scale_a_loss() -> None:
    batch = a_batch(a_lesson(wanted={"news": UP}))
    answers = Answers({"news": torch.tensor([[0.5, 1.0, -2.0]])}, {})
    plain = float(losses(answers, batch, HARD, {})["news"])
    weighted = losses(answers, batch, {"news": Task(weight=0.5, smoothing=0)}, {"news": torch.tensor([9.0, 9.0, 3.0])})
    assert float(weighted["news"]) == pytest.approx(1.5 * plain)


def test_smoothing_is_towards_all_columns_alike() -> None:
    batch = a_batch(a_lesson(wanted={"news": UP}))
    logits = torch.tensor([[0.5, 1.0, -2.0]])
    wanted = torch.tensor([0.1, 0.1, 0.8])
    found = losses(Answers({"news": logits}, {}), batch, {"news": Task(smoothing=0.3)}, {})
    assert float(found["news"]) == pytest.approx(float(-(wanted * torch.log_softmax(logits[0], 0)).sum()))


def test_labels_stand_each_for_itself() -> None:
    batch = a_batch(a_lesson(wanted={"labels": np.array([1, 0], np.float32)}))
    found = losses(Answers({"labels": torch.tensor([[2.0, 1.0]])}, {}), batch, HARD, {})
    assert float(found["labels"]) == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2)


def test_a_name_is_judged_by_the_mean_over_its_tokens() -> None:
    logits = torch.arange(24, dtype=torch.float32).reshape(2, 4, 3)
    batch = a_batch(a_lesson(4, names=(Name(1, 3, UP), Name(0, 1, None))), a_lesson(2))
    judged, wanted = names_of(logits, batch)
    assert judged is not None
    assert judged.tolist() == [[4.5, 5.5, 6.5]]
    assert wanted.tolist() == [UP.tolist()]
    assert names_of(logits[:1], a_batch(a_lesson()))[0] is None


def test_padding_is_no_part_of_a_loss_of_tokens() -> None:
    tags = np.eye(3, dtype=np.float32)
    short, long = a_lesson(3, tags=tags), a_lesson(5)
    logits = torch.zeros(2, 5, 3)
    logits[0, 3:] = 100.0 * torch.eye(3)[0]
    found = losses(Answers({}, {"spans": logits}), a_batch(short, long), HARD, {})
    assert float(found["spans"]) == pytest.approx(math.log(3) / 2)


def test_the_figures_of_a_look_are_those_of_their_definitions() -> None:
    tags = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    wanted = [UP, UP, DOWN, DOWN]
    labels = np.array([1, 0], np.float32)
    lessons = [a_lesson(4, wanted={"news": row, "labels": labels}, tags=tags) for row in wanted]
    news = torch.eye(3)[[2, 2, 2, 0]]
    found_tags = torch.eye(3)[torch.tensor([[0, 1, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 2, 0]])]
    tally = Tally()
    answers = Answers({"news": news, "labels": torch.tensor([[1.0, 1.0]] * 4)}, {"spans": found_tags})
    tally.add(answers, a_batch(*lessons))
    figures = tally.figures()
    assert figures["news accuracy"] == 0.75
    assert figures["news macro F1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert figures["labels micro F1"] == pytest.approx(2 * 4 / (2 * 4 + 4))
    assert figures["spans F1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    halves = Tally()
    for part in (slice(0, 2), slice(2, 4)):
        text = {head: logits[part] for head, logits in answers.text.items()}
        halves.add(Answers(text, {"spans": found_tags[part]}), a_batch(*lessons[part]))
    assert halves.figures() == figures
