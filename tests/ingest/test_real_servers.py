"""The crawler against web servers that others have written: Python's own, and nginx with gzip, ETags and a limit of requests."""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw
from groundswell.local_log import LocalLog
from groundswell.records import Heartbeat, RawDocument
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher
from ingest.memory import Memory
from ingest.sink import LocalLogSink
from tests.ingest.publisher import rss
from tests.nginx_peer import Nginx, nginx_server

NOW_MS = 1_772_440_200_000
DAY_AND_MORE_MS = 26 * 3_600_000


class Quiet(SimpleHTTPRequestHandler):
    """Python's own, without its lines on the terminal."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def pythons_own(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(params=["python", pytest.param("nginx", marks=pytest.mark.nginx)])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(address, folder that is shown) of either server."""
    if request.param == "nginx":
        with nginx_server() as server:
            yield server.url, server.site
        return
    site = tmp_path / "site"
    site.mkdir()
    with pythons_own(site) as url:
        yield url, site


class Desk:
    """A crawler of one source, and what has become of it."""

    def __init__(self, crawler: Crawler, clock: ManualClock, log: LocalLog) -> None:
        self._crawler, self._clock, self._log = crawler, clock, log

    async def poll(self, *, then_ms: int = DAY_AND_MORE_MS) -> Heartbeat:
        """The poll that is due; then time goes on, by more than a day: whatever was remembered has run out by then."""
        [beat] = await self._crawler.poll_due()
        self._clock.advance(then_ms)
        return beat

    def due(self) -> list[Source]:
        return self._crawler.due()

    def titles(self) -> list[str]:
        records = [decode_raw(stamped.body) for stamped in self._log.read(0, limit=10_000)]
        return [record.title for record in records if isinstance(record, RawDocument)]


@asynccontextmanager
async def desk(url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    clock = ManualClock(NOW_MS)

    async def sleep(seconds: float) -> None:
        clock.advance(round(seconds * 1_000))

    source = Source(name="desk", owner="o", url=url, allow_private=True)
    with Memory(tmp_path / "crawler.db") as memory, LocalLog(tmp_path / "raw.db") as log:
        async with Fetcher() as fetcher:
            sink = LocalLogSink(log, clock=clock)
            yield Desk(Crawler([source], sink=sink, memory=memory, fetcher=fetcher, clock=clock, sleep=sleep), clock, log)


def publish(file: Path, *titles: str, changed_s: int) -> None:
    """Write a feed, as it was changed at a moment: servers tell times in whole seconds."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(rss(*titles))
    os.utime(file, (changed_s, changed_s))


async def test_items_arrive_once_and_an_unchanged_feed_is_not_sent_again(served: tuple[str, Path], tmp_path: Path) -> None:
    url, site = served
    publish(site / "feed.xml", "second", "first", changed_s=1_700_000_000)
    async with desk(f"{url}/feed.xml", tmp_path) as crawling:
        beats = [await crawling.poll(), await crawling.poll()]
        publish(site / "feed.xml", "third", "second", changed_s=1_700_000_060)
        beats += [await crawling.poll(), await crawling.poll()]
        assert [(beat.ok, beat.fetched, beat.new) for beat in beats] == [(True, 2, 2), (True, 0, 0), (True, 2, 1), (True, 0, 0)]
        assert crawling.titles() == ["first", "second", "third"]


async def test_robots_txt_is_obeyed_and_a_file_that_goes_may_come_back(served: tuple[str, Path], tmp_path: Path) -> None:
    url, site = served
    publish(site / "feed.xml", "a", changed_s=1_700_000_000)
    (site / "robots.txt").write_text("User-agent: groundswell\nDisallow: /feed\n")
    async with desk(f"{url}/feed.xml", tmp_path) as crawling:
        assert (await crawling.poll()).reason == "robots.txt disallows this address"
        (site / "robots.txt").unlink()
        (site / "feed.xml").rename(site / "away.xml")
        assert (await crawling.poll()).reason == "HTTP 404"
        (site / "away.xml").rename(site / "feed.xml")
        assert (await crawling.poll()).new == 1


async def test_the_redirect_from_a_folder_to_itself_is_followed(served: tuple[str, Path], tmp_path: Path) -> None:
    url, site = served
    publish(site / "feed" / "index.html", "a", changed_s=1_700_000_000)
    async with desk(f"{url}/feed", tmp_path) as crawling:
        beats = [await crawling.poll() for _ in range(5)]
        assert [beat.ok for beat in beats] == [True] * 5
        assert crawling.titles() == ["a"]


async def test_nginx_packs_its_answers_and_marks_them_weakly(nginx: Nginx) -> None:
    publish(nginx.site / "feed.xml", *(f"item {number}" for number in range(100)), changed_s=1_700_000_000)

    async def anything(_: str) -> None:
        return None

    async with Fetcher() as fetcher:
        found = await fetcher.get(f"{nginx.url}/feed.xml", permit=anything, allow_private=True)
        known = {"If-None-Match": found.headers["etag"]}
        again = await fetcher.get(f"{nginx.url}/feed.xml", permit=anything, allow_private=True, headers=known)
    assert (found.headers["content-encoding"], found.headers["etag"][:3]) == ("gzip", 'W/"')
    assert found.body == rss(*(f"item {number}" for number in range(100))).encode()
    assert again.status == 304


@pytest.mark.nginx
@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_too_often_is_told_so_and_leaves_the_host_alone_for_as_long_as_it_says(status: int, tmp_path: Path) -> None:
    with nginx_server(status=status) as server:
        publish(server.site / "limited" / "feed.xml", "a", changed_s=1_700_000_000)
        async with desk(f"{server.url}/limited/feed.xml", tmp_path) as crawling:
            assert (await crawling.poll()).new == 1
            assert (await crawling.poll(then_ms=14_400_000 - 1)).reason == f"HTTP {status}"
            assert crawling.due() == []
            assert crawling.titles() == ["a"]
