"""Texts that say nearly the same: for leaks between training and dev texts, and for folds that must not share a story.

Two texts are near duplicates when the Jaccard similarity of their shingles is at least SIMILARITY_MIN. Candidates come from
MinHash (Broder 1997, "On the resemblance and containment of documents"; library: rensa) with 21 bands of 3 words; every candidate
is then compared exactly, so what is reported is never an estimate. A pair at .6 is missed once in 166 times, at .7 once in 6,800.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

SIMILARITY_MIN: Final = 0.6
SHINGLE_CHARACTERS: Final = 2_000  # of a text: more would let a long report cost as much as a whole set of titles
ESTIMATE_MIN: Final = 0.4  # a pair whose sketches agree less is not looked at: three standard deviations below SIMILARITY_MIN
MATES_MAX: Final = 50  # candidates of one text in one band: a template that thousands share is a near duplicate of the first few too

_WORDS, _SEED, _BAND = 64, 42, 3
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_URL = re.compile(r"(?:https?://|www\.|\bpic\.twitter\.com/)[!-~]+", re.IGNORECASE)  # up to a space or a Chinese character
_WORD = re.compile(r"\w+")
_HAN = re.compile(r"[\u3400-\u9fff]")


class Near(NamedTuple):
    """A pair of near duplicates: their rows and their Jaccard similarity in [SIMILARITY_MIN, 1]."""

    left: int
    right: int
    similarity: float


def plain(text: str) -> str:
    """The text without what differs between copies of it: addresses, letter case, forms of characters, spaces.

    >>> plain("Ｂank A fails,&nbsp; https://t.co/x again") == plain("bank a FAILS, again https://t.co/y")
    True
    """
    return " ".join(_URL.sub(" ", unicodedata.normalize("NFKC", html.unescape(text))).casefold().split())


def shingles(text: str) -> frozenset[str]:
    """Pairs of neighbouring words, for Chinese three neighbouring characters (about two words), of a plain text.

    Longer texts than one shingle only; a shorter one is its own shingle. Punctuation does not count. None at all: no letters.

    >>> sorted(shingles("bank a fails!"))
    ['a fails', 'bank a']
    """
    words = _WORD.findall(text[:SHINGLE_CHARACTERS])
    joined = "".join(words)
    if len(_HAN.findall(joined)) * 5 >= len(joined):
        return frozenset(joined[i : i + 3] for i in range(max(1, len(joined) - 2))) - {""}
    return frozenset(" ".join(words[i : i + 2]) for i in range(max(1, len(words) - 1)))


def jaccard(left: str, right: str) -> float:
    """Shared shingles over all shingles of two plain texts, in [0, 1]; 0 where either has none.

    >>> jaccard("bank a fails again", "bank a fails once again")
    0.4
    """
    one, other = _cached_shingles(left), _cached_shingles(right)
    return len(one & other) / len(one | other) if one and other else 0.0


_cached_shingles = lru_cache(maxsize=4_096)(shingles)


def near_pairs(left: Sequence[str], right: Sequence[str] | None = None) -> Iterator[Near]:
    """Pairs of a text of `left` and one of `right` that are near duplicates, each once, in the order of `left`, then `right`.

    Args:
        left: plain texts (see plain).
        right: plain texts; None compares `left` with itself, each pair once, the later row being `left`.
    """
    if not left or (right is not None and not right):
        return
    ours = _sketches(left)
    texts, theirs = (left, ours) if right is None else (right, _sketches(right))
    for row, mates in enumerate(_candidates(ours, theirs)):
        for mate in mates:
            if right is None and mate >= row:
                break
            if (ours[row] == theirs[mate]).mean() >= ESTIMATE_MIN:
                similarity = jaccard(left[row], texts[mate])
                if similarity >= SIMILARITY_MIN:
                    yield Near(row, mate, similarity)


def groups(texts: Sequence[str]) -> list[int]:
    """For every text the first row that it is connected with by near duplicates, itself where there is none.

    >>> groups(["bank a fails again today", "oil is up", "Bank A fails again today!", "gold is down"])
    [0, 1, 0, 3]
    """
    rows = [plain(text) for text in texts]
    first = list(range(len(rows)))

    def leader(row: int) -> int:
        while first[row] != row:
            first[row] = first[first[row]]
            row = first[row]
        return row

    for pair in near_pairs(rows):
        one, other = sorted((leader(pair.left), leader(pair.right)))
        first[other] = one
    return [leader(row) for row in range(len(rows))]


def _sketches(texts: Sequence[str]) -> NDArray[np.uint32]:
    """MinHash digests [n, 64]. A text without shingles gets the digest of its own row: it is like no other."""
    sets = [list(shingles(text)) or [f"\x00{row}"] for row, text in enumerate(texts)]
    return np.asarray(RMinHash.digest_matrix_from_token_sets(sets, _WORDS, _SEED).to_rows(), dtype=np.uint32)


def _candidates(ours: NDArray[np.uint32], theirs: NDArray[np.uint32]) -> Iterator[list[int]]:
    """For every row of `ours` the rows of `theirs` that share a band with it, in order."""
    mates: list[set[int]] = [set() for _ in range(len(ours))]
    for band in range(_WORDS // _BAND):
        keys, sought = _band(theirs, band), _band(ours, band)
        order = np.argsort(keys, kind="stable")
        low = np.searchsorted(keys, sought, side="left", sorter=order)
        high = np.searchsorted(keys, sought, side="right", sorter=order)
        for row in np.flatnonzero(high > low):
            mates[row].update(order[low[row] : min(high[row], low[row] + MATES_MAX)].tolist())
    return (sorted(found) for found in mates)


def _band(sketches: NDArray[np.uint32], band: int) -> NDArray[np.uint64]:
    key = np.zeros(len(sketches), np.uint64)
    for word in range(band * _BAND, (band + 1) * _BAND):
        key = key * _SPREAD + sketches[:, word].astype(np.uint64)
    return key
