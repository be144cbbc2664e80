"""What a student learns from: labels softened by who has not seen them, answers of all where there is no label."""

import gzip
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from models.encoder import workshop  # noqa: E402
from models.encoder.lessons import Lesson, Name  # noqa: E402
from models.encoder.network import blocks_of  # noqa: E402
from models.encoder.prepare import network_of  # noqa: E402
from models.encoder.recipe import Distillation, read_recipe  # noqa: E402
from models.encoder.teachers import Said, begin_as, parts_of, recipe_of, softened  # noqa: E402
from models.encoder.train import LOG  # noqa: E402
from models.training_log import read_log  # noqa: E402
from stream.operators.normalise import detect_language  # noqa: E402
from tests.models.encoder.test_workshop import chinese_data, chinese_recipe, own_file, threads_kept  # noqa: E402
from tests.tiny_encoder import a_recipe, toy_examples, toy_lessons  # noqa: E402

NEWS, POST = np.ones(1, np.float32), np.zeros(1, np.float32)
UP, DOWN = np.array([0, 0, 1], np.float32), np.array([1, 0, 0], np.float32)
SURE = 30.0  # a logit beside zeros: probability one
ALL = Distillation(teachers=2, share=0.25, heads=("topic", "post", "news", "target", "spans"))


def shares(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def a_teacher(**said: NDArray[np.float32]) -> Said:
    return {"gate": NEWS, **said}


def test_each_labelled_text_has_one_teacher_that_does_not_learn_it_and_each_has_as_many(checkpoint: Path) -> None:
    recipe = a_recipe(checkpoint, distillation=Distillation(teachers=3))
    parts = parts_of(90, recipe)
    assert sorted(parts) == sorted([1, 2, 3] * 30)
    assert parts != sorted(parts)
    assert parts == parts_of(90, recipe)


def test_a_teacher_is_trained_by_the_recipe_without_teachers_and_from_other_chances(checkpoint: Path) -> None:
    recipe = a_recipe(checkpoint, distillation=Distillation(teachers=2, epochs=7), seed=5)
    own = recipe_of(recipe, 2)
    assert (own.seed, own.optimiser.epochs, own.distillation) == (7, 7, Distillation())
    assert own.data == recipe.data


def test_a_label_is_softened_by_the_teacher_alone_that_has_not_learned_the_text() -> None:
    lesson = Lesson(np.ones(2, np.int32), {"gate": NEWS, "news": UP})
    said = [a_teacher(news=shares(1, 0, 0)), a_teacher(news=shares(0, 1, 0))]
    assert softened(lesson, said, part=2, settings=ALL).wanted["news"].tolist() == [0, 0.25, 0.75]
    assert softened(lesson, said, part=1, settings=ALL).wanted["news"].tolist() == [0.25, 0, 0.75]
    assert softened(lesson, said, part=1, settings=ALL).wanted["gate"].tolist() == [1]


def test_what_a_text_was_not_labelled_for_all_teachers_answer() -> None:
    said = [a_teacher(news=shares(1, 0, 0), post=shares(1, 0, 0), topic=shares(1, 0)), a_teacher(news=UP, post=UP, topic=shares(0, 1))]
    post = softened(Lesson(np.ones(2, np.int32), {"gate": POST}), said, part=None, settings=ALL)
    assert {head: wanted.tolist() for head, wanted in post.wanted.items()} == {"gate": [0], "post": [0.5, 0, 0.5], "topic": [0.5, 0.5]}
    news = softened(Lesson(np.ones(2, np.int32), {"gate": NEWS}), said, part=1, settings=ALL)
    assert news.wanted.keys() == {"gate", "news", "topic"}
    few = softened(Lesson(np.ones(2, np.int32), {"gate": NEWS}), said, part=1, settings=Distillation(teachers=2, heads=("topic",)))
    assert few.wanted.keys() == {"gate", "topic"}


def test_names_and_their_places_are_softened_too() -> None:
    tags = np.eye(3, dtype=np.float32)[[0, 1, 0]]
    lesson = Lesson(np.ones(3, np.int32), {"gate": NEWS}, (Name(1, 2, UP), Name(0, 1, None)), tags)
    own = a_teacher(target=SURE * np.stack([UP, DOWN, UP]), spans=SURE * np.eye(3, dtype=np.float32)[[0, 0, 0]])
    found = softened(
        lesson, [own, a_teacher(target=np.zeros((3, 3), np.float32), spans=np.zeros((3, 3), np.float32))], part=1, settings=ALL
    )
    assert found.names[0].wanted is not None
    assert found.names[0].wanted.tolist() == pytest.approx([0.25, 0, 0.75])
    assert found.names[1].wanted is None
    assert found.tags is not None
    assert found.tags[1].tolist() == pytest.approx([0.25, 0.75, 0])


def test_in_a_text_without_names_those_count_that_teachers_find() -> None:
    places = SURE * np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    said = [a_teacher(target=np.tile(SURE * towards, (4, 1)), spans=places) for towards in (UP, DOWN)]
    found = softened(Lesson(np.ones(4, np.int32), {"gate": NEWS}), said, part=None, settings=ALL)
    assert [(name.first, name.last) for name in found.names] == [(1, 3)]
    assert found.names[0].wanted is not None
    assert found.names[0].wanted.tolist() == pytest.approx([0.5, 0, 0.5])
    assert found.tags is not None
    assert found.tags.argmax(1).tolist() == [0, 1, 2, 0]


def test_a_student_can_begin_with_some_blocks_of_its_teacher(checkpoint: Path) -> None:
    recipe = a_recipe(checkpoint, distillation=Distillation(teachers=2, begin="teacher"))
    heads, _ = toy_lessons(recipe, toy_examples(10))
    teacher = network_of(recipe_of(recipe, 1), heads)
    small = msgspec.structs.replace(recipe, encoder=msgspec.structs.replace(recipe.encoder, layers=(1,)))
    student = network_of(small, heads)
    before = blocks_of(student.encoder)[0].output.dense.bias.clone()
    with torch.no_grad():
        blocks_of(teacher.encoder)[1].output.dense.bias += 1
        teacher.text["news"].bias += 1
    begin_as(student, teacher, small)
    assert torch.allclose(blocks_of(student.encoder)[0].output.dense.bias, before + 1)
    assert torch.equal(student.text["news"].bias, teacher.text["news"].bias)


def test_a_taught_run_trains_its_teachers_once_and_makes_a_bundle(checkpoint: Path, tmp_path: Path) -> None:
    chinese_data(tmp_path / "data")
    replay = [{"title": text.text, "text": "今日", "kind": "comment", "language": "zh"} for text in toy_examples(20, seed=9)]
    (tmp_path / "data" / "replay").mkdir()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*replay, {"title": "x", "kind": "news", "language": "en"}])
    (tmp_path / "data" / "replay" / "talk.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    more = '[distillation]\nteachers = 2\nepochs = 1\nheads = ["post", "news"]\nunlabelled = { talk = 30 }\n'
    text = chinese_recipe(checkpoint, own_file(tmp_path / "mine.csv")).replace("epochs = 5", "epochs = 2") + more
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    notes: list[str] = []

    def make(out: str) -> workshop.Made:
        with threads_kept():
            return workshop.make(
                read_recipe(tmp_path / "recipe.toml"),
                recipe_text=text,
                data=tmp_path / "data",
                run=tmp_path / "run",
                out=tmp_path / out,
                finder=lambda _: [],
                detect=detect_language,
                device="cpu",
                threads=1,
                progress=lambda record: notes.append(str(record["note"])) if "note" in record else None,
            )

    bundle = make("bundle").bundle
    assert [note for note in notes if "teacher" in note][:2] == ["teacher 1 of 2", "teacher 2 of 2"]
    learned = next(note for note in notes if "answer for" in note)
    texts = int(learned.split()[4])
    logs = [read_log((tmp_path / "run" / part / LOG).read_bytes().splitlines(), name=part) for part in (".", "teacher-1")]
    assert texts > 300  # 400 labelled ones less those held out, and the 20 Chinese ones of the archive
    assert all(logs)
    before = (tmp_path / "run" / "teacher-1" / LOG).read_bytes()
    assert make("again").bundle.card.calibration == bundle.card.calibration
    assert (tmp_path / "run" / "teacher-1" / LOG).read_bytes() == before
