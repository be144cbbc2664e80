"""What an incident is told again on beside its growth: an official word, a denial, a better source; and what wakes one that went quiet."""

import msgspec
import pytest

from alerts.desk import DeskState, Incident, news_in
from alerts.rules import DeskRules, load_rules
from groundswell.codec import canonical, decode
from groundswell.names import TICK_MS
from groundswell.records import Candidate, Decision
from tests import builders as b

RULES = load_rules().desk
QUIET = RULES.incident_quiet_s * 1_000 // TICK_MS
TOLD = RULES.told_s * 1_000 // TICK_MS


def surge(tick: int, *, tier: int = 0, level: str = "open", name: str = "aldora", owners: int = 4) -> Candidate:
    """Five stories of a company, the first of a source of some tier."""
    rows: list[list[str | int]] = [[f"{name}-{n}", f"s{n}", f"o{n}", 1, 900_000 - n] for n in range(5)]
    if tier:
        rows[0].append(tier)
    return b.a_candidate(series=f"entity:{name}", tick=tick, evidence=rows, statistic=5, level=level, owners=owners)


def word(kind: str, tick: int, *, name: str = "aldora", tier: int = 1) -> Candidate:
    """What alerts/detectors/word.py makes of one document."""
    series = f"word:{kind}:{name}"
    rows: list[list[str | int]] = [[f"{kind}-{tick}", f"{kind}-{tick}", "Harbour Authority", 1, 100_000, tier]]
    sure = {"p_ppt": 10**12, "share_p_ppt": 10**12, "level": "hold", "kind": "sighting", "window_s": 86_400}
    return b.a_candidate(series=series, tick=tick, evidence=rows, statistic=1, stories=1, owners=1, **sure)


def step(desk: DeskState, tick: int, *candidates: Candidate) -> list[tuple[str, str]]:
    """What becomes of a tick's candidates: verdict and reason."""
    decisions, _ = desk.decide(tick, candidates)
    return [(decision.verdict, decision.reason) for decision in decisions]


def told(tier: int = 0) -> DeskState:
    """A desk that has told one incident."""
    desk = DeskState(RULES)
    assert step(desk, b.T0_TICK, surge(b.T0_TICK, tier=tier)) == [("alert", "opened")]
    return desk


@pytest.mark.parametrize(("kind", "reason"), [("official", "update: official word, 1 story"), ("denial", "update: denied, 1 story")])
def test_the_first_of_its_kind_tells_an_incident_again_and_the_second_does_not(kind: str, reason: str) -> None:
    desk = told()
    tick = b.T0_TICK + 10
    (decision,), (opening,) = desk.decide(tick, [word(kind, tick)])

    assert (decision.verdict, decision.reason) == ("alert", reason)
    assert (opening.update, opening.news, opening.quiet_from_ms) == (1, kind, 0)
    assert [candidate.series for candidate in opening.candidates] == [f"word:{kind}:aldora"]
    assert step(desk, tick + 1, word(kind, tick + 1)) == [("held", "word: the first of its kind was told")]


def test_a_denial_and_an_official_word_are_two_updates_and_in_one_tick_one() -> None:
    apart, together = told(), told()
    tick = b.T0_TICK + 10

    assert step(apart, tick, word("denial", tick))[0][1] == "update: denied, 1 story"
    assert step(apart, tick + 1, word("official", tick + 1))[0][1] == "update: official word, 1 story"
    decisions, (opening,) = together.decide(tick, [word("official", tick), word("denial", tick)])
    assert [(d.verdict, d.reason) for d in decisions] == [("alert", "update: denied, 1 story"), ("joined", "word: told with it")]
    assert (opening.news, opening.candidates[0].series) == ("denial", "word:denial:aldora")
    assert (
        step(together, tick + 1, word("official", tick + 1), word("denial", tick + 1))
        == [("held", "word: the first of its kind was told")] * 2
    )


def test_a_word_opens_nothing_and_is_of_no_other_company() -> None:
    alone, desk = DeskState(RULES), told()
    tick = b.T0_TICK + 10

    for state, said in ((alone, word("official", tick)), (desk, word("denial", tick, name="brennick"))):
        (decision,), openings = state.decide(tick, [said])
        assert (decision.verdict, decision.incident, openings) == ("held", None, [])
        assert decision.reason == "word: nothing was told of this company that is still remembered"


def test_what_is_told_together_with_a_word_is_told_once_with_the_finding_first() -> None:
    desk = DeskState(RULES)
    decisions, (opening,) = desk.decide(b.T0_TICK, [word("official", b.T0_TICK), surge(b.T0_TICK)])

    assert [decision.reason for decision in decisions] == ["opened", "word: told with it"]
    assert [candidate.series for candidate in opening.candidates] == ["entity:aldora", "word:official:aldora"]
    assert (opening.update, opening.news) == (0, "")
    assert [row[0] for row in opening.evidence][:2] == [f"official-{b.T0_TICK}", "aldora-0"]
    assert step(desk, b.T0_TICK + 1, word("official", b.T0_TICK + 1)) == [("held", "word: the first of its kind was told")]


def test_a_word_keeps_no_incident_alive_unless_it_is_told() -> None:
    desk = told()
    for n in range(3):
        step(desk, b.T0_TICK + 10 + n, word("denial", b.T0_TICK + 10 + n))

    assert desk.incidents[0].last_tick == b.T0_TICK + 10


@pytest.mark.parametrize(("later", "verdict"), [(QUIET, "alert"), (QUIET + 1, "alert"), (TOLD, "alert"), (TOLD + 1, "held")])
def test_a_word_wakes_an_incident_that_went_quiet_for_as_long_as_it_is_remembered(later: int, verdict: str) -> None:
    desk = told()
    tick = b.T0_TICK + later
    (decision,), openings = desk.decide(tick, [word("official", tick)])

    assert decision.verdict == verdict
    quiet_from_ms = (b.T0_TICK + 1) * TICK_MS + RULES.incident_quiet_s * 1_000
    assert [opening.quiet_from_ms for opening in openings] == ([quiet_from_ms if later > QUIET else 0] if verdict == "alert" else [])


def test_an_incident_that_was_woken_is_alive_again_and_takes_what_comes() -> None:
    desk = told()
    tick = b.T0_TICK + QUIET + 100
    step(desk, tick, word("official", tick))

    assert step(desk, tick + 1, surge(tick + 1)) == [("joined", "same incident")]


def test_words_count_among_the_updates_of_a_day() -> None:
    desk = told()
    for n in range(RULES.updates_per_day):
        tick = b.T0_TICK + 10 + n
        assert step(desk, tick, surge(tick, owners=4 + 10 * (n + 1)))[0][0] == "alert"

    assert step(desk, b.T0_TICK + 20, word("denial", b.T0_TICK + 20)) == [("held", "word: 3 updates today, 3 allowed")]
    tomorrow = b.T0_TICK + b.TICKS_D
    step(desk, tomorrow - 1, surge(tomorrow - 1, level="hold"))
    assert step(desk, tomorrow, word("denial", tomorrow))[0][0] == "alert"


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (4, 2, "update: tier 2, tier 4 was told"),
        (3, 1, "update: tier 1, tier 3 was told"),
        (2, 1, "update: tier 1, tier 2 was told"),
        (4, 3, "same incident"),
        (1, 1, "same incident"),
        (0, 1, "same incident"),  # what was told before was of no known tier: nobody can say that it is better
    ],
)
@pytest.mark.parametrize("level", ["open", "hold"])
def test_evidence_of_a_better_source_is_news_from_tier_2_on(before: int, now: int, reason: str, level: str) -> None:
    desk = told(tier=before)
    tick = b.T0_TICK + 10
    decisions, openings = desk.decide(tick, [surge(tick, tier=now, level=level)])

    assert decisions[0].reason == reason
    assert [opening.news for opening in openings] == (["tier"] if reason.startswith("update") else [])
    if openings:
        assert step(desk, tick + 1, surge(tick + 1, tier=now, level=level)) == [("joined", "same incident")]


def test_rules_that_know_no_words_tell_none() -> None:
    desk = DeskState(msgspec.structs.replace(RULES, word_tier=0))
    step(desk, b.T0_TICK, surge(b.T0_TICK, tier=4))

    assert step(desk, b.T0_TICK + 1, surge(b.T0_TICK + 1, tier=1)) == [("joined", "same incident")]


def test_a_restart_between_any_two_ticks_changes_nothing() -> None:
    ticks = [b.T0_TICK + n for n in (0, 3, 9, QUIET + 40, QUIET + 41, 2 * QUIET + 90, 2 * QUIET + 91)]
    found = [
        [surge(ticks[0], tier=4)], [word("denial", ticks[1])], [surge(ticks[2], tier=2)], [word("official", ticks[3])],
        [word("official", ticks[4]), surge(ticks[4])], [word("denial", ticks[5])], [surge(ticks[6])],
    ]  # fmt: skip

    def run(restart: int | None) -> list[Decision]:
        desk, made = DeskState(RULES), []
        for number, tick in enumerate(ticks):
            if number == restart:
                desk = DeskState(RULES, [decode(canonical(incident), Incident) for incident in desk.incidents])
            made += desk.decide(tick, found[number])[0]
        return made

    whole = run(None)
    assert [news_in([decision.reason]) for decision in whole if decision.verdict == "alert"] == ["", "denial", "tier", "official"]
    assert all(run(restart) == whole for restart in range(1, len(ticks)))


def test_rules_from_before_there_were_words_keep_their_hash_and_their_meaning() -> None:
    old = msgspec.json.decode(canonical(msgspec.structs.replace(RULES, word_tier=0)))

    assert "word_tier" not in old
    assert msgspec.convert(old, DeskRules).word_tier == 0
