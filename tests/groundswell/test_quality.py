"""The report of a month counts what was told, done and said, and says when that is too little."""

import math
import random
from typing import Any

import pytest

from groundswell.quality import NO_LIST, Figure, MonthFacts, Told, figures_of, median_interval
from groundswell.records import Miss
from tests.alerts.alert_factory import OPENED_MS, an_alert

MINUTE = 60_000
DAY = 86_400_000
ALERTS = [
    an_alert(id=f"a{number}", incident=f"i{number}", opened_ms=OPENED_MS + (number // 4) * DAY, by="count" if number % 2 else "share")
    for number in range(12)
]
UPDATE = an_alert(id="u", incident="i0", update=1, opened_ms=OPENED_MS)


def month(**overrides: Any) -> MonthFacts:
    fields: dict[str, Any] = {"days": 10, "alerts": ALERTS, "words": {}, "incidents": [], "is_live": True}
    return MonthFacts(**(fields | overrides))


def figures(**overrides: Any) -> dict[tuple[str, str], Figure]:
    return {(figure.name, figure.group): figure for figure in figures_of(month(**overrides))}


def test_updates_are_alerts_and_no_incidents() -> None:
    found = figures(alerts=[*ALERTS, UPDATE])
    assert (found["alerts", "all"].value, found["incidents", "all"].value) == (13, 12)
    assert found["updates per incident", "all"].value == pytest.approx(1 / 12)


def test_precision_is_true_by_judged_with_its_interval_and_of_each_kind_and_rule() -> None:
    words = {alert.id: "true" for alert in ALERTS[:9]} | {alert.id: "old_news" for alert in ALERTS[9:]}
    found = figures(words=words)
    overall = found["precision", "all"]
    assert (overall.value, overall.cases) == (0.75, 12)
    assert [overall.low, overall.high] == pytest.approx([0.513, 0.895], abs=1e-3)
    assert found["precision", "surge"][2:5] == overall[2:5]
    assert found["verdicts", "old_news"].value == 3
    assert found["precision of rule", "surge 1h count"].value is None
    assert "not enough data: 4 of 6" in found["precision of rule", "surge 1h count"].note


def test_below_ten_cases_nothing_is_claimed() -> None:
    found = figures(alerts=ALERTS[:3], words={"a0": "true"}, incidents=[Told(1, 2)], lags_ms=[1] * 9)
    for name in ("judged", "precision", "acknowledged", "minutes to acknowledge, median", "seconds from published to known, median"):
        assert found[name, "all"].value is None
        assert found[name, "all"].note.startswith("not enough data")


def test_pings_are_counted_by_reader_and_day_and_days_without_any_are_days() -> None:
    found = figures(sent={"mail:ana": [alert.opened_ms for alert in ALERTS]}, budget_per_day=3)
    assert found["pings a day, worst day", "mail:ana"].value == 4
    assert found["pings a day, median", "mail:ana"].value == 0
    assert (found["days within budget", "all"].value, found["days within budget", "all"].cases) == (7, 10)
    assert ("pings a day, worst day", "one reader of all") not in found


def test_only_incidents_of_events_use_up_the_budget() -> None:
    others = [
        an_alert(id=f"k{n}", incident=f"k{n}", opened_ms=OPENED_MS, kind=kind) for n, kind in enumerate(("late", "blind", "slow_burn"))
    ]
    events = [an_alert(id=f"e{n}", incident=f"e{n}", opened_ms=OPENED_MS, kind="sighting") for n in range(3)]
    assert figures(alerts=[*others, *events], budget_per_day=3)["days within budget", "all"].value == 10
    assert figures(alerts=[*others, *events], budget_per_day=2)["days within budget", "all"].value == 9


def test_how_soon_people_answered_is_said_of_a_live_run_alone() -> None:
    told = [Told(0, minutes * MINUTE, judged_ms=60 * MINUTE, touched=True) for minutes in range(1, 21)] + [Told(0)] * 5
    found = figures(incidents=told)
    assert found["acknowledged", "all"].value == 0.8
    assert found["acknowledged within 15 min", "all"].value == 0.6
    assert (found["minutes to acknowledge, median", "all"].value, found["minutes to acknowledge, p95", "all"].value) == (10, 19)
    assert found["untouched", "all"].value == 0.2
    replayed = figures(incidents=told, is_live=False)
    assert replayed["minutes to acknowledge, median", "all"].value is None
    assert ("acknowledged", "all") not in replayed


def test_a_miss_is_listed_with_the_gate_that_stopped_it() -> None:
    misses = [
        Miss(name="Linlan Bank", moment_ms=1, at_ms=2, who=who, gate=gate) for who, gate in [("ana", "stopped at owners"), ("bo", "")]
    ]
    found = figures(misses=misses)
    assert found["missed", "all"].value == 2
    assert (found["missed", "Linlan Bank"].value, found["missed", "Linlan Bank"].note) == (2, "stopped at owners; not asked why")


def test_wrong_readings_are_a_share_of_the_quoted_documents() -> None:
    found = figures(lags_ms=[1_000] * 200, corrections={"sentiment": 6})
    assert (found["wrong sentiment", "all"].value, found["wrong topic", "all"].value) == (0.03, 0.0)
    assert found["seconds from published to known, p99", "all"].value == 1.0


def test_blindness_and_the_balance_are_said_and_a_balance_that_cannot_be_counted_is_not_called_zero() -> None:
    found = figures(blind_ms={"Quay Forum": 90 * MINUTE, "Harbour Wire": 30 * MINUTE}, unbalanced=["Quay Forum"])
    assert (found["blind hours", "all"].value, found["blind hours", "Quay Forum"].value) == (2, 1.5)
    assert found["sources out of balance", "all"].value == 1
    assert figures(unbalanced=[])["sources out of balance", "all"].note == "balance 0 now"
    assert figures()["sources out of balance", "all"].value is None


def test_how_soon_messages_went_is_said_of_a_live_run_with_the_share_that_took_longer_than_a_minute() -> None:
    found = figures(told_ms=[seconds * 1_000 for seconds in (18, 19, 20, 21, 22, 23, 24, 25, 60, 200)])
    names = ("median", "p95", "p99")
    assert [found[f"seconds from known to sent, {name}", "all"].value for name in names] == [22, 200, 200]
    assert found["sent after 60 s", "all"].value == 0.1
    replayed = figures(told_ms=[1_000] * 10, is_live=False)
    assert replayed["seconds from known to sent, median", "all"].value is None
    assert ("sent after 60 s", "all") not in replayed


def test_the_lead_is_the_median_from_public_to_first_ping_with_an_interval_and_below_zero_before_it() -> None:
    found = figures(listed=20, leads_ms=[minutes * MINUTE for minutes in (-30, -5, 0, 2, 4, 6, 8, 10, 20, 300, 1_000)])
    lead = found["minutes from public to first ping, median", "all"]
    assert (lead.value, lead.low, lead.high, lead.cases) == (6, 0, 20, 11)
    assert found["minutes from public to first ping, p10", "all"].value == -5
    assert found["told after it was public", "all"].value == pytest.approx(8 / 11)
    told = found["listed events told", "all"]
    assert (told.value, told.cases) == (0.55, 20)


def test_no_lead_is_claimed_of_nine_events_or_without_a_list() -> None:
    few = figures(listed=9, leads_ms=[MINUTE] * 9)
    for name in ("minutes from public to first ping, median", "listed events told", "told after it was public"):
        assert few[name, "all"].value is None
        assert few[name, "all"].note.startswith("not enough data: 9")
    without = figures()
    assert without["minutes from public to first ping, median", "all"].note == NO_LIST
    assert ("listed events told", "all") not in without


def test_the_interval_of_a_median_holds_it_nine_times_in_ten_whatever_the_values() -> None:
    rng = random.Random(7)
    held = 0
    for _ in range(2_000):
        low, high = median_interval(sorted(rng.expovariate(1) ** 3 for _ in range(15)))
        held += low <= math.log(2) ** 3 <= high
    assert 0.88 <= held / 2_000 <= 0.97, "it is never too narrow, and for 15 cases the steps make it .965 at most"
