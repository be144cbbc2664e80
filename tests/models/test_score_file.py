"""`groundswell score`: one line out per line in, whatever the line is."""

import json
from typing import Any

import pytest

from groundswell.records import Mention
from models.by_language import JudgingScorer
from models.registry import LINEAR, load_scorer
from models.score_file import score_lines
from models.scorer import LinearScorer, Scorer, find_name
from models.taxonomy import measured_topics

KEYS = [
    "id", "topic", "topic_probs", "native_topic", "native_topic_probs", "sentiment", "p_negative", "p_neutral", "p_positive",
    "entities", "flags", "language", "model",
]  # fmt: skip


def finder(text: str) -> list[Mention]:
    place = find_name(text, "Acme")
    return [Mention("ACME", *place)] if place else []


def detect(text: str, claimed: str | None) -> str | None:
    if any("\u4e00" <= character <= "\u9fff" for character in text):
        return "zh"
    return (claimed or "en") if any(character.isalpha() for character in text) else None


@pytest.fixture(scope="module")
def scorer() -> JudgingScorer:
    return load_scorer(LINEAR, finder=finder, digest=lambda _: b"")


def score(scorer: Scorer, *lines: Any, judged: bool = True) -> list[dict[str, Any]]:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    judge = scorer if judged and isinstance(scorer, LinearScorer) else None
    return [json.loads(line) for line in score_lines(raw, scorer, detect=detect, judge=judge)]


def test_an_english_line_has_every_field_of_the_contract(scorer: JudgingScorer) -> None:
    (answer,) = score(scorer, {"id": "a", "title": "Acme shares plunge after profit warning"})
    assert list(answer) == KEYS
    assert answer["id"] == "a"
    assert list(answer["topic_probs"]) == list(measured_topics("en"))
    assert sum(answer["topic_probs"].values()) == pytest.approx(1, abs=1e-9)
    assert len(answer["native_topic_probs"]) == 20
    assert answer["native_topic"] == max(range(20), key=lambda i: answer["native_topic_probs"][i])
    assert answer["sentiment"] == "negative"
    assert answer["p_negative"] + answer["p_neutral"] + answer["p_positive"] == pytest.approx(1, abs=1e-9)
    assert answer["language"] == "en"
    assert answer["model"] == scorer.model_id
    assert [(e["name"], e["start"], e["end"]) for e in answer["entities"]] == [("Acme", 0, 4)]


def test_a_chinese_line_adds_labels_and_has_no_native_topic(scorer: JudgingScorer) -> None:
    (answer,) = score(scorer, {"id": 7, "text": "央行开展逆回购操作，国债收益率下行"})
    assert list(answer) == [*KEYS, "labels"]
    assert answer["native_topic"] is None
    assert answer["native_topic_probs"] is None
    assert list(answer["topic_probs"]) == list(measured_topics("zh"))


def test_given_names_are_answered_in_order_and_verbatim(scorer: JudgingScorer) -> None:
    text = "Alpha shares jump on record profit while BETA plunges after profit warning"
    (answer,) = score(scorer, {"id": "a", "text": text, "entities": ["beta", "Gamma", " Alpha ", "beta"]})
    assert [(e["name"], e["start"], e["end"], e["sentiment"]) for e in answer["entities"]] == [
        ("beta", 41, 45, "negative"),
        ("Gamma", None, None, answer["sentiment"]),
        (" Alpha ", 0, 5, "positive"),
        ("beta", 41, 45, "negative"),
    ]


def test_an_empty_list_of_names_asks_for_none(scorer: JudgingScorer) -> None:
    (answer,) = score(scorer, {"id": "a", "title": "Acme shares plunge", "entities": []})
    assert answer["entities"] == []


def test_without_a_judge_a_name_has_the_sentiment_of_its_document(scorer: JudgingScorer) -> None:
    text = "Alpha shares jump on record profit while Beta plunges after profit warning"
    (answer,) = score(scorer, {"id": "a", "text": text, "entities": ["Alpha", "Beta"]}, judged=False)
    assert {e["p_negative"] for e in answer["entities"]} == {answer["p_negative"]}


def test_offsets_count_in_title_and_text_joined(scorer: JudgingScorer) -> None:
    (answer,) = score(scorer, {"id": "a", "title": "Results", "text": "Acme gains", "entities": ["Acme"]})
    assert (answer["entities"][0]["start"], answer["entities"][0]["end"]) == (8, 12)


@pytest.mark.parametrize(
    ("line", "line_id", "part"),
    [
        (b"{not json", None, "JSON"),
        (b"", None, "not a line"),
        (b"[1]", None, "object"),
        (b"\xff\xfe", None, "not a line"),
        ({"id": "a"}, "a", "both empty"),
        ({"id": "a", "title": " ", "text": ""}, "a", "both empty"),
        ({"id": "a", "title": 3}, "a", "title"),
        ({"id": "a", "title": "x", "kind": "poem"}, "a", "kind"),
        ({"id": "a", "title": "x", "entities": [1]}, "a", "entities"),
        ({"id": ["a"], "title": "x"}, None, "id"),
        (b"[" * 100_000, None, "not a line"),
    ],
)
def test_a_broken_line_keeps_its_place_with_an_error(scorer: JudgingScorer, line: Any, line_id: str | None, part: str) -> None:
    before, broken, after = score(scorer, {"id": 1, "text": "Profit up"}, line, {"id": 2, "text": "Profit down"})
    assert (before["id"], after["id"]) == (1, 2)
    assert before["sentiment"]
    assert after["sentiment"]
    assert broken["id"] == line_id
    assert part in broken["error"]
    assert all(broken[key] is None for key in KEYS if key != "id")


@pytest.mark.parametrize(
    ("line", "part"), [({"id": "a", "text": "La banque", "language": "fr"}, "'fr'"), ({"id": "a", "text": "12 %"}, "no letters")]
)
def test_a_line_that_cannot_be_scored_keeps_its_place_with_a_reason(scorer: JudgingScorer, line: Any, part: str) -> None:
    (answer,) = score(scorer, line)
    assert part in answer["reason"]
    assert "error" not in answer
    assert answer["id"] == "a"
    assert answer["sentiment"] is None


def test_many_lines_come_out_in_order(scorer: JudgingScorer) -> None:
    answers = score(scorer, *({"id": i, "text": f"Profit up {i}" if i % 3 else "12"} for i in range(1200)))
    assert [answer["id"] for answer in answers] == list(range(1200))


def test_lines_are_read_as_they_are_needed(scorer: JudgingScorer) -> None:
    read = 0

    def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b'{"id": 1, "text": "Profit up"}'

    next(score_lines(endless(), scorer, detect=detect))
    assert read <= 512
