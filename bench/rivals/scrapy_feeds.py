"""Scrapy over the feeds of feeds.py: fetch, read with this project's parser, publish to this project's local log.

It obeys robots.txt and asks each host for one thing at a time, as the crawler does; it remembers what it has seen in memory, where the
crawler keeps it on disk; and it publishes an answer's items in one transaction, as the crawler does.
`python scrapy_feeds.py PORT HOSTS ITEMS LOG` prints seconds and items as JSON.
"""

import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import scrapy
from feeds import addresses
from scrapy.crawler import CrawlerProcess
from scrapy.exceptions import CloseSpider

from groundswell.clock import SystemClock
from groundswell.local_log import LocalLog
from groundswell.records import Heartbeat
from ingest.catalogue import Source
from ingest.memory import item_id
from ingest.sink import LocalLogSink
from ingest.types.base import Request
from ingest.types.feed import Feed

PORT, HOSTS, WANTED, LOG = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
SETTINGS = {
    "ROBOTSTXT_OBEY": True,
    "CONCURRENT_REQUESTS": 16,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "DOWNLOAD_DELAY": 0,
    "COOKIES_ENABLED": False,
    "RETRY_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "LOG_LEVEL": "ERROR",
}


class Feeds(scrapy.Spider):
    """Asks every host again and again until there are enough items."""

    name = "feeds"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = SystemClock()
        self._sink = LocalLogSink(LocalLog(LOG), clock=self._clock)
        self._sources = {address: Source(name=address, owner="o", url=f"http://{address}:{PORT}/rss") for address in addresses(HOSTS)}
        self._seen: set[str] = set()
        self.items, self.began_s, self.ended_s = 0, time.monotonic(), 0.0

    async def start(self) -> AsyncIterator[Any]:
        """The first round."""
        for source in self._sources.values():
            yield scrapy.Request(source.url, dont_filter=True, meta={"source": source})

    def parse(self, response: Any) -> Iterator[Any]:
        """Read and publish; then ask again."""
        source, now_ms = response.meta["source"], self._clock.now_ms()
        headers = {name.decode(): values[0].decode() for name, values in response.headers.items()}
        parsed = Feed().parse(response.body, headers, asked=Request(url=source.url), source=source, fetched_ms=now_ms)
        items = {item_id(record): record for record in reversed(parsed.records)}
        new = [record for item, record in items.items() if item not in self._seen]
        self._seen.update(items)
        self._sink.put([*new, Heartbeat(source=source.name, fetched_ms=now_ms, ok=True, fetched=parsed.entries, new=len(new))])
        self.items, self.ended_s = self.items + len(new), time.monotonic()
        if self.items >= WANTED:
            raise CloseSpider
        yield scrapy.Request(source.url, dont_filter=True, meta={"source": source})


if __name__ == "__main__":
    process = CrawlerProcess(SETTINGS)
    crawler = process.create_crawler(Feeds)
    process.crawl(crawler)
    process.start()
    spider: Any = crawler.spider
    print(json.dumps({"seconds": spider.ended_s - spider.began_s, "items": spider.items}), flush=True)
