"""One reader per set: what a line becomes, and what is said of a line that is not what it should be."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from groundswell.errors import RecordError, UsageError
from models.datasets import (
    CORPORA,
    EVENT_TO_FLAGS,
    NO_EVENT,
    TAUGHT_FLAGS,
    Example,
    Part,
    Target,
    folds,
    holdout,
    read_corpus,
    read_numbered,
    read_user_files,
)
from models.taxonomy import RISK_FLAGS
from models.user_files import UserFile

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "train").is_dir(), reason=f"the labelled sets are not at {DATA}")


def written(folder: Path, key: str, rows: Sequence[Any], part: Part = "train") -> Path:
    """A data folder with one part of one set; a row that is a string is written as it is."""
    path = folder / part / f"{CORPORA[key].stem}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return folder


def read_one(folder: Path, key: str, row: dict[str, Any]) -> Example:
    (example,) = read_corpus(written(folder, key, [row]), key, "train", research=True)
    return example


# --- what a line becomes ----------------------------------------------------------------------------------------------
CASES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "tfnt": ({"text": "Acme pays 5 cents", "native_topic": 4}, {"topic": 4}),
    "tfns": ({"text": "Acme sinks", "sentiment": "negative"}, {"sentiment": 0}),
    "sentfin": (
        {"text": "Acme up, Zeta flat", "entities": [{"name": "Zeta", "sentiment": "neutral"}, {"name": "acme", "sentiment": "positive"}]},
        {"targets": (Target("Zeta", 9, 13, 1), Target("acme", 0, 4, 2))},
    ),
    "finentity": (
        {"text": "Zeta said Acme fell", "entities": [{"name": "Acme", "start": 10, "end": 14, "sentiment": "negative"}]},
        {"targets": (Target("Acme", 10, 14, 0),)},
    ),
    "finfe": ({"text": "又跌了", "sentiment": "neutral"}, {"sentiment": 1}),
    "wwwxmu": (
        {"text": "阿克米：净利增两成", "sentiment": "positive", "company": "阿克米", "date": "2018-03-20"},
        {"sentiment": 2, "date": "2018-03-20", "targets": (Target("阿克米", 0, 3, 2),)},
    ),
    "finnl": ({"text": "原油期货上涨", "labels": ["能源", "期货"]}, {"labels": ("期货", "能源")}),
    "finese": (
        {"text": "泽塔被下调评级", "event": "评级调整", "entity": "泽塔"},
        {"flags": ("downgrade",), "targets": (Target("泽塔", 0, 2, 0),)},
    ),
    "finnsp": (
        {"text": "泽塔诉阿克米", "candidates": ["阿克米", "泽塔", "欧米"], "negative": True, "subjects": ["阿克米"]},
        {"negative": True, "targets": (Target("阿克米", 3, 6, 0), Target("泽塔", 0, 2, None), Target("欧米", None, None, None))},
    ),
    "fiqa": (
        {"text": "Acme soars", "kind": "headline", "targets": [{"name": "Acme", "score": 0.4, "aspects": ["Stock"]}]},
        {"kind": "news", "targets": (Target("Acme", 0, 4, 2),)},
    ),
    "stockemotions": ({"text": "$ACME up", "sentiment": "positive", "emotion": "joy"}, {"sentiment": 2}),
    "thucnews": ({"text": "某队获胜", "class": 7}, {}),
}


@pytest.mark.parametrize("key", CORPORA)
def test_a_line_becomes_an_example(key: str, tmp_path: Path) -> None:
    row, labels = CASES[key]
    corpus = CORPORA[key]
    facts = {"text": row["text"], "corpus": key, "language": corpus.language, "kind": corpus.kind}
    assert read_one(tmp_path, key, row) == Example(**(facts | labels))


def test_every_set_tells_what_may_be_done_with_it() -> None:
    for key, corpus in CORPORA.items():
        assert corpus.key == key
        assert corpus.stem.startswith(f"{corpus.language}_")
        assert corpus.licence
        assert corpus.train_lines > 0
    assert {key for key, corpus in CORPORA.items() if corpus.ship == "research only"} == {"fiqa", "stockemotions", "thucnews"}


def test_a_score_near_nought_is_neutral(tmp_path: Path) -> None:
    scores = [-1, -0.11, -0.1, 0.1, 0.11]
    row = {"text": "Acme", "kind": "post", "targets": [{"name": "Acme", "score": score} for score in scores]}
    example = read_one(tmp_path, "fiqa", row)
    assert [target.sentiment for target in example.targets or ()] == [0, 0, 1, 1, 2]
    assert example.kind == "post"


# --- SEntFiN and FinEntity: places ------------------------------------------------------------------------------------
def sentfin(folder: Path, text: str, *names: str) -> list[tuple[str, int | None, int | None]]:
    example = read_one(folder, "sentfin", {"text": text, "entities": [{"name": name, "sentiment": "neutral"} for name in names]})
    return [(target.name, target.start, target.end) for target in example.targets or ()]


def test_of_several_places_the_first_counts(tmp_path: Path) -> None:
    assert sentfin(tmp_path, "Acme sues; Acme wins", "Acme") == [("Acme", 0, 4)]


def test_a_name_is_not_sought_inside_a_longer_one_while_it_stands_elsewhere(tmp_path: Path) -> None:
    text = "Acme Bank sells Acme Bank bonds to Acme"
    assert sentfin(tmp_path, text, "Acme", "Acme Bank") == [("Acme", 35, 39), ("Acme Bank", 0, 9)]
    assert sentfin(tmp_path, "Acme Bank sells bonds", "Acme", "Acme Bank") == [("Acme", 0, 4), ("Acme Bank", 0, 9)]


def test_a_genitive_without_its_apostrophe_is_the_name(tmp_path: Path) -> None:
    assert sentfin(tmp_path, "Metals fall, Metas shares rise", "Meta") == [("Meta", 13, 17)]


def test_a_name_that_is_spelt_otherwise_has_no_place(tmp_path: Path) -> None:
    assert sentfin(tmp_path, "Acmeville votes", "Acme") == [("Acme", None, None)]


def test_names_that_lost_a_part_to_the_label_map_are_put_right(tmp_path: Path) -> None:
    text = "Acme Holdings and Zeta Russell trade, neutral on Neutralia"
    found = sentfin(tmp_path, text, "Acme neutralings", "Zeta Rusnegative", "Neutralia")
    assert found == [("Acme Holdings", 0, 13), ("Zeta Russell", 18, 30), ("Neutralia", 49, 58)]


def finentity(folder: Path, text: str, *entities: tuple[str, int, str]) -> tuple[Target, ...] | None:
    rows = [{"name": name, "start": start, "end": start + len(name), "sentiment": word} for name, start, word in entities]
    return read_one(folder, "finentity", {"text": text, "entities": rows}).targets


def test_a_start_that_misses_its_name_is_moved_to_the_nearest_place(tmp_path: Path) -> None:
    text = "Acme? \ufffd\ufffdNo,\ufffd\ufffd said Acme"
    assert finentity(tmp_path, text, ("Acme", 16, "neutral")) == (Target("Acme", 19, 23, 1),)


def test_a_start_far_from_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"en_entity_finentity\.jsonl\.gz:1: entities\[0\]\.start: .* got 9; correct the offsets"):
        finentity(tmp_path, "Acme fell on Monday", ("Acme", 9, "negative"))


def test_a_span_marked_twice_is_kept_once_and_without_sentiment_where_the_marks_disagree(tmp_path: Path) -> None:
    marks = (("Acme", 0, "positive"), ("Acme", 0, "neutral"), ("Zeta", 5, "neutral"), ("Zeta", 5, "neutral"))
    assert finentity(tmp_path, "Acme Zeta", *marks) == (Target("Acme", 0, 4, None), Target("Zeta", 5, 9, 1))


# --- FinESE -----------------------------------------------------------------------------------------------------------
def test_lines_of_one_text_are_one_example_under_the_first_line(tmp_path: Path) -> None:
    rows = [
        {"text": "泽塔评级下调，阿克米老板跑路", "event": "失联跑路", "entity": "阿克米"},
        {"text": "平安无事", "event": NO_EVENT, "entity": "NaN"},
        {"text": "泽塔评级下调，阿克米老板跑路", "event": "评级调整", "entity": "泽塔"},
        {"text": "泽塔评级下调，阿克米老板跑路", "event": "涉嫌欺诈", "entity": "阿克米"},
    ]
    (first, one), (second, other) = read_numbered(written(tmp_path, "finese", rows), "finese", "train")
    assert (first, second) == (1, 2)
    assert one.flags == ("liquidity_run", "fraud_investigation", "downgrade")
    assert one.targets == (Target("阿克米", 7, 10, 0), Target("泽塔", 0, 2, 0))
    assert (other.flags, other.targets) == ((), ())


def test_the_map_of_events_covers_21_and_none_and_raises_known_flags() -> None:
    assert len(EVENT_TO_FLAGS) == 22
    assert EVENT_TO_FLAGS[NO_EVENT] == ()
    assert {flag for flags in EVENT_TO_FLAGS.values() for flag in flags} == set(TAUGHT_FLAGS) < set(RISK_FLAGS)
    assert list(TAUGHT_FLAGS) == sorted(TAUGHT_FLAGS, key=RISK_FLAGS.index)


def test_titles_of_several_companies_say_nothing_of_each(tmp_path: Path) -> None:
    row = {"text": "泽塔、阿克米停牌", "sentiment": "negative", "company": "阿克米,泽塔", "date": "2018-03-20"}
    assert read_one(tmp_path, "wwwxmu", row).targets == (Target("阿克米", 3, 6, None), Target("泽塔", 0, 2, None))


# --- what is refused --------------------------------------------------------------------------------------------------
WRONG: Final[list[tuple[str, Any, str]]] = [
    ("tfnt", {"text": "a", "native_topic": 20}, "native_topic: Expected `int` <= 19; got 20; "),
    ("tfnt", {"text": "a", "native_topic": "4"}, "native_topic: Expected `int`, got `str`; got '4'; "),
    ("tfns", {"text": "a", "sentiment": "angry"}, "sentiment: one of negative, neutral, positive; got 'angry'; "),
    ("tfns", {"text": "a"}, "sentiment: Object missing required field `sentiment`; got {'text': 'a'}; "),
    ("tfns", ["a"], "line: Expected `object`, got `array`; got ['a']; "),
    ("tfns", '{"text": "a", sentim', "line: a line is one JSON object (JSON is malformed: "),
    ("tfns", '{"text": "a", sentim', '; got \'{"text": "a", sentim\'; '),
    (
        "sentfin",
        {"text": "a", "entities": [{"name": "a", "sentiment": 0}]},
        "entities[0].sentiment: one of negative, neutral, positive; got 0; ",
    ),
    ("sentfin", {"text": "a", "entities": [{"name": "a"}]}, "entities[0].sentiment: Object missing required field `sentiment`; got {"),
    ("finnl", {"text": "a", "labels": ["中国", "月亮"]}, "labels: a label is one of 中国 "),
    ("finnl", {"text": "a", "labels": ["中国", "月亮"]}, "; got '月亮'; correct it, or add it to taxonomy.LABEL_TO_TOPIC"),
    ("finese", {"text": "a", "event": "地震", "entity": "b"}, "; got '地震'; correct it, or add it to datasets.EVENT_TO_FLAGS"),
    ("finnsp", {"text": "a", "candidates": [], "negative": True, "subjects": ["c"]}, "a subject is among the candidates; got 'c'; "),
    ("wwwxmu", {"text": "a", "sentiment": "positive", "company": "b", "date": "20.3.18"}, "date: a date is YYYY-MM-DD; got '20.3.18'; "),
    ("wwwxmu", {"text": "a", "sentiment": "neutral", "company": "b", "date": ""}, "sentiment: one of negative, positive; got 'neutral'; "),
    ("fiqa", {"text": "a", "kind": "post", "targets": [{"name": "a", "score": 2}]}, "targets[0].score: Expected `float` <= 1.0; got 2; "),
]


@pytest.mark.parametrize(("key", "row", "said"), WRONG)
def test_a_wrong_line_is_named_with_file_line_field_value_and_next_step(key: str, row: Any, said: str, tmp_path: Path) -> None:
    good = CASES[key][0]
    with pytest.raises(RecordError) as caught:
        read_corpus(written(tmp_path, key, [good, row]), key, "train", research=True)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "train" / f"{CORPORA[key].stem}.jsonl.gz:2: "))
    assert said in message
    assert "correct" in message or "add" in message


def test_bytes_that_are_no_text_are_a_wrong_line(tmp_path: Path) -> None:
    written(tmp_path, "tfns", [])
    (tmp_path / "train" / "en_sentiment_tfns.jsonl.gz").write_bytes(gzip.compress(b'{"text": "\xff", "sentiment": "neutral"}\n'))
    with pytest.raises(RecordError, match=r"jsonl\.gz:1: line: "):
        read_corpus(tmp_path, "tfns", "train")


def test_a_truncated_file_is_refused_with_the_line_where_it_ends(tmp_path: Path) -> None:
    path = written(tmp_path, "tfns", [CASES["tfns"][0]] * 3) / "train" / "en_sentiment_tfns.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(RecordError, match=r"jsonl\.gz:\d: the file is gzip to its end; .* restore it"):
        read_corpus(tmp_path, "tfns", "train")


def test_what_cannot_be_opened_is_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"en_topic_tfnt\.jsonl\.gz: cannot be read .* check the path"):
        read_corpus(tmp_path, "tfnt", "train")
    with pytest.raises(UsageError, match="no set is called 'nosuch'; choose of tfnt, "):
        read_corpus(tmp_path, "nosuch", "train")
    with pytest.raises(UsageError, match=r"FinEntity has no part 'dev'; use train with datasets\.folds"):
        read_corpus(tmp_path, "finentity", "dev")


def test_a_set_for_research_is_opened_on_demand_alone(tmp_path: Path) -> None:
    folder = written(tmp_path, "fiqa", [CASES["fiqa"][0]])
    with pytest.raises(UsageError, match=r"FiQA is for research only \(not by the authors\); pass research=True"):
        read_corpus(folder, "fiqa", "train")
    assert len(read_corpus(folder, "fiqa", "train", research=True)) == 1


def test_a_file_of_the_user_may_not_be_called_like_a_set(tmp_path: Path) -> None:
    entry = UserFile(path=str(tmp_path / "tfns.csv"), language="en", kind="news", text="title", sentiment="label")
    with pytest.raises(UsageError, match=r"a set is called 'tfns' already; give the entry of data\.user another name"):
        read_user_files([entry])


# --- dev parts that do not exist --------------------------------------------------------------------------------------
def dated(day: int, *companies: str) -> Example:
    targets = tuple(Target(name, None, None, None) for name in companies)
    return Example(text=f"title {day}", corpus="wwwxmu", language="zh", kind="news", sentiment=2, targets=targets, date=f"2018-01-{day:02}")


def test_the_last_tenth_is_held_out_by_day_and_by_company() -> None:
    early = [dated(day, f"company {day}") for day in range(1, 18)]
    shared = dated(5, "company 40", "company 41")
    late = [dated(29, "company 40"), dated(29, "company 42")]
    train, held = holdout([late[0], *early, shared, late[1]])
    assert held == late
    assert train == early  # `shared` names a held company: it is on neither side


def test_a_day_is_not_cut_in_two() -> None:
    train, held = holdout([dated(1, "a"), *(dated(2, f"b{i}") for i in range(9))])
    assert [example.date for example in train] == ["2018-01-01"]
    assert len(held) == 9


def test_a_text_without_a_date_cannot_be_held_out_by_date() -> None:
    with pytest.raises(UsageError, match=r"every example has a date; 1 have none; use datasets\.folds"):
        holdout([dated(1), Example(text="a", corpus="mine", language="en", kind="news")])
    assert holdout([]) == ([], [])


def entity_text(text: str) -> Example:
    return Example(text=text, corpus="finentity", language="en", kind="news", targets=())


def test_near_duplicates_share_a_fold_and_folds_are_even() -> None:
    words = ["bank", "fund", "bond", "loan", "rate", "yield", "swap", "coin", "gold", "iron"]
    texts = [f"{a} {b} report {i} says {b} beats {a} in week {i}" for i, (a, b) in enumerate((a, b) for a in words for b in words)]
    examples = [entity_text(text) for text in texts] + [entity_text(f"{text.upper()}!") for text in texts]
    fold = folds(examples, 5)
    assert fold[:100] == fold[100:]
    assert [fold.count(number) for number in range(5)] == [40] * 5
    assert folds(examples, 5) == fold


def test_one_fold_is_none() -> None:
    with pytest.raises(UsageError, match="at least two folds are needed; got 1"):
        folds([entity_text("a")], 1)


# --- the real sets ----------------------------------------------------------------------------------------------------
@needs_data
@pytest.mark.parametrize("key", CORPORA)
def test_the_real_files_are_what_the_table_says(key: str) -> None:
    corpus = CORPORA[key]
    for part in corpus.parts:
        path = DATA / part / f"{corpus.stem}.jsonl.gz"
        with gzip.open(path, "rb") as file:
            assert sum(1 for _ in file) == (corpus.train_lines if part == "train" else corpus.dev_lines)
        examples = read_corpus(DATA, key, part, research=True)
        assert all(example.text.strip() for example in examples)
        for example in examples:
            for target in example.targets or ():
                if target.start is not None:
                    assert example.text[target.start : target.end].lower() == target.name.strip().lower()


@needs_data
def test_the_real_events_are_those_of_the_map() -> None:
    with gzip.open(DATA / "train" / "zh_event_finese.jsonl.gz", "rb") as file:
        assert {json.loads(line)["event"] for line in file} == set(EVENT_TO_FLAGS)


@needs_data
def test_the_real_titles_are_held_out_as_documented() -> None:
    examples = read_corpus(DATA, "wwwxmu", "train")
    train, held = holdout(examples)
    assert (len(train), len(held), len(examples)) == (4_086, 575, 5_726)
    assert min(example.date or "" for example in held) == "2018-06-06"
    assert "4,086 train, 1,065 are left out" in (holdout.__doc__ or "")
