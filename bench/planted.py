"""Planted surges: worlds of made-up counts with surges whose begin, length and factor are known, and the judge of who finds them.

24 series (8 each of 1, 5 and 30 per five minutes on average) over twelve weeks, of which the first three are not judged. Each has an
hour of the day, a weekend, and negative binomial counts (dispersion 0.15); surges of 2, 3 or 5 times the rate last half an hour, 1, 3 or
6 hours, about 2.6 a week. The rough world adds noise of the rate (AR(1) in the logarithm, 0.3, half-life an hour), a level that walks
(0.15 a day) and spikes of one step (2 to 5 times, every second day).

An alert event is a crossing of the threshold after two hours without one. A surge is found by an event that *begins* within it or in the
15 minutes after it; an event that begins outside of all surges, and not within two hours after one, is false.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
STEP_S: Final = 300
DAY, WEEK = 288, 2_016
WEEKS, WARM_UP = 12, 3 * WEEK
RATES: Final = (1.0, 5.0, 30.0)
EACH: Final = 8
DISPERSION: Final = 0.15
SURGES_A_WEEK: Final = 2.6
APART: Final = 72
FALSE_A_WEEK: Final = 1.0
FACTORS: Final = (2, 3, 5)
LENGTHS: Final = (6, 12, 36, 72)
GRACE, AFTER, QUIET = 3, 24, 24
NOISE, NOISE_HALF_LIFE, WALK, SPIKES_A_STEP = 0.3, 12, 0.15, 1 / (2 * DAY)


class Surge(NamedTuple):
    """A stretch of one series in which its rate is multiplied; steps."""

    lane: int
    begin: int
    length: int
    factor: int


@dataclass(frozen=True)
class World:
    """Counts (steps x lanes), the usual rate they were drawn around, and the surges in them."""

    counts: Counts
    usual: Floats
    surges: list[Surge]


class Found(NamedTuple):
    """What a statistic finds at a threshold."""

    false_a_week: float  # false alerts per series-week
    recall: float
    by_factor: dict[int, float]  # nan: none of it was planted
    minutes: dict[int, float]  # median delay of those found, by factor; nan: none


def world(seeds: tuple[int, ...], *, rough: bool) -> World:
    """The worlds of several seeds, side by side."""
    parts = [_one(np.random.default_rng([seed, int(rough)]), rough=rough) for seed in seeds]
    lanes = len(RATES) * EACH
    surges = [s._replace(lane=s.lane + lanes * place) for place, part in enumerate(parts) for s in part.surges]
    return World(np.concatenate([p.counts for p in parts], 1), np.concatenate([p.usual for p in parts], 1), surges)


def _one(rng: np.random.Generator, *, rough: bool) -> World:
    steps = np.arange(WEEKS * WEEK)
    usual = np.stack([rate * _season(rng, steps) for rate in RATES for _ in range(EACH)], 1)
    rate = usual * _roughness(rng, usual.shape) if rough else usual.copy()
    surges = [surge for lane in range(usual.shape[1]) for surge in _surges(rng, lane, len(steps))]
    for lane, begin, length, factor in surges:
        rate[begin : begin + length, lane] *= factor
    counts = rng.negative_binomial(1 / DISPERSION, 1 / (1 + DISPERSION * rate))
    return World(counts.astype(np.int64), usual, surges)


def _season(rng: np.random.Generator, steps: Counts) -> Floats:
    """Hour of the day and weekend, 1 on average."""
    angle = 2 * np.pi * (steps % DAY) / DAY
    day = rng.uniform(0.4, 0.8) * np.sin(angle + rng.uniform(0, 2 * np.pi)) + rng.uniform(0, 0.25) * np.sin(
        2 * angle + rng.uniform(0, 2 * np.pi)
    )
    season = np.exp(day) * np.where(steps // DAY % 7 >= 5, rng.uniform(0.5, 0.8), 1.0)
    return np.asarray(season / season.mean())


def _roughness(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    keep = 2 ** (-1 / NOISE_HALF_LIFE)
    pushes = rng.normal(0, NOISE * np.sqrt(1 - keep * keep), shape)
    noise = np.empty(shape)
    noise[0] = rng.normal(0, NOISE, shape[1])
    for step in range(1, shape[0]):
        noise[step] = keep * noise[step - 1] + pushes[step]
    walk = np.cumsum(rng.normal(0, WALK / np.sqrt(DAY), shape), 0)
    spikes = np.where(rng.random(shape) < SPIKES_A_STEP, rng.uniform(2, 5, shape), 1.0)
    return np.asarray(np.exp(noise - NOISE**2 / 2 + walk) * spikes)


def _surges(rng: np.random.Generator, lane: int, steps: int) -> list[Surge]:
    found, begin, between = [], int(rng.exponential(WEEK / SURGES_A_WEEK)), WEEK / SURGES_A_WEEK
    while begin < steps - 100:
        surge = Surge(lane, begin, int(rng.choice(LENGTHS)), int(rng.choice(FACTORS)))
        found.append(surge)
        begin += surge.length + APART + int(rng.exponential(between - APART - float(np.mean(LENGTHS))))
    return found


# --- the judge --------------------------------------------------------------------------------------------------------------
def judge(made: World, statistic: Floats, threshold: float) -> Found:
    """What a statistic (steps x lanes) finds at a threshold."""
    events = _events(statistic >= threshold)
    excused = np.zeros_like(events)
    for lane, begin, length, _ in made.surges:
        excused[begin : begin + length + AFTER, lane] = True
    judged_weeks = (len(events) - WARM_UP) / WEEK * events.shape[1]
    delays: dict[int, list[float]] = {factor: [] for factor in FACTORS}
    for lane, begin, length, factor in made.surges:
        if begin >= WARM_UP:
            hits = np.flatnonzero(events[begin : begin + length + GRACE, lane])
            delays[factor].append((hits[0] + 1) * STEP_S / 60 if len(hits) else np.nan)
    every = np.concatenate([np.array(values) for values in delays.values()])
    return Found(
        float((events & ~excused)[WARM_UP:].sum() / judged_weeks),
        float(np.isfinite(every).mean()),
        {factor: float(np.isfinite(values).mean()) if values else np.nan for factor, values in delays.items()},
        {factor: float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan for factor, values in delays.items()},
    )


def _events(crosses: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Crossings with none in the QUIET steps before."""
    so_far = np.cumsum(crosses, 0, dtype=np.int64)
    before = np.zeros_like(so_far)
    before[1:] = so_far[:-1]
    before[QUIET + 1 :] -= so_far[: -QUIET - 1]
    return np.asarray(crosses & (before == 0))


def threshold_for(made: World, statistic: Floats) -> float:
    """The least threshold with at most FALSE_A_WEEK false alerts per series-week."""
    low, high = float(np.quantile(statistic[WARM_UP:], 0.9)), float(statistic[WARM_UP:].max())
    for _ in range(22):
        middle = (low + high) / 2
        if judge(made, statistic, middle).false_a_week > FALSE_A_WEEK:
            low = middle
        else:
            high = middle
    return high
