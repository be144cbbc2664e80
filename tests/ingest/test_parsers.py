"""Answers are read in processes of their own: what hangs or kills its reader stops nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from groundswell.clock import ManualClock
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher
from ingest.memory import Memory
from ingest.parsers import LostReaderError, Parsers
from ingest.sink import RawRecord
from ingest.types.base import Request
from ingest.types.feed import Feed
from tests.ingest.publisher import answer, publishing, rss

SOURCE = Source(name="desk", owner="o", url="https://news.example/rss")


async def test_an_answer_is_read_in_another_process_to_the_same_records() -> None:
    body = rss("b", "a").encode()
    async with Parsers(1) as parsers:
        assert await parsers.run(os.getpid) != os.getpid()
        parse = partial(Feed().parse, asked=Request(url=SOURCE.url), source=SOURCE, fetched_ms=1)
        assert await parsers.run(parse, body, {}) == parse(body, {})


async def test_a_document_that_hangs_or_kills_its_reader_is_unreadable_and_the_next_one_is_read() -> None:
    async with Parsers(1, within_s=3.0) as parsers:
        first = await parsers.run(os.getpid)
        with pytest.raises(LostReaderError, match="not read within 3 s"):
            await parsers.run(time.sleep, 600)
        with pytest.raises(LostReaderError, match="its reader has died of it"):
            await parsers.run(os._exit, 1)
        assert await parsers.run(os.getpid) != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


CRAWLER = """
import asyncio, os
from ingest.parsers import Parsers
async def main():
    async with Parsers(1) as parsers:
        print(await parsers.run(os.getpid), flush=True)
        await asyncio.Event().wait()
if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_reader_does_not_outlive_a_crawler_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "crawl.py").write_text(CRAWLER)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(tmp_path / "crawl.py")], stdout=subprocess.PIPE, env=environ) as crawler:
        assert crawler.stdout is not None
        reader = int(crawler.stdout.readline())
        crawler.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 180
    while _lives(reader):
        assert time.monotonic() < deadline, "the reader lives on"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # a zombie has none
    except OSError:
        return False


async def test_several_are_read_at_once_and_an_error_of_the_function_is_its_own() -> None:
    async with Parsers(2) as parsers:
        assert await asyncio.gather(*(parsers.run(abs, -number) for number in range(20))) == list(range(20))
        with pytest.raises(ZeroDivisionError):
            await parsers.run(divmod, 1, 0)


class Kept:
    """A sink in memory."""

    def __init__(self) -> None:
        self.taken: list[RawRecord] = []

    def put(self, records: Sequence[RawRecord]) -> None:
        self.taken += records

    def tick(self) -> int:
        return 0

    def close(self) -> None:
        pass


def hang(*_: object, **__: object) -> None:
    """A parser that a document has got the better of."""
    time.sleep(600)


async def test_an_answer_that_cannot_be_read_is_a_failed_poll_with_its_reason(tmp_path: Path) -> None:
    clock, sink = ManualClock(1_772_440_200_000), Kept()
    async with publishing() as publisher, Fetcher() as fetcher, Parsers(1, within_s=1.0) as parsers:

        async def badly(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return await parsers.run(hang, *args, **kwargs)

        publisher.play("/rss", answer(200, rss("a")))
        source = Source(name="desk", owner="o", url=f"{publisher.url}/rss", allow_private=True)
        with Memory(tmp_path / "crawler.db") as memory:
            crawler = Crawler([source], sink=sink, memory=memory, fetcher=fetcher, clock=clock, host_gap_ms=0, off_loop=badly)
            [beat] = await crawler.poll_due()
    assert (beat.ok, beat.new, beat.reason) == (False, 0, "unreadable: not read within 1 s")


async def test_a_crawler_hands_over_what_was_read_elsewhere(tmp_path: Path) -> None:
    clock, sink = ManualClock(1_772_440_200_000), Kept()
    async with publishing() as publisher, Fetcher() as fetcher, Parsers(1) as parsers:
        publisher.play("/rss", answer(200, rss("b", "a")))
        source = Source(name="desk", owner="o", url=f"{publisher.url}/rss", allow_private=True)
        with Memory(tmp_path / "crawler.db") as memory:
            crawler = Crawler([source], sink=sink, memory=memory, fetcher=fetcher, clock=clock, host_gap_ms=0, off_loop=parsers.run)
            await crawler.poll_due()
    assert [record.title for record in sink.taken if isinstance(record, RawDocument)] == ["a", "b"]
