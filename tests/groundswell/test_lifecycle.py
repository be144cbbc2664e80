"""How an incident lives: what each row does to its state, and what holds whatever happens, in whatever order it is read."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from groundswell.lifecycle import Hush, Life, Said, Step, hush_of, life_of
from groundswell.records import Act, Action

HOUR = 3_600_000
T0 = 1_794_893_160_000
QUIET = 6 * HOUR


def act(what: Act, at_ms: int, **overrides: object) -> Action:
    fields = {"incident": "i", "at_ms": at_ms, "who": "ana", "what": what, "assignee": "bo" if what == "assign" else None}
    return msgspec.convert(fields | overrides, Action)


FIRST = Said("a0", 0, T0, frozenset({"s1", "s2"}))
UPDATE = Said("a1", 1, T0 + 2 * HOUR, frozenset({"s3"}))


def life(
    said: list[Said], actions: list[Action], *, last_ms: int = T0, known_ms: int = T0 + 3 * HOUR, quiet_ms: int | None = QUIET
) -> Life:
    return life_of(said, actions, founded_ms=T0 - HOUR, last_ms=last_ms, quiet_ms=quiet_ms, known_ms=known_ms)


def states(found: Life) -> list[str]:
    return [step.state for step in found.steps]


# --- what each row does --------------------------------------------------------------------------------------------------------
def test_an_incident_that_nobody_was_told_of_is_forming() -> None:
    assert states(life([], [])) == ["forming"]


def test_its_first_alert_opens_it_and_an_acknowledgement_says_by_whom() -> None:
    found = life([FIRST], [act("acknowledge", T0 + 1)])
    assert states(found) == ["forming", "open", "acknowledged"]
    assert (found.steps[-1].who, found.steps[-1].cause, found.steps[-1].alert) == ("ana", "person", "a0")


def test_an_update_of_a_resolved_incident_reopens_it() -> None:
    found = life([FIRST, UPDATE], [act("resolve", T0 + HOUR, alert="a0")], last_ms=T0 + 2 * HOUR)
    assert states(found) == ["forming", "open", "resolved", "reopened"]
    assert (found.steps[-1].cause, found.steps[-1].alert) == ("update", "a1")


WAKES = Said("a1", 1, T0 + 20 * HOUR, frozenset({"s3"}), T0 + QUIET)


def test_a_word_reopens_an_incident_that_had_resolved_by_itself() -> None:
    found = life([FIRST, WAKES], [], last_ms=T0 + 20 * HOUR, known_ms=T0 + 21 * HOUR)
    assert [(step.state, step.cause) for step in found.steps[1:]] == [("open", "alert"), ("resolved", "quiet"), ("reopened", "update")]
    assert [step.at_ms for step in found.steps[2:]] == [T0 + QUIET, T0 + 20 * HOUR]


def test_what_was_reopened_by_a_word_resolves_by_itself_again() -> None:
    found = life([FIRST, WAKES], [], last_ms=T0 + 20 * HOUR, known_ms=T0 + 40 * HOUR)
    assert states(found) == ["forming", "open", "resolved", "reopened", "resolved"]


def test_a_word_on_what_a_person_had_resolved_before_it_went_quiet_reopens_it_once() -> None:
    resolved = act("resolve", T0 + HOUR, alert="a0")
    found = life([FIRST, WAKES], [resolved], last_ms=T0 + 20 * HOUR, known_ms=T0 + 21 * HOUR)
    assert states(found) == ["forming", "open", "resolved", "reopened"]


def test_an_update_of_an_acknowledged_incident_leaves_it_acknowledged() -> None:
    assert life([FIRST, UPDATE], [act("acknowledge", T0 + HOUR, alert="a0")]).state == "acknowledged"


def test_a_resolve_that_had_not_seen_the_update_does_not_resolve_it() -> None:
    """Two clocks that differ a little: by time the resolve comes last, by what was stored it came before the update."""
    late = [act("acknowledge", T0 + 2 * HOUR, alert="a1"), act("resolve", T0 + 3 * HOUR, alert="a0")]
    assert life([FIRST, UPDATE], late).state == "acknowledged"


def test_a_resolve_counts_for_what_was_stored_then_even_where_the_wall_clock_is_years_ahead_of_known_time() -> None:
    """A replay: known time is of the archive, people's time of today."""
    years = 3 * 365 * 24 * HOUR
    resolved = act("resolve", T0 + years, alert="a0")
    assert states(life([FIRST], [resolved])) == ["forming", "open", "resolved"]
    assert life([FIRST, UPDATE], [resolved]).state == "reopened"


def test_after_the_rules_quiet_time_it_is_resolved_by_itself_and_says_so() -> None:
    until = life([FIRST], [], known_ms=T0 + QUIET)
    after = life([FIRST], [], known_ms=T0 + QUIET + 1)
    assert until.state == "open"
    assert after.steps[-1] == Step("resolved", T0 + QUIET, "quiet")


def test_without_a_known_quiet_time_it_is_never_resolved_by_itself() -> None:
    assert life([FIRST], [], known_ms=T0 + 100 * QUIET, quiet_ms=None).state == "open"


def test_what_a_person_reopened_after_the_quiet_time_stays_open_until_a_person_resolves_it() -> None:
    reopened = act("reopen", T0 + QUIET + HOUR, alert="a0")
    found = life([FIRST], [reopened], known_ms=T0 + 10 * QUIET)
    assert states(found) == ["forming", "open", "resolved", "reopened"]
    done = life([FIRST], [reopened, act("resolve", T0 + 2 * QUIET, alert="a0")], known_ms=T0 + 10 * QUIET)
    assert (done.state, done.steps[-1].cause) == ("resolved", "person")


def test_an_acknowledgement_of_what_is_over_opens_nothing() -> None:
    done = [act("resolve", T0 + 1, alert="a0"), act("acknowledge", T0 + 2, alert="a0")]
    assert states(life([FIRST], done)) == ["forming", "open", "resolved"]


def test_two_actions_of_one_millisecond_have_one_order_however_they_are_read() -> None:
    both = [act("assign", T0 + 1, assignee="bo", who="ana"), act("assign", T0 + 1, assignee="cy", who="dee")]
    turned = [act("resolve", T0 + 1, alert="a0"), act("reopen", T0 + 1, alert="a0")]
    for actions in (both, turned):
        assert life([FIRST], actions) == life([FIRST], actions[::-1])
        assert hush_of([FIRST], actions, now_ms=T0 + 2) == hush_of([FIRST], actions[::-1], now_ms=T0 + 2)


def test_the_last_one_it_was_given_to_has_it() -> None:
    found = life([FIRST], [act("assign", T0 + 2, assignee="cy"), act("assign", T0 + 1)])
    assert (found.assignee, found.state) == ("cy", "open")


def test_a_state_is_made_as_of_a_moment_of_both_clocks() -> None:
    actions = [act("acknowledge", T0 + HOUR, alert="a0")]
    then = life_of([FIRST, UPDATE], actions, founded_ms=T0, last_ms=T0, quiet_ms=QUIET, known_ms=T0, now_ms=T0)
    assert states(then) == ["forming", "open"]


# --- what may be sent -------------------------------------------------------------------------------------------------------------
def hush(said: list[Said], actions: list[Action], *, at: int = T0 + 3 * HOUR) -> Hush | None:
    return hush_of(said, actions, now_ms=at)


def test_a_snooze_until_a_time_holds_until_that_time() -> None:
    actions = [act("snooze", T0 + 1, until_ms=T0 + HOUR, alert="a0")]
    assert hush([FIRST], actions, at=T0 + HOUR - 1) == Hush("snoozed", "ana", T0 + 1, T0 + HOUR)
    assert hush([FIRST], actions, at=T0 + HOUR) is None


def test_a_snooze_until_the_next_update_ends_with_it() -> None:
    actions = [act("snooze", T0 + 1, alert="a0")]
    assert hush([FIRST], actions) == Hush("snoozed", "ana", T0 + 1, None)
    assert hush([FIRST, UPDATE], actions) is None


def test_a_later_snooze_takes_the_place_of_an_earlier_one() -> None:
    actions = [act("snooze", T0 + 1, until_ms=T0 + 9 * HOUR), act("snooze", T0 + 2, until_ms=T0 + HOUR)]
    assert hush([FIRST], actions) is None


def test_what_was_resolved_is_not_sent_and_a_later_update_is() -> None:
    actions = [act("resolve", T0 + 1, alert="a0")]
    assert hush([FIRST], actions) == Hush("resolved", "ana", T0 + 1)
    assert hush([FIRST, UPDATE], actions) is None


def test_a_muted_story_holds_what_rests_on_it_alone() -> None:
    one = [act("mute_story", T0 + 1, story="s1", alert="a0")]
    both = [*one, act("mute_story", T0 + 2, story="s2", alert="a0")]
    assert hush([FIRST], one) is None
    assert hush([FIRST], both) == Hush("muted", "ana", T0 + 2)
    assert hush([FIRST, UPDATE], both) is None


def test_an_incident_muted_as_a_whole_says_nothing_more() -> None:
    assert hush([FIRST, UPDATE], [act("mute_story", T0 + 1, alert="a0")]) == Hush("muted", "ana", T0 + 1)


def test_a_reopen_ends_every_hush_before_it() -> None:
    quiet = [act("mute_story", T0 + 1), act("snooze", T0 + 2, until_ms=T0 + 9 * HOUR), act("resolve", T0 + 3, alert="a0")]
    assert hush([FIRST], [*quiet, act("reopen", T0 + 4, alert="a0")]) is None


# --- what always holds --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class History:
    """What happened on one clock, a minute between any two: candidates, alerts, actions."""

    said: list[Said]
    actions: list[Action]
    candidates: list[int]
    end_ms: int

    def at(self, ms: int) -> Life:
        """The life as it would have been found at a moment."""
        last = max((one for one in self.candidates if one <= ms), default=self.candidates[0])
        return life_of(self.said, self.actions, founded_ms=self.candidates[0], last_ms=last, quiet_ms=QUIET, known_ms=ms, now_ms=ms)


ACTS: st.SearchStrategy[Act] = st.sampled_from(get_args(Act))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Candidates never farther apart than the quiet time (the desk takes a later one for another incident); then people go on."""
    said: list[Said] = []
    actions: list[Action] = []
    candidates = [T0]
    now = T0
    for kind in draw(st.lists(st.sampled_from(["candidate", "alert", "act", "act"]), max_size=14)):
        step = draw(st.integers(0, 2) | st.integers(1, QUIET // 4))  # two people may act in one millisecond
        if kind == "act":
            now += step
            alert = said[-1].alert if said else None
            who = draw(st.sampled_from(["ana", "bo"]))
            actions.append(act(draw(ACTS), now, who=who, alert=alert, note=str(len(actions))))
        elif now + step - candidates[-1] < QUIET:
            now += step + 1
            candidates.append(now)
            if kind == "alert":
                said.append(Said(f"a{len(said)}", len(said), now))
    return History(said, actions, candidates, now)


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_rows_are_read_does_not_matter(history: History, random: Random) -> None:
    said, actions = list(history.said), list(history.actions)
    random.shuffle(said)
    random.shuffle(actions)
    shuffled = History(said, actions, history.candidates, history.end_ms)
    end = history.end_ms + 2 * QUIET
    assert shuffled.at(end) == history.at(end)
    assert hush_of(said, actions, now_ms=end) == hush_of(history.said, history.actions, now_ms=end)


@given(histories(), st.integers(0, 3 * QUIET), st.integers(0, 3 * QUIET))
def test_what_happens_later_adds_steps_and_changes_none(history: History, first: int, second: int) -> None:
    earlier, later = sorted((first, second))
    before, after = history.at(T0 + earlier), history.at(T0 + later)
    assert after.steps[: len(before.steps)] == before.steps


@given(histories(), st.integers(0, 4 * QUIET))
def test_no_step_is_without_a_row_or_a_quiet_time_that_explains_it(history: History, after: int) -> None:
    now = T0 + after
    found = history.at(now)
    alerts = {one.alert: one for one in history.said}
    done = {(one.at_ms, one.who, one.what) for one in history.actions}
    asked = {"acknowledged": "acknowledge", "resolved": "resolve", "reopened": "reopen"}
    assert found.steps[0][:3] == ("forming", T0, "candidate")
    for before, step in pairwise(found.steps):
        assert step.state != before.state
        assert step.at_ms <= now
        if step.cause == "person":
            assert (step.at_ms, step.who, asked[step.state]) in done
        elif step.cause == "quiet":
            assert (step.state, step.at_ms) == ("resolved", history.candidates[-1] + QUIET)
        else:
            assert alerts[str(step.alert)].opened_ms == step.at_ms
            assert (before.state, step.state, step.cause) in {("forming", "open", "alert"), ("resolved", "reopened", "update")}


@given(histories())
def test_what_is_told_is_open_until_somebody_or_the_quiet_time_says_otherwise(history: History) -> None:
    untouched = History(history.said, [], history.candidates, history.end_ms)
    last = history.candidates[-1]
    assert untouched.at(last + QUIET).state == ("open" if history.said else "forming")
    assert untouched.at(last + QUIET + 1).state == "resolved"
