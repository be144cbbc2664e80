"""`groundswell entities`: what the catalogue holds, and what it finds in a text and why."""

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundswell.cli import root
from models.entities import AS_OF


def said(*arguments: str, given: str | None = None) -> Result:
    result = CliRunner().invoke(root, ["entities", *arguments], input=given)
    assert result.exit_code == 0, result.output
    return result


def test_the_list_is_filtered_by_sector_country_and_part_of_a_name() -> None:
    rows = [
        json.loads(line)
        for line in said("list", "--sector", "bank", "--country", "ch", "--search", "suisse", "--format", "jsonl").stdout.splitlines()
    ]
    assert [row["entity_id"] for row in rows] == ["CreditSuisse"]
    assert rows[0]["name_zh"] == "瑞信"
    assert "TSLA" in said("list", "--search", "tsla").stdout
    assert "600519.SH" in said("list", "--search", "茅台").stdout


def test_the_list_says_how_many_there_are_and_of_when() -> None:
    result = said("list", "--search", "Credit Suisse")
    assert f"names and tickers as of {AS_OF}; catalogue " in result.stderr
    assert re.match(r"\d+ of \d,\d{3}; ", result.stderr)


def test_the_list_is_written_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    said("list", "--sector", "exchange", "--format", "csv", "-o", str(path))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["sector"] for row in rows} == {"exchange"}
    assert {"NYSE", "HKEX"} <= {row["entity_id"] for row in rows}


def test_your_own_companies_are_in_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.csv").write_text("entity_id,name_en\nNorthwind,Northwind Traders\n", encoding="utf-8")
    monkeypatch.setenv("GROUNDSWELL_COMPANIES_EXTRA", str(tmp_path / "mine.csv"))
    assert "Northwind Traders" in said("list", "--search", "northwind").stdout


def test_a_text_shows_mentions_and_names_that_were_set_aside_with_the_reason() -> None:
    text = "Apple pie beside visa; Tesla; Target at noon; Tata Steel; $F; see www.boeing.com"
    rows = [json.loads(line) for line in said("test", text, "--format", "jsonl").stdout.splitlines()]
    verdicts = {row["text"]: (row["rule"], row["verdict"]) for row in rows}
    assert verdicts["Tesla"] == ("plain", "found")
    assert verdicts["$F"] == ("ticker", "found")
    assert verdicts["Apple"] == ("exact", "no: part of 'Apple pie', which is no company")
    assert verdicts["visa"] == ("context", "no: in another case than the catalogue's Visa")
    assert verdicts["Target"][1].startswith("no: needs a business word beside it")
    assert verdicts["Tata"][1] == "no: part of 'Tata Steel', which is TataSteel"
    assert verdicts["boeing"][1].startswith("no: within a web address")
    assert all(text[row["start"] : row["end"]] == row["text"] for row in rows)


def test_a_dash_reads_lines_from_standard_input() -> None:
    rows = [json.loads(line) for line in said("test", "-", "--format", "jsonl", given="Tesla falls\n\n特斯拉下跌\n").stdout.splitlines()]
    assert [(row["line"], row["entity_id"]) for row in rows] == [(1, "Tesla"), (3, "Tesla")]


def test_a_text_without_names_prints_the_header_alone() -> None:
    assert said("test", "nothing of the kind").stdout.split() == ["line", "text", "start", "end", "entity_id", "name", "rule", "verdict"]
