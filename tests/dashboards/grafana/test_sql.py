"""Every SQL statement of the dashboards on a real PostgreSQL that holds the demo, with Grafana's macros put in."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, text

from dashboards.grafana import sql
from dashboards.grafana.model import Panel, Sql
from groundswell.metrics import Metrics
from groundswell.names import TICK_MS
from groundswell.records import Alert, Heartbeat
from groundswell.store import schema as t
from groundswell.store.canaries import Canary, keep_canary
from groundswell.store.conditions import hold
from groundswell.store.facts import write_heartbeats
from groundswell.store.query import alerts_of, span_of
from groundswell.store.store import Store
from ingest.demo_archive import SMALL_DEMO
from stream.shells.demo import RUN, set_up
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import peers
from tests.dashboards.grafana import grafana_text as g

pytestmark = pytest.mark.postgres

FACTS: Final = ("documents", "scores", "admissions", "increments", "stories", "candidates")
"""Tables that grow with what is read."""

ROWS: Final = 40_000
STATEMENTS: Final = {place: (panel, query) for place, panel, query in g.queries(Sql)}
VARIABLES: Final = {
    place: variable["query"]
    for dashboard in g.DASHBOARDS
    for variable in dashboard.variables
    if variable["type"] == "query" and variable["datasource"]["uid"] == "${postgres_datasource}"
    for place in [f"{dashboard.uid}: ${variable['name']}"]
}


@dataclass(frozen=True)
class Filled:
    """A store that holds the demo."""

    store: Store
    alerts: list[Alert]
    shown: g.Shown

    def sent(self, statement: str, panel: Panel | None = None, *, shown: g.Shown | None = None) -> str:
        """The statement as Grafana sends it, with the demo's values of the variables."""
        return g.statement(
            statement,
            shown=shown or self.shown,
            interval=(panel.interval if panel else "") or "1h",
            variables={
                "run": RUN, "topic": ["financial_institutions", "debt_credit"], "language": ["en", "zh"], "company": self.alerts[0].series,
                "incident": self.alerts[0].incident, "board": g.LIMITS.board_url,
            },
        )  # fmt: skip


@pytest.fixture(scope="module")
def filled(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    demo = set_up(tmp_path_factory.mktemp("grafana") / "demo", spec=SMALL_DEMO, use="linear")
    with peers.fresh_database(postgres_url) as url, closing(Store(url)) as store:
        open_run(store, RUN, kind="demo", instruments=demo.instruments)
        pipeline = EmbeddedPipeline(store, demo.log, RUN, demo.instruments, metrics=Metrics(CollectorRegistry()))
        while pipeline.step():
            pass
        pipeline.finish()
        with store.read() as connection:
            alerts, (start_ms, end_ms) = alerts_of(connection, RUN), span_of(connection, RUN)
        add_what_only_a_live_run_has(store, alerts[0], now_ms=end_ms)
        yield Filled(store, alerts, g.Shown(start_ms // 1_000, end_ms // 1_000))


def add_what_only_a_live_run_has(store: Store, alert: Alert, *, now_ms: int) -> None:
    hold(store, "spool", "crawler-1", reason="12 records wait", now_ms=now_ms)
    message = {"run": RUN, "alert_id": alert.id, "target": "mail", "state": "failed", "attempts": 3, "next_ms": 0, "reason": "refused"}
    with store.write() as connection:
        write_heartbeats(store, connection, [Heartbeat(source="wire", fetched_ms=now_ms, ok=True, fetched=9, new=1)])
        store.insert(connection, t.outbox, [message | {"provider_id": None, "how": "now", "digest": None, "shown": None, "sent_ms": None}])
    keep_canary(store, RUN, Canary(due_ms=now_ms - TICK_MS, reached_ms=now_ms))


def rows_of(connection: Connection, statement: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(statement.replace(":", "\\:"))).mappings()]


@pytest.mark.parametrize("place", STATEMENTS)
def test_a_statement_returns_the_rows_that_its_panel_promises(filled: Filled, place: str) -> None:
    panel, query = STATEMENTS[place]
    assert isinstance(query, Sql)
    with filled.store.read() as connection:
        rows = rows_of(connection, filled.sent(query.text, panel))

    assert len(rows) >= query.at_least
    if rows and panel.kind != "timeseries":
        assert {column.name for column in panel.columns} <= rows[0].keys(), "a column that the panel dresses is not there"
    if panel.kind == "stat":
        assert all(value is not None for value in rows[0].values())
    if panel.kind == "timeseries":
        times = [row["time"] for row in rows]
        assert times == sorted(times)
        assert all(isinstance(value, str) == (name == "metric") for row in rows for name, value in row.items())


@pytest.mark.parametrize("place", VARIABLES)
def test_a_variable_offers_values(filled: Filled, place: str) -> None:
    with filled.store.read() as connection:
        assert rows_of(connection, filled.sent(VARIABLES[place]))


def test_the_figures_are_those_of_the_alert(filled: Filled) -> None:
    last = filled.alerts[-1]
    with filled.store.read() as connection:
        (figures,) = rows_of(connection, filled.sent(sql.INCIDENT_FIGURES))
        parts = rows_of(connection, filled.sent(sql.INCIDENT_PARTS))
        told = rows_of(connection, filled.sent(sql.ALERTS))
        marks = rows_of(connection, filled.sent(sql.ANNOTATIONS))

    assert (figures["Stories"], figures["Limit"], figures["Owners"]) == (last.statistic, last.limit, last.owners)
    assert sum(round(row["Excess"] * 1_000) for row in parts) == 1_000 * last.statistic - last.expected_milli
    assert {row["Alert"] for row in told} == {alert.id for alert in filled.alerts}
    assert [mark["title"] for mark in marks] == [filled.alerts[0].title]
    assert f"https://desk.example/alerts/{filled.alerts[0].id}" in marks[0]["text"]
    assert marks[0]["time"] < marks[0]["timeend"]


def test_counts_of_topics_are_those_of_the_stored_increments(filled: Filled) -> None:
    with filled.store.read() as connection:
        charted = rows_of(connection, filled.sent(sql.TOPIC_DOCUMENTS))
        stored = connection.execute(
            text("SELECT sum(documents) FROM increments WHERE series ~ '^topic.(financial_institutions|debt_credit).'")
        )

        assert sum(row["Documents"] for row in charted) == stored.scalar_one()


def test_a_span_without_anything_is_empty_and_no_error(filled: Filled) -> None:
    long_ago = g.Shown(1_000_000_000, 1_000_086_400)
    with filled.store.read() as connection:
        for panel, query in STATEMENTS.values():
            assert isinstance(query, Sql)
            if "$__" in query.text and panel.kind == "timeseries":
                assert rows_of(connection, filled.sent(query.text, panel, shown=long_ago)) == []


@pytest.fixture(scope="module")
def large(filled: Filled) -> Filled:
    """The same store with ROWS more rows in each fact table, in the year before the demo, and statistics of them."""
    tick = filled.shown.since_s // sql.TICK_S - 2_000_000
    series = f"1, {ROWS}"
    with filled.store.write() as connection:
        for statement in (
            f"""INSERT INTO documents SELECT 'd' || n, 'c' || n, 'wire', 'wire', true, 'news', 'en', 't', 'x', NULL, {tick} + n, 'second',
                '', {tick} + n, 'recorded', 0 FROM generate_series({series}) AS n""",
            f"INSERT INTO scores SELECT 'd' || n, 'c' || n, 'm', 'general_other', 'neutral', 1, '' FROM generate_series({series}) AS n",
            f"""INSERT INTO admissions SELECT '{RUN}', 99, n, 0, 0, {tick} + n, 'wire', 'en', 'scored', 'd' || n, 'c' || n, NULL
                FROM generate_series({series}) AS n""",
            f"""INSERT INTO increments SELECT '{RUN}', 'entity:e' || n % 500, {tick} + n, ({tick} + n) / 20, false, 1, 0, ''
                FROM generate_series({series}) AS n""",
            f"INSERT INTO stories SELECT '{RUN}', 'entity:e' || n % 500, 's' || n, 0, {tick}, '' FROM generate_series({series}) AS n",
            f"INSERT INTO candidates SELECT '{RUN}', 'k' || n, 'entity:e1', 3600, {tick} + n, '' FROM generate_series({series}) AS n",
        ):
            connection.execute(text(statement))
        connection.execute(text("ANALYZE"))
    return filled


def reads_facts(statement: str) -> bool:
    return bool(set(FACTS) & set(re.findall(r"\w+", statement)))


@pytest.mark.parametrize("place", [place for place, (_, query) in STATEMENTS.items() if reads_facts(str(query))])
def test_no_statement_reads_a_whole_fact_table_for_an_hour(large: Filled, place: str) -> None:
    """By PostgreSQL's own choice, without any setting: the hour before the alert, in tables of more than ROWS rows."""
    panel, query = STATEMENTS[place]
    assert isinstance(query, Sql)
    assert read_whole(large, query.text, panel) == []


@pytest.mark.parametrize("place", [place for place, statement in VARIABLES.items() if reads_facts(statement)])
def test_no_variable_reads_a_whole_fact_table_for_an_hour(large: Filled, place: str) -> None:
    assert read_whole(large, VARIABLES[place]) == []


def test_a_statement_without_a_bound_in_time_is_found_to_read_a_whole_table(large: Filled) -> None:
    assert read_whole(large, "SELECT count(*) FROM admissions WHERE run = '$run' AND outcome = 'scored'") == ["admissions"]


def read_whole(large: Filled, statement: str, panel: Panel | None = None) -> list[str]:
    opened_s = large.alerts[0].opened_ms // 1_000
    sent = large.sent(statement, panel, shown=g.Shown(opened_s - 3_600, opened_s))
    with large.store.read() as connection:
        plan = "\n".join(row["QUERY PLAN"] for row in rows_of(connection, f"EXPLAIN {sent}"))
    return re.findall(rf"Seq Scan on ({'|'.join(FACTS)})\b", plan)
