"""When each source may be asked, and each host: moments and answers in, decisions out. No clock, no network, no disk.

One heap holds when each source is due, so that a look costs nothing while nothing is due, with four sources or four thousand.
A host is what a name in the name service stands for: whatever is asked of it, robots.txt, feeds, followed pages and redirects
from elsewhere, is one request at a time, a second apart or as far as its crawl delay says, and nothing at all while it has asked
for rest (429 or 503 with Retry-After; 429 alone: a quarter of an hour).
"""

import heapq
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import msgspec

from ingest.catalogue import Source
from ingest.polite import CRAWL_DELAY_S_MAX, SHORTEST_MS, Robots, SourceState, retry_after_ms

__all__ = ["HOST_GAP_MS", "Rest", "Timetable", "host_of", "origin_of"]

POLLS_AT_ONCE: Final = 16
HOST_GAP_MS: Final = 1_000  # from one request to a host to the next, where its robots.txt asks for no more
AHEAD_MS: Final = round(2_000 * CRAWL_DELAY_S_MAX)
HOSTS_MAX: Final = 1_000  # robots.txt files, and moments of hosts, that are remembered; redirects may lead anywhere


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """A host has asked for rest; kept on disk until it is over."""

    until_ms: int
    why: str


@lru_cache(maxsize=4 * HOSTS_MAX)  # a third of the time of a week in the simulation went into taking the same addresses apart
def host_of(url: str) -> str:
    """Whose patience a request costs: the host's name, however it is written.

    >>> host_of("https://user@News.Example.:8443/rss"), host_of("http://news.example/robots.txt")
    ('news.example', 'news.example')
    """
    return (urlsplit(url).hostname or "").rstrip(".")


def origin_of(url: str) -> str:
    """Scheme, host and port: what a robots.txt belongs to.

    >>> origin_of("https://user@News.Example:8443/rss")
    'https://news.example:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


class Timetable:
    """What may be asked at a moment.

    Args:
        sources: the catalogue.
        states: what is remembered of each source, by name.
        rests: hosts that have asked for rest.
        polls_at_once: how many sources may be asked at the same time.
        gap_ms: the least from one request to a host to the next.

    >>> feed = Source(name="s", owner="o", url="https://news.example/rss")
    >>> timetable = Timetable([feed], {"s": SourceState(url=feed.url, next_ms=100)})
    >>> timetable.next_ms(), timetable.take(99), timetable.take(100) is feed, timetable.take(100)
    (100, None, True, None)
    """

    def __init__(
        self,
        sources: Sequence[Source],
        states: Mapping[str, SourceState],
        *,
        rests: Mapping[str, Rest] | None = None,
        polls_at_once: int = POLLS_AT_ONCE,
        gap_ms: int = HOST_GAP_MS,
    ) -> None:
        self._polls_at_once, self._gap_ms = polls_at_once, gap_ms
        self._sources = {source.name: source for source in sources}
        self._states = {name: states[name] for name in self._sources}
        self._rests = dict(rests or {})
        self._robots: dict[str, Robots] = {}
        self._free_ms: dict[str, int] = {}  # when a host may be asked again
        self._running: dict[str, str] = {}  # {source: host} of the polls under way
        self._busy: dict[str, list[str]] = {}  # {host: sources that wait until its poll has ended}
        self._heap: list[tuple[int, int, str]] = []  # (when to look, when it was due, source)
        for name in self._sources:
            self._put(name)

    # --- sources ------------------------------------------------------------------------------------------------------
    def state(self, source: Source) -> SourceState:
        """What is remembered of a source."""
        return self._states[source.name]

    def due(self, now_ms: int) -> list[Source]:
        """Every source whose time has come, the longest overdue first; of a host that rests, and of one that is gone for good, none."""
        waiting = [(self._due_ms(name), name) for name in self._sources if name not in self._running]
        return [self._sources[name] for due_ms, name in sorted(waiting) if due_ms is not None and due_ms <= now_ms]

    def _due_ms(self, name: str) -> int | None:
        state = self._states[name]
        if state.disabled is not None:
            return None
        rest = self._rests.get(host_of(state.address))
        return max(state.next_ms, rest.until_ms) if rest else state.next_ms

    def _put(self, name: str) -> None:
        due_ms = self._due_ms(name)
        if due_ms is not None:
            heapq.heappush(self._heap, (due_ms, due_ms, name))

    def next_ms(self) -> int | None:
        """When to look again; None: only after a poll under way has ended."""
        return self._heap[0][0] if self._heap and len(self._running) < self._polls_at_once else None

    def take(self, now_ms: int) -> Source | None:
        """The source to ask now, which is under way until `finish`; None: none may be asked at this moment."""
        while self._heap and len(self._running) < self._polls_at_once and self._heap[0][0] <= now_ms:
            _, due_ms, name = heapq.heappop(self._heap)
            host = host_of(self._states[name].address)
            rest = self._rests.get(host)
            free_ms = max(self._free(host, now_ms), rest.until_ms if rest else 0)
            if host in self._busy:
                self._busy[host].append(name)
            elif free_ms > now_ms:
                heapq.heappush(self._heap, (free_ms, due_ms, name))
            else:
                self._running[name] = host
                self._busy[host] = []
                return self._sources[name]
        return None

    def finish(self, source: Source, state: SourceState) -> None:
        """A poll has ended, taken or not; what is remembered of the source now says when it is due again."""
        self._states[source.name] = state
        host = self._running.pop(source.name, None)
        if host is None:  # asked out of turn: its old place goes
            self._heap = [place for place in self._heap if place[2] != source.name]
            heapq.heapify(self._heap)
            self._busy = {busy: [name for name in names if name != source.name] for busy, names in self._busy.items()}
        for name in (source.name, *(self._busy.pop(host, ()) if host is not None else ())):
            self._put(name)

    # --- hosts --------------------------------------------------------------------------------------------------------
    def robots(self, url: str, now_ms: int) -> Robots | None:
        """The robots.txt that holds for an address; None: it has to be fetched first."""
        found = self._robots.get(origin_of(url))
        return found if found is not None and found.until_ms > now_ms else None

    def learn_robots(self, url: str, robots: Robots) -> None:
        """What the robots.txt of an address says."""
        if len(self._robots) >= HOSTS_MAX:
            self._robots.clear()
        self._robots[origin_of(url)] = robots

    def wait_ms(self, url: str, now_ms: int) -> int:
        """How long a request has to wait for its host; it counts as made then, so ask once for each request."""
        host = host_of(url)
        begins_ms = max(self._free(host, now_ms), now_ms)
        if len(self._free_ms) >= HOSTS_MAX:
            self._free_ms = {name: free_ms for name, free_ms in self._free_ms.items() if free_ms > now_ms}
        robots = self._robots.get(origin_of(url))
        self._free_ms[host] = begins_ms + max(self._gap_ms, round(robots.delay_s * 1_000) if robots else 0)
        return begins_ms - now_ms

    def _free(self, host: str, now_ms: int) -> int:
        """When a host may be asked again; what lies further ahead than any delay was written before the clock was set back."""
        return min(self._free_ms.get(host, 0), now_ms + AHEAD_MS)

    def rest(self, url: str, now_ms: int) -> str | None:
        """Why the host of an address may not be asked at this moment, None where it may."""
        rest = self._rests.get(host_of(url))
        if rest is None or rest.until_ms <= now_ms:
            return None
        until = datetime.fromtimestamp(rest.until_ms / 1_000, UTC)
        return f"{host_of(url)} asked for rest until {until:%Y-%m-%d %H:%M:%S}Z ({rest.why})"

    def answered(self, url: str, status: int, *, headers: Mapping[str, str], now_ms: int) -> Rest | None:
        """A host has answered.

        Args:
            url: what was asked.
            status: HTTP.
            headers: of the answer, names in lower case.
            now_ms: when it came.

        Returns:
            The rest that it asks for, to be kept over a restart; None where it asks for none, or for less than it did before.
        """
        if status not in (429, 503):
            return None
        told_ms = retry_after_ms(headers.get("retry-after"), now_ms)
        wait_ms = SHORTEST_MS if told_ms is None and status == 429 else told_ms
        host = host_of(url)
        before = self._rests.get(host)
        if not wait_ms or (before is not None and before.until_ms >= now_ms + wait_ms):
            return None
        self._rests[host] = Rest(until_ms=now_ms + wait_ms, why=f"HTTP {status}{'' if told_ms is None else ', Retry-After'}")
        return self._rests[host]
