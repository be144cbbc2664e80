"""Canaries: documents of the crawler's own, so that each hour the whole way is proven, whatever publishers do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from groundswell.names import CANARY_SOURCE
from groundswell.records import RawDocument

__all__ = ["Canaries"]


@dataclass
class Canaries:
    """When the next one is due, and what it says. Several crawlers send the same: the second is a duplicate.

    Args:
        every_ms: one at each multiple of this; 0: none.

    >>> canaries = Canaries(3_600_000)
    >>> [canaries.due(now_ms) for now_ms in (1_000, 3_599_000)], canaries.due(3_601_000)[0].title
    ([[], []], 'Canary of 1970-01-01 01:00 UTC')
    """

    every_ms: int
    _last: int | None = field(default=None, init=False)

    def due(self, now_ms: int) -> list[RawDocument]:
        """What is due since the last call: at most one, and none at the first."""
        if not self.every_ms:
            return []
        number, last = now_ms // self.every_ms, self._last
        if last is not None and number <= last:
            return []
        self._last = number
        if last is None:
            return []
        due_ms = number * self.every_ms
        moment = f"{datetime.fromtimestamp(due_ms / 1_000, tz=UTC):%Y-%m-%d %H:%M} UTC"
        document = RawDocument(
            source=CANARY_SOURCE,
            id=f"canary {moment}",
            title=f"Canary of {moment}",
            text=f"This text was written by the crawler at {moment}. It shows that the whole way works, and says nothing of anybody.",
            language="en",
            owner=CANARY_SOURCE,
            published_ms=due_ms,
            fetched_ms=now_ms,
        )
        return [document]
