"""Online false-discovery control: of all that the desk would tell, the part that is chance stays below a share, for ever.

ADDIS (Tian and Ramdas, 2019, "ADDIS: an adaptive discarding algorithm for online FDR control with conservative nulls", NeurIPS 32),
which is SAFFRON (Ramdas, Zrnic, Wainwright and Jordan, 2018, ICML 35) on what is not discarded. Here discarding has happened before: a
candidate exists only where p <= p_open, and given that, p / p_open is again a p-value. So the levels are for p / p_open.

    level(t) = min(lambda, (1 - lambda) * (W0 * g(n0) + (alpha - W0) * g(n1) + alpha * sum g(nj)))
    g(n) proportional to (n + 1)^-1.6;  nj: tests since the j-th discovery whose p / p_open was above lambda

What is proved needs p-values that are independent, or conditionally super-uniform. Candidates of one event are neither: they share
documents, and windows overlap. The desk therefore tests an incident, not its candidates; between incidents the assumption is fair.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from scipy.special import zeta

LAMBDA: Final = 0.5
EXPONENT: Final = 1.6
WEIGHT: Final = 1 / float(zeta(EXPONENT))
DISCOVERIES_MAX: Final = 500
"""Of older ones nothing is left: the sum of their weights is below a hundredth."""


def _weight(number: int) -> float:
    return WEIGHT * float((number + 1) ** -EXPONENT)


@dataclass
class Addis:
    """The levels of a stream of tests.

    Args:
        alpha: the share of false ones among what is told that is aimed at.

    >>> stream = Addis(alpha=0.2)
    >>> [stream.test(p) for p in (0.001, 0.6, 0.001, 0.9, 0.0)]
    [True, False, True, False, True]
    """

    alpha: float
    _plain: int = 0  # tests above lambda so far
    _at: deque[int] = field(default_factory=lambda: deque(maxlen=DISCOVERIES_MAX))  # of each discovery, how many such tests it follows
    _first: int | None = None

    @property
    def level(self) -> float:
        """How small the next p-value has to be."""
        start = self.alpha / 2
        total = start * _weight(self._plain)
        for place in self._at:
            earned = self.alpha - start if place == self._first and place == self._at[0] else self.alpha
            total += earned * _weight(self._plain - place)
        return min(LAMBDA, (1 - LAMBDA) * total)

    def test(self, p: float) -> bool:
        """Take the next p-value; whether it is a discovery."""
        found = p <= self.level
        if p > LAMBDA:
            self._plain += 1
        if found:
            self._first = self._plain if self._first is None else self._first
            self._at.append(self._plain)
        return found
