"""Lead: how far a raw partition may run ahead of what is folded, so that fold never holds more than is allowed.

                 folded
raw partition 0  ---|======================>    lead: sent, and held by fold until its tick has closed everywhere
raw partition 1  ---|=========>
raw partition 2  ---|->                         fold waits for this one: it may always go on, so nothing can lock up
                    |--------------------------> known time
"""

from collections import deque
from dataclasses import dataclass, field

from stream.operators.admit import BEGINNING_MS, tick_of


@dataclass
class Lead:
    """What one raw partition has sent and fold may still hold, counted by whole ticks.

    Args:
        records_max: contributions.
        bytes_max: of what was sent, encoded.
    """

    records_max: int
    bytes_max: int
    records: int = 0
    size_bytes: int = 0
    folded_tick: int = tick_of(BEGINNING_MS)  # every tick before this one is folded
    _sent: deque[tuple[int, int, int]] = field(default_factory=deque)  # (tick, records, bytes), ticks ascend

    def send(self, time_ms: int, *, records: int, size_bytes: int) -> None:
        """Something known before or at a time goes to fold; times never fall."""
        tick = tick_of(time_ms)
        self.records += records
        self.size_bytes += size_bytes
        if self._sent and self._sent[-1][0] == tick:
            _, before, before_bytes = self._sent.pop()
            records, size_bytes = records + before, size_bytes + before_bytes
        self._sent.append((tick, records, size_bytes))

    def fold(self, folded_ms: int) -> None:
        """Every tick before a time is folded: fold holds nothing of them any more."""
        self.folded_tick = max(self.folded_tick, tick_of(folded_ms))
        while self._sent and self._sent[0][0] < self.folded_tick:
            _, records, size_bytes = self._sent.popleft()
            self.records -= records
            self.size_bytes -= size_bytes

    @property
    def is_full(self) -> bool:
        """Whether so much is ahead that the partition has to wait."""
        return self.records >= self.records_max or self.size_bytes >= self.bytes_max

    def may_go_on(self, time_ms: int) -> bool:
        """Whether the partition may send more: it has room, or its own time is what fold waits for.

        >>> lead = Lead(records_max=2, bytes_max=1_000)
        >>> lead.send(60_000, records=2, size_bytes=90)
        >>> lead.may_go_on(60_000)
        False
        >>> lead.fold(60_000)
        >>> lead.may_go_on(60_000)
        True
        """
        return not self.is_full or tick_of(time_ms) <= self.folded_tick
