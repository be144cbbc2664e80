"""The source catalogue: what comes with the package, what a desk adds, and errors that name the entry."""

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from groundswell.errors import SettingsError
from groundswell.names import CANARY_SOURCE, LANGUAGES
from groundswell.records import Role
from ingest.catalogue import load_catalogue

ENTRY = '[[source]]\nname = "desk"\nowner = "Desk"\nurl = "https://news.example/rss"\n'


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    return tmp_path / "extra.toml"


def test_the_shipped_catalogue_has_many_real_sources_and_claims_no_check_that_nobody_made() -> None:
    sources = load_catalogue(disabled=True)
    assert len(sources) >= 80
    assert sum(source.enabled for source in sources) >= 60
    for source in sources:
        assert source.checked == "never"  # until `sources test --write-checked` has seen it, in a file of the user's own
        assert source.note
        assert source.licence
        assert source.documented
        assert source.rhythm
        assert source.region
        assert not source.allow_private
        assert source.every_s is None
        assert not source.may_redistribute
        assert source.enabled != bool(source.why_disabled)


def test_what_is_switched_on_is_read_over_tls_and_in_a_language_that_a_model_here_reads() -> None:
    for source in load_catalogue():
        assert source.url.startswith("https://")
        assert source.language in LANGUAGES
        assert source.type == "feed"


def test_the_shipped_catalogue_covers_who_moves_markets_and_who_talks_of_them() -> None:
    sources = load_catalogue(disabled=True)
    count = Counter(source.role for source in sources)
    assert count.keys() == set(get_args(Role))
    assert count["central_bank"] >= 20
    assert count["regulator"] >= 15
    assert sum(source.language == "zh" for source in sources) >= 15
    assert {1, 2, 3, 4} == {source.tier for source in sources}
    assert all(not source.may_store_text for source in sources if source.tier != 1)


def test_a_file_of_ones_own_adds_replaces_and_switches_off(extra: Path) -> None:
    extra.write_text(ENTRY + '[[source]]\nname = "ecb_press"\nowner = "E"\nurl = "https://ecb.example/rss"\nenabled = false\n')
    names = [source.name for source in load_catalogue([extra])]
    assert "desk" in names
    assert "ecb_press" not in names
    assert "fed_press" in names


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (ENTRY + ENTRY, ("two sources are called 'desk'",)),
        (ENTRY.replace("https://", "ftp://"), ("source 1 (desk)", "url must be http")),
        (ENTRY.replace("https://", "https://u:p@"), ("source 1 (desk)", "no password")),
        (ENTRY + 'kind = "rumour"\n', ("source 1 (desk)", "kind", "'rumour'")),
        (ENTRY + "every_s = 1\n", ("every_s", ">= 10")),
        (ENTRY + 'ulr = "x"\n', ("source 1 (desk)", "ulr", "the fields are name, owner, url")),
        ('[[source]]\nowner = "x"\n', ("source 1 (without a name)", "name")),
        ('[sources]\nname = "x"\n', ("[[source]] tables and nothing else", "'sources'")),
        ("source = 1", ("[[source]]",)),
        ("source = [1]", ("source 1 (no table)",)),
        ("[[source", ("check the path and that it is TOML",)),
    ],
)
def test_an_entry_that_is_none_is_named_with_file_number_and_field(extra: Path, text: str, parts: tuple[str, ...]) -> None:
    extra.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_catalogue([extra])
    for part in (str(extra), *parts):
        assert part in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(extra: Path) -> None:
    with pytest.raises(SettingsError, match="check the path"):
        load_catalogue([str(extra)])


def test_no_source_may_have_the_canarys_name(extra: Path) -> None:
    extra.write_text(ENTRY.replace('"desk"', f'"{CANARY_SOURCE}"'))
    with pytest.raises(SettingsError, match="the crawler's own name"):
        load_catalogue([extra])
