"""The crawler: polls sources when they are due and hands what is new to a sink. How one poll goes is in `ingest/poll.py`."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from groundswell.clock import Clock
from groundswell.errors import DependencyError, reason_of
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.records import Heartbeat
from ingest.canary import Canaries
from ingest.catalogue import Source
from ingest.fetch import Fetched, Fetcher, RefusedError
from ingest.memory import Memory
from ingest.polite import ROBOTS_BYTES_MAX, SHORTEST_MS, Robots
from ingest.poll import Get, ask
from ingest.sink import Sink

__all__ = ["Crawler"]

POLLS_AT_ONCE: Final = 8
TICK_MS: Final = 2_000  # how often the sink may say that time goes on
LOOK_AROUND_S: Final = 0.5
ROBOTS_HOSTS_MAX: Final = 1_000

log = logger(__name__)


class Crawler:
    """Polls sources, each when it is due, a few at a time and one at a time per host.

    Args:
        sources: the catalogue.
        sink: where records go.
        memory: what was seen, and when each source is due.
        fetcher: the HTTP client.
        clock: fills `fetched_ms` and says what is due.
        metrics: instruments of this process.
        canaries: what is sent to prove the way.
        sleep: how a host's crawl delay is waited for.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        sink: Sink,
        memory: Memory,
        fetcher: Fetcher,
        clock: Clock,
        metrics: Metrics | None = None,
        canaries: Canaries | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.sources = list(sources)
        self._sink, self._memory, self._fetcher, self._clock = sink, memory, fetcher, clock
        self._metrics, self._sleep, self._canaries = metrics, sleep, canaries or Canaries(0)
        self._states = {source.name: memory.state(source) for source in sources}
        self._robots: dict[str, Robots] = {}
        self._hosts: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._free_ms: dict[str, int] = {}  # when a host with a crawl delay may be asked again
        self._sink_lock = asyncio.Lock()
        self._ticked_ms = 0

    # --- driving ------------------------------------------------------------------------------------------------------
    def due(self) -> list[Source]:
        """Sources whose time has come, the longest overdue first; one that is gone for good is never due."""
        now_ms = self._clock.now_ms()
        waiting = [(self._states[source.name], source) for source in self.sources]
        ready = [(state.next_ms, source) for state, source in waiting if state.disabled is None and state.next_ms <= now_ms]
        return [source for _, source in sorted(ready, key=lambda pair: pair[0])]

    async def poll_due(self) -> list[Heartbeat]:
        """Poll every source that is due, once, and hand over what is new.

        Raises:
            DependencyError: the sink or the memory refuses; what was not handed over is fetched again later.
        """
        gate = asyncio.Semaphore(POLLS_AT_ONCE)

        async def one(source: Source) -> Heartbeat:
            async with gate:
                return await self.poll(source)

        return list(await asyncio.gather(*(one(source) for source in self.due())))

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and tick until `stop` is set; a poll under way is then given up, and costs nothing but itself."""
        running: dict[str, asyncio.Task[Heartbeat]] = {}
        try:
            while not stop.is_set():
                for source in self.due():
                    if source.name not in running and len(running) < POLLS_AT_ONCE:
                        running[source.name] = asyncio.create_task(self.poll(source), name=source.name)
                await self._tick()
                for name, task in [(name, task) for name, task in running.items() if task.done()]:
                    del running[name]
                    self._report(name, task)
                try:
                    await asyncio.wait_for(stop.wait(), LOOK_AROUND_S)
                except TimeoutError:
                    continue
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _report(self, name: str, task: asyncio.Task[Heartbeat]) -> None:
        """Go on where the sink was away; anything unforeseen ends the crawler, whose supervisor starts it again."""
        error = task.exception()
        if isinstance(error, DependencyError):
            log.error("poll not handed over", source=name, reason=reason_of(error))
        elif error is not None:
            raise error

    async def _tick(self) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - self._ticked_ms < TICK_MS and now_ms >= self._ticked_ms:
            return
        self._ticked_ms = now_ms
        async with self._sink_lock:
            try:
                if canary := self._canaries.due(now_ms):
                    await asyncio.to_thread(self._sink.put, canary)
                waiting = await asyncio.to_thread(self._sink.tick)
            except DependencyError as error:
                log.warning("the sink is away", reason=reason_of(error))
                return
        if self._metrics is not None:
            self._metrics.observe_spool(waiting)

    # --- one source ---------------------------------------------------------------------------------------------------
    async def poll(self, source: Source) -> Heartbeat:
        """Ask one source now, whether due or not, and hand over what is new with a heartbeat.

        Raises:
            DependencyError: the sink or the memory refuses; the source is asked again in a quarter of an hour.
        """
        async with self._hosts[_host(source.url)]:
            state = self._states[source.name]
            poll = await ask(source, state, get=self._getter(source), memory=self._memory, clock=self._clock)
        try:
            async with self._sink_lock:
                await asyncio.to_thread(self._sink.put, [*poll.documents, poll.heartbeat])
            # After the sink has them: a crash in between gives duplicates, never a loss.
            self._memory.keep(source, poll.state, items=poll.items, now_ms=poll.heartbeat.fetched_ms)
        except DependencyError:
            # The validators stay the old ones, so that the same items are in the next answer.
            retry_ms = poll.heartbeat.fetched_ms + SHORTEST_MS
            self._states[source.name] = msgspec.structs.replace(self._states[source.name], next_ms=retry_ms)
            raise
        self._states[source.name] = poll.state
        if self._metrics is not None:
            self._metrics.observe_poll(poll.result, fetched=poll.heartbeat.fetched, new=poll.heartbeat.new)
        beat, wait_s = poll.heartbeat, (poll.state.next_ms - poll.heartbeat.fetched_ms) // 1_000
        say = log.info if beat.ok else log.warning
        say("polled", source=source.name, result=poll.result, fetched=beat.fetched, new=beat.new, reason=beat.reason, next_in_s=wait_s)
        return beat

    def _getter(self, source: Source) -> Get:
        async def permit(url: str) -> None:
            await self._permit(url, allow_private=source.allow_private)

        async def get(url: str, headers: Mapping[str, str]) -> Fetched:
            return await self._fetcher.get(url, permit=permit, headers=headers, allow_private=source.allow_private)

        return get

    # --- robots.txt ---------------------------------------------------------------------------------------------------
    async def _permit(self, url: str, *, allow_private: bool) -> None:
        host, now_ms = _host(url), self._clock.now_ms()
        robots = self._robots.get(host)
        if robots is None or robots.until_ms <= now_ms:
            robots = await self._fetch_robots(host, allow_private=allow_private)
            if len(self._robots) >= ROBOTS_HOSTS_MAX:
                self._robots.clear()
            self._robots[host] = robots
        if not robots.allows(url):
            raise RefusedError(robots.reason)
        if robots.delay_s > 0:
            free_ms = max(self._free_ms.get(host, 0), now_ms)
            self._free_ms[host] = free_ms + round(robots.delay_s * 1_000)
            if free_ms > now_ms:
                await self._sleep((free_ms - now_ms) / 1_000)

    async def _fetch_robots(self, host: str, *, allow_private: bool) -> Robots:
        async def anything(_: str) -> None:
            return None

        found = await self._fetcher.get(
            f"{host}/robots.txt", permit=anything, allow_private=allow_private, bytes_max=ROBOTS_BYTES_MAX, truncate=True
        )
        if found.refused:  # the address, not the publisher, forbids it: say that
            raise RefusedError(found.reason or "refused")
        return Robots.of(found.status, found.body, now_ms=self._clock.now_ms())


def _host(url: str) -> str:
    """Scheme, host and port: what robots.txt and a crawl delay belong to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
