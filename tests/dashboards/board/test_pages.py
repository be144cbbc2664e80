from pathlib import Path

import pytest

from dashboards.board.pages import FORMING_MS, SPANS, WINDOWS_MAX, range_asked, read_around, read_board
from dashboards.board.words import Clock
from groundswell.errors import UsageError
from groundswell.names import DAY_MS, HOUR_MS
from groundswell.store.store import Store
from tests.dashboards.board.board_store import BANK, EN, END_MS, START_MS, an_opened_alert, fill

UTC = Clock("UTC")


@pytest.mark.parametrize(
    ("length_ms", "span"), [(0, "6h"), (HOUR_MS, "6h"), (20 * HOUR_MS, "24h"), (3 * DAY_MS, "3d"), (6 * DAY_MS, "7d"), (900 * DAY_MS, "7d")]
)
def test_without_a_question_the_span_is_what_the_data_fill_up_to_a_week(length_ms: int, span: str) -> None:
    assert range_asked({}, first_ms=END_MS - length_ms, until_ms=END_MS, clock=UTC).span == span


@pytest.mark.parametrize("span", list(SPANS))
def test_a_span_ends_with_the_data_and_has_few_whole_windows(span: str) -> None:
    got = range_asked({"span": span}, first_ms=None, until_ms=END_MS - 1_000, clock=UTC)
    assert got.start_ms % got.window_ms == got.end_ms % got.window_ms == 0
    assert END_MS - 1_000 <= got.end_ms < END_MS - 1_000 + 4 * DAY_MS
    assert 20 <= (got.end_ms - got.start_ms) // got.window_ms <= 40


def test_moments_without_an_offset_are_the_readers() -> None:
    got = range_asked(
        {"from": "2026-03-09T08:00", "to": "2026-03-09T20:00+08:00", "window": "1h"},
        first_ms=None,
        until_ms=END_MS,
        clock=Clock("Asia/Shanghai"),
    )
    assert (got.start_ms, got.end_ms) == (END_MS - 36 * HOUR_MS, END_MS - 24 * HOUR_MS)


def test_a_range_is_widened_to_whole_windows() -> None:
    got = range_asked({"from": "2026-03-09T01:30Z", "to": "2026-03-09T04:30Z", "window": "3h"}, first_ms=None, until_ms=END_MS, clock=UTC)
    assert got.end_ms - got.start_ms == 6 * HOUR_MS


def test_no_question_leads_to_more_windows_than_can_be_drawn() -> None:
    with pytest.raises(UsageError, match=f"more than {WINDOWS_MAX}"):
        range_asked({"span": "28d", "window": "5m"}, first_ms=None, until_ms=END_MS, clock=UTC)
    long = range_asked({"from": "1990-01-01"}, first_ms=None, until_ms=END_MS, clock=UTC)
    assert (long.end_ms - long.start_ms) // long.window_ms <= WINDOWS_MAX


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store.db"))
    early = an_opened_alert(id="early", incident="x", opened_ms=START_MS + HOUR_MS, all_series=[BANK])
    fill(made, None, alerts=[early, an_opened_alert()])
    return made


def test_the_board_marks_alerts_of_its_range_and_of_no_later_moment(store: Store) -> None:
    with store.read() as connection:
        asked = {"from": "2026-03-09T12:00Z", "to": "2026-03-10T12:00Z", "window": "1h"}
        board, then = (read_board(connection, "r", asked, clock=UTC, known_ms=END_MS - hours * HOUR_MS) for hours in (0, 3))
    store.close()
    assert [alert.id for alert in board.alerts_of(BANK)] == ["a1b2c3d4e5f60718"]
    assert then.alerts == []
    assert [sum(cell.documents for cell in one.series[EN]) for one in (board, then)] == [48, 42]


def test_baselines_form_for_two_weeks_from_the_runs_first_hour(store: Store) -> None:
    with store.read() as connection:
        board = read_board(connection, "r", {}, clock=UTC, known_ms=END_MS)
    store.close()
    assert board.forming == (START_MS, START_MS + FORMING_MS)


def test_a_picture_of_then_holds_nothing_that_came_later(store: Store) -> None:
    alert = an_opened_alert()
    with store.read() as connection:
        then, now = (read_around(connection, "r", alert, then=flag) for flag in (True, False))
    store.close()
    assert sum(cell.documents for cell in then.cells if cell.start_ms >= alert.opened_ms) == 0
    assert sum(cell.documents for cell in now.cells if cell.start_ms >= alert.opened_ms) > 0
    assert (then.known_ms, now.known_ms) == (alert.opened_ms, END_MS)
    assert then.range.start_ms <= alert.opened_ms - 2 * DAY_MS
