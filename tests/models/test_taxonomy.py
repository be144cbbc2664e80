"""The fixed maps from trained labels to reported topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import UsageError
from groundswell.names import FLAGS, TOPICS
from models.taxonomy import (
    LABEL_TO_TOPIC,
    NATIVE_TO_TOPIC,
    NATIVE_TOPICS,
    PPM,
    RISK_FLAGS,
    TOPIC_NAMES,
    highest,
    measured_topics,
    taxonomy_hash,
    topics_of_labels,
    topics_of_native,
)


def test_every_reported_topic_has_a_name_in_both_languages() -> None:
    assert tuple(TOPIC_NAMES) == TOPICS
    assert all(names["en"] and names["zh"] for names in TOPIC_NAMES.values())


def test_english_reaches_all_topics_and_chinese_only_those_its_labels_map_to() -> None:
    assert measured_topics("en") == TOPICS
    assert set(TOPICS) - set(measured_topics("zh")) == {
        "earnings_dividends",
        "analyst_ratings",
        "legal_regulatory",
        "deals_capital",
        "management",
        "financial_institutions",
    }


def test_a_language_without_a_model_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'fr'"):
        measured_topics("fr")


@given(st.lists(st.integers(0, PPM), min_size=20, max_size=20))
def test_native_shares_keep_their_total(shares: list[int]) -> None:
    assert sum(topics_of_native(shares).values()) == sum(shares)


@pytest.mark.parametrize("native", range(len(NATIVE_TOPICS)))
def test_a_native_topic_is_reported_under_its_topic_alone(native: int) -> None:
    reported = topics_of_native([PPM if i == native else 0 for i in range(len(NATIVE_TOPICS))])
    assert {topic for topic, share in reported.items() if share} == {NATIVE_TO_TOPIC[native]}


def test_a_list_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match="not 19"):
        topics_of_native([0] * 19)


@given(st.dictionaries(st.sampled_from(sorted(LABEL_TO_TOPIC)), st.integers(0, PPM)))
def test_chinese_topics_sum_to_one_over_the_measured_topics(label_ppm: dict[str, int]) -> None:
    shares = topics_of_labels(label_ppm)
    assert tuple(shares) == measured_topics("zh")
    assert sum(shares.values()) == PPM
    assert min(shares.values()) >= 0


def test_a_chinese_text_with_only_a_region_is_general() -> None:
    assert highest(topics_of_labels({"中国": 990_000, "公司": 100_000})) == "general_other"


def test_the_likeliest_mapped_label_names_the_chinese_topic() -> None:
    assert highest(topics_of_labels({"中国": 990_000, "外汇": 900_000, "公司": 100_000})) == "fx_crypto"


def test_the_hash_is_the_same_in_every_call() -> None:
    assert taxonomy_hash() == taxonomy_hash()
    assert len(taxonomy_hash()) == 16


def test_the_risks_are_those_that_the_hall_names_in_the_same_order() -> None:
    assert RISK_FLAGS == FLAGS
