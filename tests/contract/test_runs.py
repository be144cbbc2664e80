"""Runs, on SQLite and on PostgreSQL alike: what there is, what can be made again, a history for the live run, and its end."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from sqlalchemy import delete, func, select, update

from groundswell.codec import decode_raw
from groundswell.errors import NotFoundError, OwnershipLostError, RecordError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, LIVE_RUN, TICK_MS
from groundswell.records import RawDocument
from groundswell.schedule import MODEL
from groundswell.store import schema as t
from groundswell.store.audit import COMMAND_LINE, RUN_ATTACHED, Entry, entries
from groundswell.store.drop_run import STILL_MS, begin_drop, finish_drop
from groundswell.store.history import History, attach, history_of
from groundswell.store.query import alerts_of, run_named, series_windows
from groundswell.store.runs import is_complete, runs_of
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force
from stream.shells.backfill import account_for
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run, update_manifest
from stream.shells.verify import verify
from tests import builders as b

PAST = "past"
SPLIT_MS = b.T0_MS + 9 * DAY_MS
Record = tuple[int, str, str, bytes]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url"))
    yield opened
    opened.close()


class Two(NamedTuple):
    """An archive in two parts of which no document is in both."""

    before: list[Record]
    after: list[Record]


@pytest.fixture(scope="module")
def archive() -> Two:
    whole = b.an_archive(3, records=420)
    before = [record for record in whole if record[0] < SPLIT_MS]
    told = {document_of(record) for record in before} - {None}
    return Two(before, [record for record in whole if record[0] >= SPLIT_MS and document_of(record) not in told])


def document_of(record: Record) -> str | None:
    try:
        raw = decode_raw(record[3])
    except RecordError:
        return None
    return raw.id if isinstance(raw, RawDocument) else None


def backfilled(store: Store, folder: Path, records: list[Record], *, run: str = PAST) -> None:
    """A finished backfill of these records."""
    instruments = b.instruments()
    open_run(store, run, kind="backfill", instruments=instruments)
    with b.fill(LocalLog(folder / f"{run}.log"), records) as log:
        pipeline = EmbeddedPipeline(store, log, run, instruments)
        while pipeline.step():
            pass
        pipeline.finish()
        account_for(store, run, log, [])
    update_manifest(store, run, complete=True)


def live_pipeline(store: Store, log: LocalLog) -> EmbeddedPipeline:
    instruments = b.instruments()
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    return EmbeddedPipeline(store, log, LIVE_RUN, instruments, targets=("console",))


def play(pipeline: EmbeddedPipeline) -> None:
    while pipeline.step():
        pass
    pipeline.finish()


def unheld(store: Store, run: str, log: LocalLog | None = None) -> dict[str, list[str]]:
    """{check: disagreements} of those that do not hold."""
    return {check.name: check.shown for check in verify(store, run, b.instruments(), log=log) if check.wrong}


# --- what there is ------------------------------------------------------------------------------------------------------------
def test_the_list_says_what_each_run_holds_and_whether_it_is_complete(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before)
    open_run(store, "begun", kind="backfill", instruments=b.instruments())
    with store.read() as connection:
        begun, past = runs_of(connection)
        alerts = len(alerts_of(connection, PAST))

    assert (begun.run, begun.documents, begun.first_known_ms, begun.complete) == ("begun", 0, None, False)
    assert (past.run, past.kind, past.model_id, past.alerts, past.complete, past.note) == (PAST, "backfill", "fake-1", alerts, True, "")
    assert past.documents > 200
    assert b.T0_MS <= (past.first_known_ms or 0) < (past.last_known_ms or 0) < SPLIT_MS


def test_a_run_through_kafka_is_complete_when_everything_published_has_been_decided(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before[:50])
    with store.read() as connection:
        counts = [select(func.count()).select_from(table) for table in (t.admissions, t.drops)]
        records = sum(connection.execute(count).scalar_one() for count in counts)
    for published, complete in ((records + 1, False), (records, True)):
        update_manifest(store, PAST, complete=False, published=published)
        with store.read() as connection:
            assert is_complete(connection, PAST) is complete


# --- verify -------------------------------------------------------------------------------------------------------------------
def test_what_was_stored_can_be_made_again_from_its_facts(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before)
    checks = {check.name: check for check in verify(store, PAST, b.instruments())}

    assert {name: check.shown for name, check in checks.items()} == {"balance": [], "facts": [], "increments": [], "alerts": []}
    assert all(check.compared for check in checks.values())


def test_each_kind_of_row_that_was_changed_by_hand_is_found(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before)
    with store.write() as connection:
        i, f, s = t.increments.c, t.fetched.c, t.scores.c
        first = connection.execute(select(i.series, i.tick).order_by(i.tick, i.series).limit(1)).one()
        mine = (i.series == first.series) & (i.tick == first.tick)
        connection.execute(update(t.increments).where(mine).values(documents=i.documents + 1))
        connection.execute(update(t.fetched).where(f.source == "wire").values(documents=f.documents + 2))
        lost = connection.execute(select(s.document_id).order_by(s.document_id).limit(1)).scalar_one()
        connection.execute(delete(t.scores).where(s.document_id == lost))
    found = unheld(store, PAST)

    assert "source wire: +3" in found["balance"] or "source wire: +2" in found["balance"]
    assert any(f"document {lost}: no score" in line for line in found["facts"])
    assert any("its columns say" in line for line in found["increments"])
    assert any("the score that counted" in line for line in found["increments"])


def test_a_run_that_nobody_stored_cannot_be_verified(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"run 'nobody': it is not stored; `groundswell runs list`"):
        verify(store, "nobody", b.instruments())


# --- attach -------------------------------------------------------------------------------------------------------------------
def test_with_a_history_the_live_run_alerts_where_it_would_still_have_been_forming(store: Store, tmp_path: Path, archive: Two) -> None:
    early = [record for record in archive.after if record[0] < SPLIT_MS + 6 * HOUR_MS]
    late = archive.after[len(early) :]
    backfilled(store, tmp_path, archive.before)
    with LocalLog(tmp_path / "live.log") as log:
        before = live_pipeline(store, b.fill(log, early))
        play(before)
        history, copied = attach(store, PAST, entry=Entry(7, "li", COMMAND_LINE, RUN_ATTACHED, PAST))
        b.fill(log, late)
        with pytest.raises(OwnershipLostError):  # whoever worked without the history is fenced, and starts again with it
            before.step()
        with_history = live_pipeline(store, log)
        play(with_history)
        assert unheld(store, LIVE_RUN, log) == {}

    with store.read() as connection:
        assert entries(connection) == [Entry(7, "li", COMMAND_LINE, RUN_ATTACHED, PAST)]
    assert copied["increments"] > 100
    assert min(count for table, count in copied.items() if table != "blind_spans") > 0  # nobody was silent there
    with store.read() as connection:
        alerts, past = alerts_of(connection, LIVE_RUN), alerts_of(connection, PAST)
        due = list(connection.execute(select(t.outbox.c.alert_id)).scalars())
        assert history_of(connection, LIVE_RUN) == history
        assert [row.note for row in runs_of(connection)] == [f"goes on from {PAST}", "history of live"]
    assert alerts
    assert sorted(due) == sorted(alert.id for alert in alerts)  # nothing of the past is sent
    assert not {alert.id for alert in past} & {alert.id for alert in alerts}
    assert all(explain(store, alert.id, b.instruments(), run=LIVE_RUN).same for alert in alerts)
    assert alone(tmp_path, archive.after) == 0


def alone(folder: Path, records: list[Record]) -> int:
    """Alerts of the same live run without a history."""
    store = Store(str(folder / "alone.db"))
    with b.fill(LocalLog(folder / "alone.log"), records) as log:
        play(live_pipeline(store, log))
    with store.read() as connection:
        found = len(alerts_of(connection, LIVE_RUN))
    store.close()
    return found


def test_windows_of_the_live_run_reach_back_into_its_history(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before)
    with b.fill(LocalLog(tmp_path / "live.log"), archive.after) as log:
        play(live_pipeline(store, log))

    def documents(run: str) -> list[int]:
        with store.read() as connection:
            start_ms, end_ms = b.T0_MS - 3 * DAY_MS, b.T0_MS + 13 * DAY_MS
            windows = series_windows(connection, run, "entity:aldora", start_ms=start_ms, end_ms=end_ms, window_ms=DAY_MS)
            return [one.counts.documents for one in windows]

    apart = [past + live for past, live in zip(documents(PAST), documents(LIVE_RUN), strict=True)]
    attach(store, PAST)

    assert documents(LIVE_RUN) == apart
    assert sum(apart) > 20


def test_an_alert_from_before_the_history_is_still_made_again_to_the_same_byte(store: Store, tmp_path: Path, archive: Two) -> None:
    """The live run had formed by itself; what it is given later must not change what it said then."""
    oldest = [record for record in archive.before if record[0] < b.T0_MS + 2 * DAY_MS]
    told = {document_of(record) for record in oldest} - {None}
    rest = [record for record in [*archive.before[len(oldest) :], *archive.after] if document_of(record) not in told]
    backfilled(store, tmp_path, oldest)
    with b.fill(LocalLog(tmp_path / "live.log"), rest) as log:
        play(live_pipeline(store, log))
        with store.read() as connection:
            alerts = alerts_of(connection, LIVE_RUN)
        attach(store, PAST)

        assert alerts
        assert unheld(store, LIVE_RUN, log) == {}


def refusal(store: Store, run: str) -> str:
    with pytest.raises((UsageError, NotFoundError)) as error:
        attach(store, run)
    return str(error.value)


def test_only_a_finished_run_with_the_same_instruments_and_other_documents_becomes_a_history(
    store: Store, tmp_path: Path, archive: Two
) -> None:
    assert "run 'live': it is not stored; start `groundswell run`" in refusal(store, PAST)
    log = LocalLog(tmp_path / "live.log")
    pipeline = live_pipeline(store, log)
    assert "run 'past': it is not stored" in refusal(store, PAST)
    backfilled(store, tmp_path, archive.before)
    assert "it has not closed its first tick yet" in refusal(store, PAST)
    b.fill(log, archive.after)
    play(pipeline)  # the calls before fenced nobody: all that they did was undone
    assert "it cannot be its own history" in refusal(store, LIVE_RUN)
    update_manifest(store, PAST, complete=False)
    assert "run 'past': it is not complete; run the same `groundswell backfill` again" in refusal(store, PAST)
    update_manifest(store, PAST, complete=True, versions={"catalogue": "none", "model": "another", "rules": b.easy_rules().hash})
    assert "it was made with model another, the live run has fake-1; baselines of two kinds do not mix" in refusal(store, PAST)
    update_manifest(store, PAST, versions=b.instruments().versions)
    backfilled(store, tmp_path, archive.after, run="later")
    assert "nothing of it was known before the live run's first tick" in refusal(store, "later")
    backfilled(store, tmp_path, [*archive.before, (SPLIT_MS - 1, *archive.after[-1][1:])], run="twice")
    assert "run 'twice': 1 documents of it count in the live run too, such as" in refusal(store, "twice")
    update_manifest(store, LIVE_RUN, versions=b.instruments().versions | {"watches": "saved since"})
    attach(store, PAST)  # what is watched now is no matter of the past's
    assert "it has a history already, run 'past'" in refusal(store, PAST)
    log.close()


def test_a_live_run_that_has_changed_its_model_takes_a_history_of_the_model_that_it_began_with(
    store: Store, tmp_path: Path, archive: Two
) -> None:
    """What lies before its first tick counts as read by that one; a history of the later model would be taken for it."""
    with b.fill(LocalLog(tmp_path / "live.log"), archive.after[:60]) as log:
        play(live_pipeline(store, log))
    put_in_force(store, LIVE_RUN, {MODEL: ("fake-2", b"{}")}, now_ms=0)
    backfilled(store, tmp_path, archive.before[:60], run="later")
    update_manifest(store, "later", versions=b.instruments().versions | {"model": "fake-2"})
    assert "it was made with model fake-2, the live run has fake-1" in refusal(store, "later")
    backfilled(store, tmp_path, archive.before[:60])
    assert attach(store, PAST)[0].run == PAST


def test_the_history_counts_from_the_first_tick_of_each_partition_that_was_folded_with_it() -> None:
    history = History(PAST, 100, {0: 120})

    assert [history.counts_at(tick, "entity:aldora") for tick in (120, 121)] == [False, True]
    assert msgspec.convert(msgspec.to_builtins(history, str_keys=True), History, str_keys=True) == history


# --- drop ---------------------------------------------------------------------------------------------------------------------
def rows_of(store: Store, run: str) -> int:
    with store.read() as connection:
        counts = [select(func.count()).select_from(table).where(table.c.run == run) for table in t.DERIVED]
        return sum(connection.execute(count).scalar_one() for count in counts)


def test_a_dropped_run_leaves_its_facts_and_every_other_run(store: Store, tmp_path: Path, archive: Two) -> None:
    for run in (PAST, "other"):
        backfilled(store, tmp_path, archive.before[:120], run=run)
    other = b.export(store, "other")
    begin_drop(store, PAST, now_ms=b.T0_MS)
    rows = rows_of(store, PAST)
    told: list[tuple[str, int]] = []

    assert finish_drop(store, PAST, chunk=50, progress=lambda table, n: told.append((table, n))) == rows
    assert rows_of(store, PAST) == 0
    assert b.differences(other, b.export(store, "other")) == {}
    assert told[0] == ("fetched", next(n for table, n in told if table == "fetched"))
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.documents)).scalar_one() > 50
        assert run_named(connection, None) == "other"


def test_a_drop_that_was_killed_goes_on_and_meanwhile_nobody_opens_the_run(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before[:120])
    with LocalLog(tmp_path / f"{PAST}.log") as log:
        working = EmbeddedPipeline(store, log, PAST, b.instruments())
        begin_drop(store, PAST, now_ms=b.T0_MS)
        b.fill(log, archive.before[120:125])
        with pytest.raises(OwnershipLostError):
            working.step()

    class KilledError(Exception):
        pass

    def kill(table: str, _: int) -> None:
        if table == "increments":
            raise KilledError

    with pytest.raises(KilledError):
        finish_drop(store, PAST, chunk=50, progress=kill)
    with pytest.raises(UsageError, match=r"run 'past': it is being dropped since .*`groundswell runs drop past --yes`, or choose another"):
        open_run(store, PAST, kind="backfill", instruments=b.instruments())
    with store.read() as connection:
        assert [row.note for row in runs_of(connection)] == ["being dropped"]
        assert not is_complete(connection, PAST)
        with pytest.raises(UsageError, match="it is being dropped"):
            run_named(connection, PAST)
        with pytest.raises(NotFoundError, match="stored runs: none"):
            run_named(connection, None)
    begin_drop(store, PAST, now_ms=b.T0_MS + 1)
    finish_drop(store, PAST, chunk=50)
    assert rows_of(store, PAST) == 0
    backfilled(store, tmp_path / "again", archive.before[:20])  # the name is free
    with store.read() as connection:
        assert is_complete(connection, PAST)


def test_a_live_run_that_moves_and_a_history_are_not_dropped(store: Store, tmp_path: Path, archive: Two) -> None:
    backfilled(store, tmp_path, archive.before)
    with b.fill(LocalLog(tmp_path / "live.log"), archive.after) as log:
        play(live_pipeline(store, log))
        last_ms = log.last_known_ms() or 0
    attach(store, PAST)

    with pytest.raises(UsageError, match="run 'past': it is the live run's history"):
        begin_drop(store, PAST, now_ms=last_ms)
    with pytest.raises(UsageError, match=r"run 'live': it is worked on, its time moved \d+ s ago; stop"):
        begin_drop(store, LIVE_RUN, now_ms=last_ms + TICK_MS)
    with pytest.raises(UsageError, match="run 'past': it is not marked"):
        finish_drop(store, PAST)
    begin_drop(store, LIVE_RUN, now_ms=last_ms + STILL_MS + 3 * TICK_MS)
    finish_drop(store, LIVE_RUN)
    assert rows_of(store, LIVE_RUN) == 0
    begin_drop(store, PAST, now_ms=last_ms)


def test_what_cannot_be_named_cannot_be_dropped(store: Store) -> None:
    with pytest.raises(NotFoundError, match="run 'nobody': it is not stored"):
        begin_drop(store, "nobody", now_ms=0)
