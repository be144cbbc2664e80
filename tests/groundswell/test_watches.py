"""What is watched: saved searches and companies, each change a new version; files with bad lines."""

import random
from collections.abc import Sequence

import pytest

from groundswell.codec import canonical, decode
from groundswell.errors import UsageError
from groundswell.records import Mention
from groundswell.search import matches, parse
from groundswell.terms import Indexed
from groundswell.watches import NOTHING, QUERIES_MAX, WatchedCompany, Watches, read_companies
from tests import builders as b

IDS = {"linlan bank": ["LinlanBank"], "linlanbank": ["LinlanBank"], "svb": ["SVB"], "linlan": ["LinlanBank", "LinlanAir"]}


def ids_of(name: str) -> Sequence[str]:
    return IDS.get(name.lower(), [])


def test_a_saved_search_is_kept_with_ids_in_place_of_names() -> None:
    watches = NOTHING.saving("run", 'company:"Linlan Bank" AND (queue OR 挤兑)', ids_of=ids_of)
    assert watches.queries == {"run": "company:LinlanBank (queue OR 挤兑)"}
    assert watches.saving("run", "queue", ids_of=ids_of).queries == {"run": "queue"}


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("two words", "a", "a name has letters"),
        ("a:b", "a", "a name has letters"),
        ("", "a", "a name has letters"),
        ("x" * 41, "a", "at most 40"),
        ("ok", "a from:2026-01-01", "says what, not when"),
        ("ok", "", "look for something"),
        ("ok", "(a", "column 3"),
    ],
)
def test_a_search_that_cannot_be_saved_is_refused(name: str, query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        NOTHING.saving(name, query, ids_of=ids_of)


def test_there_is_a_bound_on_saved_searches_and_one_may_always_be_replaced() -> None:
    full = Watches(queries={f"q{n}": "a" for n in range(QUERIES_MAX)})
    with pytest.raises(UsageError, match="already; remove one"):
        full.saving("more", "a", ids_of=ids_of)
    assert full.saving("q1", "b", ids_of=ids_of).queries["q1"] == "b"


def test_a_document_counts_in_each_search_that_finds_it() -> None:
    watches = NOTHING.saving("b", "company:LinlanBank NOT kind:comment", ids_of=ids_of).saving("a", "fraud", ids_of=ids_of)
    score = b.a_score(mentions=[Mention("LinlanBank", 0, 1)])
    assert watches.series_of(b.a_document(), score) == ["watch:a", "watch:b"]
    assert watches.series_of(b.a_document(title="calm", kind="comment"), score) == []


def test_a_first_look_at_the_words_passes_over_nothing_that_a_search_finds() -> None:
    chance = random.Random(7)
    pieces = [
        "fraud",
        '"bank run"',
        "queue",
        "银",
        "银行",
        "挤兑",
        "NOT fraud",
        "kind:news",
        "NOT kind:comment",
        "company:LinlanBank",
        '"run 3"',
    ]
    words = ["fraud", "bank", "run", "3", "queue", "银行", "挤兑", "Frauds", "calm", "é"]
    found = 0
    for _ in range(400):
        parts = chance.sample(pieces, 4)
        query = (
            f"({parts[0]} OR {parts[1]}) {parts[2]}" if chance.random() < 0.5 else f"{parts[0]} OR ({parts[1]} {parts[2]}) OR {parts[3]}"
        )
        watches = Watches(queries={"q": query})
        document = b.a_document(title=" ".join(chance.choices(words, k=5)), text="", kind=chance.choice(("news", "comment")))
        is_meant = matches(parse(query).node, Indexed(document, b.a_score()))
        assert watches.series_of(document, b.a_score()) == (["watch:q"] if is_meant else []), (query, document.title)
        found += is_meant
    assert 100 < found < 300


def test_a_version_has_one_name_whatever_order_it_was_made_in_and_survives_the_store() -> None:
    one = NOTHING.saving("a", "x", ids_of=ids_of).saving("b", "y", ids_of=ids_of)
    other = NOTHING.saving("b", "y", ids_of=ids_of).saving("a", "x", ids_of=ids_of)
    assert (one.hash, one.hash == NOTHING.hash) == (other.hash, False)
    again = decode(canonical(one), Watches)
    assert (again, again.hash) == (one, one.hash)


def test_what_is_removed_must_be_there() -> None:
    watches = NOTHING.saving("a", "x", ids_of=ids_of).watching([WatchedCompany(company="SVB", weight=1)])
    assert watches.without(["a", "SVB"]) == NOTHING
    with pytest.raises(UsageError, match=r"'c'.*watch list"):
        watches.without(["a", "c"])


# --- files ----------------------------------------------------------------------------------------------------------------------
def test_good_lines_are_taken_and_bad_ones_named_with_line_and_reason() -> None:
    text = """\ufeffCompany,weight,owner
Linlan Bank,0.08,analyst 2
SVB,heavy,
nobody,1,
SVB,-1,
linlan,1,
LinlanBank,0.5,somebody
,1,
SVB,0.02,"Moss, A."
"""
    taken, refused = read_companies(text.splitlines(keepends=True), ids_of=ids_of)
    assert taken == [
        WatchedCompany(company="LinlanBank", weight=0.08, owner="analyst 2"),
        WatchedCompany(company="SVB", weight=0.02, owner="Moss, A."),
    ]
    assert [line.split(":")[0] for line in refused] == ["line 3", "line 4", "line 5", "line 6", "line 7", "line 8"]
    assert "weight 'heavy': must be a number" in refused[0]
    assert "does not know it" in refused[1]
    assert "may be LinlanBank, LinlanAir: write the id" in refused[3]
    assert "earlier line" in refused[4]


@pytest.mark.parametrize("text", ["", "name,weight\nSVB,1\n", "company\nSVB\n"])
def test_a_file_without_the_columns_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"line 1: has no column '\w+'.*write company,weight,owner"):
        read_companies(text.splitlines(keepends=True), ids_of=ids_of)


@pytest.mark.parametrize("weight", ["nan", "inf", "1e999", "", "0x10"])
def test_a_weight_is_a_finite_number(weight: str) -> None:
    assert read_companies(["company,weight\n", f"SVB,{weight}\n"], ids_of=ids_of)[0] == []
