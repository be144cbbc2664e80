"""The crawler against a real publisher and a real log: what is new is handed over once, and manners hold."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw
from groundswell.errors import DependencyError
from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics
from groundswell.records import Heartbeat, RawDocument
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher, Limits
from ingest.memory import Memory
from ingest.sink import LocalLogSink, RawRecord, Sink
from tests.ingest.publisher import Publisher, answer, publishing, rss

NOW = 1_772_440_200_000
MINUTE = 60_000
LIMITS = Limits(bytes_max=100_000, total_s=120.0, connect_s=120.0, silence_s=120.0)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with publishing() as publisher:
        yield publisher


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    with LocalLog(tmp_path / "raw.db") as log:
        yield log


@pytest.fixture
def memory_path(tmp_path: Path) -> Path:
    return tmp_path / "crawler.db"


def source(publisher: Publisher, path: str = "/rss", *, name: str = "desk", **fields: object) -> Source:
    return msgspec.convert({"name": name, "owner": "o", "url": publisher.url + path, "allow_private": True, **fields}, Source)


@asynccontextmanager
async def crawler(
    *sources: Source,
    sink: Sink,
    memory_path: Path,
    clock: ManualClock,
    metrics: Metrics | None = None,
    slept: list[float] | None = None,
    limits: Limits = LIMITS,
) -> AsyncIterator[Crawler]:
    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)
            clock.advance(round(seconds * 1_000))

    with Memory(memory_path) as memory:
        async with Fetcher(limits=limits) as fetcher:
            yield Crawler(
                sources,
                sink=sink,
                memory=memory,
                fetcher=fetcher,
                clock=clock,
                metrics=metrics,
                sleep=sleep,
                host_gap_ms=0 if slept is None else 1_000,
            )


def written(log: LocalLog) -> list[RawRecord]:
    return [decode_raw(stamped.body) for stamped in log.read(0, limit=1_000)]


def titles(log: LocalLog) -> list[str]:
    return [record.title for record in written(log) if isinstance(record, RawDocument)]


async def test_what_is_new_is_appended_oldest_first_with_a_heartbeat_behind_it(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/rss", answer(200, rss("second", "first")))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        beats = await crawling.poll_due()
    *documents, heartbeat = written(log)
    assert [document.title for document in documents if isinstance(document, RawDocument)] == ["first", "second"]
    assert beats == [heartbeat]
    assert heartbeat == Heartbeat(source="desk", fetched_ms=NOW, ok=True, fetched=2, new=2)
    assert {stamped.known_ms for stamped in log.read(0, limit=10)} == {NOW}


async def test_what_the_catalogue_says_of_the_text_goes_with_each_document(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/open", answer(200, rss("a"))).play("/closed", answer(200, rss("b")))
    open_one, closed = source(publisher, "/open"), source(publisher, "/closed", name="closed", may_store_text=False)
    async with crawler(open_one, closed, sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        await crawling.poll_due()
    assert {r.source: r.store_text for r in written(log) if isinstance(r, RawDocument)} == {"desk": True, "closed": False}


async def test_an_item_is_handed_over_once_even_after_a_restart_and_an_edited_one_again(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    edited = rss("b").replace("<title>b</title>", "<title>b, corrected</title>")
    publisher.play("/rss", answer(200, rss("a")), answer(200, rss("b", "a")), answer(200, edited))
    sink = LocalLogSink(log, clock=clock)
    for _ in range(3):
        async with crawler(source(publisher), sink=sink, memory_path=memory_path, clock=clock) as crawling:
            await crawling.poll_due()
        clock.advance(90 * MINUTE)
    assert titles(log) == ["a", "b", "b, corrected"]
    assert [record.new for record in written(log) if isinstance(record, Heartbeat)] == [1, 1, 1]


async def test_a_source_is_not_due_again_before_its_time(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/rss", answer(200, rss("a", extra="<ttl>45</ttl>")))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        await crawling.poll_due()
        clock.advance(44 * MINUTE)
        assert await crawling.poll_due() == []
        clock.advance(12 * MINUTE)
        assert len(await crawling.poll_due()) == 1


async def test_validators_go_back_byte_for_byte_and_not_modified_is_a_good_answer_without_items(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    etag, stamp = 'W/"7 b\\"', "Sun, 1 Mar 2026 00:00:00 GMT"
    publisher.play("/rss", answer(200, rss("a"), ETag=etag, Last_Modified=stamp), answer(304))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        for _ in range(3):
            [beat] = await crawling.poll_due()
            clock.advance(90 * MINUTE)
    sent = [(request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")) for request in publisher.asked("/rss")]
    assert sent == [(None, None), (etag, stamp), (etag, stamp)]
    assert (beat.ok, beat.fetched, beat.new, beat.reason) == (True, 0, 0, None)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(500, "", "HTTP 500"), (404, "", "HTTP 404"), (200, "<html>log in</html>", "not a feed"), (200, b"x" * 200_000, "larger than 100000")],
)
async def test_a_bad_answer_is_a_heartbeat_with_its_reason_and_no_document(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path, status: int, body: str | bytes, reason: str
) -> None:
    publisher.play("/rss", answer(status, body))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        await crawling.poll_due()
    [heartbeat] = written(log)
    assert isinstance(heartbeat, Heartbeat)
    assert not heartbeat.ok
    assert reason in (heartbeat.reason or "")


async def test_broken_xml_gives_what_could_be_recovered_and_counts_as_seeing(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/rss", answer(200, rss("a", "b").replace("</channel></rss>", "")))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        [beat] = await crawling.poll_due()
    assert (beat.ok, beat.new) == (True, 2)


async def test_a_slow_publisher_holds_up_nobody_else(publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path) -> None:
    publisher.play("/slow", publisher.endless).play("/rss", answer(200, rss("a")))
    sources = [source(publisher, "/slow", name="slow"), source(publisher, name="quick")]
    sink, limits = LocalLogSink(log, clock=clock), Limits(silence_s=1.0)  # in which the other one has long answered
    async with crawler(*sources, sink=sink, memory_path=memory_path, clock=clock, limits=limits) as crawling:
        beats = {beat.source: beat for beat in await crawling.poll_due()}
    assert beats["slow"].reason == "no complete answer in time"
    assert beats["quick"].new == 1


async def test_retry_after_is_kept_by_the_crawler(publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path) -> None:
    publisher.play("/rss", answer(429, Retry_After="20000"))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        await crawling.poll_due()
        clock.advance(19_999_000)
        assert crawling.due() == []
        clock.advance(1_000)
        assert len(crawling.due()) == 1


async def test_a_source_that_is_gone_is_never_asked_again_not_even_after_a_restart(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/rss", answer(410))
    for _ in range(2):
        async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
            await crawling.poll_due()
        clock.advance(10**9)
    assert len(publisher.asked("/rss")) == 1


async def test_a_permanent_move_is_learned_the_third_time(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/rss", answer(301, Location="/new")).play("/new", answer(200, rss("a")))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        for _ in range(5):
            await crawling.poll_due()
            clock.advance(90 * MINUTE)
    assert (len(publisher.asked("/rss")), len(publisher.asked("/new"))) == (3, 5)


async def test_a_move_to_a_page_that_is_no_feed_is_not_learned(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/rss", answer(301, Location="/login")).play("/login", answer(200, "<html>log in</html>", ETag='"page"'))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        for _ in range(5):
            await crawling.poll_due()
            clock.advance(90 * MINUTE)
    assert len(publisher.asked("/rss")) == 5
    assert {request.headers.get("If-None-Match") for request in publisher.requests} == {None}


# --- robots.txt, inside addresses -------------------------------------------------------------------------------------------
async def test_robots_txt_is_asked_once_a_day_and_what_it_forbids_is_not_fetched(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/robots.txt", answer(200, "User-agent: groundswell\nDisallow: /private")).play("/rss", answer(200, rss("a")))
    sources = [source(publisher), source(publisher, "/private/rss", name="closed")]
    sink, limits = LocalLogSink(log, clock=clock), Limits(silence_s=1.0)  # in which the other one has long answered
    async with crawler(*sources, sink=sink, memory_path=memory_path, clock=clock, limits=limits) as crawling:
        beats = {beat.source: beat for beat in await crawling.poll_due()}
        clock.advance(90 * MINUTE)
        await crawling.poll_due()
        assert len(publisher.asked("/robots.txt")) == 1
        clock.advance(24 * 60 * MINUTE)
        await crawling.poll_due()
    assert len(publisher.asked("/robots.txt")) == 2
    assert publisher.asked("/private/rss") == []
    assert beats["closed"].reason == "robots.txt disallows this address"
    assert beats["desk"].ok


async def test_a_host_whose_robots_txt_is_broken_is_left_alone_until_it_is_mended(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/robots.txt", answer(503), answer(404)).play("/rss", answer(200, rss("a")))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        [beat] = await crawling.poll_due()
        assert "answers 503" in (beat.reason or "")
        assert publisher.asked("/rss") == []
        clock.advance(90 * MINUTE)
        [beat] = await crawling.poll_due()
    assert beat.new == 1


async def test_two_requests_to_a_host_are_a_second_apart_or_as_far_as_its_crawl_delay_says(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/robots.txt", answer(200, "User-agent: *\nCrawl-delay: 5"))
    publisher.play("/a", answer(200, rss("a"))).play("/b", answer(200, rss("b")))
    slept: list[float] = []
    sources = [source(publisher, "/a", name="a"), source(publisher, "/b", name="b")]
    async with crawler(*sources, sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock, slept=slept) as crawling:
        await crawling.poll_due()
    assert slept == [1.0, 5.0]  # after robots.txt, and between the two feeds


async def test_a_host_that_asks_for_rest_is_asked_for_nothing_until_then_even_after_a_restart(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/a", answer(429, Retry_After="7200")).play("/b", answer(200, rss("b")))
    first, second = source(publisher, "/a", name="a"), source(publisher, "/b", name="b")
    sink = LocalLogSink(log, clock=clock)
    async with crawler(first, sink=sink, memory_path=memory_path, clock=clock) as crawling:
        await crawling.poll_due()
    async with crawler(first, second, sink=sink, memory_path=memory_path, clock=clock) as crawling:
        assert crawling.due() == []
        beat = await crawling.poll(second)  # out of turn
        assert beat.reason == "127.0.0.1 asked for rest until 2026-03-02 10:30:00Z (HTTP 429, Retry-After)"
        clock.advance(2 * 60 * MINUTE - 1)
        assert await crawling.poll_due() == []
        assert publisher.asked("/b") == []
        clock.advance(1)
        await crawling.poll_due()
    assert len(publisher.asked("/b")) == 1


async def test_one_poll_may_ask_for_sixty_addresses_and_no_more(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    feed = source(publisher)
    async with crawler(feed, sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        get = crawling.getter(feed)
        answers = [await get(f"{publisher.url}/{number}", {}) for number in range(61)]
    assert [found.status for found in answers] == [404] * 60 + [0]
    assert (answers[-1].refused, answers[-1].reason) == (True, "more than 60 requests in one poll")


async def test_what_may_be_inside_is_one_host_and_port_not_whatever_it_redirects_to(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    other = publisher.url.replace("127.0.0.1", "127.0.0.2")
    publisher.play("/rss", answer(302, Location=f"{other}/secret"))
    async with crawler(source(publisher), sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        [beat] = await crawling.poll_due()
    assert "127.0.0.2 is an inside address" in (beat.reason or "")
    assert publisher.asked("/secret") == []


async def test_an_inside_address_needs_the_catalogues_word(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    inside = source(publisher, allow_private=False)
    async with crawler(inside, sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        [beat] = await crawling.poll_due()
    assert "127.0.0.1 is an inside address" in (beat.reason or "")
    assert publisher.requests == []


# --- the sink -------------------------------------------------------------------------------------------------------------
class FullSink:
    """A disk that is full until it is not."""

    def __init__(self) -> None:
        self.full = True
        self.taken: list[RawRecord] = []

    def put(self, records: Sequence[RawRecord]) -> None:
        if self.full:
            message = "the disk is full"
            raise DependencyError(message)
        self.taken += records

    def tick(self) -> int:
        return 0

    def close(self) -> None:
        pass


async def test_what_the_sink_refused_is_fetched_again_in_a_quarter_of_an_hour_without_validators(
    publisher: Publisher, clock: ManualClock, memory_path: Path
) -> None:
    publisher.play("/rss", answer(200, rss("a"), ETag='"1"'))
    sink = FullSink()
    async with crawler(source(publisher), sink=sink, memory_path=memory_path, clock=clock) as crawling:
        with pytest.raises(DependencyError):
            await crawling.poll_due()
        assert crawling.due() == []
        clock.advance(15 * MINUTE)
        sink.full = False
        await crawling.poll_due()
    assert [record.title for record in sink.taken if isinstance(record, RawDocument)] == ["a"]
    assert [request.headers.get("If-None-Match") for request in publisher.asked("/rss")] == [None, None]


async def test_polls_are_counted(publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path) -> None:
    publisher.play("/rss", answer(200, rss("a", "b")), answer(304), answer(404), answer(500))
    registry = CollectorRegistry()
    sink = LocalLogSink(log, clock=clock)
    async with crawler(source(publisher), sink=sink, memory_path=memory_path, clock=clock, metrics=Metrics(registry)) as crawling:
        for _ in range(4):
            await crawling.poll_due()
            clock.advance(10**8)
    counts = {
        result: registry.get_sample_value("groundswell_polls_total", {"result": result})
        for result in ("new", "not_modified", "refused", "failed")
    }
    assert counts == {"new": 1, "not_modified": 1, "refused": 1, "failed": 1}
    assert registry.get_sample_value("groundswell_items_new_total") == 2
    assert registry.get_sample_value("groundswell_items_fetched_total") == 2
    assert (registry.get_sample_value("groundswell_poll_timestamp_seconds") or 0) > 0


# --- sources that are no feed -------------------------------------------------------------------------------------------------
def headlines(*numbers: int) -> str:
    return "<html><body>" + "".join(f"<li><a href='/n/{number}'>Headline {number}</a></li>" for number in numbers) + "</body></html>"


async def test_a_listing_and_its_articles_come_through_the_same_door_and_a_sink_that_was_away_costs_nothing(
    publisher: Publisher, clock: ManualClock, memory_path: Path
) -> None:
    publisher.play("/news", answer(200, headlines(2, 1)))
    for number in (1, 2):
        publisher.play(f"/n/{number}", answer(200, f"<html><body><h1>x</h1><p>{f'Words of {number}. ' * 30}</p></body></html>"))
    sink = FullSink()
    entry = source(publisher, "/news", type="listing", how={"items": "li"})
    async with crawler(entry, sink=sink, memory_path=memory_path, clock=clock) as crawling:
        with pytest.raises(DependencyError):
            await crawling.poll_due()
        clock.advance(15 * MINUTE)
        sink.full = False
        [beat] = await crawling.poll_due()
        clock.advance(90 * MINUTE)
        await crawling.poll_due()
    documents = [record for record in sink.taken if isinstance(record, RawDocument)]
    assert [document.title for document in documents] == ["Headline 1", "Headline 2"]
    assert all(document.text.startswith("Words of") for document in documents)
    assert (beat.fetched, beat.new, beat.ok) == (2, 2, True)
    assert len(publisher.asked("/n/1")) == 2  # once for the sink that was away, once for the one that was there


async def test_robots_txt_is_asked_for_every_article_too(
    publisher: Publisher, clock: ManualClock, log: LocalLog, memory_path: Path
) -> None:
    publisher.play("/robots.txt", answer(200, "User-agent: *\nDisallow: /n/"))
    publisher.play("/news", answer(200, headlines(1))).play("/n/1", answer(200, "<p>x</p>"))
    entry = source(publisher, "/news", type="listing", how={"items": "li"})
    async with crawler(entry, sink=LocalLogSink(log, clock=clock), memory_path=memory_path, clock=clock) as crawling:
        [beat] = await crawling.poll_due()
    assert publisher.asked("/n/1") == []
    assert "robots.txt disallows this address" in (beat.reason or "")


async def test_a_folder_is_polled_beside_the_feeds_and_its_files_are_moved_only_when_the_log_has_them(
    publisher: Publisher, clock: ManualClock, memory_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "a.txt").write_text("Bank falls")
    entry = msgspec.convert({"name": "drop", "owner": "o", "url": folder.as_uri(), "type": "folder"}, Source)
    sink = FullSink()
    async with crawler(entry, sink=sink, memory_path=memory_path, clock=clock) as crawling:
        sink.full = False
        await crawling.poll_due()
        clock.advance(MINUTE)
        sink.full = True
        with pytest.raises(DependencyError):
            await crawling.poll_due()
        assert (folder / "a.txt").exists()
        clock.advance(15 * MINUTE)
        sink.full = False
        await crawling.poll_due()
    assert [record.title for record in sink.taken if isinstance(record, RawDocument)] == ["Bank falls"]
    assert (folder / "done" / "a.txt").exists()


# --- driving --------------------------------------------------------------------------------------------------------------
class CountingSink(FullSink):
    """Sets an event once it has enough."""

    def __init__(self, enough: asyncio.Event, *, polls: int) -> None:
        super().__init__()
        self.full, self.ticks = False, 0
        self._enough, self._polls, self._loop = enough, polls, asyncio.get_running_loop()

    def put(self, records: Sequence[RawRecord]) -> None:
        super().put(records)
        if sum(isinstance(record, Heartbeat) for record in self.taken) >= self._polls:
            self._loop.call_soon_threadsafe(self._enough.set)

    def tick(self) -> int:
        self.ticks += 1
        return 3


async def test_run_polls_everything_that_is_due_says_that_time_goes_on_and_ends_when_it_is_told(
    publisher: Publisher, clock: ManualClock, memory_path: Path
) -> None:
    sources = [source(publisher, f"/{n}", name=f"s{n}") for n in range(12)]
    for n in range(12):
        publisher.play(f"/{n}", answer(200, rss(f"item {n}")))
    stop = asyncio.Event()
    sink, metrics = CountingSink(stop, polls=12), Metrics(CollectorRegistry())
    async with crawler(*sources, sink=sink, memory_path=memory_path, clock=clock, metrics=metrics) as crawling:
        await asyncio.wait_for(crawling.run(stop), 180)
    assert metrics.registry.get_sample_value("groundswell_spooled_records") == 3
    assert sorted(record.title for record in sink.taken if isinstance(record, RawDocument)) == sorted(f"item {n}" for n in range(12))
    assert sink.ticks == 1  # the clock has not moved, so time has gone on once


async def test_run_gives_up_a_poll_under_way_when_it_is_told_to_end(publisher: Publisher, clock: ManualClock, memory_path: Path) -> None:
    stop = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        stop.set()
        return await publisher.endless(request)

    publisher.play("/rss", hang)
    sink = FullSink()
    async with crawler(source(publisher), sink=sink, memory_path=memory_path, clock=clock) as crawling:
        await asyncio.wait_for(crawling.run(stop), 180)
    assert sink.taken == []
