"""The watchlist changed on the board: what is recorded, what is refused, and who may."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from dashboards.board.watch_forms import REFUSED_SHOWN, TABLE_BYTES_MAX
from groundswell.names import LIVE_RUN
from groundswell.store.audit import entries
from groundswell.store.versions import AHEAD_MS
from groundswell.store.watches import newest_watches
from groundswell.watches import NOTHING, WatchedCompany, Watches
from tests.dashboards.board.board_store import END_MS, Answer
from tests.dashboards.board.people_store import Browser, Office, an_office

KNOWN = ("LinlanBank", "HarbourTrust")
TABLE = "company,weight,owner\r\nLinlanBank,0.08,Moss\r\nNobody,0.1,Moss\r\nHarbourTrust,many,\r\n"


def ids_of(name: str) -> list[str]:
    return [one for one in KNOWN if one.casefold() == name.replace(" ", "").casefold()]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path, run=LIVE_RUN, companies=ids_of) as made:
        yield made


def watched(office: Office) -> tuple[Watches, list[int]]:
    with office.store.read() as connection:
        watches, rows = newest_watches(connection, LIVE_RUN)
    return watches, [row.effective_ms for row in rows]


def audited(office: Office) -> list[tuple[str, str, str]]:
    with office.store.read() as connection:
        return sorted((entry.who, entry.what, entry.detail) for entry in entries(connection) if "sign" not in entry.what)


def follow(browser: Browser, answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return unescape(browser.get(answer.headers["location"]).text)


def test_a_search_is_saved_from_its_page_a_minute_ahead_and_the_watchlist_says_so(office: Office) -> None:
    mei = office.browser("mei")
    page = mei.get("/search?q=headline").text
    assert 'action="/watchlist/save"' in page
    assert 'name="query" value="headline"' in page
    said = follow(mei, mei.post("/watchlist/save", {"name": "queues", "query": 'queue OR "bank run"'}))
    assert "Recorded for <bdi>mei</bdi>" in said
    assert "This list comes into force at" in said
    assert 'queue OR "bank run"' in said
    assert watched(office) == (NOTHING.saving("queues", 'queue OR "bank run"', ids_of=ids_of), [END_MS + AHEAD_MS])
    assert audited(office) == [("mei", "search saved", 'queues: queue OR "bank run"')]


def test_the_same_search_saved_twice_is_one_version_and_both_are_in_the_audit_log(office: Office) -> None:
    mei = office.browser("mei")
    for _ in range(2):
        mei.post("/watchlist/save", {"name": "queues", "query": "queue"})
    assert len(watched(office)[1]) == 1
    assert [detail for _, _, detail in audited(office)] == ["queues: queue", "queues: queue; all as before"]


def test_of_a_pasted_table_what_can_be_read_is_taken_and_every_other_line_is_named_with_its_reason(office: Office) -> None:
    mei = office.browser("mei")
    said = follow(mei, mei.post("/watchlist/companies", {"table": TABLE}))
    assert "taken 1, not taken 2" in said
    assert said.index("line 3: company 'Nobody'") < said.index("line 4: weight 'many'")
    assert watched(office)[0].companies == [WatchedCompany(company="LinlanBank", weight=0.08, owner="Moss")]
    assert [what for _, what, _ in audited(office)] == ["companies watched", "line not taken", "line not taken"]


def test_of_very_many_bad_lines_the_first_are_named_and_the_others_counted(office: Office) -> None:
    mei = office.browser("mei")
    lines = "\n".join(f"Nobody{number},1,x" for number in range(REFUSED_SHOWN + 5))
    said = follow(mei, mei.post("/watchlist/companies", {"table": f"company,weight,owner\n{lines}"}))
    assert "line 21: company" in said
    assert "line 22: company" not in said
    assert said.index("line 21: company") < said.index("5 more lines like these")
    assert watched(office) == (NOTHING, [])


def test_a_table_without_its_columns_or_without_end_is_refused_whole(office: Office) -> None:
    mei = office.browser("mei")
    answer = mei.post("/watchlist/companies", {"table": "name;weight"})
    assert (answer.status, "has no column 'company'" in unescape(answer.text)) == (400, True)
    assert mei.post("/watchlist/companies", {"table": "x" * TABLE_BYTES_MAX}).status == 413
    assert (watched(office), audited(office)) == ((NOTHING, []), [])


def test_what_is_watched_is_removed_by_its_button_and_what_is_not_is_refused(office: Office) -> None:
    mei = office.browser("mei")
    mei.post("/watchlist/companies", {"table": TABLE})
    mei.post("/watchlist/save", {"name": "queues", "query": "queue"})
    page = mei.get("/watchlist").text
    assert '<button form="end" name="name" value="LinlanBank"' in page
    assert '<button form="end" name="name" value="queues"' in page
    office.clock.advance(1_000)
    assert 'watched no longer · <span translate="no">LinlanBank' in follow(mei, mei.post("/watchlist/remove", {"name": "LinlanBank"}))
    assert watched(office)[0] == NOTHING.saving("queues", "queue", ids_of=ids_of)
    assert mei.post("/watchlist/remove", {"name": "LinlanBank"}).status == 400


@pytest.mark.parametrize(
    "form", [{"name": "a name", "query": "queue"}, {"name": "x", "query": "(queue"}, {"name": "x", "query": "from:2026"}]
)
def test_a_name_or_a_query_that_cannot_be_used_changes_nothing(office: Office, form: dict[str, str]) -> None:
    assert office.browser("mei").post("/watchlist/save", form).status == 400
    assert (watched(office), audited(office)) == ((NOTHING, []), [])


def test_a_reader_is_shown_no_form_and_may_send_none(office: Office) -> None:
    rob = office.browser("rob")
    for path in ("/watchlist", "/search?q=headline"):
        assert 'action="/watchlist/' not in rob.get(path).text
    assert "groundswell watch save NAME" in rob.get("/search?q=headline").text
    assert rob.post("/watchlist/save", {"name": "x", "query": "queue"}).status == 403
    assert watched(office) == (NOTHING, [])


def test_somebody_elses_message_is_not_shown(office: Office) -> None:
    mei, ada = office.browser("mei"), office.browser("ada")
    place = mei.post("/watchlist/save", {"name": "queues", "query": "queue"}).headers["location"]
    assert "Recorded for" not in ada.get(place).text
    assert "Recorded for" not in mei.get("/watchlist?done=9" + "9" * 30).text


def test_only_what_the_live_run_watches_is_changed(tmp_path: Path) -> None:
    with an_office(tmp_path) as office:
        mei = office.browser("mei")
        assert 'action="/watchlist/' not in mei.get("/watchlist").text
        answer = mei.post("/watchlist/save", {"name": "x", "query": "queue"})
        assert (answer.status, "only what the live run watches" in answer.text) == (400, True)


def test_an_open_watchlist_is_another_page_as_soon_as_the_list_is_changed(office: Office) -> None:
    mei, ada = office.browser("mei"), office.browser("ada")
    tag = ada.get("/watchlist").headers["etag"]
    assert ada.get("/watchlist", If_None_Match=tag).status == 304
    mei.post("/watchlist/save", {"name": "queues", "query": "queue"})
    assert "queues" in ada.get("/watchlist", If_None_Match=tag).text
