"""Stories: near-duplicate leader clustering within one series.

A document joins the live leader that it resembles most, or founds a story of its own; stories never merge, so a
story's name (its leader's document id) is final at once and does not depend on what comes later.
Method: MinHash (Broder 1997, "On the resemblance and containment of documents") over character shingles; library: rensa.
"""

import re
from array import array
from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from groundswell.codec import check_digest
from groundswell.names import DAY_MS, DIGEST_WORDS
from groundswell.records import Contribution, Story

DIGEST_SEED: Final = 42
DIGEST_CHARACTERS: Final = 400
SIMILARITY_MIN: Final = 0.5
LEADER_LIFE_MS: Final = 3 * DAY_MS
LEADERS_MAX: Final = 20_000
"""A day of a series with a new story every four seconds. A series with more forgets its oldest, and copies of those count as stories."""

FORGOTTEN_MIN: Final = 32
"""As many forgotten leaders of a series are worth a move."""

LEADER_BYTES: Final = 4 * DIGEST_WORDS + 4 * 8
"""Of one leader's columns: digest, two bits of each of its words, known time and tick. Its name is the one that windows keep."""

_LOWEST: Final = np.array([[1], [2]], dtype="<u4")
_CARRIER = re.compile(r"^(?:\W*\brt\b\W*@\w+:?\s*)+|https?://\S*|(?<!\w)@\w+|[^\w$]+", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u9fff]")


def shingles(text: str) -> list[str]:
    """Overlapping pieces of the text without what carries it (retweet heads, handles, addresses, punctuation).

    Four characters for Latin text, two for Chinese.

    >>> shingles("RT @a: Bank A fails https://t.co/x") == shingles("bank a FAILS!")
    True
    """
    plain = _CARRIER.sub(" ", text[:DIGEST_CHARACTERS]).casefold()
    if len(_HAN.findall(plain)) * 5 >= len(plain):
        plain, size = plain.replace(" ", ""), 2
    else:
        plain, size = " ".join(plain.split()), 4
    return [plain[i : i + size] for i in range(max(1, len(plain) - size + 1))]


def digest(text: str) -> bytes:
    """MinHash digest of a text: names.DIGEST_WORDS little-endian 32-bit words."""
    sketch = RMinHash(num_perm=DIGEST_WORDS, seed=DIGEST_SEED)
    sketch.update(shingles(text))
    return np.asarray(sketch.digest(), dtype="<u4").tobytes()


class Leaders:
    """The live leaders of one series: at most LEADERS_MAX, none older than LEADER_LIFE_MS in known time.

    A document is compared with every one of them, by the two lowest bits of each word of the digests: equal words have equal bits, so no
    leader that is alike enough is missed, and of others fewer than one in a thousand passes. Those are compared by their words.
    Columns instead of records: a leader takes LEADER_BYTES, whatever else Python would keep for it.

    Args:
        known: leaders to begin with, oldest first, all of one series.
        similarity_min: the share of equal words that makes a document a copy.
    """

    def __init__(self, known: Sequence[Story] = (), similarity_min: float = SIMILARITY_MIN) -> None:
        self.similarity_min = similarity_min
        self._series = known[0].series if known else ""
        self._names: list[str] = []
        self._times: array[int] = array("q")  # known time and tick of each
        self.crowded_out = 0  # leaders that went because there were too many: copies of theirs found stories of their own
        self._first = 0  # what stands before it is forgotten, and moved away now and then
        self._words, self._low, self._high = _columns(max(8, len(known)))
        words = _words(b"".join([story.digest for story in known]))
        for story, *columns in zip(known, words, *_bits(words), strict=True):
            self._append(story, *columns)

    def __len__(self) -> int:
        return len(self._names) - self._first

    @property
    def forgotten(self) -> int:
        """Leaders that went and take room until they are moved away."""
        return self._first

    @property
    def stories(self) -> list[Story]:
        """The live leaders, oldest first."""
        return [
            Story(
                series=self._series,
                story=self._names[place],
                founded_ms=self._times[2 * place],
                tick=self._times[2 * place + 1],
                digest=self._words[place].tobytes(),
            )
            for place in range(self._first, len(self._names))
        ]

    def assign(self, contribution: Contribution, *, tick: int) -> tuple[str, Story | None]:
        """The story of one document; see `assign_all`."""
        return self.assign_all([contribution], tick=tick)[0]

    def assign_all(self, contributions: Sequence[Contribution], *, tick: int) -> list[tuple[str, Story | None]]:
        """The story that each document of a tick belongs to, and the story itself where the document founds it.

        Contributions come in the order (known_ms, document_id). The earliest of equally similar leaders wins.

        Raises:
            RecordError: a digest of another length than this release compares.
        """
        words = _words(b"".join([check_digest(contribution.digest) for contribution in contributions]))
        given = zip(contributions, words, *_bits(words), strict=True)
        return [self._assign(contribution, words, low, high, tick=tick) for contribution, words, low, high in given]

    def _assign(
        self, contribution: Contribution, words: NDArray[np.uint32], low: np.uint64, high: np.uint64, *, tick: int
    ) -> tuple[str, Story | None]:
        self._retire(contribution.known_ms)
        leader = self._most_alike(words, low, high)
        if leader is not None:
            return leader, None
        story = Story(
            series=contribution.series,
            story=contribution.document_id,
            founded_ms=contribution.known_ms,
            tick=tick,
            digest=contribution.digest,
        )
        self._append(story, words, low, high)
        return story.story, story

    def _most_alike(self, words: NDArray[np.uint32], low: np.uint64, high: np.uint64) -> str | None:
        first, end = self._first, len(self._names)
        unlike = np.bitwise_count((self._low[first:end] ^ low) | (self._high[first:end] ^ high))
        (places,) = (unlike <= DIGEST_WORDS - ceil(self.similarity_min * DIGEST_WORDS)).nonzero()
        if not len(places):
            return None
        same = (self._words[first + places] == words).sum(axis=1)
        best = int(same.argmax())  # the first of equals
        return self._names[first + int(places[best])] if same[best] >= self.similarity_min * DIGEST_WORDS else None

    def _append(self, story: Story, words: NDArray[np.uint32], low: np.uint64, high: np.uint64) -> None:
        count = len(self._names)
        if count == len(self._low):
            before = self._words, self._low, self._high
            self._words, self._low, self._high = _columns(2 * count)
            self._words[:count], self._low[:count], self._high[:count] = before
        self._words[count], self._low[count], self._high[count] = words, low, high
        self._names.append(story.story)
        self._times.extend((story.founded_ms, story.tick))
        self._series = story.series

    def _retire(self, known_ms: int) -> None:
        """Forget leaders that are too old or too many; what is forgotten is moved away when it is about an eighth of all."""
        too_old, count, first = known_ms - LEADER_LIFE_MS, len(self._names), self._first
        while first < count and self._times[2 * first] < too_old:
            first += 1
        too_many = max(0, count - first - LEADERS_MAX + 1)
        self.crowded_out += too_many
        first += too_many
        self._first = first
        if 8 * first > count + 8 * FORGOTTEN_MIN:
            self._words[: count - first] = self._words[first:count].copy()
            for column in (self._low, self._high):
                column[: count - first] = column[first:count].copy()
            del self._names[:first], self._times[: 2 * first]
            self._first = 0


def _columns(size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint64], NDArray[np.uint64]]:
    """Words, and two bits of each, of so many leaders; pages that nothing was written to take no memory."""
    return np.zeros((size, DIGEST_WORDS), dtype="<u4"), np.zeros(size, dtype="<u8"), np.zeros(size, dtype="<u8")


def _words(digests: bytes) -> NDArray[np.uint32]:
    """The words of some digests, one row for each."""
    return np.frombuffer(digests, dtype="<u4").reshape(-1, DIGEST_WORDS)


def _bits(words: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Of each row the lowest bit of each word, and the one above it, as two numbers."""
    packed = np.packbits(words[:, np.newaxis] & _LOWEST != 0, axis=2).view("<u8")
    return packed[:, 0, 0], packed[:, 1, 0]
