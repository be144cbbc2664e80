from pathlib import Path

import pytest

from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.records import Arrival, Heartbeat
from groundswell.store import schema as t
from groundswell.store.facts import arrival_ticks, write_heartbeats
from groundswell.store.health import DAYS, SourceWatch, deliveries_of, run_kind, source_health, source_states
from groundswell.store.store import Store
from stream.operators.exposure import Exposure
from tests.dashboards.board.board_store import END_MS, FORUM, SILENT_MS, START_MS, WIRE, an_opened_alert, fill


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store.db"))
    fill(made, None, run="live", kind="live", alerts=[an_opened_alert()])
    return made


def test_source_health_has_times_counts_and_the_last_poll(store: Store) -> None:
    beats = [
        Heartbeat(source=FORUM, fetched_ms=END_MS - 60_000, ok=True),
        Heartbeat(source=FORUM, fetched_ms=END_MS, ok=False, reason="503"),
    ]
    with store.write() as connection:
        write_heartbeats(store, connection, beats)
    with store.read() as connection:
        wire, forum = source_health(connection, "live", SourceWatch("live").rhythms(connection, at_ms=END_MS), at_ms=END_MS)
    store.close()
    assert (wire.source, wire.state, wire.blind_since_ms) == (WIRE, "live", None)
    assert (wire.documents_day, wire.documents_week, len(wire.days)) == (48, 144, DAYS)
    last = SILENT_MS - 10 * 60_000
    assert (forum.state, forum.last_known_ms, forum.blind_since_ms) == ("blind", last + TICK_MS, last + HOUR_MS)
    assert (forum.documents_day, forum.documents_week) == (19 * 6, 67 * 6)
    assert (forum.polled_ms, forum.ok_ms, forum.poll_reason) == (END_MS, END_MS - 60_000, "503")


def test_source_health_calls_blind_whom_the_streams_exposure_calls_blind(store: Store) -> None:
    exposure, watch = Exposure(), SourceWatch("live")
    with store.read() as connection:
        heard = sorted((tick, source) for source, tick in arrival_ticks(connection, "live", since_tick=0, through_tick=2**40))
        for moment in range(START_MS + HOUR_MS, END_MS, 3 * HOUR_MS):
            while heard and heard[0][0] < moment // TICK_MS:
                tick, source = heard.pop(0)
                for _ in exposure.roll(tick):
                    pass
                exposure.hear(tick, [Arrival(source, "", tick * TICK_MS, 1)])
            states = source_states(watch.rhythms(connection, at_ms=moment), at_ms=moment)
            assert {name for name, state in states.items() if state == "blind"} == set(exposure.blind(moment // TICK_MS))
    store.close()


def test_a_source_that_is_read_bit_by_bit_has_the_same_rhythm_as_one_read_at_once(store: Store) -> None:
    bit_by_bit = SourceWatch("live")
    with store.read() as connection:
        for moment in range(START_MS, END_MS, 7 * HOUR_MS):
            bit_by_bit.rhythms(connection, at_ms=moment)
        got = bit_by_bit.rhythms(connection, at_ms=END_MS)
        wanted = SourceWatch("live").rhythms(connection, at_ms=END_MS)
    store.close()
    assert got == wanted


def test_what_is_known_only_later_is_not_counted(store: Store) -> None:
    with store.read() as connection:
        rhythms = SourceWatch("live").rhythms(connection, at_ms=START_MS + HOUR_MS)
        health = source_health(connection, "live", rhythms, at_ms=START_MS + HOUR_MS)
    store.close()
    assert [(one.source, one.documents_week) for one in health] == [(WIRE, 2), (FORUM, 6)]


def test_nobody_misses_a_source_that_said_nothing_for_eight_weeks(store: Store) -> None:
    with store.read() as connection:
        rhythms = SourceWatch("live").rhythms(connection, at_ms=END_MS)
    store.close()
    assert source_states(rhythms, at_ms=END_MS + 55 * DAY_MS)[FORUM] == "blind"
    assert source_states(rhythms, at_ms=END_MS + 57 * DAY_MS)[FORUM] == "forgotten"


def test_deliveries_and_kind_are_read_back(store: Store) -> None:
    with store.write() as connection:
        connection.execute(t.outbox.update().values(state="failed", attempts=2, reason="refused"))
    with store.read() as connection:
        assert deliveries_of(connection, "live", an_opened_alert().id) == [("mail:desk", "failed", 2, "refused")]
        assert (run_kind(connection, "live"), run_kind(connection, "other")) == ("live", "")
    store.close()
