"""A month that was dropped is never shown as a quiet one: on the pages, in their twins, in the panels' rows, and in a rehearsal."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import pytest
from click.testing import CliRunner

from dashboards.board.app import create_app
from groundswell.cli import root
from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store.drop_months import drop_month
from groundswell.store.months import Month
from groundswell.store.panels.kept import BACK_DAYS, not_kept
from groundswell.store.query import alerts_of, closed_ms
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.rehearse import rehearse
from stream.shells.try_rules import TryRules
from tests import builders as b
from tests.dashboards.board.board_store import Served, served

OLD: Final = Month(2026, 9)
THEN: Final = iso(OLD.end_ms - DAY_MS)
SOON: Final = iso(OLD.end_ms + DAY_MS)
SAID: Final = "rows of 2026-09 were dropped on 2026-12-01T00:00:00Z"


class Shown(NamedTuple):
    """A board over a live run of September and October, and a series that an alert of September spoke of."""

    store: Store
    board: Served
    series: str
    alert: str
    until_ms: int


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    yield from made(tmp_path_factory, month=None)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    yield from made(tmp_path_factory, month=OLD)


def made(tmp_path_factory: pytest.TempPathFactory, *, month: Month | None) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("months")
    with ExitStack() as stack:
        store = Store(str(folder / "s.db"))
        stack.callback(store.close)
        log = stack.enter_context(b.fill(LocalLog(folder / "live.log"), b.an_archive(3, records=320)))
        open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments())
        while pipeline.step():
            pass
        pipeline.finish()
        if month is not None:
            drop_month(store, month, now_ms=Month(2026, 12).begin_ms)
        with store.read() as connection:
            alert, until_ms = alerts_of(connection, LIVE_RUN)[0], closed_ms(connection, LIVE_RUN) or 0
        board = stack.enter_context(served(create_app(store, run=LIVE_RUN, log=log, now_ms=lambda: until_ms)))
        yield Shown(store, board, alert.series, alert.id, until_ms)


def panel(shown: Shown, name: str, *, as_of: str, suffix: str = "") -> Any:
    series = f"&series={shown.series}" if name in ("echo", "peers") else ""
    return shown.board.get(f"/api/v1/panels/{name}{suffix}?as_of={as_of}{series}")


# --- the grid --------------------------------------------------------------------------------------------------------------------
def test_windows_of_a_dropped_month_are_hatched_and_say_so_and_those_beside_it_are_as_they_were(whole: Shown, shown: Shown) -> None:
    asked = f"/series?key={shown.series}&from=2026-09-29&to=2026-10-03&window=1d"
    before, after = whole.board.get(asked).text, shown.board.get(asked).text
    assert "not kept" not in before.lower()
    assert after.count("not kept: the rows of this month were dropped") == 2
    assert '<rect fill="url(#hatch-blind)" x="0" y="0" width="480"' in after
    assert "2 windows of dropped months" in after
    assert "Not kept: the rows of 2026-09 were dropped." in after


def test_the_twin_of_the_board_has_null_where_it_had_counts(whole: Shown, shown: Shown) -> None:
    asked = "/api/board.json?from=2026-09-29&to=2026-10-03&window=1d"
    before, after = whole.board.get(asked).json()["board"], shown.board.get(asked).json()["board"]
    assert before["dropped"] == []
    assert after["dropped"] == [SAID]
    for one, same in zip(before["series"], after["series"], strict=True):
        assert [window["kept"] for window in same["windows"]] == [False, False, True, True]
        assert [window["documents"] for window in same["windows"][:2]] == [None, None]
        assert [window["negative_share"] for window in same["windows"][:2]] == [None, None]
        assert same["windows"][2:] == one["windows"][2:]
    assert any(window["documents"] for one in before["series"] for window in one["windows"][:2])


def test_topics_say_that_a_month_is_not_kept_instead_of_that_nobody_wrote(shown: Shown) -> None:
    page = shown.board.get("/?from=2026-09-20&to=2026-09-30&window=1d").text
    topics = page[page.index('id="topics"') : page.index('id="turned"')]
    assert "Not kept: the rows of 2026-09 were dropped." in topics
    assert "no documents in this range" not in topics
    assert topics.count('<span class="quiet">not kept</span>') > 20
    assert '<span class="quiet">no documents</span>' not in topics


def test_a_dossier_says_that_its_chart_is_not_kept(whole: Shown, shown: Shown) -> None:
    assert "Not kept" not in whole.board.get(f"/alerts/{whole.alert}").text
    assert "Not kept: the rows of 2026-09 were dropped." in shown.board.get(f"/alerts/{shown.alert}").text


# --- the panels ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["", ".csv"])
@pytest.mark.parametrize("name", sorted(BACK_DAYS))
def test_a_panel_that_looks_back_into_a_dropped_month_has_a_reason_instead_of_rows(
    whole: Shown, shown: Shown, name: str, suffix: str
) -> None:
    for as_of in (THEN, SOON):
        assert panel(whole, name, as_of=as_of, suffix=suffix).status == 200
        refused = panel(shown, name, as_of=as_of, suffix=suffix)
        assert refused.status == 404
        again = iso(OLD.end_ms + BACK_DAYS[name] * DAY_MS)
        assert f"panel {name}: it looks back {BACK_DAYS[name]} days, and {SAID}" in refused.json()["detail"]
        assert f"ask as of {again} or later" in refused.json()["detail"]


def test_findings_and_alerts_stay_so_their_panels_say_what_they_said(whole: Shown, shown: Shown) -> None:
    for name in ("near", "quality"):
        for as_of in (THEN, SOON):
            assert panel(shown, name, as_of=as_of).json()["rows"] == panel(whole, name, as_of=as_of).json()["rows"]


def test_from_the_moment_that_a_panel_names_it_speaks_again(shown: Shown) -> None:
    with shown.store.read() as connection:
        for name, days in BACK_DAYS.items():
            again_ms = OLD.end_ms + days * DAY_MS
            assert name in not_kept(connection, LIVE_RUN, known_ms=again_ms - 1)
            assert name not in not_kept(connection, LIVE_RUN, known_ms=again_ms)


@pytest.mark.parametrize(
    ("path", "names"), [("/", ("watchlist", "turned", "echo", "risks", "stories")), ("/board/2", ("peers", "arrivals"))]
)
def test_the_pages_say_it_in_each_of_those_panels_and_count_nothing_there(shown: Shown, path: str, names: tuple[str, ...]) -> None:
    page = shown.board.get(f"{path}?as_of={SOON}").text
    for name in names:
        start = page.index(f'<section id="{name}"')
        section = page[start : page.index("</section>", start)]
        assert f"Not kept: this panel looks back {BACK_DAYS[name]} days, and the rows of 2026-09 were dropped." in section
        assert "<table" not in section
    twin = shown.board.get(f"/api{path if path != '/' else '/board'}.json?as_of={SOON}").json()
    assert {name for name, rows in twin["panels"].items() if rows is None} == set(names) == set(twin["not_kept"])
    assert all(SAID in reason for reason in twin["not_kept"].values())


# --- a rehearsal -----------------------------------------------------------------------------------------------------------------
def test_a_rehearsal_begins_behind_what_was_dropped_and_names_it(whole: Shown, shown: Shown) -> None:
    rules = b.instruments().rules
    for from_ms in (None, OLD.begin_ms, OLD.end_ms + DAY_MS):
        assert rehearse(whole.store, LIVE_RUN, rules, display=str, from_ms=from_ms).gone == []
        done = rehearse(shown.store, LIVE_RUN, rules, display=str, from_ms=from_ms)
        assert [month.sentence for month in done.gone] == [SAID]
        assert done.span.start_ms >= OLD.end_ms


def test_a_rehearsal_of_nothing_but_a_dropped_month_is_refused_with_the_reason(shown: Shown) -> None:
    with pytest.raises(UsageError, match=f"nothing of it lies in the span that was asked for.*; {SAID}"):
        rehearse(shown.store, LIVE_RUN, b.instruments().rules, display=str, from_ms=OLD.begin_ms, to_ms=OLD.end_ms)


def test_the_boards_comparison_leaves_what_was_sent_in_a_dropped_month_out_of_both_sides(whole: Shown, shown: Shown) -> None:
    text = TryRules(shown.store, display=str).text_of(b.instruments().contents["rules"][1])
    span: dict[str, Any] = {"from_ms": OLD.begin_ms, "to_ms": shown.until_ms, "before": "", "beat": lambda _done: None}
    found = TryRules(shown.store, display=str).compare(text, LIVE_RUN, **span)
    full = TryRules(whole.store, display=str).compare(text, LIVE_RUN, **span)
    assert (full.gone, found.gone) == ([], ["2026-09"])
    assert min(told.opened_ms for told in full.sent) < OLD.end_ms
    assert all(told.opened_ms >= OLD.end_ms for told in (*found.sent, *found.would))


def test_the_command_warns_of_it_beside_its_figures(whole: Shown, shown: Shown) -> None:
    for one, said in ((whole, False), (shown, True)):
        asked = ["rehearse", "shipped", "--store", one.store.url, "--run", LIVE_RUN, "--from", "2026-09-01"]
        answer = CliRunner().invoke(root, asked, catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        assert (f"WARNING: {SAID}: nothing of it is rehearsed or counted" in answer.output) is said
