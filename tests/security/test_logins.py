"""The logins that deploy/postgres/logins.sh makes, on a real server: each part does what it is for, admins' pages included, and no more."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from dashboards.board.app import create_app
from groundswell.errors import DependencyError
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.accounts import Person, add_person, anybody, people_of, person_named
from groundswell.store.audit import Entry, entries, note
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from tests.alerts.alert_factory import an_alert
from tests.dashboards.board.board_store import END_MS, served
from tests.dashboards.board.people_store import ACCESS, PASSWORD, PASSWORDS, Browser
from tests.peers import postgres_programs

FILES: Final = Path(__file__).resolve().parents[2] / "deploy" / "postgres"
NAMES: Final = ("migrator", "crawler", "worker", "desk", "board", "reader")
DATABASE_PASSWORD: Final = "it's \\ a $ecret"
FACTS: Final = ("documents", "scores", "search", "increments", "candidates", "decisions", "alerts")

Url = Callable[[str], str]


@contextmanager
def a_database(url: str, **given: str) -> Iterator[Url]:
    """Made as the container does it: roles.sql, logins.sh, the schema by its owner, roles.sql again; {login: its URL}."""
    made, programs = make_url(url), postgres_programs()
    assert programs is not None
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": str(made.host or made.query.get("host")), "PGPORT": str(made.port or ""),
        "PGPASSWORD": str(made.password or ""), "POSTGRES_USER": str(made.username), "POSTGRES_DB": str(made.database),
    } | {f"{name.upper()}_PASSWORD": DATABASE_PASSWORD for name in NAMES} | given  # fmt: skip

    def run(*command: str) -> None:
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def roles() -> None:
        asked = ("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", str(made.username), "-d", str(made.database))
        run(*asked, "-f", str(FILES / "roles.sql"))

    def as_(name: str) -> str:
        return made.set(username=name, password=DATABASE_PASSWORD).render_as_string(hide_password=False)

    try:
        roles()
        run("sh", str(FILES / "logins.sh"))
        with closing(Store(as_("migrator"))) as store:
            roles()
            with store.write() as connection:
                add_person(store, connection, Person("ada", "admin", PASSWORDS.hash(PASSWORD), 1, 1, None))
        yield as_
    finally:
        owner = create_engine(url, isolation_level="AUTOCOMMIT")
        with owner.connect() as connection:
            for name in NAMES:
                if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first():
                    connection.execute(text(f"DROP OWNED BY {name}; DROP ROLE {name}"))
        owner.dispose()


@pytest.fixture
def login(postgres_empty_url: str) -> Iterator[Url]:
    with a_database(postgres_empty_url) as made:
        yield made


def filled(login: Url) -> str:
    """A live run with an alert whose message was given up; its id."""
    alert = an_alert()
    with closing(Store(login("migrator"))) as store, store.write() as connection:
        store.insert(connection, t.runs, [{"run": LIVE_RUN, "kind": "live", "model_id": "fake-1", "manifest": b"{}"}])
        insert_alert(store, connection, LIVE_RUN, alert, targets=["mail:li"])
        connection.execute(t.outbox.update().values(state="failed", attempts=20, reason="refused"))
    return alert.id


def test_each_login_can_do_its_part_and_a_readers_can_only_read(login: Url) -> None:
    for name in ("worker", "desk", "board"):
        Store(login(name)).close()
    with closing(Store(login("board"))) as store, store.write() as connection:
        assert person_named(connection, "ada") is not None
        note(store, connection, Entry(1, "ada", "127.0.0.1", "signed in", ""))
    with closing(Store(login("desk"))) as store:
        assert not anybody(store), "nobody else's business"
    reader = create_engine(login("reader"))
    with reader.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM documents")).scalar_one() == 0
        with pytest.raises(DBAPIError, match="read-only transaction"):
            connection.execute(text("CREATE TABLE mine (x int)"))
    reader.dispose()


@pytest.mark.parametrize("name", ["reader", "board"])
def test_neither_who_reads_nor_the_board_of_admins_can_write_a_fact(login: Url, name: str) -> None:
    engine = create_engine(login(name))
    for table in FACTS:
        column = next(iter(t.metadata.tables[table].c)).name
        for statement in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):
            with engine.connect() as connection:
                connection.execute(text("SET TRANSACTION READ WRITE"))  # a default, which whoever logs in may set aside
                with pytest.raises(DBAPIError, match=f"permission denied for table {table}"):
                    connection.execute(text(statement))
    engine.dispose()


def test_every_page_that_an_admin_is_offered_works_with_the_login_of_the_board(login: Url) -> None:
    alert = filled(login)
    with closing(Store(login("board"))) as store:
        app = create_app(store, run=LIVE_RUN, log=None, now_ms=lambda: END_MS, access=ACCESS)
        with served(app) as board:
            ada = Browser(board)
            assert ada.sign_in("ada").status == 303
            assert [ada.get(path).status for path in ("/people", "/audit", "/outbox")] == [200, 200, 200]
            ada.get("/people")
            assert ada.post("/people/add", {"name": "li", "role": "analyst"}).status == 200
            for path, form in (
                ("/people/role", {"name": "li", "role": "reader"}), ("/people/disable", {"name": "li"}), ("/people/enable", {"name": "li"}),
                ("/people/signout", {"name": "li"}), ("/outbox/retry", {"alert": alert, "target": "mail:li"}),
            ):  # fmt: skip
                answer = ada.post(path, form)
                assert answer.status == 303, (path, answer.text)
        with store.read() as connection:
            assert [(one.name, one.role) for one in people_of(connection)] == [("ada", "admin"), ("li", "reader")]
            assert connection.execute(t.outbox.select()).mappings().one()["state"] == "attempted", "it goes out once more, as a resend"
            assert {"account added", "dead letter put back"} <= {one.what for one in entries(connection)}


def test_a_board_that_is_given_less_says_which_right_is_missing_and_changes_nothing(postgres_empty_url: str) -> None:
    with a_database(postgres_empty_url, BOARD_ROLE="groundswell_people") as login:
        filled(login)
        with closing(Store(login("board"))) as store:
            app = create_app(store, run=LIVE_RUN, log=None, now_ms=lambda: END_MS, access=ACCESS)
            with served(app) as board:
                ada = Browser(board)
                assert ada.sign_in("ada").status == 303
                ada.get("/people")
                refused = ada.post("/people/add", {"name": "li", "role": "analyst"})
                assert refused.status == 503
                assert "permission denied for table people" in refused.text
                assert "deploy/postgres/roles.sql" in refused.text
            with store.read() as connection:
                assert [one.name for one in people_of(connection)] == ["ada"]
            with pytest.raises(DependencyError, match="permission denied"), store.write() as connection:
                connection.execute(t.outbox.update().values(state="due"))


def test_another_role_for_the_board_is_refused_before_any_login_is_made() -> None:
    done = subprocess.run(
        ["sh", str(FILES / "logins.sh")],
        env={"PATH": os.environ["PATH"], "BOARD_ROLE": "postgres"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "BOARD_ROLE must be groundswell_admin or groundswell_people, got 'postgres'" in done.stderr
