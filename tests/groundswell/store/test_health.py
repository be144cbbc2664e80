from pathlib import Path

import pytest

from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.records import Arrival, Heartbeat
from groundswell.silence import LEAST_PATIENCE_TICKS
from groundswell.store import schema as t
from groundswell.store.facts import arrival_ticks, write_heartbeats
from groundswell.store.health import DAYS, SourceWatch, blind_spans, deliveries_of, run_kind, source_health, source_states
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
    assert (wire.documents_day, wire.documents_week, len(wire.days)) == (48, 336, DAYS)
    last = SILENT_MS - 10 * 60_000
    assert (forum.state, forum.last_known_ms, forum.blind_since_ms) == ("blind", last + TICK_MS, last + LEAST_PATIENCE_TICKS * TICK_MS)
    assert (forum.documents_day, forum.documents_week) == (19 * 6, 67 * 6 + 96 * 6)
    assert (forum.polled_ms, forum.ok_ms, forum.poll_reason) == (END_MS, END_MS - 60_000, "503")


@pytest.mark.parametrize(
    ("beat", "why"),
    [
        (None, "nothing new for 5 h 10 min, 10 min is the most that is usual from that hour of the week on"),
        (Heartbeat(source=FORUM, fetched_ms=END_MS, ok=True), "polls succeed, but nothing new for 5 h 10 min"),
        (Heartbeat(source=FORUM, fetched_ms=END_MS, ok=False, reason="HTTP 503"), "polls never succeeded: HTTP 503"),
        (Heartbeat(source=FORUM, fetched_ms=SILENT_MS - 600_000, ok=True), "not polled for 5 h 10 min: its crawler is silent"),
    ],
    ids=["never polled", "frozen", "failing", "no heartbeat"],
)
def test_a_blind_source_says_why(store: Store, beat: Heartbeat | None, why: str) -> None:
    with store.write() as connection:
        write_heartbeats(store, connection, [beat] if beat else [])
    with store.read() as connection:
        _, forum = source_health(connection, "live", SourceWatch("live").rhythms(connection, at_ms=END_MS), at_ms=END_MS)
    store.close()
    assert forum.state == "blind"
    assert forum.why.startswith(why)


def test_a_source_that_nobody_asks_any_more_is_disabled_and_not_blind(store: Store) -> None:
    beat = Heartbeat(source=FORUM, fetched_ms=SILENT_MS, ok=False, reason="HTTP 410")
    with store.write() as connection:
        write_heartbeats(store, connection, [beat])
    with store.read() as connection:
        rhythms = SourceWatch("live").rhythms(connection, at_ms=END_MS)
        wire, forum = source_health(connection, "live", rhythms, at_ms=END_MS, disabled={WIRE: "switched off in the catalogue"})
    store.close()
    assert (wire.state, wire.why) == ("disabled", "switched off in the catalogue")
    assert (forum.state, forum.since_ms) == ("disabled", SILENT_MS)


def test_blindness_that_has_ended_is_read_back_as_of_any_moment(store: Store) -> None:
    since, until = START_MS // TICK_MS, START_MS // TICK_MS + 100
    with store.write() as connection:
        store.insert(connection, t.blind_spans, [{"run": "live", "source": WIRE, "since_tick": since, "until_tick": until}])
    with store.read() as connection:
        spans = [blind_spans(connection, "live", start_ms=START_MS, end_ms=end * TICK_MS) for end in (until, until + 1)]
    store.close()
    assert spans == [[], [(WIRE, since * TICK_MS, until * TICK_MS)]]


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
    assert [(one.source, one.documents_week) for one in health] == [(WIRE, 336), (FORUM, 1008)]


def test_nobody_misses_a_source_that_said_nothing_for_sixteen_weeks(store: Store) -> None:
    with store.read() as connection:
        rhythms = SourceWatch("live").rhythms(connection, at_ms=END_MS)
    store.close()
    assert source_states(rhythms, at_ms=END_MS + 111 * DAY_MS)[FORUM] == "blind"
    assert source_states(rhythms, at_ms=END_MS + 112 * DAY_MS)[FORUM] == "forgotten"


def test_deliveries_and_kind_are_read_back(store: Store) -> None:
    with store.write() as connection:
        connection.execute(t.outbox.update().values(state="failed", attempts=2, reason="refused"))
    with store.read() as connection:
        assert deliveries_of(connection, "live", an_opened_alert().id) == [("mail:desk", "failed", 2, "refused")]
        assert (run_kind(connection, "live"), run_kind(connection, "other")) == ("live", "")
    store.close()
