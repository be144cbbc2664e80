"""Peers: what those did that a company or a topic is compared with. Pure: an alert's line about them and the board's panel count alike."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from groundswell.records import Peers

PEERS_MIN: Final = 3
PEERS_MAX: Final = 20
STORIES_MIN: Final = 5
STORIES_BEFORE_MIN: Final = 20
"""A peer is measured where it has so many stories in the recent hours, and before them."""

FULL_PPM: Final = 1_000_000

Of = Literal["sector", "companies", "topics"]
Sums = Mapping[str, tuple[int, int]]
"""{series: negative stories, stories}."""


class Moved(NamedTuple):
    """Closed hours of one series: distinct fresh negative stories and distinct fresh stories, recently and before."""

    negative: int
    stories: int
    negative_before: int
    stories_before: int

    @property
    def now_ppm(self) -> int:
        """Negative share of the recent hours."""
        return FULL_PPM * self.negative // max(1, self.stories)

    @property
    def before_ppm(self) -> int:
        """Negative share of the time before them."""
        return FULL_PPM * self.negative_before // max(1, self.stories_before)


def moved_of(recent: Sums, before: Sums) -> dict[str, Moved]:
    """{series: both}, of those that were spoken of recently."""
    return {name: Moved(*sums, *before.get(name, (0, 0))) for name, sums in sorted(recent.items())}


def median_of(of: Of, found: Mapping[str, Moved]) -> Peers | None:
    """The median share of those that were spoken of enough, now and before; None where they are too few.

    >>> median_of("sector", {name: Moved(n, 10, 2, 20) for n, name in enumerate("abc", start=1)})
    Peers(of='sector', measured=3, before_ppm=100000, now_ppm=200000)
    """
    moved = [m for m in found.values() if m.stories >= STORIES_MIN and m.stories_before >= STORIES_BEFORE_MIN]
    if len(moved) < PEERS_MIN:
        return None
    now, before = (sorted(shares)[len(moved) // 2] for shares in ([m.now_ppm for m in moved], [m.before_ppm for m in moved]))
    return Peers(of, len(moved), before, now)
