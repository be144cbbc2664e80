"""`groundswell evaluate`: data in three forms, figures as a table, as JSON and as a page, and errors that name the next step."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from groundswell.cli import root
from groundswell.errors import NotFoundError, RecordError, UsageError
from models.datasets import CORPORA
from models.scorer import LINEAR_BUNDLES

TEXTS = ("Acme posts record profit", "Acme cuts its outlook after losses", "Acme opens an office", "Zeta faces a fraud inquiry")
SENTIMENTS = ("positive", "negative", "neutral", "negative")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, ["evaluate", *map(str, arguments)])


def figures(*arguments: str | Path) -> dict[str, Any]:
    result = said(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def sets(folder: Path, key: str, lines: list[dict[str, Any]], part: str = "dev") -> Path:
    path = folder / part / f"{CORPORA[key].stem}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return folder


def sentiments(texts: tuple[str, ...] = TEXTS) -> list[dict[str, Any]]:
    return [{"text": text, "sentiment": sentiment} for text, sentiment in zip(texts, SENTIMENTS, strict=True)]


def csv(path: Path, texts: tuple[str, ...] = TEXTS) -> Path:
    path.write_text("text,sentiment\n" + "".join(f'"{text}",{label}\n' for text, label in zip(texts, SENTIMENTS, strict=True)))
    return path


def test_a_folder_is_measured_set_by_set(tmp_path: Path) -> None:
    sets(tmp_path, "tfns", sentiments())
    sets(tmp_path, "tfnt", [{"text": text, "native_topic": i} for i, text in enumerate(TEXTS)])
    found = figures("linear", tmp_path)
    assert [(one["task"], one["corpus"], one["rows"]) for one in found["measured"]] == [("topic", "tfnt", 4), ("sentiment", "tfns", 4)]
    assert found["model"].startswith("linear-")
    assert found["beside"] == []
    chosen = figures("linear", tmp_path, "--corpus", "tfns", "--corpus", "tfns")
    assert [(one["corpus"], one["rows"]) for one in chosen["measured"]] == [("tfns", 4)]


def test_the_table_has_a_row_per_figure_with_its_interval(tmp_path: Path) -> None:
    result = said("linear", csv(tmp_path / "mine.csv"))
    assert result.exit_code == 0, result.output
    assert "Sentiment, 4 texts" in result.stdout
    assert "accuracy" in result.stdout
    assert "macro F1" in result.stdout
    assert " to " in result.stdout


def test_another_bundle_stands_beside_on_the_languages_that_it_scores(tmp_path: Path) -> None:
    """A copy of the English half knows no Chinese: Chinese texts are not held against it."""
    half = tmp_path / "half"
    half.mkdir()
    for path in LINEAR_BUNDLES.iterdir():
        if not path.name.startswith("zh"):
            (half / path.name).write_bytes(path.read_bytes())
    data = sets(tmp_path / "data", "tfns", sentiments())
    sets(data, "finfe", sentiments(("业绩大涨", "股价跌停", "公司召开会议", "董事长被查")))
    found = figures("linear", data, "--against", half)
    (beside,) = found["beside"]
    assert beside["name"] == "half"
    assert {one["corpus"] for one in found["measured"]} == {"tfns", "finfe"}
    assert {one["corpus"] for one in beside["measured"]} == {one["corpus"] for one in beside["compared"]} == {"tfns"}
    assert beside["compared"][0]["differences"]["accuracy"] == {"value": 0, "low": 0, "high": 0}
    own = said(half, data)
    assert "texts in other languages than en are left out: 4" in own.stderr
    assert "difference" in own.stdout


def test_a_report_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    result = said("linear", csv(tmp_path / "mine.csv"), "-o", tmp_path / "page.html")
    assert f"report: {tmp_path / 'page.html'}" in result.stderr
    assert "<h1>linear</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    refused = said("linear", csv(tmp_path / "mine.csv"), "-o", tmp_path / "none" / "page.html")
    assert isinstance(refused.exception, UsageError)
    assert "choose another file with -o" in str(refused.exception)


def test_a_file_of_ones_own_may_hold_both_languages(tmp_path: Path) -> None:
    lines = [{"text": TEXTS[0], "sentiment": "positive"}, {"text": "股价跌停，公司巨亏", "sentiment": "negative"}, {"text": "12:30"}]
    path = tmp_path / "mine.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    found = figures("linear", path)
    assert [(one["scope"], one["corpus"], one["rows"]) for one in found["measured"]] == [
        ("corpus", "mine", 2), ("language", "all en", 1), ("language", "all zh", 1),
    ]  # fmt: skip


def test_a_recipe_says_which_columns_mean_what_and_which_part_is_measured(tmp_path: Path) -> None:
    csv(tmp_path / "mine.csv")
    entry = '[[data.user]]\npath = "mine.csv"\nlanguage = "en"\nkind = "news"\ntext = "text"\nsentiment = "sentiment"\n'
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(entry)
    refused = said("linear", recipe)
    assert isinstance(refused.exception, UsageError)
    assert 'with part = "dev", and there is none; it has none; add one, or choose another --part' in str(refused.exception)
    assert figures("linear", recipe, "--part", "train")["measured"][0]["rows"] == 4
    recipe.write_text(entry + 'part = "dev"\nname = "desk"\n')
    assert figures("linear", recipe)["measured"][0]["corpus"] == "desk"
    assert "called lost; it has desk" in str(said("linear", recipe, "--corpus", "lost").exception)


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("mine.txt", b"x", UsageError, "is no folder with train/ and dev/"),
        ("none.csv", None, UsageError, "check the path and its permissions"),
        ("mine.csv", b"text,mood\nx,good\n", UsageError, "it has text, mood; rename its columns"),
        ("mine.csv", b"", UsageError, "it has none"),
        ("mine.csv", b"text,sentiment\nx,angry\n", RecordError, "angry"),
        ("mine.jsonl", b"{", RecordError, "the first line is a header (CSV) or an object (JSON lines)"),
        ("mine.csv", b"\xff\xfe\x00", RecordError, "in UTF-8"),
        ("mine.jsonl.gz", gzip.compress(b'{"text": "x", "sentiment": "neutral"}' * 99)[:30], RecordError, "the file is gzip to its end"),
        ("mine.csv.gz", b"text,sentiment\n", RecordError, "the file is gzip to its end"),
        ("mine.csv", b"text,sentiment\n12:30,neutral\n", UsageError, "holds no labelled text in en, zh"),
    ],
)
def test_data_that_cannot_be_read_is_told_with_the_next_step(
    tmp_path: Path, name: str, content: bytes | None, kind: type[Exception], words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = said("linear", tmp_path / name)
    assert isinstance(result.exception, kind), result.exception
    assert words in str(result.exception)


def test_sets_and_bundles_that_are_not_there_are_named(tmp_path: Path) -> None:
    assert "has no file of any known set" in str(said("linear", tmp_path).exception)
    sets(tmp_path, "tfns", sentiments())
    assert "has no file of tfnt" in str(said("linear", tmp_path, "--corpus", "tfnt").exception)
    assert "no set is called 'lost'" in str(said("linear", tmp_path, "--corpus", "lost").exception)
    assert "leave --corpus out" in str(said("linear", csv(tmp_path / "mine.csv"), "--corpus", "tfns").exception)
    missing = said("lost", tmp_path)
    assert isinstance(missing.exception, NotFoundError)
    assert "linear" in str(missing.exception)
