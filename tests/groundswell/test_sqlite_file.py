"""A small SQLite file: whatever goes wrong with it is one error that names the file and what to do, and nothing stays half done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from groundswell.errors import DependencyError
from groundswell.sqlite_file import SqliteFile

TABLES = "CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL);"


def opened(path: Path) -> SqliteFile:
    return SqliteFile(path, what="list of words", script=TABLES, if_damaged="write it again")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    made = opened(tmp_path / "var" / "words.db")
    yield made
    made.close()


def test_what_was_written_in_a_transaction_is_there_and_the_next_opening_finds_it(file: SqliteFile) -> None:
    with file.transaction() as db:
        db.execute("INSERT INTO words VALUES ('a'), ('b')")
    again = opened(file.path)
    assert again.rows("SELECT word FROM words ORDER BY word") == [("a",), ("b",)]
    assert again.row("SELECT word FROM words WHERE word = ?", ("b",)) == ("b",)
    assert again.row("SELECT word FROM words WHERE word = ?", ("c",)) is None
    again.close()


def test_whatever_ends_a_transaction_early_leaves_nothing_of_it_and_the_next_one_begins(file: SqliteFile) -> None:
    with pytest.raises(ZeroDivisionError), file.transaction() as db:
        db.executemany("INSERT INTO words VALUES (?)", ((str(1 // left),) for left in (1, 0)))
    with pytest.raises(DependencyError, match="nothing was written: free space on the disk, then go on"), file.transaction() as db:
        db.execute("INSERT INTO words VALUES (NULL)")
    with file.transaction() as db:
        db.execute("INSERT INTO words VALUES ('b')")
    assert file.rows("SELECT word FROM words") == [("b",)]


def test_a_file_that_is_no_database_says_what_to_do_with_it(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    path.write_bytes(b"no database at all " * 500)
    with pytest.raises(DependencyError, match=r"list of words .*words\.db: .*; write it again"):
        opened(path)


def test_a_file_whose_pages_were_damaged_says_so_when_it_is_read_and_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    whole = opened(path)
    with whole.transaction() as db:
        db.executemany("INSERT INTO words VALUES (?)", [(f"word {number:06}",) for number in range(5_000)])
    whole.close()
    data = path.read_bytes()
    path.write_bytes(data[:4_096] + b"\xff" * (len(data) - 4_096))  # the first page says which tables there are
    damaged = opened(path)
    with pytest.raises(DependencyError, match="write it again"):
        damaged.rows("SELECT word FROM words")
    with pytest.raises(DependencyError, match="write it again"), damaged.transaction() as db:
        db.execute("INSERT INTO words VALUES ('a')")
    damaged.close()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(DependencyError, match=r"list of words .*words\.db: .*check the folder's permissions and free space"):
        opened(tmp_path / "var" / "words.db")
