"""What an admin does on the board: accounts, the audit log, the outbox; who else asks is told which role it takes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from dashboards.board.admin_pages import ENTRIES_SHOWN
from dashboards.board.door import WELCOME_S
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.accounts import Person, person_named
from groundswell.store.audit import Entry, entries, note
from groundswell.store.outbox import listed
from tests.dashboards.board.people_store import ALERT, PASSWORD, Browser, Office, an_office, behind_a_proxy

NEW = "another few words in a row"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path, run=LIVE_RUN) as made:
        yield made


def account(office: Office, name: str) -> Person | None:
    with office.store.read() as connection:
        return person_named(connection, name)


def role(office: Office, name: str) -> str | None:
    found = account(office, name)
    return found.role if found else None


def send(browser: Browser, path: str, *, page: str = "/people", **form: str) -> str:
    """Send a form of a page; returns the text of what comes of it."""
    browser.get(page)
    answer = browser.post(path, form)
    assert answer.status in (200, 303), answer.text
    return unescape((browser.get(answer.headers["location"]) if answer.status == 303 else answer).text)


def the_link(text: str) -> str:
    address: str = re.findall(r'<p class="once" translate="no">([^<]+)<', text)[0]
    return urlsplit(address).path


# --- people -----------------------------------------------------------------------------------------------------------------------
def test_somebody_new_chooses_a_password_by_a_link_that_works_once_and_no_admin_knows(office: Office) -> None:
    ada, new = office.browser("ada"), office.browser()
    said = send(ada, "/people/add", name="Li@bank.example", role="analyst")
    place = the_link(said)
    made = account(office, "li@bank.example")
    assert (made and made.role, made and made.password_hash) == ("analyst", None)
    assert "For the account <bdi>li@bank.example</bdi>, analyst." in new.get(place).text
    assert new.post(place, {"password": NEW, "again": NEW + "x"}).status == 400
    assert "must have 12 to 256 characters" in new.post(place, {"password": "short", "again": "short"}).text
    office.clock.advance(1_000)
    assert new.post(place, {"password": NEW, "again": NEW}).headers["location"] == "/login"
    assert (new.get(place).status, new.post(place, {"password": PASSWORD, "again": PASSWORD}).status) == (410, 410)
    assert office.browser().sign_in("li@bank.example", NEW).status == 303
    with office.store.read() as connection:
        log = [(entry.who, entry.what) for entry in entries(connection) if "sign" not in entry.what]
    assert log == [("li@bank.example", "password chosen"), ("ada", "account added")]


def test_a_link_is_void_after_two_days_after_another_change_and_when_it_was_made_elsewhere(office: Office) -> None:
    ada = office.browser("ada")
    first = the_link(send(ada, "/people/link", name="rob"))
    assert office.browser("rob").get("/inbox").status == 200, "the old password holds until another is chosen"
    office.clock.advance(1_000)
    send(ada, "/people/role", name="rob", role="analyst")
    assert office.browser().get(first).status == 410
    second = the_link(send(ada, "/people/link", name="rob"))
    assert office.browser().get(second[:-2]).status == 403
    assert office.browser().get("/welcome/x").status == 403
    office.clock.advance(WELCOME_S * 1_000 + 1_000)
    assert office.browser().get(second).status == 410


def test_an_admin_changes_a_role_locks_unlocks_and_signs_out_everywhere(office: Office) -> None:
    ada, mei = office.browser("ada"), office.browser("mei")
    office.clock.advance(1_000)
    assert "role changed" in send(ada, "/people/role", name="rob", role="analyst")
    assert role(office, "rob") == "analyst"
    send(ada, "/people/signout", name="mei")
    assert mei.get("/inbox").status == 303
    office.clock.advance(1_000)
    mei = office.browser("mei")
    office.clock.advance(1_000)
    assert "locked" in send(ada, "/people/disable", name="mei")
    assert mei.get("/inbox").status == 303
    assert mei.sign_in("mei").status == 401
    send(ada, "/people/enable", name="mei")
    office.clock.advance(1_000)
    assert office.browser("mei").get("/inbox").status == 200


def test_the_last_admin_stays_one_and_what_is_not_there_is_said(office: Office) -> None:
    ada = office.browser("ada")
    ada.get("/people")
    for path, form in (("/people/disable", {"name": "ada"}), ("/people/role", {"name": "ada", "role": "reader"})):
        answer = ada.post(path, form)
        assert (answer.status, "is the last admin" in answer.text) == (400, True)
    assert ada.post("/people/role", {"name": "mei", "role": "root"}).status == 400
    assert ada.post("/people/add", {"name": "<b>", "role": "reader"}).status == 400
    assert ada.post("/people/add", {"name": "mei", "role": "reader"}).status == 400
    for path in ("/people/disable", "/people/enable", "/people/signout", "/people/link"):
        assert ada.post(path, {"name": "nobody"}).status == 404, path
    with office.store.read() as connection:
        assert [entry.what for entry in entries(connection)] == ["signed in"]


def test_behind_a_proxy_an_account_says_what_somebody_may_do_and_there_is_no_link(tmp_path: Path) -> None:
    with an_office(tmp_path, access=behind_a_proxy()) as office:
        ada = office.browser(X_Forwarded_User="ada")
        assert "account added" in send(ada, "/people/add", name="li", role="analyst")
        assert "The proxy says who people are" in ada.get("/people").text
        assert ada.post("/people/link", {"name": "li"}).status == 400
        assert ada.get("/welcome/x").status == 404


def test_an_admin_takes_anybodys_token_back(office: Office) -> None:
    mei, ada = office.browser("mei"), office.browser("ada")
    mei.get("/me")
    token = re.findall(r"gsw_\w{12}_[\w-]{43}", mei.post("/me/token", {"name": "nightly", "role": "reader", "days": "30"}).text)[0]
    assert "nightly" in ada.get("/people").text
    send(ada, "/people/token", id=token.split("_")[1])
    assert office.board.ask("GET", "/api/v1/alerts", headers={"Authorization": f"Bearer {token}"}).status == 401


ADMIN_PAGES = ("/people", "/audit", "/audit.csv", "/outbox")
ADMIN_FORMS = ("add", "role", "disable", "enable", "signout", "link", "token")


@pytest.mark.parametrize("name", ["rob", "mei"])
def test_who_is_no_admin_is_told_which_role_it_takes_and_sees_no_way_there(office: Office, name: str) -> None:
    browser = office.browser(name)
    assert "/people" not in browser.get("/inbox").text
    for path in ADMIN_PAGES:
        answer = browser.get(path)
        assert (answer.status, "the role admin is needed for this, and you have" in answer.text) == (403, True), path
    for path in [*(f"/people/{form}" for form in ADMIN_FORMS), "/outbox/retry"]:
        assert browser.post(path, {"name": "ada", "role": "reader"}).status == 403, path
    assert role(office, "ada") == "admin"


# --- the audit log -----------------------------------------------------------------------------------------------------------------
def test_the_log_is_filtered_by_who_what_and_when_and_taken_along_without_formulas(office: Office) -> None:
    with office.store.write() as connection:
        for n in range(ENTRIES_SHOWN + 5):
            note(office.store, connection, Entry(1_000_000 + n, "li", "192.0.2.1", "acknowledge", f"=1+{n}"))
    ada = office.browser("ada")
    page = ada.get("/audit?who=li&what=acknowledge").text
    assert page.count("192.0.2.1") == ENTRIES_SHOWN
    older = unescape(re.findall(r'href="([^"]+)" rel="next"', page)[0])
    assert ada.get(older).text.count("192.0.2.1") == 6, "the last row's millisecond is on both"
    assert "192.0.2.1" not in ada.get("/audit?who=ada").text
    assert ada.get("/audit?from=2026-01-01").text.count("192.0.2.1") == 0
    rows = ada.get("/audit.csv?who=li&to=2026-01-01").body.decode().splitlines()
    assert (rows[0], len(rows)) == ("at,who,place,what,detail", ENTRIES_SHOWN + 6)
    assert "'=1+" in rows[1]
    assert ada.get("/audit?from=never").status == 400


# --- the outbox --------------------------------------------------------------------------------------------------------------------
def test_a_dead_letter_is_shown_first_and_put_back_by_its_button(office: Office) -> None:
    with office.store.write() as connection:
        connection.execute(update(t.outbox).values(state="failed", attempts=1, reason="550 <b>no such user</b>"))
    ada = office.browser("ada")
    page = ada.get("/outbox").text
    assert "550 &lt;b&gt;no such user&lt;/b&gt;" in page
    assert "mail:desk" in page
    said = send(ada, "/outbox/retry", page="/outbox", alert=ALERT.id, target="mail:desk")
    assert "it is due again" in said
    assert ada.post("/outbox/retry", {"alert": ALERT.id, "target": "mail:desk"}).status == 404
    with office.store.read() as connection:
        assert [item.state for item in listed(connection, LIVE_RUN)] == ["due"]
        assert [(entry.who, entry.detail) for entry in entries(connection, what="dead letter put back")] == [
            ("ada", f"alert {ALERT.id}, mail:desk")
        ]
    assert ada.get("/outbox?state=due").text.count("mail:desk") == 1
    assert ada.get("/outbox?state=lost").status == 400


def test_a_board_that_signs_nobody_in_has_no_admin(tmp_path: Path) -> None:
    from tests.dashboards.board.people_store import ACCESS

    with an_office(tmp_path, access=replace(ACCESS, accounts=False)) as office:
        for path in ADMIN_PAGES:
            assert office.board.get(path).status == 403, path
