"""The check of catalogue files: each thing that is wrong is named with file, entry, field and rule, and all of them at once."""

from pathlib import Path

import pytest

from ingest.catalogue import SHIPPED
from ingest.catalogue_check import problems_of

GOOD = """[[source]]
name = "desk"
owner = "Desk News"
url = "https://news.example/rss"
documented = "https://news.example/feeds"
licence = "ours"
"""


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    return tmp_path / "extra.toml"


def said(extra: Path, text: str) -> list[tuple[str, str, str]]:
    extra.write_text(text, encoding="utf-8")
    return [(problem.entry, problem.field, problem.rule) for problem in problems_of([extra])]


def test_the_shipped_file_and_a_good_one_have_nothing_wrong(extra: Path) -> None:
    extra.write_text(GOOD, encoding="utf-8")
    assert problems_of([SHIPPED, extra]) == []


@pytest.mark.parametrize(
    ("text", "entry", "field", "rule"),
    [
        (GOOD + 'lisence = "x"\n', "1 (desk)", "lisence", "write licence"),
        (GOOD + "qqqq = 1\n", "1 (desk)", "qqqq", "the fields are name, owner, url"),
        (GOOD + "rhythm = 0\n", "1 (desk)", "rhythm", "> 0"),
        (GOOD + "rhythm = 1e9\n", "1 (desk)", "rhythm", "<= 100000"),
        (GOOD + "tier = 5\n", "1 (desk)", "tier", "<= 4"),
        (GOOD + 'role = "bank"\n', "1 (desk)", "role", "'bank'"),
        (GOOD.replace("https://news.example/rss", "mailto:x"), "1 (desk)", "url", "must be http"),
        (GOOD.replace('owner = "Desk News"\n', ""), "1 (desk)", "owner", "missing"),
        (GOOD.replace('licence = "ours"\n', ""), "1 (desk)", "licence", "missing"),
        (GOOD.replace('documented = "https://news.example/feeds"\n', ""), "1 (desk)", "documented", "missing"),
        (GOOD + "enabled = false\n", "1 (desk)", "why_disabled", "missing"),
        (GOOD + 'why_disabled = "dead"\n', "1 (desk)", "why_disabled", "it is enabled"),
        (GOOD + 'checked = "yesterday"\n', "1 (desk)", "checked", "'yesterday'"),
        (GOOD + 'language = "English"\n', "1 (desk)", "language", "code like en"),
        (GOOD + 'region = "Asia"\n', "1 (desk)", "region", "two capitals"),
        (GOOD + 'role = "regulator"\n', "1 (desk)", "tier", "must be 1 for a regulator"),
        (GOOD + "may_store_text = false\nmay_redistribute = true\n", "1 (desk)", "may_redistribute", "cannot be true"),
        (GOOD + GOOD.replace("/rss", "/atom"), "2 (desk)", "name", "also the name of source 1 (desk)"),
        (GOOD + GOOD.replace('"desk"', '"copy"').replace("news.", "www.news."), "2 (copy)", "url", "also the address of 'desk'"),
        (
            GOOD + GOOD.replace('"desk"', '"other"').replace("/rss", "/o").replace("Desk News", "desk news"),
            "2 (other)",
            "owner",
            "spelled otherwise",
        ),
        ("source = [1]", "1 (no table)", "-", "must be a [[source]] table"),
        ("[[source", "-", "-", "check the path and that it is TOML"),
    ],
)
def test_one_thing_that_is_wrong_is_named_with_entry_field_and_rule(extra: Path, text: str, entry: str, field: str, rule: str) -> None:
    (only,) = said(extra, text)
    assert only[:2] == (entry, field)
    assert rule in only[2]


def test_a_source_that_is_not_asked_over_http_has_an_address_of_its_own_type(extra: Path) -> None:
    folder = GOOD.replace("https://news.example/rss", "file:///var/drop").replace('documented = "https://news.example/feeds"\n', "")
    assert said(extra, folder + 'type = "folder"\n') == []
    ((entry, _, rule),) = said(extra, GOOD + 'type = "folder"\n')
    assert entry == "1 (desk)"
    assert "url must be file:///FOLDER, the whole path, got 'https://news.example/rss'" in rule


def test_all_that_is_wrong_is_said_in_one_go(extra: Path) -> None:
    fields = [field for _, field, _ in said(extra, '[[source]]\nname = "x"\ntier = 9\nulr = "y"\nkind = "rumour"\n')]
    assert sorted(fields) == ["kind", "owner", "tier", "ulr", "url"]


def test_an_entry_that_replaces_a_shipped_one_may_have_its_address(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(GOOD, encoding="utf-8")
    two.write_text(GOOD + 'note = "ours"\n', encoding="utf-8")
    assert problems_of([one, two]) == []


def test_an_owner_spelled_otherwise_in_another_file_is_found(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(GOOD.replace("Desk News", "News & Media Group"), encoding="utf-8")
    two.write_text(GOOD.replace('"desk"', '"b"').replace("/rss", "/b").replace("Desk News", "The News and Media Group"), encoding="utf-8")
    (problem,) = problems_of([one, two])
    assert (problem.file, problem.field) == (str(two), "owner")
    assert str(problem).startswith(f"{two}: source 1 (b): owner: ")
