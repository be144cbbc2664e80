"""The board learns that a crawler cannot publish, and that it can again; without a store nothing stops."""

from pathlib import Path

import pytest

from groundswell.clock import ManualClock
from groundswell.store.conditions import Condition, open_conditions
from groundswell.store.store import Store
from ingest.spool_report import SpoolReport

TROUBLE = "12 records wait in spool.log (3% of data.spool_mb_max): the broker is away"


class Sink:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.said: str | None = None

    def trouble(self) -> str | None:
        return self.said


def conditions(path: Path) -> list[Condition]:
    store = Store(str(path))
    with store.read() as connection:
        found = open_conditions(connection)
    store.close()
    return found


def test_what_waits_at_two_looks_is_a_condition_until_it_is_gone(tmp_path: Path) -> None:
    sink, clock, path = Sink(), ManualClock(1_000), tmp_path / "store.db"
    report = SpoolReport(str(path), sink, clock=clock, host="crawler-1")
    sink.said = TROUBLE
    report.look()
    assert conditions(path) == []  # a hiccup is nobody's business
    clock.advance(30_000)
    report.look()
    [condition] = conditions(path)
    assert (condition.kind, condition.subject, condition.since_ms, condition.reason) == ("spool", "crawler-1", 31_000, TROUBLE)
    sink.said = None
    report.look()
    assert conditions(path) == []
    report.close()


def test_a_crawler_that_starts_without_trouble_ends_the_condition_of_the_one_before(tmp_path: Path) -> None:
    sink, path = Sink(), tmp_path / "store.db"
    before = SpoolReport(str(path), sink, clock=ManualClock(), host="crawler-1")
    sink.said = TROUBLE
    before.look()
    before.look()
    before.close()
    assert len(conditions(path)) == 1
    sink.said = None
    after = SpoolReport(str(path), sink, clock=ManualClock(), host="crawler-1")
    after.look()
    after.close()
    assert conditions(path) == []


def test_a_store_that_cannot_be_reached_is_said_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.said = TROUBLE
    report = SpoolReport("postgresql://127.0.0.1:1/none", sink, clock=ManualClock(), host="crawler-1")
    for _ in range(4):
        report.look()
    report.close()
    assert len([record for record in caplog.records if "the board is not told" in record.getMessage()]) == 1
