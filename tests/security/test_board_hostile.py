"""What a reader of the board may send that is no question: each is refused with a reason, in its time, on either database."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from argon2 import PasswordHasher

from alerts.rules import rules_of
from dashboards.board.app import create_app
from dashboards.board.attempts import FAILURES_MAX, Attempts
from groundswell.errors import SettingsError
from groundswell.exports import csv_text
from groundswell.local_log import LocalLog
from groundswell.passwords import Passwords
from groundswell.store.store import Store
from tests.alerts.alert_factory import a_quote
from tests.dashboards.board.board_store import END_MS, Served, an_opened_alert, fill, served
from tests.dashboards.board.people_store import ACCESS, ALERT, an_office

DOCUMENT: Final = f"{433:016x}"
SOON_S: Final = 30.0
"""A machine under load; what is tried here took hours, or all there was."""


@pytest.fixture(params=["sqlite", "postgresql"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """An open board on either database."""
    url = str(tmp_path / "store.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    store = Store(url)
    fill(store, None, alerts=(ALERT,))
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS)) as made:
        yield made
    store.close()


NUL: Final = (
    "/rules/edit?version=%00", "/rules/edit?rehearsal=a%00b", "/search?q=%00", "/alerts/%00", "/api/v1/series?key=a%00b",
)  # fmt: skip
FAR: Final = (
    "/?to=9999-12-31T23:59:59-23:59", "/?from=9999-12-31", "/?as_of=9999-12-31", "/search?q=to:9999-12-31", "/search?q=from:0001-01-01",
    "/series?key=entity:SVB&to=9999-12-31", "/api/v1/series?key=*&from=0001-01-01", "/api/v1/documents?to=9999-12-31",
    "/api/v1/series?key=*&as_of=9999-12-31T23:59:59.999999Z", "/why-not?name=SVB&at=9999-12-31",
)  # fmt: skip
NO_NUMBER: Final = ("/api/v1/documents?after=9999999999999999999", "/search?after=%C2%B2", "/api/v1/alerts?limit=%C2%B2")
MANY: Final = (
    "/api/v1/series?key=*&from=1970-01-01&to=6428-12-31&window=5m&limit=3",
    "/api/v1/series?key=*&from=1970-01-01&to=6428-12-31&window=5m&limit=3&after=entity:SVB@6400-01-01",
    "/api/v1/series?key=*&from=1970-01-01&to=6428-12-31&window=999999d&limit=3",
    "/series?key=entity:SVB&from=1970-01-01&to=6428-12-31",
    "/?from=1970-01-01&to=6428-12-31",
)


def test_what_no_database_takes_no_clock_shows_or_no_number_is_is_refused_and_no_crash(board: Served) -> None:
    found = {path: board.get(path).status for path in (*NUL, *FAR, *NO_NUMBER)}
    assert {path: status for path, status in found.items() if status not in (200, 400, 404)} == {}
    assert {found[path] for path in NUL} == {400}


def test_a_billion_windows_are_asked_for_and_no_more_are_made_than_are_shown(board: Served) -> None:
    began_s = time.monotonic()
    assert [board.get(path).status for path in MANY] == [200] * len(MANY)
    assert time.monotonic() - began_s < SOON_S


def test_the_pages_of_series_put_together_are_the_whole_where_each_begins_at_its_cursor(board: Served) -> None:
    asked = "/api/v1/series?key=topic:*&window=6h&from=2026-03-08T00:01"
    whole = board.get(f"{asked}&limit=10000").json()["rows"]
    found: list[object] = []
    after: str | None = ""
    while after is not None:
        page = board.get(f"{asked}&limit=7&after={after}").json()
        found, after = found + page["rows"], page["next"]
    assert len(whole) > 14
    assert found == whole


def test_a_link_that_says_done_with_a_digit_of_another_script_is_a_page(tmp_path: Path) -> None:
    with an_office(tmp_path) as office:
        path = office.links.make("mei", ALERT.id, "acknowledge").removeprefix("http://127.0.0.1")
        assert office.board.get(f"{path}?done=%C2%B2").status == 200


def test_a_form_with_a_nul_is_refused(tmp_path: Path) -> None:
    with an_office(tmp_path) as office:
        assert office.browser("mei").post(f"/alerts/{ALERT.id}/act", {"what": "comment", "note": "a\0b"}).status == 400


# --- many passwords at once -------------------------------------------------------------------------------------------------------
def test_many_guesses_at_once_are_no_more_than_many_in_turn(tmp_path: Path) -> None:
    slow = Passwords(PasswordHasher(time_cost=2, memory_cost=8_192, parallelism=1))
    with an_office(tmp_path, access=replace(ACCESS, passwords=slow)) as office:
        browsers = [office.browser() for _ in range(20)]
        for browser in browsers:
            browser.get("/login")
        with ThreadPoolExecutor(len(browsers)) as pool:
            found = list(pool.map(lambda browser: browser.post("/login", {"name": "mei", "password": "a guess"}).status, browsers))
    assert (found.count(401), found.count(429)) == (FAILURES_MAX["pair"], 20 - FAILURES_MAX["pair"])


def test_a_password_that_fits_is_not_counted_as_a_wrong_one() -> None:
    attempts = Attempts(lambda: 0)
    for _ in range(3 * FAILURES_MAX["name"]):
        assert attempts.begin("mei", "192.0.2.1") == (0, False)
        attempts.succeeded("mei", "192.0.2.1")
    assert [attempts.begin("mei", "192.0.2.1") for _ in range(6)] == [(0, False)] * 4 + [(0, True), (900, False)]


# --- texts ------------------------------------------------------------------------------------------------------------------------
HUGE: Final = {
    "a number of 5,000 digits": "budget = " + "9" * 5_000,
    "a key of 100,000 parts": "a" + ".a" * 100_000 + " = 1",
    "a table of 100,000 parts": "[a" + ".a" * 100_000 + "]",
    "a thousand keys of 1,000 parts": "\n".join(f"k{n}" + ".a" * 1_000 + " = 1" for n in range(1_000)),
    "an inline table of such keys": "a = {b" + ".a" * 100_000 + " = 1}",
}


@pytest.mark.parametrize("name", HUGE)
def test_rules_that_hang_or_break_their_reader_are_refused_soon(name: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(SettingsError, match=r"x:\d|x: is not TOML"):
        rules_of(HUGE[name], place="x")
    assert time.monotonic() - began_s < SOON_S


FORMULAS: Final = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", " =1+1", "\n=1+1", "\r=1+1", "＝1+1", "＠SUM(A1)", "　=1+1")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_as_a_formula_wherever_a_spreadsheet_sees_its_beginning(text: str) -> None:
    assert csv_text([{"a": text}], ["a"]).removeprefix("a\n").removeprefix('"').startswith("'")


def test_a_carriage_return_begins_no_row_and_so_no_formula() -> None:
    assert csv_text([{"a": "x\r=1+1"}, {"a": "x\r\n=1+1"}], ["a"]) == 'a\n"x\n=1+1"\n"x\n=1+1"\n'


def test_what_an_analyst_wrote_is_no_formula_in_the_admins_audit_log(tmp_path: Path) -> None:
    with an_office(tmp_path) as office:
        sent = {"name": "x\r=HYPERLINK(1)", "at": "2026-03-10T10:00Z", "note": ""}
        assert office.browser("mei").post("/missed", sent).status == 303
        text = office.browser("ada").get("/audit.csv").body
    assert b"HYPERLINK" in text
    assert b"\r=" not in text


# --- files -----------------------------------------------------------------------------------------------------------------------
def test_a_store_and_a_log_are_their_owners_alone_and_one_that_was_opened_to_others_stays_so(tmp_path: Path) -> None:
    shared = tmp_path / "shared.db"
    shared.touch(mode=0o640)
    for _ in range(2):
        stores, log = [Store(str(tmp_path / name)) for name in ("own.db", "shared.db")], LocalLog(tmp_path / "own.log")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        for store in stores:
            store.close()
        log.close()
        assert {"own.db", "own.db-wal", "own.log", "own.log-wal", "shared.db-wal"} <= set(modes)
        assert {name: mode for name, mode in modes.items() if mode != (0o640 if name.startswith("shared") else 0o600)} == {}


# --- words that people wrote, where words of the program stand ---------------------------------------------------------------------
def test_a_correction_with_braces_leaves_the_dossier_readable(tmp_path: Path) -> None:
    alert = an_opened_alert(evidence=[a_quote(document_id=DOCUMENT, story="s1")])
    with an_office(tmp_path, alerts=(alert,)) as office:
        sent = {"is": "company:{0} {x.__class__} <b>", "document": DOCUMENT}
        assert office.browser("mei").post(f"/alerts/{alert.id}/correct", sent).status == 303
        page = office.browser("rob").get(f"/alerts/{alert.id}")
        assert page.status == 200
        assert "{0} {x.__class__} &lt;b&gt;" in page.text
