"""Accounts, readers and the audit log, in both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from groundswell.errors import NotFoundError, UsageError
from groundswell.store import schema as t
from groundswell.store.accounts import (
    COMPANIES_MAX,
    VISIT_MS,
    Person,
    Reader,
    add_person,
    anybody,
    change_person,
    keep_reader,
    people_of,
    person_name,
    person_named,
    rank,
    reader_named,
    visited,
)
from groundswell.store.audit import Entry, entries, note
from groundswell.store.store import Store

MEI = Person("mei", "analyst", "$argon2id$x", 1, 1, None)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    opened = Store(url)
    yield opened
    opened.close()


def mei(store: Store) -> Person:
    with store.read() as connection:
        found = person_named(connection, "mei")
    assert found is not None
    return found


def test_an_account_is_added_once_and_changed_with_the_time_of_the_change(store: Store) -> None:
    assert not anybody(store)
    with store.write() as connection:
        add_person(store, connection, MEI)
    with pytest.raises(UsageError, match="person 'mei': has an account already"), store.write() as connection:
        add_person(store, connection, Person("mei", "admin", None, 2, 2, None))
    assert anybody(store)
    assert mei(store) == MEI
    with store.write() as connection:
        change_person(connection, "mei", now_ms=5, disabled=True)
    assert mei(store) == Person("mei", "analyst", "$argon2id$x", 1, 5, 5)
    with store.write() as connection:
        change_person(connection, "mei", now_ms=6, disabled=False, role="admin", password_hash="y")
    with store.read() as connection:
        assert people_of(connection) == [Person("mei", "admin", "y", 1, 6, None)]
        assert person_named(connection, "li") is None
    with pytest.raises(NotFoundError, match="person 'li': has no account"), store.write() as connection:
        change_person(connection, "li", now_ms=7)


def test_a_role_may_do_what_those_before_it_may() -> None:
    assert [rank(None), rank("reader"), rank("analyst"), rank("admin")] == [-1, 0, 1, 2]


@pytest.mark.parametrize("text", ["", " ", "a b", "../x", "<b>", "x" * 81, "-mei", "\u202emei"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be 1 to 80 of a-z"):
        person_name(text)


def test_a_name_is_kept_in_lower_case() -> None:
    assert person_name(" Mei@Bank.example ") == "mei@bank.example"


def test_what_is_kept_for_a_reader_is_read_back_and_a_new_one_has_chosen_nothing(store: Store) -> None:
    chosen = Reader("mei", language="zh", zone="Asia/Shanghai", companies=("entity:SVB", "entity:LinlanBank"), visited_ms=5, before_ms=3)
    with store.write() as connection:
        keep_reader(store, connection, Reader("mei", language="en"))
        keep_reader(store, connection, chosen)
    with store.read() as connection:
        assert reader_named(connection, "mei") == chosen
        assert reader_named(connection, "li") == Reader("li")
    too_many = tuple(f"entity:{n}" for n in range(COMPANIES_MAX + 1))
    with pytest.raises(UsageError, match="companies: 200 at most, got 201"), store.write() as connection:
        keep_reader(store, connection, Reader("li", companies=too_many))


def test_a_visit_lasts_while_the_inbox_is_opened_now_and_then() -> None:
    first = visited(Reader("mei"), now_ms=1_000)
    assert (first.before_ms, first.visited_ms) == (None, 1_000)
    again = visited(first, now_ms=1_000 + VISIT_MS - 1)
    assert again.before_ms is None
    later = visited(again, now_ms=again.visited_ms + VISIT_MS if again.visited_ms else 0)
    assert later.before_ms == again.visited_ms


def test_the_audit_log_is_read_newest_first_and_by_person(store: Store) -> None:
    rows = [Entry(n, who, "127.0.0.1", "signed in", "x" * 600) for n, who in ((1, "mei"), (2, "li"), (2, "mei"))]
    with store.write() as connection:
        for row in rows:
            note(store, connection, row)
    with store.read() as connection:
        assert [(e.at_ms, len(e.detail)) for e in entries(connection)] == [(2, 500), (2, 500), (1, 500)]
        assert [e.at_ms for e in entries(connection, who="mei")] == [2, 1]
        assert len(entries(connection, limit=1)) == 1


def test_rows_of_the_audit_log_are_only_ever_added_in_sqlite_too(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s.db"))
    with store.write() as connection:
        note(store, connection, Entry(1, "mei", "here", "signed in", ""))
    for change in (update(t.audit).values(who="li"), delete(t.audit)):
        with pytest.raises(IntegrityError, match="rows are only ever added"), store.write() as connection:
            connection.execute(change)
    with store.read() as connection:
        assert [e.who for e in entries(connection)] == ["mei"]
    store.close()
