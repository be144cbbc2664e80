"""What a crawler remembers survives a restart, is bounded, and is lost without harm."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from groundswell.errors import DependencyError
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.memory import Memory, item_id
from ingest.polite import SourceState
from ingest.timetable import Rest

SOURCE = Source(name="desk", owner="o", url="https://news.example/rss")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "crawler.db"


def test_state_and_seen_items_survive_a_restart_to_the_byte(path: Path) -> None:
    state = SourceState(url=SOURCE.url, etag='W/"\u00e9 b"', moves=2, next_ms=7)
    with Memory(path) as memory:
        memory.keep(SOURCE, state, items=["a", "b"], now_ms=1)
    with Memory(path) as memory:
        assert memory.state(SOURCE) == state
        assert memory.unseen(SOURCE, ["a", "b", "c"]) == {"c"}


def test_items_are_seen_per_source(path: Path) -> None:
    with Memory(path) as memory:
        memory.keep(SOURCE, SourceState(url=SOURCE.url), items=["a"], now_ms=1)
        assert memory.unseen(msgspec.structs.replace(SOURCE, name="other"), ["a"]) == {"a"}


def test_the_oldest_items_make_room_and_those_that_the_feed_still_shows_stay(path: Path) -> None:
    with Memory(path, seen_max=3) as memory:
        state = SourceState(url=SOURCE.url)
        memory.keep(SOURCE, state, items=["a", "b", "c"], now_ms=1)
        memory.keep(SOURCE, state, items=["a", "d"], now_ms=2)
        assert len(memory.unseen(SOURCE, ["a", "b", "c", "d"])) == 1
        assert memory.unseen(SOURCE, ["a", "d"]) == set()


def test_another_address_in_the_catalogue_starts_another_memory(path: Path) -> None:
    with Memory(path) as memory:
        memory.keep(SOURCE, SourceState(url=SOURCE.url, etag="x"), now_ms=1)
        moved = msgspec.structs.replace(SOURCE, url="https://news.example/new")
        assert memory.state(moved) == SourceState(url="https://news.example/new")


def test_a_state_that_cannot_be_read_is_forgotten(path: Path) -> None:
    with Memory(path) as memory:
        memory.keep(SOURCE, SourceState(url=SOURCE.url, etag="x"), now_ms=1)
        with sqlite3.connect(path) as other:
            other.execute("UPDATE states SET body = ?", (b"{broken",))
        other.close()
        assert memory.state(SOURCE) == SourceState(url=SOURCE.url)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DependencyError, match="crawler memory"):
        Memory(tmp_path / "file" / "crawler.db")


def test_an_edit_is_another_item_and_a_new_date_is_not() -> None:
    first = RawDocument(source="s", title="Bank falls", id="1", published_ms=1)
    assert item_id(first) == item_id(msgspec.structs.replace(first, published_ms=2, fetched_ms=9))
    assert item_id(first) != item_id(msgspec.structs.replace(first, title="Bank rises"))


def test_a_hosts_rest_survives_a_restart_until_it_is_over(tmp_path: Path) -> None:
    with Memory(tmp_path / "crawler.db") as memory:
        memory.keep_rest("a.example", Rest(until_ms=100, why="HTTP 429"))
        memory.keep_rest("a.example", Rest(until_ms=200, why="HTTP 429"))
        memory.keep_rest("b.example", Rest(until_ms=150, why="HTTP 503"))
    with Memory(tmp_path / "crawler.db") as memory:
        assert set(memory.rests(now_ms=120)) == {"a.example", "b.example"}
        assert memory.rests(now_ms=150) == {"a.example": Rest(until_ms=200, why="HTTP 429")}
        assert set(memory.rests(now_ms=0)) == {"a.example"}
