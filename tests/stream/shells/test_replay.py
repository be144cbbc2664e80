"""Replay: a drop's bytes come back as a new record with a fate of its own, and everything stays accounted for."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from groundswell.clock import ManualClock
from groundswell.codec import encode, records_of
from groundswell.errors import DependencyError, NotFoundError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN, RAW_PARTITIONS, TICK_MS, raw_topic
from groundswell.records import Document, Position, RawDocument, Score
from groundswell.store.drops import drops_of
from groundswell.store.query import Balance, balance_of, total
from groundswell.store.store import Store
from ingest.sink import KafkaSink
from stream.operators.normalise import clean, identity
from stream.pipeline import DROP_BYTES_MAX
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.publish import RawProducer, raw_partition
from stream.shells.replay import Returned, messages_of, replay, to_local_log, to_raw_topic
from stream.shells.topics import create_topics
from tests import builders as b

NOW_MS = b.T0_MS + 60_000
GARBAGE = b'{"type":"document","source":"wire","title":'


class Willing(b.CountingScorer):
    """A model that can read what the one before it could not: only the test's own word decides."""

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One answer per document, in order."""
        return super().score([msgspec.structs.replace(d, title=d.title.replace(b.UNREAD, "").strip()) for d in documents])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    """One document that counts, one that the model cannot read, and bytes that are no record."""
    with LocalLog(tmp_path / "live.log") as opened:
        for n, title in enumerate(("Aldora debt fraud", f"Aldora {b.UNREAD}")):
            opened.append([("document", "wire", encode(raw(title, n)))], now_ms=b.T0_MS + n)
        opened.append([("document", "wire", GARBAGE)], now_ms=b.T0_MS + 2)
        yield opened


def raw(title: str, n: int) -> RawDocument:
    return b.a_raw(source="wire", title=title, id=f"n{n}", published_ms=b.T0_MS, known_ms=None)


def run_live(store: Store, log: LocalLog, *, scorer: b.CountingScorer | None = None) -> None:
    instruments = b.instruments(scorer=scorer)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
    while pipeline.step():
        pass
    pipeline.finish()


def balance(store: Store, log: LocalLog) -> Balance:
    with store.read() as connection:
        rows = balance_of(connection, LIVE_RUN, log=log)
    assert [row.balance for row in rows] == [0] * len(rows)
    return total(rows)


def place(store: Store, reason: str) -> Position:
    with store.read() as connection:
        return drops_of(connection, LIVE_RUN, reason=reason)[-1].position


def test_a_replayed_drop_is_a_new_record_that_a_model_may_now_take_and_the_balance_holds(store: Store, log: LocalLog) -> None:
    run_live(store, log)
    assert (balance(store, log).scored, balance(store, log).dropped) == (1, 2)
    done = replay(store, LIVE_RUN, put=to_local_log(log, now_ms=lambda: NOW_MS), now_ms=NOW_MS, places=[place(store, "language")])
    assert [drop.reason for drop in done.put_back] == ["language: en"]
    assert balance(store, log).in_flight == 1
    run_live(store, log, scorer=Willing())
    found = balance(store, log)

    assert (found.fetched, found.scored, found.dropped, found.in_flight) == (4, 2, 2, 0)


def test_a_drop_that_is_still_unusable_is_dropped_once_more_at_its_new_place(store: Store, log: LocalLog) -> None:
    run_live(store, log)
    put = to_local_log(log, now_ms=lambda: NOW_MS)
    replay(store, LIVE_RUN, put=put, now_ms=NOW_MS, reason="raw record")
    run_live(store, log)
    with store.read() as connection:
        new, old = drops_of(connection, LIVE_RUN, reason="raw record")

    assert (new.known_ms, new.replayed_ms, old.replayed_ms) == (NOW_MS, None, NOW_MS)
    assert balance(store, log).dropped == 3


def test_what_was_replayed_once_is_not_replayed_again_unless_that_is_meant(store: Store, log: LocalLog) -> None:
    run_live(store, log)
    put, where = to_local_log(log, now_ms=lambda: NOW_MS), place(store, "language")
    replay(store, LIVE_RUN, put=put, now_ms=NOW_MS, places=[where])
    before = log.records()
    with pytest.raises(UsageError, match=r"drop 0:2:0: it was replayed on 2026-09-21T00:01:00Z; give --again .*; nothing was put back"):
        replay(store, LIVE_RUN, put=put, now_ms=NOW_MS + 1, places=[place(store, "raw record"), where])
    done = replay(store, LIVE_RUN, put=put, now_ms=NOW_MS + 1, reason="language")

    assert (log.records(), done.put_back) == (before, [])
    assert list(done.passed_over) == ["0:2:0"]
    assert len(replay(store, LIVE_RUN, put=put, now_ms=NOW_MS + 2, places=[where], again=True).put_back) == 1


def test_bytes_that_were_cut_are_refused(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "long.log") as log:
        log.append([("document", "wire", b"x" * DROP_BYTES_MAX)], now_ms=b.T0_MS)
        run_live(store, log)
        with pytest.raises(UsageError, match=r"drop 0:1:0: only its first 65,536 bytes were kept; let its source be fetched again"):
            replay(store, LIVE_RUN, put=to_local_log(log, now_ms=lambda: NOW_MS), now_ms=NOW_MS, places=[Position(0, 1)])


def test_only_the_live_run_takes_records(store: Store, log: LocalLog) -> None:
    put = to_local_log(log, now_ms=lambda: NOW_MS)
    with pytest.raises(UsageError, match="run 'march': only the live run takes records; mend the archive, then make the run again"):
        replay(store, "march", put=put, now_ms=NOW_MS, reason="language")
    with pytest.raises(NotFoundError, match="nothing was dropped there"):
        replay(store, LIVE_RUN, put=put, now_ms=NOW_MS, places=[Position(0, 99)])


def test_nothing_is_marked_when_the_log_cannot_be_written(store: Store, log: LocalLog) -> None:
    run_live(store, log)

    def full(_: Sequence[Returned]) -> None:
        message = "log live.log: the disk is full; nothing was written"
        raise DependencyError(message)

    with pytest.raises(DependencyError):
        replay(store, LIVE_RUN, put=full, now_ms=NOW_MS, reason="language")
    with store.read() as connection:
        assert [drop.replayed_ms for drop in drops_of(connection, LIVE_RUN)] == [None, None]


def test_a_replay_that_was_put_back_twice_leads_to_a_duplicate_and_nothing_is_counted_twice(store: Store, log: LocalLog) -> None:
    """A process that dies between the log and the mark does this to whoever starts it again."""
    run_live(store, log)
    put, where = to_local_log(log, now_ms=lambda: NOW_MS), place(store, "language")
    for _ in range(2):
        replay(store, LIVE_RUN, put=put, now_ms=NOW_MS, places=[where], again=True)
    run_live(store, log, scorer=Willing())
    log.punctuate(now_ms=NOW_MS + 2 * TICK_MS)

    assert (balance(store, log).scored, balance(store, log).duplicate) == (2, 1)


# --- to the raw topic ---------------------------------------------------------------------------------------------------------
def test_a_document_goes_to_the_partition_to_which_the_crawler_sends_it(tmp_path: Path) -> None:
    documents = [raw(f"Aldora {word}", n) for n, word in enumerate(b.WORDS.split())]
    sink = KafkaSink(
        "127.0.0.1:9",
        identity=lambda one: identity(one, text=f"{clean(one.title)} {clean(one.text)}"),
        spool=tmp_path / "spool.log",
        clock=ManualClock(NOW_MS),
    )
    wanted = [sink._partition(one) for one in documents]
    found = messages_of(encode(one) for one in documents)

    assert [partition for partition, _ in found] == wanted == [raw_partition(one, known_ms=NOW_MS) for one in documents]
    assert [records_of(message) for _, message in found] == [[encode(one)] for one in documents]


def test_bytes_that_were_a_whole_message_go_as_they_came() -> None:
    ((partition, message),) = messages_of([b"\xff no JSON"])

    assert message == b"\xff no JSON"
    assert 0 <= partition < RAW_PARTITIONS


def test_a_replayed_drop_arrives_in_its_raw_partition_on_a_real_broker(kafka: str, store: Store, log: LocalLog) -> None:
    run_live(store, log)
    run = "replay1"  # a topic that no other test reads
    create_topics(kafka, run)
    with RawProducer(kafka, run) as producer:
        replay(store, LIVE_RUN, put=to_raw_topic(producer), now_ms=NOW_MS, reason="language")
    partitions = [TopicPartition(raw_topic(run), number) for number in range(RAW_PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False, group_id=None)
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found: list[tuple[int, bytes]] = []
    deadline = time.monotonic() + 180
    while any(consumer.position(one) < ends[one] for one in partitions):
        assert time.monotonic() < deadline
        for messages in consumer.poll(timeout_ms=200).values():
            found += [(message.partition, message.value) for message in messages]
    consumer.close()

    sent = raw(f"Aldora {b.UNREAD}", 1)
    assert [(partition, records_of(message)) for partition, message in found] == [(raw_partition(sent, known_ms=NOW_MS), [encode(sent)])]
