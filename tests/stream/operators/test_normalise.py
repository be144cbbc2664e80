"""Normalise: every raw record becomes a clean document or a RecordError with its reason, and nothing else."""

import random
import re
import unicodedata
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.address import canonical_url
from groundswell.errors import RecordError
from groundswell.names import DAY_MS
from groundswell.records import Document, RawDocument
from stream.operators.normalise import (
    ANCIENT_MS,
    TEXT_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
    clean,
    detect_language,
    identity,
    normalise,
)
from tests import builders as b

KNOWN_MS = b.T0_MS + 60_000


def normal(**overrides: Any) -> Document:
    return normalise(b.a_raw(**overrides), known_ms=KNOWN_MS)


# --- text -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("AT&amp;T &lt;up&gt; &#8364;5&nbsp;bn", "AT&T <up> €5 bn"),
        ("<p>Bank <b>fails</b></p><br/>today", "Bank fails today"),
        ("<ruby>東<rp>(</rp><rt>とう</rt><rp>)</rp></ruby>", "東 ( とう )"),
        ("EPS <0.1 against >0.3", "EPS <0.1 against >0.3"),
        ("a<!-- hidden -->b", "a b"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("zero\u200bwidth \u202eturned\u202c \ufeffmark", "zerowidth turned mark"),
        ("nul\x00 bell\x07 del\x7f c1\x85", "nul bell del c1"),
        ("Cafe\u0301", "Café"),
        ("half &amp half &#xD800; &#0;", "half & half \ufffd \ufffd"),
        ("  \n ", ""),
        ("<" * 50, "<" * 50),
    ],
)
def test_text_is_cleaned(given_text: str, expected: str) -> None:
    assert clean(given_text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_is_cleaned_like_any_other(text: str) -> None:
    assert clean(f"{text} \u4e2d") == f"{clean(text)} \u4e2d".strip()  # the last character keeps it off the short way


@given(st.text())
def test_clean_text_is_one_line_without_anything_unseen(text: str) -> None:
    cleaned = clean(text)

    assert cleaned == cleaned.strip()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b\u202e\ud800-\udfff]|  ", cleaned)
    assert unicodedata.is_normalized("NFC", cleaned)


# --- language ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "claimed", "language"),
    [
        ("Fed holds rates", None, "en"),
        ("Fed holds rates", "en-GB", "en"),
        ("Fed holds rates", "EN_us", "en"),
        ("Fed holds rates", "zh", "en"),  # the script decides against such a claim
        ("La Banque centrale maintient ses taux directeurs", "fr", "fr"),
        ("La Banque centrale européenne maintient ses taux directeurs pour la troisième fois", None, "fr"),
        ("Die Zentralbank", None, "en"),  # too short to be sure
        ("央行维持利率不变", "en", "zh"),
        ("央行維持利率不變", None, "zh"),
        ("特斯拉召回 Model 3 after 事故", None, "zh"),
        ("日銀は金利を据え置いた", None, "ja"),
        ("日銀は金利を据え置いた", "zh", "ja"),
        ("한국은행 금리 동결", None, "ko"),
        ("البنك المركزي يثبت أسعار الفائدة", None, "other"),
        ("Банк России сохранил ставку", "en", "other"),
        ("12 % +3.4", None, None),
        ("🚀🚀 100", "en", None),
        ("$GME to the moon with friends and family today 🚀", None, "en"),
    ],
)
def test_language_is_told_by_script_then_by_claim_then_by_the_identifier(text: str, claimed: str | None, language: str | None) -> None:
    assert detect_language(text, claimed) == language


@pytest.mark.parametrize(
    ("title", "claimed", "reason"),
    [
        ("Der Vorstand tritt zurück", "de", "language: de"),
        ("日銀は金利を据え置いた", None, "language: ja"),
        ("12 % 34", None, "language: none, the text has no letters"),
        ("Some title", "x\x00" * 50, "language: xxxxxxxxxxxxxxxxxxxx"),
    ],
)
def test_a_language_that_nobody_reads_is_dropped_with_its_name(title: str, claimed: str | None, reason: str) -> None:
    with pytest.raises(RecordError, match=f"^{re.escape(reason)}$"):
        normal(title=title, text="", language=claimed)


# --- what cannot be used ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("source", ["", "  ", "\u200b\x00"])
def test_a_record_without_a_source_is_dropped(source: str) -> None:
    with pytest.raises(RecordError, match=r"^no source"):
        normal(source=source)


@pytest.mark.parametrize(("title", "text"), [("", ""), ("<br>", "&nbsp;"), ("\x00", "\u200b")])
def test_a_record_without_a_readable_character_is_dropped(title: str, text: str) -> None:
    with pytest.raises(RecordError, match=r"^empty: neither title nor text"):
        normal(title=title, text=text)


def test_an_empty_title_is_no_reason_to_drop_a_text() -> None:
    document = normal(title="", text="The bank said no.")

    assert (document.title, document.text) == ("", "The bank said no.")


# --- sizes ------------------------------------------------------------------------------------------------------------------
def test_ten_megabytes_of_text_are_cut_to_what_is_stored() -> None:
    document = normal(title="word " * 2_000_000, text="word " * 2_000_000)

    assert len(document.text) <= TEXT_CHARACTERS_MAX
    assert len(document.title) <= TITLE_CHARACTERS_MAX


def test_text_that_grows_when_it_is_composed_is_still_cut() -> None:
    assert len(normal(text="word " * 100 + "\ufb2c" * TEXT_CHARACTERS_MAX).text) <= TEXT_CHARACTERS_MAX


@pytest.mark.parametrize("text", ["<" * 100_000, "&" * 100_000, "<a" * 50_000, "\u0301" * 100_000, "( " * 50_000])
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    normal(text=text)  # a quadratic expression would take minutes here


def test_names_and_addresses_are_cut_too() -> None:
    document = normal(source="s" * 10_000, owner="o" * 10_000, url="https://a.example/" + "u" * 10_000)

    assert (len(document.source), len(document.owner)) == (200, 200)
    assert len(document.url or "") == 4_000


# --- owner ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "owner", "known"),
    [
        ({"author_hash": "ab", "owner": "Quill"}, "ab", True),
        ({"owner": "Quill"}, "Quill", True),
        ({}, "Harbour Wire", True),
        ({"kind": "comment"}, "Harbour Wire", False),
        ({"kind": "comment", "author_hash": "ab"}, "ab", True),
        ({"kind": "comment", "author_hash": "\x00"}, "Harbour Wire", False),
    ],
)
def test_the_owner_is_the_author_else_the_catalogues_else_the_source(fields: dict[str, Any], owner: str, known: bool) -> None:
    document = normal(**fields)

    assert (document.owner, document.owner_known) == (owner, known)


# --- tier and role ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "standing"),
    [
        ({"tier": 1, "role": "regulator"}, (1, "regulator")),
        ({"tier": 2, "role": "wire"}, (2, "wire")),
        ({}, (None, None)),
        ({"tier": 0, "role": "oracle"}, (None, None)),
        ({"tier": 5}, (None, None)),
        ({"kind": "comment", "tier": 1, "role": "regulator"}, (4, "forum")),
        ({"kind": "comment"}, (None, None)),
    ],
)
def test_tier_and_role_are_as_the_catalogue_says_and_a_comment_has_the_weight_of_a_forum(
    fields: dict[str, Any], standing: tuple[int | None, str | None]
) -> None:
    document = normal(**fields)

    assert (document.tier, document.role) == standing


# --- times ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("published_ms", "placed_ms", "flag"),
    [
        (KNOWN_MS - 5, KNOWN_MS - 5, ""),
        (KNOWN_MS, KNOWN_MS, ""),
        (KNOWN_MS + 1, KNOWN_MS, "future"),
        (KNOWN_MS + 3_650 * DAY_MS, KNOWN_MS, "future"),
        (10**30, KNOWN_MS, "future"),
        (ANCIENT_MS, ANCIENT_MS, ""),
        (ANCIENT_MS - 1, KNOWN_MS, "ancient"),
        (0, KNOWN_MS, "ancient"),
        (-(10**30), KNOWN_MS, "ancient"),
        (None, KNOWN_MS, "missing"),
    ],
)
def test_a_document_is_placed_between_1980_and_the_moment_it_became_known(published_ms: int | None, placed_ms: int, flag: str) -> None:
    document = normal(published_ms=published_ms)

    assert (document.published_ms, document.published_flag, document.known_ms) == (placed_ms, flag, KNOWN_MS)


@pytest.mark.parametrize("fetched_ms", [-5, 0, 10**30])
def test_a_crawlers_clock_always_fits_into_a_column(fetched_ms: int) -> None:
    assert 0 <= normal(fetched_ms=fetched_ms).fetched_ms < 2**63


# --- identity ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://News.Example:80/a/b/", "http://news.example/a/b"),
        ("https://news.example/a?b=2&a=1&utm_medium=x&fbclid=9", "https://news.example/a?a=1&b=2"),
        ("https://news.example/story?12345", "https://news.example/story?12345="),
        ("https://news.example/?q=%D6%D0", "https://news.example?q=%D6%D0"),
        ("https://news.example/a#part", "https://news.example/a"),
        ("https://news.example:8443/a", "https://news.example:8443/a"),
    ],
)
def test_an_address_is_told_apart_by_what_names_the_page(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


@pytest.mark.parametrize("url", ["https://news.example/story?1", "https://news.example/?q=%D6%D0", "https://news.example/a?ref=x&n=1"])
def test_other_pages_have_other_identities(url: str) -> None:
    others = ["https://news.example/story?2", "https://news.example/?q=%B9%FA", "https://news.example/a?ref=x&n=2", "https://news.example/"]

    assert normal(url=url).document_id not in {normal(url=other).document_id for other in others}


def test_the_same_page_by_another_way_is_the_same_document() -> None:
    ways = ["https://news.example/a?id=3", "https://NEWS.example/a/?utm_source=feed&id=3#top", " https://news.example/a?id=3 "]

    assert len({normal(url=url, source=f"s{n}").document_id for n, url in enumerate(ways)}) == 1


@pytest.mark.parametrize("url", ["n/a", "-", "http://[broken", "/relative/path", "null"])
def test_what_is_no_address_names_no_document(url: str) -> None:
    assert normal(url=url, title="One").document_id != normal(url=url, title="Two").document_id
    assert normal(url=url).document_id == normal(url=None).document_id


def test_an_id_counts_before_the_address_and_only_within_its_source() -> None:
    assert normal(id="7", url="https://a.example/1").document_id == normal(id="7", url="https://a.example/2").document_id
    assert normal(id="7", source="A").document_id != normal(id="7", source="B").document_id


def test_without_id_and_address_source_time_author_and_text_make_the_identity() -> None:
    texts: list[dict[str, Any]] = [{}, {"title": "Other"}, {"source": "Quay"}, {"published_ms": 1}, {"author_hash": "x"}]

    assert len({normal(**fields).document_id for fields in texts}) == len(texts)
    assert identity(b.a_raw(), text="t") == identity(b.a_raw(fetched_ms=9, kind="report"), text="t")


def test_content_is_the_cleaned_title_and_text_alone() -> None:
    assert normal(title="A  title", published_ms=5).content_hash == normal(title="A title", url="https://x.example/1").content_hash
    assert normal(title="AB", text="C").content_hash != normal(title="A", text="BC").content_hash


# --- anything at all --------------------------------------------------------------------------------------------------------
_soup = st.text() | st.sampled_from(["<", "&#", "http://[", "\x00", "\u202e", "𝔘𝔫𝔦", "%", "😀", "ﬀ", "Ａ"]).map(lambda s: s * 40)
_numbers = st.integers() | st.none()


@settings(deadline=None)
@given(
    source=_soup, title=_soup, text=_soup, url=_soup | st.none(), id=_soup | st.none(), author_hash=_soup | st.none(),
    language=_soup | st.none(), published_ms=_numbers, fetched_ms=st.integers(),
)  # fmt: skip
def test_whatever_comes_a_document_or_a_record_error_goes(**fields: Any) -> None:
    try:
        document = normalise(RawDocument(**fields), known_ms=KNOWN_MS)
    except RecordError:
        return
    for value in (document.source, document.owner, document.title, document.text, document.url or ""):
        value.encode()  # storable: no lone surrogate
        assert "\x00" not in value  # PostgreSQL has no place for it
    assert document.language in ("en", "zh")
    assert ANCIENT_MS <= document.published_ms <= KNOWN_MS


def test_random_bytes_as_text_are_survived() -> None:
    chance = random.Random(7)
    for _ in range(300):
        text = chance.randbytes(chance.randrange(1, 200)).decode("latin-1")
        with suppress(RecordError):
            assert normal(title=text, text=text[::-1]).language == "en"
