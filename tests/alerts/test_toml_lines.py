"""Where a mistake in a TOML file stands: its line and its key, in tables whose names are free as well."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from alerts.rules import rules_of, shipped_text
from alerts.shipped_watches import load_watches
from alerts.toml_lines import read
from groundswell.errors import SettingsError


class Profile(msgspec.Struct, forbid_unknown_fields=True):
    days: Annotated[int, msgspec.Meta(ge=1)]


class Item(msgspec.Struct, forbid_unknown_fields=True):
    names: dict[str, str] = {}


class File(msgspec.Struct, forbid_unknown_fields=True):
    names: dict[str, Annotated[str, msgspec.Meta(max_length=5)]] = {}
    profile: dict[str, Profile] = {}
    item: list[Item] = []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[names]\na = 'x'\n\nb = 3\nc = 'y'\n", "f.toml:4: names.b: Expected `str`, got `int`: 3; "),
        ("[names]\na = 'x'\nb = 'too long'\n", "f.toml:3: names.b: Expected `str` of length <= 5: 'too long'; "),
        ("[profile.one]\ndays = 1\n[profile.two]\n# why\ndays = 0\n", "f.toml:5: profile.two.days: Expected `int` >= 1: 0; "),
        ("[profile.one]\ndays = 1\n[profile.two]\n", "f.toml:3: profile.two: Object missing required field `days`; "),
        ("[profile]\none = 3\n", "f.toml:2: profile.one: Expected `object`, got `int`: 3; "),
        ("[[item]]\n[item.names]\na = 'x'\n[[item]]\n[item.names]\na = 'x'\n'b c' = 1\n", "f.toml:7: item.1.names.b c: Expected `str`"),
        ("[names]\na = 'x'\n[profile.one]\ndays = 'x'\n", "f.toml:4: profile.one.days: Expected `int`, got `str`: 'x'; "),
    ],
)
def test_a_wrong_value_under_a_free_name_is_said_with_the_line_of_its_own_key(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as found:
        read(text, File, place="f.toml", example="g.toml")
    assert str(found.value).startswith(said)


def test_a_search_that_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for text, line, name in (
        ("[searches]\ngood = 'tariff'\n\nbad = '(tariff'\n", 4, "bad"),
        ("[searches]\ngood = '''tariff\n  OR duty'''\nBad! = 1\n".replace("Bad!", '"Bad!"').replace("= 1", "= 'duty'"), 4, "Bad!"),
        ("[searches]\ngood = 'tariff'\nnumber = 7\n", 3, "number"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as found:
            load_watches(path, ids_of=lambda one: [one])
        assert str(found.value).startswith(f"{path}:{line}: searches.{name}: "), found.value


def test_a_profile_of_the_rules_is_named_with_the_line_of_the_number_that_is_wrong() -> None:
    lines = shipped_text().splitlines()
    start = lines.index("[volume.nab]")
    number = next(place for place in range(start, len(lines)) if lines[place].startswith("rest_s"))
    lines[number] = 'rest_s = "a day"'
    with pytest.raises(SettingsError, match=rf"mine\.toml:{number + 1}: volume\.nab\.rest_s: Expected `int`, got `str`: 'a day'"):
        rules_of("\n".join(lines), place="mine.toml")
