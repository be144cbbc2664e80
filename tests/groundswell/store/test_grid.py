from pathlib import Path

import pytest

from groundswell.codec import canonical
from groundswell.errors import UsageError
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS, TICK_MS
from groundswell.prevalence import ErrorMatrix, Errors, corrected_share
from groundswell.records import Increment
from groundswell.store import schema as t
from groundswell.store.derived import insert_increments
from groundswell.store.grid import first_hour_ms, most_active, series_grid
from groundswell.store.query import series_windows
from groundswell.store.store import Store
from tests.dashboards.board.board_store import BANK, EN, END_MS, START_MS, ZH, fill


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store.db"))
    fill(made, None)
    return made


def add(store: Store, series: str, *, known_ms: int, published_ms: int, daily: bool = False) -> None:
    members = {"late": {"o": [2, 1, 1, 0, 950_000, 0, 0]}}
    row = Increment(series=series, tick=known_ms // TICK_MS, pane=published_ms // PANE_MS, daily=daily, members=members, negatives=[])
    with store.write() as connection:
        insert_increments(store, connection, "r", [row])


@pytest.mark.parametrize("window_ms", [PANE_MS * 3, HOUR_MS, 6 * HOUR_MS, DAY_MS])
@pytest.mark.parametrize("as_of_ms", [None, END_MS - 7 * HOUR_MS])
def test_the_grid_says_what_the_series_windows_say(store: Store, window_ms: int, as_of_ms: int | None) -> None:
    add(store, EN, known_ms=END_MS - HOUR_MS + 15_000, published_ms=END_MS - 30 * HOUR_MS)
    add(store, EN, known_ms=END_MS - HOUR_MS + 15_000, published_ms=END_MS - 31 * HOUR_MS, daily=True)
    start, end = START_MS + 5 * HOUR_MS + 1, END_MS + HOUR_MS
    with store.read() as connection:
        grid = series_grid(
            connection, "r", [EN, ZH, BANK, "entity:Nobody"], start_ms=start, end_ms=end, window_ms=window_ms, as_of_ms=as_of_ms
        )
        for name, cells in grid.items():
            windows = list(series_windows(connection, "r", name, start_ms=start, end_ms=end, window_ms=window_ms, as_of_ms=as_of_ms))
            assert [(c.start_ms, c.end_ms, c.complete, c.exposure) for c in cells] == [
                (w.start_ms, w.end_ms, w.complete, w.exposure) for w in windows
            ]
            assert [(c.documents, c.negative, c.share, c.low, c.high) for c in cells] == [
                (w.counts.documents, w.counts.negative, w.counts.negative_share, w.counts.low, w.counts.high) for w in windows
            ]
    store.close()


def test_a_topics_share_is_corrected_by_the_errors_in_force_at_the_windows_start_and_a_companys_is_not(store: Store) -> None:
    model = "fake-1"
    errors = Errors(hits=80, negatives=100, alarms=100, others=1_000)
    matrices = [ErrorMatrix(model=model, language=language, corpora=["made"], whole=errors, topics={}) for language in ("en", "zh")]
    since_ms = END_MS - 6 * HOUR_MS
    rows = [
        {"run": "r", "kind": kind, "effective_ms": effective_ms, "hash": name}
        for kind, effective_ms, name in (("model", 0, model), ("errors", 0, "none"), ("errors", since_ms, "some"))
    ]
    contents = [{"kind": "errors", "hash": name, "content": canonical(found)} for name, found in (("none", []), ("some", matrices))]
    with store.write() as connection:
        store.insert(connection, t.in_force, rows)
        store.insert(connection, t.versions, contents)
    with store.read() as connection:
        grid = series_grid(connection, "r", [EN, BANK], start_ms=START_MS, end_ms=END_MS, window_ms=HOUR_MS)
        windows = list(series_windows(connection, "r", EN, start_ms=START_MS, end_ms=END_MS, window_ms=HOUR_MS))
    filled = [cell for cell in grid[EN] if cell.documents]
    assert {cell.corrected is not None for cell in filled if cell.start_ms >= since_ms} == {True}
    assert {cell.corrected is not None for cell in filled if cell.start_ms < since_ms} == {False}
    assert all(cell.corrected is None for cell in grid[BANK])
    assert [cell.corrected for cell in grid[EN]] == [window.corrected for window in windows]
    last = filled[-1]
    assert last.corrected == corrected_share(last.negative, last.documents, matrices[0].of_topic("debt_credit"))
    store.close()


def test_a_window_that_is_no_multiple_of_a_pane_is_refused(store: Store) -> None:
    with store.read() as connection, pytest.raises(UsageError, match="panes are 5 minutes"):
        series_grid(connection, "r", [EN], start_ms=START_MS, end_ms=END_MS, window_ms=PANE_MS + 1)
    store.close()


def test_the_most_active_series_come_first_and_other_kinds_not_at_all(store: Store) -> None:
    add(store, "entity:Other", known_ms=END_MS - HOUR_MS, published_ms=END_MS - HOUR_MS)
    with store.read() as connection:
        found = most_active(connection, "r", "entity:", start_ms=START_MS, end_ms=END_MS, limit=5)
        one = most_active(connection, "r", "entity:", start_ms=START_MS, end_ms=END_MS, limit=1)
    store.close()
    assert [name for name, _ in found] == [BANK, "entity:Other"]
    assert found[1][1] == 2
    assert one == found[:1]


def test_a_run_without_a_closed_hour_has_no_first_one(store: Store) -> None:
    with store.read() as connection:
        assert first_hour_ms(connection, "r") == START_MS
        assert first_hour_ms(connection, "other") is None
    store.close()
