"""The measurement of the link: the sample, the verdicts, the counts, and (with the dev parts at hand) what the docs say of them."""

import gzip
import json
from pathlib import Path
from typing import Final

import pytest

from groundswell.errors import UsageError
from groundswell.names import content_id
from models.entities import Catalogue
from models.link_check import OUTSIDE, SAMPLE, Verdict, compare, main, problems, read_sample, read_verdicts, table, total
from models.verdict_files import DATA, JUDGEMENTS, ROOT, share

needs_data = pytest.mark.skipif(not (DATA / "dev").is_dir(), reason=f"the dev parts are not at {DATA}")
HEADER: Final = "content_hash,start,end,verdict\n"
CATALOGUE: Final = Catalogue.load()


def part(folder: Path, name: str, texts: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    return folder


def written(path: Path, rows: str) -> Path:
    path.write_text(HEADER + rows, encoding="utf-8")
    return path


def keyed(*texts: str) -> dict[str, str]:
    return {content_id(text): text for text in texts}


# --- reading ---------------------------------------------------------------------------------------------------
def test_the_sample_depends_on_hashes_alone_and_holds_each_text_once(tmp_path: Path) -> None:
    texts = [f"Bank {number} opens" for number in range(20)]
    one = read_sample(part(tmp_path / "a", "x", texts), {"x": 5})
    two = read_sample(part(tmp_path / "b", "x", texts[::-1] + texts), {"x": 5})
    assert list(one) == list(two)
    assert len(one) == 5
    both = read_sample(part(part(tmp_path / "c", "x", texts), "y", texts), {"x": 5, "y": 15})
    assert len(both) == 20


def test_a_missing_or_short_part_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data"):
        read_sample(tmp_path, {"x": 1})
    with pytest.raises(UsageError, match="has 1 texts and 2 are drawn"):
        read_sample(part(tmp_path, "x", ["Bank opens"]), {"x": 2})


@pytest.mark.parametrize(
    "rows",
    [
        "ab,0,5\n",
        "ab,0,5,\n",
        ",0,5,Tesla\n",
        "ab,5,5,Tesla\n",
        "ab,x,5,Tesla\n",
        "ab,0,5,none\n",
        "ab,,,none\nab,,,none\n",
        "ab,,,none\nab,0,5,Tesla\n",
        "ab,0,5,Tesla\nab,,,none\n",
        "ab,0,5,Tesla\nab,4,9,outside\n",
    ],
)
def test_a_row_that_is_no_verdict_is_refused_with_its_place(tmp_path: Path, rows: str) -> None:
    with pytest.raises(UsageError, match=r"links\.csv, line [23]: "):
        read_verdicts(written(tmp_path / "links.csv", rows))


def test_a_wrong_header_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "links.csv").write_text("hash,start\n", encoding="utf-8")
    for path in (tmp_path / "links.csv", tmp_path / "none.csv"):
        with pytest.raises(UsageError, match="restore"):
            read_verdicts(path)


# --- measuring -------------------------------------------------------------------------------------------------
def test_what_the_catalogue_finds_is_compared_with_what_the_reader_saw() -> None:
    texts = keyed("Tesla sues Northwind", "Boeing and apple", "Nobody here")
    first, second, third = texts
    verdicts = {first: (Verdict(0, 5, "Tesla"), Verdict(11, 20, OUTSIDE)), second: (Verdict(11, 16, "Apple"),), third: ()}
    row = compare("en", texts, verdicts, CATALOGUE)
    assert (row.texts, row.found, row.right, row.held, row.linked, row.outside) == (3, 2, 1, 2, 1, 1)
    assert [(one.kind, one.entity_id) for one in row.differences] == [("wrong", "Boeing"), ("missed", "Apple")]


def test_a_mention_counts_where_it_overlaps_and_only_for_its_own_company() -> None:
    texts = keyed("Boeing Co falls")
    key = next(iter(texts))
    assert compare("en", texts, {key: (Verdict(0, 9, "Boeing"),)}, CATALOGUE).linked == 1
    assert compare("en", texts, {key: (Verdict(0, 9, "Airbus"),)}, CATALOGUE).linked == 0
    assert compare("en", texts, {}, CATALOGUE).texts == 0


def test_all_languages_are_summed_and_every_share_has_its_interval() -> None:
    texts = keyed("Tesla falls")
    row = compare("en", texts, dict.fromkeys(texts, (Verdict(0, 5, "Tesla"),)), CATALOGUE)
    both = total([row, row._replace(language="zh")])
    assert (both.language, both.texts, both.found, both.linked) == ("all", 2, 2, 2)
    assert f"| all | 2 | 2 | {share(2, 2)} | 2 | {share(2, 2)} | 2 | {share(2, 2)} |\n" in table([row, both])


def test_judgements_that_do_not_fit_are_named() -> None:
    texts = keyed("Tesla falls", "Nobody here")
    first, second = texts
    verdicts = {first: (Verdict(0, 99, "Northwind"),), "00ff": ()}
    said = problems(texts, verdicts, CATALOGUE)
    assert said[0] == "1 texts of the sample have not been read"
    assert f"{first}: ends before character 99; correct the row" in said
    assert f"{first}: the catalogue holds no Northwind; write outside" in said
    assert "00ff: judged, and not in the sample; remove its rows" in said
    assert problems(texts, {first: (), second: ()}, CATALOGUE) == []


# --- the command -----------------------------------------------------------------------------------------------
def test_the_command_without_dev_parts_is_an_error_of_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err


def test_the_command_prints_texts_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for sizes in SAMPLE.values():
        for name, size in sizes.items():
            texts = [f"Tesla opens a plant, {name} {number}" for number in range(size)]
            part(tmp_path / "dev", name, texts)
            rows += [f"{content_id(text)},,,none\n" for text in texts]
    written(tmp_path / "links.csv", "".join(rows))
    arguments = ["--data", str(tmp_path), "--judgements", str(tmp_path)]
    assert main(arguments) == 0
    quiet = capsys.readouterr().out
    assert "| all | 300 | 300 | .000 (.000-.013) | 0 | - | 0 | - |" in quiet
    assert "opens" not in quiet
    assert main([*arguments, "--show"]) == 0
    assert "wrong, Tesla, 'Tesla': Tesla opens a plant" in capsys.readouterr().out


def test_the_judgements_hold_hashes_places_and_ids_only() -> None:
    verdicts = read_verdicts(JUDGEMENTS / "links.csv")
    assert len(verdicts) == sum(size for sizes in SAMPLE.values() for size in sizes.values()) == 300
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in verdicts)
    ids = {seen.entity_id for mentions in verdicts.values() for seen in mentions}
    assert ids - {OUTSIDE} <= CATALOGUE.entities.keys()


@needs_data
def test_the_page_says_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(DATA)]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert "\n".join(rows) in page, "run python -m models.link_check and copy its table to docs/catalogue.md"
