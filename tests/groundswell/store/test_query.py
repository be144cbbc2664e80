"""Queries: the balance names what is missing, windows are counted after the merge and as of any moment."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from groundswell.errors import NotFoundError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS
from groundswell.store import query
from groundswell.store import schema as t
from groundswell.store.query import Balance, balance_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b

RUN = "live"


@dataclass
class Ran:
    store: Store
    log: LocalLog


@pytest.fixture
def ran(tmp_path: Path) -> Iterator[Ran]:
    """A run over three quarters of its log."""
    archive = b.an_archive(2, records=160, days=5)
    log = b.fill(LocalLog(tmp_path / "log"), archive)
    store, instruments = Store(str(tmp_path / "s.db")), b.instruments()
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, RUN, instruments)
    for _ in range(3):
        pipeline.step(limit=len(archive) // 4)
    yield Ran(store, log)
    store.close()


def balances(ran: Ran) -> dict[str, Balance]:
    with ran.store.read() as connection:
        return {row.source: row for row in balance_of(connection, RUN, log=ran.log)}


def off(ran: Ran) -> dict[str, int]:
    return {source: row.balance for source, row in balances(ran).items() if row.balance}


# --- the balance ------------------------------------------------------------------------------------------------------------
def test_every_source_balances_at_any_moment_and_each_term_is_there(ran: Ran) -> None:
    rows = balances(ran)
    total = query.total(list(rows.values()))

    assert off(ran) == {}
    assert min(total.scored, total.duplicate, total.edited, total.dropped, total.in_flight) > 0
    assert total.fetched == sum(documents for documents, _ in ran.log.documents_by_source().values())


def test_a_lost_score_is_missing_from_its_source(ran: Ran) -> None:
    with ran.store.write() as connection:
        a, s = t.admissions.c, t.scores.c
        row = connection.execute(select(a.document_id, a.source).where(a.outcome == "scored", a.source == "daily")).first()
        assert row is not None
        connection.execute(delete(t.scores).where(s.document_id == row.document_id))

    assert off(ran) == {"daily": 1}


def test_a_lost_drop_is_missing_from_its_source(ran: Ran) -> None:
    with ran.store.write() as connection:
        d = t.drops.c
        row = connection.execute(select(d.position, d.source)).first()
        assert row is not None
        connection.execute(delete(t.drops).where(d.position == row.position))

    assert off(ran) == {row.source: 1}


def test_a_record_that_appears_where_it_was_read_already_is_missed(ran: Ran) -> None:
    with ran.store.read() as connection:
        (position,) = connection.execute(select(t.admissions.c.position).where(t.admissions.c.source == "wire")).first() or (0,)
    with closing(sqlite3.connect(ran.log.path)) as log, log:
        log.execute("UPDATE records SET source = 'stranger' WHERE position = ?", (position,))

    assert off(ran) == {"stranger": 1, "wire": -1}


def test_what_was_counted_twice_is_negative(ran: Ran) -> None:
    with ran.store.write() as connection:
        row = dict(connection.execute(select(t.admissions).where(t.admissions.c.outcome == "duplicate")).mappings().first() or {})
        ran.store.insert(connection, t.admissions, [row | {"place": 9}])

    assert off(ran) == {row["source"]: -1}


def test_a_new_model_does_not_unscore_what_an_earlier_one_scored(ran: Ran) -> None:
    newer = b.CountingScorer()
    newer.model_id = "fake-2"
    instruments = b.instruments(scorer=newer)
    open_run(ran.store, RUN, kind="live", instruments=instruments)

    assert off(ran) == {}


def test_drops_are_counted_by_their_reason(ran: Ran) -> None:
    with ran.store.read() as connection:
        reasons = query.drops_by_reason(connection, RUN)
    assert sum(reasons.values()) == query.total(list(balances(ran).values())).dropped
    assert list(reasons.values()) == sorted(reasons.values(), reverse=True)


# --- windows ----------------------------------------------------------------------------------------------------------------
def documents(ran: Ran, series: str, **options: int | str) -> list[int]:
    with ran.store.read() as connection:
        given: dict[str, Any] = {"start_ms": b.T0_MS - 2 * DAY_MS, "end_ms": b.T0_MS + 6 * DAY_MS, "window_ms": DAY_MS}
        return [window.counts.documents for window in query.series_windows(connection, RUN, series, **(given | options))]


def busiest(ran: Ran) -> str:
    with ran.store.read() as connection:
        names = query.series_like(connection, RUN, ["topic:*"])
    return max(names, key=lambda name: sum(documents(ran, name)))


def test_windows_of_any_length_hold_the_same_documents(ran: Ran) -> None:
    series = busiest(ran)
    with ran.store.read() as connection:
        i = t.increments.c
        intraday = sum(connection.execute(select(i.documents).where(i.series == series, i.daily.is_(False))).scalars())
        every = sum(connection.execute(select(i.documents).where(i.series == series)).scalars())

    assert sum(documents(ran, series)) == every > intraday
    assert sum(documents(ran, series, window_ms=HOUR_MS)) == sum(documents(ran, series, window_ms=PANE_MS)) == intraday


def test_the_last_window_is_a_whole_one_even_where_the_end_cuts_it(ran: Ran) -> None:
    series = busiest(ran)

    assert documents(ran, series, end_ms=b.T0_MS + DAY_MS + HOUR_MS) == documents(ran, series, end_ms=b.T0_MS + 2 * DAY_MS)


def test_a_window_as_of_a_moment_knows_nothing_later_and_grows_to_the_final_one(ran: Ran) -> None:
    series = busiest(ran)
    moments = [documents(ran, series, as_of_ms=b.T0_MS + n * DAY_MS) for n in range(7)]

    assert sum(moments[0]) == 0
    assert moments[-1] == documents(ran, series)
    for before, after in pairwise(moments):
        assert all(earlier <= later for earlier, later in zip(before, after, strict=True))


def test_the_first_vintage_is_each_window_as_it_was_known_at_its_end(ran: Ran) -> None:
    series = busiest(ran)
    first = documents(ran, series, vintage="first")

    for n, number in enumerate(first):
        end_ms = b.T0_MS - 2 * DAY_MS + (n + 1) * DAY_MS
        assert number == documents(ran, series, as_of_ms=end_ms)[n]
    assert sum(first) < sum(documents(ran, series))


def test_empty_windows_are_there_and_future_ones_are_not_complete(ran: Ran) -> None:
    with ran.store.read() as connection:
        windows = list(
            query.series_windows(connection, RUN, "entity:nobody", start_ms=b.T0_MS, end_ms=b.T0_MS + 9 * DAY_MS, window_ms=DAY_MS)
        )
    assert [window.counts.documents for window in windows] == [0] * 9
    assert (windows[0].complete, windows[-1].complete) == (True, False)


@pytest.mark.parametrize("window_ms", [0, -HOUR_MS, PANE_MS + 1])
def test_a_window_that_is_no_multiple_of_a_pane_is_refused(ran: Ran, window_ms: int) -> None:
    with pytest.raises(UsageError, match="panes are 5 minutes, give a multiple of that"):
        documents(ran, "entity:aldora", window_ms=window_ms)


# --- names ------------------------------------------------------------------------------------------------------------------
def test_series_are_found_by_globs_and_a_name_is_kept_even_when_it_is_empty(ran: Ran) -> None:
    with ran.store.read() as connection:
        found = query.series_like(connection, RUN, ["entity:a*", "entity:nobody"])
        assert found == ["entity:aldora", "entity:nobody"]
        with pytest.raises(NotFoundError, match=r"series 'x\*': nothing stored matches in run 'live'; \d+ series are stored"):
            query.series_like(connection, RUN, ["x*"])


def test_the_run_is_the_named_one_else_live_else_the_only_one(ran: Ran) -> None:
    with ran.store.read() as connection:
        assert query.run_named(connection, None) == query.run_named(connection, RUN) == RUN
        with pytest.raises(NotFoundError, match=r"run 'r9' is not stored; stored runs: live"):
            query.run_named(connection, "r9")
