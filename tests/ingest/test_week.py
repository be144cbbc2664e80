"""A week of 400 sources in simulated time, through the real timetable and the real conditional requests, against model publishers.

What is checked is checked from the publishers' side: from what they were asked, and when.
"""

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import pairwise

from ingest.catalogue import Source
from ingest.polite import AGENT, Answer, Robots, SourceState, after, validators
from ingest.timetable import HOST_GAP_MS, Timetable, host_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_772_409_600_000  # Monday, 2 March 2026
END = START + 7 * DAY
STAYS_MS = 26 * HOUR  # how long an item stays in its feed, by its publisher's promise: longer than the longest pause
Ask = Callable[[SourceState, Answer, Source, int], SourceState]


@dataclass
class Request:
    """What a publisher saw."""

    at_ms: int
    source: str
    status: int
    unchanged: bool  # whether what it has is what it gave out last
    conditional: bool


@dataclass
class Host:
    """One publisher's machine: how it is, and what it was asked."""

    delay_s: int
    ill: list[tuple[int, int]]  # [from, until) in which it answers 500, or not at all
    rests: list[tuple[int, int]] = field(default_factory=list)  # from when to when it asked for rest
    requests: list[Request] = field(default_factory=list)
    tires: bool = False  # answers 429 now and then


@dataclass
class Feed:
    """One feed: when its items appear, and how it says what has changed."""

    items_ms: list[int]
    validator: str  # etag, weak, date, both, none
    ttl_s: int | None
    moves_ms: int | None = None  # from when on it answers 301
    gone_ms: int | None = None  # 410
    given: int | None = None  # the version that was given out last

    def version(self, now_ms: int) -> int:
        """How many items have appeared, and disappeared again: another number is another document."""
        return bisect_right(self.items_ms, now_ms) + bisect_right(self.items_ms, now_ms - STAYS_MS)

    def shown(self, now_ms: int) -> range:
        return range(bisect_right(self.items_ms, now_ms - STAYS_MS), bisect_right(self.items_ms, now_ms))


class World:
    """All publishers, and the crawler's way around them with nothing but the clock left out.

    Args:
        seed: everything follows from it.
        sources: how many; hosts have two or three.
        step: what is remembered after an answer; another one than the crawler's own is a fault that must be found.
        gap_ms: what the timetable leaves between two requests to a host.
        told: whether the timetable is told what hosts answer.
    """

    def __init__(self, seed: int, *, sources: int = 400, step: Ask | None = None, gap_ms: int = HOST_GAP_MS, told: bool = True) -> None:
        self._random = random.Random(seed)
        self._step = step or (lambda state, answer, source, now_ms: after(state, answer, source=source, now_ms=now_ms))
        self._told = told
        hosts = sources * 3 // 8
        self.hosts = {f"h{number}.example": self._host() for number in range(hosts)}
        names = [f"s{number}" for number in range(sources)]
        self.sources = [Source(name=name, owner="o", url=f"https://h{number % hosts}.example/{name}") for number, name in enumerate(names)]
        self.feeds = {source.name: self._feed() for source in self.sources}
        self.found: defaultdict[str, set[int]] = defaultdict(set)
        states = {source.name: SourceState(url=source.url, next_ms=START + self._random.randrange(HOUR)) for source in self.sources}
        self.timetable = Timetable(self.sources, states, gap_ms=gap_ms)

    def _host(self) -> Host:
        ill = [(at, at + self._random.randrange(10 * MINUTE, 4 * HOUR)) for at in self._moments(0.1)]
        delay_s = self._random.choice([0, 0, 0, 0, 5, 20])
        return Host(delay_s=delay_s, ill=ill, tires=self._random.random() < 0.1)

    def _feed(self) -> Feed:
        rare = self._random.random()
        count = self._random.choice([0, 1, 7, 30, 100])
        return Feed(
            items_ms=sorted(self._random.randrange(START, END - STAYS_MS) for _ in range(count)),
            validator=self._random.choice(["etag", "weak", "date", "both"]),
            ttl_s=self._random.choice([None, None, 15 * 60, 30 * 60, 4 * 3_600]),
            moves_ms=START + 2 * DAY if rare < 0.05 else None,
            gone_ms=START + 6 * DAY if rare > 0.97 else None,
        )

    def _moments(self, chance: float) -> list[int]:
        return [START + day * DAY + self._random.randrange(DAY) for day in range(7) if self._random.random() < chance]

    # --- the publishers' side -----------------------------------------------------------------------------------------
    def answer(self, source: Source, state: SourceState, now_ms: int) -> tuple[Answer, range]:
        host, feed, sent = self.hosts[host_of(state.address)], self.feeds[source.name], validators(state)
        version = feed.version(now_ms)
        stamp = formatdate((START + version * 1_000) / 1_000, usegmt=True)
        headers = {}
        if feed.validator != "date":
            headers["etag"] = f'{"W/" if feed.validator == "weak" else ""}"{version}"'
        if feed.validator in ("date", "both"):
            headers["last-modified"] = stamp
        same = (
            bool(sent)
            and sent.get("If-None-Match") == headers.get("etag")
            and sent.get("If-Modified-Since") == headers.get("last-modified")
        )
        trouble = self._trouble(host, feed, now_ms)
        status = trouble if trouble is not None else 304 if same else 200
        host.requests.append(Request(now_ms, source.name, status, unchanged=feed.given == version, conditional=bool(sent)))
        if status in (429, 503):
            wait_s = self._random.choice([600, 3_600, 3 * 3_600])
            host.rests.append((now_ms, now_ms + wait_s * 1_000))
            return Answer(status=status, headers={"retry-after": str(wait_s)}), range(0)
        if status >= 400 or status == 0:
            return Answer(status=status), range(0)
        moved = f"{source.url}/new" if feed.moves_ms is not None and now_ms >= feed.moves_ms and state.address == source.url else None
        feed.given = version
        return Answer(status=status, headers=headers, moved_to=moved, ttl_s=feed.ttl_s), feed.shown(now_ms) if status == 200 else range(0)

    def _trouble(self, host: Host, feed: Feed, now_ms: int) -> int | None:
        if any(begins <= now_ms < ends for begins, ends in host.ill):
            return self._random.choice([0, 500])
        if host.tires and self._random.random() < 0.02:
            return self._random.choice([429, 503])
        return 410 if feed.gone_ms is not None and now_ms >= feed.gone_ms else None

    # --- the crawler's side -------------------------------------------------------------------------------------------
    def run(self) -> "World":
        """The loop of the crawler, where no answer takes any time."""
        now_ms = START
        while now_ms < END:
            while (source := self.timetable.take(now_ms)) is not None:
                self._poll(source, now_ms)
            next_ms = self.timetable.next_ms()
            assert next_ms is not None
            assert next_ms > now_ms, "the timetable has nothing to give and says to look again at once"
            now_ms = next_ms
        return self

    def _poll(self, source: Source, now_ms: int) -> None:
        state = self.timetable.state(source)
        host = self.hosts[host_of(state.address)]
        if self.timetable.robots(state.address, now_ms) is None:
            text = f"User-agent: {AGENT}\nCrawl-delay: {host.delay_s}" if host.delay_s else ""
            self.timetable.learn_robots(state.address, Robots.of(200, text.encode(), now_ms=now_ms))
        at_ms = now_ms + self.timetable.wait_ms(state.address, now_ms)
        answer, items = self.answer(source, state, at_ms)
        if self._told:
            self.timetable.answered(state.address, answer.status, headers=answer.headers, now_ms=at_ms)
        self.found[source.name] |= set(items)
        self.timetable.finish(source, self._step(state, answer, source, at_ms))


# --- what is checked ----------------------------------------------------------------------------------------------------------
def asked_too_often(world: World) -> list[str]:
    """Requests that a host would complain about."""
    found = []
    for name, host in world.hosts.items():
        gap_ms = max(1_000, host.delay_s * 1_000)
        times = [request.at_ms for request in host.requests]
        found += [f"{name}: two within {b - a} ms" for a, b in pairwise(times) if b - a < gap_ms]
        found += [f"{name}: asked while it rests" for begins, ends in host.rests for at in times if begins < at < ends]
        by_source = defaultdict(list)
        for request in host.requests:
            by_source[request.source].append(request.at_ms)
        for source, moments in by_source.items():
            ttl_ms = max(15 * MINUTE, (world.feeds[source].ttl_s or 0) * 1_000)
            # A failure of the publisher's is no reason to ask sooner than an hour either, but no promise was made for that.
            found += [f"{source}: after {b - a} ms" for a, b in pairwise(moments) if b - a < min(ttl_ms, 54 * MINUTE)]
    return found


def unchanged_polls(world: World) -> tuple[int, int]:
    """(polls that were told that nothing has changed, polls for which nothing had changed)."""
    polls = [r for host in world.hosts.values() for r in host.requests if r.status in (200, 304) and r.unchanged]
    return sum(r.status == 304 for r in polls), len(polls)


def missed(world: World) -> list[str]:
    """Items that stayed as long as they were promised to and were not found; those of a host that was ill meanwhile may be late."""
    found = []
    for source in world.sources:
        feed = world.feeds[source.name]
        for number, at in enumerate(feed.items_ms):
            gone = feed.gone_ms is not None and at + STAYS_MS > feed.gone_ms
            if number not in world.found[source.name] and not gone:
                found.append(f"{source.name}: item {number}")
    return found


def test_a_week_of_four_hundred_sources_asks_nobody_too_often_wastes_nothing_and_misses_nothing() -> None:
    world = World(1).run()
    not_modified, unchanged = unchanged_polls(world)
    requests = [request for host in world.hosts.values() for request in host.requests]
    assert asked_too_often(world) == []
    assert not_modified >= 0.95 * unchanged
    assert missed(world) == []
    # The week was one: everything that was to be met was met.
    assert len(requests) > 50_000
    assert unchanged > 30_000
    assert {0, 200, 304, 410, 429, 500, 503} <= {request.status for request in requests}
    moved = [source for source in world.sources if world.timetable.state(source).address != source.url]
    assert len(moved) >= 5
    assert sum(request.status == 410 for request in requests) == sum(feed.gone_ms is not None for feed in world.feeds.values())


# --- and that it would be found out -------------------------------------------------------------------------------------------
def test_a_timetable_without_a_gap_between_requests_is_found_out() -> None:
    assert [line for line in asked_too_often(World(1, sources=40, gap_ms=0).run()) if "two within" in line]


def test_a_timetable_that_does_not_hear_a_host_ask_for_rest_is_found_out() -> None:
    assert [line for line in asked_too_often(World(1, sources=40, told=False).run()) if "while it rests" in line]


def eager(state: SourceState, answer: Answer, source: Source, now_ms: int) -> SourceState:
    """Asks twice as often as it may."""
    found = after(state, answer, source=source, now_ms=now_ms)
    return SourceState(url=state.url, etag=found.etag, last_modified=found.last_modified, next_ms=now_ms + (found.next_ms - now_ms) // 2)


def lazy(state: SourceState, answer: Answer, source: Source, now_ms: int) -> SourceState:
    """Comes back after three days."""
    return SourceState(url=state.url, etag=answer.headers.get("etag"), next_ms=now_ms + 3 * DAY)


def forgetful(state: SourceState, answer: Answer, source: Source, now_ms: int) -> SourceState:
    """Forgets what it has to give back."""
    return SourceState(url=state.url, next_ms=after(state, answer, source=source, now_ms=now_ms).next_ms)


def test_a_step_that_asks_too_soon_comes_too_late_or_forgets_validators_is_found_out() -> None:
    assert [line for line in asked_too_often(World(1, sources=40, step=eager).run()) if ": after" in line]
    assert missed(World(1, sources=40, step=lazy).run())
    not_modified, unchanged = unchanged_polls(World(1, sources=40, step=forgetful).run())
    assert not_modified < 0.95 * unchanged
