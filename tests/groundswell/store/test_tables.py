"""The rows that other programs are told: which series there are is found by the index, on both databases alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from groundswell.errors import NotFoundError
from groundswell.names import CANARY_SERIES, DAY_MS, PANE_MS, TICK_MS
from groundswell.records import Increment
from groundswell.store import query, tables
from groundswell.store import schema as t
from groundswell.store.derived import insert_increments
from groundswell.store.store import Store
from tests import builders as b

RUN = "r"
KEYS = ("entity:A", "entity:B", "topic:debt_credit:zh", CANARY_SERIES)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store_url"))
    opened = Store(url)
    with opened.write() as connection:
        opened.insert(connection, t.runs, [{"run": RUN, "kind": "backfill", "model_id": "fake-1", "manifest": b"{}"}])
        members = {"s": {"o": [1, 1, 0, 0, 900_000, 1, 1]}}
        pane = b.T0_MS // PANE_MS
        for run in (RUN, "other"):
            rows = [
                Increment(
                    series=key if run == RUN else f"entity:{run}", tick=b.T0_TICK + n, pane=pane, daily=False, members=members,
                    negatives=[],
                )
                for n, key in enumerate(KEYS * 3)
            ]  # fmt: skip
            insert_increments(opened, connection, run, rows)
    yield opened
    opened.close()


def test_series_are_found_by_glob_within_their_run(store: Store) -> None:
    with store.read() as connection:
        assert query.series_like(connection, RUN, ["entity:*"]) == ["entity:A", "entity:B"]
        assert query.series_like(connection, RUN, ["*"]) == ["entity:A", "entity:B", "topic:debt_credit:zh"]
        assert query.series_like(connection, RUN, ["entity:A", "entity:nobody", "canary"]) == ["canary", "entity:A", "entity:nobody"]
        with pytest.raises(NotFoundError, match="'flag:\\*': nothing stored matches in run 'r'; 3 series are stored"):
            query.series_like(connection, RUN, ["flag:*"])


def test_the_names_of_series_are_read_from_key_to_key_of_the_index(store: Store) -> None:
    def explained(connection: Connection, statement: str, **given: Any) -> str:
        word = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
        return "\n".join(str(row[-1]) for row in connection.execute(text(f"{word} {statement}"), given))

    with store.read() as connection:
        if not store.is_sqlite:  # so few rows fit on one page, which is read at once
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = explained(connection, query._SERIES, run=RUN)
    assert "Seq Scan on increments" not in plan
    assert "SCAN increments" not in plan
    assert "increments" in plan


def test_a_window_says_what_it_was_asked_for_and_nothing_of_what_came_later(store: Store) -> None:
    span: dict[str, Any] = {"start_ms": b.T0_MS, "end_ms": b.T0_MS + DAY_MS, "window_ms": DAY_MS}
    with store.read() as connection:
        (row,) = tables.series_rows(connection, RUN, ["entity:A"], **span)
        (then,) = tables.series_rows(connection, RUN, ["entity:A"], as_of_ms=b.T0_MS + 4 * TICK_MS, **span)
    assert list(row) == tables.SERIES_COLUMNS
    assert (row["documents"], then["documents"]) == (3, 1)
