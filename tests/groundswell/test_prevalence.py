"""Corrected shares: nearer to the truth than what the classifier says, and honest about how near."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.errors import RecordError
from groundswell.prevalence import ErrorMatrix, Errors, corrected_share, matrices_in, matrix_of

HIT, ALARM = 0.8, 0.08  # a classifier much as the shipped ones
LABELLED_NEGATIVE, LABELLED_OTHER = 160, 900
PLANTED = (0.02, 0.1, 0.25, 0.5, 0.8)


def planted(documents: int, seed: int, worlds: int = 3_000) -> tuple[float, float, float]:
    """Mean absolute error of the raw and of the corrected share, and how often the interval holds the planted one."""
    rng = np.random.default_rng(seed)
    raw, corrected, held = [], [], 0
    for _ in range(worlds):
        share = rng.choice(PLANTED)
        errors = Errors(
            hits=float(rng.binomial(LABELLED_NEGATIVE, HIT)),
            negatives=LABELLED_NEGATIVE,
            alarms=float(rng.binomial(LABELLED_OTHER, ALARM)),
            others=LABELLED_OTHER,
        )
        negative = int(rng.binomial(documents, share * HIT + (1 - share) * ALARM))
        found = corrected_share(negative, documents, errors)
        assert found is not None
        raw.append(abs(negative / documents - share))
        corrected.append(abs(found.share - share))
        held += found.low <= share <= found.high
    return float(np.mean(raw)), float(np.mean(corrected)), held / worlds


@pytest.mark.parametrize("documents", [50, 200, 1_000])
def test_the_corrected_share_is_nearer_to_the_planted_one_than_the_raw_share(documents: int) -> None:
    raw, corrected, _ = planted(documents, seed=documents)
    assert corrected < raw


@pytest.mark.parametrize("documents", [10, 50, 200, 1_000, 5_000])
def test_the_90_percent_interval_holds_the_planted_share_at_least_88_times_in_100(documents: int) -> None:
    assert planted(documents, seed=7 + documents)[2] >= 0.88


counts = st.integers(0, 400)


@given(negative=counts, more=counts, hits=counts, missed=counts, alarms=counts, right=counts)
def test_a_corrected_share_is_a_share_within_its_interval_or_none(
    negative: int, more: int, hits: int, missed: int, alarms: int, right: int
) -> None:
    errors = Errors(hits=hits, negatives=hits + missed, alarms=alarms, others=alarms + right)
    found = corrected_share(negative, negative + more, errors)
    if found is not None:
        assert 0 <= found.low <= found.share <= found.high <= 1


def test_a_classifier_without_errors_is_not_corrected() -> None:
    found = corrected_share(30, 100, Errors(hits=10_000, negatives=10_000, alarms=0, others=10_000))
    assert found is not None
    assert found.share == 0.3


@pytest.mark.parametrize(
    "errors",
    [
        Errors(hits=0, negatives=0, alarms=0, others=100),
        Errors(hits=9, negatives=10, alarms=0, others=0),
        Errors(hits=50, negatives=100, alarms=450, others=1000),
    ],
    ids=["no negative text was labelled", "no other text was labelled", "its answers say nothing of the truth"],
)
def test_what_cannot_be_corrected_is_not_given_a_number(errors: Errors) -> None:
    assert corrected_share(30, 100, errors) is None


def test_a_window_without_documents_has_no_share() -> None:
    assert corrected_share(0, 0, Errors(hits=9, negatives=10, alarms=1, others=100)) is None


def a_matrix(model: str, language: str) -> ErrorMatrix:
    whole = Errors(hits=80, negatives=100, alarms=80, others=1_000)
    return ErrorMatrix(model=model, language=language, corpora=["made"], whole=whole, topics={})


def test_a_topic_without_labelled_texts_is_corrected_as_its_language_is_with_more_doubt() -> None:
    matrix = a_matrix("m", "en")
    of_topic, of_whole = corrected_share(30, 100, matrix.of_topic("earnings")), corrected_share(30, 100, matrix.whole)
    assert of_topic is not None
    assert of_whole is not None
    assert of_topic.share == pytest.approx(of_whole.share)
    assert of_topic.high - of_topic.low > of_whole.high - of_whole.low


def test_a_matrix_is_found_by_the_model_of_its_language_alone() -> None:
    both = [a_matrix("one", "en"), a_matrix("two", "zh")]
    assert matrix_of(both, "one+two", "zh") == both[1]
    assert matrix_of(both, "one+three", "zh") is None
    assert matrix_of(both, "one", "zh") is None


def test_content_that_is_no_list_of_matrices_is_refused_with_the_command_that_makes_one() -> None:
    with pytest.raises(RecordError, match="groundswell models errors"):
        matrices_in(b'[{"model": "m"}]')
