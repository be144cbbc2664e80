"""Every panel of the board counts what is in the store: on SQLite and on PostgreSQL, as of now and as of then."""

from collections.abc import Iterator
from contextlib import ExitStack
from math import log2, sqrt

import msgspec
import pytest
from sqlalchemy import Connection

from groundswell.exports import iso
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS
from groundswell.store.panels.arrivals import read_arrivals
from groundswell.store.panels.echo import is_echo, read_echo, usual_ratio
from groundswell.store.panels.followed import followed
from groundswell.store.panels.heat import PANES, HeatRow, read_heat
from groundswell.store.panels.judged import read_judged
from groundswell.store.panels.near import read_near
from groundswell.store.panels.risks import read_risks
from groundswell.store.panels.rivals import only_this_one, read_rivals
from groundswell.store.panels.rows import columns, known_until, told
from groundswell.store.panels.stories import read_stories
from groundswell.store.panels.turned import read_turned
from groundswell.store.store import Store
from groundswell.windows import wilson
from tests.groundswell.store.panels.panel_store import ACME, BEGAN_MS, CALM, END_MS, OPEN_MS, RUN, SVB, TOPIC, fill, sector
from tests.peers import fresh_database


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def connection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = str(tmp_path_factory.mktemp("panels") / "s.db")
        else:
            url = stack.enter_context(fresh_database(request.getfixturevalue("postgres_url")))
        store = Store(url)
        stack.callback(store.close)
        fill(store)
        yield stack.enter_context(store.read())


# --- which companies, which moment -------------------------------------------------------------------------------------------------
def test_watched_companies_come_by_their_exposure_and_before_the_list_was_in_force_the_most_spoken_of(connection: Connection) -> None:
    now = followed(connection, RUN, known_ms=END_MS)
    assert ([one.company for one in now.companies], now.by_list) == (["Calm", "Acme", "SVB"], True)
    then = followed(connection, RUN, known_ms=END_MS - 3 * DAY_MS)
    assert (then.companies, then.by_list) == ([], False)


def test_a_moment_lies_on_a_tick_and_never_after_what_is_folded(connection: Connection) -> None:
    assert known_until(connection, RUN) == known_until(connection, RUN, END_MS + DAY_MS) == END_MS
    assert known_until(connection, RUN, END_MS - 1) == END_MS - 15_000
    assert known_until(connection, "another") is None


# --- 3 watchlist -------------------------------------------------------------------------------------------------------------------
def test_the_watchlist_is_sorted_by_exposure_times_surprise(connection: Connection) -> None:
    rows = read_heat(connection, RUN, followed(connection, RUN, known_ms=END_MS), known_ms=END_MS)
    assert [row.company for row in rows] == ["Acme", "SVB", "Calm"]
    acme, svb, calm = rows
    assert (acme.negative_stories, svb.negative_stories, calm.negative_stories) == (4, 2, 0)
    assert svb.usual_stories == pytest.approx((49 * 1 + 7 * 5) / 56)
    assert svb.surprise == pytest.approx((2 - 1.5) / sqrt(1.5 + 0.4 * 1.5**2))
    assert acme.rank == pytest.approx(0.5 * (4 - 1.875) / sqrt(1.875 + 0.4 * 1.875**2))
    assert (svb.owner, svb.weight, calm.surprise) == ("Li", 0.08, 0)


def test_a_strip_has_the_panes_of_24_hours_and_no_document_of_before(connection: Connection) -> None:
    svb = _heat(connection, SVB, END_MS)
    assert (svb.documents, svb.negative) == (5, 4)
    ago = [(END_MS - pane.start_ms) // PANE_MS for pane in svb.panes]
    assert ago == [4 * 12 + 1, 3 * 12 + 1, 2 * 12 + 1, 12 + 1]
    assert all(n <= PANES for n in ago)
    assert [(pane.documents, pane.negative) for pane in svb.panes] == [(1, 1), (1, 0), (1, 1), (2, 2)]
    assert all(pane.complete for pane in svb.panes)


def test_a_pane_that_is_filling_is_not_complete_and_what_came_later_is_not_there(connection: Connection) -> None:
    then_ms = END_MS - OPEN_MS + 15_000
    (pane,) = _heat(connection, CALM, then_ms).panes
    assert (pane.documents, pane.complete, iso(pane.start_ms)) == (1, False, "2026-03-10T09:55:00Z")
    assert _heat(connection, CALM, END_MS).panes[0].complete
    assert _heat(connection, CALM, then_ms - 15_000).panes == []
    assert _heat(connection, SVB, then_ms).negative_stories == 1, "of an hour's and two hours' age none was known then, of 25 one"


def _heat(connection: Connection, series: str, known_ms: int) -> HeatRow:
    rows = read_heat(connection, RUN, followed(connection, RUN, known_ms=known_ms), known_ms=known_ms)
    return next(row for row in rows if row.series == series)


# --- 5 what turned -----------------------------------------------------------------------------------------------------------------
def test_what_turned_compares_seven_closed_days_with_those_before_and_leaves_out_what_stood_still_or_was_hardly_told(
    connection: Connection,
) -> None:
    rows = read_turned(connection, RUN, [SVB, ACME, CALM], known_ms=END_MS)
    assert [(row.series, row.direction) for row in rows] == [(SVB, "worse"), (ACME, "better")]
    worse, better = rows
    assert (worse.stories, worse.negative_stories, worse.stories_before, worse.negative_stories_before) == (70, 35, 530, 53)
    pooled = 88 / 600
    assert worse.z == pytest.approx(0.4 / sqrt(pooled * (1 - pooled) * (1 / 70 + 1 / 530)))
    assert [better.share, better.share_before] == pytest.approx([0.1, 0.2])
    assert worse.end_ms == END_MS // DAY_MS * DAY_MS


def test_what_turned_as_of_a_day_before_it_turned_says_nothing_of_it(connection: Connection) -> None:
    assert read_turned(connection, RUN, [SVB], known_ms=END_MS - 8 * DAY_MS) == []


# --- 6 echo ------------------------------------------------------------------------------------------------------------------------
def test_echo_counts_documents_stories_and_owners_by_24_hours_and_names_the_largest_story(connection: Connection) -> None:
    rows = read_echo(connection, RUN, SVB, known_ms=END_MS)
    last, before = rows[0], rows[1]
    assert (last.documents, last.stories, last.owners, last.documents_per_story) == (5, 4, 3, 1.25)
    assert (last.largest_story, last.largest_documents, last.largest_owners) == ("s1", 2, 2)
    assert (last.start_ms, last.end_ms) == (END_MS - DAY_MS, END_MS)
    assert (before.documents, before.stories) == (1, 1)
    assert [row.documents for row in rows[2:]] == [0] * 6
    assert (usual_ratio(rows), is_echo(rows)) == (1.0, False)


def test_three_documents_of_one_story_where_nothing_was_said_before_have_no_usual_ratio(connection: Connection) -> None:
    rows = read_echo(connection, RUN, TOPIC, known_ms=END_MS)
    assert (rows[0].documents, rows[0].stories, rows[0].largest_documents) == (7, 5, 3)
    assert (usual_ratio(rows), is_echo(rows)) == (None, False)
    copied, usual = rows[0], read_echo(connection, RUN, SVB, known_ms=END_MS)[1:]
    assert is_echo([copied, *usual]) is False, "1.4 documents for each story, and 1 is usual"
    assert is_echo([msgspec.structs.replace(copied, documents_per_story=2.0), *usual]) is True


# --- 7 risks -----------------------------------------------------------------------------------------------------------------------
def test_risks_count_stories_of_the_companies_that_are_asked_for_and_star_the_first_in_30_days(connection: Connection) -> None:
    rows = read_risks(connection, RUN, ["SVB", "Acme", "Calm"], known_ms=END_MS)
    assert [(row.flag, row.company, row.stories, row.first) for row in rows] == [
        ("litigation", "SVB", 2, False),
        ("downgrade", "Acme", 1, True),
    ]
    assert iso(rows[0].newest_ms) == "2026-03-10T11:00:15Z"
    assert read_risks(connection, RUN, ["Calm"], known_ms=END_MS) == []


# --- 8 stories ---------------------------------------------------------------------------------------------------------------------
def test_new_stories_come_once_by_whole_bits_with_readers_words_last_and_no_older_story(connection: Connection) -> None:
    rows = read_stories(connection, RUN, known_ms=END_MS, limit=10)
    assert [row.story for row in rows] == ["new", "gone", "rant", "mild"]
    new = rows[0]
    assert (new.documents, new.owners, new.title) == (3, 3, "Linlan <b>payout</b> missed")
    assert [new.p_negative, new.usual_share] == pytest.approx([0.97, 0.1])
    assert new.surprise_bits == pytest.approx(0.97 * log2(9.7) + 0.03 * log2(0.03 / 0.9))
    assert rows[-1].surprise_bits == 0
    assert rows[1].title == "", "its text was removed"
    assert [row.story for row in read_stories(connection, RUN, known_ms=END_MS, limit=1)] == ["new"]
    assert [row.story for row in read_stories(connection, RUN, known_ms=END_MS - 2 * HOUR_MS, limit=10)] == ["gone", "mild"]


# --- 9 peers -----------------------------------------------------------------------------------------------------------------------
def test_peers_are_the_sector_and_the_selected_one_is_alone(connection: Connection) -> None:
    rows = read_rivals(connection, RUN, SVB, sector, known_ms=END_MS)
    day, before, week = rows[0], rows[1], rows[2]
    assert {row.of for row in rows} == {"sector"}
    assert (day.negative_stories, day.stories) == (2, 3), "what was known too late does not count"
    assert day.share == pytest.approx(2 / 3)
    assert (day.peers, day.peer_low, day.peer_median, day.peer_high) == (3, 0.0, 0.2, 0.4)
    assert (before.negative_stories, before.stories) == (50 + 6 * 5, 560)
    assert (week.share, week.peer_low, week.peer_median, week.peer_high) == (0.5, 0.1, 0.2, 0.3)
    assert [row.end_ms for row in rows[2:4]] == [END_MS // DAY_MS * DAY_MS, (END_MS // DAY_MS - 1) * DAY_MS]
    assert len(rows) == 2 + 28
    assert only_this_one(rows) is True


def test_a_company_without_a_sector_is_compared_with_those_that_were_spoken_of_most(connection: Connection) -> None:
    rows = read_rivals(connection, RUN, ACME, sector, known_ms=END_MS)
    assert {row.of for row in rows} == {"companies"}
    assert rows[0].peers == 3
    assert only_this_one(rows) is True


def test_a_topic_has_the_others_of_its_language_and_too_few_are_no_band(connection: Connection) -> None:
    rows = read_rivals(connection, RUN, TOPIC, sector, known_ms=END_MS)
    assert {row.of for row in rows} == {"topics"}
    assert (rows[2].peers, rows[2].peer_median, rows[2].share) == (1, None, 0.1)
    assert only_this_one(rows) is None
    assert read_rivals(connection, RUN, "watch:mine", sector, known_ms=END_MS) == []


# --- 10 near misses ----------------------------------------------------------------------------------------------------------------
def test_near_misses_are_within_a_fifth_of_the_limit_or_over_it_and_were_not_told(connection: Connection) -> None:
    rows = read_near(connection, RUN, known_ms=END_MS)
    assert [(row.series, row.statistic, row.limit, row.gate, row.held) for row in rows] == [
        (SVB, 9, 10, "hold", 2),
        (ACME, 11, 10, "budget", 1),
    ]
    assert rows[1].reason == "budget: 3 alerts today, 3 allowed"
    assert rows[0].closest_ms == END_MS - 7 * 15_000
    assert [row.series for row in read_near(connection, RUN, known_ms=END_MS - 12 * 15_000)] == [ACME]


# --- 11 sources --------------------------------------------------------------------------------------------------------------------
def test_sources_have_arrivals_against_a_mean_day_and_the_lag_of_what_says_its_time(connection: Connection) -> None:
    wire, silent = read_arrivals(connection, RUN, known_ms=END_MS)
    assert (wire.source, wire.language, wire.documents, wire.expected, wire.arrived) == ("Harbour Wire", "en", 24, 48, 0.5)
    assert (wire.lag_p50_s, wire.lag_p95_s, wire.measured) == (60, 600, 3)
    assert (silent.source, silent.documents, silent.expected, silent.lag_p50_s) == ("Silent", 0, 1, None)


# --- 12 quality --------------------------------------------------------------------------------------------------------------------
def test_quality_has_the_reports_figures_of_30_days_beside_those_before(connection: Connection) -> None:
    rows = {(row.name, row.group): row for row in read_judged(connection, RUN, known_ms=END_MS)}
    precision = rows["precision of rule", "surge 1h count"]
    assert (precision.measure, precision.value, precision.cases, precision.value_before) == ("precision", 8 / 12, 12, None)
    assert (precision.low, precision.high) == pytest.approx(wilson(8, 12))
    assert rows["pings a day, worst day", "one reader of all"].value == 1
    assert rows["missed", "all"].value == 0
    then = {(row.name, row.group): row for row in read_judged(connection, RUN, known_ms=END_MS - 5 * DAY_MS)}
    assert then["judged", "all"].cases == 7
    assert "blind hours" not in {name for name, _ in rows}


# --- rows as others read them ------------------------------------------------------------------------------------------------------
def test_a_row_is_told_with_its_moments_in_utc_and_its_panes_as_rows_of_their_own(connection: Connection) -> None:
    row = _heat(connection, SVB, END_MS)
    found = told(row)
    assert found["panes"][0] == {"start_at": "2026-03-10T07:55:00Z", "documents": 1, "negative": 1, "complete": True}
    assert "panes" not in columns(type(row))
    assert set(columns(type(row))) == found.keys() - {"panes"}


def test_in_a_run_of_ten_days_nobody_can_tell_what_is_the_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(str(tmp_path_factory.mktemp("young") / "s.db"))
    fill(store, began_ms=END_MS - 10 * DAY_MS)
    with store.read() as connection:
        rows = read_risks(connection, RUN, ["SVB", "Acme"], known_ms=END_MS)
        usual = _heat(connection, SVB, END_MS).usual_stories
    store.close()
    assert [row.first for row in rows] == [False, None]
    assert BEGAN_MS < END_MS - 10 * DAY_MS
    assert usual == pytest.approx((2 * 1 + 7 * 5) / 9), "of whole days since it began"
