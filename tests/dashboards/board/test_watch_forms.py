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


def save_table(browser: Browser, table: str, **form: str) -> Answer:
    """Look at what a table would change, and save it."""
    shown = browser.post("/watchlist/companies", {"table": table} | form)
    assert shown.status == 200, shown.text
    return browser.post("/watchlist/companies", {"table": table, "seen": seen(shown.text)} | form)


def seen(page: str) -> str:
    return page.split('name="seen" value="')[1].split('"')[0] if 'name="seen"' in page else "nothing"


def follow(browser: Browser, answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return unescape(browser.get(answer.headers["location"]).text)


def test_a_search_is_saved_from_its_page_a_minute_ahead_and_the_watchlist_says_so(office: Office) -> None:
    mei = office.browser("mei")
    assert "/watchlist/try?q=headline" in mei.get("/search?q=headline").text
    page = mei.get("/watchlist/try?q=headline&name=queues").text
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
    said = follow(mei, save_table(mei, TABLE))
    assert "taken 1, not taken 2" in said
    assert said.index("line 3: company 'Nobody'") < said.index("line 4: weight 'many'")
    assert watched(office)[0].companies == [WatchedCompany(company="LinlanBank", weight=0.08, owner="Moss")]
    assert [what for _, what, _ in audited(office)] == ["companies watched", "line not taken", "line not taken"]


def test_of_very_many_bad_lines_the_first_are_named_and_the_others_counted(office: Office) -> None:
    mei = office.browser("mei")
    lines = "\n".join(f"Nobody{number},1,x" for number in range(REFUSED_SHOWN + 5))
    shown = unescape(mei.post("/watchlist/companies", {"table": f"company,weight,owner\n{lines}"}).text)
    assert ("line 26: company" in shown, "Nothing would change" in shown) == (True, True)
    said = follow(mei, save_table(mei, f"company,weight,owner\nLinlanBank,1,x\n{lines}"))
    assert "line 22: company" in said
    assert "line 23: company" not in said
    assert said.index("line 22: company") < said.index("5 more lines like these")


def test_a_table_without_its_columns_or_without_end_is_refused_whole(office: Office) -> None:
    mei = office.browser("mei")
    answer = mei.post("/watchlist/companies", {"table": "name;weight"})
    assert (answer.status, "has no column 'company'" in unescape(answer.text)) == (400, True)
    assert mei.post("/watchlist/companies", {"table": "x" * TABLE_BYTES_MAX}).status == 413
    assert (watched(office), audited(office)) == ((NOTHING, []), [])


def test_what_is_watched_is_removed_by_its_button_and_what_is_not_is_refused(office: Office) -> None:
    mei = office.browser("mei")
    save_table(mei, TABLE)
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


# --- what would change, before it does ---------------------------------------------------------------------------------------------
def near(name: str) -> list[str]:
    return [one for one in KNOWN if one[:3].casefold() == name[:3].casefold()]


def test_a_table_is_first_shown_as_what_would_change_with_the_nearest_names_and_nothing_is_saved(tmp_path: Path) -> None:
    with an_office(tmp_path, run=LIVE_RUN, companies=ids_of, near=near) as office:
        mei = office.browser("mei")
        save_table(mei, "company,weight,owner\nLinlanBank,0.08,Moss\n")
        before = watched(office)
        page = unescape(
            mei.post("/watchlist/companies", {"table": "company,weight,owner\nLinlanBank,0.1,Moss\nHarbourTrust,2,\nLinlam,1,\n"}).text
        )
        assert "Added 1, changed 1, removed 0, as before 0, lines not taken 1." in page
        assert "line 4: company 'Linlam': the catalogue does not know it, did you mean 'LinlanBank'?" in page
        assert "0.08 → 0.1" in page
        assert ("<bdi>Linlan Bank</bdi>" in page, "<bdi>Harbour Trust</bdi>" in page) == (True, True)
        assert watched(office) == before


def test_a_table_may_be_the_whole_list_and_then_who_is_not_in_it_goes(office: Office) -> None:
    mei = office.browser("mei")
    save_table(mei, "company,weight,owner\nLinlanBank,0.08,Moss\n")
    mei.post("/watchlist/save", {"name": "queues", "query": "queue"})
    table = "company,weight,owner\nHarbourTrust,2,\n"
    page = mei.post("/watchlist/companies", {"table": table, "only": "1"}).text
    assert "Added 1, changed 0, removed 1" in page
    office.clock.advance(1_000)
    assert "and nobody else is watched" in follow(mei, save_table(mei, table, only="1"))
    watches, _ = watched(office)
    assert [one.company for one in watches.companies] == ["HarbourTrust"]
    assert list(watches.queries) == ["queues"], "searches are no companies"


def test_what_was_not_shown_or_was_shown_against_another_list_is_not_saved(office: Office) -> None:
    mei, ada = office.browser("mei"), office.browser("ada")
    table = "company,weight,owner\nLinlanBank,1,\n"
    shown = seen(mei.post("/watchlist/companies", {"table": table}).text)
    assert mei.post("/watchlist/companies", {"table": table.replace("1", "2"), "seen": shown}).status == 400
    assert mei.post("/watchlist/companies", {"table": table, "only": "1", "seen": shown}).status == 400
    save_table(ada, "company,weight,owner\nHarbourTrust,1,\n")
    refused = mei.post("/watchlist/companies", {"table": table, "seen": shown})
    assert (refused.status, "somebody has changed it since this was shown" in refused.text) == (400, True)
    assert [one.company for one in watched(office)[0].companies] == ["HarbourTrust"]


def test_the_list_is_taken_as_csv_runs_no_formula_and_comes_back_the_same(office: Office) -> None:
    mei = office.browser("mei")
    save_table(mei, 'company,weight,owner\nLinlanBank,0.123456789,"=HYPERLINK(""x"")"\nHarbourTrust,2,\n')
    before, _ = watched(office)
    table = mei.get("/watchlist.csv").body.decode()
    assert table.splitlines() == ["company,weight,owner", "HarbourTrust,2.0,", 'LinlanBank,0.123456789,"\'=HYPERLINK(""x"")"']
    assert "Nothing would change." in mei.post("/watchlist/companies", {"table": table, "only": "1"}).text
    assert watched(office)[0] == before


# --- a search, before it is saved -----------------------------------------------------------------------------------------------------
def test_a_search_says_how_many_documents_of_the_last_days_it_would_have_found_with_examples(office: Office) -> None:
    mei = office.browser("mei")
    page = unescape(mei.get("/watchlist/try?q=headline&name=queues").text)
    first = mei.get("/api/v1/documents?q=headline&limit=500").json()
    number = 500 + len(mei.get(f"/api/v1/documents?q=headline&limit=500&after={first['next']}").json()["rows"])
    assert f"Documents that it would have found: {number}, {number / 30:.1f} a day." in page
    assert page.count('<p class="title">') == 10
    mei.post("/watchlist/save", {"name": "queues", "query": "queue"})
    assert "saving replaces it: <code>queue</code>" in mei.get("/watchlist/try?q=headline&name=queues").text
    assert "Documents that it would have found: 0, 0.00 a day." in mei.get("/watchlist/try?q=nowhere").text


@pytest.mark.parametrize("query", ["q=(headline", "q=from:2026", "q=headline&name=a%20name"])
def test_a_search_that_could_not_be_saved_is_refused_where_it_is_tried(office: Office, query: str) -> None:
    page = office.browser("mei").get(f"/watchlist/try?{query}").text
    assert 'role="alert"' in page
    assert 'action="/watchlist/save"' not in page
