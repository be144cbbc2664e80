"""Stories: near-duplicate leader clustering within one series.

A document joins the live leader that it resembles most, or founds a story of its own; stories never merge, so a
story's name (its leader's document id) is final at once and does not depend on what comes later.
Method: MinHash (Broder 1997, "On the resemblance and containment of documents") over character shingles; library: rensa.
"""

import re
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
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


@dataclass
class Leaders:
    """The live leaders of one series: at most LEADERS_MAX, none older than LEADER_LIFE_MS in known time.

    A document is compared with every one of them, by a byte of each word of the digests: equal words have equal bytes, so no leader
    that is alike enough is missed; the few whose bytes say so are compared by their words.
    """

    known: InitVar[Sequence[Story]] = ()
    similarity_min: float = SIMILARITY_MIN
    _stories: list[Story] = field(init=False, default_factory=list)
    _first: int = field(init=False, default=0)  # what stands before it is forgotten, and moved away now and then
    _bytes: NDArray[np.uint8] = field(init=False)

    def __post_init__(self, known: Sequence[Story]) -> None:
        self._bytes = np.zeros((max(8, len(known)), DIGEST_WORDS), dtype=np.uint8)
        for story in known:
            self._append(story)

    @property
    def stories(self) -> list[Story]:
        """The live leaders, oldest first."""
        return self._stories[self._first :]

    def assign(self, contribution: Contribution, *, tick: int) -> tuple[str, Story | None]:
        """The story that a document belongs to, and the story itself where the document founds it.

        Contributions come in the order (known_ms, document_id). The earliest of equally similar leaders wins.

        Raises:
            RecordError: a digest of another length than this release compares.
        """
        self._retire(contribution.known_ms)
        leader = self._most_alike(_words(check_digest(contribution.digest)))
        if leader is not None:
            return leader.story, None
        story = Story(
            series=contribution.series,
            story=contribution.document_id,
            founded_ms=contribution.known_ms,
            tick=tick,
            digest=contribution.digest,
        )
        self._append(story)
        return story.story, story

    def _most_alike(self, words: NDArray[np.uint32]) -> Story | None:
        live = self._bytes[self._first : len(self._stories)]
        alike = np.flatnonzero(_equal(live, words.astype(np.uint8)) >= self.similarity_min * DIGEST_WORDS)
        if not len(alike):
            return None
        found = [self._stories[self._first + place] for place in alike.tolist()]
        same = [int(np.count_nonzero(_words(story.digest) == words)) for story in found]
        best = max(same)
        return found[same.index(best)] if best >= self.similarity_min * DIGEST_WORDS else None

    def _append(self, story: Story) -> None:
        count = len(self._stories)
        if count == len(self._bytes):
            self._bytes = np.concatenate([self._bytes, np.zeros_like(self._bytes)])
        self._bytes[count] = _words(story.digest).astype(np.uint8)
        self._stories.append(story)

    def _retire(self, known_ms: int) -> None:
        """Forget leaders that are too old or too many; what is forgotten is moved away when it is half of all."""
        too_old, count = known_ms - LEADER_LIFE_MS, len(self._stories)
        while self._first < count and (self._stories[self._first].founded_ms < too_old or count - self._first >= LEADERS_MAX):
            self._first += 1
        if self._first * 2 > count:
            del self._stories[: self._first]
            self._bytes[: count - self._first] = self._bytes[self._first : count].copy()
            self._first = 0


def _words(digest: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(digest, dtype="<u4")


def _equal(leaders: NDArray[np.uint8], words: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How many bytes of each leader's are equal: eight comparisons to a byte, whose bits are counted."""
    return np.bitwise_count(np.packbits((leaders == words).ravel()).view(np.uint64))
