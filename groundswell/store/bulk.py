"""Many rows into one table: by COPY where the database has it, which costs a third of an insert for each row.

COPY knows no "keep the row that is there", so it is tried behind a savepoint: a key that is stored already undoes it, and the rows are
inserted one by one. That happens after a restart, to the batch that is met again, and where a second run reads what a first one stored.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

Row = Mapping[str, Any]

COPY_ROWS_MIN: Final = 16
"""Fewer are inserted: savepoint and COPY are three statements more."""

_COPY: Final = "COPY "
_UNIQUE_VIOLATION: Final = "23505"


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row], *, keep: bool) -> int:
    """Insert rows; where a key exists, keep the stored row (`keep`) or raise.

    Args:
        connection: a writing transaction.
        table: which.
        rows: all of the same columns.
        keep: what is stored stays.

    Returns:
        How many rows were inserted; those that were there already are not counted.
    """
    if not rows:
        return 0
    if connection.dialect.name == "postgresql" and len(rows) >= COPY_ROWS_MIN:
        if not keep:
            return _copy(connection, table, rows)
        connection.exec_driver_sql("SAVEPOINT bulk")
        try:
            copied = _copy(connection, table, rows)
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) != _UNIQUE_VIOLATION:
                raise
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT bulk")
        else:
            connection.exec_driver_sql("RELEASE SAVEPOINT bulk")
            return copied
    statement, places = _insert_statement(connection.dialect, table, keep=keep)
    # Past SQLAlchemy's own parameter handling, which costs as much per row as SQLite's insert does.
    given = [tuple(row[name] for name in places) for row in rows] if places else list(rows)
    return connection.exec_driver_sql(statement, given).rowcount


def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    names = list(rows[0])
    # As the statement of an executemany, so that SQLAlchemy tells errors of the connection like those of any other statement.
    connection.exec_driver_sql(f"{_COPY}{table.name} ({', '.join(names)}) FROM STDIN", list(map(itemgetter(*names), rows)))
    return len(rows)


def teach_copy(engine: Engine) -> None:
    """Let an engine's connections carry out what `insert_rows` asks of them."""
    event.listen(engine, "do_executemany", _do_copy)


def _do_copy(cursor: Any, statement: str, parameters: Sequence[tuple[Any, ...]], _: object) -> bool:
    """Write a COPY's rows; returns whether it was one, and nothing is left to do."""
    if not statement.startswith(_COPY):
        return False
    with cursor.copy(statement) as copy:
        for row in parameters:
            copy.write_row(row)
    return True


@lru_cache(maxsize=256)
def _insert_statement(dialect: Dialect, table: Table, *, keep: bool) -> tuple[str, tuple[str, ...] | None]:
    """The driver's own text of an insert, and the order of its parameters where they are positional."""
    statement: Any = table.insert()
    if keep:
        statement = (sqlite if dialect.name == "sqlite" else postgresql).insert(table).on_conflict_do_nothing()
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup) if compiled.positiontup else None
