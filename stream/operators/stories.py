"""Stories: near-duplicate leader clustering within one series.

A document joins the live leader that it resembles most, or founds a story of its own; stories never merge, so a
story's name (its leader's document id) is final at once and does not depend on what comes later.
Method: MinHash (Broder 1997, "On the resemblance and containment of documents") over character shingles; library: rensa.
"""

import re
from dataclasses import dataclass, field
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
LEADERS_MAX: Final = 1_000

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
    """The live leaders of one series: at most LEADERS_MAX, none older than LEADER_LIFE_MS in known time."""

    stories: list[Story] = field(default_factory=list)
    similarity_min: float = SIMILARITY_MIN
    _words: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        self._words = np.zeros((8, DIGEST_WORDS), dtype="<u4")
        known, self.stories = self.stories, []
        for story in known:
            self._append(story)

    def assign(self, contribution: Contribution, *, tick: int) -> tuple[str, Story | None]:
        """The story that a document belongs to, and the story itself where the document founds it.

        Contributions come in the order (known_ms, document_id). The earliest of equally similar leaders wins.

        Raises:
            RecordError: a digest of another length than this release compares.
        """
        self._retire(contribution.known_ms)
        words = np.frombuffer(check_digest(contribution.digest), dtype="<u4")
        count = len(self.stories)
        if count:
            same = _equal_words(self._words[:count], words)
            best = int(same.argmax())
            if same[best] >= self.similarity_min * DIGEST_WORDS:
                return self.stories[best].story, None
        story = Story(
            series=contribution.series,
            story=contribution.document_id,
            founded_ms=contribution.known_ms,
            tick=tick,
            digest=contribution.digest,
        )
        self._append(story)
        return story.story, story

    def _append(self, story: Story) -> None:
        count = len(self.stories)
        if count == len(self._words):
            self._words = np.concatenate([self._words, np.zeros_like(self._words)])
        self._words[count] = np.frombuffer(story.digest, dtype="<u4")
        self.stories.append(story)

    def _retire(self, known_ms: int) -> None:
        """Forget leaders that are too old or too many; a batch at a time, so that the array moves seldom."""
        too_old = known_ms - LEADER_LIFE_MS
        if not self.stories or (self.stories[0].founded_ms >= too_old and len(self.stories) < LEADERS_MAX):
            return  # as for nearly every document
        old = 0
        while old < len(self.stories) and self.stories[old].founded_ms < too_old:
            old += 1
        old = max(old, len(self.stories) - LEADERS_MAX + 1)
        if old > 0:
            del self.stories[:old]
            self._words[: len(self.stories)] = self._words[old : old + len(self.stories)].copy()


def _equal_words(leaders: NDArray[np.uint32], words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """How many words of each leader's digest are equal: eight comparisons to a byte, whose bits are counted."""
    packed: NDArray[np.uint64] = np.packbits(leaders == words, axis=1).view(np.uint64)
    return np.bitwise_count(packed)[:, 0]
