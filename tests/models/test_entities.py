"""What the entity catalogue finds, what it leaves alone, and what it says of a broken file."""

import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import SettingsError
from models.entities import AS_OF, Catalogue, fold
from models.entity_trace import NEEDS_CONTEXT, NOT_ALONE, trace

SHIPPED = Catalogue.load()
HEADER = "entity_id,name_en,name_zh,sector,country,aliases,tickers,ambiguous,never\n"


def ids(text: str, catalogue: Catalogue = SHIPPED) -> list[str]:
    return [mention.entity_id for mention in catalogue.find(text)]


def words(text: str, catalogue: Catalogue = SHIPPED) -> list[str]:
    return [text[mention.start : mention.end] for mention in catalogue.find(text)]


def write(path: Path, rows: str, header: str = HEADER) -> Path:
    path.write_text(header + rows, encoding="utf-8")
    return path


def test_authorities_are_marked_and_companies_are_not() -> None:
    assert [(m.entity_id, m.authority) for m in SHIPPED.find("SEC sues Coinbase")] == [("SEC", True), ("Coinbase", False)]


# --- what ships ----------------------------------------------------------------------------------------------------------
def test_the_shipped_catalogue_covers_companies_of_many_countries_and_institutions() -> None:
    assert len(SHIPPED.entities) >= 2050
    countries = Counter(entity.country for entity in SHIPPED.entities.values())
    assert all(countries[country] >= 100 for country in ("US", "CN", "IN", "GB", "JP", "DE"))
    assert sum(entity.sector == "institution" for entity in SHIPPED.entities.values()) >= 150
    assert {"SVB", "CreditSuisse", "Tesla", "Carillion", "ThreeArrows", "Evergrande"} <= SHIPPED.entities.keys()


def test_every_entity_has_an_english_name_a_sector_and_is_found_by_some_name() -> None:
    for entity in SHIPPED.entities.values():
        assert entity.name_en, entity.entity_id
        assert entity.sector, entity.entity_id
        assert any(ids(f"the company {name}") == [entity.entity_id] for name, rule in entity.rules() if rule != "never"), entity


def test_every_alias_that_is_not_ambiguous_finds_its_own_entity() -> None:
    for entity in SHIPPED.entities.values():
        for name, rule in entity.rules():
            if rule in ("plain", "exact"):
                assert ids(f"x {name} y") == [entity.entity_id], name


def test_every_phrase_that_is_no_name_yields_nothing_of_its_entity() -> None:
    for entity in SHIPPED.entities.values():
        for phrase in entity.never:
            assert entity.entity_id not in ids(f"x {phrase} y"), phrase


# --- names ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Silicon Valley Bank fails", ["SVB"]),
        ("SVB fails, and Signature Bank too", ["SVB", "SignatureBank"]),
        ("Facebook, now Meta, lays off staff", ["Meta", "Meta"]),
        ("boeing and BOEING and Boeing's", ["Boeing", "Boeing", "Boeing"]),
        ("McDonald’s and McDonald's", ["McDonalds", "McDonalds"]),
        ("Renault-Nissan talks", ["Renault", "Nissan"]),
        ("#Tesla @Tesla (Tesla)", ["Tesla", "Tesla", "Tesla"]),
        ("BoJ, BOJ", ["BankOfJapan", "BankOfJapan"]),
        ("特斯拉Tesla发布新车", ["Tesla", "Tesla"]),
    ],
)
def test_names_are_found_in_the_order_of_the_text(text: str, found: list[str]) -> None:
    assert ids(text) == found


@pytest.mark.parametrize("text", ["Teslas", "aTesla", "Boeings", "Fordham", "svb", "bp", "sec", "Tesla_2", "Teslaé"])
def test_a_name_in_letters_is_not_found_inside_another_word_or_in_another_case_than_it_needs(text: str) -> None:
    assert ids(f"the {text} of today") == []


def test_the_longest_name_wins() -> None:
    assert words("JPMorgan Chase and Tata Steel of Tata Group") == ["JPMorgan Chase", "Tata Steel", "Tata Group"]
    assert ids("Tata Steel of Tata Group") == ["TataSteel", "TataGroup"]


def test_a_longer_name_that_runs_on_into_a_word_gives_way_to_a_shorter_one(tmp_path: Path) -> None:
    catalogue = Catalogue.load(write(tmp_path / "c.csv", "A,Northwind,,x,,\nB,Northwind Co,,x,,\n"))
    assert ids("Northwind Cost cuts", catalogue) == ["A"]
    assert ids("Northwind Co cuts", catalogue) == ["B"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("平安银行与中国平安今日公告", ["PingAnBank", "PingAn"]),
        ("祝大家一路平安", []),
        ("瑞士信贷被瑞银收购", ["CreditSuisse", "UBS"]),
        ("恒大与碧桂园", ["Evergrande", "CountryGarden"]),
        ("为中国航天点赞", []),
        ("国航回应航班返航", ["AirChina"]),
        ("北京东城发现", []),
        ("京东回应", ["JD"]),
        ("苹果发布新手机", ["Apple"]),
        ("苹果每天吃一个", []),
    ],
)
def test_chinese_names_are_found_without_spaces_and_not_inside_longer_words(text: str, found: list[str]) -> None:
    assert ids(text) == found


# --- ambiguity -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "apple pie",
        "Apple pie recipe",
        "analysts raise target price",
        "Target Price Raised",
        "my visa application",
        "Visa Application Centre Opens",
        "mind the gap",
        "Gap Between Rich and Poor",
        "the amazon rainforest and the Amazon Rainforest",
        "Harrison Ford",
        "shell companies and Shell Companies",
        "Watchdog moves to Block Company Merger",
        "a block of stock",
        "40 degrees Celsius",
    ],
)
def test_common_words_are_not_companies(text: str) -> None:
    assert ids(text) == []


@pytest.mark.parametrize(
    ("text", "entity_id"),
    [
        ("Apple falls", "Apple"),
        ("Target shares fall", "Target"),
        ("Retailer Target warns", "Target"),
        ("investors of Target gather", "Target"),
        ("Visa's profit rises", "Visa"),
        ("Why Gap Inc closes shops", "Gap"),
        ("Shell to drill", "Shell"),
        ("Celsius freezes withdrawals", "Celsius"),
    ],
)
def test_an_ambiguous_name_counts_in_its_spelling_or_beside_a_business_word(text: str, entity_id: str) -> None:
    assert ids(text) == [entity_id]


def test_a_name_that_needs_context_counts_where_the_text_names_the_company_otherwise() -> None:
    assert ids("Target beats forecasts $TGT") == ["Target", "Target"]
    assert ids("Facebook rival Snap; Snapchat grows") == ["Meta", "Snap", "Snap"]


# --- tickers and addresses -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "found", "spelt"),
    [
        ("$TSLA up, $tsla down", ["Tesla", "Tesla"], ["$TSLA", "$tsla"]),
        ("$BRK.B.", ["BerkshireHathaway"], ["$BRK.B"]),
        ("(NYSE: F)", ["Ford"], ["NYSE: F"]),
        ("(NASDAQ:AAPL)", ["Apple"], ["NASDAQ:AAPL"]),
        ("（600519.SH）", ["Moutai"], ["600519.SH"]),
        ("600519.SS rises", ["Moutai"], ["600519.SS"]),
        ("700.HK", ["Tencent"], ["700.HK"]),
        ("(HKEX: 700)", ["Tencent"], ["HKEX: 700"]),
        ("(BA.N) (BARC.L)", ["Boeing", "Barclays"], ["BA.N", "BARC.L"]),
    ],
)
def test_tickers_are_found_where_a_mark_says_that_they_are_tickers(text: str, found: list[str], spelt: list[str]) -> None:
    assert ids(text) == found
    assert words(text) == spelt


@pytest.mark.parametrize("text", ["TSLA F GE2", "US$F", "$5 $100m", "$ZZZZZ", "$TSLA1", "$ABB1", "version 600519.12", "(NYSE: ZZZZ)"])
def test_bare_letters_amounts_and_unknown_codes_are_not_tickers(text: str) -> None:
    assert ids(text) == []


def test_a_cashtag_that_is_another_companys_is_not_read_as_a_name() -> None:
    assert ids("$BYD") == ["BoydGaming"]


@pytest.mark.parametrize("text", ["https://example.org/tesla-news", "see www.boeing.example", "x.boeing y", "http://t.example/a/Tesla"])
def test_a_name_within_a_web_address_is_no_mention(text: str) -> None:
    assert ids(text) == []


def test_a_name_on_the_line_after_a_web_address_is_a_mention() -> None:
    assert ids("https://example.org/a\nTesla falls") == ["Tesla"]


# --- display, hash, extension ---------------------------------------------------------------------------------------------
def test_names_are_shown_in_the_readers_language_and_an_unknown_id_as_it_is() -> None:
    assert SHIPPED.name("SVB", "zh") == "硅谷银行"
    assert SHIPPED.name("SVB", "en") == "Silicon Valley Bank"
    assert SHIPPED.name("Carillion", "zh") == "Carillion"
    assert SHIPPED.name("OldCompany") == "OldCompany"


def test_the_hash_depends_on_content_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    one = Catalogue.load(write(tmp_path / "1.csv", "A,Northwind\nB,Contoso\n"))
    two = Catalogue.load(write(tmp_path / "2.csv", "B,Contoso\nA,Northwind\n"))
    three = Catalogue.load(write(tmp_path / "3.csv", "B,Contoso\nA,Northwind,,,,,,Northwind\n"))
    assert one.hash == two.hash
    assert one.hash != three.hash
    assert len(one.hash) == 16
    assert int(one.hash, 16) >= 0


def test_an_extra_file_adds_companies_and_names(tmp_path: Path) -> None:
    extra = write(tmp_path / "mine.csv", "Northwind,Northwind Traders,,NWT\nNissan,,Ghosn,\n", "entity_id,name_en,aliases,tickers\n")
    catalogue = Catalogue.load(extra=[extra])
    assert ids("Northwind Traders sues Ghosn", catalogue) == ["Northwind", "Nissan"]
    assert ids("Nissan Motor and 日产汽车", catalogue) == ["Nissan", "Nissan"]
    assert catalogue.name("Nissan") == "Nissan"
    assert catalogue.hash != SHIPPED.hash
    assert len(catalogue.entities) == len(SHIPPED.entities) + 1


def test_an_extra_file_may_tighten_a_name_that_ships(tmp_path: Path) -> None:
    extra = write(tmp_path / "mine.csv", "Boeing,,Boeing,!Boeing\n", "entity_id,name_en,aliases,ambiguous\n")
    catalogue = Catalogue.load(extra=[extra])
    assert ids("Boeing flies", catalogue) == []
    assert ids("Boeing shares fly", catalogue) == ["Boeing"]


# --- errors --------------------------------------------------------------------------------------------------------------
BROKEN = {
    "name twice": (
        "A,Northwind\nB,Contoso,,,,northwind\n",
        "line 3: a name belongs to one company; got 'northwind'; remove it here or from A",
    ),
    "ticker twice": ("A,Aaa,,,,,700.HK\nB,Bbb,,,,,0700.HK\n", "line 3: a ticker belongs to one company; got '0700.HK'; remove it here"),
    "id twice": ("A,Northwind\nA,Contoso\n", "line 3: each id stands once in a file; got 'A'; merge it with"),
    "empty id": (",Northwind\n", "line 2: entity_id is 1 to 40 ASCII letters, digits and underscores; got ''; choose an id"),
    "bad id": ("Credit-Suisse,Northwind\n", "line 2: entity_id is 1 to 40 ASCII letters, digits and underscores; got 'Credit-Suisse'"),
    "bad character": ("A,North\twind\n", r"line 2: name_en has no control characters and no outer spaces; got 'North\twind'; retype"),
    "outer space": ("A, Northwind\n", "line 2: name_en has no control characters and no outer spaces; got ' Northwind'; retype"),
    "empty alias": ("A,Northwind,,,,x1||x2\n", "line 2: aliases is a list separated by single | without spaces around; got 'x1||x2'"),
    "short name": ("A,N\n", "line 2: a name has at least two characters; got 'N'; use a longer name, or a ticker"),
    "no name": ("A,\n", "line 2: a new company has a name_en or a name_zh; got 'A'; fill one of them"),
    "bad ticker": ("A,Northwind,,,,,nw t\n", "line 2: a ticker is 1 to 16 capital letters, digits and . & + -; got 'nw t'; write TSLA"),
    "strange mark": ("A,Northwind,,,,,,!North\n", "line 2: ambiguous repeats names of the same row; got '!North'; add it to aliases"),
    "name in never": ("A,Northwind,,,,,,,northwind\n", "line 2: a phrase in never is longer than a name; got 'northwind'; remove it"),
    "wide row": ("A,Northwind,,,,,,,,,\n", "line 2: a row has at most 9 cells; got '11'; quote cells that contain a comma"),
    "open quote": ('A,"Northwind\n', "the catalogue is a CSV file in UTF-8; got"),
    "no rows": ("", "a catalogue holds at least one company; got 'none'; add a row under the header"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_place_rule_value_and_next_step(case: str, tmp_path: Path) -> None:
    rows, message = BROKEN[case]
    path = write(tmp_path / "broken.csv", rows)
    with pytest.raises(SettingsError) as caught:
        Catalogue.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("header", ["entity_id\n", "entity_id,name_en,colour\n", "entity_id,name_en,name_en\n", ""])
def test_a_wrong_header_is_refused_with_the_columns_that_it_should_have(header: str, tmp_path: Path) -> None:
    path = write(tmp_path / "broken.csv", "", header)
    with pytest.raises(SettingsError, match=r"line 1: the columns are entity_id, name_en, .*; got '.*'; correct the first line"):
        Catalogue.load(path)


def test_a_missing_file_and_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.csv: the catalogue file can be read; got .*; check the path"):
        Catalogue.load(tmp_path / "none.csv")
    (tmp_path / "gbk.csv").write_bytes((HEADER + "A,瑞信\n").encode("gbk"))
    with pytest.raises(SettingsError, match="the catalogue is a CSV file in UTF-8"):
        Catalogue.load(tmp_path / "gbk.csv")


def test_an_extra_file_may_not_take_a_name_of_another_company(tmp_path: Path) -> None:
    extra = write(tmp_path / "mine.csv", "Mine,Tesla\n", "entity_id,name_en\n")
    with pytest.raises(
        SettingsError, match=r"mine\.csv, line 2: a name belongs to one company; got 'tesla'; .* from Tesla \(.*catalogue\.csv, line \d+\)"
    ):
        Catalogue.load(extra=[extra])


# --- properties ----------------------------------------------------------------------------------------------------------
PIECES = st.one_of(
    st.sampled_from(sorted(name for entity in SHIPPED.entities.values() for name, _ in entity.rules())),
    st.sampled_from(["$TSLA", "(NYSE: GE)", "600519.SH", " shares ", "'s ", "İ", "ẞ", "Σ", " ", "股价"]),
    st.text(string.ascii_letters + " .$:()'’é平安", max_size=6),
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_mentions_are_ordered_never_overlap_and_slice_to_a_name_or_a_ticker(text: str) -> None:
    end = 0
    for mention in SHIPPED.find(text):
        assert end <= mention.start < mention.end <= len(text)
        end = mention.end
        piece = text[mention.start : mention.end]
        entity = SHIPPED.entities[mention.entity_id]
        own = {fold(name) for name, rule in entity.rules() if rule != "never"}
        codes = {code.partition(".")[0].lstrip("0") for code in entity.tickers}
        assert fold(piece) in own or any(code in piece.upper() for code in codes)


@given(st.text(max_size=60))
def test_folding_keeps_every_offset(text: str) -> None:
    assert len(fold(text)) == len(text)


# --- peers and traces ------------------------------------------------------------------------------------------------------
def test_peers_share_the_sector_and_come_from_the_same_country_first_then_from_its_region() -> None:
    peers = SHIPPED.peers("UBS", limit=100)
    assert peers[0] == "CreditSuisse"
    assert "UBS" not in peers
    assert {SHIPPED.entities[peer].sector for peer in peers} == {"bank"}
    countries = [SHIPPED.entities[peer].country for peer in peers]
    assert countries == sorted(countries, key=lambda country: country != "CH")
    assert "US" not in countries
    assert len(SHIPPED.peers("JPMorgan", limit=5)) == 5


def test_an_unknown_company_and_one_without_country_have_no_peers() -> None:
    assert SHIPPED.peers("OldCompany") == []
    assert SHIPPED.peers("IMF") == []


@given(st.lists(PIECES, max_size=8).map("".join))
def test_a_trace_finds_what_find_finds_and_gives_a_reason_for_the_rest(text: str) -> None:
    rows = trace(SHIPPED, text)
    found = [(row.entity_id, row.start, row.end) for row in rows if not row.rejected]
    assert found == [(mention.entity_id, mention.start, mention.end) for mention in SHIPPED.find(text)]
    assert all(text[row.start : row.end] == row.text for row in rows)


def test_a_trace_says_why_a_name_is_set_aside() -> None:
    rows = {row.text: row for row in trace(SHIPPED, "Tata Steel $TSLA 苹果好吃 xhttps://www.tesla.example visa Harrison Ford")}
    assert rows["Tata"].rejected == "part of 'Tata Steel', which is TataSteel"
    assert rows["$TSLA"].rule == "ticker"
    assert rows["苹果"].rejected == NEEDS_CONTEXT
    assert rows["tesla"].rejected == NOT_ALONE
    assert rows["visa"].rejected == "in another case than the catalogue's Visa"
    assert rows["Ford"].rejected == "part of 'Harrison Ford', which is no company"


def test_the_page_says_how_many_there_are_and_of_when() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert f"\n{len(SHIPPED.entities):,} companies and institutions, as of {AS_OF}: " in page
