from pathlib import Path

import pytest

from dashboards.board.show import trust_json
from dashboards.board.trust import HELD_BACK_MS, LATE_MS, Watch
from groundswell.local_log import LocalLog
from groundswell.names import RAW_PARTITIONS, ROLE_SCORE, TICK_MS
from groundswell.silence import LEAST_PATIENCE_TICKS
from groundswell.store import schema as t
from groundswell.store.canaries import Canary, keep_canary
from groundswell.store.conditions import hold
from groundswell.store.store import Store
from tests.dashboards.board.board_store import END_MS, FORUM, SILENT_MS, WIRE, close, fill


class Ticker:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store.db"))


def test_a_source_is_blind_from_its_patience_on_and_seen_again_when_it_speaks(store: Store) -> None:
    fill(store, None)
    watch = Watch("r", None)
    with store.read() as connection:
        before = watch.trust(connection, now_ms=END_MS)
    with store.write() as connection:
        row = dict(connection.execute(t.admissions.select().where(t.admissions.c.source == FORUM)).mappings().first() or {})
        tick = END_MS // TICK_MS
        connection.execute(t.admissions.insert().values(row | {"position": 9_999, "known_ms": END_MS, "tick": tick, "outcome": "edited"}))
    close(store, "r", until_ms=END_MS + TICK_MS, next_offset=10_000)
    with store.read() as connection:
        after = watch.trust(connection, now_ms=END_MS)
    store.close()
    assert before.blind == {FORUM: SILENT_MS - 10 * 60_000 + LEAST_PATIENCE_TICKS * TICK_MS}
    assert (before.reporting, before.sources, before.sound) == (1, 2, False)
    assert (after.blind, after.reporting) == ({}, 2)


def test_only_a_live_run_can_be_late(store: Store) -> None:
    fill(store, None, run="live", kind="live")
    fill_again = Watch("live", None)
    with store.read() as connection:
        in_time, late = (fill_again.trust(connection, now_ms=END_MS + ms) for ms in (LATE_MS, LATE_MS + 1))
    store.close()
    assert (in_time.late, late.late) == (False, True)


def test_what_operators_have_to_know_stands_in_the_first_line_of_a_live_run(store: Store) -> None:
    fill(store, None, run="live", kind="live")
    watch = Watch("live", None)
    with store.read() as connection:
        before = watch.version(connection)
    hold(store, "drops", WIRE, reason="30 records of it were dropped within an hour", now_ms=END_MS)
    hold(store, "behind", "live", reason="the line says so itself", now_ms=END_MS)
    with store.read() as connection:
        trust, after = watch.trust(connection, now_ms=END_MS), watch.version(connection)
    store.close()
    assert [(c.kind, c.subject) for c in trust.conditions] == [("drops", WIRE)]
    assert not trust.sound
    assert before != after, "the page is drawn again"
    assert trust_json(trust)["conditions"][0]["subject"] == WIRE


@pytest.mark.parametrize(("behind_ms", "named"), [(HELD_BACK_MS, False), (HELD_BACK_MS + 1, True)])
def test_the_raw_partition_that_all_wait_for_is_named(store: Store, behind_ms: int, *, named: bool) -> None:
    fill(store, None, run="live", kind="live")
    with store.write() as connection:
        row = dict(connection.execute(t.progress.select().where(t.progress.c.role == ROLE_SCORE)).mappings().one())
        moved = row | {"owner": "host:7", "time_ms": END_MS}
        connection.execute(t.progress.delete().where(t.progress.c.role == ROLE_SCORE))
        rows = [moved | {"part": part, "time_ms": END_MS - (behind_ms if part == 3 else 0)} for part in range(RAW_PARTITIONS)]
        connection.execute(t.progress.insert(), rows)
    with store.read() as connection:
        trust = Watch("live", None).trust(connection, now_ms=END_MS)
    store.close()
    assert (trust.held_back is not None) is named
    assert trust_json(trust)["held_back"] == ({"partition": 3, "behind_s": HELD_BACK_MS // 1000, "owner": "host:7"} if named else None)


def test_what_the_log_holds_beyond_the_read_offset_is_in_flight_and_not_missing(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "store.log") as log:
        fill(store, log)
        log.append([("document", WIRE, b"{}")] * 3, now_ms=END_MS)
        with store.read() as connection:
            trust = Watch("r", log).trust(connection, now_ms=END_MS)
    store.close()
    assert (trust.in_flight, trust.unbalanced, trust.documents) == (3, {}, 3814)


def test_the_balance_is_made_again_only_when_something_came_and_some_seconds_passed(store: Store, tmp_path: Path) -> None:
    ticker = Ticker()
    with LocalLog(tmp_path / "store.log") as log:
        fill(store, log)
        watch = Watch("r", log, monotonic=ticker)
        with store.read() as connection:
            first = watch.balances(connection)
            ticker.now = 60.0
            assert watch.balances(connection) is first  # nothing came
        log.append([("document", WIRE, b"{}")], now_ms=END_MS)
        close(store, "r", until_ms=END_MS + TICK_MS, next_offset=3813)
        with store.read() as connection:
            second = watch.balances(connection)
        log.append([("document", WIRE, b"{}")], now_ms=END_MS)
        close(store, "r", until_ms=END_MS + 2 * TICK_MS, next_offset=3814)
        with store.read() as connection:
            assert watch.balances(connection) is second  # a moment ago
            assert watch.balances(connection, fresh=True) is not second
    store.close()
    assert second is not first


def test_a_page_is_another_one_when_a_tick_has_closed(store: Store) -> None:
    fill(store, None)
    watch = Watch("r", None)
    versions = []
    for minute in range(2):
        with store.read() as connection:
            versions += [watch.version(connection), watch.version(connection)]
        close(store, "r", until_ms=END_MS + (minute + 1) * 60_000, next_offset=600)
    store.close()
    assert versions[0] == versions[1] != versions[2] == versions[3]


def test_the_last_canary_of_a_live_run_is_on_the_first_line(store: Store) -> None:
    fill(store, None, run="live", kind="live")
    watch = Watch("live", None)
    with store.read() as connection:
        before = watch.version(connection), watch.trust(connection, now_ms=END_MS).canary
    keep_canary(store, "live", Canary(END_MS - 60_000, END_MS - 39_000))
    with store.read() as connection:
        after = watch.version(connection), watch.trust(connection, now_ms=END_MS).canary
    store.close()
    assert before[0] != after[0]
    assert before[1] is None
    assert after[1] is not None
    assert after[1].latency_s == 21


def test_a_balance_that_only_the_lookout_finds_off_stands_in_the_first_line_and_one_that_both_do_stands_there_once(store: Store) -> None:
    fill(store, None, run="live", kind="live")
    with store.read() as connection:
        counted = {row.source: row.scored + row.edited + row.dropped for row in Watch("live", None).balances(connection)}
    with store.write() as connection:
        store.insert(connection, t.taken, [{"run": "live", "part": 0, "source": name, "documents": n} for name, n in counted.items()])
    hold(store, "balance", "live", reason=f"{WIRE} +1", now_ms=END_MS)
    with store.read() as connection:
        alone = Watch("live", None).trust(connection, now_ms=END_MS)
    with store.write() as connection:
        connection.execute(t.taken.update().where(t.taken.c.source == WIRE).values(documents=counted[WIRE] + 1))
    with store.read() as connection:
        both = Watch("live", None).trust(connection, now_ms=END_MS)
    store.close()
    assert (alone.unbalanced, [c.kind for c in alone.conditions]) == ({}, ["balance"])
    assert (both.unbalanced, [c.kind for c in both.conditions]) == ({WIRE: 1}, [])
