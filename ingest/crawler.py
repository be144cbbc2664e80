"""The crawler: polls sources when they are due and hands what is new to a sink. How one poll goes is in `ingest/poll.py`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec

from groundswell.clock import Clock
from groundswell.errors import DependencyError, reason_of
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.records import Heartbeat
from ingest.canary import Canaries
from ingest.catalogue import Source
from ingest.fetch import Fetched, Fetcher, RefusedError, RestingError, place_of
from ingest.memory import Memory
from ingest.parsers import OffLoop
from ingest.polite import ROBOTS_BYTES_MAX, SHORTEST_MS, Robots
from ingest.poll import Get, Poll, ask
from ingest.sink import Sink
from ingest.timetable import HOST_GAP_MS, POLLS_AT_ONCE, Timetable, host_of, origin_of

__all__ = ["Crawler"]

TICK_MS: Final = 2_000  # how often the sink may say that time goes on
LOOK_AROUND_S: Final = 0.5  # the longest between two looks at the clock, which may be set
REQUESTS_PER_POLL_MAX: Final = 60  # addresses that one poll of one source may ask for: its own and those that it follows

log = logger(__name__)


class Crawler:
    """Polls sources, each when it is due, a few at a time and one request at a time per host (`ingest/timetable.py`).

    Args:
        sources: the catalogue.
        sink: where records go.
        memory: what was seen, and when each source is due.
        fetcher: the HTTP client.
        clock: fills `fetched_ms` and says what is due.
        metrics: instruments of this process.
        canaries: what is sent to prove the way.
        sleep: how a host's turn is waited for.
        host_gap_ms: the least from one request to a host to the next.
        off_loop: where answers are read.
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
        host_gap_ms: int = HOST_GAP_MS,
        off_loop: OffLoop = asyncio.to_thread,
    ) -> None:
        self._sink, self._memory, self._fetcher, self._clock = sink, memory, fetcher, clock
        self._metrics, self._sleep, self._off_loop, self._canaries = metrics, sleep, off_loop, canaries or Canaries(0)
        states = {source.name: memory.state(source) for source in sources}
        self._timetable = Timetable(sources, states, rests=memory.rests(now_ms=clock.now_ms()), gap_ms=host_gap_ms)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # of hosts, and of origins' robots.txt
        self._sink_lock = asyncio.Lock()
        self._ticked_ms = 0

    # --- driving ------------------------------------------------------------------------------------------------------
    def due(self) -> list[Source]:
        """Sources whose time has come, the longest overdue first."""
        return self._timetable.due(self._clock.now_ms())

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
        running: dict[asyncio.Task[Heartbeat], Source] = {}
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                while (source := self._timetable.take(self._clock.now_ms())) is not None:
                    running[asyncio.create_task(self.poll(source), name=source.name)] = source
                await self._tick()
                await asyncio.wait({stopping, *running}, timeout=self._nap_s(), return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in running if task.done()]:
                    self._report(running.pop(task).name, task)
        finally:
            stopping.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(stopping, *running, return_exceptions=True)

    def _nap_s(self) -> float:
        next_ms = self._timetable.next_ms()
        return LOOK_AROUND_S if next_ms is None else min(LOOK_AROUND_S, max(next_ms - self._clock.now_ms(), 0) / 1_000)

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
        state = self._timetable.state(source)
        try:
            get = self.getter(source)
            poll = await ask(source, state, get=get, memory=self._memory, clock=self._clock, off_loop=self._off_loop)
            await self.hand_over(source, poll)
        except DependencyError:
            # The validators stay the old ones, so that the same items are in the next answer.
            self._timetable.finish(source, msgspec.structs.replace(state, next_ms=self._clock.now_ms() + SHORTEST_MS))
            raise
        self._timetable.finish(source, poll.state)
        if self._metrics is not None:
            self._metrics.observe_poll(poll.result, fetched=poll.heartbeat.fetched, new=poll.heartbeat.new)
        beat, wait_s = poll.heartbeat, (poll.state.next_ms - poll.heartbeat.fetched_ms) // 1_000
        say = log.info if beat.ok else log.warning
        say("polled", source=source.name, result=poll.result, fetched=beat.fetched, new=beat.new, reason=beat.reason, next_in_s=wait_s)
        return beat

    async def hand_over(self, source: Source, poll: Poll) -> None:
        """Give a poll's records to the sink, and remember it.

        Raises:
            DependencyError: the sink or the memory refuses; nothing may be taken for delivered.
        """
        async with self._sink_lock:
            # What the catalogue says of the text goes with each record, whatever type of source made it.
            documents = [msgspec.structs.replace(document, store_text=source.may_store_text) for document in poll.documents]
            await asyncio.to_thread(self._sink.put, [*documents, poll.heartbeat])
        # After the sink has them: a crash in between gives duplicates, never a loss.
        now_ms = poll.heartbeat.fetched_ms
        self._memory.keep(source, poll.state, items=poll.items, now_ms=now_ms, waiting=poll.waiting, mark=poll.mark)
        await asyncio.to_thread(poll.done)

    def getter(self, source: Source) -> Get:
        """How one poll of a source asks: with robots.txt, turns, rests and a budget.

        `allow_private` is the word for the host and port of the source's own address, and for no other.
        """
        left = REQUESTS_PER_POLL_MAX

        async def get(url: str, headers: Mapping[str, str]) -> Fetched:
            nonlocal left
            if left == 0:
                reason = f"more than {REQUESTS_PER_POLL_MAX} requests in one poll"
                return Fetched(status=0, url=url, reason=reason, refused=True, resting=True)
            left -= 1

            async def permit(here: str) -> None:
                await self._permit(here, allow_private=_may_be_inside(source, here))

            return await self._fetch(url, permit=permit, headers=headers, allow_private=_may_be_inside(source, url))

        return get

    async def _fetch(self, url: str, *, permit: Callable[[str], Awaitable[None]], **options: Any) -> Fetched:
        found = await self._fetcher.get(url, permit=permit, turn=self._turn, **options)
        rest = self._timetable.answered(found.url, found.status, headers=found.headers, now_ms=self._clock.now_ms())
        if rest is not None:
            self._memory.keep_rest(host_of(found.url), rest)
        return found

    @asynccontextmanager
    async def _turn(self, url: str) -> AsyncIterator[None]:
        """Have a host to oneself, not before it may be asked again."""
        async with self._lock(host_of(url)):
            now_ms = self._clock.now_ms()
            if (reason := self._timetable.rest(url, now_ms)) is not None:
                raise RestingError(reason)
            wait_ms = self._timetable.wait_ms(url, now_ms)
            if wait_ms > 0:
                await self._sleep(wait_ms / 1_000)
            yield

    def _lock(self, name: str) -> asyncio.Lock:
        """Lives as long as somebody holds it or waits for it: redirects may name any number of hosts."""
        return self._locks.setdefault(name, asyncio.Lock())

    # --- robots.txt ---------------------------------------------------------------------------------------------------
    async def _permit(self, url: str, *, allow_private: bool) -> None:
        async with self._lock(origin_of(url)):  # whoever comes second finds what the first has fetched
            robots = self._timetable.robots(url, self._clock.now_ms())
            if robots is None:
                robots = await self._fetch_robots(origin_of(url), allow_private=allow_private)
                self._timetable.learn_robots(url, robots)
        if not robots.allows(url):
            raise RefusedError(robots.reason)

    async def _fetch_robots(self, origin: str, *, allow_private: bool) -> Robots:
        async def anything(_: str) -> None:
            return None

        url = f"{origin}/robots.txt"
        found = await self._fetch(url, permit=anything, allow_private=allow_private, bytes_max=ROBOTS_BYTES_MAX, truncate=True)
        if found.refused:  # the address, not the publisher, forbids it: say that
            raise RefusedError(found.reason or "refused")
        return Robots.of(found.status, found.body, now_ms=self._clock.now_ms())


def _may_be_inside(source: Source, url: str) -> bool:
    return source.allow_private and place_of(url) == place_of(source.url)
