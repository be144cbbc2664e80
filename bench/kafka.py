"""What the Kafka path costs beside a bare loop over the same records. Printed; no bound is set yet."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from sqlalchemy import func, select

from bench.pipeline import Ratio, alternating
from groundswell.codec import decode_raw, records_of
from groundswell.errors import RecordError
from groundswell.names import TICK_MS, raw_topic
from groundswell.store import schema as t
from groundswell.store.store import Store
from stream.shells.publish import publish_archive
from stream.shells.topics import prepare_run
from tests.kafka_run import kafka_run
from tests.peers import kafka_cluster
from tests.synthetic_news import instruments, sealed_log

BEGUN = 200  # records after which the workers' start is over


def beside_a_bare_loop(folder: Path) -> Ratio:
    """One score and one fold worker with a scorer that costs little, from raw topic to stored windows and candidates."""
    folder.mkdir(parents=True)
    log = sealed_log(folder / "log.db")
    records = log.records()
    with kafka_cluster() as bootstrap:

        def ours(number: int) -> float:
            name = f"bench{number}"
            store = Store(str(folder / f"{name}.db"))
            prepare_run(store, bootstrap, name, kind="backfill", instruments=instruments())
            publish_archive(log, bootstrap, name, store=store)
            with kafka_run(bootstrap, store.url, name, folder / name) as run:
                run.start("score", 0)
                run.start("fold", 0)
                run.wait(lambda: _admitted(store) >= BEGUN, what="the workers' start", within_s=120)
                begun, began = _admitted(store), time.perf_counter()
                end_ms = (log.last_known_ms() or 0) + 2 * TICK_MS
                run.wait(lambda: run.folded_through(end_ms), what="folding", within_s=300)
                seconds = (time.perf_counter() - began) * records / max(1, records - begun)
            store.close()
            return seconds

        ours(99)
        mine, bare = alternating(ours, lambda _: asyncio.run(_bare(bootstrap, raw_topic("bench99"), records)))
    return Ratio(
        "documents per second through Kafka, score, fold and store",
        "a bare aiokafka loop that decodes the same records and stores nothing",
        bare / mine,
        "printed",
        f"{records / mine:,.0f} against {records / bare:,.0f} documents/s, {records:,} documents in envelopes",
    )


def _admitted(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(t.admissions)).scalar_one())


def _decoded(envelope: bytes) -> int:
    """Decode a message's records; the archive has a few that cannot be, and they count too."""
    try:
        bodies = records_of(envelope)
    except RecordError:
        return 1
    for body in bodies:
        with suppress(RecordError):
            decode_raw(body)
    return len(bodies)


async def _bare(bootstrap: str, topic: str, records: int) -> float:
    """Seconds to read and decode every record of a topic."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    began, seen = time.perf_counter(), 0
    try:
        while seen < records:
            for messages in (await consumer.getmany(timeout_ms=1_000)).values():
                for message in messages:
                    seen += _decoded(message.value)
        return time.perf_counter() - began
    finally:
        await consumer.stop()
