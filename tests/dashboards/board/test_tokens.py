"""Tokens of programs: made on /me, shown once, taken for the API alone, and worth no more than their person."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from dashboards.board.door import ASKED_A_MINUTE, REFUSED_A_MINUTE
from groundswell.logs import logger, set_up_logs
from groundswell.names import DAY_MS
from groundswell.store import schema as t
from groundswell.store.accounts import change_person
from groundswell.store.audit import entries
from groundswell.store.tokens import LIVE_MAX, tokens_of
from tests.dashboards.board.board_store import Answer
from tests.dashboards.board.people_store import Browser, Office, an_office

ASKED = "/api/v1/alerts"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as made:
        yield made


def make(browser: Browser, **form: str) -> str:
    browser.get("/me")
    answer = browser.post("/me/token", {"name": "nightly", "role": "reader", "days": "30"} | form)
    assert answer.status == 200, answer.text
    return answer.text.split('<p class="once" translate="no">')[1].split("<")[0]


def ask(office: Office, token: str, path: str = ASKED) -> Answer:
    return office.board.ask("GET", path, headers={"Authorization": f"Bearer {token}"})


def test_a_token_answers_for_its_person_is_shown_once_and_is_stored_as_a_digest(office: Office) -> None:
    mei = office.browser("mei")
    token = make(mei)
    assert (ask(office, token).status, office.board.get(ASKED).status) == (200, 401)
    assert len(ask(office, token).json()["rows"]) == 1
    page = mei.get("/me").text
    assert "nightly" in page
    assert token not in page
    with office.store.read() as connection:
        stored = str(connection.execute(select(t.tokens)).all()) + str(entries(connection))
    assert token.split("_", 2)[2] not in stored
    assert token.split("_")[1] in stored
    assert "token made" in stored


@pytest.mark.parametrize("path", ["/", "/inbox", "/me", "/api/board.json", "/api/rules.json", "/api/v1", "/live"])
def test_it_opens_nothing_but_the_api(office: Office, path: str) -> None:
    assert ask(office, make(office.browser("ada"), role="admin"), path).status in (303, 401)


def test_it_sends_no_form(office: Office) -> None:
    token = make(office.browser("ada"), role="admin")
    for path in ("/me/token", "/missed", "/rules/save", f"{ASKED}"):
        answer = office.board.ask("POST", path, headers={"Authorization": f"Bearer {token}"}, body=b"token=")
        assert answer.status in (401, 405), path


def test_a_token_that_was_changed_revoked_or_is_over_is_not_taken_even_with_a_session_beside_it(office: Office) -> None:
    mei = office.browser("mei")
    token, other = make(mei), make(mei)
    for wrong in (
        "",
        "x",
        token[:-1] + ("a" if token[-1] != "a" else "b"),
        f"gsw_{'0' * 12}_{token.split('_', 2)[2]}",
        other[:17] + token[17:],
    ):
        refused = mei.get(ASKED, Authorization=f"Bearer {wrong}")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer"), wrong
    mei.get("/me")
    assert mei.post("/me/token/revoke", {"id": token.split("_")[1]}).status == 303
    assert (ask(office, token).status, ask(office, other).status) == (401, 200)
    office.clock.advance(30 * DAY_MS)
    assert ask(office, other).status == 401


def test_it_ends_with_its_account_and_sinks_with_its_role(office: Office) -> None:
    token = make(office.browser("mei"), role="analyst")
    with office.store.write() as connection:
        change_person(connection, "mei", now_ms=office.clock.now_ms(), role="reader")
    assert ask(office, token).status == 200
    with office.store.write() as connection:
        change_person(connection, "mei", now_ms=office.clock.now_ms(), disabled=True)
    assert ask(office, token).status == 401


def test_nobody_makes_one_that_may_more_or_for_ever_or_without_saying_what_for_or_revokes_anothers(office: Office) -> None:
    mei, ada = office.browser("mei"), office.browser("ada")
    mei.get("/me")
    for form in ({"role": "admin"}, {"role": "root"}, {"days": "4000"}, {"name": " "}, {"name": "x" * 61}, {"name": "a\u202eb"}):
        assert mei.post("/me/token", {"name": "nightly", "role": "reader", "days": "30"} | form).status == 400, form
    token = make(mei)
    ada.get("/me")
    assert ada.post("/me/token/revoke", {"id": token.split("_")[1]}).status == 404
    assert ask(office, token).status == 200
    for _ in range(LIVE_MAX - 1):
        make(mei)
    assert mei.post("/me/token", {"name": "one more", "role": "reader", "days": "30"}).status == 400
    with office.store.read() as connection:
        assert len(tokens_of(connection, "mei")) == LIVE_MAX


def test_a_program_that_asks_without_end_waits_and_others_do_not(office: Office) -> None:
    mei = office.browser("mei")
    token, other = make(mei), make(mei)
    assert {ask(office, token, "/api/v1/openapi.json").status for _ in range(ASKED_A_MINUTE)} == {200}
    late = ask(office, token)
    assert (late.status, late.headers["retry-after"]) == (429, "60")
    assert ask(office, other).status == 200
    office.clock.advance(60_000)
    assert ask(office, token).status == 200


def test_guessing_tokens_is_slow(office: Office) -> None:
    assert [ask(office, "x").status for _ in range(REFUSED_A_MINUTE + 1)] == [401] * REFUSED_A_MINUTE + [429]


def test_a_board_without_people_asks_for_no_token(tmp_path: Path) -> None:
    from dashboards.board.door import Access

    with an_office(tmp_path, access=Access(secret="a secret of the tests, long enough for them")) as office:
        assert ask(office, "x").status == 200


def test_a_token_in_a_line_of_the_log_is_masked(office: Office) -> None:
    token, out = make(office.browser("mei")), io.StringIO()
    set_up_logs(stream=out, format="json")
    logger("t").warning("asked", said=f"Authorization: Bearer {token}")
    assert token.split("_", 2)[2] not in out.getvalue()
    assert token[:17] in out.getvalue()


def test_the_description_says_how_to_show_it(office: Office) -> None:
    described = ask(office, make(office.browser("rob")), "/api/v1/openapi.json").json()
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert described["security"] == [{"token": []}, {}]
    assert {"401", "429"} <= described["paths"][ASKED]["get"]["responses"].keys()
