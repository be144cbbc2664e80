"""Texts to tokens: what is read of a text, where it stands in the original, and vocabularies cut to what is needed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import BundleError
from models.encoder.tokens import Tokenizer, clean, counts, prune
from models.features import LEAD_CHARACTERS
from tests import tiny_graph as tiny

UNKNOWN, CLS, SEP = (tiny.VOCABULARY.index(name) for name in ("[UNK]", "[CLS]", "[SEP]"))


def pieces(text: str, *, tokenizer: Tokenizer | None = None) -> list[tuple[str, str]]:
    """(piece, what it covers of the text as given) of a text, without [CLS] and [SEP]."""
    found = (tokenizer or tiny.tokenizer()).encode([text])[0]
    assert (found.ids[0], found.ids[-1]) == (CLS, SEP)
    assert found.offsets[[0, -1]].tolist() == [[0, 0], [0, 0]]
    places = zip(found.ids[1:-1].tolist(), found.offsets[1:-1].tolist(), strict=True)
    return [(tiny.VOCABULARY[number], text[first:last]) for number, (first, last) in places]


def words(text: str) -> list[str]:
    """What is read of a text, piece by piece."""
    return [piece for piece, _ in pieces(text)]


# --- what is read --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["https://a.example/b?c=d&amp;e", "HTTP://X.EXAMPLE", "www.example.com/a", "pic.twitter.com/abc"])
def test_a_url_is_not_read_and_nothing_after_it_moves(url: str) -> None:
    text = f"bank {url} falls"
    assert pieces(text) == [("bank", "bank"), ("fall", "fall"), ("##s", "s")]


def test_a_cashtag_is_read_letter_by_letter_and_keeps_its_place() -> None:
    assert pieces("$ABC rises") == [("$", "$"), ("a", "A"), ("##b", "B"), ("##c", "C"), ("rise", "rise"), ("##s", "s")]


def test_a_handle_is_reduced_to_its_kind_and_covers_the_whole_handle() -> None:
    assert pieces("@some_one: bank") == [("@", "@some_one"), ("user", "@some_one"), ("[UNK]", ":"), ("bank", "bank")]


@pytest.mark.parametrize("text", ["me@bank.example", "@", "@@bank"])
def test_what_only_looks_like_a_handle_is_none(text: str) -> None:
    assert clean(text).text == text


@pytest.mark.parametrize(
    ("given_text", "read"),
    [
        ("a &amp; b", "a & b"),
        ("a &#36;5", "a $5"),
        ("a&nbsp;b", "a\xa0b"),
        ("5 &lt; 6", "5 < 6"),
        ("&nosuch; AT&T", "&nosuch; AT&T"),
        ("ＡＢＣ５％", "ABC5%"),
        ("\ud800 bank", "\ufffd bank"),
        ("，。！", "，。！"),
        ("<b>bank</b>", "<b>bank</b>"),
    ],
)
def test_left_overs_are_resolved(given_text: str, read: str) -> None:
    assert clean(given_text).text == read


def test_what_an_escape_stands_for_has_the_place_of_the_escape() -> None:
    text = "bank &#36;&#x61;&#98; falls"
    assert pieces(text) == [("bank", "bank"), ("$", "&#36;"), ("a", "&#x61;"), ("##b", "&#98;"), ("fall", "fall"), ("##s", "s")]


def test_a_vocabulary_without_capitals_reads_capitals_as_small_letters_whatever_its_file_says() -> None:
    assert not json.loads(tiny.tokenizer_json())["normalizer"]["lowercase"]
    assert words("BANK Falls") == words("bank falls") == ["bank", "fall", "##s"]


def test_a_vocabulary_with_capitals_tells_them_apart() -> None:
    cased = Tokenizer(tiny.tokenizer_json((*tiny.VOCABULARY, "B", "Bank")), max_tokens=8)
    assert cased.encode(["Bank"])[0].ids.tolist() != cased.encode(["bank"])[0].ids.tolist()


def test_chinese_is_read_character_by_character() -> None:
    assert pieces("跌了，涨") == [("跌", "跌"), ("[UNK]", "了"), ("[UNK]", "，"), ("涨", "涨")]


def test_only_the_lead_is_read() -> None:
    tokenizer = Tokenizer(tiny.tokenizer_json(), max_tokens=LEAD_CHARACTERS)
    text = "a " * (LEAD_CHARACTERS // 2) + "bank"
    assert {piece for piece, _ in pieces(text, tokenizer=tokenizer)} == {"a"}
    assert clean("x" * 1_000_000).text == "x" * LEAD_CHARACTERS


@pytest.mark.parametrize("longest", [3, 8, 24])
def test_a_text_is_cut_to_the_longest_and_still_ends_with_its_end(longest: int) -> None:
    tokenizer = Tokenizer(tiny.tokenizer_json(), max_tokens=longest)
    found = tokenizer.encode(["bank " * 50])[0]
    assert len(found.ids) == longest
    assert (found.ids[0], found.ids[-1]) == (CLS, SEP)


# --- many texts ----------------------------------------------------------------------------------------------------
def test_every_text_is_read_as_if_it_were_alone() -> None:
    tokenizer = tiny.tokenizer()
    texts = [*tiny.TEXTS, "@x &amp; y", "https://a.example"]
    together = tokenizer.encode(texts)
    assert len(together) == len(texts)
    assert together.lengths.tolist() == [len(one.ids) for one in together]
    for text, one in zip(texts, together, strict=True):
        alone = tokenizer.encode([text])[0]
        np.testing.assert_array_equal(one.ids, alone.ids)
        np.testing.assert_array_equal(one.offsets, alone.offsets)


def test_encodings_are_a_sequence() -> None:
    found = tiny.tokenizer().encode(["bank", "", "bank falls"])
    assert [len(one.ids) for one in found] == [3, 2, 5]
    assert found[-1].ids.tolist() == found[2].ids.tolist()
    assert [len(one.ids) for one in found[1:]] == [2, 5]
    with pytest.raises(IndexError):
        found[3]
    assert len(tiny.tokenizer().encode([])) == 0


PARTS = [
    "bank",
    "Falls",
    " ",
    "&amp;",
    "&#8364;",
    "@some_one",
    "$ABC",
    "https://a.example/x",
    "，",
    "跌",
    "５",
    "é",
    "e\u0301",
    "İ",
    "🚀",
    "\ud800",
]


@given(
    st.one_of(
        st.lists(st.sampled_from(PARTS), max_size=12).map("".join), st.text(alphabet=st.characters(exclude_categories=[]), max_size=40)
    )
)
def test_offsets_point_into_the_text_as_it_was_given_and_never_go_back(text: str) -> None:
    found = tiny.tokenizer().encode([text])[0]
    inner = found.offsets[1:-1]
    assert (inner >= 0).all()
    assert (inner <= len(text)).all()
    assert (inner[:, 0] < inner[:, 1]).all()
    assert (np.diff(inner[:, 0]) >= 0).all()
    assert (np.diff(inner[:, 1]) >= 0).all()
    cleaned = clean(text)
    assert cleaned.places is None or len(cleaned.places) == len(cleaned.text)


@given(st.lists(st.sampled_from(["bank", "fall", "rise", "profit", "跌", "涨", "行", "a", "%", "."]), min_size=1, max_size=9))
def test_a_plain_words_piece_covers_exactly_that_word(parts: list[str]) -> None:
    assert pieces(" ".join(parts)) == [(part, part) for part in parts]


def test_counts_say_how_often_each_piece_occurs() -> None:
    found = counts(tiny.tokenizer(), ["bank falls", "bank", ""])
    assert len(found) == len(tiny.VOCABULARY)
    expected = {"[CLS]": 3, "[SEP]": 3, "bank": 2, "fall": 1, "##s": 1}
    assert {tiny.VOCABULARY[number]: count for number, count in enumerate(found.tolist()) if count} == expected


# --- smaller vocabularies ------------------------------------------------------------------------------------------
def kept_of(texts: list[str]) -> list[int]:
    return list(map(int, np.flatnonzero(counts(tiny.tokenizer(), texts))))


def test_a_pruned_vocabulary_reads_texts_that_it_was_made_from_as_the_whole_one_does() -> None:
    texts = ["bank falls", "$abc 跌", "@x rises"]
    pruned = prune(tiny.tokenizer_json(), kept_of(texts))
    small = Tokenizer(pruned.data, max_tokens=tiny.MAX_TOKENS)
    assert small.size == len(pruned.ids) < len(tiny.VOCABULARY)
    before, after = tiny.tokenizer().encode(texts), small.encode(texts)
    np.testing.assert_array_equal(pruned.ids[after.ids], before.ids)
    np.testing.assert_array_equal(after.offsets, before.offsets)
    np.testing.assert_array_equal(after.starts, before.starts)


def test_special_pieces_stay_whatever_is_kept_and_ids_close_up_in_order() -> None:
    pruned = prune(tiny.tokenizer_json(), [])
    assert [tiny.VOCABULARY[number] for number in pruned.ids] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert Tokenizer(pruned.data, max_tokens=8).encode(["bank"])[0].ids.tolist() == [CLS, UNKNOWN, SEP]
    some = prune(tiny.tokenizer_json(), [40, 12, 40, 30])
    assert some.ids.tolist() == [0, 1, 2, 3, 4, 12, 30, 40]


def test_a_word_whose_piece_is_gone_is_spelt_with_those_that_are_left() -> None:
    keep = [tiny.VOCABULARY.index(piece) for piece in ("b", "##a", "##n", "##k")]
    pruned = prune(tiny.tokenizer_json(), keep)
    found = Tokenizer(pruned.data, max_tokens=8).encode(["bank profit"])[0]
    assert [tiny.VOCABULARY[number] for number in pruned.ids[found.ids]] == ["[CLS]", "b", "##a", "##n", "##k", "[UNK]", "[SEP]"]


def test_pruning_with_everything_changes_no_answer() -> None:
    pruned = prune(tiny.tokenizer_json(), range(len(tiny.VOCABULARY)))
    assert pruned.ids.tolist() == list(range(len(tiny.VOCABULARY)))
    texts = tiny.some_texts(20)
    np.testing.assert_array_equal(Tokenizer(pruned.data, max_tokens=24).encode(texts).ids, tiny.tokenizer().encode(texts).ids)


# --- what is refused -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[]", b"{}", b'{"model": {"type": "WordPiece", "vocab": {}}}', b"\x80\x04pickle"])
def test_bytes_that_are_no_tokenizer_are_refused_with_their_place(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"tokenizer mine\.json: "):
        Tokenizer(data, max_tokens=8, place="mine.json")


@pytest.mark.parametrize("name", ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
def test_a_vocabulary_without_a_special_piece_is_refused_and_the_piece_is_named(name: str) -> None:
    parsed = json.loads(tiny.tokenizer_json())
    parsed["model"]["vocab"]["[other]"] = parsed["model"]["vocab"].pop(name)
    with pytest.raises(BundleError, match=rf"tokenizer .*{name[1:-1]}"):
        Tokenizer(json.dumps(parsed).encode(), max_tokens=8)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.json: cannot be read .*; restore the file"):
        Tokenizer.load(tmp_path / "none.json", max_tokens=8)
    (tmp_path / "here.json").write_bytes(tiny.tokenizer_json())
    assert Tokenizer.load(tmp_path / "here.json", max_tokens=8).size == len(tiny.VOCABULARY)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"model": {"vocab": ["a"]}}', b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}'])
def test_only_a_word_piece_vocabulary_can_be_pruned(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"not a WordPiece tokenizer\.json .*; prune the file of a BERT encoder"):
        prune(data, [1])
