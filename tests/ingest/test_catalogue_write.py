"""Writing catalogue files: entries that come back as they were meant, and one line changed where one line was meant."""

from pathlib import Path

import msgspec
import pytest

from groundswell.errors import SettingsError, UsageError
from ingest.catalogue import Source, load_catalogue
from ingest.catalogue_write import append_entry, set_checked

DAY = "2026-11-28"
HAND = """# ours
[[source]]   # the first
name = "one"
owner = "One"
url = "https://one.example/rss"

[[source]]
name = "two"
owner = "Two"
checked = "2025-01-01"   # by hand
url = "https://two.example/rss"
note = "[[source]] is a word here"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ours.toml"


def entry(file: Path, name: str) -> Source:
    (found,) = [source for source in load_catalogue([file], disabled=True) if source.name == name]
    return found


def test_an_entry_comes_back_with_every_character_that_a_title_may_hold(file: Path) -> None:
    owner = 'He said "sell" \\ 北京\n\t\x1f[x]'
    append_entry(file, {"name": "a", "owner": owner, "url": "https://a.example/rss", "rhythm": 2.5, "enabled": False})
    append_entry(file, {"name": "b", "owner": "B\x7f", "url": "https://b.example/rss"})
    assert (entry(file, "a").owner, entry(file, "a").rhythm, entry(file, "a").enabled) == (owner, 2.5, False)
    assert entry(file, "b").owner == "B"


def test_a_name_that_is_there_is_not_added_twice_and_a_file_that_is_no_catalogue_is_left_alone(file: Path) -> None:
    file.write_text(HAND)
    with pytest.raises(UsageError, match="has a source called 'one'"):
        append_entry(file, {"name": "one", "owner": "x", "url": "https://x.example/"})
    assert file.read_text() == HAND
    file.write_text("[settings]\n")
    with pytest.raises(SettingsError, match="and nothing else"):
        append_entry(file, {"name": "one", "owner": "x", "url": "https://x.example/"})
    assert file.read_text() == "[settings]\n"


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_check_changes_one_line_of_its_entry_and_nothing_else(file: Path, name: str) -> None:
    file.write_text(HAND)
    other = "two" if name == "one" else "one"
    before = entry(file, other)
    set_checked(file, entry(file, name), day=DAY)
    assert entry(file, name).checked == DAY
    assert entry(file, other) == before
    kept = [line for line in file.read_text().splitlines() if not line.startswith("checked")]
    assert kept == [line for line in HAND.splitlines() if not line.startswith("checked")]


def test_a_check_of_a_shipped_source_adds_its_whole_entry(file: Path) -> None:
    (shipped,) = [source for source in load_catalogue() if source.name == "fed_press"]
    set_checked(file, shipped, day=DAY)
    assert entry(file, "fed_press") == msgspec.structs.replace(shipped, checked=DAY)
    set_checked(file, shipped, day="2026-11-29")
    assert entry(file, "fed_press").checked == "2026-11-29"


def test_an_entry_that_its_lines_do_not_show_is_left_alone_with_what_to_write(file: Path) -> None:
    text = 'source = [{name = "odd", owner = "o", url = "https://odd.example/"}]\n'
    file.write_text(text)
    with pytest.raises(UsageError, match=f'write checked = "{DAY}" into it by hand'):
        set_checked(file, entry(file, "odd"), day=DAY)
    assert file.read_text() == text


def test_a_folder_that_is_not_there_is_an_error_that_says_so(file: Path) -> None:
    with pytest.raises(UsageError, match="check the folder"):
        append_entry(file.parent / "none" / "ours.toml", {"name": "a", "owner": "A", "url": "https://a.example/"})
