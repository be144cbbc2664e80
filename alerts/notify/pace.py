"""How fast a channel may be spoken to: as many at once as it takes, then at its steady rate."""

from dataclasses import dataclass, field

from alerts.notify.base import Limits


@dataclass
class Pace:
    """The pace of one target; time comes in with each call.

    >>> pace = Pace(Limits(subject_chars=None, text_chars=1, messages_per_s=0.5, burst=2, threads=False))
    >>> [pace.take(now_ms=1_000) for _ in range(3)], pace.take(now_ms=3_000)
    ([True, True, False], True)
    """

    limits: Limits
    _left: float = field(default=0.0, init=False)
    _seen_ms: int | None = field(default=None, init=False)
    _rests_until_ms: int = field(default=0, init=False)

    def take(self, *, now_ms: int) -> bool:
        """Whether a message may go now; if so, it is counted. A clock that was set back costs nothing but time."""
        if now_ms < self._rests_until_ms:
            return False
        if self._seen_ms is None:
            self._left = float(self.limits.burst)
        else:
            gained = max(0, now_ms - self._seen_ms) / 1_000 * self.limits.messages_per_s
            self._left = min(float(self.limits.burst), self._left + gained)
        self._seen_ms = now_ms
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def rest(self, *, until_ms: int) -> None:
        """Say nothing before a moment: the channel has asked for it."""
        self._rests_until_ms = max(self._rests_until_ms, until_ms)
