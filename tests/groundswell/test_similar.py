"""Past incidents that are like an alert: what makes them like it, which come first, and which are none."""

from typing import Any

from groundswell.records import Alert
from groundswell.similar import SIMILAR_MAX, similar_to
from tests.alerts.alert_factory import OPENED_MS, a_quote, an_alert

DAY = 86_400_000


def past(name: str, days: int = 1, *, title: str = "Nothing in common here", **overrides: Any) -> Alert:
    fields = {"id": name, "incident": f"i-{name}", "opened_ms": OPENED_MS - days * DAY, "all_series": ["topic:management:en"]}
    return an_alert(**(fields | {"parts": [], "evidence": [a_quote(title=title)]} | overrides))


NOW = an_alert(all_series=["entity:LINLAN", "flag:liquidity_run:LINLAN"])


def found(*others: Alert) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.alert.id, one.because) for one in similar_to(NOW, others)]


def test_the_same_company_the_same_risk_and_shared_words_each_make_an_incident_like_it() -> None:
    assert found(past("a", all_series=["entity:LINLAN"])) == [("a", ("company",))]
    assert found(past("a", all_series=["flag:liquidity_run:OTHER"])) == [("a", ("risk",))]
    assert found(past("a", title="Linlan Bank delays redemption")) == [("a", ("words",))]
    assert found(past("a", title="临澜银行出现排队")) == [("a", ("words",))]


def test_one_word_in_common_is_none() -> None:
    assert found(past("a", title="Another Bank opens branches abroad")) == []


def test_a_topic_alone_makes_no_two_incidents_alike() -> None:
    topic = an_alert(all_series=["topic:management:en"], parts=[], evidence=[a_quote(title="Chief leaves Veyra")])
    assert similar_to(topic, [past("a")]) == []


def test_more_in_common_comes_first_and_then_the_company_and_then_the_later() -> None:
    both = past("both", 9, all_series=["entity:LINLAN", "flag:liquidity_run:LINLAN"])
    risk, old, new = (
        past("risk", 1, all_series=["flag:liquidity_run:X"]),
        *(past(n, d, all_series=["entity:LINLAN"]) for n, d in [("old", 5), ("new", 2)]),
    )
    assert [name for name, _ in found(risk, old, new, both)] == ["both", "new", "old"]
    assert SIMILAR_MAX == 3


def test_what_came_later_and_its_own_incident_are_not_past() -> None:
    assert found(past("a", 0, all_series=NOW.all_series), past("b", -1, all_series=NOW.all_series)) == []
    assert found(past("c", all_series=NOW.all_series, incident=NOW.incident)) == []


def test_an_incident_is_named_once_by_its_first_alert() -> None:
    updates = [past(name, 3 - number, update=number, incident="i", all_series=["entity:LINLAN"]) for number, name in enumerate("ab")]
    assert found(*reversed(updates)) == [("a", ("company",))]
