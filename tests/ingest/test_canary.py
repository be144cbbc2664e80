"""When the crawler sends a canary, and that it reaches the log beside what publishers bring."""

import asyncio
from pathlib import Path

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw
from groundswell.local_log import LocalLog
from groundswell.names import CANARY_SOURCE, HOUR_MS
from groundswell.records import RawDocument
from ingest.canary import Canaries
from ingest.crawler import Crawler
from ingest.fetch import Fetcher
from ingest.memory import Memory
from ingest.sink import LocalLogSink

NOON_MS = 1_772_452_800_000


def test_one_is_due_at_each_round_time_and_none_when_the_crawler_starts() -> None:
    canaries = Canaries(HOUR_MS)
    found = [canaries.due(NOON_MS + minute * 60_000) for minute in (-30, -1, 1, 2, 59, 61, 200)]

    assert [[document.published_ms for document in each] for each in found] == [
        [], [], [NOON_MS], [], [], [NOON_MS + HOUR_MS], [NOON_MS + 3 * HOUR_MS]
    ]  # fmt: skip


def test_a_clock_that_goes_back_brings_no_second_one_and_zero_means_none() -> None:
    canaries, none = Canaries(HOUR_MS), Canaries(0)
    canaries.due(NOON_MS - 1)

    assert len(canaries.due(NOON_MS)) == 1
    assert canaries.due(NOON_MS - 1) + canaries.due(NOON_MS + 1) == []
    assert none.due(NOON_MS - 1) + none.due(NOON_MS) == []


def test_two_crawlers_send_the_same_one() -> None:
    one, other = Canaries(HOUR_MS), Canaries(HOUR_MS)
    assert one.due(NOON_MS - 5_000) == other.due(NOON_MS - 60_000) == []

    assert [document.id for document in one.due(NOON_MS + 10)] == [document.id for document in other.due(NOON_MS + 900)]


async def test_the_crawler_puts_it_into_the_log(tmp_path: Path) -> None:
    clock, stop = ManualClock(NOON_MS - 60_000), asyncio.Event()
    with LocalLog(tmp_path / "log") as log:
        async with Fetcher() as fetcher:
            crawler = Crawler(
                [], sink=LocalLogSink(log, clock=clock), memory=Memory(tmp_path / "memory.db"), fetcher=fetcher, clock=clock,
                canaries=Canaries(HOUR_MS),
            )  # fmt: skip
            running = asyncio.create_task(crawler.run(stop))
            async with asyncio.timeout(180):
                while not (found := log.read(0, limit=10)):
                    clock.advance(30_000)
                    await asyncio.sleep(0)
            stop.set()
            await running
    record = decode_raw(found[0].body)
    assert isinstance(record, RawDocument)
    assert (record.source, (record.published_ms or 1) % HOUR_MS) == (CANARY_SOURCE, 0)
