"""The desk: candidates become incidents, and few of them alerts; each that was not sent has its reason."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.desk import DOCUMENTS_MAX, Around, DeskState, Incident, main_first
from alerts.rules import DeskRules, load_rules
from groundswell.codec import canonical, decode
from groundswell.names import TICK_MS
from groundswell.records import Candidate, Decision
from tests import builders as b

RULES = load_rules().desk
QUIET = RULES.incident_quiet_s * 1_000 // TICK_MS
COOLDOWN = RULES.cooldown_s * 1_000 // TICK_MS


def company(name: str, tick: int, **overrides: object) -> Candidate:
    """A candidate of a company that shares no document with any other's."""
    documents = [f"{name}-{n}" for n in range(5)]
    return b.a_candidate(**({"series": f"entity:{name}", "tick": tick, "documents": documents} | overrides))


def verdicts(decisions: list[Decision]) -> list[tuple[str, str]]:
    return [(decision.verdict, decision.reason.split(":")[0]) for decision in decisions]


def test_the_first_candidate_opens_and_is_sent() -> None:
    desk = DeskState(RULES)
    candidate = company("a", b.T0_TICK)
    decisions, (opening,) = desk.decide(b.T0_TICK, [candidate])

    assert verdicts(decisions) == [("alert", "opened")]
    assert opening.candidates == [candidate]
    assert (opening.incident.series, opening.incident.alert_tick, opening.incident.opened_tick) == (["entity:a"], b.T0_TICK, b.T0_TICK)
    assert desk.changed == {opening.incident.incident: opening.incident}


def test_three_alerts_a_day_and_the_rest_is_held_with_its_reason() -> None:
    desk = DeskState(RULES)
    decisions = [d for n in range(6) for d in desk.decide(b.T0_TICK + n, [company(f"c{n}", b.T0_TICK + n)])[0]]

    assert verdicts(decisions) == [("alert", "opened")] * 3 + [("held", "budget")] * 3
    assert decisions[3].reason == "budget: 3 alerts today, 3 allowed"
    assert all(decision.incident for decision in decisions)


def test_the_budget_is_of_the_utc_day() -> None:
    desk = DeskState(RULES)
    last = b.T0_TICK + b.TICKS_D - 1
    for n in range(4):
        desk.decide(last - 10 + n, [company(f"c{n}", last - 10 + n)])
    (still,), _ = desk.decide(last, [company("late", last)])
    (next_day,), openings = desk.decide(last + 1, [company("new", last + 1)])

    assert (still.verdict, next_day.verdict, len(openings)) == ("held", "alert", 1)


def test_a_held_incident_may_be_sent_when_there_is_budget_again() -> None:
    desk = DeskState(RULES)
    for n in range(3):
        desk.decide(b.T0_TICK, [company(f"c{n}", b.T0_TICK)])
    evening = b.T0_TICK + b.TICKS_D - 10
    (held,), _ = desk.decide(evening, [company("x", evening)])
    (sent,), (opening,) = desk.decide(evening + 20, [company("x", evening + 20)])

    assert (held.verdict, sent.verdict) == ("held", "alert")
    assert held.incident == sent.incident == opening.incident.incident


def test_candidates_that_share_documents_are_one_incident() -> None:
    desk = DeskState(RULES)
    shared = ["x1", "x2", "x3"]
    first = b.a_candidate(series="entity:a", documents=[*shared, "a4", "a5"], p_ppt=1)
    second = b.a_candidate(series="topic:debt_credit:en", documents=[*shared, "t4", "t5", "t6"], p_ppt=2)
    other = b.a_candidate(series="entity:z", documents=["z1", "z2", "x1"], p_ppt=3)
    decisions, openings = desk.decide(b.T0_TICK, [other, second, first])

    assert verdicts(decisions) == [("alert", "opened"), ("joined", "same incident"), ("alert", "opened")]
    assert [[c.series for c in opening.candidates] for opening in openings] == [["entity:a", "topic:debt_credit:en"], ["entity:z"]]


def test_a_company_is_told_about_before_its_topic() -> None:
    topic = b.a_candidate(series="topic:debt_credit:en", p_ppt=0)
    hour, day = b.a_candidate(p_ppt=5), b.a_candidate(p_ppt=5, window_s=86_400)

    assert main_first([topic, day, hour]) == [hour, day, topic]


def test_a_company_is_told_about_before_a_search_and_in_one_incident_with_it() -> None:
    documents = [f"d{n}" for n in range(5)]
    search = company("a", b.T0_TICK, documents=documents, series="watch:queues", p_ppt=0)
    bank = company("a", b.T0_TICK, documents=documents, p_ppt=5)
    decisions, (opening,) = DeskState(RULES).decide(b.T0_TICK, [search, bank])

    assert opening.candidates == [bank, search]
    assert [decision.verdict for decision in decisions] == ["alert", "joined"]


def test_a_search_belongs_to_the_company_that_its_negative_documents_tell_of() -> None:
    bank = company("a", b.T0_TICK)
    others = [[f"n{n}", f"n{n}", "Quill", 1, 100_000] for n in range(12)]  # no company's surge has neutral documents
    search = b.a_candidate(series="watch:queues", tick=b.T0_TICK + 1, evidence=[*bank.evidence[:3], *others])
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [bank])
    (decision,), openings = desk.decide(b.T0_TICK + 1, [search])

    assert (decision.verdict, openings) == ("joined", [])


def test_a_search_that_joins_a_company_draws_no_other_company_into_its_incident() -> None:
    shared, later = [f"d{n}" for n in range(5)], b.T0_TICK + 1
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK, documents=shared)])
    desk.decide(later, [company("a", later, documents=[*shared, *(f"e{n}" for n in range(5))], series="watch:queues")])
    (decision,), (opening,) = desk.decide(later + 1, [company("b", later + 1, documents=[f"e{n}" for n in range(5)])])

    assert (decision.verdict, opening.incident.series) == ("alert", ["entity:b"])


def test_a_search_that_was_told_swallows_no_company_that_it_comes_to() -> None:
    documents, later = [f"d{n}" for n in range(5)], b.T0_TICK + 40
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK, documents=documents, series="watch:queues")])
    (decision,), (opening,) = desk.decide(later, [company("a", later, documents=documents)])
    (joined,), openings = desk.decide(later + 1, [company("a", later + 1, documents=documents, series="watch:queues")])

    assert (decision.verdict, opening.incident.series) == ("alert", ["entity:a"])
    assert (joined.verdict, openings) == ("joined", [])


def test_a_topic_belongs_to_the_company_that_most_of_its_documents_name_although_none_of_them_is_known_of_it() -> None:
    later = [f"later{n}" for n in range(6)]
    topic = b.a_candidate(series="topic:debt_credit:en", tick=b.T0_TICK + 1, documents=later)
    for naming, expected in ((3, "joined"), (2, "alert")):
        desk = DeskState(RULES)
        desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
        named = {name: frozenset({"a", "z"}) for name in later[:naming]} | {name: frozenset({"z"}) for name in later[naming:]}
        (decision,), _ = desk.decide(b.T0_TICK + 1, [topic], Around(named=named))

        assert decision.verdict == expected, naming


def test_a_company_goes_on_in_its_own_incident_although_a_topics_has_more_of_its_documents() -> None:
    bank, later = company("a", b.T0_TICK), b.T0_TICK + 40
    new = [f"new{n}" for n in range(6)]
    desk = DeskState(RULES)
    _, (own,) = desk.decide(b.T0_TICK, [bank])
    desk.decide(later, [b.a_candidate(series="topic:debt_credit:en", tick=later, documents=new)])
    (decision,), _ = desk.decide(later + 1, [company("a", later + 1, documents=new)])

    assert decision.incident == own.incident.incident


def test_the_same_series_goes_on_with_its_incident_while_that_is_alive() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    for tick, verdict in ((b.T0_TICK + QUIET, "joined"), (b.T0_TICK + 2 * QUIET, "joined"), (b.T0_TICK + 3 * QUIET + 1, "held")):
        (decision,), openings = desk.decide(tick, [company("a", tick, documents=[f"{tick}-{n}" for n in range(5)])])
        assert (decision.verdict, openings) == (verdict, [])
    assert decision.reason.startswith("cooldown: entity:a alerted in incident ")


def test_after_the_cooldown_a_series_may_alert_again() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    later = b.T0_TICK + COOLDOWN + 1
    (decision,), (opening,) = desk.decide(later, [company("a", later, documents=["n1", "n2", "n3"])])

    assert decision.verdict == "alert"
    assert opening.incident.opened_tick == later


def test_a_series_that_joined_an_incident_cools_down_with_it() -> None:
    desk = DeskState(RULES)
    both = [b.a_candidate(series="entity:a", p_ppt=1), b.a_candidate(series="topic:debt_credit:en", p_ppt=2)]
    desk.decide(b.T0_TICK, both)
    later = b.T0_TICK + QUIET + 1
    (decision,), _ = desk.decide(later, [b.a_candidate(series="topic:debt_credit:en", tick=later, documents=["n1", "n2", "n3"])])

    assert decision.verdict == "held"


def test_what_only_holds_opens_nothing_and_sends_nothing() -> None:
    desk = DeskState(RULES)
    (alone,), openings = desk.decide(b.T0_TICK, [company("a", b.T0_TICK, level="hold")])
    assert (alone.verdict, alone.incident, openings, desk.incidents) == ("held", None, [], [])

    next_day = b.T0_TICK + b.TICKS_D
    for n in range(4):
        desk.decide(next_day - 200, [company(f"c{n}", next_day - 200)])  # the fourth is held by the budget
    desk.decide(next_day - 100, [company("c3", next_day - 100, level="hold")])
    (held,), openings = desk.decide(next_day, [company("c3", next_day, level="hold")])
    assert (held.verdict, held.reason, openings) == ("held", "hold: not improbable enough to open", [])


def test_what_holds_keeps_an_incident_alive() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    desk.decide(b.T0_TICK + QUIET, [company("a", b.T0_TICK + QUIET, level="hold")])
    (decision,), _ = desk.decide(b.T0_TICK + 2 * QUIET, [company("a", b.T0_TICK + 2 * QUIET)])

    assert decision.verdict == "joined"


def test_an_incident_remembers_its_latest_documents_only() -> None:
    desk = DeskState(RULES)
    for n in range(5):
        desk.decide(b.T0_TICK + n, [company("a", b.T0_TICK + n, documents=[f"d{n}-{m}" for m in range(150)])])

    (incident,) = desk.incidents
    assert len(incident.documents) == DOCUMENTS_MAX
    assert incident.documents[-1] == "d4-149"


def a_day_of_candidates(seed: int) -> list[tuple[int, list[Candidate]]]:
    chance = random.Random(seed)
    days = []
    for tick in sorted(chance.sample(range(b.T0_TICK, b.T0_TICK + 4 * b.TICKS_D), 25)):
        found = {}
        for _ in range(chance.randrange(1, 5)):
            series, window_s = chance.choice(("entity:a", "entity:b", "topic:t:en")), chance.choice((3_600, 86_400))
            found[series, window_s] = b.a_candidate(
                series=series,
                window_s=window_s,
                tick=tick,
                documents=[f"d{chance.randrange(40)}" for _ in range(5)],
                statistic=chance.choice((5, 6)),
                p_ppt=chance.choice((0, 0, 7)),  # what is very improbable is rounded to nothing: ties are common
                level=chance.choice(("open", "open", "hold")),
            )
        days.append((tick, list(found.values())))
    return days


@settings(max_examples=30, deadline=None)
@given(st.integers(), st.integers())
def test_the_order_of_a_ticks_candidates_does_not_matter(seed: int, order: int) -> None:
    desk, other, chance = DeskState(RULES), DeskState(RULES), random.Random(order)
    for tick, candidates in a_day_of_candidates(seed):
        shuffled = chance.sample(candidates, len(candidates))
        assert desk.decide(tick, candidates) == other.decide(tick, shuffled)


@settings(max_examples=30, deadline=None)
@given(st.integers(), st.integers(0, 24))
def test_a_desk_restored_from_its_rows_decides_like_the_one_that_lived(seed: int, border: int) -> None:
    alive = DeskState(RULES)
    rows: dict[str, bytes] = {}
    days = a_day_of_candidates(seed)
    for number, (tick, candidates) in enumerate(days):
        if number == border:
            since = days[border - 1][0] - DeskState.keep_ticks(RULES) if border else 0
            kept = [decode(body, Incident) for body in rows.values()]
            restored = DeskState(RULES, sorted((i for i in kept if i.last_tick >= since), key=lambda i: (i.opened_tick, i.incident)))
        if number >= border:
            assert restored.decide(tick, candidates) == alive.decide(tick, candidates)
        else:
            alive.decide(tick, candidates)
        rows |= {name: canonical(incident) for name, incident in alive.changed.items()}
        alive.changed = {}


@pytest.mark.parametrize("budget", [0, 1])
def test_the_budget_is_a_rule(budget: int) -> None:
    rules: DeskRules = msgspec.structs.replace(RULES, budget_per_day=budget)
    _, openings = DeskState(rules).decide(b.T0_TICK, [company("a", b.T0_TICK), company("b", b.T0_TICK)])

    assert len(openings) == budget


# --- updates ------------------------------------------------------------------------------------------------------------------
def grown(name: str, tick: int, stories: int, **overrides: object) -> Candidate:
    """A later candidate of a company, with the documents of the first ones and more."""
    return company(name, tick, documents=[f"{name}-{n}" for n in range(stories)], **overrides)


def told_again(*later: Candidate) -> list[tuple[str, str]]:
    """What is decided of candidates that follow an alert of five stories."""
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    return verdicts([decision for candidate in later for decision in desk.decide(candidate.tick, [candidate])[0]])


def test_an_incident_that_was_told_is_told_again_when_its_stories_have_doubled() -> None:
    nine, ten = grown("a", b.T0_TICK + 1, 9), grown("a", b.T0_TICK + 2, 10)

    assert told_again(nine, ten) == [("joined", "same incident"), ("alert", "update")]


def test_another_risk_of_the_company_is_news_and_the_same_risk_is_not() -> None:
    shared = [f"a-{n}" for n in range(5)]
    risk = [b.a_candidate(series="flag:litigation:a", tick=b.T0_TICK + n, documents=shared, kind="sighting") for n in (1, 2)]

    assert told_again(*risk) == [("alert", "update"), ("joined", "same incident")]


def test_many_more_owners_are_news() -> None:
    assert told_again(grown("a", b.T0_TICK + 1, 6, owners=13), grown("a", b.T0_TICK + 2, 6, owners=14)) == [
        ("joined", "same incident"),
        ("alert", "update"),
    ]


def test_what_only_holds_is_no_news() -> None:
    assert told_again(grown("a", b.T0_TICK + 1, 40, level="hold")) == [("joined", "same incident")]


def test_three_updates_a_day_at_most_and_the_count_of_updates_goes_on() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    told = []
    for n in range(1, 8):
        tick = b.T0_TICK + n * b.TICKS_D // 5
        told += [opening.update for opening in desk.decide(tick, [grown("a", tick, 5 * 2**n)])[1]]

    assert told == [1, 2, 3, 4, 5, 6]  # four chances on the first day, three on the second


def test_updates_do_not_use_up_the_budget_of_new_incidents() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    for n in range(1, 4):
        desk.decide(b.T0_TICK + n, [grown("a", b.T0_TICK + n, 5 * 2**n)])
    others = [desk.decide(b.T0_TICK + 5, [company(name, b.T0_TICK + 5)])[1] for name in ("x", "y", "z")]

    assert [len(openings) for openings in others] == [1, 1, 0]


def test_what_was_told_survives_a_restart() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [company("a", b.T0_TICK)])
    again = DeskState(RULES, [decode(canonical(incident), Incident) for incident in desk.incidents])
    later = grown("a", b.T0_TICK + 1, 10)

    assert again.decide(later.tick, [later])[0] == desk.decide(later.tick, [later])[0]


def test_risks_of_one_company_are_one_incident_even_without_a_document_in_common() -> None:
    desk = DeskState(RULES)
    desk.decide(b.T0_TICK, [b.a_candidate(series="flag:liquidity_run:a", documents=["x"])])
    tick = b.T0_TICK + 1
    later = [b.a_candidate(series=series, tick=tick, documents=[series]) for series in ("entity:a", "flag:litigation:b")]
    decisions, _ = desk.decide(tick, later)

    assert len(desk.incidents) == 2
    assert {decision.incident for decision in decisions} == {incident.incident for incident in desk.incidents}
