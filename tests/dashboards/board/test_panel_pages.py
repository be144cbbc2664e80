"""The board's panels in the page, in its JSON twin, as rows and as CSV: the same numbers, as of now and as of then."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from sqlalchemy import Connection

from dashboards.board.app import create_app
from dashboards.board.panel_api import PANELS
from groundswell.names import HOUR_MS, PANE_MS, ROLE_FOLD, TICK_MS
from groundswell.records import Increment
from groundswell.store import schema as t
from groundswell.store.actions import misses_of
from groundswell.store.derived import insert_candidates, insert_decisions, insert_increments
from groundswell.store.progress import advance, claim
from groundswell.store.store import Store
from tests import builders as b
from tests.dashboards.board.board_store import BANK, Served, a_board, served
from tests.dashboards.board.board_store import END_MS as BOARD_END_MS
from tests.dashboards.board.people_store import an_office
from tests.dashboards.board.test_languages import ENGLISH_TEXT, KEPT, Texts
from tests.groundswell.store.panels.panel_store import END_MS, RUN, SVB, fill, sector

FIRST: Final = ("incidents", "watchlist", "topics", "turned", "echo", "risks", "stories")
SECOND: Final = ("peers", "near", "arrivals", "quality")


def companies(name: str) -> Sequence[str]:
    return {"svb": ["SVB"], "acme": ["Acme"], "bank": ["Acme", "SVB"]}.get(name.lower(), [])


def why_not(_connection: Connection, run: str, series: str, at_ms: int) -> list[str]:
    return [f"{run} {series} {at_ms}", "  STOPS  stories <b>2</b>"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(str(tmp_path_factory.mktemp("panels") / "s.db"))
    fill(made, exposures=[700_000, 200_000])
    yield made
    made.close()


@pytest.fixture(scope="module")
def board(store: Store) -> Iterator[Served]:
    with served(create_app(store, run=RUN, log=None, now_ms=lambda: END_MS, sector=sector, companies=companies, why_not=why_not)) as made:
        yield made


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)
    assert found, name
    return found[0]


def text(markup: str) -> str:
    """What a reader reads: without pictures, one space between words."""
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", " ", markup, flags=re.DOTALL)).split()
    return unescape(" ".join(words)).replace(" .", ".").replace(" ;", ";")


# --- in order, and what each says --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("path", "names"), [("/", FIRST), ("/board/2", SECOND)])
def test_the_panels_come_in_their_order_each_with_json_csv_and_a_link_that_stays(board: Served, path: str, names: Sequence[str]) -> None:
    page = board.get(path).text
    assert re.findall(r'<section id="(\w+)"', page) == list(names)
    for name in names:
        links = re.findall(r'<a href="([^"]+)" aria-label="(JSON|CSV|Link)', section(page, name))
        assert [kind for _, kind in links] == ["JSON", "CSV", "Link"]
        assert [board.get(href.replace("&amp;", "&").partition("#")[0]).status for href, _ in links] == [200] * 3, name
    assert re.search(r'<a href="/" aria-current="(page|true)">Board<', page), "both pages are the board"
    trust = page.index('id="trust"')
    assert trust < page.index(f'id="{names[0]}"')


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("/", "watchlist", ["Acme 4 / 1.9 1.2 0.5", "SVB Li", "2 / 1.5 0.3 0.08", "Calm 0 / 0.0 0.0 2"]),
        ("/", "turned", ["SVB 10 % 50 % +40.0 70", "Acme 20 % 10 % −10.0 70"]),
        ("/?company=SVB", "echo", ["5 documents in 4 stories of 3 owners: 1.2 documents for each story; usual: 1.0"]),
        ("/", "risks", ["Litigation SVB 2 Downgrade Acme 1 ★", "Executive departure –"]),
        ("/", "stories", ["3.0 Linlan <b>payout</b> missed Harbour Wire news Debt & credit 1 h 2 3 97 %", "text removed"]),
        (
            "/board/2?company=SVB",
            "peers",
            ["Only this one", "last 24 hours 2 / 3 67 % 3 20 % 0 % – 40 %", "56 days before 80 / 560 14 % 3 20 %"],
        ),
        (
            "/board/2",
            "near",
            ["SVB surge 1h 9 / 10 0.5 hold: not improbable enough to open 2 times why not", "11 / 10 0.5 budget: 3 alerts today"],
        ),
        ("/board/2", "arrivals", ["Harbour Wire English 24 48.0 60 s 10 min", "Silent Chinese 0 1.0 – –"]),
        (
            "/board/2",
            "quality",
            ["precision of rule surge 1h count 67 % 43 % – 84 % 12 – 8 of 12", "minutes from public to first ping, median"],
        ),
    ],
)
def test_a_panel_says_what_was_counted(board: Served, path: str, name: str, said: list[str]) -> None:
    shown = text(section(board.get(path).text, name))
    for words in said:
        assert words in shown


def test_one_incident_waits_with_the_exposure_of_its_company(board: Served) -> None:
    shown = text(section(board.get("/").text, "incidents"))
    assert "open high Linlan Bank delays redemption of Lanjin-7 surge 1 d nobody 0.08" in shown
    assert board.get("/api/board.json").json()["incidents"][0]["incident"] == "told"


# --- page, twin, rows and CSV ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("as_of", ["", "2026-03-10T11:57:00Z"])
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_twin_rows_and_csv_say_the_same_at_the_same_moment(board: Served, panel: Any, as_of: str) -> None:
    name = panel.name.partition("/")[2]
    asked = f"?series={SVB}" + (f"&as_of={as_of}" if as_of else "")
    twin = board.get(f"/api/board{'/2' if name in SECOND else ''}.json{asked}").json()
    query = "?" + "&".join(part for part in asked[1:].split("&") if part.partition("=")[0] in panel.parameters)
    rows = board.get(f"/api/v1/{panel.name}{query}").json()["rows"]
    assert rows == twin["panels"][name]
    assert rows, "the store has rows for each of them"
    assert len([msgspec.convert(one, panel.row) for one in rows]) == len(rows)
    found = list(csv.DictReader(io.StringIO(board.get(f"/api/v1/{panel.name}.csv{query}").text)))
    assert list(found[0]) == panel.columns
    for given, row in zip(found, rows, strict=True):
        for column, value in given.items():
            if isinstance(row[column], str):
                assert value in (row[column], f"'{row[column]}")
            elif isinstance(row[column], int | float) and not isinstance(row[column], bool):
                assert float(value) == pytest.approx(row[column], rel=1e-5)


def test_a_page_as_of_then_stays_what_it_was_whatever_comes_later(tmp_path: Path) -> None:
    made = Store(str(tmp_path / "s.db"))
    fill(made)
    then = "?as_of=2026-03-10T10:30:00Z&company=SVB"
    with served(create_app(made, run=RUN, log=None, now_ms=lambda: END_MS, sector=sector, companies=companies)) as opened:

        def panels() -> list[str]:
            pages = [opened.get(f"{path}{then}").text for path in ("/", "/board/2")]
            return [section(page, name) for page, names in zip(pages, (FIRST, SECOND), strict=True) for name in names]

        before, now = panels(), text(section(opened.get("/?company=SVB").text, "echo"))
        tick = END_MS // TICK_MS
        members = {"late": {"o7": [9, 9, 0, 0, 8_000_000, 9, 9]}}
        row = Increment(series=SVB, tick=tick, pane=END_MS // PANE_MS, daily=False, members=members, negatives=[])
        mine = claim(made, RUN, ROLE_FOLD, owner="later")
        with made.write() as connection:
            insert_increments(made, connection, RUN, [row])
            advance(connection, mine, next_offset=1, time_ms=END_MS + HOUR_MS, closed_tick=(END_MS + HOUR_MS) // TICK_MS - 1)
        assert panels() == before
        assert text(section(opened.get("/?company=SVB").text, "echo")) != now
        page = text(opened.get(f"/{then}").text)
    made.close()
    assert "Shown as it was known at 2026-03-10 10:30:00 UTC. See now" in page
    assert "4 documents in 4 stories of 2 owners" in text(before[FIRST.index("echo")])


# --- selecting, more ---------------------------------------------------------------------------------------------------------------
def test_without_a_choice_the_first_of_the_watchlist_is_selected_and_the_links_keep_a_choice(board: Served) -> None:
    assert board.get("/api/board.json").json()["selected"] == "entity:Acme"
    page = board.get("/?company=svb&span=24h").text
    assert "SVB" in text(section(page, "echo"))
    assert 'href="/board/2?span=24h&amp;company=svb#peers"' in page
    assert f"series={SVB.replace(':', '%3A')}" in section(board.get("/").text, "watchlist")


@pytest.mark.parametrize(("name", "said"), [("Nobody", "the catalogue does not know it"), ("bank", "may be Acme, SVB: write the id")])
def test_a_name_that_is_not_one_company_is_refused_with_the_next_step(board: Served, name: str, said: str) -> None:
    for path in ("/", "/board/2", "/api/board.json"):
        answer = board.get(f"{path}?company={name}")
        assert answer.status == 400
        assert said in answer.text


def test_a_moment_that_cannot_be_read_is_refused(board: Served) -> None:
    assert "not a time; write 2026-11-23" in board.get("/?as_of=soon").text
    assert board.get(f"/api/v1/panels/echo?series={SVB}&as_of=soon").status == 400
    assert "series: is missing" in board.get("/api/v1/panels/peers").text


def test_a_long_list_is_short_until_more_is_asked_for(tmp_path: Path) -> None:
    def many(store: Store) -> None:
        tick, members = (BOARD_END_MS - HOUR_MS) // TICK_MS, {"s": {"o": [1, 0, 1, 0, 0, 1, 0]}}
        pane = tick * TICK_MS // PANE_MS - 1
        rows = [Increment(series=f"entity:C{n}", tick=tick, pane=pane, daily=False, members=members, negatives=[]) for n in range(15)]
        with store.write() as connection:
            insert_increments(store, connection, "r", rows)

    with a_board(tmp_path, then=many) as opened:
        short = section(opened.get("/").text, "watchlist")
        (more,) = re.findall(r'href="([^"]+more=watchlist[^"]*)"', short)
        long = section(opened.get(more.partition("#")[0]).text, "watchlist")
    assert (short.count('class="strip"'), long.count('class="strip"')) == (10, 16)
    assert "6 more" in text(short)


# --- blind, forming, empty ---------------------------------------------------------------------------------------------------------
def test_a_strip_is_hatched_where_sources_were_missing_and_grey_while_no_baseline_has_formed(board: Served, tmp_path: Path) -> None:
    strip = re.findall(r'<svg class="strip".*?</svg>', section(board.get("/").text, "watchlist"), flags=re.DOTALL)[0]
    assert [(p, float(x)) for p, x in re.findall(r'fill="url\(#(hatch[a-z-]*)\)" x="([\d.]+)"', strip)] == [
        ("hatch", 264.0),
        ("hatch-blind", 276.0),
    ]
    assert "20 % of the usual volume was seeing" in strip
    assert 'class="forming"' not in strip
    with a_board(tmp_path) as young:
        shown = section(young.get("/").text, "watchlist")
    assert '<rect class="forming" x="0"' in shown
    assert "baseline forming until" in shown


def test_a_run_in_which_nothing_was_said_has_a_next_step_in_every_panel(tmp_path: Path) -> None:
    made = Store(str(tmp_path / "s.db"))
    with made.write() as connection:
        made.insert(connection, t.runs, [{"run": "r", "kind": "backfill", "model_id": "m", "manifest": b"{}"}])
    mine = claim(made, "r", ROLE_FOLD, owner="test")
    with made.write() as connection:
        advance(connection, mine, next_offset=0, time_ms=END_MS, closed_tick=END_MS // TICK_MS - 1)
    with served(create_app(made, run="r", log=None, now_ms=lambda: END_MS)) as opened:
        first, second = opened.get("/").text, opened.get("/board/2").text
    made.close()
    for page, name, said in (
        (first, "incidents", "No incident waits. All incidents"), (first, "watchlist", "Put yours on the watchlist"),
        (first, "topics", "no documents in this range"), (first, "turned", "once it had 10 stories"),
        (first, "echo", "select one by its name or id"), (first, "risks", "Litigation –"), (first, "stories", "look at Sources"),
        (second, "peers", "select one by its name or id"), (second, "near", "If you missed something, say so"),
        (second, "arrivals", "All sources, who is blind and why"), (second, "quality", "Judge alerts in their dossiers"),
    ):  # fmt: skip
        assert said in text(section(page, name)), name


# --- why not, I expected this ------------------------------------------------------------------------------------------------------
def test_a_near_miss_leads_to_why_not_in_one_click(board: Served) -> None:
    (link, *_) = re.findall(r'href="(/why-not[^"]+)"', section(board.get("/board/2").text, "near"))
    page = board.get(link.replace("&amp;", "&")).text
    assert f"{RUN} {SVB} {END_MS - 7 * TICK_MS}" in page
    assert "STOPS  stories &lt;b&gt;2&lt;/b&gt;" in page
    assert "groundswell why-not entity:SVB --at 2026-03-10T11:58:15Z --run r" in page
    assert "series, at: both are needed" in board.get("/why-not").text


def test_a_board_that_cannot_ask_names_the_command(tmp_path: Path) -> None:
    with a_board(tmp_path) as plain:
        assert (
            "groundswell why-not entity:X --at 2026-03-10T11:00:00Z --run r"
            in plain.get("/why-not?series=entity:X&at=2026-03-10T11:00Z").text
        )


def test_i_expected_this_records_a_miss_with_the_gate_that_stopped_it(tmp_path: Path) -> None:
    tick = BOARD_END_MS // TICK_MS - 4

    def nearly(store: Store) -> None:
        with store.write() as connection:
            insert_candidates(store, connection, "r", [b.a_candidate(candidate_id="c", series=BANK, tick=tick, statistic=9, limit=10)])
            insert_decisions(
                store, connection, "r", [b.a_decision(candidate_id="c", tick=tick, reason="budget: 3 alerts today, 3 allowed")]
            )

    with an_office(tmp_path, then=nearly) as office:
        reader, analyst = office.browser("rob"), office.browser("mei")
        assert "I expected" not in section(reader.get("/board/2").text, "near")
        (link,) = re.findall(r'class="expected" href="([^"#]+)', section(analyst.get("/board/2").text, "near"))
        form = analyst.get(link.replace("&amp;", "&")).text
        assert '<input type="hidden" name="gate" value="budget">' in form
        at = "2026-03-10T11:59:15Z"
        assert f'value="{at}"' in form
        assert analyst.post("/missed", {"name": BANK, "at": at, "gate": "budget"}).status == 303
        with office.store.read() as connection:
            (miss,) = misses_of(connection, "r")
    assert (miss.name, miss.gate, miss.who, miss.moment_ms) == (BANK, "budget", "mei", (tick + 1) * TICK_MS)


@pytest.mark.parametrize("path", ["/", "/board/2"])
def test_both_pages_say_everything_in_chinese_too(store: Store, path: str) -> None:
    chosen: dict[str, Any] = {"language": "zh", "sector": sector, "companies": companies}
    with served(create_app(store, run=RUN, log=None, now_ms=lambda: END_MS, **chosen)) as opened:
        page = opened.get(path).text
    assert "可见度" not in page.partition('id="topics"')[0], "the exposure to a company, not what the sources see"
    left = {word for said in Texts(page).found for word in ENGLISH_TEXT.findall(said) if word.lower() not in KEPT}
    assert left <= {"SVB", "Acme", "Calm", "NAME", "people", "add"}, "names, and a command in the header"
