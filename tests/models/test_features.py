"""Hashed n-grams: what is normalised away, and that a document's features are its own."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features import LEAD_CHARACTERS, FeatureSpec, extract, normalise

LATIN: Final = FeatureSpec(style="latin", words=(1, 2), characters=(2, 5), buckets_log2=17)
HAN: Final = FeatureSpec(style="han", words=(0, 0), characters=(1, 3), buckets_log2=17)
TEXTS: Final = st.lists(st.text(alphabet=st.characters(exclude_categories=[]), max_size=60), max_size=8)


def buckets(text: str, spec: FeatureSpec) -> list[int]:
    found: list[int] = extract([text], spec).buckets.tolist()
    return found


@pytest.mark.parametrize("spec", [LATIN, HAN])
@given(texts=TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_document_has_the_same_features_in_any_batch(spec: FeatureSpec, texts: list[str]) -> None:
    found = extract(texts, spec)
    assert len(found.starts) == len(texts) + 1
    for row, text in enumerate(texts):
        assert found.buckets[found.starts[row] : found.starts[row + 1]].tolist() == buckets(text, spec)


@given(text=st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_buckets_are_sorted_distinct_and_within_range(text: str) -> None:
    found = buckets(text, LATIN)
    assert found == sorted(set(found))
    assert all(0 <= bucket < 1 << 17 for bucket in found)


def test_hashes_never_change() -> None:
    # Stored weights are indexed by these numbers; another value needs a new features.REVISION and new bundles.
    assert buckets("up", FeatureSpec(style="latin", words=(1, 1), characters=(2, 2), buckets_log2=17)) == [10300, 14660, 17581, 27881]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bank fails https://t.co/abc", "bank fails"),
        ("$ABCD sinks", "$WXYZ sinks"),
        ("thanks @someone", "thanks @anybody"),
        ("Ｂａｎｋ １０％", "bank 10%"),
        ("R&amp;D cuts", "R&D cuts"),
    ],
)
def test_what_does_not_matter_is_normalised_away(one: str, other: str) -> None:
    assert normalise(one, "latin") == normalise(other, "latin")


def test_an_amount_of_dollars_is_not_a_ticker() -> None:
    assert "tick" not in normalise("pays $100 million", "latin")


def test_chinese_text_is_the_same_with_and_without_spaces_and_in_full_width() -> None:
    assert buckets("银行 破产！２０亿", HAN) == buckets("银行破产!20亿", HAN)


def test_only_the_lead_is_read() -> None:
    lead = "x" * LEAD_CHARACTERS
    assert buckets(lead + " bankruptcy", LATIN) == buckets(lead, LATIN)


def test_a_text_without_anything_to_read_has_no_features() -> None:
    assert extract(["", "https://t.co/abc", " "], LATIN).starts.tolist() == [0, 0, 0, 0]


def test_an_empty_batch_is_answered() -> None:
    assert extract([], LATIN).starts.tolist() == [0]
