"""The first line of every page: can I trust this screen? Of every route there is, forms, what came of them and refusals included."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from starlette.applications import Starlette

from dashboards.board.app import FORMS, PAGES, PARTS, create_app
from dashboards.board.door import Door
from groundswell.errors import DependencyError
from groundswell.names import LIVE_RUN
from groundswell.store.accounts import person_named
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from tests.dashboards.board.board_store import Answer, served
from tests.dashboards.board.people_store import ACCESS, Office
from tests.dashboards.board.rules_store import NOW_MS, a_rules_office

LINE: Final = re.compile(r'<section class="trust (?:sound|doubt)" id="trust"[^>]*>(.*?)</section>', re.DOTALL)
ASKS_FOR: Final = {"/series": "?key=entity:farrowby", "/why-not": "?series=entity:farrowby&at=2026-10-01T00:00Z"}
NO_PAGE: Final = ("/live", "/audit.csv", "/watchlist.csv", "/healthz")
FILLED: Final[dict[str, dict[str, str]]] = {
    "/me/token": {"name": "notebook", "role": "reader", "days": "30"},
    "/people/add": {"name": "new", "role": "reader"},
    "/watchlist/companies": {"table": "company,weight\nSVB,2\n"},
    "/rules/rehearse": {"text": "nothing = 1", "days": "7"},
}
"""What makes a form answer with a page of its own, beside what every one answers to an empty form."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with a_rules_office(tmp_path_factory.mktemp("line")) as made:
        yield made


def routes() -> list[tuple[str, str]]:
    """(method, path) of everything that is listed as a page, a form or a part."""
    listed = [("GET", path) for path in PAGES] + [("POST", path) for path in FORMS]
    parts = [route for part in PARTS for route in part.routes()]
    listed += [("POST" if "POST" in (route.methods or ()) else "GET", route.path) for route in parts]
    return [(method, path) for method, path in listed if path not in NO_PAGE and not path.startswith("/api/")]


def address(office: Office, path: str) -> str:
    """A path with what stands for its parameters."""
    with office.store.read() as connection:
        alert, ada = alerts_of(connection, LIVE_RUN)[0].id, person_named(connection, "ada")
    assert ada is not None
    given = {
        "/l/": office.links.make("ada", alert, "acknowledge").rpartition("/")[2],
        "/u/": office.links.make_stop("mail:ada").rpartition("/")[2],
        "/welcome/": Door(ACCESS, now_ms=office.clock.now_ms).welcome(ada),
    }
    token = next((text for begin, text in given.items() if path.startswith(begin)), "")
    return path.format(id=alert, token=token, version="nothing", name="nothing") + ASKS_FOR.get(path, "")


def line_of(answer: Answer) -> str:
    """What the first line of a page says; empty where there is none."""
    found = LINE.search(answer.text)
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split()) if found else ""


def is_page(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


def test_every_page_form_and_answer_to_a_form_begins_with_it(office: Office) -> None:
    browser, pages, without = office.browser("ada"), 0, []
    filled: dict[str, int] = {}
    for method, path in routes():
        sent: list[dict[str, str]] = [{}] + ([FILLED[path]] if path in FILLED else []) if method == "POST" else [{}]
        for form in sent if path != "/logout" else ():
            browser.get("/alerts")
            asked = address(office, path)
            answer = browser.get(asked) if method == "GET" else browser.post(asked, form)
            assert answer.status < 500, (path, answer.text)
            filled |= {path: answer.status} if form else {}
            if is_page(answer):
                pages += 1
                if "Data until 20" not in line_of(answer) or "run live" not in line_of(answer):
                    without.append((method, path, answer.status, sorted(form)))
    assert without == []
    assert pages > 40
    assert filled == {"/me/token": 200, "/people/add": 200, "/watchlist/companies": 200, "/rules/rehearse": 400}


def test_what_is_not_there_or_not_allowed_says_it_too(office: Office) -> None:
    for name, path, status in (("rob", "/people", 403), ("rob", "/alerts/nothing", 404), ("rob", "/nowhere", 404), ("rob", "/series", 400)):
        answer = office.browser(name).get(path)
        assert answer.status == status
        assert "Data until 20" in line_of(answer), path


def test_a_form_stays_as_it_is_under_it(office: Office) -> None:
    browser = office.browser("ada")
    assert "data-still" in browser.get("/rules/edit").text
    assert 'http-equiv="refresh"' not in browser.get("/rules/edit").text
    assert "data-still" not in browser.get("/rules").text


def test_nobody_is_told_anything_of_the_run_before_the_door_knows_them(office: Office) -> None:
    for path in ("/login", "/l/nonsense", "/u/nonsense", "/welcome/nonsense"):
        assert line_of(office.browser().get(path)) == "", path
    refused = office.browser().post("/login", {"name": "ada", "password": "wrong"})
    assert (refused.status in (401, 403), line_of(refused)) == (True, "")
    assert "Data until 20" in line_of(office.browser().get(address(office, "/l/{token}")))


def test_where_nothing_can_be_said_it_says_that_instead(office: Office) -> None:
    class Away(Store):
        def read(self, *_: Any, **__: Any) -> Any:
            reason = "store: does not answer; look whether it runs"
            raise DependencyError(reason)

    store = Away(office.store.url)
    app: Starlette = create_app(store, run=LIVE_RUN, log=None, now_ms=lambda: NOW_MS)
    with served(app) as board:
        answer = board.get("/")
    store.close()
    assert answer.status == 503
    assert line_of(answer) == "Nothing can be said of the data: store: does not answer; look whether it runs"
