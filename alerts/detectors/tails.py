"""Upper tails of counts, exact, through the beta functions of scipy.special."""

import numpy as np
from scipy.special import betainc, betaln, gammaln

LEAST_DISPERSION = 1e-6
"""Below it the beta functions lose more digits than the dispersion changes."""


def negative_binomial_tail(count: int, *, mean: float, dispersion: float) -> float:
    """P(X >= count) for a count with the given mean and variance mean + dispersion * mean^2.

    Identity: P(X >= k) = I_q(k, r) with r = 1 / dispersion, q = mean / (mean + r) (Abramowitz and Stegun 26.5.26).

    >>> round(negative_binomial_tail(1, mean=1.0, dispersion=1.0), 6)
    0.5
    """
    if count <= 0:
        return 1.0
    r = 1.0 / dispersion
    return float(betainc(count, r, mean / (mean + r)))


def binomial_tail(hits: int, *, trials: int, share: float) -> float:
    """P(X >= hits) of so many trials with the given share (Abramowitz and Stegun 26.5.24).

    >>> round(binomial_tail(2, trials=2, share=0.5), 6)
    0.25
    """
    if hits <= 0:
        return 1.0
    return float(betainc(hits, trials - hits + 1, share))


def beta_binomial_tail(hits: int, *, trials: int, share: float, dispersion: float) -> float:
    """P(X >= hits) of so many trials whose share is itself drawn anew each time, around `share`.

    Args:
        hits: how many.
        trials: of how many.
        share: mean of the beta distribution that it is drawn from.
        dispersion: correlation of two trials, in [0, 1): 1 / (a + b + 1) of that distribution; 0 is the binomial.

    >>> round(beta_binomial_tail(2, trials=2, share=0.5, dispersion=1 / 3), 6)  # uniform: 0, 1 and 2 hits are equally likely
    0.333333
    """
    if dispersion < LEAST_DISPERSION:
        return 1.0 if hits <= 0 else binomial_tail(hits, trials=trials, share=share)
    both = 1 / dispersion - 1
    return negative_hypergeometric_tail(hits, trials=trials, a=share * both, b=(1 - share) * both)


def negative_hypergeometric_tail(hits: int, *, trials: int, a: float, b: float) -> float:
    """P(X >= hits) of so many trials whose share is drawn from Beta(a, b).

    That is where a sum of a/(a+b) of the time falls, given the sum of all of it, when both are negative binomial with the same
    dispersion: the unknown mean cancels out (the negative hypergeometric distribution; Johnson, Kotz and Kemp 1992, 6.2.2).

    >>> round(negative_hypergeometric_tail(2, trials=2, a=1.0, b=1.0), 6)
    0.333333
    """
    if hits <= 0:
        return 1.0
    x = np.arange(hits, trials + 1, dtype=np.float64)
    choose = gammaln(trials + 1) - gammaln(x + 1) - gammaln(trials - x + 1)
    return float(min(1.0, np.exp(choose + betaln(x + a, trials - x + b) - betaln(a, b)).sum()))


def limit_of(p: float, *, mean: float, dispersion: float) -> int:
    """The least count whose tail is at most `p`."""
    low, high = 0, 1
    while negative_binomial_tail(high, mean=mean, dispersion=dispersion) > p:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if negative_binomial_tail(middle, mean=mean, dispersion=dispersion) > p:
            low = middle
        else:
            high = middle
    return high
