"""Each role of deploy/postgres/roles.sql can do its part on a real server, and no more; what it lacks is said with the next step."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url

from deploy.kafka import secure
from groundswell.clock import ManualClock
from groundswell.errors import DependencyError
from groundswell.names import LIVE_RUN, ROLE_FOLD, TICK_MS
from groundswell.records import Action, Correction, Miss, Verdict
from groundswell.store import schema as t
from groundswell.store.accounts import Person, Reader, add_person, anybody, keep_reader
from groundswell.store.actions import record_action, record_correction, record_miss, record_press, record_verdict
from groundswell.store.audit import Entry, note
from groundswell.store.conditions import open_conditions
from groundswell.store.derived import insert_alert
from groundswell.store.facts import write_intake
from groundswell.store.progress import claim
from groundswell.store.store import HEAD, Store
from groundswell.store.watches import change_watches, newest_watches
from ingest.spool_report import SpoolReport
from stream.shells.desk_worker import DeskWorker
from stream.shells.publish import publish_archive
from stream.shells.topics import prepare_run
from tests.alerts.alert_factory import an_alert
from tests.builders import a_document
from tests.kafka_run import embedded_rows, kafka_run, rows_of
from tests.peers import plain_url, postgres_cluster
from tests.synthetic_news import instruments, sealed_log

SCRIPT: Final = (Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "roles.sql").read_text("utf-8")
PARTS: Final = ("owner", "worker", "desk", "keeper", "board", "people", "admin", "crawler")
RUN: Final = "roles"


@pytest.fixture
def url_of(postgres_empty_url: str) -> Iterator[Callable[[str], str]]:
    """The URL by which a part opens the store; the owner has made the tables, and the script was run before and after."""
    tail, password = secrets.token_hex(4), secrets.token_hex(12)

    def url(part: str) -> str:
        return make_url(postgres_empty_url).set(username=f"{part}_{tail}", password=password).render_as_string(hide_password=False)

    with psycopg.connect(plain_url(postgres_empty_url), autocommit=True) as admin:
        admin.execute(SCRIPT.encode())
        for part in PARTS:
            login, role = sql.Identifier(f"{part}_{tail}"), sql.Identifier(f"groundswell_{part}")
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(login, password, role))
        admin.execute(sql.SQL("ALTER ROLE {} SET role = groundswell_owner").format(sql.Identifier(f"owner_{tail}")))
        with pytest.raises(DependencyError, match=rf"not made yet, this release needs {HEAD}, and worker_{tail} may not change it: run"):
            Store(url("worker"))
        Store(url("owner")).close()
        admin.execute(SCRIPT.encode())
        yield url
        for part in PARTS:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(f"{part}_{tail}")))


@pytest.fixture
def opened(url_of: Callable[[str], str]) -> Iterator[Callable[[str], Store]]:
    with ExitStack() as stack:
        yield lambda part: stack.enter_context(closing(Store(url_of(part))))


def may_not(store: Store, statement: str) -> str:
    """The error of a statement that is refused; what was refused has the account and the script in it."""
    with pytest.raises(DependencyError, match=r"permission denied|must be owner") as caught, store.write() as connection:
        connection.execute(text(statement))
    assert "deploy/postgres/roles.sql" in str(caught.value)
    assert str(make_url(store.url).password) not in str(caught.value)
    return str(caught.value)


def test_worker_desk_keeper_and_board_each_do_their_part_without_owning_a_table(
    kafka: str, url_of: Callable[[str], str], opened: Callable[[str], Store], tmp_path: Path
) -> None:
    log = sealed_log(tmp_path / "log.db")
    prepare_run(opened("worker"), kafka, RUN, kind="backfill", instruments=instruments())
    publish_archive(log, kafka, RUN, store=opened("keeper"), envelope_records=50)
    with kafka_run(kafka, url_of("worker"), RUN, tmp_path / "work") as run:
        run.start("score", 0)
        run.start("fold", 0)
        expected = embedded_rows(log, tmp_path, RUN)
        end_ms = (log.last_known_ms() or 0) + 2 * TICK_MS
        run.wait(lambda: run.folded_through(end_ms), what="folding the archive")
    desk = DeskWorker(opened("desk"), RUN, instruments(), owner="test", targets=("console",))
    while desk.step() is not None:
        pass
    with opened("desk").write() as connection:
        sent = connection.execute(t.outbox.update().values(state="sent"))
        assert sent.rowcount >= 3, "the desk's sender settles its messages"
    found = rows_of(opened("board"), RUN)
    assert len(expected["alerts"]) >= 3
    for table, rows in expected.items():
        assert found[table] == rows, table


@pytest.mark.parametrize("part", ["worker", "desk", "keeper", "board", "people", "admin", "crawler"])
def test_nobody_but_the_owner_changes_the_tables(opened: Callable[[str], Store], part: str) -> None:
    store = opened(part)
    for statement in ("DROP TABLE drops", "ALTER TABLE alerts ADD COLUMN x int", "TRUNCATE alerts", "CREATE TABLE mine (x int)"):
        may_not(store, statement)


def test_the_board_reads_and_writes_nothing(opened: Callable[[str], Store]) -> None:
    store = opened("board")
    with store.read() as connection:
        for table in t.metadata.sorted_tables:
            if table not in (t.people, t.audit, t.tokens):
                connection.execute(text(f"SELECT count(*) FROM {table.name}"))
    for table in t.metadata.sorted_tables:
        may_not(store, f"DELETE FROM {table.name}")
        may_not(store, f"INSERT INTO {table.name} DEFAULT VALUES")


def test_a_board_with_people_adds_what_they_say_and_changes_none_of_it(opened: Callable[[str], Store]) -> None:
    keeper, store = opened("keeper"), opened("people")
    alert, document, by = an_alert(), a_document(), dict[str, Any](at_ms=1, who="ana")
    with keeper.write() as connection:
        insert_alert(keeper, connection, RUN, alert, targets=[])
        write_intake(keeper, connection, RUN, admissions=[], documents=[document])
    with store.write() as connection:
        assert record_action(connection, RUN, Action(incident=alert.incident, what="acknowledge", **by))
        assert record_verdict(connection, RUN, Verdict(alert=alert.id, word="true", **by))
        assert record_correction(connection, Correction(document_id=document.document_id, what="sentiment", value="neutral", **by))
        assert record_miss(connection, RUN, Miss(name="Linlan Bank", moment_ms=1, **by))
    said = {t.actions, t.verdicts, t.corrections, t.misses, t.stops}
    for table in t.metadata.sorted_tables:
        may_not(store, f"DELETE FROM {table.name}")
        if table is not t.readers:
            may_not(store, f"UPDATE {table.name} SET {table.columns.keys()[0]} = NULL")
        if table not in said | {t.readers, t.audit, t.versions, t.in_force, t.rehearsals, t.tokens}:
            may_not(store, f"INSERT INTO {table.name} DEFAULT VALUES")


def test_a_desk_adds_what_was_pressed_in_slack_and_changes_none_of_it(opened: Callable[[str], Store]) -> None:
    keeper, store, alert = opened("keeper"), opened("desk"), an_alert()
    with keeper.write() as connection:
        insert_alert(keeper, connection, RUN, alert, targets=[])
    with store.write() as connection:
        for what in ("acknowledge", "true"):
            assert record_press(connection, RUN, who="slack:U1", what=what, alert_id=alert.id, at_ms=1)
    for statement in ("UPDATE actions SET who = 'ana'", "DELETE FROM verdicts", "INSERT INTO corrections DEFAULT VALUES"):
        may_not(store, statement)


def test_a_board_with_people_changes_what_is_watched_and_nothing_else_of_a_run(opened: Callable[[str], Store]) -> None:
    keeper, store = opened("keeper"), opened("people")
    with keeper.write() as connection:
        keeper.insert(connection, t.runs, [{"run": LIVE_RUN, "kind": "live", "model_id": "m", "manifest": b'{"versions":{"model":"m"}}'}])
    claim(keeper, LIVE_RUN, ROLE_FOLD, owner="worker")
    with store.write() as connection:
        watches, rows = change_watches(store, connection, lambda found: found.saving("x", "queue", ids_of=lambda _: []), now_ms=1)
    assert len(rows) == 1
    with keeper.read() as connection:
        assert newest_watches(connection, LIVE_RUN) == (watches, rows)
    for change in ("epoch = epoch + 1", "closed_tick = 0", "next_offset = 0", "time_ms = 0", "log_id = NULL"):
        may_not(store, f"UPDATE progress SET {change}")
    for statement in ("UPDATE runs SET kind = 'backfill'", "UPDATE in_force SET hash = ''", "UPDATE versions SET content = ''"):
        may_not(store, statement)


@pytest.mark.parametrize("part", ["board", "worker", "desk", "crawler"])
def test_who_has_which_password_and_who_did_what_is_nothing_that_a_part_without_people_can_read(
    opened: Callable[[str], Store], part: str
) -> None:
    store = opened(part)
    for table in ("people", "audit", "tokens"):
        may_not(store, f"SELECT * FROM {table}")
    assert not anybody(store)


def test_a_board_with_people_reads_accounts_and_can_neither_change_one_nor_rewrite_what_was_done(opened: Callable[[str], Store]) -> None:
    with opened("keeper").write() as connection:
        add_person(opened("keeper"), connection, Person("mei", "analyst", None, 1, 1, None))
    store = opened("people")
    assert anybody(store)
    with store.write() as connection:
        keep_reader(store, connection, Reader("mei", language="zh"))
        note(store, connection, Entry(1, "mei", "127.0.0.1", "signed in", ""))
    for statement in ("UPDATE people SET role = 'admin'", "DELETE FROM people", "INSERT INTO people DEFAULT VALUES"):
        may_not(store, statement)
    for part in ("people", "keeper"):
        for statement in ("UPDATE audit SET who = 'li'", "DELETE FROM audit"):
            may_not(opened(part), statement)


def test_the_crawler_says_what_waits_in_its_spool_and_reads_nothing_else(
    url_of: Callable[[str], str], opened: Callable[[str], Store]
) -> None:
    class Waiting:
        """A spool that is not empty."""

        def trouble(self) -> str | None:
            return "12 records wait"

    report = SpoolReport(url_of("crawler"), Waiting(), clock=ManualClock(1), host="crawler-1")
    report.look()
    report.look()
    report.close()
    with opened("board").read() as connection:
        assert [condition.kind for condition in open_conditions(connection)] == ["spool"]
    for statement in (
        "SELECT * FROM documents",
        "INSERT INTO documents DEFAULT VALUES",
        "DELETE FROM conditions",
        "UPDATE progress SET epoch = 0",
    ):
        may_not(opened("crawler"), statement)


@pytest.mark.parametrize(
    ("part", "statements"),
    [
        ("worker", ["DELETE FROM documents", "UPDATE scores SET topic = ''", "UPDATE drops SET reason = ''", "DELETE FROM runs",
                    "INSERT INTO alerts DEFAULT VALUES", "UPDATE outbox SET state = 'sent'", "INSERT INTO removals DEFAULT VALUES"]),
        ("desk", ["UPDATE alerts SET severity = 'low'", "DELETE FROM outbox", "INSERT INTO documents DEFAULT VALUES",
                  "UPDATE increments SET documents = 0", "UPDATE runs SET kind = 'x'", "INSERT INTO candidates DEFAULT VALUES"]),
    ],
)  # fmt: skip
def test_a_part_writes_its_own_tables_and_what_is_written_once_stays(
    opened: Callable[[str], Store], part: str, statements: list[str]
) -> None:
    store = opened(part)
    for statement in statements:
        may_not(store, statement)


def test_every_table_has_somebody_who_writes_it(opened: Callable[[str], Store]) -> None:
    with opened("owner").read() as connection:
        rows = connection.execute(
            text(
                "SELECT grantee, table_name FROM information_schema.role_table_grants "
                "WHERE privilege_type = 'INSERT' AND grantee LIKE 'groundswell\\_%' AND table_schema = 'public'"
            )
        )
        writers = {(str(grantee).removeprefix("groundswell_"), str(table)) for grantee, table in rows}
    tables = {table.name for table in t.metadata.sorted_tables}
    assert {table for part, table in writers if part == "keeper"} == tables, "add a new table to deploy/postgres/roles.sql"


def test_an_older_schema_is_left_to_its_owner(opened: Callable[[str], Store], url_of: Callable[[str], str]) -> None:
    with opened("owner").write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(DependencyError, match=rf"its schema is 0001, this release needs {HEAD}, and board_\w+ may not change it: run"):
        Store(url_of("board"))


def test_a_wrong_password_and_a_server_without_tls_are_told_without_the_password(url_of: Callable[[str], str]) -> None:
    url = make_url(url_of("board"))
    wrong = url.set(password="hunter2-is-wrong").render_as_string(hide_password=False)
    with pytest.raises(
        DependencyError, match=r"password authentication failed.*are name, password and sslmode of store.url right"
    ) as caught:
        Store(wrong)
    assert "hunter2" not in str(caught.value)
    asked = url.update_query_dict({"sslmode": "require"}).render_as_string(hide_password=False)
    with pytest.raises(DependencyError, match=r"SSL.*sslmode of store.url right") as caught:
        Store(asked)
    assert str(url.password) not in str(caught.value)


@pytest.mark.postgres
def test_tls_to_the_server_is_what_the_url_asks_for(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        folder.mkdir()
        secure.make_authority(folder)
    with postgres_cluster(certificate=secure.make_certificate(ours, "database")) as url:

        def asking(**query: str) -> str:
            return make_url(url).update_query_dict(query).render_as_string(hide_password=False)

        with closing(Store(asking(sslmode="verify-full", sslrootcert=str(ours / "ca.pem")))) as store, store.read() as connection:
            encrypted = connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).scalar_one()
        assert encrypted
        with pytest.raises(DependencyError, match=r"certificate verify failed.*are name, password and sslmode of store.url right"):
            Store(asking(sslmode="verify-full", sslrootcert=str(other / "ca.pem")))
