"""Plain rules for counts that the volume detector is set against, each as a statistic (steps x lanes) of five-minute counts.

They are written anew from what is published about them, not the programs themselves.
"""

from collections.abc import Callable, Mapping

import numpy as np

from bench.planted import DISPERSION, WARM_UP, WEEK, Counts, Floats, World

HOUR, HALF_HOUR = 12, 6
CUSUM_FACTOR, CUSUM_STEP_MAX = 3.0, 3.0
LEAST = 1e-9


def sums(values: Counts | Floats, steps: int) -> Floats:
    """Of the last so many steps, the newest included; fewer at the begin."""
    so_far = np.cumsum(values, 0, dtype=np.float64)
    so_far[steps:] -= so_far[:-steps].copy()
    return so_far


def three_sigma(counts: Counts) -> Floats:
    """Standard deviations above the mean of the seven days before."""
    squares = np.asarray(counts, dtype=np.float64) ** 2
    many = np.minimum(np.arange(len(counts)), WEEK).clip(1)[:, None]
    mean, square = _before(sums(counts, WEEK)) / many, _before(sums(squares, WEEK)) / many
    return np.asarray((counts - mean) / np.sqrt(np.maximum(square - mean**2, 0.01)))


def five_and_three_times(counts: Counts) -> Floats:
    """The last hour as a multiple of the mean hour of the seven days before, where it has more than five."""
    hour, week = sums(counts, HOUR), _before(sums(counts, WEEK))
    many = np.minimum(np.arange(len(counts)), WEEK).clip(1)[:, None] / HOUR
    return np.asarray(np.where(hour > 5, hour / np.maximum(week / many, LEAST), 0.0))


def hour_against_twelve(counts: Counts) -> Floats:
    """The last hour as a multiple of the mean hour of the twelve before it."""
    hour = sums(counts, HOUR)
    twelve = np.zeros_like(hour)
    twelve[HOUR:] = sums(counts, 12 * HOUR)[:-HOUR] / 12
    return np.asarray((hour + 1) / (twelve + 1))


def farrington_like(counts: Counts) -> Floats:
    """The last half hour against the same time of up to eight weeks before, on the 2/3 power (after Farrington et al., 1996)."""
    half_hour = sums(counts, HALF_HOUR)
    found = np.zeros_like(half_hour)
    for week in range(WARM_UP // WEEK, len(counts) // WEEK):
        now = slice(week * WEEK, (week + 1) * WEEK)
        past = np.stack([np.roll(half_hour, shift, 0)[now.start - back * WEEK : now.stop - back * WEEK]
                         for back in range(1, min(8, week) + 1) for shift in (-HALF_HOUR, 0, HALF_HOUR)])  # fmt: skip
        mean, spread = past.mean(0), past.std(0)
        past = np.minimum(past, mean + 2.58 * spread)  # earlier outbreaks count less
        mean = np.maximum(past.mean(0), 0.1)
        over = np.maximum(past.var(0, ddof=1) / mean, 1.0)
        deviation = np.sqrt(4 / 9 * np.cbrt(mean) * over * (1 + 1 / len(past)))
        found[now] = (np.cbrt(half_hour[now]) ** 2 - np.cbrt(mean) ** 2) / deviation
    return found


def oracle(made: World) -> Floats:
    """CUSUM of the likelihood ratio of three times the rate, by somebody who knows the usual rate and the dispersion (Page, 1954)."""
    r, factor = 1 / DISPERSION, CUSUM_FACTOR
    gains = made.counts * np.log(factor) - (made.counts + r) * np.log((r + factor * made.usual) / (r + made.usual))
    sum_, found = np.zeros(gains.shape[1]), np.empty(gains.shape)
    for step, gain in enumerate(np.minimum(gains, CUSUM_STEP_MAX)):
        sum_ = np.maximum(0.0, sum_ + gain)
        found[step] = sum_
    return found


def _before(values: Floats) -> Floats:
    """As of the step before."""
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


RULES: Mapping[str, Callable[[Counts], Floats]] = {
    "Farrington-like, half hours": farrington_like,
    "k standard deviations above seven days": three_sigma,
    "more than 5, and k times the mean hour": five_and_three_times,
    "the last hour against the last twelve": hour_against_twelve,
}
