"""Months as partitions on a real PostgreSQL: who makes them, what lies where, which of them a question touches, and the upgrade."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import ClauseElement, Connection, create_engine, event, insert, select, text
from sqlalchemy.engine import make_url

from groundswell import doctor
from groundswell.clock import ManualClock
from groundswell.errors import DependencyError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.records import Increment, Story
from groundswell.store import schema as t
from groundswell.store.conditions import open_conditions
from groundswell.store.derived import insert_increments, insert_stories, load_increments, load_stories
from groundswell.store.drop_months import drop_month
from groundswell.store.migrate import upgrade
from groundswell.store.months import Month
from groundswell.store.partitions import PARTITIONED, make_months, months_made, prepare_months, strays, trouble_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.lookout import Lookout
from tests import builders as b
from tests.peers import plain_url

ROLES = (Path(__file__).resolve().parents[3] / "deploy" / "postgres" / "roles.sql").read_text("utf-8")
MONTHS = [Month(2026, 9).after(number) for number in range(-12, 3)]
OCTOBER = Month(2026, 10)


@pytest.fixture
def store(postgres_store_url: str) -> Iterator[Store]:
    with closing(Store(postgres_store_url)) as opened:
        yield opened


def an_increment(tick: int) -> Increment:
    return Increment(
        series="entity:aldora", tick=tick, pane=tick // 20, daily=False, members={"s": {"o": [1, 1, 0, 0, 1, 1, 1]}}, negatives=[]
    )


def a_story(tick: int) -> Story:
    return Story(series="entity:aldora", story=f"s{tick}", founded_ms=tick * 15_000, tick=tick, digest=bytes(256))


def written(store: Store, months: list[Month], *, run: str = LIVE_RUN) -> None:
    """A row of each table at the first and at the last tick of each month."""
    ticks = [tick for month in months for tick in (month.first_tick, month.last_tick)]
    with store.write() as connection:
        insert_increments(store, connection, run, map(an_increment, ticks))
        insert_stories(store, connection, run, map(a_story, ticks))


def rows_by_place(store: Store, table: str) -> dict[str, int]:
    with store.read() as connection:
        found = connection.execute(text(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1"))
        return {str(row[0]): int(row[1]) for row in found}


def touched(connection: Connection, statement: ClauseElement) -> set[str]:
    """The tables that a statement's plan reads."""
    asked = statement.compile(connection, compile_kwargs={"literal_binds": True})
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {asked}").scalar_one()
    found, nodes = set(), [plan[0]["Plan"]]
    while nodes:
        node: dict[str, Any] = nodes.pop()
        if "Relation Name" in node:
            found.add(node["Relation Name"])
        nodes += node.get("Plans", [])
    return found


# --- what lies where --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", PARTITIONED)
def test_a_live_row_lies_in_its_month_and_a_row_of_another_run_beside_the_tree(store: Store, table: str) -> None:
    with store.write() as connection:
        make_months(connection, MONTHS)
    written(store, MONTHS)
    written(store, MONTHS, run="archive")
    places = {f"{table}_live_{month.year}_{month.number:02}": 2 for month in MONTHS}
    assert rows_by_place(store, table) == places | {f"{table}_other": 2 * len(MONTHS)}


def test_rows_that_came_before_their_month_was_made_move_into_it(store: Store) -> None:
    written(store, [OCTOBER, OCTOBER.after(1)])
    with store.read() as connection:
        before = load_increments(connection, LIVE_RUN, since_tick=0, through_tick=2**40)
        assert OCTOBER in strays(connection)
    assert OCTOBER in prepare_months(store, Month(2026, 12), ahead=1)
    assert prepare_months(store, Month(2026, 12), ahead=1) == []
    with store.read() as connection:
        assert strays(connection) == set()
        assert {OCTOBER, Month(2026, 12), Month(2027, 1)} <= months_made(connection)
        assert load_increments(connection, LIVE_RUN, since_tick=0, through_tick=2**40) == before
    assert rows_by_place(store, "stories")["stories_live_2026_10"] == 2


def test_what_is_written_once_is_refused_a_second_time_wherever_it_lies(store: Store) -> None:
    written(store, [OCTOBER])
    for _ in range(2):  # in the rest, then in its month
        with pytest.raises(Exception, match="unique"):
            written(store, [OCTOBER])
        prepare_months(store, OCTOBER)


# --- which are touched --------------------------------------------------------------------------------------------------------
def test_a_question_with_a_span_of_time_touches_its_months_alone(store: Store) -> None:
    with store.write() as connection:
        make_months(connection, MONTHS)
    written(store, MONTHS)
    asked: list[Any] = []
    with store.read() as connection:
        event.listen(store.engine, "before_execute", lambda _, statement, *__: asked.append(statement))
        load_increments(connection, LIVE_RUN, since_tick=OCTOBER.first_tick + 9, through_tick=OCTOBER.last_tick - 9)
        load_stories(connection, LIVE_RUN, since_ms=OCTOBER.begin_ms + DAY_MS, through_tick=OCTOBER.last_tick)
        increments, stories = asked
        assert touched(connection, increments) == {"increments_live_2026_10"}
        assert touched(connection, stories) == {"stories_live_2026_10"}
        beyond = select(t.increments.c.body).where(t.increments.c.run == LIVE_RUN, t.increments.c.tick >= OCTOBER.first_tick)
        later = {f"increments_live_{month.year}_{month.number:02}" for month in months_made(connection) if month >= OCTOBER}
        assert touched(connection, beyond) == later | {"increments_live_rest"}
        assert touched(connection, select(t.increments.c.body).where(t.increments.c.run == "archive")) == {"increments_other"}


# --- who is told ----------------------------------------------------------------------------------------------------------------
def test_a_month_that_is_missing_a_week_before_it_begins_is_said_with_what_to_do(store: Store) -> None:
    last = Month(2027, 6)
    prepare_months(store, last, ahead=0)
    with store.read() as connection:
        assert trouble_of(connection, now_ms=last.end_ms - 8 * DAY_MS) == {}
        told = trouble_of(connection, now_ms=last.end_ms - 6 * DAY_MS)
        assert told == {"months": "no partitions for 2027-07: run `groundswell months prepare` as the owner of the tables"}
    prepare_months(store, last, ahead=1)
    with store.read() as connection:
        assert trouble_of(connection, now_ms=last.end_ms - 6 * DAY_MS) == {}


def test_rows_without_a_month_are_a_condition_until_they_have_one_and_the_doctor_says_it_too(store: Store) -> None:
    now_ms = Month(2026, 12).begin_ms + 10 * DAY_MS
    lookout = Lookout(store, LIVE_RUN, {}, "", ManualClock(now_ms))
    prepare_months(store, Month(2026, 12))
    lookout.settle(now_ms)
    written(store, [OCTOBER])
    lookout.settle(now_ms + 1)
    with store.read() as connection:
        (found,) = open_conditions(connection)
    assert (found.kind, found.reason.split(":")[0]) == ("months", "rows of the live run lie in no month of their own")
    with pytest.raises(DependencyError, match=r"lie in no month of their own: run `groundswell months prepare`"):
        doctor._store(store.url.replace("+psycopg", ""))
    prepare_months(store, Month(2026, 12))
    lookout.settle(now_ms + 2)
    with store.read() as connection:
        assert open_conditions(connection) == []


# --- who may --------------------------------------------------------------------------------------------------------------------
def test_only_the_owner_makes_and_drops_months_and_a_worker_writes_into_them(postgres_store_url: str) -> None:
    tail, password = secrets.token_hex(4), secrets.token_hex(12)

    def url(part: str) -> str:
        return make_url(postgres_store_url).set(username=f"{part}_{tail}", password=password).render_as_string(hide_password=False)

    with psycopg.connect(plain_url(postgres_store_url), autocommit=True) as admin:
        Store(postgres_store_url).close()
        admin.execute(ROLES.encode())
        for part in ("owner", "worker", "keeper"):
            admin.execute(f"CREATE ROLE {part}_{tail} LOGIN PASSWORD '{password}' IN ROLE groundswell_{part}".encode())
        admin.execute(f"ALTER ROLE owner_{tail} SET role = groundswell_owner".encode())
        try:
            with closing(Store(url("owner"))) as owner, closing(Store(url("worker"))) as worker, closing(Store(url("keeper"))) as keeper:
                for other in (worker, keeper):
                    with pytest.raises(DependencyError, match=r"does not own the tables and may not change them; run it as a member of"):
                        prepare_months(other, OCTOBER)
                with pytest.raises(DependencyError, match=r"months drop: keeper_\w+ does not own the tables"):
                    drop_month(keeper, OCTOBER, now_ms=1)
                assert OCTOBER in prepare_months(owner, OCTOBER)
                written(worker, [OCTOBER])
                with worker.read() as connection:
                    assert len(load_increments(connection, LIVE_RUN, since_tick=0, through_tick=2**40)) == 2
                drop_month(owner, OCTOBER, now_ms=1)
                with worker.read() as connection:
                    assert load_increments(connection, LIVE_RUN, since_tick=0, through_tick=2**40) == []
                    assert OCTOBER not in months_made(connection)
        finally:
            for part in ("owner", "worker", "keeper"):
                admin.execute(f"DROP ROLE {part}_{tail}".encode())


# --- the upgrade ----------------------------------------------------------------------------------------------------------------
def test_a_store_of_the_release_before_is_divided_without_losing_a_row(postgres_empty_url: str, tmp_path: Path) -> None:
    engine = create_engine(postgres_empty_url.replace("postgresql:", "postgresql+psycopg:"))
    with (
        closing(Store(str(tmp_path / "reference.db"))) as reference,
        b.fill(LocalLog(tmp_path / "log"), b.an_archive(5, records=120)) as log,
    ):
        for run in (LIVE_RUN, "archive"):
            pipeline = EmbeddedPipeline(reference, log, run, b.instruments())
            while pipeline.step():
                pass
            pipeline.finish()
        with reference.read() as connection:
            kept = {name: [dict(row) for row in connection.execute(select(t.metadata.tables[name])).mappings()] for name in PARTITIONED}
    upgrade(engine, to="0011")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT relkind FROM pg_class WHERE relname = 'increments'")).scalar_one() == "r"
        for name, rows in kept.items():
            connection.execute(insert(t.metadata.tables[name]), rows)
    engine.dispose()
    with closing(Store(postgres_empty_url)) as store:
        for name, rows in kept.items():
            with store.read() as connection:
                found = [dict(row) for row in connection.execute(select(t.metadata.tables[name])).mappings()]
            assert sorted(found, key=repr) == sorted(rows, key=repr)
            places = rows_by_place(store, name)
            assert places[f"{name}_live_2026_09"] > 0
            assert places[f"{name}_other"] == sum(row["run"] == "archive" for row in rows)
            assert f"{name}_live_rest" not in places, "months were made for what there was"
        with store.read() as connection:
            assert trouble_of(connection, now_ms=max(months_made(connection)).begin_ms) == {}
