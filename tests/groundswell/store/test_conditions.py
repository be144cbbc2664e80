"""Conditions hold once, end, and may come again; both databases agree (tests/contract covers the statements they are made of)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from groundswell.store.conditions import HEADINGS, KINDS, end, hold, open_conditions, settle, told
from groundswell.store.store import Store

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    opened = Store(url)
    yield opened
    opened.close()


def holding(store: Store) -> list[tuple[str, str, int, str]]:
    with store.read() as connection:
        return [(c.kind, c.subject, c.since_ms, c.reason) for c in open_conditions(connection)]


def test_a_condition_that_holds_keeps_its_beginning(store: Store) -> None:
    assert hold(store, "drops", "wire", reason="first", now_ms=1)
    assert not hold(store, "drops", "wire", reason="second", now_ms=2)
    assert holding(store) == [("drops", "wire", 1, "first")]


def test_a_condition_that_ended_may_come_again(store: Store) -> None:
    hold(store, "drops", "wire", reason="first", now_ms=1)
    assert end(store, "drops", "wire", now_ms=2)
    assert not end(store, "drops", "wire", now_ms=3)
    assert holding(store) == []
    assert hold(store, "drops", "wire", reason="again", now_ms=4)
    assert holding(store) == [("drops", "wire", 4, "again")]


def test_settling_ends_what_is_over_and_keeps_what_is_not_and_says_what_is_new(store: Store) -> None:
    hold(store, "drops", "a", reason="a", now_ms=1)
    hold(store, "drops", "b", reason="b", now_ms=1)
    hold(store, "behind", "live", reason="another kind", now_ms=1)

    assert settle(store, "drops", {"b": "b now", "c": "c"}, now_ms=5) == ["c"]
    assert holding(store) == [("behind", "live", 1, "another kind"), ("drops", "b", 1, "b"), ("drops", "c", 5, "c")]


def test_who_was_told_is_remembered(store: Store) -> None:
    hold(store, "crash_loop", "host", reason="r", now_ms=1)
    with store.read() as connection:
        (condition,) = open_conditions(connection)
    told(store, condition, now_ms=9)
    with store.read() as connection:
        assert [c.told_ms for c in open_conditions(connection)] == [9]


def test_every_kind_has_a_heading_in_the_runbook() -> None:
    headings = [line.removeprefix("## ").lower().replace(" ", "-") for line in RUNBOOK.read_text().splitlines() if line.startswith("## ")]
    assert set(HEADINGS) == set(KINDS)
    assert set(HEADINGS.values()) <= set(headings)
