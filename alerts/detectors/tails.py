"""Upper tails of counts, exact, through the incomplete beta function (scipy.special)."""

import numpy as np
from scipy.special import betainc, betaln, gammaln


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


def beta_binomial_tail(hits: int, *, trials: int, a: float, b: float) -> float:
    """P(X >= hits) of so many trials whose share is drawn from Beta(a, b).

    That is where a sum of a/(a+b) of the time falls, given the sum of all of it, when both are negative binomial with the same
    dispersion: the unknown mean cancels out (the negative hypergeometric distribution; Johnson, Kotz and Kemp 1992, 6.2.2).

    >>> round(beta_binomial_tail(2, trials=2, a=1.0, b=1.0), 6)
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
