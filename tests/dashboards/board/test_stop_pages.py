"""Unsubscribing on the board: opening changes nothing, one click stops, the page's button undoes, and only a signed address does either."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from groundswell.links import Links
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store.audit import entries
from groundswell.store.stops import stopped
from tests.dashboards.board.board_store import Answer
from tests.dashboards.board.people_store import ALERT, SECRET, Office, an_office

ONE_CLICK = b"List-Unsubscribe=One-Click"
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path, run=LIVE_RUN) as made:
        yield made


def path_of(office: Office, target: str = "mail:mei") -> str:
    return office.links.make_stop(target).removeprefix("http://127.0.0.1")


def stops(office: Office) -> list[str]:
    with office.store.read() as connection:
        return sorted(stopped(connection))


def click(office: Office, path: str, body: bytes = ONE_CLICK, kind: str = "application/x-www-form-urlencoded") -> Answer:
    """What a mail program sends: no cookie, no page before it."""
    return office.board.ask("POST", path, headers={"Content-Type": kind}, body=body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_opening_the_address_changes_nothing_however_often_a_scanner_does(office: Office, method: str) -> None:
    for _ in range(3):
        assert office.board.ask(method, path_of(office)).status == 200
    assert stops(office) == []
    with office.store.read() as connection:
        assert entries(connection) == []


@pytest.mark.parametrize(
    ("body", "kind"), [(ONE_CLICK, "application/x-www-form-urlencoded"), (MULTIPART, "multipart/form-data; boundary=x")]
)
def test_one_click_stops_that_target_of_that_reader_without_a_session_or_a_redirect(office: Office, body: bytes, kind: str) -> None:
    answers = [click(office, path_of(office), body, kind) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert stops(office) == ["mail:mei"]
    with office.store.read() as connection:
        said = [(one.who, one.what, one.detail, one.place) for one in entries(connection)]
    assert said == [("mei", "unsubscribed", "mail:mei, by one click", "127.0.0.1")], "a click that comes twice is one"


def test_the_pages_button_stops_says_so_and_undoes_it(office: Office) -> None:
    path, browser = path_of(office), office.browser()
    assert "Stop these messages to" in browser.get(path).text
    assert browser.post(path, {"what": "stop"}).headers["location"] == path
    shown = browser.get(path).text
    assert "gets no more of these messages" in shown
    assert "Messages that were not sent because of it: 0" in shown
    office.clock.advance(1_000)
    browser.post(path, {"what": "resume"})
    assert "They are sent again since" in browser.get(path).text
    assert stops(office) == []
    with office.store.read() as connection:
        assert [one.what for one in entries(connection)] == ["subscribed again", "unsubscribed"]


def test_the_readers_settings_say_what_is_stopped_and_how_to_undo_it(office: Office) -> None:
    mei = office.browser("mei")
    assert "mail:mei" not in mei.get("/me").text
    click(office, path_of(office))
    click(office, path_of(office, "mail:rob"))
    page = mei.get("/me").text
    assert "What you have unsubscribed" in page
    assert "groundswell routes resume mail:mei" in page
    assert "mail:rob: " not in page


@pytest.mark.parametrize("body", [b"", b"what=", b"what=delete", b"List-Unsubscribe=", b"One-Click", b"\xff\xfe", b"x" * 70_000])
def test_another_body_changes_nothing(office: Office, body: bytes) -> None:
    assert click(office, path_of(office), body).status in (400, 413)
    assert stops(office) == []


def test_an_address_that_was_forged_changed_or_made_for_something_else_stops_nothing(office: Office) -> None:
    other = Links(SECRET[::-1], "http://127.0.0.1", 3_600, now_ms=office.clock.now_ms).make_stop("mail:mei")
    acts = office.links.make("mei", ALERT.id, "acknowledge").rpartition("/")[2]
    token = path_of(office).rpartition("/")[2]
    for forged in (other.rpartition("/")[2], acts, token[:-2], token.replace(token[:4], "xxxx"), "x"):
        assert click(office, f"/u/{forged}").status == 403, forged
        assert office.board.get(f"/u/{forged}").status == 403
    assert click(office, f"/l/{token}").status == 403, "nor does it do anything else"
    assert stops(office) == []


def test_a_page_of_another_site_cannot_send_it_for_a_reader(office: Office) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "cross-site"}
    assert office.board.ask("POST", path_of(office), headers=headers, body=ONE_CLICK).status == 403
    assert stops(office) == []


def test_the_address_works_for_more_than_half_a_year_and_then_says_that_its_time_is_over(office: Office) -> None:
    path = path_of(office)
    office.clock.advance(200 * DAY_MS)
    assert click(office, path).status == 200
    office.clock.advance(201 * DAY_MS)
    assert click(office, path).status == 410
