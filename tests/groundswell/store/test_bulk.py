"""Many rows at once on PostgreSQL: what is stored, kept and counted is the same as row by row."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Table, event, func, select
from sqlalchemy.exc import DataError, IntegrityError

from groundswell.store import bulk
from groundswell.store import schema as t
from groundswell.store.bulk import COPY_ROWS_MIN, RowsOf, insert_rows
from groundswell.store.store import Store
from tests import builders as b

pytestmark = pytest.mark.postgres
MANY = 3 * COPY_ROWS_MIN


@pytest.fixture
def store(postgres_store_url: str) -> Iterator[Store]:
    with closing(Store(postgres_store_url)) as opened:
        yield opened


def rows(count: int = MANY, **changed: Any) -> list[dict[str, Any]]:
    return [{"run": "r", "source": f"s{n:03}", "documents": n, **changed} for n in range(count)]


def document(name: str, **changed: Any) -> dict[str, Any]:
    row = msgspec.structs.asdict(b.a_document(document_id=name, url=None, **changed))
    del row["store_text"]
    return row


def stored(connection: Connection) -> dict[str, int]:
    f = t.fetched.c
    return {row.source: row.documents for row in connection.execute(select(f.source, f.documents))}


def test_a_key_that_is_stored_keeps_its_row_and_the_others_are_added(store: Store) -> None:
    with store.write() as connection:
        assert insert_rows(connection, t.fetched, rows(COPY_ROWS_MIN), keep=True) == COPY_ROWS_MIN
        assert insert_rows(connection, t.fetched, rows(documents=99), keep=True) == MANY - COPY_ROWS_MIN
        assert stored(connection) == {f"s{n:03}": n if n < COPY_ROWS_MIN else 99 for n in range(MANY)}


def test_rows_that_are_there_already_are_asked_for_by_key_and_not_sent_one_by_one(store: Store) -> None:
    with store.write() as connection:
        insert_rows(connection, t.fetched, rows(MANY - 1), keep=True)
    said: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: said.append(given[2].split()[0]))
    with store.write() as connection:
        assert insert_rows(connection, t.fetched, rows(2 * MANY), keep=True) == MANY + 1
        assert insert_rows(connection, t.fetched, rows(2 * MANY), keep=True) == 0
    assert "INSERT" not in said
    assert said.count("COPY") == 3, "tried, the rest, and tried again"


def test_a_row_is_made_once_also_where_some_are_there_already(store: Store) -> None:
    made: list[int] = []

    def row(number: int) -> dict[str, Any]:
        made.append(number)
        return rows()[number]

    with store.write() as connection:
        insert_rows(connection, t.fetched, rows(1), keep=True)
        assert insert_rows(connection, t.fetched, RowsOf(range(MANY), row), keep=True) == MANY - 1
        assert stored(connection) == {f"s{n:03}": n for n in range(MANY)}
    assert made == list(range(MANY))


def test_of_a_key_that_comes_twice_in_a_batch_the_first_row_stays(store: Store) -> None:
    with store.write() as connection:
        insert_rows(connection, t.fetched, rows(1), keep=True)
        given = [*rows(), *rows(documents=99)]
        assert insert_rows(connection, t.fetched, given, keep=True) == MANY - 1
        assert stored(connection) == {f"s{n:03}": n for n in range(MANY)}


@pytest.mark.parametrize("table", [t.documents, t.scores, t.admissions, t.search, t.drops, t.source_hours], ids=str)
def test_every_kind_of_key_can_be_asked_for(store: Store, table: Table) -> None:
    with store.read() as connection:
        keys = {f"of_{column.name}": [7] if column.type.python_type is int else ["x"] for column in table.primary_key}
        assert connection.execute(bulk._stored_statement(table), keys).all() == []


def test_what_the_transaction_wrote_before_a_stored_key_was_met_stays(store: Store) -> None:
    with store.write() as connection:
        insert_rows(connection, t.fetched, [{"run": "before", "source": "s", "documents": 1}, *rows(1)], keep=True)
        insert_rows(connection, t.fetched, rows(), keep=True)
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.fetched)).scalar_one() == MANY + 1


def test_a_row_that_may_be_written_once_only_raises_when_it_comes_again(store: Store) -> None:
    with store.write() as connection:
        insert_rows(connection, t.fetched, rows(), keep=False)
    with pytest.raises(IntegrityError), store.write() as connection:
        insert_rows(connection, t.fetched, rows(), keep=False)


def test_another_fault_of_a_row_is_told_and_no_row_is_stored(store: Store) -> None:
    with pytest.raises(DataError), store.write() as connection:
        insert_rows(connection, t.fetched, rows(documents=2**70), keep=True)
    with store.read() as connection:
        assert stored(connection) == {}


def test_every_kind_of_value_comes_back_as_it_was_written(store: Store) -> None:
    texts = ["plain", "tab\tand\\N", "line\nbreak \\", '"quoted"', "临澜银行 é", "", "\\."]
    made = [document(f"d{n:02}", title=texts[n % len(texts)], owner_known=n % 2 == 0) for n in range(MANY)]
    bodies = [
        {"document_id": "d", "content_hash": "c", "model_id": f"m{n}", "topic": "t", "sentiment": "neutral", "negative_ppm": n}
        | {"body": bytes(range(n, n + 200))}
        for n in range(MANY)
    ]
    with store.write() as connection:
        insert_rows(connection, t.documents, made, keep=True)
        insert_rows(connection, t.scores, bodies, keep=True)
    with store.read() as connection:
        assert [dict(row) for row in connection.execute(select(t.documents).order_by(t.documents.c.document_id)).mappings()] == made
        found = connection.execute(select(t.scores.c.body).order_by(t.scores.c.negative_ppm)).scalars()
        assert [bytes(body) for body in found] == [row["body"] for row in bodies]
