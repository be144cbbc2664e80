"""What a document says, read off its title at no cost. The same lines score for this project and for what it is compared with.

No import but the standard library: the scripts beside it run without this project.
"""

from typing import NamedTuple

TOPICS = 14
WINDOW_MS = 300_000
NEGATIVE = "default"


class Said(NamedTuple):
    """A document's score: where it counts, and how negative it is."""

    topic: int  # 0 to TOPICS - 1
    entity: str
    is_negative: bool
    negative_ppm: int


def said(title: str) -> Said:
    """What a title of the form "c0123 words ..." says.

    >>> said("c0123 default of a ferry")
    Said(topic=11, entity='c0123', is_negative=True, negative_ppm=800024)
    """
    is_negative = NEGATIVE in title
    return Said(int(title[1:5]) % TOPICS, title[:5], is_negative, (800_000 if is_negative else 100_000) + len(title))


def series_of(score: Said) -> tuple[str, str]:
    """The two series that a document counts in."""
    return f"topic:{score.topic}:en", f"entity:{score.entity}"
