"""The embedded shell: one owner, one log, and nothing that the log holds is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from groundswell.clock import ManualClock
from groundswell.codec import encode
from groundswell.errors import ContinuityError, OwnershipLostError
from groundswell.local_log import LocalLog
from groundswell.names import TICK_MS
from groundswell.records import Heartbeat
from groundswell.store import schema as t
from groundswell.store.query import balance_of, total
from groundswell.store.store import Store
from ingest.sink import LocalLogSink
from stream.operators.normalise import source_name
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b
from tests.dying_store import DyingStore, Killed

RUN = "live"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    with LocalLog(tmp_path / "log") as opened:
        yield opened


def opened(store: Store, log: LocalLog) -> EmbeddedPipeline:
    instruments = b.instruments()
    open_run(store, RUN, kind="live", instruments=instruments)
    return EmbeddedPipeline(store, log, RUN, instruments)


def say(log: LocalLog, name: str, at_ms: int) -> None:
    log.append([("document", "wire", encode(b.a_raw(source="wire", id=name, title=f"Aldora {name}", published_ms=at_ms)))], now_ms=at_ms)


def counted(store: Store) -> int:
    with store.read() as connection:
        i = t.increments.c
        return int(connection.execute(select(func.coalesce(func.sum(i.documents), 0)).where(i.series == "entity:aldora")).scalar_one())


def test_a_tick_is_folded_when_the_log_has_passed_it(store: Store, log: LocalLog) -> None:
    pipeline = opened(store, log)
    say(log, "one", b.T0_MS)
    say(log, "two", b.T0_MS + TICK_MS - 1)
    assert pipeline.step() == 2
    assert counted(store) == 0
    say(log, "three", b.T0_MS + TICK_MS)
    pipeline.step()

    assert counted(store) == 2


def test_a_punctuation_closes_ticks_while_nothing_comes_and_is_no_document(store: Store, log: LocalLog) -> None:
    pipeline = opened(store, log)
    say(log, "one", b.T0_MS)
    log.punctuate(now_ms=b.T0_MS + TICK_MS)
    pipeline.step()

    assert counted(store) == 1
    with store.read() as connection:
        assert total(balance_of(connection, RUN, log=log)).fetched == 1
        assert total(balance_of(connection, RUN, log=log)).balance == 0


def test_bytes_that_are_called_a_heartbeat_and_are_none_are_fetched_once_and_dropped_once(store: Store, log: LocalLog) -> None:
    pipeline = opened(store, log)
    log.append(
        [("heartbeat", "wire", b"{broken"), ("heartbeat", "wire", encode(Heartbeat(source="wire", fetched_ms=1, ok=True)))], now_ms=b.T0_MS
    )
    pipeline.step()
    with store.read() as connection:
        (row,) = balance_of(connection, RUN, log=log)
    assert (row.source, row.fetched, row.dropped, row.balance) == ("wire", 1, 1, 0)


@pytest.mark.parametrize("name", ["  Harbour <b>Wire</b> ", "Cafe\u0301 Post", "\u200b"])
def test_a_source_is_fetched_and_counted_under_one_name_whatever_it_calls_itself(store: Store, log: LocalLog, name: str) -> None:
    pipeline = opened(store, log)
    LocalLogSink(log, clock=ManualClock(b.T0_MS), name=source_name).put([b.a_raw(source=name, id="1")])
    pipeline.step()
    with store.read() as connection:
        assert [row.balance for row in balance_of(connection, RUN, log=log)] == [0]


def test_there_is_nothing_to_do_at_the_end_of_the_log(store: Store, log: LocalLog) -> None:
    pipeline = opened(store, log)
    say(log, "one", b.T0_MS)

    assert [pipeline.step(), pipeline.step()] == [1, 0]
    pipeline.finish()
    pipeline.finish()
    assert counted(store) == 1


def test_only_what_was_known_before_a_time_is_read(store: Store, log: LocalLog) -> None:
    pipeline = opened(store, log)
    for n in range(3):
        say(log, f"n{n}", b.T0_MS + n)

    assert pipeline.step(until_ms=b.T0_MS + 2) == 2
    assert pipeline.step(until_ms=b.T0_MS + 2) == 0
    assert pipeline.step() == 1


@pytest.mark.parametrize("act", ["step", "finish"])
def test_the_process_that_was_replaced_can_store_nothing_and_says_why(store: Store, log: LocalLog, act: str) -> None:
    say(log, "one", b.T0_MS)
    zombie = opened(store, log)
    zombie.step()
    owner = opened(store, log)
    owner.step()
    owner.finish()
    say(log, "two", b.T0_MS + TICK_MS)
    before = b.export(store, RUN)

    with pytest.raises(OwnershipLostError, match="has been replaced"):
        getattr(zombie, act)()
    assert b.differences(before, b.export(store, RUN)) == {}


def test_another_log_is_refused_before_anything_is_stored(store: Store, log: LocalLog, tmp_path: Path) -> None:
    opened(store, log)
    with LocalLog(tmp_path / "other") as other, pytest.raises(ContinuityError, match="start a new run, or restore the log"):
        opened(store, other)


def test_a_record_that_was_read_but_not_folded_is_folded_after_a_restart(log: LocalLog, tmp_path: Path) -> None:
    say(log, "one", b.T0_MS)
    say(log, "two", b.T0_MS + TICK_MS)
    say(log, "three", b.T0_MS + 2 * TICK_MS)
    # Writes: the run, three claims, the intake of all three records; the fold's is never committed.
    dying = DyingStore(str(tmp_path / "d.db"), writes_left=5)
    with pytest.raises(Killed):
        opened(dying, log).step()
    dying.close()
    again = Store(str(tmp_path / "d.db"))
    assert counted(again) == 0
    pipeline = opened(again, log)
    pipeline.step()
    pipeline.finish()

    assert counted(again) == 3
    again.close()
