"""Months of the live run, on SQLite and on PostgreSQL alike: their rows go, what they sum to and what people were told stays."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from groundswell.errors import UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.drop_months import drop_month, months_to_drop
from groundswell.store.month_rows import month_rows
from groundswell.store.months import Month, dropped_months
from groundswell.store.query import Balance, alerts_of, balance_of, total
from groundswell.store.removals import remove_texts
from groundswell.store.runs import runs_of
from groundswell.store.store import Store
from groundswell.store.tables import series_rows
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from stream.shells.verify import verify
from tests import builders as b

OLD, NEXT = Month(2026, 9), Month(2026, 10)
NOW_MS = Month(2026, 12).begin_ms
OTHER = "past"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url"))) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    with b.fill(LocalLog(tmp_path / "live.log"), b.an_archive(3, records=320)) as filled:
        yield filled


@pytest.fixture
def played(store: Store, log: LocalLog) -> Store:
    """A live run that was heard in September and October."""
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments(), targets=("console",))
    while pipeline.step():
        pass
    pipeline.finish()
    return store


def dropped(store: Store, month: Month = OLD, *, chunk: int = 50) -> None:
    drop_month(store, month, now_ms=NOW_MS, chunk=chunk)


def balances(store: Store, log: LocalLog) -> list[Balance]:
    with store.read() as connection:
        return balance_of(connection, LIVE_RUN, log=log)


def rows(store: Store, table: Table) -> list[tuple[object, ...]]:
    with store.read() as connection:
        return sorted((tuple(row) for row in connection.execute(select(table))), key=repr)


def in_month(store: Store, table: Table, month: Month = OLD, *, run: str = LIVE_RUN) -> int:
    with store.read() as connection:
        mine = table.c.run == run, table.c.tick.between(month.first_tick, month.last_tick)
        return connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()


# --- what goes and what stays ----------------------------------------------------------------------------------------------------
def test_the_balance_of_every_source_is_the_same_before_between_and_after(played: Store, log: LocalLog) -> None:
    before, seen = balances(played, log), []
    assert total(before).balance == 0
    assert total(before).duplicate
    assert total(before).dropped
    drop_month(played, OLD, now_ms=NOW_MS, chunk=20, progress=lambda _table, _rows: seen.append(balances(played, log)))
    assert balances(played, log) == before
    assert len(seen) > 5
    assert all(each == before for each in seen)


def test_rows_of_the_month_go_and_those_of_the_next_one_stay(played: Store) -> None:
    tables = t.admissions, t.increments, t.stories
    later = {table.name: in_month(played, table, NEXT) for table in tables}
    assert all(in_month(played, table) for table in tables)
    dropped(played)
    assert not any(in_month(played, table) for table in tables)
    assert {table.name: in_month(played, table, NEXT) for table in tables} == later
    with played.read() as connection:
        assert not connection.execute(select(t.drops).where(t.drops.c.known_ms < OLD.end_ms)).all()
        ended = connection.execute(select(func.min(t.baselines.c.period)).where(t.baselines.c.period_s == 86_400)).scalar_one()
    assert ended >= NEXT.begin_ms // DAY_MS


def test_what_people_were_told_and_why_stays_to_the_last_byte(played: Store) -> None:
    kept = t.alerts, t.candidates, t.decisions, t.incidents, t.outbox, t.versions
    before = {table.name: rows(played, table) for table in kept}
    assert all(before.values())
    dropped(played)
    assert {table.name: rows(played, table) for table in kept} == before


def contents(store: Store, table: Table) -> set[tuple[object, ...]]:
    with store.read() as connection:
        pairs = select(table.c.document_id, table.c.content_hash).where(table.c.document_id.is_not(None))
        return {tuple(row) for row in connection.execute(pairs)}


def test_documents_go_that_no_admission_needs_and_no_others(played: Store) -> None:
    refused = contents(played, t.documents) - contents(played, t.admissions)  # by the model: kept for the drop, which names none
    before = contents(played, t.documents)
    dropped(played)
    needed = contents(played, t.admissions)
    assert needed < before - refused
    assert contents(played, t.documents) == needed | refused
    assert contents(played, t.search) == needed | refused
    assert contents(played, t.scores) <= needed


def test_other_runs_keep_every_row_and_every_text(store: Store, log: LocalLog, played: Store) -> None:
    open_run(store, OTHER, kind="backfill", instruments=b.instruments())
    pipeline = EmbeddedPipeline(store, log, OTHER, b.instruments())
    while pipeline.step():
        pass
    pipeline.finish()
    documents, increments = rows(store, t.documents), in_month(store, t.increments, run=OTHER)
    assert increments
    dropped(store)
    assert rows(store, t.documents) == documents
    assert in_month(store, t.increments, run=OTHER) == increments
    assert not [check for check in verify(store, OTHER, b.instruments()) if check.wrong]


def test_what_was_forgotten_by_request_is_remembered_and_what_only_expired_is_not(played: Store) -> None:
    with played.read() as connection:
        mine = select(t.admissions.c.document_id).where(t.admissions.c.tick <= OLD.last_tick, t.admissions.c.outcome == "scored")
        asked, old = sorted(set(connection.execute(mine).scalars()))[:2]
    remove_texts(played, t.documents.c.document_id == asked, reason="document", now_ms=NOW_MS)
    remove_texts(played, t.documents.c.document_id == old, reason="retention", now_ms=NOW_MS)
    dropped(played)
    with played.read() as connection:
        for table, found in ((t.documents, [asked]), (t.removals, [asked])):
            assert connection.execute(select(table.c.document_id).where(table.c.document_id.in_([asked, old]))).scalars().all() == found


# --- what is said of it ----------------------------------------------------------------------------------------------------------
def test_an_alert_whose_rows_are_gone_is_explained_by_that_and_not_called_wrong(played: Store, log: LocalLog) -> None:
    with played.read() as connection:
        alert = alerts_of(connection, LIVE_RUN)[0]
    assert alert.opened_ms < OLD.end_ms
    assert not explain(played, alert.id, b.instruments()).gone
    dropped(played)
    found = explain(played, alert.id, b.instruments())
    assert (found.alert, found.same, found.differences) == (alert, False, [])
    assert found.gone == "rows of 2026-09 were dropped on 2026-12-01T00:00:00Z"
    checks = {check.name: check for check in verify(played, LIVE_RUN, b.instruments(), log=log)}
    assert not any(check.wrong for check in checks.values()), [check.shown for check in checks.values()]
    assert checks["increments"].note == "rows of 2026-09 were dropped on 2026-12-01T00:00:00Z"
    assert checks["increments"].compared
    assert checks["alerts"].note.endswith("cannot be made again: rows of 2026-09 were dropped on 2026-12-01T00:00:00Z")


def test_windows_of_a_month_that_is_gone_have_no_counts_instead_of_zeros(played: Store) -> None:
    with played.read() as connection:
        key = alerts_of(connection, LIVE_RUN)[0].series
    dropped(played)
    with played.read() as connection:
        around = series_rows(connection, LIVE_RUN, [key], start_ms=OLD.end_ms - DAY_MS, end_ms=OLD.end_ms + DAY_MS, window_ms=DAY_MS)
        found = [row["documents"] for row in around]
    assert found[0] is None
    assert found[1] is not None


def test_the_lists_say_what_there_was(played: Store) -> None:
    with played.read() as connection:
        before, (run,) = {row["month"]: row for row in month_rows(connection)}, runs_of(connection)
    dropped(played)
    with played.read() as connection:
        after, (again,) = {row["month"]: row for row in month_rows(connection)}, runs_of(connection)
        assert [one.month for one in dropped_months(connection, LIVE_RUN)] == [OLD]
        assert dropped_months(connection, LIVE_RUN, since_ms=OLD.end_ms) == []
    drops = after[OLD.name]["records"] - before[OLD.name]["records"]
    assert drops > 0, "records that were dropped have no admission, and count with the others once the month is gone"
    assert (after[OLD.name]["increments"], after[OLD.name]["dropped"]) == (0, "2026-12-01T00:00:00Z")
    assert after[NEXT.name] == before[NEXT.name]
    assert again.documents == run.documents


# --- when ------------------------------------------------------------------------------------------------------------------------
def test_a_month_that_is_still_looked_back_on_is_refused(played: Store) -> None:
    with played.read() as connection:
        assert months_to_drop(connection, NEXT, needed_ms=0) == [OLD]
        assert months_to_drop(connection, OLD, needed_ms=0) == []
        with pytest.raises(
            UsageError, match=r"months before 2026-10: the run is known until 2026-10.* and looks back 30 days; give 2026-09 or"
        ):
            months_to_drop(connection, NEXT, needed_ms=30 * DAY_MS)


def test_a_run_that_has_closed_nothing_has_nothing_old(store: Store) -> None:
    with store.read() as connection, pytest.raises(UsageError, match="it has closed nothing yet"):
        months_to_drop(connection, OLD, needed_ms=0)


def test_a_drop_that_is_killed_between_any_two_pieces_goes_on_where_it_stopped(played: Store, log: LocalLog) -> None:
    before = balances(played, log)
    for pieces in (0, 1, 4, 9):
        with pytest.raises(KeyboardInterrupt):
            drop_month(played, OLD, now_ms=NOW_MS, chunk=20, progress=killing_after(pieces))
        with played.read() as connection:
            assert dropped_months(connection, LIVE_RUN)[0].sentence == "rows of 2026-09 are being dropped since 2026-12-01T00:00:00Z"
            assert months_to_drop(connection, NEXT, needed_ms=0) == [OLD]
        assert balances(played, log) == before
    dropped(played)
    with played.read() as connection:
        assert months_to_drop(connection, NEXT, needed_ms=0) == []
    assert balances(played, log) == before
    assert in_month(played, t.admissions) == 0


def killing_after(pieces: int) -> Callable[[str, int], None]:
    """What ends a drop in the middle of a piece, after so many whole ones."""
    told = iter(range(pieces))

    def tell(_table: str, _rows: int) -> None:
        if next(told, None) is None:
            raise KeyboardInterrupt

    return tell


def test_the_pipeline_goes_on_after_a_drop_and_the_balance_stays_zero(played: Store, log: LocalLog) -> None:
    dropped(played)
    before, last_ms = total(balances(played, log)).fetched, log.last_known_ms() or 0
    b.fill(log, [(record[0] - b.T0_MS + last_ms, *record[1:]) for record in b.an_archive(9, records=40)])
    pipeline = EmbeddedPipeline(played, log, LIVE_RUN, b.instruments(), targets=("console",))
    while pipeline.step():
        pass
    pipeline.finish()
    sums = total(balances(played, log))
    assert sums.fetched > before
    assert (sums.in_flight, sums.balance) == (0, 0)
