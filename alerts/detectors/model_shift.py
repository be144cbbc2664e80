"""Model shift: the figures of nearly all topics of a language have moved at once, and the world has not.

A bad day hits some topics and is loud; a model that reads otherwise hits all of them, with as many stories as ever. Read from closed hours
(the last 24, against the eight weeks before them, as far as the model in force has read them): whoever decides has the same rows.
The desk asks when there is a surge to decide: while the figures have moved, surges are held, and the modellers are told once.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from alerts.detectors.gates import Gate
from alerts.detectors.surge import DAY_S, FULL_PPM
from alerts.detectors.tails import binomial_tail
from alerts.rules import ModelShiftRules
from groundswell.names import TICK_MS, content_id, language_series
from groundswell.peers import Moved
from groundswell.records import Candidate


class Language(NamedTuple):
    """What is known of a language when the desk asks."""

    language: str
    topics: Mapping[str, Moved]  # by series
    hours_before: int  # closed hours before the recent ones that count
    since_model_ms: int | None  # how long ago another model came into force; None: never


def shift_gates(seen: Language, rules: ModelShiftRules) -> Iterator[Gate]:
    """What has to hold for the figures to be the model's, each with its numbers."""
    measured = [moved for moved in seen.topics.values() if moved.stories >= rules.stories_min and moved.stories_before]
    said = f"topics with at least {rules.stories_min} stories: {len(measured)}; needed: {rules.topics_min}"
    yield Gate("topics", len(measured) >= rules.topics_min, said)
    moved_up, moved_down = (sum(_p(moved, up=up) <= rules.p_moved for moved in measured) for up in (True, False))
    most, needed = max(moved_up, moved_down), -(-len(measured) * rules.moved_ppm // FULL_PPM)
    yield Gate("moved", most >= needed > 0, f"topics whose negative share has moved the same way: {most}; needed: {needed}")
    after = seen.since_model_ms is not None and seen.since_model_ms <= rules.after_days * DAY_S * 1_000
    whole = pooled(seen)
    volume = whole.stories * seen.hours_before / max(1, 24 * whole.stories_before)
    quiet = 1 / rules.volume_growth <= volume <= rules.volume_growth
    grown = abs(whole.now_ppm - whole.before_ppm) >= rules.pooled_growth_ppm
    said = (
        f"another model {'came' if after else 'did not come'} into force within {rules.after_days} days; stories: {volume:.2f} times the "
        f"usual, negative: {whole.now_ppm / 1e4:.0f} %, before: {whole.before_ppm / 1e4:.0f} %"
    )
    yield Gate("model_shift", after or (quiet and grown), said)


def pooled(seen: Language) -> Moved:
    """All topics of a language together."""
    return Moved(*(sum(numbers) for numbers in zip(*seen.topics.values(), strict=True))) if seen.topics else Moved(0, 0, 0, 0)


def _p(moved: Moved, *, up: bool) -> float:
    """P-value of the recent share, given the one before."""
    share = (moved.negative_before + 1) / (moved.stories_before + 2)
    if up:
        return binomial_tail(moved.negative, trials=moved.stories, share=share)
    return binomial_tail(moved.stories - moved.negative, trials=moved.stories, share=1 - share)


def shift_of(seen: Language, tick: int, rules: ModelShiftRules) -> Candidate | None:
    """The finding that a language's figures have moved with the model; None where they have not."""
    if not all(gate.holds for gate in shift_gates(seen, rules)):
        return None
    whole, series = pooled(seen), language_series(seen.language)
    return Candidate(
        candidate_id=content_id("model_shift", series, str(tick)),
        series=series,
        window_s=DAY_S,
        tick=tick,
        known_until_ms=(tick + 1) * TICK_MS,
        statistic=whole.negative,
        expected_milli=1_000 * whole.stories * whole.negative_before // max(1, whole.stories_before),
        limit=0,
        p_ppt=0,
        share_p_ppt=0,
        by="share",
        stories=whole.stories,
        owners=0,
        owners_known=True,
        baseline_share_ppm=whole.before_ppm,
        exposure_ppm=FULL_PPM,
        level="open",
        evidence=[],
        kind="model_shift",
    )
