"""A user's own files: a few lines of a recipe, and one clear error for what is wrong in them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import RecordError, SettingsError, UsageError
from models.datasets import read_user_files
from models.examples import Example, Target
from models.user_files import UserFile, read_user_file, user_entries

RECIPE = """
[model]
encoder = "any"

[[data.user]]
path = "mine.csv"
language = "en"
kind = "news"
text = "headline"
sentiment = "label"
[data.user.map.sentiment]
bad = "negative"
good = "positive"

[[data.user]]
path = "sub/posts.jsonl"
language = "zh"
kind = "post"
text = "body"
flags = "risk"
part = "dev"
name = "desk"
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def csv_entry(path: Path, **fields: Any) -> UserFile:
    return UserFile(**({"path": str(path), "language": "en", "kind": "news", "text": "title"} | fields))


def json_lines(path: Path, rows: list[Any]) -> Path:
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


# --- the recipe -------------------------------------------------------------------------------------------------------
def test_a_few_lines_of_a_recipe_join_a_file(tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", "headline,label\nAcme sinks,bad\nZeta soars,good\nOmega opens,neutral\n")
    json_lines(tmp_path / "sub" / "posts.jsonl", [{"body": "提现不了", "risk": ["liquidity_run"]}, {"body": "还行", "risk": []}])
    entries = user_entries(write(tmp_path / "recipe.toml", RECIPE))
    assert [(entry.key, entry.part) for entry in entries] == [("mine", "train"), ("desk", "dev")]
    train = read_user_files(entries, "train")
    assert [(example.text, example.sentiment) for example in train] == [("Acme sinks", 0), ("Zeta soars", 2), ("Omega opens", 1)]
    dev = read_user_files(entries, "dev")
    assert dev[0] == Example(text="提现不了", corpus="desk", language="zh", kind="post", flags=("liquidity_run",))
    assert dev[1].flags == ()
    assert read_user_files(entries) == train + dev


def test_a_recipe_without_files_of_the_user_has_none(tmp_path: Path) -> None:
    assert user_entries(write(tmp_path / "recipe.toml", "[model]\nseed = 1\n")) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sentimant": "label"}, "unknown field `sentimant`"),
        ({"language": "fr"}, "Invalid enum value 'fr'"),
        ({}, "at least one of topic, sentiment, "),
        ({"sentiment": "label", "path": "mine.xlsx"}, "path ends in .csv, .jsonl, .csv.gz or .jsonl.gz; got 'mine.xlsx'; convert the file"),
        ({"entity_sentiment": "label"}, "names stand in the column entity"),
        ({"entity": "company", "targets": "names"}, "names stand in the column entity"),
        ({"targets": "names"}, "targets are objects, which only JSON lines hold; got 'mine.csv'; give entity and entity_sentiment"),
        ({"sentiment": "label", "map.sentiment.bad": "angry"}, "map.sentiment: a sentiment is one of negative, neutral, positive; "),
        ({"sentiment": "label", "map.topic.bad": 3}, "a map belongs to a label whose column is named; got 'map.topic'"),
        ({"sentiment": "label", "date": "day", "map.date.today": "2026-01-01"}, "a map belongs to a label whose column is named"),
        ({"topic": "t", "map.topic.bad": 20}, "map.topic: a topic is 0 to 19, or one of Analyst Update, "),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused_before_the_file_is_read(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    entry = {"path": "mine.csv", "language": "en", "kind": "news", "text": "title"} | keys
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in entry.items())
    with pytest.raises(SettingsError) as caught:
        user_entries(write(tmp_path / "recipe.toml", f"[[data.user]]\n{lines}\n"))
    assert str(caught.value).startswith(f"{tmp_path / 'recipe.toml'}: data.user 1: ")
    assert said in str(caught.value)


def test_a_recipe_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nosuch\.toml: cannot be read \(No such file or directory\); name the recipe's file"):
        user_entries(tmp_path / "nosuch.toml")
    with pytest.raises(SettingsError, match="a recipe is a TOML file with tables"):
        user_entries(write(tmp_path / "recipe.toml", "[[data.user\n"))
    with pytest.raises(SettingsError, match="a recipe is a TOML file with tables"):
        user_entries(write(tmp_path / "recipe.toml", "data = 3\n"))


# --- what cells become ------------------------------------------------------------------------------------------------
def test_every_kind_of_label_is_read_from_cells(tmp_path: Path) -> None:
    path = write(
        tmp_path / "all.csv",
        "title,t,s,l,f,n,d\n"
        "a,4,Positive,能源|期货,downgrade|liquidity_run,yes,2026-01-31T09:00:00Z\n"
        "b,Dividend,,none,none,0,\n"
        '"c, with\na line break",,,,,,\n'
        "d\n",
    )
    entry = csv_entry(path, topic="t", sentiment="s", labels="l", flags="f", negative="n", date="d")
    (one, a), (two, b), (three, c), (four, d) = read_user_file(entry)
    assert (a.topic, a.sentiment, a.labels, a.flags, a.negative, a.date) == (
        4, 2, ("期货", "能源"), ("liquidity_run", "downgrade"), True, "2026-01-31",
    )  # fmt: skip
    assert (b.topic, b.sentiment, b.labels, b.flags, b.negative, b.date) == (4, None, (), (), False, None)
    assert c == Example(text="c, with\na line break", corpus="all", language="en", kind="news")
    assert d == Example(text="d", corpus="all", language="en", kind="news")
    assert (one, two, three, four) == (2, 3, 5, 6)


def test_lines_of_one_text_with_a_name_each_are_joined(tmp_path: Path) -> None:
    path = write(
        tmp_path / "names.csv", "title,who,tone\nAcme up as Zeta sinks,Zeta,negative\nAcme up as Zeta sinks,Acme,positive\nOther,,\n"
    )
    (one, first), (two, second) = read_user_file(csv_entry(path, entity="who", entity_sentiment="tone"))
    assert (one, two) == (2, 4)
    assert first.targets == (Target("Zeta", 11, 15, 0), Target("Acme", 0, 4, 2))
    assert second.targets is None


def test_lines_that_contradict_each_other_stay_apart_and_repeats_do_not(tmp_path: Path) -> None:
    path = write(tmp_path / "names.csv", "title,who,tone\nAcme up,Acme,positive\nAcme up,Acme,positive\nAcme up,Acme,negative\n")
    rows = read_user_file(csv_entry(path, entity="who", entity_sentiment="tone"))
    assert [(number, example.targets) for number, example in rows] == [(2, (Target("Acme", 0, 4, 2),)), (4, (Target("Acme", 0, 4, 0),))]


def test_targets_of_json_lines_may_give_places(tmp_path: Path) -> None:
    text = "Acme, once more Acme"
    given = [{"name": "Acme", "start": 16, "end": 20, "sentiment": "up"}, {"name": "Acme"}, {"name": "Zeta"}]
    path = json_lines(tmp_path / "names.jsonl", [{"title": text, "names": given}, {"title": "b"}])
    words: Any = {"entity_sentiment": {"up": "positive"}}
    (_, first), (_, second) = read_user_file(csv_entry(path, targets="names", map=words))
    assert first.targets == (Target("Acme", 16, 20, 2), Target("Acme", 0, 4, None), Target("Zeta", None, None, None))
    assert second.targets is None


def test_compressed_files_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress("\ufefftitle,label\nAcme,neutral\n".encode()))
    (row,) = read_user_file(csv_entry(path, sentiment="label"))
    assert row == (2, Example(text="Acme", corpus="mine", language="en", kind="news", sentiment=1))


# --- what is refused --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("sentiment", "angry", "column x: a sentiment is one of negative, neutral, positive; got 'angry'; correct it, or add the word to "),
        ("topic", "20", "column x: a topic is 0 to 19, or one of "),
        ("labels", "能源|月亮", "column x: a label is one of 中国, "),
        ("flags", "mood", "column x: a flag is one of default_bankruptcy, "),
        ("negative", "perhaps", "column x: negative is true or false; got 'perhaps'; "),
    ],
)
def test_a_bad_row_is_named_with_line_rule_value_and_next_step(column: str, cell: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", f"title,x\nfine,\nnot fine,{cell}\n")
    with pytest.raises(RecordError) as caught:
        read_user_file(csv_entry(path, **{column: "x"}))
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)


def test_a_date_that_is_none_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", "title,day,label\nfine,31.1.2026,neutral\n")
    with pytest.raises(RecordError, match=r"mine\.csv:2: column day: a date begins with YYYY-MM-DD; got '31\.1\.2026'; correct it$"):
        read_user_file(csv_entry(path, sentiment="label", date="day"))


def test_of_many_bad_rows_the_first_is_told_and_the_others_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", "title,label\na,bad\nb,neutral\nc,worse\nd,neutral,too many\n")
    with pytest.raises(RecordError, match=r"mine\.csv:2: .* got 'bad'; .* \(2 more lines are wrong\)$"):
        read_user_file(csv_entry(path, sentiment="label"))


def test_a_row_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", "title,label\nAcme, Zeta and others,neutral\n")
    with pytest.raises(RecordError, match=r"mine\.csv:2: row: a row has at most 2 cells; got 3; quote cells that contain a comma"):
        read_user_file(csv_entry(path, sentiment="label"))


def test_a_column_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", "title,tone\nAcme,neutral\n")
    with pytest.raises(SettingsError, match="the file has the columns that the recipe names; got 'title, tone'; correct label"):
        read_user_file(csv_entry(path, sentiment="label"))
    lines = json_lines(tmp_path / "mine.jsonl", [{"title": "Acme", "tone": "neutral"}])
    with pytest.raises(SettingsError, match="correct label"):
        read_user_file(csv_entry(lines, sentiment="label"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tone": "neutral"}, ":1: column title: the text is a string; got None; "),
        ({"title": 5, "tone": "neutral"}, ":1: column title: the text is a string; got 5; "),
        (["Acme"], ":1: line: Expected `object`, got `array`; "),
        ({"title": "a", "names": [{"name": ""}]}, ":1: column names: Expected `str` of length >= 1"),
        ({"title": "a", "names": "Acme"}, ":1: column names: Expected `array`, got `str`"),
        ({"title": "a", "names": [{"name": "b", "start": 0, "end": 1}]}, ":1: column names: start and end cut the name out of the text; "),
        ({"title": "a", "names": [{"name": "a", "start": 0}]}, ":1: column names: start and end cut the name out of the text; got "),
    ],
)  # fmt: skip
def test_a_bad_json_line_is_named(row: Any, said: str, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", [row])
    with pytest.raises(RecordError) as caught:
        read_user_file(csv_entry(path, targets="names", sentiment="tone"))
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_file_that_cannot_be_opened_or_is_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nosuch\.csv: cannot be read .* check data\.user\.path"):
        read_user_file(csv_entry(tmp_path / "nosuch.csv", sentiment="label"))
    (tmp_path / "mine.csv").write_bytes("title,label\ncafé,neutral\n".encode("latin-1"))
    with pytest.raises(RecordError, match=r"mine\.csv:1: the file is comma-separated UTF-8; .* save it as that"):
        read_user_file(csv_entry(tmp_path / "mine.csv", sentiment="label"))
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(b"title,label\n" + b"a,neutral\n" * 99)[:-9])
    with pytest.raises(RecordError, match=r"mine\.csv\.gz:\d+: the file is comma-separated UTF-8"):
        read_user_file(csv_entry(tmp_path / "mine.csv.gz", sentiment="label"))
