"""Corrected shares: nearer to the truth than what the classifier says, and honest about how near."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.planted_shares import DOCUMENTS, Figures, World, figures, overall, pessimistic_worlds, rogan_gladen, shipped_worlds
from groundswell.errors import RecordError
from groundswell.prevalence import SURE_DOCUMENTS, SURE_SHARE, ErrorMatrix, Errors, corrected_share, matrices_in, matrix_of

REDRAWN = 4  # `python -m bench shares` prints the same with more
SHIPPED = shipped_worlds(np.random.default_rng(71), REDRAWN)
PESSIMISTIC = pessimistic_worlds(np.random.default_rng(72), REDRAWN)


@pytest.fixture(scope="module", params=DOCUMENTS)
def measured(request: pytest.FixtureRequest) -> tuple[int, dict[float, Figures], dict[float, Figures]]:
    """Documents, and the figures by planted share: of the errors of the models that ship, and of worse ones."""
    return request.param, figures(SHIPPED, request.param), figures(PESSIMISTIC, request.param)


def test_the_corrected_share_is_nearer_to_the_planted_one_than_the_raw_share(
    measured: tuple[int, dict[float, Figures], dict[float, Figures]],
) -> None:
    for found in measured[1:]:
        of_all = overall(found.values())
        assert of_all.now < of_all.raw
        assert of_all.now < of_all.before * (1.0 if measured[0] < 500 else 1.02)


def test_the_90_percent_interval_holds_each_planted_share_at_least_88_times_in_100(
    measured: tuple[int, dict[float, Figures], dict[float, Figures]],
) -> None:
    for found in measured[1:]:
        assert {share: round(one.held, 3) for share, one in found.items() if one.held < 0.88} == {}


def test_the_interval_of_a_long_window_holds_too() -> None:
    assert min(one.held for one in figures(PESSIMISTIC, 2_000).values()) >= 0.85  # 16 draws of labelled texts, and little else


def test_windows_whose_errors_were_measured_wrongly_are_what_the_figures_would_show() -> None:
    wrong = [World(0.8, 0.08, [Errors(hits=60, negatives=100, alarms=150, others=500)])]
    assert overall(figures(wrong, 100).values()).held < 0.5


counts = st.integers(0, 400)


@given(negative=counts, more=counts, hits=counts, missed=counts, alarms=counts, right=counts)
def test_a_corrected_share_is_a_share_within_its_interval_or_none(
    negative: int, more: int, hits: int, missed: int, alarms: int, right: int
) -> None:
    errors = Errors(hits=hits, negatives=hits + missed, alarms=alarms, others=alarms + right)
    found = corrected_share(negative, negative + more, errors)
    if found is not None:
        assert 0 <= found.low <= found.share <= found.high <= 1


share_of = st.integers(1, 200).flatmap(lambda documents: st.tuples(st.integers(0, documents - 1), st.just(documents)))


def shares_of(errors: Errors, *windows: tuple[int, int]) -> list[float]:
    found = [corrected_share(negative, documents, errors) for negative, documents in windows]
    return [one.share for one in found if one is not None]


@given(window=share_of, hits=counts, missed=counts, alarms=counts, right=counts)
def test_the_more_is_called_negative_the_greater_is_the_share(
    window: tuple[int, int], hits: int, missed: int, alarms: int, right: int
) -> None:
    errors = Errors(hits=hits, negatives=hits + missed, alarms=alarms, others=alarms + right)
    negative, documents = window
    shares = shares_of(errors, (negative, documents), (negative + 1, documents))
    assert shares == sorted(set(shares))


ERRORS = Errors(hits=80, negatives=100, alarms=80, others=1_000)


@pytest.mark.parametrize("window", [(0, 1), (1, 1), (3, 7), (0, 500), (500, 500), (38, 100)])
def test_the_share_is_the_negatives_it_leads_one_to_expect_and_the_sure_ones_of_all_documents(window: tuple[int, int]) -> None:
    (share,) = shares_of(ERRORS, window)
    negative, documents = window
    called = 0.08 + 0.72 * share
    expected = negative * 0.8 * share / called + (documents - negative) * 0.2 * share / (1 - called)
    assert share == pytest.approx((expected + SURE_SHARE * SURE_DOCUMENTS) / (documents + SURE_DOCUMENTS), abs=1e-8)


def test_a_long_window_comes_to_what_the_measured_errors_alone_say() -> None:
    assert shares_of(ERRORS, (300_000, 1_000_000)) == pytest.approx([rogan_gladen(300_000, 1_000_000, ERRORS)], abs=1e-5)


def test_one_document_says_little_of_a_share() -> None:
    quiet, called = shares_of(ERRORS, (0, 1), (1, 1))
    assert 0.15 < quiet < SURE_SHARE < called < 0.45


def test_a_share_is_the_same_to_the_last_bit_on_every_machine() -> None:
    assert shares_of(ERRORS, (3, 7), (38, 100)) == [0.37992280116304755, 0.40781634906306863]


def test_a_classifier_without_errors_is_drawn_to_the_sure_documents_alone() -> None:
    shares = shares_of(Errors(hits=10_000, negatives=10_000, alarms=0, others=10_000), (30, 100))
    assert shares == pytest.approx([(30 + SURE_SHARE * SURE_DOCUMENTS) / (100 + SURE_DOCUMENTS)])


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
