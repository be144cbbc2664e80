"""Regime: how probable it is that a series' rate has been multiplied, by a hidden Markov model over its counts.

Per step a count is negative binomial around `expected * factor * noise`. The factor is 1 (usual), one of `factors` (a surge, which
lasts), or one of `spikes` (over after one step: a spike is no surge). The noise is a slow wander of the rate (AR(1) in the
logarithm, on a grid). How much a stream wanders and how dispersed its counts are is not told: every combination of `noises` and
`dispersions` runs, weighed by how well it has predicted this very stream. A rough stream fools the model more than a calm one, for
its noise is not quite the model's; so the log odds get a handicap by the roughness that was learnt, and one threshold serves both.
The baseline (season.py) learns with a fifth of the weight while a surge is probable.

Forward filter: Hamilton (1989); robust learning by responsibilities: as in EM (Dempster, Laird and Rubin, 1977).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from alerts.detectors.season import Floats, Season, half
from alerts.rules import RegimeRules

Counts = NDArray[np.int64]
GRID: Final = np.linspace(-2.5, 2.5, 7)
"""Log noise, in standard deviations."""

FLOOR: Final = 1e-14
"""No state is ever given up: a stream that surprised every state is followed again."""

IDLE_STEPS_MAX: Final = 1_000
"""After so many steps unseen the states are where they would be after any more."""

CUT_SD: Final = 2.0
LEARN_IN_SURGE: Final = 0.2


class RegimeFilter:
    """Several series that share one clock, one lane each.

    Args:
        lanes: how many series.
        rules: the profile.
        step_s: length of a step in seconds.
    """

    def __init__(self, lanes: int, rules: RegimeRules, *, step_s: int) -> None:
        self.season = Season(lanes, rules, step_s=step_s)
        factors = np.array([1.0, *rules.factors, *rules.spikes])
        noises, dispersions = (a.ravel() for a in np.meshgrid(rules.noises, rules.dispersions))
        self._surge = slice(1, 1 + len(rules.factors))
        self._switch = _switches(rules, step_s)
        self._wander = _wandering(1.0 - half(rules.noise_half_life_s, step_s))
        noise = np.exp(noises[:, None] * GRID - noises[:, None] ** 2 / 2)
        self._times = noise[:, :, None] * factors  # (models, grid, states)
        self._log_times = np.log(self._times)
        self._r = 1.0 / dispersions
        self._dispersion = float(np.median(rules.dispersions))
        self._handicap = rules.handicap_calm + rules.handicap_noise * noises + rules.handicap_dispersion * dispersions
        self._forget = half(rules.evidence_half_life_s, step_s)
        self.states = np.zeros((lanes, len(noises), len(GRID), len(factors)))
        self.states[..., 0] = 1.0 / len(GRID)
        self.evidence = np.zeros((lanes, len(noises)))
        self.expected = np.ones(lanes)

    def step(self, time_s: int, counts: Counts) -> Floats:
        """Take one step of every lane.

        Args:
            time_s: when the step begins, seconds since 1970, UTC; later than the one before.
            counts: one whole number a lane, not negative.

        Returns:
            The log odds of a surge with the stream's handicap, one a lane.
        """
        self.expected = self.season.expect(time_s)
        self._predict()
        self._weigh(counts.astype(np.float64))
        weights = np.exp(self.evidence - self.evidence.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        by_state = (self.states.sum(2) * weights[:, :, None]).sum(1)
        surge = by_state[:, self._surge].sum(1)
        self.season.learn(self._cut(counts, surge))
        return np.asarray(np.log((surge + FLOOR) / (1.0 - surge + FLOOR)) + weights @ self._handicap)

    def idle(self, steps: int) -> None:
        """Steps that nobody saw: states relax, nothing is learnt."""
        for _ in range(min(steps, IDLE_STEPS_MAX)):
            self._predict()

    def _predict(self) -> None:
        self.states = self._wander @ (self.states @ self._switch)

    def _weigh(self, counts: Floats) -> None:
        """Bayes: every state by the probability that it gives to the counts."""
        r = self._r[:, None, None]
        y, mean = counts[:, None, None, None], self.expected[:, None, None, None] * self._times
        per_model = r * np.log(r) + gammaln(y + r) - gammaln(r)  # what depends on the count and the dispersion alone
        log_p = per_model + y * self._log_times - (y + r) * np.log(r + mean)
        most = log_p.max((1, 2, 3), keepdims=True)
        self.states = self.states * np.exp(log_p - most) + FLOOR
        total = self.states.sum((2, 3), keepdims=True)
        self.states /= total
        self.evidence = (1.0 - self._forget) * self.evidence + np.log(total[:, :, 0, 0])
        self.evidence -= self.evidence.max(1, keepdims=True)

    def _cut(self, counts: Counts, surge: Floats) -> Floats:
        """What the baseline may learn of a count: little of an outlier, little of a surge."""
        mean = self.expected
        cut = np.minimum(counts, 2.0 * mean + CUT_SD * np.sqrt(mean + self._dispersion * mean * mean) + 1.0)
        doubt = (1.0 - LEARN_IN_SURGE) * surge
        return np.asarray((1.0 - doubt) * cut + doubt * mean)


def _switches(rules: RegimeRules, step_s: int) -> Floats:
    """Probabilities from state (row) to state: usual, surges, spikes."""
    surges, spikes = len(rules.factors), len(rules.spikes)
    enter, spike = (min(0.25, step_s / every_s) for every_s in (rules.surge_every_s, rules.spike_every_s))
    leave = min(0.5, step_s / rules.surge_lasts_s)
    matrix = np.zeros((1 + surges + spikes,) * 2)
    for state in (0, *range(1 + surges, 1 + surges + spikes)):
        matrix[state, 1 : 1 + surges] = enter / surges
        matrix[state, 1 + surges :] = spike / spikes
        matrix[state, 0] = 1.0 - enter - spike
    for state in range(1, 1 + surges):
        matrix[state, state], matrix[state, 0] = 1.0 - leave, leave
    return matrix


def _wandering(keep: float) -> Floats:
    """Probabilities of the noise's grid, transposed: AR(1) that keeps so much of itself in a step."""
    spread = max(float(np.sqrt(1.0 - keep * keep)), 0.5 * float(GRID[1] - GRID[0]))
    matrix = np.exp(-0.5 * ((GRID - keep * GRID[:, None]) / spread) ** 2)
    return np.ascontiguousarray((matrix / matrix.sum(1, keepdims=True)).T)
