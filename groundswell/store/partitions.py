"""Months as partitions, on PostgreSQL: what a month of the live run holds lies in tables of its own, and goes with them.

    increments                          by run
      increments_live                   the live run, by tick
        increments_live_2025_11         a month of known time
        increments_live_rest            whatever no month was made for yet
      increments_other                  all other runs, which go as a whole (drop_run.py)

Only the owner of the tables makes or drops one. Everybody else reads and writes the table at the top, as on SQLite, where it is the
only one. docs/months.md says why these tables and no others.
"""

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text

from groundswell.errors import DependencyError
from groundswell.names import DAY_MS, LIVE_RUN, TICK_MS
from groundswell.store import schema as t
from groundswell.store.months import Month
from groundswell.store.store import Store

PARTITIONED: Final[dict[str, tuple[str, ...]]] = {
    t.increments.name: ("run", "series", "tick", "pane", "daily"),
    t.stories.name: ("run", "series", "story", "tick"),
}
"""Table -> its key there. A key has to hold what a table is divided by: a story's has its tick too, which it is founded in."""

AHEAD_MONTHS: Final = 3
WARN_MS: Final = 7 * DAY_MS
"""So long before a month begins its partitions have to be there."""


# --- looking ----------------------------------------------------------------------------------------------------------------
def is_partitioned(connection: Connection) -> bool:
    """Whether this database divides its tables: PostgreSQL, from schema 0014 on."""
    if connection.dialect.name != "postgresql":
        return False
    found = connection.execute(text("SELECT relkind FROM pg_class WHERE oid = to_regclass('increments')")).scalar_one_or_none()
    return found == "p"


def months_made(connection: Connection) -> set[Month]:
    """The months that have partitions in every divided table."""
    return set.intersection(*(_made(connection, table) for table in PARTITIONED))


def _made(connection: Connection, table: str) -> set[Month]:
    rows = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:parent)"), {"parent": f"{table}_live"}
    )
    found = (re.fullmatch(rf"{table}_live_(\d{{4}})_(\d\d)", name) for name in rows.scalars())
    return {Month(int(each[1]), int(each[2])) for each in found if each is not None}


def strays(connection: Connection) -> set[Month]:
    """Months of the live run of which rows lie in the rest: they came before their partitions were made."""
    found: set[Month] = set()
    for table in PARTITIONED:
        ticks = text(f"SELECT DISTINCT {_MONTH} FROM {table}_live_rest")
        found |= {Month(moment.year, moment.month) for moment in connection.execute(ticks).scalars()}
    return found


_MONTH: Final = f"date_trunc('month', to_timestamp(tick * {TICK_MS // 1000}) AT TIME ZONE 'UTC')"


def trouble_of(connection: Connection, *, now_ms: int) -> dict[str, str]:
    """{"months": what is wrong}; empty where nothing is, or where nothing is divided.

    Args:
        connection: a reading transaction.
        now_ms: the wall clock.
    """
    if not is_partitioned(connection):
        return {}
    made, told = months_made(connection), []
    missing = sorted({Month.at(now_ms), Month.at(now_ms + WARN_MS)} - made)
    if missing:
        told.append(f"no partitions for {', '.join(month.name for month in missing)}")
    if any(connection.execute(text(f"SELECT 1 FROM {table}_live_rest LIMIT 1")).first() for table in PARTITIONED):
        told.append("rows of the live run lie in no month of their own")
    return {"months": f"{'; '.join(told)}: run `groundswell months prepare` as the owner of the tables"} if told else {}


# --- making and dropping -------------------------------------------------------------------------------------------------------
def check_owner(connection: Connection, *, what: str) -> None:
    """Be sure, before anything is done, that this login may change the tables.

    Raises:
        DependencyError: it may not.
    """
    owns = text("SELECT pg_has_role(relowner, 'USAGE'), current_user FROM pg_class WHERE oid = to_regclass('increments')")
    is_owner, login = connection.execute(owns).one()
    if not is_owner:
        reason = f"months {what}: {login} does not own the tables and may not change them; run it as a member of groundswell_owner"
        raise DependencyError(reason)


def make_months(connection: Connection, months: Iterable[Month]) -> list[Month]:
    """Make the partitions of months where they are missing; rows of theirs that lie in the rest move there.

    Args:
        connection: a writing transaction of the tables' owner; others wait for it where rows move.
        months: which.

    Returns:
        Those that were missing in a table.
    """
    new: set[Month] = set()
    for table in PARTITIONED:
        for month in sorted(set(months) - _made(connection, table)):
            _make(connection, table, month)
            new.add(month)
    return sorted(new)


def _make(connection: Connection, table: str, month: Month) -> None:
    """Beside the tree first: a partition cannot be made while the rest holds rows of it."""
    name, rest = partition_name(table, month), f"{table}_live_rest"
    span = f"tick >= {month.first_tick} AND tick <= {month.last_tick}"
    connection.execute(text(f"LOCK TABLE {table}_live IN ACCESS EXCLUSIVE MODE"))
    connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)"))
    connection.execute(text(f"INSERT INTO {name} SELECT * FROM {rest} WHERE {span}"))
    connection.execute(text(f"DELETE FROM {rest} WHERE {span}"))
    bounds = f"FROM ({month.first_tick}) TO ({month.last_tick + 1})"
    connection.execute(text(f"ALTER TABLE {table}_live ATTACH PARTITION {name} FOR VALUES {bounds}"))


def partition_name(table: str, month: Month) -> str:
    """What a month's partition of a table is called.

    >>> partition_name("increments", Month(2025, 11))
    'increments_live_2025_11'
    """
    return f"{table}_live_{month.year:04}_{month.number:02}"


def drop_month_tables(connection: Connection, month: Month) -> None:
    """Drop a month's partitions, where there are any."""
    for table in PARTITIONED:
        connection.execute(text(f"DROP TABLE IF EXISTS {partition_name(table, month)}"))


def prepare_months(store: Store, now: Month, *, ahead: int = AHEAD_MONTHS) -> list[Month]:
    """Make what is missing: this month, those ahead, and those of which rows lie in the rest.

    Args:
        store: on PostgreSQL.
        now: the month that it is.
        ahead: how many more.

    Returns:
        The months that were made.

    Raises:
        DependencyError: this login does not own the tables, or the database is away.
    """
    with store.write() as connection:
        check_owner(connection, what="prepare")
        wanted = {now.after(number) for number in range(ahead + 1)}
        return make_months(connection, wanted | strays(connection))


# --- once: dividing what was one table -----------------------------------------------------------------------------------------
def divide(connection: Connection, table: str, *, now_ms: int) -> None:
    """Turn a plain table into a divided one with the same rows, in the caller's transaction.

    Its rows are copied, then the plain table is dropped, so both are on the disk for a while. Months are made for what the live run holds
    and for those ahead.

    Args:
        connection: a writing transaction of the table's owner.
        table: a key of PARTITIONED.
        now_ms: the wall clock.
    """
    before, key = f"{table}_before", ", ".join(PARTITIONED[table])
    live = text(f"SELECT DISTINCT {_MONTH} FROM {table} WHERE run = '{LIVE_RUN}'")
    months = {Month(moment.year, moment.month) for moment in connection.execute(live).scalars()}
    months |= {Month.at(now_ms).after(ahead) for ahead in range(AHEAD_MONTHS + 1)}
    connection.execute(text(f"ALTER TABLE {table} RENAME TO {before}"))
    connection.execute(text(f"ALTER TABLE {before} RENAME CONSTRAINT {table}_pkey TO {before}_pkey"))
    connection.execute(text(f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS) PARTITION BY LIST (run)"))
    connection.execute(text(f"CREATE TABLE {table}_other PARTITION OF {table} DEFAULT"))
    of_live = f"FOR VALUES IN ('{LIVE_RUN}') PARTITION BY RANGE (tick)"
    connection.execute(text(f"CREATE TABLE {table}_live PARTITION OF {table} {of_live}"))
    connection.execute(text(f"CREATE TABLE {table}_live_rest PARTITION OF {table}_live DEFAULT"))
    for month in sorted(months):
        _make(connection, table, month)
    columns = ", ".join(column.name for column in t.metadata.tables[table].columns)
    connection.execute(text(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {before}"))
    connection.execute(text(f"DROP TABLE {before}"))
    # After the rows: an index that grows row by row costs twice as much.
    connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({key})"))
    for index in t.metadata.tables[table].indexes:
        index.create(connection)
