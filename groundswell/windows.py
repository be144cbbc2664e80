"""Windows: integer counts that merge. Written by stream/operators/windows.py, merged by everybody who reads.

    known time  ->   tick 7      tick 8      tick 9
    pane 10:00        [2]          [1]                     a row is written once and never updated;
    pane 10:05                     [3]         [1]         window 10:00-10:10 as of tick 8 = merge of 2, 1, 3

`absorb` is associative and commutative on bytes: members are counted after the merge, so a story or an owner that
appears in two rows is one story, one owner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

COUNTS: Final = ("documents", "negative", "neutral", "positive", "negative_ppm", "fresh", "fresh_negative")
DOCUMENTS, NEGATIVE, NEUTRAL, POSITIVE, NEGATIVE_PPM, FRESH, FRESH_NEGATIVE = range(len(COUNTS))
Members = dict[str, dict[str, list[int]]]
"""{story: {owner: counts}}."""

TIER: Final = 5
"""Where the tier stands in a row of evidence (Increment.negatives), if it is there."""

Z_90: Final = 1.6448536269514722


def absorb(into: Members, members: Members) -> Members:
    """Merge `members` into `into`, which is returned; `members` stay as they are, and no list of theirs is shared.

    >>> a, b = {"s": {"o": [1, 1, 0, 0, 900_000, 1, 1]}}, {"s": {"o": [1, 0, 1, 0, 100_000, 1, 0]}}
    >>> absorb(a, b)
    {'s': {'o': [2, 1, 1, 0, 1000000, 2, 1]}}
    """
    for story, owners in members.items():
        mine = into.setdefault(story, {})
        for owner, counts in owners.items():
            have = mine.get(owner)
            mine[owner] = list(counts) if have is None else [a + b for a, b in zip(have, counts, strict=True)]
    return into


def tier_of(row: Sequence[str | int]) -> int:
    """The tier of a document of the evidence, if somebody stands behind it; 0: unknown.

    >>> tier_of(["d", "s", "o", 1, 900_000, 2]), tier_of(["d", "s", "o", 0, 900_000, 2]), tier_of(["d", "s", "o", 1, 900_000])
    (2, 0, 0)
    """
    return int(row[TIER]) if len(row) > TIER and row[3] else 0


def best_tier(rows: Iterable[Sequence[str | int]]) -> int:
    """The best tier of some evidence; 0: none is known.

    >>> best_tier([["d", "s", "o", 1, 0, 3], ["d", "s", "o", 1, 0, 2], ["d", "s", "o", 1, 0]])
    2
    """
    return min(filter(None, map(tier_of, rows)), default=0)


@dataclass(frozen=True)
class WindowView:
    """A window as people read it. Shares are taken once, here."""

    documents: int
    stories: int
    owners: int
    negative: int
    neutral: int
    positive: int
    negative_share: float | None  # of documents; None where there are none
    low: float | None  # 90 % interval of the share (Wilson 1927)
    high: float | None


def view(members: Members) -> WindowView:
    """Count after the merge.

    >>> view({"s": {"o": [2, 1, 1, 0, 0, 0, 0], "p": [1, 1, 0, 0, 0, 0, 0]}})  # doctest: +ELLIPSIS
    WindowView(documents=3, stories=1, owners=2, negative=2, neutral=1, positive=0, negative_share=0.666..., low=..., high=...)
    """
    totals = [sum(column) for column in zip(*(c for owners in members.values() for c in owners.values()), strict=True)] or [0] * len(COUNTS)
    documents, negative = totals[DOCUMENTS], totals[NEGATIVE]
    low, high = wilson(negative, documents) if documents else (None, None)
    return WindowView(
        documents=documents,
        stories=len(members),
        owners=len({owner for owners in members.values() for owner in owners}),
        negative=negative,
        neutral=totals[NEUTRAL],
        positive=totals[POSITIVE],
        negative_share=negative / documents if documents else None,
        low=low,
        high=high,
    )


def wilson(hits: int, trials: int, *, z: float = Z_90) -> tuple[float, float]:
    """Wilson's score interval for a share; `trials` is at least 1.

    >>> [round(x, 3) for x in wilson(5, 10)]
    [0.269, 0.731]
    """
    share = hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
