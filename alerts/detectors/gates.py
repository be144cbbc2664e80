"""Gates: the conditions that stand between a count and a candidate, each with its numbers, in the order in which they are asked.

A detector asks them one by one and stops at the first that does not hold; `groundswell why-not` asks all and prints them.
"""

from typing import NamedTuple


class Gate(NamedTuple):
    """One condition."""

    name: str  # "stories", "forming", "repeat", "blind", "improbable", "corroboration", "opens", "news", ...: docs/alerts.md lists them
    holds: bool
    said: str  # the numbers: what there was, and what it takes
