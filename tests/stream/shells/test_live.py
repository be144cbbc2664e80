"""The live embedded shell on a real feed: a document on a publisher's page becomes a stored window, and nothing needs Kafka."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from groundswell.clock import SystemClock
from groundswell.local_log import LocalLog
from groundswell.metrics import Metrics
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.query import balance_of, closed_ms, total
from groundswell.store.store import Store
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher
from ingest.memory import Memory
from ingest.sink import LocalLogSink
from stream.shells.instruments import load_instruments
from stream.shells.live import Live
from stream.shells.sender import Fixed, Sender
from stream.shells.voice import Voice
from tests.ingest.publisher import answer, publishing, rss

TITLES = (
    "Bank fails after a run on deposits",
    "Factory opens a new line",
    "Finnish: Pankki kaatui eilen illalla talletuspaon jälkeen Helsingissä",
)


async def test_a_feed_becomes_scores_and_metrics_and_time_goes_on_while_it_is_quiet(tmp_path: Path) -> None:
    clock, store, metrics = SystemClock(), Store(str(tmp_path / "live.db")), Metrics(CollectorRegistry())
    with LocalLog(tmp_path / "live.log") as writing, LocalLog(tmp_path / "live.log") as reading, Memory(tmp_path / "crawler.db") as memory:
        async with publishing() as publisher, Fetcher() as fetcher:
            publisher.play("/feed", answer(200, rss(*TITLES), content_type="application/rss+xml"))
            source = Source(name="wire", owner="wire", url=f"{publisher.url}/feed", allow_private=True)
            sink = LocalLogSink(writing, clock=clock)
            crawler = Crawler([source], sink=sink, memory=memory, fetcher=fetcher, clock=clock, metrics=metrics)
            sender = Sender(store, LIVE_RUN, Fixed({}), Voice("http://127.0.0.1", str), clock.now_ms)
            live = Live(store, reading, load_instruments(use="linear"), crawler, (), sender, clock, metrics=metrics)
            stop = asyncio.Event()
            task = asyncio.create_task(live.run(stop))
            async with asyncio.timeout(180):
                while _admitted(store) < 2 or _punctuations(reading) == 0:
                    await asyncio.wait([task], timeout=0.1)
                    assert not task.done(), task.exception()
            stop.set()
            await task
        with store.read() as connection:
            sums = total(balance_of(connection, LIVE_RUN, log=reading))
    assert (sums.fetched, sums.scored, sums.dropped, sums.balance) == (3, 2, 1, 0)
    scored = [
        sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "groundswell_documents_scored_total"
    ]
    assert sum(scored) == 2
    store.close()


def _admitted(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(t.admissions)).scalar_one())


def _punctuations(log: LocalLog) -> int:
    return sum(not stamped.body for stamped in log.read(0, limit=1_000))


def test_a_store_that_has_closed_nothing_says_so(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "empty.db"))
    with store.read() as connection:
        assert closed_ms(connection, LIVE_RUN) is None
    store.close()
