"""Open a store: SQLite for one process and a laptop, PostgreSQL for many. One schema, one set of statements."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InternalError, NoSuchModuleError, OperationalError

from groundswell.errors import DependencyError, UsageError, reason_of
from groundswell.masking import mask_secrets, mask_url, passwords_of_url, spellings
from groundswell.own_files import make_own
from groundswell.store.bulk import Row, add_rows, insert_rows, teach_copy

HEAD: Final = "0017"
"""The newest migration; a test compares it with the files."""

SQLITE_WAIT_S: Final = 30
SILENT_WRITE_S: Final = 30
"""How long an open writing transaction may say nothing to PostgreSQL. It holds rows, and a process that was stopped or cut off from the
network must not keep others from them for ever."""

# `idle_in_transaction_session_timeout` alone is not enough: a client that stops among the rows of one insert (psycopg sends them as a
# pipeline) is "active" for the server. Whoever has waited for its rows so long ends it.
_LIMITS: Final = "SET LOCAL idle_in_transaction_session_timeout = '{0}s'; SET LOCAL lock_timeout = '{0}s'"
_END_SILENT: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
AND backend_xid IS NOT NULL AND wait_event = 'ClientRead' AND query_start < now() - interval '{0} s'
"""

LOCK_NOT_AVAILABLE: Final = "55P03"


class Store:
    """A connection pool and its two verbs: `read()` and `write()`, each one transaction.

    Args:
        url: "sqlite:///file.db", a bare path, or "postgresql+psycopg://user@host/database".
        silent_write_s: how long an open writing transaction may say nothing to PostgreSQL, and how long others wait for its rows.

    Raises:
        UsageError: the URL names no store that this project knows.
        DependencyError: the database does not answer.
    """

    def __init__(self, url: str, *, silent_write_s: int = SILENT_WRITE_S) -> None:
        self.url = sqlalchemy_url(url)
        self._silent_write_s = silent_write_s
        self.engine = _engine(self.url)
        self._secrets = spellings(passwords_of_url(self.url))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        try:
            self._migrate()
        except BaseException:
            self.engine.dispose()
            raise

    def _migrate(self) -> None:
        try:
            with self.engine.connect() as connection:
                version = _version(connection)
        except OperationalError as error:
            server = "is the server running and the database created, and are name, password and sslmode of store.url right?"
            raise DependencyError(self._said(error, "can the file be written?" if self.is_sqlite else server)) from error
        except DatabaseError as error:
            if lacks_right(error):
                raise DependencyError(self._said(error, self._rights)) from error
            file = "give the path of a store, or of a file that does not exist yet"
            raise UsageError(self._said(error, file if self.is_sqlite else "correct store.url")) from error
        if version == HEAD:
            return
        if version is not None and version > HEAD:
            reason = f"store {self.shown}: its schema is {version}, this release knows schemas up to {HEAD}; upgrade groundswell"
            raise UsageError(reason)
        from groundswell.store.migrate import upgrade

        try:
            upgrade(self.engine)
        except DatabaseError as error:
            if not lacks_right(error):
                raise
            step = (
                f"its schema is {version or 'not made yet'}, this release needs {HEAD}, and {self._account} may not change it: run "
                "`groundswell doctor` once as the owner of the tables, then deploy/postgres/roles.sql again"
            )
            raise DependencyError(self._said(error, step)) from error

    @property
    def shown(self) -> str:
        """The URL without any password, for messages and logs."""
        return mask_url(make_url(self.url).render_as_string(hide_password=True))

    @property
    def _account(self) -> str:
        return make_url(self.url).username or "this account"

    @property
    def _rights(self) -> str:
        return f"{self._account} lacks a right: run this as a role that deploy/postgres/roles.sql lists for its part"

    def _said(self, error: DBAPIError, step: str) -> str:
        """What the database said, without the secrets of the URL, and what to do."""
        said = " ".join(reason_of(error.orig or error).split())  # psycopg writes several lines
        return f"store {self.shown}: {mask_secrets(said, self._secrets)}; {step}"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot.

        Raises:
            DependencyError: the database went away, or the account lacks a right.
        """
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        try:
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except DatabaseError as error:
            told = self._refused(error, "it cannot be read now, try again")
            if told is None:
                raise
            raise told from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing.

        Raises:
            DependencyError: the database went away, or the account lacks a right; nothing was stored.
        """
        try:
            with self.engine.connect().execution_options(groundswell_write=True) as connection, connection.begin():
                if not self.is_sqlite:
                    connection.exec_driver_sql(_LIMITS.format(self._silent_write_s))
                yield connection
        except DatabaseError as error:
            if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                with suppress(DatabaseError):  # a login may lack the right to end another one's sessions
                    self.end_silent_writers()
            told = self._refused(error, "nothing of this transaction was stored, try again")
            if told is None:
                raise
            raise told from error

    def _refused(self, error: DatabaseError, step: str) -> DependencyError | None:
        """What a failed transaction means: a right is missing or the database is away; None for a fault in the statement."""
        if lacks_right(error):
            return DependencyError(self._said(error, self._rights))
        # The server ends a transaction that is silent for too long with an InternalError, and the connection with it.
        is_away = isinstance(error, OperationalError) or (isinstance(error, InternalError) and error.connection_invalidated)
        return DependencyError(self._said(error, step)) if is_away else None

    def end_silent_writers(self) -> int:
        """Cut off from PostgreSQL whoever holds rows and has said nothing for `silent_write_s`; they store nothing any more.

        Returns:
            How many there were.
        """
        with self.engine.begin() as connection:
            return int(connection.exec_driver_sql(_END_SILENT.format(self._silent_write_s)).scalar_one())

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row], *, keep: bool = True) -> int:
        """Insert rows; where a key exists, keep the stored row (`keep`) or raise.

        Returns:
            How many rows were inserted; those that were there already are not counted.
        """
        return insert_rows(connection, table, rows, keep=keep)

    def upsert(self, connection: Connection, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows, or set every other column of the row with the same key."""
        given = list(rows)
        if not given:
            return
        keys = [column.name for column in table.primary_key]
        dialect = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table)
        changed = {name: statement.excluded[name] for name in given[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), given)

    def add(self, connection: Connection, table: Table, rows: Sequence[Row], *, column: str) -> None:
        """Insert rows, no two with one key, or add their number in `column` to that of the row with the same key."""
        add_rows(connection, table, rows, column=column)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def lacks_right(error: DBAPIError) -> bool:
    """Whether PostgreSQL refused because the account may not do this."""
    return getattr(error.orig, "sqlstate", None) == "42501"  # insufficient_privilege


def sqlalchemy_url(url: str) -> str:
    """A SQLAlchemy URL from what people write.

    >>> sqlalchemy_url("var/desk.db"), sqlalchemy_url("postgres://u@h/d")
    ('sqlite:///var/desk.db', 'postgresql+psycopg://u@h/d')
    """
    if "://" not in url:
        return f"sqlite:///{url}"
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def sqlite_file(url: str) -> Path | None:
    """Where a store of SQLite lies; None of PostgreSQL, of one in memory, and of what is no URL.

    >>> sqlite_file("var/desk.db"), sqlite_file("postgresql://u@h/d")
    (PosixPath('var/desk.db'), None)
    """
    try:
        parsed = make_url(sqlalchemy_url(url))
    except (ArgumentError, ValueError):
        return None
    kept = parsed.drivername.startswith("sqlite") and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)).expanduser() if kept else None


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if file := sqlite_file(url):
                file.parent.mkdir(parents=True, exist_ok=True)
                make_own(file)
            # timeout: a reader or the desk may hold the file for a moment; isolation_level None leaves BEGIN to us.
            engine = create_engine(url, connect_args={"timeout": SQLITE_WAIT_S, "isolation_level": None}, hide_parameters=True)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        if parsed.get_backend_name() == "postgresql":
            # hide_parameters: an error's text would carry the documents of the batch into the log.
            engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
            teach_copy(engine)
            return engine
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        # A password that is not encoded may stand where a port should, and then in what is said of the port.
        said = "a part of it is none" if isinstance(error, ValueError) else reason_of(error)
        step = "write a path, sqlite:///FILE or postgresql://USER@HOST/DATABASE, a password with %2F for / and %40 for @"
        reason = f"store {mask_url(url.split('@')[-1])!r}: {said}; {step}"
        raise UsageError(reason) from error
    reason = f"store {parsed.get_backend_name()!r}: only SQLite and PostgreSQL are known; write a path, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    raise UsageError(reason)


def _prepare_sqlite(connection: Any, _: object) -> None:
    # WAL: the board reads while the pipeline writes. NORMAL: a killed process loses nothing; a lost power supply at
    # most the last commits, which the durable log replays.
    _to_wal(connection)
    for pragma in ("synchronous=NORMAL", "temp_store=MEMORY", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")


def _to_wal(connection: Any) -> None:
    """Switch to WAL. SQLite does not wait for this lock as it does for others, so processes that open a new file together would fail."""
    deadline = time.monotonic() + SQLITE_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("groundswell_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except DBAPIError as error:
        reason = f"store: its version cannot be read: {reason_of(error)}"
        raise DependencyError(reason) from error
