"""The board's door, tried as somebody would who wants in: every case is refused, and the honest one next to it is not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from starlette.routing import Route

from dashboards.board.app import create_app
from dashboards.board.attempts import FAILURES_MAX, KEYS_MAX, WITHIN_MS, Attempts
from dashboards.board.door import FORM_COOKIE
from dashboards.board.shell import POLICY
from groundswell.clock import ManualClock
from groundswell.passwords import Passwords
from groundswell.signing import Signed
from groundswell.store import schema as t
from groundswell.store.accounts import change_person
from groundswell.store.audit import entries
from groundswell.store.store import Store
from tests.dashboards.board.board_store import END_MS
from tests.dashboards.board.people_store import ACCESS, ALERT, PASSWORD, SECRET, Browser, Office, an_office, behind_a_proxy

ACT: Final = f"/alerts/{ALERT.id}/act"
HOUR_MS: Final = 3_600_000


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as made:
        yield made


def acted(office: Office) -> int:
    """How many things people did."""
    with office.store.read() as connection:
        return sum(len(connection.execute(select(table)).all()) for table in (t.actions, t.verdicts, t.corrections, t.misses))


def audited(office: Office) -> list[tuple[str, str]]:
    with office.store.read() as connection:
        return [(entry.who, entry.what) for entry in entries(connection)]


# --- who is let in ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/inbox", "/alerts", f"/alerts/{ALERT.id}", "/sources", "/me"])
def test_a_page_sends_a_stranger_to_the_form_and_from_there_back(office: Office, path: str) -> None:
    answer = office.board.get(path)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login?next=%2F")
    assert ALERT.title not in answer.text
    browser = office.browser()
    browser.get(answer.headers["location"])
    back = browser.post("/login", {"name": "mei", "password": PASSWORD, "next": path})
    assert back.headers["location"] == path
    assert browser.get(path).status == 200


@pytest.mark.parametrize(
    "path", ["/api/board.json", "/api/alerts.json", "/api/inbox.json", f"/api/alerts/{ALERT.id}.json", "/api/sources.json"]
)
def test_a_program_that_is_nobody_is_told_so_and_gets_no_figure(office: Office, path: str) -> None:
    answer = office.board.get(path)
    assert (answer.status, answer.json()) == (401, {"error": "sign in first"})
    assert office.browser("rob").get(path).status == 200


def test_health_and_the_style_sheet_are_answered_to_anybody(office: Office) -> None:
    assert office.board.get("/healthz").json()["ok"]
    assert office.board.get("/static/board.css").status == 200


def test_a_session_that_was_forged_changed_or_taken_from_another_installation_is_none(office: Office) -> None:
    browser = office.browser("mei")
    cookie = browser.cookies["groundswell"]
    other = Signed(SECRET[::-1], "session", lifetime_s=3600, now_ms=office.clock.now_ms).sign(["ada", END_MS, "x" * 32])
    form = Signed(SECRET, "form", lifetime_s=3600, now_ms=office.clock.now_ms).sign(["ada", END_MS, "x" * 32])
    body, _, rest = cookie.partition(".")
    for forged in (other, form, cookie[:-2], f"{body}x.{rest}", "null", ""):
        browser.cookies["groundswell"] = forged
        assert browser.get("/inbox").status == 303, forged
    browser.cookies["groundswell"] = cookie
    assert browser.get("/inbox").status == 200


def test_a_signed_value_of_another_shape_is_no_session_and_no_crash(office: Office) -> None:
    sessions = Signed(SECRET, "session", lifetime_s=3600, now_ms=office.clock.now_ms)
    for value in (None, [], ["mei"], {"name": "mei"}, ["mei", "now", "x"], [["mei"], 1, "x"]):
        browser = office.browser()
        browser.cookies["groundswell"] = sessions.sign(value)
        assert browser.get("/inbox").status == 303, value


def test_a_session_expires(office: Office) -> None:
    browser = office.browser("mei")
    office.clock.advance(12 * HOUR_MS)
    assert browser.get("/inbox").status == 200
    office.clock.advance(1_000)
    assert browser.get("/inbox").status == 303


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "reader"}, {"password_hash": "$argon2id$other"}])
def test_sessions_end_when_the_account_is_disabled_or_changed(office: Office, change: dict[str, Any]) -> None:
    browser = office.browser("mei")
    office.clock.advance(1_000)
    with office.store.write() as connection:
        change_person(connection, "mei", now_ms=office.clock.now_ms(), **change)
    assert browser.get("/inbox").status == 303
    assert browser.post(ACT, {"what": "acknowledge"}).status == 401
    assert acted(office) == 0


def test_signing_out_ends_the_persons_sessions_on_every_machine_and_a_kept_cookie_is_worth_nothing(office: Office) -> None:
    here, there = office.browser("mei"), office.browser("mei")
    kept = here.cookies["groundswell"]
    office.clock.advance(1_000)
    assert here.post("/logout", {}).headers["location"] == "/login"
    assert "groundswell" not in here.cookies
    here.cookies["groundswell"] = kept
    assert here.get("/inbox").status == there.get("/inbox").status == 303
    office.clock.advance(1_000)
    assert office.browser("mei").get("/inbox").status == 200
    assert ("mei", "signed out") in audited(office)


def test_signing_in_begins_a_session_that_the_browser_did_not_bring(office: Office) -> None:
    browser = office.browser()
    browser.cookies = {FORM_COOKIE: "a" * 32, "groundswell": "planted"}
    browser.sign_in("mei")
    assert browser.cookies["groundswell"] != "planted"
    assert office.browser("mei").cookies["groundswell"] != browser.cookies["groundswell"]


# --- cookies and headers ----------------------------------------------------------------------------------------------------------
def test_cookies_are_hidden_from_scripts_and_kept_from_other_sites_and_behind_https_from_plain_connections(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "https").mkdir()
    for folder, access in (("plain", ACCESS), ("https", replace(ACCESS, is_https=True))):
        with an_office(tmp_path / folder, access=access) as office:
            browser = office.browser()
            lines = [*browser.get("/login").cookies, *browser.sign_in("mei").cookies]
        assert len(lines) >= 2
        for line in lines:
            flags = {part.strip().lower() for part in line.split(";")[1:]}
            assert {"httponly", "samesite=lax", "path=/"} <= flags, line
            assert ("secure" in flags) == (folder == "https"), line
            assert not any(flag.startswith("domain") for flag in flags)
    assert any(line.startswith("__Host-groundswell=") for line in lines)


@pytest.mark.parametrize("path", ["/login", "/inbox", "/me", "/nowhere", f"/alerts/{ALERT.id}"])
def test_no_answer_allows_inline_scripts_styles_frames_or_another_hosts_forms(office: Office, path: str) -> None:
    for browser in (office.browser(), office.browser("mei")):
        answer = browser.get(path)
        assert answer.headers["content-security-policy"] == POLICY
        assert "private" in answer.headers["cache-control"] or answer.headers["cache-control"].startswith("no-store")
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert " onclick" not in answer.text
    for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in POLICY
    assert "unsafe" not in POLICY


# --- forms ------------------------------------------------------------------------------------------------------------------------
BY_ADDRESS: Final = ("/u/{token}",)
"""A mail program has no session, so its one click needs no token of one: tests/dashboards/board/test_stop_pages.py tries that door."""


def posting_paths() -> list[str]:
    store = Store("sqlite:///:memory:")
    app = create_app(store, run=None, log=None, now_ms=lambda: 0)
    store.close()
    paths = [route.path for route in app.routes if isinstance(route, Route) and route.methods and route.methods - {"GET", "HEAD"}]
    return [path.replace("{id}", ALERT.id) for path in paths if path not in BY_ADDRESS]


POSTING: Final = posting_paths()


def test_there_are_forms_to_try() -> None:
    assert len(POSTING) >= 9


@pytest.mark.parametrize("path", POSTING)
def test_no_form_is_taken_without_the_token_of_this_very_session(office: Office, path: str) -> None:
    path = path.replace("{token}", office.links.make("mei", ALERT.id, "acknowledge").rpartition("/")[2])
    form = {"what": "acknowledge", "word": "true", "name": "x", "at": "2026-03-10", "language": "zh", "password": PASSWORD}
    form |= {"is": "sentiment:neutral", "document": ALERT.evidence[0].document_id}
    ada, mei = office.browser("ada"), office.browser("mei")
    session = Signed(SECRET, "session", lifetime_s=3600, now_ms=office.clock.now_ms).sign("x")
    for token in ("", "x", ada.token, mei.token[:-3], mei.cookies["groundswell"], session):
        mei.token = token
        assert mei.post(path, form).status == 403, (path, token)
    assert acted(office) == 0


OTHER_SITES: Final = (
    ("Sec_Fetch_Site", "cross-site"),
    ("Sec_Fetch_Site", "same-site"),
    ("Origin", "https://evil.example"),
    ("Origin", "null"),
    ("Origin", "http://[evil"),
)


@pytest.mark.parametrize(("header", "said"), OTHER_SITES)
def test_a_form_of_another_site_is_refused_even_with_the_right_token(office: Office, header: str, said: str) -> None:
    mei = office.browser("mei")
    assert mei.post(ACT, {"what": "acknowledge"}, **{header: said}).status == 403
    assert acted(office) == 0
    own = {"Sec_Fetch_Site": "same-origin", "Origin": office.board.url}
    assert mei.post(ACT, {"what": "acknowledge"}, **own).status == 303
    assert acted(office) == 1


@pytest.mark.parametrize("path", [ACT, ACT.replace("/act", "/verdict"), ACT.replace("/act", "/correct"), "/missed"])
def test_a_reader_looks_and_cannot_act_and_sees_no_form_for_it(office: Office, path: str) -> None:
    rob = office.browser("rob")
    answer = rob.post(path, {"what": "acknowledge", "word": "true"})
    assert answer.status == 403
    assert "the role analyst is needed for this, and you have reader" in answer.text
    assert acted(office) == 0
    assert path not in rob.get(f"/alerts/{ALERT.id}").text + rob.get("/alerts").text


@pytest.mark.parametrize("path", [path for path in POSTING if path.endswith(("act", "verdict", "correct", "missed", "save"))])
def test_asking_with_get_does_nothing(office: Office, path: str) -> None:
    assert office.browser("mei").get(f"{path}?what=acknowledge&word=true").status == 405
    assert acted(office) == 0


def test_a_form_that_is_too_long_or_none_at_all_is_refused(office: Office) -> None:
    mei = office.browser("mei")
    assert mei.post(ACT, {"what": "comment", "note": "x" * 70_000}).status == 413
    assert mei.post(ACT, {f"f{n}": "x" for n in range(200)}).status == 400
    assert office.board.ask("POST", ACT, headers=mei._headers({}), body=b"\xff\xfe").status == 400
    assert acted(office) == 0


ELSEWHERE: Final = (
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/\tx", "/ x", "evil", ""
)  # fmt: skip


@pytest.mark.parametrize("where", ELSEWHERE)
def test_nobody_is_sent_to_another_site_after_signing_in(office: Office, where: str) -> None:
    browser = office.browser()
    page = browser.get(f"/login?next={quote(where)}").text
    assert '<input type="hidden" name="next" value="/inbox">' in page
    assert browser.post("/login", {"name": "mei", "password": PASSWORD, "next": where}).headers["location"] == "/inbox"
    assert browser.get("/inbox").status == 200
    assert browser.post("/language", {"language": "zh", "next": where}).headers["location"] == "/"


# --- guessing ---------------------------------------------------------------------------------------------------------------------
class Counting(Passwords):
    """Remembers what it was asked to check against."""

    def __init__(self) -> None:
        super().__init__(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        self.asked: list[bool] = []

    def fits(self, password: str, stored: str | None) -> bool:
        self.asked.append(stored is not None)
        return super().fits(password, stored)


def test_an_unknown_a_disabled_and_a_passwordless_account_cost_and_look_the_same_as_a_wrong_password(tmp_path: Path) -> None:
    counting = Counting()
    with an_office(tmp_path, access=replace(ACCESS, passwords=counting)) as office:
        with office.store.write() as connection:
            change_person(connection, "rob", now_ms=2, disabled=True)
        answers = [office.browser().sign_in(name, PASSWORD if name != "mei" else "wrong") for name in ("mei", "rob", "nobody", "../../x")]
        log = sorted(audited(office))
    assert counting.asked == [True, False, False, False], "each is checked once, whether there is something to check against or not"
    assert {answer.status for answer in answers} == {401}
    texts = {answer.text.split('<form action="/login"')[0].split("</header>")[1] for answer in answers}
    assert len(texts) == 1
    assert log == [(who, "sign-in refused") for who in ("(unknown)", "(unknown)", "mei", "rob")]


def test_after_five_wrong_passwords_even_the_right_one_waits_and_the_log_says_so(office: Office) -> None:
    browser = office.browser()
    for _ in range(5):
        assert browser.sign_in("mei", "a wrong password").status == 401
    locked = browser.sign_in("mei")
    assert (locked.status, locked.headers["retry-after"]) == (429, "900")
    assert "Nothing is checked for 15 min" in locked.text
    assert office.browser("rob").get("/inbox").status == 200
    assert sorted(audited(office))[:5] == [("mei", "sign-in locked"), *[("mei", "sign-in refused")] * 4]
    office.clock.advance(WITHIN_MS)
    assert browser.sign_in("mei").status == 303


def test_guessing_is_bounded_by_name_and_by_address_and_so_is_what_is_remembered_of_it() -> None:
    clock = ManualClock(1)
    attempts = Attempts(clock.now_ms)
    for n in range(FAILURES_MAX["address"]):
        attempts.failed(f"name{n}", "2001:db8::1")
    assert attempts.wait_s("another", "2001:db8::ffff") == 900, "one /64 is one address"
    assert attempts.wait_s("another", "2001:db8:0:1::1") == 0
    for n in range(FAILURES_MAX["name"]):
        attempts.failed("mei", f"192.0.2.{n}")
    assert attempts.wait_s("mei", "198.51.100.1") == 900
    for n in range(KEYS_MAX):
        attempts.failed(f"n{n}", f"10.0.{n // 250}.{n % 250}")
    assert len(attempts._failures) == KEYS_MAX
    clock.advance(WITHIN_MS)
    assert attempts.wait_s("mei", "198.51.100.1") == 0


def test_no_password_and_no_session_is_in_the_store_or_the_log(office: Office) -> None:
    browser = office.browser()
    browser.sign_in("mei", "a wrong password")
    browser.sign_in(PASSWORD)
    browser.sign_in("mei")
    with office.store.read() as connection:
        stored = repr([connection.execute(select(table)).all() for table in (t.people, t.audit, t.readers)])
    for secret in (PASSWORD, "a wrong password", browser.cookies["groundswell"]):
        assert secret not in stored


# --- a proxy's word -----------------------------------------------------------------------------------------------------------------
def test_a_proxy_is_believed_only_from_its_address_and_only_for_people_with_an_account(tmp_path: Path) -> None:
    with an_office(tmp_path, access=behind_a_proxy()) as office:
        assert office.board.get("/inbox", X_Forwarded_User="mei").status == 200
        assert office.board.get("/inbox", X_Forwarded_User="MEI").status == 200
        for name in ("nobody", "", "mei, ada", "me i", "../x"):
            assert office.board.get("/inbox", X_Forwarded_User=name).status == 403, name
        assert office.board.get("/inbox").status == 403
        assert office.board.get("/api/board.json").status == 403
        with office.store.write() as connection:
            change_person(connection, "mei", now_ms=2, disabled=True)
        assert office.board.get("/inbox", X_Forwarded_User="mei").status == 403


def test_the_header_of_a_proxy_from_another_address_is_worth_nothing_whatever_it_claims(tmp_path: Path) -> None:
    with an_office(tmp_path, access=behind_a_proxy(proxy_addresses=("10.0.3.0/24", "2001:db8::/32"))) as office:
        for headers in ({}, {"X_Forwarded_For": "10.0.3.7"}, {"X_Real_IP": "10.0.3.7"}, {"Forwarded": "for=10.0.3.7"}):
            assert office.board.get("/inbox", X_Forwarded_User="ada", **headers).status == 403, headers


def test_where_no_proxy_was_named_its_header_is_nothing(office: Office) -> None:
    assert office.board.get("/inbox", X_Forwarded_User="ada").status == 303
    assert "mei" in office.browser("mei").get("/inbox", X_Forwarded_User="ada").text


def test_who_the_proxy_names_may_be_given_a_role_without_an_account_and_acts_under_that_name(tmp_path: Path) -> None:
    with an_office(tmp_path, access=behind_a_proxy(proxy_role="analyst")) as office:
        browser = Browser(office.board, headers={"X-Forwarded-User": "new@bank.example", "X-Forwarded-For": "203.0.113.9, 198.51.100.4"})
        browser.get(f"/alerts/{ALERT.id}")
        assert browser.post(ACT, {"what": "acknowledge"}).status == 303
        with office.store.read() as connection:
            assert [(e.who, e.place) for e in entries(connection)] == [("new@bank.example", "198.51.100.4")]
        rob = Browser(office.board, headers={"X-Forwarded-User": "rob"})
        rob.get("/inbox")
        assert rob.post(ACT, {"what": "acknowledge"}).status == 403, "an account's role holds"
        rob.token = browser.token
        assert rob.post("/me/save", {"language": "zh"}).status == 403, "a token is bound to the name"


def test_an_address_behind_no_proxy_is_the_one_that_asked(office: Office) -> None:
    office.browser().sign_in("mei", "a wrong password")
    browser = office.browser(X_Forwarded_For="203.0.113.9")
    browser.sign_in("mei", "a wrong password")
    with office.store.read() as connection:
        assert {entry.place for entry in entries(connection)} == {"127.0.0.1"}


# --- without people -----------------------------------------------------------------------------------------------------------------
def test_without_accounts_everything_can_be_read_and_nothing_done(tmp_path: Path) -> None:
    with an_office(tmp_path, access=replace(ACCESS, accounts=False)) as office:
        browser = office.browser()
        for path in ("/", "/inbox", "/alerts", f"/alerts/{ALERT.id}", "/sources"):
            assert browser.get(path).status == 200
        assert "read-only" in browser.get("/").text
        for path in (ACT, "/missed", "/me/token", "/rules/rehearse"):
            assert browser.post(path, {"what": "acknowledge", "language": "zh"}).status == 403
        assert browser.post("/me/save", {"language": "zh"}).status == 303  # kept by the browser alone
        with office.store.read() as connection:
            assert connection.execute(select(t.readers)).all() == []
        browser.sign_in("mei")
        assert browser.post(ACT, {"what": "acknowledge"}).status == 403
        assert acted(office) == 0
