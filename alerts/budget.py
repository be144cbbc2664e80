"""Online false-discovery control: of all that the desk tells, the part that is chance is kept below a share, over an endless stream.

ADDIS (Tian and Ramdas, 2019, "ADDIS: an adaptive discarding algorithm for online FDR control with conservative nulls", NeurIPS 32),
which is SAFFRON (Ramdas, Zrnic, Wainwright and Jordan, 2018, ICML 35) on what is not discarded. Here the discarding has happened before: a
candidate exists only where p <= p_open, and given that, p / p_open is a p-value again. Levels are for that ratio, `chance`.

    level = min(lambda, (1 - lambda) * (alpha / 2 * (g(n) + g(n - n1)) + alpha * sum of g(n - nj) over later discoveries j))
    g(k) = (k + 1)^-1.6 / zeta(1.6);   n: tests so far whose chance was above lambda, nj: as many when discovery j was made

What is proved needs p-values that are independent, or conditionally super-uniform. Two candidates of one event are neither (they share
documents, and their windows overlap), nor is a second look at an incident that was held. The desk's incidents make most of the first go
away, nothing does the second: the share is aimed at, not promised.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from scipy.special import zeta

LAMBDA: Final = 0.5
EXPONENT: Final = 1.6
DISCOVERIES_MAX: Final = 500
"""Of older ones less than a hundredth of the weight is left."""

_SCALE: Final = 1 / float(zeta(EXPONENT))


def _weight(tests: int) -> float:
    return _SCALE * float((tests + 1) ** -EXPONENT)


@dataclass
class Addis:
    """What a stream of tests leaves behind: a function of (chance, found) of each, in order.

    >>> stream, told = Addis(), []
    >>> for chance in (0.001, 0.6, 0.001, 0.9, 0.0):
    ...     told.append(chance <= stream.level(0.2))
    ...     stream.take(chance, found=told[-1])
    >>> told
    [True, False, True, False, True]
    """

    above: int = 0  # tests whose chance was above lambda
    places: deque[int] = field(default_factory=lambda: deque(maxlen=DISCOVERIES_MAX))  # `above` at each discovery
    discoveries: int = 0

    def level(self, alpha: float) -> float:
        """How small the chance of the next test has to be, for a share of at most `alpha` false ones."""
        weights = [_weight(self.above - place) for place in self.places]
        if weights and self.discoveries == len(weights):
            weights[0] /= 2  # the other half was there from the begin
        return min(LAMBDA, (1 - LAMBDA) * alpha * (_weight(self.above) / 2 + sum(weights)))

    def take(self, chance: float, *, found: bool) -> None:
        """A test was made."""
        self.above += chance > LAMBDA
        if found:
            self.places.append(self.above)
            self.discoveries += 1
