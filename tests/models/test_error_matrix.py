"""The error matrix: what a model makes of labelled texts, counted where a window can use it."""

from pathlib import Path

import pytest

from groundswell.errors import SettingsError
from groundswell.prevalence import Errors, matrices_in, matrix_of
from models.answers import Answers
from models.error_matrix import error_matrices, load_matrices, written
from models.examples import Example
from models.registry import current_scorer, registry_at


def example(language: str, *, sentiment: int | None = None, negative: bool | None = None) -> Example:
    return Example(text="x", corpus=f"{language}-made", language=language, kind="news", sentiment=sentiment, negative=negative)


def answer(topic: str, sentiment: str | None) -> dict[str, str | None]:
    return {"topic": topic, "sentiment": sentiment}


def test_texts_are_counted_by_what_they_are_and_by_the_topic_that_the_model_gives() -> None:
    asked = [
        (example("en", sentiment=0), answer("earnings", "negative")),
        (example("en", sentiment=0), answer("earnings", "neutral")),
        (example("en", sentiment=2), answer("earnings", "negative")),
        (example("en", sentiment=1), answer("management", "positive")),
        (example("zh", negative=True), answer("earnings", "negative")),
        (example("zh", negative=False), answer("earnings", "neutral")),
    ]
    answers = Answers("one+two", [said for _, said in asked], [None] * len(asked))
    english, chinese = error_matrices([text for text, _ in asked], answers, {"en", "zh"})
    assert (english.model, english.language, english.corpora) == ("one", "en", ["en-made"])
    assert english.topics["earnings"] == Errors(hits=1, negatives=2, alarms=1, others=1)
    assert english.whole == Errors(hits=1, negatives=2, alarms=1, others=2)
    assert (chinese.model, chinese.whole) == ("two", Errors(hits=1, negatives=1, alarms=0, others=1))


def test_texts_without_a_label_of_sentiment_or_without_an_answer_are_left_out() -> None:
    answers = Answers("m", [answer("earnings", "negative"), answer("earnings", None)], [None, None])
    assert error_matrices([example("en"), example("en", sentiment=0)], answers, {"en"}) == []


def test_a_file_of_ones_own_replaces_what_ships_for_the_same_model_and_adds_others(tmp_path: Path) -> None:
    shipped = matrices_in(load_matrices()[1])
    replaced = [type(shipped[0])(**{**{f: getattr(shipped[0], f) for f in shipped[0].__struct_fields__}, "corpora": ["mine"]})]
    (tmp_path / "mine.json").write_bytes(written(replaced))
    found = matrices_in(load_matrices([tmp_path / "mine.json"])[1])
    assert len(found) == len(shipped)
    assert [one.corpora for one in found if (one.model, one.language) == (shipped[0].model, shipped[0].language)] == [["mine"]]
    assert load_matrices([tmp_path / "mine.json"])[0] != load_matrices()[0]


def test_a_file_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"models\.errors: .*nothing\.json"):
        load_matrices([tmp_path / "nothing.json"])


@pytest.mark.parametrize("use", ["auto", "linear"])
def test_the_models_that_ship_have_measured_errors_in_both_languages(use: str) -> None:
    scorer = current_scorer(registry_at(None), finder=lambda _t: [], digest=lambda _t: b"", use=use)  # type: ignore[arg-type]
    matrices = matrices_in(load_matrices()[1])
    for language in ("en", "zh"):
        matrix = matrix_of(matrices, scorer.model_id, language)
        assert matrix is not None, f"{scorer.model_id}: run `groundswell models errors` for it and put the result into error_matrices.json"
        assert matrix.whole.negatives >= 100
