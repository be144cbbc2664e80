"""The desk with all kinds of alert: which meet in an incident, what each has to pass, and what one says of another."""

from typing import Any

import msgspec

from alerts.desk import Around, DeskState, Opening
from alerts.kinds import severity_of, title_of
from alerts.rules import load_rules
from groundswell.records import AlertKind, Candidate, Decision
from tests import builders as b

RULES = load_rules().desk


def candidate(kind: AlertKind, tick: int = b.T0_TICK, *, name: str = "a", **given: Any) -> Candidate:
    """A candidate of a company, with documents of its own."""
    series = given.pop("series", f"entity:{name}")
    documents = given.pop("documents", [f"{kind}-{name}-{n}" for n in range(5)])
    return b.a_candidate(
        **({"kind": kind, "series": series, "tick": tick, "documents": documents, "candidate_id": f"{kind}/{series}/{tick}"} | given)
    )


def blind(tick: int, **given: Any) -> Candidate:
    fields: dict[str, Any] = {"series": "language:zh", "documents": [], "statistic": 3}
    return candidate("blind", tick, **(fields | given))


def decided(desk: DeskState, *candidates: Candidate, around: Around | None = None) -> tuple[list[tuple[str, str]], list[Opening]]:
    decisions: list[Decision] = []
    openings: list[Opening] = []
    for each in candidates:
        some, opened = desk.decide(each.tick, [each], around or Around())
        decisions, openings = decisions + some, openings + opened
    return [(decision.verdict, decision.reason.split(":")[0]) for decision in decisions], openings


def test_kinds_of_other_families_are_incidents_of_their_own() -> None:
    """A slow burn of a company is not swallowed by a surge of it, nor the other way round."""
    desk = DeskState(RULES)
    verdicts, _ = decided(desk, candidate("slow_burn"), candidate("surge", b.T0_TICK + 1), candidate("slow_burn", b.T0_TICK + 2))

    assert verdicts == [("alert", "opened"), ("alert", "opened"), ("joined", "same incident")]
    assert [incident.family for incident in desk.incidents] == ["slow_burn", "event"]


def test_only_events_use_up_the_budget_and_the_others_have_limits_of_their_own() -> None:
    desk = DeskState(RULES)
    burns = [candidate("slow_burn", b.T0_TICK + n, name=f"b{n}") for n in range(4)]
    lates = [candidate("late", b.T0_TICK + 10 + n, name=f"l{n}") for n in range(2)]
    events = [candidate("surge", b.T0_TICK + 20 + n, name=f"e{n}") for n in range(4)]
    opened, over = ("alert", "opened"), ("held", "budget")

    assert decided(desk, *burns)[0] == [opened, opened, opened, over]
    assert decided(desk, *lates)[0] == [opened, over]
    assert decided(desk, *events)[0] == [opened, opened, opened, over]


def test_what_was_told_in_its_own_time_is_not_told_late() -> None:
    desk = DeskState(RULES)
    decided(desk, candidate("surge"), candidate("surge", name="topical", series="topic:debt_credit:en", documents=["x", "y"]))
    tick = b.T0_TICK + 2 * b.TICKS_D
    verdicts, _ = decided(
        desk,
        candidate("late", tick),
        candidate("late", tick + 1, series="topic:legal_regulatory:en", documents=["x", "y", "z"]),
        candidate("late", tick + 2, name="other"),
    )

    assert verdicts == [("held", "told"), ("held", "told"), ("alert", "opened")]


def test_an_incident_that_was_only_held_may_be_told_late() -> None:
    desk = DeskState(msgspec.structs.replace(RULES, budget_per_day=0))

    assert decided(desk, candidate("surge"), candidate("late", b.T0_TICK + 5))[0] == [("held", "budget"), ("alert", "opened")]


def test_an_echo_that_becomes_a_surge_is_told_again_and_a_surge_that_is_copied_is_not() -> None:
    desk = DeskState(RULES)
    shared = [f"x{n}" for n in range(40)]
    echo = candidate("amplification", documents=shared)
    verdicts, openings = decided(desk, echo, candidate("surge", b.T0_TICK + 1, documents=shared[:6]))

    assert verdicts == [("alert", "opened"), ("alert", "update")]
    assert [opening.candidates[0].kind for opening in openings] == ["amplification", "surge"]
    assert decided(desk, candidate("amplification", b.T0_TICK + 2, documents=shared))[0] == [("joined", "same incident")]
    assert decided(desk, candidate("surge", b.T0_TICK + 3, documents=shared[:12]))[0] == [("alert", "update")]  # six stories were told


def test_an_echo_that_has_doubled_is_told_again_in_copies() -> None:
    desk = DeskState(RULES)
    first, second = (candidate("amplification", b.T0_TICK + n, documents=[f"x{m}" for m in range(20 * 2**n)]) for n in (0, 1))
    decided(desk, first)
    (decision,), _ = desk.decide(second.tick, [second])

    assert decision.reason == "update: 40 copies, 20 were told"


def test_an_echo_among_readers_alone_is_held_and_what_comes_of_it_is_not() -> None:
    desk = DeskState(RULES)
    echo = candidate("amplification")
    readers = Around(echoes=frozenset({echo.candidate_id}))

    assert decided(desk, echo, around=readers)[0] == [("held", "echo")]
    assert decided(desk, candidate("surge", b.T0_TICK + 1))[0] == [("alert", "opened")]


def test_the_main_one_of_an_opening_is_the_echo_unless_more_than_an_echo_opens() -> None:
    shared = [f"x{n}" for n in range(20)]
    echo = candidate("amplification", documents=shared, p_ppt=0)
    surge = candidate("surge", documents=shared[:6], p_ppt=7)
    for other, main in ((surge, surge), (msgspec.structs.replace(surge, level="hold"), echo)):
        _, (opening,) = DeskState(RULES).decide(b.T0_TICK, [echo, other])
        assert opening.candidates[0] == main


def test_while_the_figures_move_with_the_model_surges_are_held_and_sightings_are_not() -> None:
    desk, moved = DeskState(RULES), Around(moved=frozenset({"en"}))
    shift = candidate("model_shift", series="language:en", documents=[])
    found = [
        candidate("surge"),
        candidate("surge", series="topic:debt_credit:en", documents=["t1", "t2"]),
        candidate("surge", series="topic:debt_credit:zh", documents=["z1", "z2"]),
        candidate("sighting", name="c", series="flag:litigation:c"),
        candidate("slow_burn", name="d"),
        shift,
    ]
    decisions, openings = desk.decide(b.T0_TICK, found, moved)

    assert {d.candidate_id.split("/")[1] for d in decisions if d.reason.startswith("model_shift")} == {
        "entity:a",
        "topic:debt_credit:en",
        "entity:d",
    }
    assert {opening.candidates[0].kind for opening in openings} == {"surge", "sighting", "model_shift"}


def test_an_incident_that_was_told_does_not_grow_by_the_model() -> None:
    desk, moved = DeskState(RULES), Around(moved=frozenset({"en"}))
    decided(desk, candidate("surge"))
    grown = candidate("surge", b.T0_TICK + 1, documents=[f"surge-a-{n}" for n in range(30)])

    assert decided(desk, grown, around=moved)[0] == [("joined", "same incident")]
    assert decided(desk, msgspec.structs.replace(grown, tick=b.T0_TICK + 2))[0] == [("alert", "update")]


def test_a_shift_is_told_once_and_its_incident_kept_alive() -> None:
    desk, remind_s = DeskState(RULES), 21_600
    told = []
    for tick in range(b.T0_TICK, b.T0_TICK + 3 * b.TICKS_D, b.TICKS_H):
        shift = candidate("model_shift", tick, series="language:en", documents=[])
        if desk.to_remind(shift, remind_s):
            told += decided(desk, shift)[0]

    assert told == [("alert", "opened")] + [("joined", "same incident")] * 11


def test_blindness_is_told_when_it_begins_and_when_it_ends_and_when_it_comes_back() -> None:
    desk = DeskState(RULES)
    hour = b.TICKS_H
    verdicts, openings = decided(
        desk,
        blind(b.T0_TICK),
        *(blind(b.T0_TICK + n * hour, level="hold") for n in range(1, 30)),
        blind(b.T0_TICK + 30 * hour, ended=True),
        blind(b.T0_TICK + 34 * hour),
    )

    assert [verdict for verdict, _ in verdicts].count("alert") == 3
    assert [(opening.update, opening.candidates[0].ended) for opening in openings] == [(0, False), (1, True), (2, False)]


def test_the_end_of_what_was_not_told_is_not_told() -> None:
    assert decided(DeskState(RULES), blind(b.T0_TICK, ended=True))[0] == [("held", "over")]


def test_each_kind_has_its_severity_and_its_title() -> None:
    big = {"statistic": 40, "limit": 12, "expected_milli": 8_000, "stories": 60}
    said = {
        kind: (severity_of(each), title_of(each, str.upper))
        for kind in ("amplification", "late", "slow_burn", "blind", "model_shift")
        for each in [candidate(kind, **big, late_s=17_520, window_s=604_800, exposure_ppm=310_000, owners=12)]  # type: ignore[arg-type]
    }

    assert said == {
        "amplification": ("medium", "ENTITY:A: one origin, 40 copies in 7 days"),
        "late": ("medium", "ENTITY:A: 40 negative stories of one day, known 4 h 52 min late"),
        "slow_burn": ("low", "ENTITY:A: 40 negative stories in 7 days, 5.0x the usual week"),
        "blind": ("medium", "ENTITY:A: only 31 % of the usual volume is seen, for 40 h; this is not calm"),
        "model_shift": ("low", "ENTITY:A: the figures moved with the model: 67 % negative, before 30 %"),
    }
    assert severity_of(blind(b.T0_TICK, ended=True)) == "low"
    assert title_of(blind(b.T0_TICK, ended=True), str) == "language:zh: seeing again after 3 h, 100 % of the usual volume"
