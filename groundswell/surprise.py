"""Surprise: how far what was said lies from what is usual, as one number that things can be sorted by. Pure.

It decides nothing: alerts have their own tests (alerts/detectors). It is small and plain, so that a reader can check it by hand.
"""

from math import log2, sqrt
from typing import Final

DISPERSION: Final = 0.4
USUAL_MIN: Final = 0.6
"""As the rules of a surge have them by default: variance = mean + dispersion * mean^2, and a day's mean is never taken to be lower."""

SHARE_MIN: Final = 0.01


def of_count(stories: int, usual: float) -> float:
    """Stories above the usual number, in standard deviations of it; 0 where there are no more than usual.

    >>> round(of_count(14, 1.7), 1), of_count(1, 1.7), round(of_count(3, 0.0), 1)
    (7.3, 0.0, 2.8)
    """
    mean = max(usual, USUAL_MIN)
    return max(0.0, (stories - mean) / sqrt(mean + DISPERSION * mean * mean))


def of_reading(p_negative: float, usual_share: float) -> float:
    """Bits that a document tells by being as negative as it is, where such a share is usual; 0 where it is not more negative than that.

    The relative entropy (Kullback and Leibler 1951) of the two; both are kept SHARE_MIN away from 0 and 1.

    >>> round(of_reading(0.97, 0.12), 1), of_reading(0.1, 0.12), round(of_reading(0.97, 0.6), 1)
    (2.8, 0.0, 0.6)
    """
    p, q = (min(max(share, SHARE_MIN), 1 - SHARE_MIN) for share in (p_negative, usual_share))
    return 0.0 if p <= q else p * log2(p / q) + (1 - p) * log2((1 - p) / (1 - q))
