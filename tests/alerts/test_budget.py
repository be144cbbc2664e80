"""Online false-discovery control: the share of chance among discoveries, what the level depends on, and the desk's gate."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from alerts.budget import LAMBDA, Addis
from alerts.desk import CHANCE, OPENED, DeskState
from alerts.rules import load_rules
from groundswell.names import DAY_MS, TICK_MS
from groundswell.records import Candidate, Decision
from tests import builders as b

DESK = load_rules().desk
P_OPEN_PPT = 10**8


def discoveries(chances: Sequence[float], alpha: float) -> list[bool]:
    stream, found = Addis(), []
    for chance in chances:
        found.append(chance <= stream.level(alpha))
        stream.take(chance, found=found[-1])
    return found


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("real", [0.0, 0.1, 0.5])
def test_the_share_of_chance_among_discoveries_stays_below_what_was_asked_for(alpha: float, real: float) -> None:
    """Independent tests, 150 streams of 250; where none is real every discovery is false, and the share is how many streams have one."""
    rng = np.random.default_rng(8)
    shares = []
    for _ in range(150):
        is_real = rng.random(250) < real
        chances = np.where(is_real, rng.random(250) ** 8 * 0.05, rng.random(250))
        found = np.array(discoveries(chances.tolist(), alpha))
        shares.append((found & ~is_real).sum() / max(1, found.sum()))

    assert np.mean(shares) <= alpha * 1.1


def test_it_finds_what_is_plain_where_much_is_real() -> None:
    rng = np.random.default_rng(9)
    is_real = rng.random(400) < 0.5
    found = np.array(discoveries(np.where(is_real, 1e-6, rng.random(400)).tolist(), 0.1))

    assert found[is_real].mean() > 0.95


def test_the_level_falls_with_each_test_that_finds_nothing_and_rises_with_a_discovery() -> None:
    stream, levels = Addis(), []
    for chance in (0.9, 0.9, 0.9, 0.0, 0.0):
        levels.append(stream.level(0.2))
        stream.take(chance, found=chance == 0.0)
    levels.append(stream.level(0.2))

    assert levels[0] > levels[1] > levels[2] > levels[3]
    assert levels[3] < levels[4] < levels[5] <= LAMBDA


def test_a_chance_that_is_neither_small_nor_large_costs_nothing() -> None:
    stream = Addis()
    before = stream.level(0.1)
    stream.take(LAMBDA, found=False)

    assert stream.level(0.1) == before


# --- at the desk ------------------------------------------------------------------------------------------------------------
def desk(false_share: float) -> DeskState:
    return DeskState(msgspec.structs.replace(DESK, false_share=false_share, budget_per_day=1_000))


def found(number: int, chance: float, *, p_open_ppt: int = P_OPEN_PPT) -> Candidate:
    """A candidate of a series of its own."""
    return b.a_candidate(
        series=f"entity:s{number}", tick=b.T0_TICK + 40 * number, p_ppt=round(chance * P_OPEN_PPT), p_open_ppt=p_open_ppt,
        documents=[f"d{number}-{n}" for n in range(6)],
    )  # fmt: skip


def decide(state: DeskState, candidates: Sequence[Candidate]) -> list[Decision]:
    return [state.decide(candidate.tick, [candidate])[0][0] for candidate in candidates]


def test_the_shipped_rules_do_not_ask() -> None:
    assert DESK.false_share == 0.0
    decisions = decide(desk(0.0), [found(n, 0.99) for n in range(20)])
    assert {(d.verdict, d.reason) for d in decisions} == {("alert", OPENED)}


def test_what_is_too_likely_is_held_with_its_numbers_and_what_is_plain_is_told() -> None:
    likely, plain = decide(desk(0.1), [found(0, 0.6), found(1, 0.0001)])

    assert (likely.verdict, plain.verdict) == ("held", "alert")
    assert likely.reason == "chance: 0.6 of the p-value that opens, 0.011 needed now: at most 0.1 of what is told is to be chance"
    assert likely.incident is not None, "it lives on, and may be told later"


def test_an_incident_that_was_too_likely_is_told_when_it_has_become_plain() -> None:
    state, early = desk(0.1), found(0, 0.6)
    later = msgspec.structs.replace(early, candidate_id="later", tick=early.tick + 4, p_ppt=100)

    assert [d.verdict for d in decide(state, [early, later])] == ["held", "alert"]


def test_what_no_p_value_has_opened_is_told_and_is_no_test() -> None:
    state = desk(0.1)
    before = state.stream.level(0.1)
    (decision,) = decide(state, [found(0, 0.9, p_open_ppt=0)])

    assert decision.verdict == "alert"
    assert state.stream.level(0.1) == before


def test_the_stream_is_made_again_from_stored_decisions_in_any_order() -> None:
    rng = np.random.default_rng(4)
    candidates = [found(n, float(chance)) for n, chance in enumerate(rng.random(60) ** 4)]
    state = desk(0.2)
    decisions = decide(state, candidates)
    again = desk(0.2)
    again.resume([(c, d) for c, d in reversed(list(zip(candidates, decisions, strict=True))) if d.reason.startswith((OPENED, CHANCE))])

    assert {d.verdict for d in decisions} == {"alert", "held"}
    assert again.stream == state.stream


def test_days_that_pass_change_nothing() -> None:
    """The level counts tests, not time: a quiet month is no evidence."""
    state = desk(0.1)
    decide(state, [found(n, 0.9) for n in range(5)])
    before = state.stream.level(0.1)
    state.decide(b.T0_TICK + 30 * DAY_MS // TICK_MS, [])

    assert state.stream.level(0.1) == before
