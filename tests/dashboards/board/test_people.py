"""What people do on the board: forms of the dossier and of the alerts, the inbox, links, and what of it is recorded where."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from sqlalchemy import select

from groundswell.names import DAY_MS, HOUR_MS, LIVE_RUN, TICK_MS
from groundswell.records import Alert
from groundswell.store import schema as t
from groundswell.store.accounts import change_person, reader_named
from groundswell.store.actions import actions_of, corrections_of, misses_of, verdicts_of
from groundswell.store.audit import entries
from groundswell.store.store import Store
from tests.alerts.alert_factory import a_quote
from tests.dashboards.board.board_store import BANK, EN, END_MS, HOSTILE, an_opened_alert
from tests.dashboards.board.people_store import ACCESS, Browser, Office, an_office

DOCUMENT = f"{433:016x}"
ALERT = an_opened_alert(evidence=[a_quote(document_id=DOCUMENT, story="s1")])
PAGE = f"/alerts/{ALERT.id}"
OTHER = an_opened_alert(
    id="b1b2c3d4e5f60718", incident="b0b0b0b0b0b0b0b0", series=EN, all_series=[EN], severity="high", opened_ms=END_MS - HOUR_MS, evidence=[]
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path, alerts=[ALERT, OTHER]) as made:
        yield made


def rows(office: Office, table: Any) -> list[dict[str, Any]]:
    with office.store.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def follow(browser: Browser, path: str, form: dict[str, str], *, page: str = PAGE) -> str:
    """Send a form of a page as a browser does, and look at where it leads."""
    browser.get(page)
    answer = browser.post(path, form)
    assert answer.status == 303, answer.text
    place = urlsplit(answer.headers["location"])
    return " ".join(browser.get(f"{place.path}?{place.query}").text.split())


# --- the dossier --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("form", "stored", "said"),
    [
        ({"what": "acknowledge"}, {"what": "acknowledge"}, "acknowledge"),
        ({"what": "assign", "assignee": "ada"}, {"what": "assign", "assignee": "ada"}, "given to <bdi>ada</bdi>"),
        ({"what": "snooze", "until": "1h"}, {"what": "snooze", "until_ms": END_MS + HOUR_MS}, "snoozed until <time"),
        ({"what": "snooze", "until": "update"}, {"what": "snooze", "until_ms": None}, "snoozed until the next update"),
        ({"what": "mute_story", "story": "s1"}, {"what": "mute_story", "story": "s1"}, "muted"),
        ({"what": "comment", "note": "<b>call</b>"}, {"what": "comment", "note": "<b>call</b>"}, "&lt;b&gt;call&lt;/b&gt;"),
        ({"what": "resolve", "note": "paid"}, {"what": "resolve", "note": "paid"}, '<b class="state resolved">resolved</b>'),
    ],
)  # fmt: skip
def test_an_action_is_recorded_once_with_who_and_when_and_the_page_says_so(
    office: Office, form: dict[str, str], stored: dict[str, Any], said: str
) -> None:
    page = follow(office.browser("mei"), f"{PAGE}/act", form)
    (row,) = rows(office, t.actions)
    assert {**row, **stored, "incident": ALERT.incident, "alert": ALERT.id, "at_ms": END_MS, "who": "mei", "run": "r"} == row
    assert 'role="status">Recorded for <bdi>mei</bdi> at <time datetime="2026-03-10T12:00:00Z">' in page
    assert said in page
    with office.store.read() as connection:
        log = [(e.who, e.what, e.place, e.detail) for e in entries(connection)]
    assert ("mei", form["what"], "127.0.0.1", f"alert {ALERT.id}") in log


def test_an_incident_goes_through_its_life_and_each_page_offers_what_comes_next(office: Office) -> None:
    mei = office.browser("mei")
    offered = []
    for what in ("acknowledge", "resolve", "reopen"):
        page = mei.get(PAGE).text
        offered.append([word for word in ("acknowledge", "resolve", "reopen") if f'name="what" value="{word}"' in page])
        follow(mei, f"{PAGE}/act", {"what": what})
        office.clock.advance(1_000)
    assert offered == [["acknowledge", "resolve"], ["resolve"], ["reopen"]]
    assert '<b class="state reopened">' in mei.get(PAGE).text


@pytest.mark.parametrize("word", ["true", "false", "old_news", "wrong_company", "wrong_topic", "duplicate"])
def test_a_verdict_is_recorded_and_shown_in_words(office: Office, word: str) -> None:
    page = follow(office.browser("mei"), f"{PAGE}/verdict", {"word": word, "note": "as filed"})
    with office.store.read() as connection:
        (said,) = verdicts_of(connection, "r")
    assert (said.alert, said.who, said.word, said.note, said.at_ms) == (ALERT.id, "mei", word, "as filed", END_MS)
    assert f"Verdict: {word.replace('_', ' ')}" in page


@pytest.mark.parametrize("value", ["sentiment:neutral", "topic:management", "company:LinlanBank"])
def test_a_correction_is_of_one_document_of_the_evidence(office: Office, value: str) -> None:
    page = follow(office.browser("mei"), f"{PAGE}/correct", {"document": DOCUMENT, "is": value})
    with office.store.read() as connection:
        (said,) = corrections_of(connection)
    assert (said.document_id, f"{said.what}:{said.value}", said.who) == (DOCUMENT, value, "mei")
    assert "Correction:" in page


@pytest.mark.parametrize(
    ("path", "form", "status", "words"),
    [
        ("/act", {"what": "explode"}, 400, "it is one of acknowledge"),
        ("/act", {"what": "comment", "note": "  "}, 400, "its note is empty"),
        ("/act", {"what": "assign", "assignee": "stranger"}, 400, "has no account"),
        ("/act", {"what": "acknowledge", "note": "x" * 2_001}, 400, "a note at most"),
        ("/verdict", {"word": "perhaps"}, 400, "it is one of true"),
        ("/correct", {"document": "ffff", "is": "sentiment:neutral"}, 400, "none of this alert"),
        ("/correct", {"document": DOCUMENT, "is": "sentiment:angry"}, 400, "one of"),
        ("/correct", {"document": DOCUMENT, "is": "mood:good"}, 400, "it is one of sentiment"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_the_rule_and_leaves_nothing(
    office: Office, path: str, form: dict[str, str], status: int, words: str
) -> None:
    mei = office.browser("mei")
    mei.get(PAGE)
    answer = mei.post(PAGE + path, form)
    assert (answer.status, words in answer.text) == (status, True), answer.text
    tables = (t.actions, t.verdicts, t.corrections)
    assert [rows(office, table) for table in tables] == [[], [], []]
    with office.store.read() as connection:
        assert "signed in" in {e.what for e in entries(connection)} <= {"signed in"}


def test_a_message_that_somebody_else_crafted_into_an_address_is_not_shown(office: Office) -> None:
    follow(office.browser("ada"), f"{PAGE}/act", {"what": "acknowledge"})
    mei = office.browser("mei")
    for done in (END_MS, END_MS + 1, "x", "<b>"):
        assert "Recorded for" not in mei.get(f"{PAGE}?done={done}").text


def test_a_form_keeps_what_is_being_typed_while_the_page_looks_for_news(office: Office) -> None:
    page = office.browser("mei").get(PAGE).text
    live = [part.split("</section>")[0] for part in page.split("data-live")[1:]]
    assert live
    assert all("<form" not in part for part in live[1:]), "what is swapped in holds no form"
    assert '<noscript><meta http-equiv="refresh"' not in page
    assert '<noscript><meta http-equiv="refresh"' in office.browser("rob").get(PAGE).text


# --- what was missed ------------------------------------------------------------------------------------------------------------
def test_a_chart_leads_to_the_form_for_an_alert_that_was_expected_there(office: Office) -> None:
    mei = office.browser("mei")
    board = mei.get("/").text
    link = next(part.split('"')[0] for part in board.split('class="expected" href="')[1:] if "LinlanBank" in part)
    form = mei.get(link.replace("&amp;", "&").partition("#")[0]).text
    assert f'name="name" required maxlength="200" size="28" value="{BANK}"' in form
    assert 'value="2026-03-1' in form
    assert 'class="expected"' not in office.browser("rob").get("/").text


def test_a_miss_is_recorded_with_its_moment_in_the_readers_zone_and_listed(office: Office) -> None:
    mei = office.browser("mei")
    mei.get("/me")
    mei.post("/me/save", {"language": "en", "zone": "Asia/Shanghai"})
    page = follow(mei, "/missed", {"name": "Linlan Bank", "at": "2026-03-10T18:00", "note": "the notice of ten"}, page="/alerts")
    with office.store.read() as connection:
        (said,) = misses_of(connection, "r")
    assert (said.name, said.moment_ms, said.who, said.note) == ("Linlan Bank", END_MS - 2 * HOUR_MS, "mei", "the notice of ten")
    assert "Recorded for <bdi>mei</bdi>" in page
    assert "the notice of ten" in page
    assert mei.post("/missed", {"name": "Linlan Bank", "at": "yesterday"}).status == 400
    assert mei.post("/missed", {"name": " ", "at": "2026-03-10"}).status == 400


# --- the inbox -----------------------------------------------------------------------------------------------------------------
def listed(page: str) -> list[str]:
    return [part.split('"')[0] for part in page.split("<tbody>")[-1].split('href="/alerts/')[1:]]


def test_the_inbox_has_what_is_mine_first_then_the_graver(office: Office) -> None:
    mei = office.browser("mei")
    assert listed(mei.get("/inbox").text) == [OTHER.id, ALERT.id]
    mei.get("/me")
    assert mei.post("/me/save", {"language": "en", "zone": "", f"follow {BANK}": "1", "others": "SVB\nflag:bank_run"}).status == 303
    with office.store.read() as connection:
        assert reader_named(connection, "mei").companies == (BANK, "entity:SVB", "flag:bank_run")
    assert listed(mei.get("/inbox").text) == [ALERT.id, OTHER.id]
    assert listed(mei.get("/inbox?mine=1").text) == [ALERT.id]
    follow(office.browser("ada"), f"/alerts/{OTHER.id}/act", {"what": "assign", "assignee": "rob"}, page=f"/alerts/{OTHER.id}")
    rob = office.browser("rob")
    assert listed(rob.get("/inbox?mine=1").text) == [OTHER.id]
    assert "<bdi>rob</bdi>" in rob.get("/inbox").text
    twin = mei.get("/api/inbox.json?mine=1").json()["incidents"]
    assert [(one["alert"], one["state"], one["mine"]) for one in twin] == [(ALERT.id, "open", True)]


@pytest.mark.parametrize(("run", "age"), [("r", "1 h"), (LIVE_RUN, "150 d 1 h")])
def test_an_incident_of_an_archive_is_as_old_as_it_was_at_the_end_of_the_data(tmp_path: Path, run: str, age: str) -> None:
    with an_office(tmp_path, alerts=[OTHER], run=run) as office:
        office.clock.advance(150 * DAY_MS)
        assert f'<td class="number">{age}</td>' in office.browser("mei").get("/inbox").text


def test_the_inbox_can_be_asked_for_a_state(office: Office) -> None:
    mei = office.browser("mei")
    follow(mei, f"{PAGE}/act", {"what": "resolve"})
    assert listed(mei.get("/inbox").text) == [OTHER.id]
    assert listed(mei.get("/inbox?state=resolved").text) == [ALERT.id]
    assert len(listed(mei.get("/inbox?state=all").text)) == 2
    refused = mei.get("/inbox?state=sleepy")
    assert (refused.status, "must be one of waiting, open" in refused.text) == (400, True)


def test_what_happened_since_the_last_visit_is_marked_and_looking_for_news_is_no_visit(office: Office) -> None:
    mei = office.browser("mei")
    assert "first visit" in mei.get("/inbox").text
    office.clock.advance(2 * HOUR_MS)
    mei.get("/inbox", Sec_Fetch_Mode="cors")
    mei.get("/api/inbox.json")
    follow(office.browser("ada"), f"{PAGE}/act", {"what": "comment", "note": "look"})
    page = mei.get("/inbox").text
    assert page.count('class="dot"') == 1
    assert '<time datetime="2026-03-10T12:00:00Z">' in page
    office.clock.advance(60_000)
    assert mei.get("/inbox").text.count('class="dot"') == 1, "still the same visit"
    office.clock.advance(2 * HOUR_MS)
    assert mei.get("/inbox").text.count('class="dot"') == 0


def test_an_incident_that_went_quiet_by_the_rules_in_force_resolves_itself(tmp_path: Path) -> None:
    def rules(store: Store) -> None:
        with store.write() as connection:
            body = msgspec.json.encode({"desk": {"incident_quiet_s": 3_600}})
            store.insert(connection, t.versions, [{"kind": "rules", "hash": "h", "content": body}])
            store.insert(connection, t.in_force, [{"run": "r", "kind": "rules", "effective_ms": 0, "hash": "h"}])
            last = (END_MS - 2 * HOUR_MS) // TICK_MS
            store.insert(
                connection,
                t.incidents,
                [{"run": "r", "incident": ALERT.incident, "last_tick": last, "body": b'{"opened_tick": %d}' % last}],
            )

    with an_office(tmp_path, alerts=[ALERT, OTHER], then=rules) as office:
        mei = office.browser("mei")
        assert listed(mei.get("/inbox?state=resolved").text) == [ALERT.id]
        assert "by itself, because nothing more came" in mei.get(PAGE).text


def test_the_keyboard_and_the_states_are_shown_and_hostile_titles_are_text(tmp_path: Path) -> None:
    hostile: Alert = an_opened_alert(title=HOSTILE)
    with an_office(tmp_path, alerts=[hostile]) as office:
        page = office.browser("mei").get("/inbox").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; [U+202E]gnp.exe[U+202C] &amp; more" in page
    assert "<kbd>j</kbd>" in page
    assert "data-keys" in page


# --- links from mail and Slack ------------------------------------------------------------------------------------------------------
def path_of(office: Office, reader: str, act: str) -> str:
    return urlsplit(office.links.make(reader, ALERT.id, act)).path


def test_opening_a_link_records_nothing_however_often_and_whoever_opens_it(office: Office) -> None:
    path = path_of(office, "analyst2@bank.example", "acknowledge")
    for method in ("GET", "HEAD", "GET", "OPTIONS", "PUT", "DELETE"):
        office.board.ask(method, path, headers={"User-Agent": "MailGateway/1.0"})
    page = " ".join(office.board.get(path).text.split())
    assert "Nothing has been recorded yet. The button records this for <bdi>analyst2@bank.example</bdi>:" in page
    assert '<button class="main">acknowledge</button>' in page
    assert office.board.get(path).headers["cache-control"] == "no-store"
    assert rows(office, t.actions) == rows(office, t.verdicts) == []


def test_the_button_of_a_link_records_it_for_its_reader_without_signing_in(office: Office) -> None:
    path, browser = path_of(office, "analyst2@bank.example", "acknowledge"), office.browser()
    page = follow(browser, path, {}, page=path)
    with office.store.read() as connection:
        (said,) = actions_of(connection, "r")
        assert (said.who, said.what, said.incident) == ("analyst2@bank.example", "acknowledge", ALERT.incident)
        (entry, *_) = entries(connection)
    assert (entry.who, entry.what, entry.detail) == ("analyst2@bank.example", "acknowledge", f"alert {ALERT.id}, by a link")
    assert "Recorded for <bdi>analyst2@bank.example</bdi>" in page
    assert "<button class" not in page.split("<main")[1]


@pytest.mark.parametrize(("act", "form", "stored"), [("verdict:old_news", {}, "old_news"), ("verdict", {"word": "false"}, "false")])
def test_a_link_to_a_verdict_says_it_or_lets_its_reader_choose(office: Office, act: str, form: dict[str, str], stored: str) -> None:
    path = path_of(office, "mei", act)
    follow(office.browser(), path, form, page=path)
    with office.store.read() as connection:
        assert [(said.word, said.who) for said in verdicts_of(connection, "r")] == [(stored, "mei")]


def test_a_link_that_snoozes_says_until_when(office: Office) -> None:
    path = path_of(office, "mei", "snooze:1h")
    assert "snooze for an hour" in " ".join(office.board.get(path).text.split())
    follow(office.browser(), path, {}, page=path)
    assert [row["until_ms"] for row in rows(office, t.actions)] == [END_MS + HOUR_MS]


def test_a_link_that_expired_was_changed_or_says_something_else_records_nothing(office: Office) -> None:
    good = path_of(office, "mei", "acknowledge")
    browser = office.browser()
    browser.get(good)
    for path, status in ((good[:-2], 403), (path_of(office, "mei", "assign:me"), 403), ("/l/x", 403)):
        assert (browser.get(path).status, browser.post(path, {}).status) == (status, status)
    office.clock.advance(3_700_000)
    assert (browser.get(good).status, browser.post(good, {}).status) == (410, 410)
    assert rows(office, t.actions) == []


def test_a_link_of_somebody_who_may_not_act_any_more_records_nothing(office: Office) -> None:
    with office.store.write() as connection:
        change_person(connection, "ada", now_ms=2, disabled=True)
    for name in ("ada", "rob", "Rob"):
        browser = office.browser()
        browser.get("/login")
        assert browser.get(path_of(office, name, "acknowledge")).status == 403
        assert browser.post(path_of(office, name, "acknowledge"), {}).status == 403
    assert rows(office, t.actions) == []


def test_a_board_without_accounts_still_takes_the_links_that_it_sent(tmp_path: Path) -> None:
    with an_office(tmp_path, alerts=[ALERT], access=replace(ACCESS, accounts=False)) as office:
        path = path_of(office, "desk@bank.example", "acknowledge")
        follow(office.browser(), path, {}, page=path)
        assert [row["who"] for row in rows(office, t.actions)] == ["desk@bank.example"]


# --- readers -----------------------------------------------------------------------------------------------------------------------
def test_the_settings_page_shows_what_was_chosen_and_what_the_log_has_of_oneself_only(office: Office) -> None:
    office.browser("ada")
    mei = office.browser("mei")
    page = follow(mei, "/me/save", {"language": "en", "zone": "Asia/Shanghai", f"follow {BANK}": "1", "others": ""}, page="/me")
    assert "Saved." in page
    assert 'name="zone" value="Asia/Shanghai"' in page
    assert f'name="follow {BANK}" value="1" checked' in page
    assert page.count("<td>signed in</td>") == 1
    assert mei.post("/me/save", {"language": "en", "others": "\n".join(f"c{n}" for n in range(201))}).status == 400
    assert office.board.get("/me").status == 303


# --- choices without an account ------------------------------------------------------------------------------------------------------
def test_without_accounts_language_zone_and_colours_are_kept_in_the_browser_and_the_page_says_how_accounts_are_made(tmp_path: Path) -> None:
    with an_office(tmp_path, access=replace(ACCESS, accounts=False)) as office:
        browser = office.browser()
        page = browser.get("/me").text
        assert "groundswell people add NAME" in page
        assert "/me/token" not in page
        assert browser.post("/me/save", {"language": "zh", "zone": "Asia/Shanghai", "theme": "dark"}).status == 303
        page = browser.get("/sources").text
        assert '<html lang="zh-Hans" data-theme="dark">' in page
        assert "UTC+08:00" in page
        assert '<html lang="en">' in office.browser().get("/sources").text
        for form in ({"theme": "pink"}, {"zone": "Mars/Olympus"}, {"language": "xx"}):
            assert browser.post("/me/save", {"language": "zh", "zone": "", "theme": ""} | form).status == 400
        assert browser.post("/me/save", {"language": "en", "zone": "", "theme": ""}).status == 303
        assert '<html lang="en">' in browser.get("/sources").text
        browser.cookies |= {"groundswell_zone": "../../etc", "groundswell_theme": "<b>"}
        assert browser.get("/sources").status == 200


def test_colours_belong_to_the_browser_also_of_somebody_with_an_account(office: Office) -> None:
    here, there = office.browser("mei"), office.browser("mei")
    here.get("/me")
    assert here.post("/me/save", {"language": "en", "zone": "", "theme": "dark"}).status == 303
    assert 'data-theme="dark"' in here.get("/inbox").text
    assert "data-theme" not in there.get("/inbox").text
