"""However a publisher behaves: every item arrives once, in order, with the right times, and each refusal is counted with its reason."""

import socket
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from groundswell.clock import ManualClock
from groundswell.codec import decode_raw
from groundswell.local_log import LocalLog
from groundswell.metrics import POLL_RESULTS, Metrics
from groundswell.records import Heartbeat, RawDocument
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher, Limits
from ingest.memory import Memory
from ingest.sink import LocalLogSink
from tests.ingest.behaviours import BEHAVIOURS, NOW_MS, Behaviour, slow_replies
from tests.ingest.publisher import publishing

LIMITS = Limits(bytes_max=2_000_000, total_s=120.0, connect_s=120.0, silence_s=120.0, least_bytes_per_s=1, patience_s=60.0)
SHORT = Limits(total_s=3.0, connect_s=120.0, silence_s=1.0, least_bytes_per_s=500, patience_s=0.2)
"""For those who are too slow: nobody else is to be taken for one on a busy machine."""


def test_there_are_at_least_forty_and_no_name_comes_twice() -> None:
    assert len({behaviour.name for behaviour in BEHAVIOURS}) == len(BEHAVIOURS) >= 40


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
async def test_every_item_arrives_once_in_order_with_its_time_and_each_refusal_is_counted_with_its_reason(
    behaviour: Behaviour, tmp_path: Path
) -> None:
    clock, registry = ManualClock(NOW_MS), CollectorRegistry()

    async def sleep(seconds: float) -> None:
        clock.advance(round(seconds * 1_000))

    limits = LIMITS if behaviour.replies else SHORT
    async with publishing() as publisher, Fetcher(limits=limits) as fetcher:
        publisher.play("/rss", *(behaviour.replies or slow_replies(publisher)[behaviour.name]))
        for path, replies in behaviour.others.items():
            publisher.play(path, *replies)
        source = Source(name="desk", owner="o", url=f"{publisher.url}/rss", allow_private=True)
        with Memory(tmp_path / "crawler.db") as memory, LocalLog(tmp_path / "raw.db") as log:
            sink = LocalLogSink(log, clock=clock)
            crawler = Crawler([source], sink=sink, memory=memory, fetcher=fetcher, clock=clock, metrics=Metrics(registry), sleep=sleep)
            for number, _ in enumerate(behaviour.outcomes):
                assert len(await crawler.poll_due()) == 1
                quiet_ms = max(behaviour.rest_ms - 1, 0) if number == 0 else 0
                clock.advance(quiet_ms)
                assert not quiet_ms or crawler.due() == []
                clock.advance(behaviour.step_ms - quiet_ms)
            if behaviour.name == "410":
                assert crawler.due() == []
            records = [decode_raw(stamped.body) for stamped in log.read(0, limit=100_000)]
        requests = publisher.asked("/rss")

    documents = [record for record in records if isinstance(record, RawDocument)]
    assert tuple(document.title for document in documents) == behaviour.titles
    assert not [document for document in documents if len(document.text) > 100 or socket.gethostname() in document.text]
    if behaviour.times is not None:
        assert tuple((document.published_ms, document.published_precision) for document in documents) == behaviour.times
    beats = [record for record in records if isinstance(record, Heartbeat)]
    for beat, (result, reason) in zip(beats, behaviour.outcomes, strict=True):
        assert reason in (beat.reason or "")
        assert beat.ok == (result in ("new", "nothing_new", "not_modified"))
        assert beat.ok or beat.reason
    counted = {result: registry.get_sample_value("groundswell_polls_total", {"result": result}) for result in POLL_RESULTS}
    wanted = Counter(result for result, _ in behaviour.outcomes)
    assert counted == {result: wanted[result] for result in POLL_RESULTS}
    assert len(requests) == (len(behaviour.outcomes) if behaviour.asked is None else behaviour.asked)
    for name, values in behaviour.sent.items():
        assert tuple(request.headers.get(name) for request in requests) == values
