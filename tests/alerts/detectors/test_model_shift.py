"""Model shift: nearly all topics at once, with as many stories as ever; a bad day of the world is not one."""

import random

import pytest

from alerts.detectors.model_shift import Language, shift_gates, shift_of
from alerts.rules import load_rules
from groundswell.names import DAY_MS, TOPICS, topic_series
from groundswell.peers import Moved
from tests import builders as b

RULES = load_rules().model_shift
HOURS = 56 * 24


def seen(
    shares: dict[str, float] | float, *, volume: float = 1.0, before: float = 0.25, stories: int = 100, since_days: float | None = None
) -> Language:
    """A language whose topics had so many stories a day and this share of negatives; `shares` is the recent one."""
    topics = {}
    for topic in TOPICS:
        share = shares if isinstance(shares, float) else shares.get(topic, before)
        now = round(stories * volume)
        topics[topic_series(topic, "en")] = Moved(round(now * share), now, round(56 * stories * before), 56 * stories)
    return Language("en", topics, HOURS, None if since_days is None else round(since_days * DAY_MS))


def test_all_topics_that_turn_while_their_number_is_as_usual_are_the_model() -> None:
    found = shift_of(seen(0.45), b.T0_TICK, RULES)

    assert found is not None
    assert (found.kind, found.series, found.window_s, found.by) == ("model_shift", "language:en", 86_400, "share")
    assert (found.statistic, found.stories, found.baseline_share_ppm) == (14 * 45, 1_400, 250_000)


def test_all_topics_that_turn_the_other_way_are_the_model_too() -> None:
    assert shift_of(seen(0.08), b.T0_TICK, RULES) is not None


def test_a_loud_day_is_the_world() -> None:
    assert shift_of(seen(0.45, volume=1.5), b.T0_TICK, RULES) is None


def test_a_few_topics_that_turn_are_the_world() -> None:
    assert shift_of(seen(dict.fromkeys(TOPICS[:9], 0.6)), b.T0_TICK, RULES) is None


def test_right_after_another_model_a_loud_day_and_a_smaller_turn_are_the_model() -> None:
    assert shift_of(seen(0.40, volume=1.5, since_days=1), b.T0_TICK, RULES) is not None
    assert shift_of(seen(0.40, volume=1.5, since_days=3), b.T0_TICK, RULES) is None


def test_few_stories_show_nothing() -> None:
    assert shift_of(seen(0.6, stories=15), b.T0_TICK, RULES) is None
    assert shift_of(Language("en", {}, 0, None), b.T0_TICK, RULES) is None


def test_its_gates_say_their_numbers() -> None:
    gates = list(shift_gates(seen(0.45, volume=1.5), RULES))

    assert [(gate.name, gate.holds) for gate in gates] == [("topics", True), ("moved", True), ("model_shift", False)]
    assert gates[2].said.endswith("stories: 1.50 times the usual, negative: 45 %, before: 25 %")


@pytest.mark.parametrize("turn", [0.0, 0.1], ids=["nothing has changed", "a turn of every tenth story, topic by topic"])
def test_days_on_which_topics_vary_are_no_shift(turn: float) -> None:
    chance, found = random.Random(4), 0
    for _ in range(2_000):
        topics = {}
        for topic in TOPICS:
            share, stories = 0.25 + chance.choice((-turn, turn)), chance.randrange(40, 200)
            negative = sum(chance.random() < share for _ in range(stories))
            topics[topic_series(topic, "en")] = Moved(negative, stories, 1_400, 5_600)
        found += shift_of(Language("en", topics, HOURS, 0), b.T0_TICK, RULES) is not None

    assert found == 0
