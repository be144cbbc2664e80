"""The language of searches: what is read, what is refused and how, and that printing loses nothing."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import UsageError
from groundswell.names import KINDS, SENTIMENTS, TOPICS
from groundswell.search import (
    CHARACTERS_MAX,
    DEPTH_MAX,
    EXAMPLE,
    And,
    Field,
    Node,
    Not,
    Or,
    Query,
    Words,
    anchors,
    matches,
    parse,
    sought,
    with_companies,
)
from groundswell.terms import Indexed, phrase_of
from tests import builders as b

A, B, C = Words("a"), Words("b"), Words("c")


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", None),
        ("   ", None),
        ("a b", And((A, B))),
        ("a AND b c", And((A, B, C))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("a (b c)", And((A, B, C))),
        ("NOT a b", And((Not(A), B))),
        ("NOT (a OR b)", Not(Or((A, B)))),
        ("ANDROID", Words("ANDROID")),
        ("“临澜 银行”（a OR b）", And((Words("临澜 银行"), Or((A, B))))),
        ('Company:"Linlan Bank" topic:DEBT_CREDIT', And((Field("company", "Linlan Bank"), Field("topic", "debt_credit")))),
        ("http://harbour.example/a 10:30", And((Words("http://harbour.example/a"), Words("10:30")))),
        ('"AND"', Words("AND")),
    ],
)
def test_a_query_is_read_as(text: str, node: Node | None) -> None:
    assert parse(text) == Query(node)


def test_bounds_belong_to_the_whole_query_wherever_they_stand() -> None:
    day = 86_400_000
    assert parse("from:1970-01-02 a OR b to:1970-01-03") == Query(Or((A, B)), day, 3 * day)
    assert parse("from:1970-01-02", zone=ZoneInfo("Asia/Shanghai")).from_ms == day - 8 * 3_600_000
    assert parse("to:1970-01-03T00:00+01:00").to_ms == 2 * day - 3_600_000


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("a OR", 5, "expected a word"),
        ("(a", 3, "the query ends"),
        ("a )", 3, "got ')'"),
        ("AND a", 1, "got 'AND'"),
        ('a "b', 3, "nothing closes"),
        ("a author:b", 3, "no field is called 'author'"),
        ("topic:weather", 7, "one of earnings_dividends"),
        ("kind:blog", 6, "one of news, report, filing, comment"),
        ('company:"" a', 9, "has no value"),
        ("company:", 9, "expected a word or a phrase, the query ends"),
        ("from:yesterday", 6, "is no time"),
        ("from:1960-01-01", 6, "is no time"),
        ("a OR from:2026-01-01", 1, "no alternative"),
        ("NOT from:2026-01-01", 5, "behind NOT"),
        ("from:2026-01-01 from:2026-01-02", 17, "a second from:"),
        ("from:2026-01-02 to:2026-01-01", 1, "exchange them"),
        ("a %%", 3, "no letter and no digit"),
        ("(" * (DEPTH_MAX + 2) + "a" + ")" * (DEPTH_MAX + 2), DEPTH_MAX + 2, "write it flatter"),
    ],
)
def test_a_refusal_names_the_column_what_was_expected_and_an_example(text: str, column: int, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert f"column {column}: " in str(caught.value)
    assert said in str(caught.value)
    assert str(caught.value).endswith(EXAMPLE)


def test_the_example_of_a_refusal_can_be_read() -> None:
    assert parse(EXAMPLE).from_ms is not None


def test_a_query_has_a_bounded_length() -> None:
    with pytest.raises(UsageError, match="1,001 characters"):
        parse("a" * (CHARACTERS_MAX + 1))


# --- printing -----------------------------------------------------------------------------------------------------------------
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters='"“”„（）：\u3000'), min_size=1, max_size=8).filter(
    lambda text: bool(phrase_of(text).terms) and text == text.strip()
)
LEAVES = st.one_of(
    st.builds(Words, TEXTS),
    st.builds(Field, st.sampled_from(["company", "source", "language"]), TEXTS),
    st.builds(Field, st.just("topic"), st.sampled_from(TOPICS)),
    st.builds(Field, st.just("kind"), st.sampled_from(KINDS)),
    st.builds(Field, st.just("sentiment"), st.sampled_from(SENTIMENTS)),
)


def flat(kind: type[And] | type[Or], of: list[Node]) -> Node:
    """As the reader makes it: no And directly within an And."""
    inner = [each for one in of for each in (one.of if isinstance(one, kind) else (one,))]
    return kind(tuple(inner))


NODES: st.SearchStrategy[Node] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda of: flat(And, of)),
        st.lists(inner, min_size=2, max_size=3).map(lambda of: flat(Or, of)),
    ),
    max_leaves=8,
)
SECONDS = st.integers(0, 4_000_000_000).map(lambda s: s * 1000)


@given(NODES, st.one_of(st.none(), SECONDS), st.integers(1, 10**9))
def test_a_printed_query_is_read_as_the_same_query(node: Node, from_ms: int | None, length_s: int) -> None:
    query = Query(node, from_ms, None if from_ms is None else from_ms + length_s * 1000)
    assert parse(str(query)) == query


@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        query = parse(text)
    except UsageError:
        return
    assert parse(str(query)) == query


# --- trying one document ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("aldora", True),
        ("aldora NOT fraud", False),
        ('"debt fraud" (banana OR monday)', True),
        ("kind:comment OR source:'harbour wire'", False),
        ('kind:comment OR source:"harbour wire"', True),
        ("sentiment:negative topic:debt_credit language:en", True),
        ("NOT NOT aldora", True),
        ("", True),
    ],
)
def test_a_document_is_tried_in_memory(text: str, is_found: bool) -> None:
    assert matches(parse(text).node, Indexed(b.a_document(), b.a_score())) is is_found


def test_what_is_excluded_is_no_reason_for_a_result() -> None:
    assert list(sought(parse("a (b OR kind:news) NOT c").node)) == [phrase_of("a"), phrase_of("b")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fraud", {"fraud"}),
        ('"a bank run"', {"bank"}),
        ("fraud OR 银行", {"fraud", "银行"}),
        ("fraud (queue OR run)", {"fraud"}),
        ("kind:news fraud", {"fraud"}),
        ("银行债", {"行债"}),
        ("fraud OR kind:news", None),
        ("NOT fraud", None),
        ("债", None),
        ("", None),
    ],
)
def test_what_is_found_has_one_of_these_words(text: str, wanted: set[str] | None) -> None:
    assert anchors(parse(text).node) == wanted


def test_names_of_companies_become_their_ids() -> None:
    ids = {"linlan": ["LinlanBank", "LinlanAir"], "svb": ["SVB"]}
    query = parse("a company:Linlan NOT company:SVB company:nobody")
    assert str(with_companies(query, lambda name: ids.get(name.lower(), []))) == (
        "a (company:LinlanBank OR company:LinlanAir) NOT company:SVB company:nobody"
    )
