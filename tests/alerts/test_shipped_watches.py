"""Shipped watches: what every new run begins to watch, from a file that says where it is wrong."""

from pathlib import Path

import pytest

from alerts.shipped_watches import load_watches
from groundswell.errors import SettingsError
from groundswell.watches import Watches
from tests import builders as b

FOUND = (  # every word invented: a headline that a search is for, in each language
    ("trade_conflict", "Arvonia answers with tariffs on copper", "阿沃尼亚对铜加征关税"),
    ("sanctions", "Brennick and two banks blacklisted", "三家银行被列入实体清单"),
    ("market_rout", "Stocks tumble as traders flee", "午后股市大跌"),
    ("energy_supply", "Refinery halts, oil prices jump", "多地限电"),
    ("recession", "Economists now expect a recession", "经济衰退担忧"),
    ("pandemic", "Port closes after outbreak", "港口发现疫情"),
    ("war", "Missiles fall on the harbour town", "两国开战"),
    ("default_wave", "Elstrand files for bankruptcy", "地产商债券违约"),
    ("bank_stress", "Regulator plans a bank rescue", "储户挤兑"),
    ("currency_crisis", "Central bank denies a devaluation", "货币贬值"),
    ("cyber", "Ransomware stops the exchange", "平台数据泄露"),
    ("disaster", "Explosion at a chemical plant", "化工厂爆炸"),
)
CALM = (
    "Elstrand opens a branch in the old harbour", "The board proposes a dividend of two crowns", "Trade fair draws more visitors",
    "Aldora oil paints win a prize", "A striking museum for the orchard town", "新店开业，顾客排队品尝", "公司公布全年业绩",
)  # fmt: skip


def no_names(name: str) -> list[str]:
    return [name]


@pytest.fixture(scope="module")
def shipped() -> Watches:
    return load_watches(ids_of=no_names)


def finds(watches: Watches, title: str) -> list[str]:
    return watches.series_of(b.a_document(title=title, text=""), b.a_score())


@pytest.mark.parametrize(("name", "english", "chinese"), FOUND, ids=[name for name, *_ in FOUND])
def test_each_search_finds_its_trouble_in_both_languages(name: str, english: str, chinese: str, shipped: Watches) -> None:
    assert f"watch:{name}" in finds(shipped, english)
    assert f"watch:{name}" in finds(shipped, chinese)


@pytest.mark.parametrize("title", CALM)
def test_everyday_news_is_found_by_none(title: str, shipped: Watches) -> None:
    assert finds(shipped, title) == []


def test_every_search_has_its_example_here(shipped: Watches) -> None:
    assert sorted(shipped.queries) == sorted(name for name, *_ in FOUND)
    assert shipped.companies == []


def test_a_file_of_ones_own_names_companies_as_people_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[searches]\nlenders = """company:"Linlan Bank"\n  (queue OR run)"""\n')

    watches = load_watches(path, ids_of=lambda name: ["LinlanBank"] if name == "Linlan Bank" else [])

    assert watches.queries == {"lenders": "company:LinlanBank (queue OR run)"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[searches]\nbad = '(queue'\n", r"mine\.toml:2: searches\.bad: query, column 7: expected .* the query ends"),
        ("[searches]\n'no good' = 'queue'\n", r"mine\.toml:2: searches\.no good: watch 'no good': a name has letters, digits"),
        ("[searches]\nlate = 'queue from:2026-01-01'\n", r"mine\.toml:2: searches\.late: .*says what, not when"),
        ("[search]\nx = 'queue'\n", r"mine\.toml:1: search: there is no such key, did you mean 'searches'\?"),
        ("[searches]\nx = 3\n", r"mine\.toml:2: searches\.x: Expected `str`, got `int`"),
        ("[searches\n", r"mine\.toml: is not TOML: .*alerts/watches\.toml shows how it looks"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)

    with pytest.raises(SettingsError, match=said):
        load_watches(path, ids_of=no_names)


def test_a_file_that_is_not_there_is_named_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: cannot be read: .*name a file like alerts/watches\.toml, or give --no-watches"):
        load_watches(tmp_path / "absent.toml", ids_of=no_names)
