"""A rule's record is what people said of its alerts, once each, and is not said at all where too few were judged."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from groundswell.judged import ENOUGH, Record, Rule, counted, record_of, records_by, rule_of, words_of
from groundswell.records import Verdict, VerdictWord
from tests.alerts.alert_factory import an_alert

WORD: st.SearchStrategy[VerdictWord] = st.sampled_from(["true", "false", "old_news", "wrong_company", "wrong_topic", "duplicate"])


def said(word: VerdictWord, at_ms: int, who: str = "ana", alert: str = "a") -> Verdict:
    return Verdict(alert=alert, at_ms=at_ms, who=who, word=word)


def test_of_one_person_the_last_verdict_counts() -> None:
    verdicts = [said("true", 1), said("false", 3), said("old_news", 2)]
    assert [one.word for one in counted(verdicts)] == ["false"]
    assert words_of(verdicts) == {"a": "false"}


def test_an_alert_is_what_most_people_say_and_at_a_tie_what_was_said_last() -> None:
    two_to_one = [said("true", 1, "ana"), said("true", 2, "bo"), said("false", 3, "cy")]
    assert words_of(two_to_one) == {"a": "true"}
    assert words_of(two_to_one[1:]) == {"a": "false"}


def test_an_alert_that_nobody_judged_is_neither_true_nor_false() -> None:
    alerts = [an_alert(id=name) for name in "abc"]
    assert record_of(alerts, {"a": "true", "b": "old_news", "another": "true"}) == Record(alerts=3, judged=2, true=1)


def test_below_ten_verdicts_there_is_no_share() -> None:
    few, enough = Record(50, ENOUGH - 1, ENOUGH - 1), Record(50, ENOUGH, ENOUGH)
    assert (few.precision, few.interval) == (None, None)
    assert "not enough data" in str(few)
    assert enough.precision == 1.0
    assert "not enough" not in str(enough)


@pytest.mark.parametrize(("true", "judged"), [(9, 12), (0, 10), (10, 10), (37, 41)])
def test_the_interval_is_the_one_that_scipy_gives(true: int, judged: int) -> None:
    expected = binomtest(true, judged).proportion_ci(confidence_level=0.9, method="wilson")
    assert Record(judged, judged, true).interval == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_rule_is_kind_window_and_what_turned() -> None:
    alerts = [an_alert(id="a"), an_alert(id="b", by="share"), an_alert(id="c", window_s=86_400, kind="sighting")]
    assert rule_of(alerts[1]) == Rule("surge", 3_600, "share")
    assert records_by(alerts, {"b": "true"}, rule_of) == {
        "sighting 1d count": Record(1, 0, 0),
        "surge 1h count": Record(1, 0, 0),
        "surge 1h share": Record(1, 1, 1),
    }


VERDICTS = st.lists(
    st.builds(said, WORD, st.integers(0, 5), st.sampled_from(["ana", "bo", "cy"]), st.sampled_from(["a", "b"])), max_size=12
)


@given(VERDICTS, st.randoms(use_true_random=False))
def test_the_order_in_which_verdicts_are_read_does_not_matter(verdicts: list[Verdict], random: Random) -> None:
    shuffled = list(verdicts)
    random.shuffle(shuffled)
    assert counted(shuffled) == counted(verdicts)
    assert words_of(shuffled) == words_of(verdicts)


@given(VERDICTS)
def test_each_person_counts_once_and_every_word_was_said(verdicts: list[Verdict]) -> None:
    kept = counted(verdicts)
    assert {(one.alert, one.who) for one in kept} == {(one.alert, one.who) for one in verdicts}
    assert len(kept) == len({(one.alert, one.who) for one in kept})
    assert all((alert, word) in {(one.alert, one.word) for one in kept} for alert, word in words_of(verdicts).items())
