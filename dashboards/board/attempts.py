"""The bounds that make guessing a password slow, and keep a program from asking without end."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Final

MINUTE_MS: Final = 60_000
WITHIN_MS: Final = 15 * 60_000
KEYS_MAX: Final = 20_000
FAILURES_MAX: Final = {"pair": 5, "address": 30, "name": 60}
"""Wrong passwords within WITHIN_MS: of one name from one address; from one address; for one name from anywhere.

The last is the largest, so that a stranger cannot keep somebody out with a few guesses.
"""


class Attempts:
    """Wrong passwords of late, in memory and bounded. Safe for several threads.

    >>> attempts = Attempts(lambda: 0)
    >>> [attempts.failed("mei", "192.0.2.1") for _ in range(5)][-1], attempts.wait_s("mei", "192.0.2.1")
    (True, 900)
    >>> attempts.wait_s("mei", "192.0.2.2"), attempts.wait_s("li", "192.0.2.1")
    (0, 0)
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lock = threading.RLock()
        self._failures: OrderedDict[tuple[str, str], list[int]] = OrderedDict()

    def wait_s(self, name: str, address: str) -> int:
        """For how long nothing is checked for this name from this address, in seconds; 0: it is."""
        with self._lock:
            now_ms = self._now_ms()
            waits = [self._recent(key, now_ms)[-FAILURES_MAX[key[0]] :] for key in _keys(name, address)]
            full = [times[0] + WITHIN_MS - now_ms for times, key in zip(waits, _keys(name, address), strict=True) if _is_full(key, times)]
            return -(-max(full, default=0) // 1000)

    def begin(self, name: str, address: str) -> tuple[int, bool]:
        """Ask whether a password may be checked, and count it as wrong until it fits: many at once are no more than many in turn.

        Returns:
            For how long nothing is checked, in seconds (0: it is), and whether this is the last one for now.
        """
        with self._lock:
            wait_s = self.wait_s(name, address)
            return (wait_s, False) if wait_s else (0, self.failed(name, address))

    def failed(self, name: str, address: str) -> bool:
        """Remember a wrong password; returns whether it was the last one for now."""
        with self._lock:
            now_ms, locked = self._now_ms(), False
            for key in _keys(name, address):
                times = [*self._recent(key, now_ms), now_ms][-FAILURES_MAX[key[0]] :]
                self._failures[key] = times
                self._failures.move_to_end(key)
                locked |= _is_full(key, times)
            while len(self._failures) > KEYS_MAX:
                self._failures.popitem(last=False)
            return locked

    def succeeded(self, name: str, address: str) -> None:
        """Forget the wrong ones of this name from this address, and that `begin` took this one for wrong."""
        with self._lock:
            pair, *others = _keys(name, address)
            self._failures.pop(pair, None)
            for key in others:
                self._failures[key] = self._failures.get(key, [])[:-1]

    def _recent(self, key: tuple[str, str], now_ms: int) -> list[int]:
        return [ms for ms in self._failures.get(key, []) if now_ms - ms < WITHIN_MS]


class Pace:
    """How often something may be done in a minute, by key; in memory and bounded. Safe for several threads.

    >>> pace = Pace(lambda: 0, at_most=2)
    >>> [pace.wait_s("a") for _ in range(3)], pace.wait_s("b")
    ([0, 0, 60], 0)
    """

    def __init__(self, now_ms: Callable[[], int], *, at_most: int) -> None:
        self._now_ms, self._at_most = now_ms, at_most
        self._lock = threading.Lock()
        self._done: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_s(self, key: str) -> int:
        """Count one more; in how many seconds it may be done where it may not be now, else 0."""
        with self._lock:
            now_ms, times = self._now_ms(), self._done.setdefault(key, deque())
            self._done.move_to_end(key)
            while len(self._done) > KEYS_MAX:
                self._done.popitem(last=False)
            while times and now_ms - times[0] >= MINUTE_MS:
                times.popleft()
            if len(times) >= self._at_most:
                return -(-(times[0] + MINUTE_MS - now_ms) // 1000)
            times.append(now_ms)
            return 0


def _keys(name: str, address: str) -> tuple[tuple[str, str], ...]:
    network = network_of(address)
    return ("pair", f"{name} {network}"), ("address", network), ("name", name)


def _is_full(key: tuple[str, str], times: list[int]) -> bool:
    return len(times) >= FAILURES_MAX[key[0]]


def network_of(address: str) -> str:
    """Whoever has one IPv6 address has all of its /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network(f"{found}/64", strict=False)) if found.version == 6 else str(found)
