"""The durable local log: order, stamps, one-time sort, and what a full disk or another release leads to."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundswell.codec import encode
from groundswell.errors import DependencyError, UsageError
from groundswell.local_log import BadLine, LocalLog, StagedRecord
from groundswell.records import Heartbeat
from tests import peers


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    with LocalLog(tmp_path / "deep" / "er" / "a.log") as opened:
        yield opened


def documents(*bodies: bytes, source: str = "wire") -> list[tuple[str, str, bytes]]:
    return [("document", source, body) for body in bodies]


def test_records_come_back_in_order_with_their_stamp(log: LocalLog) -> None:
    assert log.append(documents(b"a", b"b"), now_ms=5) == 5
    log.append(documents(b"c", source="quay"), now_ms=9)

    read = log.read(0, limit=10)
    assert [(r.known_ms, r.source, r.body) for r in read] == [(5, "wire", b"a"), (5, "wire", b"b"), (9, "quay", b"c")]
    assert [r.body for r in log.read(read[1].position.offset, limit=1)] == [b"b"]
    assert (log.records(), log.last_known_ms()) == (3, 9)


def test_a_clock_that_goes_back_does_not_take_the_log_along(log: LocalLog) -> None:
    stamps = [log.append(documents(b"x"), now_ms=now) for now in (100, 40, 101)]

    assert stamps == [100, 100, 101]


def test_reading_stops_before_a_time(log: LocalLog) -> None:
    for now in (1, 2, 3):
        log.append(documents(b"x"), now_ms=now)

    assert [r.known_ms for r in log.read(0, limit=10, until_ms=3)] == [1, 2]


def test_nothing_of_a_batch_that_fails_is_kept_and_the_log_goes_on(log: LocalLog) -> None:
    class TornError(Exception):
        pass

    def torn() -> Iterator[tuple[str, str, bytes]]:
        yield ("document", "wire", b"first")
        raise TornError

    with pytest.raises(TornError):
        log.append(torn(), now_ms=1)
    refused: Any = None  # a column refuses it, as a full disk would
    with pytest.raises(DependencyError, match="nothing was written"):
        log.append([("document", "wire", refused)], now_ms=1)
    log.append(documents(b"next"), now_ms=2)

    assert [r.body for r in log.read(0, limit=10)] == [b"next"]


def test_documents_are_counted_by_source_and_heartbeats_are_not(log: LocalLog) -> None:
    beat = encode(Heartbeat(source="b", fetched_ms=1, ok=True))
    log.append([("document", "b", b""), ("heartbeat", "b", beat), ("document", "a", b""), ("document", "b", b"")], now_ms=1)
    third = log.read(0, limit=10)[2].position.offset

    assert log.documents_by_source() == {"a": (1, 1), "b": (2, 2)}
    assert log.documents_by_source(since=third) == {"a": (1, 1), "b": (2, 1)}


def test_a_log_keeps_its_id_and_another_file_has_another(tmp_path: Path) -> None:
    with LocalLog(tmp_path / "a") as first, LocalLog(tmp_path / "a") as again, LocalLog(tmp_path / "b") as other:
        assert first.log_id == again.log_id != other.log_id


def test_an_archive_is_sorted_by_time_identity_and_content_whatever_order_it_came_in(tmp_path: Path) -> None:
    records = [StagedRecord(known, name, "wire", body) for known in (7, 3) for name in "ba" for body in (b"2", b"1")]
    orders = []
    for number, given in enumerate((records, records[::-1])):
        with LocalLog(tmp_path / str(number)) as log:
            log.stage("f", given[:3], lines=3, done=False)
            log.stage("f", given[3:], lines=8, done=True)
            log.seal()
            orders.append([(r.known_ms, r.body) for r in log.read(0, limit=10)])

    assert orders[0] == orders[1]
    assert [known for known, _ in orders[0]] == [3] * 4 + [7] * 4


def test_a_staged_file_is_remembered_to_its_last_line(log: LocalLog) -> None:
    assert log.lines_staged("f") == (0, False)
    log.stage("f", [], [BadLine("f", 2, "broken", b"{")], lines=4, done=False)
    log.stage("f", [], [BadLine("f", 2, "told twice", b"{")], lines=9, done=True)

    assert log.lines_staged("f") == (9, True)
    assert log.bad_lines() == [BadLine("f", 2, "broken", b"{")]


def test_a_sealed_log_takes_no_more_and_sorting_twice_changes_nothing(log: LocalLog) -> None:
    log.stage("f", [StagedRecord(1, "a", "wire", b"x")], lines=1, done=True)
    log.seal()
    log.seal()

    assert log.records() == 1
    with pytest.raises(UsageError, match="it is sorted already; new files belong to a new run"):
        log.stage("g", [], lines=0, done=True)


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("this is a diary, and a long one\n" * 100)

    with pytest.raises(DependencyError, match="file is not a database"):
        LocalLog(tmp_path / "a")


def test_a_log_of_a_later_release_is_refused_instead_of_misread(tmp_path: Path) -> None:
    LocalLog(tmp_path / "a").close()
    with sqlite3.connect(tmp_path / "a") as file:
        file.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    file.close()

    with pytest.raises(DependencyError, match="its schema is 2, this release reads 1"):
        LocalLog(tmp_path / "a")


def test_an_archive_far_larger_than_the_memory_for_it_is_sorted_on_disk(tmp_path: Path) -> None:
    """200 MB, with a cache of 32 MB: what grows with the archive is the file."""
    records, body_bytes = 50_000, 4_000
    command = [sys.executable, "-m", "tests.groundswell.sort_process", str(tmp_path / "log"), str(records), str(body_bytes)]
    done = subprocess.run(command, cwd=peers.REPOSITORY, capture_output=True, text=True, check=True, timeout=600)
    read, grown_bytes = map(int, done.stdout.split())
    assert read == records
    assert (tmp_path / "log").stat().st_size > records * body_bytes
    assert grown_bytes < records * body_bytes // 2
