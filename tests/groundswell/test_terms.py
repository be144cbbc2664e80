"""What a text is found by."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.terms import MARK, TERMS_MAX, Indexed, excerpt, facet, facets_of, marks, phrase_of, terms_of, words_of
from tests import builders as b


def test_a_chinese_run_is_its_pairs_and_its_last_character() -> None:
    assert [tuple(term) for term in terms_of("看临澜银行")] == [
        ("看临", 0, 2),
        ("临澜", 1, 3),
        ("澜银", 2, 4),
        ("银行", 3, 5),
        ("行", 4, 5),
    ]


def test_width_and_case_do_not_matter() -> None:
    assert [term.term for term in terms_of("ＡＢＣ Straße CAFÉ")] == ["abc", "strasse", "café"]


@given(st.text() | st.text(st.characters(codec="ascii"), max_size=200))
def test_a_text_is_indexed_by_its_terms_whatever_it_is_written_in(text: str) -> None:
    assert words_of(text) == [term.term for term in terms_of(text)]


def test_marks_and_surrogates_are_no_terms() -> None:
    assert list(terms_of(f"{MARK}all \ud800 \x00 _ ' \"")) == [("all", 1, 4)]


@pytest.mark.parametrize(
    ("text", "sought", "there"),
    [
        ("Linlan Bank misses a payment", "linlan bank", True),
        ("Linlan Bank misses a payment", "linlan payment", False),
        ("临澜银行未能付款", "澜银行未", True),
        ("临澜银行未能付款", "行", True),
        ("临澜银行未能付款", "款", True),
        ("临澜银行未能付款", "临银", False),
        ("A股市场大跌", "A股", True),
        ("A 公司的股票", "A股", False),
        ("bank, bank run", "bank run", True),
    ],
)
def test_a_phrase_is_terms_beside_each_other(text: str, sought: str, there: bool) -> None:
    assert Indexed(b.a_document(title=text, text=""), None).has(phrase_of(sought)) is there


def test_what_may_not_be_stored_is_not_looked_into() -> None:
    document = b.a_document(title="", text="secret " * 60, store_text=False)
    assert len(Indexed(document, None).terms) == 22  # the quote that may be kept
    assert not Indexed(b.a_document(title="open", text="secret", store_text=False), None).has(phrase_of("secret"))


def test_a_text_has_a_bounded_number_of_terms() -> None:
    assert len(Indexed(b.a_document(title="银" * 90_000, text="end"), None).terms) == TERMS_MAX


def test_facets_of_different_values_are_different_and_hold_only_letters_digits_and_marks() -> None:
    values = ["a b", "a-b", "a_b", "a·b", "ab", "a\ud800b", "a'b", "中 国"]
    found = [facet("source", value) for value in values]
    assert len(set(found)) == len(values)
    assert all(c.isalnum() or c == MARK for each in found for c in each)


def test_a_document_without_a_score_has_no_facets_of_a_model() -> None:
    assert not [each for each in facets_of(b.a_document(), None) if "topic" in each or "sentiment" in each]
    assert facet("sentiment", "negative") in facets_of(b.a_document(), b.a_score())


def test_overlapping_marks_are_one() -> None:
    assert marks("临澜银行未能付款", [phrase_of("临澜银行"), phrase_of("银行未能")]) == [(0, 6)]
    assert marks("no match", [phrase_of("银行")]) == []


def test_an_excerpt_holds_the_first_mark_and_is_no_longer_than_asked() -> None:
    text = "word " * 200 + "NEEDLE " + "word " * 200
    spans = marks(text, [phrase_of("needle")])
    start, end = excerpt(text, spans, characters=120)
    assert "NEEDLE" in text[start:end]
    assert end - start <= 120
    assert excerpt("short", [], characters=120) == (0, 5)


def test_words_without_their_places_are_the_same_words() -> None:
    chance = random.Random(4)
    letters = [
        "Bank",
        "ＡＢ",
        "é",
        "e\u0301",
        "İstanbul",
        "债券",
        "股",
        "ßt",
        "_",
        " ",
        " ",
        "-",
        "’",
        "3",
        "한국",
        "x" * 50,
        "\ud800",
        "\x00",
    ]
    for _ in range(300):
        text = "".join(chance.choices(letters, k=chance.randrange(12)))
        assert words_of(text) == [term.term for term in terms_of(text)], text
