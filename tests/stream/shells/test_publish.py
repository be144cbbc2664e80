import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from groundswell.codec import encode
from groundswell.errors import NotFoundError, UsageError
from groundswell.local_log import LocalLog, StagedRecord
from groundswell.names import RAW_PARTITIONS, TICK_MS, raw_topic
from groundswell.records import RawDocument
from groundswell.store.query import balance_of, total
from groundswell.store.store import Store
from stream.operators.admit import StampClock
from stream.shells.backfill import ArchiveOptions
from stream.shells.publish import publish_archive, publish_files, send_archive
from stream.shells.wire import RawMessage, open_envelope, stamp_message
from tests.synthetic_news import documents, instruments, sealed_log

END = "end"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


def sent_by(log: LocalLog, *, envelope_records: int = 9) -> dict[int, list[bytes]]:
    sent: dict[int, list[bytes]] = defaultdict(list)
    assert send_archive(log, lambda p, body: sent[p].append(body), envelope_records=envelope_records) == log.records()
    return sent


def archive(path: Path, *records: tuple[int, bytes]) -> LocalLog:
    log = LocalLog(path)
    log.stage("a", [StagedRecord(known_ms, str(known_ms), "s", body) for known_ms, body in records], lines=len(records), done=True)
    log.seal()
    return log


def test_every_record_arrives_once_at_its_known_time_and_in_its_logs_order(tmp_path: Path) -> None:
    log = sealed_log(tmp_path / "log.db", days=6, per_day=20)
    found = []
    for partition, messages in sent_by(log).items():
        clock = StampClock()
        for offset, body in enumerate(messages):
            found += stamp_message(RawMessage(offset, 0, body), partition, clock, live=False)
    assert sorted((r.known_ms, r.body) for r in found) == sorted((r.known_ms, r.body) for r in log.read(0, limit=10_000))


def test_all_versions_of_a_document_meet_in_one_partition(tmp_path: Path) -> None:
    partitions = defaultdict(set)
    for partition, messages in sent_by(sealed_log(tmp_path / "log.db", days=6, per_day=20)).items():
        for body in messages:
            for record in getattr(open_envelope(body), "records", []):
                raw = msgspec.json.decode(record)
                if isinstance(raw, dict) and "id" in raw:
                    partitions[raw["source"], raw["id"]].add(partition)
    assert len(partitions) > 100
    assert all(len(found) == 1 for found in partitions.values())
    assert len(set.union(*partitions.values())) == RAW_PARTITIONS


def test_at_the_end_every_partition_is_told_that_everything_known_has_been_sent(tmp_path: Path) -> None:
    log = archive(tmp_path / "log.db", (5_000, encode(RawDocument(source="s", title="one", language="en", known_ms=5_000))))
    sent = sent_by(log)
    assert sorted(sent) == list(range(RAW_PARTITIONS))
    last = [open_envelope(messages[-1]) for messages in sent.values()]
    assert {(envelope.time_ms, len(envelope.records)) for envelope in last if envelope} == {(5_000 + 2 * TICK_MS, 0)}


@pytest.mark.parametrize("body", [b"\xff\x00", b'{"type":"document"', b'{"type":"document","source":7}', b'{"records":[]}'])
def test_a_record_that_nobody_can_read_still_arrives_at_its_known_time(body: bytes, tmp_path: Path) -> None:
    log = archive(tmp_path / "log.db", (7_000, body))
    found = []
    for partition, messages in sent_by(log).items():
        clock = StampClock()
        found += [r for n, m in enumerate(messages) for r in stamp_message(RawMessage(n, 0, m), partition, clock, live=False)]
    assert [(record.known_ms, record.body) for record in found] == [(7_000, body)]


def test_a_record_without_its_logs_known_time_is_given_it(tmp_path: Path) -> None:
    log = archive(tmp_path / "log.db", (7_000, encode(RawDocument(source="s", title="one", language="en"))))
    bodies = [r for messages in sent_by(log).values() for m in messages for r in getattr(open_envelope(m), "records", [])]
    assert [msgspec.json.decode(body)["known_ms"] for body in bodies] == [7_000]


def test_a_log_that_is_not_sorted_yet_is_refused(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "log.db") as log, pytest.raises(UsageError, match="not sorted yet; seal it"):
        publish_archive(log, "127.0.0.1:9", "r", store=store)


def test_an_archive_of_a_run_that_was_never_made_is_refused_before_anything_is_sent(store: Store, tmp_path: Path) -> None:
    log = archive(tmp_path / "log.db", (1, b"{}"))
    with pytest.raises(NotFoundError, match="make it with prepare_run"):
        publish_archive(log, "127.0.0.1:9", "r", store=store)


def test_files_are_read_sorted_published_and_accounted_for_once(kafka: str, store: Store, tmp_path: Path) -> None:
    run = "publish1"
    lines = [
        {"id": d.id, "source": d.source, "title": d.title, "kind": d.kind, "language": "en", "published_at": "2025-10-09T10:00:00Z",
         "known_at": f"2025-10-09T{10 + n % 9}:00:00Z"}
        for n, d in enumerate(documents(days=2, per_day=20))
    ]  # fmt: skip
    random.Random(2).shuffle(lines)
    file = tmp_path / "news.jsonl"
    file.write_bytes(b"\n".join([*(encode(line) for line in lines), b"{broken"]) + b"\n")

    def publish() -> int:
        return publish_files([file], store, run, instruments(), kafka=kafka, data_dir=tmp_path, options=ArchiveOptions())

    assert publish() == len(lines)
    with store.read() as connection:
        sums = total(balance_of(connection, run))
    assert (sums.fetched, sums.dropped) == (len(lines) + 1, 1)
    assert list((tmp_path / "runs").iterdir()) == []
    with pytest.raises(UsageError, match=f"run '{run}': its archive was published before, with {len(lines)} records"):
        publish()
    assert raw_topic(run).endswith(run)
