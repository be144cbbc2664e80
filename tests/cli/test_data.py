"""`groundswell data check`: what is printed, and when it ends with 1."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundswell.cli import root
from groundswell.cli.data import CONFLICTS_SHOWN
from groundswell.errors import RecordError, UsageError
from models.datasets import CORPORA

RECIPE = '[[data.user]]\npath = "mine.csv"\nlanguage = "en"\nkind = "news"\ntext = "title"\nsentiment = "label"\n'


def said(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, ["data", "check", *map(str, arguments)])


def fill(folder: Path, key: str, part: str, *texts: str) -> None:
    path = folder / part / f"{CORPORA[key].stem}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps({"text": text, "sentiment": "neutral"}) + "\n" for text in texts).encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path, "tfns", "train", "acme opens a branch", "zeta names a new chair")
    fill(tmp_path, "tfns", "dev", "omega keeps its outlook")
    return tmp_path


def test_clean_sets_are_described_and_end_with_0(folder: Path) -> None:
    result = said(folder)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split() == [
        "set",
        "part",
        "rows",
        "empty",
        "median",
        "90",
        "%",
        "99",
        "%",
        "longest",
        "weights",
        "may",
        "be",
        "shipped",
    ]
    assert lines[1].split() == ["tfns", "train", "2", "0", "19", "22", "22", "22", "yes"]
    assert "tfns  train  sentiment  neutral 2" in lines
    assert "leaks: none" in lines
    assert "conflicting labels: none" in lines
    assert lines[-1] == "no leak, and no conflict in files of your own"
    assert all(line == line.rstrip() for line in lines)


def test_a_leak_ends_with_1_and_names_its_lines(folder: Path) -> None:
    fill(folder, "tfns", "dev", "omega keeps its outlook", "ACME opens a branch")
    result = said(folder)
    assert result.exit_code == 1
    assert "tfns        tfns            1     0        -  1 = 2" in result.output.splitlines()
    assert result.output.splitlines()[-1] == "FAULT: texts that leak from training into dev: 1; remove them from the training side"


def test_files_of_the_user_are_checked_by_the_recipe(folder: Path) -> None:
    (folder / "mine.csv").write_text("title,label\nTotal news,neutral\ntotal news,positive\nomega keeps its outlook,neutral\n,neutral\n")
    (folder / "recipe.toml").write_text(RECIPE)
    result = said(folder, "--recipe", folder / "recipe.toml")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert ["mine", "train", "4", "1", "10", "23", "23", "23", "yours"] in [line.split() for line in lines]
    assert "mine        tfns            1     0        -  4 = 1" in lines
    assert "sentiment      2  mine train:2 neutral, mine train:3 positive" in lines
    assert [line.split("; ")[0] for line in lines[-2:]] == [
        "FAULT: texts that leak from training into dev: 1",
        "FAULT: texts of the user's files with conflicting labels: 1",
    ]


def test_of_many_conflicts_a_screen_is_shown(folder: Path) -> None:
    texts = "".join(f"text {i},neutral\ntext {i},positive\n" for i in range(CONFLICTS_SHOWN + 5))
    (folder / "mine.csv").write_text(f"title,label\n{texts}")
    (folder / "recipe.toml").write_text(RECIPE)
    result = said(folder, "--recipe", folder / "recipe.toml")
    assert result.output.count("mine train:") == 2 * CONFLICTS_SHOWN
    assert "and 5 more" in result.output.splitlines()
    assert "FAULT: texts of the user's files with conflicting labels: 25; " in result.output


def test_sets_for_research_are_read_on_demand_alone(folder: Path) -> None:
    fill(folder, "stockemotions", "train", "to the moon")
    assert "stockemotions" not in said(folder).output
    assert "research only" in said(folder, "--research").output


def test_a_folder_without_sets_and_a_broken_line_are_errors(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = said(tmp_path_factory.mktemp("empty"))
    assert isinstance(empty.exception, UsageError)
    assert "none of the sets is here; name the folder that holds train/ and dev/" in str(empty.exception)
    (folder / "dev" / "zh_comments_finfe.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a", "sentiment": "angry"}\n'))
    broken = said(folder)
    assert isinstance(broken.exception, RecordError)
    assert "zh_comments_finfe.jsonl.gz:1: sentiment: one of negative, neutral, positive; got 'angry'" in str(broken.exception)
