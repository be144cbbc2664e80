"""Many rows into one table: by COPY where the database has it, which costs a third of an insert for each row.

COPY knows no "keep the row that is there", so it is tried behind a savepoint: a key that is stored already undoes it. Then the database is
asked once which keys it has, and the rows that are left are copied. That happens after a restart, to the batch that is met again, and where
a second run reads what a first one stored: most rows are there then, and a key is less than a row.

    `RowsOf(documents, row)`     row  row  row  row  ...     a row is made while the database takes those before it: two processors
    the database                      row  row  row  ...     work, where one would wait for the other
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, Dialect, Engine, Select, Table, and_, bindparam, event, func, literal_column, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

Row = Mapping[str, Any]

COPY_ROWS_MIN: Final = 16
"""Fewer are inserted: savepoint and COPY are three statements more."""

_COPY: Final = "COPY "
_UNIQUE_VIOLATION: Final = "23505"


class RowsOf(Sequence[Row]):
    """Rows, each made when it is first asked for, and kept.

    Args:
        things: what they are made of.
        row: makes one; of the same columns for all.

    >>> rows = RowsOf([1, 2], lambda n: {"square": n * n})
    >>> len(rows), rows[1], list(rows)
    (2, {'square': 4}, [{'square': 1}, {'square': 4}])
    """

    def __init__(self, things: Sequence[Any], row: Callable[[Any], Row]) -> None:
        self._count, self._rest = len(things), map(row, things)
        self._made: list[Row] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        place = range(self._count)[place]
        self._made += islice(self._rest, max(0, place + 1 - len(self._made)))
        return self._made[place]

    def __iter__(self) -> Iterator[Row]:
        yield from self._made
        for row in self._rest:
            self._made.append(row)
            yield row


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
        copied = _try_copy(connection, table, rows)
        if copied is None:
            rows = _missing(connection, table, rows)
            copied = _try_copy(connection, table, rows) if len(rows) >= COPY_ROWS_MIN else None
        if copied is not None or not rows:
            return copied or 0
    statement, places = _insert_statement(connection.dialect, table, keep=keep)
    # Past SQLAlchemy's own parameter handling, which costs as much per row as SQLite's insert does.
    given = [tuple(row[name] for name in places) for row in rows] if places else list(rows)
    return connection.exec_driver_sql(statement, given).rowcount


def add_rows(connection: Connection, table: Table, rows: Sequence[Row], *, column: str) -> None:
    """Insert rows, or add their number in `column` to that of the row with the same key.

    Args:
        connection: a writing transaction.
        table: which.
        rows: all of the same columns, no two with one key.
        column: a number that is not part of the key.
    """
    if not rows:
        return
    names = tuple(rows[0])
    statement = _add_statement(connection.dialect.name, table, names, column)
    if connection.dialect.name == "postgresql":
        connection.execute(statement, {f"of_{name}": [row[name] for row in rows] for name in names})
    else:
        connection.execute(statement, [dict(row) for row in rows])


@lru_cache(maxsize=64)
def _add_statement(dialect: str, table: Table, names: tuple[str, ...], column: str) -> Any:
    """PostgreSQL is given columns instead of rows: a row that is sent by itself costs as much as all of this."""
    statement: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    if dialect == "postgresql":
        wanted = _unnested(table, names)
        statement = statement.from_select(names, select(*(wanted.c[name] for name in names)))
    return statement.on_conflict_do_update(
        index_elements=[key.name for key in table.primary_key], set_={column: table.c[column] + statement.excluded[column]}
    )


def _unnested(table: Table, names: Sequence[str]) -> Any:
    """Rows of some columns of a table, from an array for each: `of_NAME`."""
    arrays = [bindparam(f"of_{name}", type_=ARRAY(table.c[name].type)) for name in names]
    return func.unnest(*arrays).table_valued(*names, name="wanted").render_derived()


def _try_copy(connection: Connection, table: Table, rows: Sequence[Row]) -> int | None:
    """Copy rows; None where a key of one was there, and none was copied."""
    connection.exec_driver_sql("SAVEPOINT bulk")
    try:
        copied = _copy(connection, table, rows)
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != _UNIQUE_VIOLATION:
            raise
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT bulk")
        return None
    connection.exec_driver_sql("RELEASE SAVEPOINT bulk")
    return copied


def _missing(connection: Connection, table: Table, rows: Sequence[Row]) -> list[Row]:
    """The rows whose keys are not stored, each key once: the first."""
    names = [column.name for column in table.primary_key]
    keys = [tuple(row[name] for name in names) for row in rows]
    first = dict(zip(reversed(keys), reversed(rows), strict=True))
    given = {f"of_{name}": list(values) for name, values in zip(names, zip(*first, strict=True), strict=True)}
    stored = {tuple(found) for found in connection.execute(_stored_statement(table), given)}
    return [row for key, row in zip(keys, rows, strict=True) if key not in stored and first[key] is row]


@lru_cache(maxsize=64)
def _stored_statement(table: Table) -> Select[Any]:
    """Which of many keys a table has. Each is looked up by itself, as in facts.py: a plan of PostgreSQL's own may read the whole table."""
    columns = list(table.primary_key)
    wanted = _unnested(table, [column.name for column in columns])
    same = and_(*(column == wanted.c[column.name] for column in columns))
    found = select(literal_column("1").label("one")).select_from(table).where(same).offset(literal_column("0")).lateral("found")
    return select(*(wanted.c[column.name] for column in columns)).select_from(wanted).join(found, true())


def _copy(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    names = list(rows[0])
    # As a statement with a parameter, so that SQLAlchemy tells errors of the connection like those of any other statement.
    connection.exec_driver_sql(f"{_COPY}{table.name} ({', '.join(names)}) FROM STDIN", (map(itemgetter(*names), rows),))
    return len(rows)


def teach_copy(engine: Engine) -> None:
    """Let an engine's connections carry out what `insert_rows` asks of them."""
    event.listen(engine, "do_execute", _do_copy)


def _do_copy(cursor: Any, statement: str, parameters: Any, _: object) -> bool:
    """Write a COPY's rows; returns whether it was one, and nothing is left to do."""
    if not statement.startswith(_COPY):
        return False
    (rows,) = parameters
    with cursor.copy(statement) as copy:
        for row in rows:
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
