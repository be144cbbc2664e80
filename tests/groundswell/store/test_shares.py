"""Shares of many series: sums of closed hours, of the series that are asked for and of no others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from groundswell.store import schema as t
from groundswell.store.shares import sums_of
from groundswell.store.store import Store

ROWS = [
    ("r", "entity:a", 3_600, 10, 1, 4),
    ("r", "entity:a", 3_600, 11, 2, 3),
    ("r", "entity:a", 3_600, 12, 5, 5),
    ("r", "entity:a", 86_400, 0, 9, 9),  # a day is no hour
    ("r", "entity:b_c", 3_600, 10, 0, 2),
    ("r", "late of entity:a", 86_400, 0, 7, 7),
    ("r", "topic:debt_credit:en", 3_600, 11, 6, 8),
    ("other", "entity:a", 3_600, 11, 50, 50),
]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"{tmp_path}/s.db" if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    store = Store(url)
    names = ("run", "series", "period_s", "period", "negative", "stories")
    with store.write() as connection:
        store.insert(connection, t.baselines, [dict(zip(names, row, strict=True)) for row in ROWS])
    yield store
    store.close()


def test_hours_of_a_span_are_summed_for_each_series_that_is_named(store: Store) -> None:
    with store.read() as connection:
        found = sums_of(connection, "r", since_hour=10, until_hour=12, series=["entity:a", "entity:b_c", "entity:x"])
        assert found == {"entity:a": (3, 7), "entity:b_c": (0, 2)}
        assert sums_of(connection, "r", since_hour=11, until_hour=13, series=["entity:a"]) == {"entity:a": (7, 8)}


def test_or_for_all_whose_key_begins_so(store: Store) -> None:
    with store.read() as connection:
        assert set(sums_of(connection, "r", since_hour=10, until_hour=13, prefix="entity:")) == {"entity:a", "entity:b_c"}
        assert sums_of(connection, "r", since_hour=10, until_hour=13, prefix="entity:b_") == {"entity:b_c": (0, 2)}
