import json
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from dashboards.board.app import create_app
from dashboards.board.shell import POLICY
from groundswell.codec import canonical
from groundswell.errors import SettingsError
from groundswell.names import HOUR_MS
from groundswell.store import schema as t
from groundswell.store.store import Store
from tests.alerts.alert_factory import a_quote
from tests.dashboards.board.board_store import BANK, EN, END_MS, HOSTILE, Served, a_board, an_opened_alert, close, fill, served

PAGES = ("/", "/board/2", "/alerts", "/alerts/a1b2c3d4e5f60718", "/sources")
MESSAGE = SimpleNamespace(
    subject="[HIGH] Linlan Bank",
    text="14 stories where 1.7 were expected\n",
    blocks=({"type": "header", "text": {"type": "plain_text", "text": "Linlan <Bank>"}},),
)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    hostile = a_quote(title=HOSTILE, quote=HOSTILE, url="javascript:alert(2)", source="<b>Harbour</b>")
    alert = an_opened_alert(title=HOSTILE, evidence=[hostile, a_quote()])
    with a_board(tmp_path_factory.mktemp("board"), alerts=[alert], messages=lambda _alert: MESSAGE) as made:
        yield made


class Outline(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def values(self, tag: str, name: str) -> list[str]:
        return [value for found, attribute, value in self.attributes if (found, attribute) == (tag, name)]


# --- every page ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_with_whether_it_can_be_trusted(board: Served, path: str) -> None:
    page = " ".join(board.get(path).text.split())
    assert "Data until" in page
    assert "2026-03-10 12:00:00 UTC" in page
    assert "1 of 2 sources reporting" in page
    assert "blind: <bdi>Quay Forum</bdi> since" in page
    assert "balance 0: all 3,811 documents accounted for" in page
    assert 'run <b translate="no">r</b> (backfill)' in page
    assert page.index('id="trust"') < page.index("<main")


def test_a_sighting_counts_stories_and_has_no_share(tmp_path: Path) -> None:
    sighting = an_opened_alert(id="b1b2c3d4e5f60718", incident="b0b0b0b0b0b0b0b0", kind="sighting", series="flag:litigation:LINLAN")
    with a_board(tmp_path, alerts=[an_opened_alert(), sighting]) as board:
        assert "<dt>Negative share</dt>" in board.get(f"/alerts/{an_opened_alert().id}").text
        assert "<dt>Negative share</dt>" not in board.get(f"/alerts/{sighting.id}").text


def test_an_official_word_says_why_it_is_told_again_and_by_whom(tmp_path: Path) -> None:
    quote = a_quote(source="Harbour Authority", role="regulator", tier=1)
    fields = {"id": "b1b2c3d4e5f60718", "update": 1, "kind": "sighting", "series": "word:official:LINLAN", "news": "official"}
    word = an_opened_alert(**fields, evidence=[quote])
    woken = msgspec.structs.replace(word, quiet_from_ms=word.opened_ms - 3_600_000)
    for alert, reopened in ((word, False), (woken, True)):
        with a_board(tmp_path / str(reopened), alerts=[an_opened_alert(), alert]) as board:
            page = board.get(f"/alerts/{alert.id}").text
            assert "Told again because this is the first official word on it." in page
            assert "Harbour Authority</bdi></b>, regulator, tier 1" in page
            assert "<dt>Expected</dt>" not in page
            assert ("had gone quiet" in page) == reopened


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/static/board.css", "/api/board.json"])
def test_every_answer_forbids_scripts_styles_and_hosts_that_are_not_ours(board: Served, path: str) -> None:
    headers = board.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("path", PAGES)
def test_no_page_holds_an_inline_script_or_style_or_asks_another_host(board: Served, path: str) -> None:
    page = board.get(path).text
    outline = Outline(page)
    assert re.findall(r"<script\b[^>]*>", page) == ['<script src="/static/board.js" defer>']
    assert "style" not in outline.tags
    assert not [name for _, name, _ in outline.attributes if name == "style" or name.startswith("on")]
    assert not [
        value
        for tag in ("img", "script", "link")
        for name in ("src", "href")
        for value in outline.values(tag, name)
        if "//" in value and not value.startswith("data:")
    ]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_landmarks_headings_and_headed_tables(board: Served, path: str) -> None:
    outline = Outline(board.get(path).text)
    assert outline.tags.count("main") == outline.tags.count("nav") == outline.tags.count("h1") == 1
    assert set(outline.values("th", "scope")) <= {"col", "row", "colgroup"}
    assert outline.tags.count("th") == len(outline.values("th", "scope"))
    assert all(label for label in outline.values("svg", "aria-label"))
    assert len(outline.values("svg", "role")) == len(outline.values("svg", "aria-label"))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_links_to_its_json_twin(board: Served, path: str) -> None:
    found = re.search(r'<a href="([^"]+)">This page as JSON', board.get(path).text)
    assert found
    answer = board.get(found[1])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()


def test_only_requests_that_name_this_machine_are_answered(board: Served) -> None:
    assert board.get("/", Host="evil.example").status == 400
    assert board.get("/api/alerts.json", Host="evil.example:8350").status == 400
    assert board.get("/", Host="localhost:8350").status == 200


def test_the_page_works_without_javascript_by_loading_itself_again(board: Served) -> None:
    assert '<noscript><meta http-equiv="refresh"' in board.get("/").text


def test_an_unchanged_page_is_answered_without_its_body_and_a_changed_one_is_sent(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    fill(store, None)
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS)) as board:
        first = board.get("/")
        browser = {"Cookie": first.headers["set-cookie"].partition(";")[0], "If_None_Match": first.headers["etag"]}
        again = board.get("/", **browser)
        another = board.get("/", If_None_Match=first.headers["etag"])
        close(store, "r", until_ms=END_MS + HOUR_MS, next_offset=600)
        later = board.get("/", **browser)
    store.close()
    assert (again.status, again.body) == (304, b"")
    assert another.status == 200, "its forms are bound to another browser"
    assert later.status == 200
    assert "2026-03-10 13:00:00 UTC" in later.text


# --- the board ---------------------------------------------------------------------------------------------------------------
def test_the_board_shows_every_topic_with_both_languages_in_one_picture_and_the_companies(board: Served) -> None:
    page = board.get("/").text
    labels = Outline(page).values("svg", "aria-label")
    assert sum("English" in label and "Chinese" in label for label in labels) == 14
    assert page.count('<polyline class="line second"') == 2, "the legend's, and that of the one topic that was written of in Chinese"
    assert any(label.startswith("Linlan Bank: ") for label in labels)


def test_blind_spans_are_hatched_and_only_they(board: Served) -> None:
    assert "url(#hatch-blind)" in board.get("/?span=24h").text
    calm = board.get("/?from=2026-03-08T00:00Z&to=2026-03-09T00:00Z&window=1h").text
    assert 'fill="url(#hatch-blind)" x="0"' not in calm


def test_the_board_and_its_twin_say_the_same_of_a_window(board: Served) -> None:
    query = "?from=2026-03-09T00:00Z&to=2026-03-09T06:00Z&window=6h"
    twin = board.get(f"/api/board.json{query}").json()
    (window,) = next(one["windows"] for one in twin["board"]["series"] if one["series"] == EN)
    assert (window["start"], window["documents"], window["complete"], window["exposure"]) == ("2026-03-09T00:00:00Z", 12, True, 1.0)
    assert f"{window['negative']} of {window['documents']}" in board.get(f"/{query}").text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("span=9d", "span: must be one of 6h, 24h"),
        ("window=7m", "panes are 5 minutes"),
        ("window=x", "not a span of time; write 90s"),
        ("from=yesterday", "not a time; write 2026-11-23"),
        ("from=2026-03-09&to=2026-03-08", "the range is empty"),
        ("from=2001-01-01&window=5m", "give a longer window"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_would_be(board: Served, query: str, words: str) -> None:
    page, twin = board.get(f"/?{query}"), board.get(f"/api/board.json?{query}")
    assert page.status == twin.status == 400
    assert words in page.text
    assert words in twin.json()["error"]


def test_times_are_shown_in_the_readers_zone_with_their_offset(tmp_path: Path) -> None:
    with a_board(tmp_path, tz="Asia/Shanghai") as board:
        assert "2026-03-10 20:00:00 UTC+08:00" in board.get("/").text
        assert board.get("/api/board.json").json()["trust"]["data_until"] == "2026-03-10T12:00:00Z"


def test_an_unknown_time_zone_is_a_settings_error(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    with pytest.raises(SettingsError, match="got 'Mars/Olympus'"):
        create_app(store, run=None, log=None, now_ms=lambda: 0, tz="Mars/Olympus")
    store.close()


# --- the dossier ----------------------------------------------------------------------------------------------------------------
def test_the_dossier_shows_parts_that_sum_to_the_excess(board: Served) -> None:
    page = " ".join(board.get("/alerts/a1b2c3d4e5f60718").text.split())
    assert "they sum to 14 − 1.7 = 12.3" in page
    assert '<tfoot><tr><th scope="row">Sum</th><td></td><td></td><td></td><td class="number">12.3</td>' in page
    assert "do not rely on them" not in page
    assert "Without the largest story: 13 of 12 needed, still fires" in page
    assert "groundswell explain a1b2c3d4e5f60718" in page


def test_an_alert_of_a_share_that_turned_does_not_measure_itself_by_the_counts_limit(tmp_path: Path) -> None:
    alert = an_opened_alert(by="share", without_largest=9, without_largest_fires=False)
    with a_board(tmp_path, alerts=[alert]) as board:
        page = " ".join(board.get(f"/alerts/{alert.id}").text.split())
    assert "of the share, which turned" in page
    assert "Without the largest story: 9 negative stories, <strong>would not fire</strong>" in page


def test_parts_that_do_not_sum_to_the_excess_are_called_out(tmp_path: Path) -> None:
    alert = an_opened_alert()
    with a_board(tmp_path, alerts=[an_opened_alert(parts=alert.parts[1:])]) as board:
        assert "do not rely on them" in board.get(f"/alerts/{alert.id}").text


def test_words_of_strangers_are_shown_as_text_with_their_hidden_marks_spelt_out(board: Served) -> None:
    for path in ("/", "/alerts", "/alerts/a1b2c3d4e5f60718"):
        page = board.get(path).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; [U+202E]gnp.exe[U+202C] &amp; more" in page
        assert "\u202e" not in page


def test_only_web_addresses_become_links_and_tell_nobody_where_they_were_clicked(board: Served) -> None:
    page = board.get("/alerts/a1b2c3d4e5f60718").text
    hrefs = Outline(page).values("a", "href")
    assert [href for href in hrefs if not href.startswith(("/", "#"))] == ["https://harbour.example/lanjin-7"]
    assert 'rel="noreferrer noopener nofollow"' in page
    assert "address not linked" in page
    assert "javascript:alert(2)" in page


def test_a_quote_has_its_source_times_offsets_and_probability(board: Served) -> None:
    page = " ".join(board.get("/alerts/a1b2c3d4e5f60718").text.split())
    assert "Linlan Bank said holders of Lanjin-7 may wait up to 90 days" in page
    assert "characters 112 to 171 · P(negative) 0.97" in page


def test_the_dossiers_twin_is_the_stored_alert_byte_for_byte(tmp_path: Path) -> None:
    alert = an_opened_alert()
    with a_board(tmp_path, alerts=[alert]) as board:
        assert board.get(f"/api/alerts/{alert.id}.json").body == canonical(alert)
        assert board.get(f"/api/alerts/{alert.id[:6]}.json").body == canonical(alert)


def test_a_text_that_was_removed_is_said_to_be_on_the_dossier_and_in_every_twin_and_the_stored_bytes_stay(tmp_path: Path) -> None:
    alert = an_opened_alert(evidence=[a_quote(document_id="d1"), a_quote(document_id="d2")])

    def forget(store: Store) -> None:
        with store.write() as connection:
            store.insert(
                connection, t.removals, [{"document_id": "d2", "content_hash": "c", "removed_ms": END_MS - HOUR_MS, "reason": "document"}]
            )

    with a_board(tmp_path, alerts=[alert], then=forget) as board:
        page = board.get(f"/alerts/{alert.id}").text
        twin = board.get(f"/api/alerts/{alert.id}.json")
        listed = board.get("/api/alerts.json").json()
    removed_at = "2026-03-10T11:00:00Z"
    assert page.count(f'Text removed on <time datetime="{removed_at}">') == 1
    assert (twin.body, twin.headers["x-text-removed"]) == (canonical(alert), f"d2 {removed_at}")
    assert [quote["text_removed_at"] for quote in listed["alerts"][0]["evidence"]] == [None, removed_at]


def test_the_dossier_shows_the_mail_and_the_slack_message_that_would_go_out(board: Served) -> None:
    page = board.get("/alerts/a1b2c3d4e5f60718").text
    assert 'The mail: <span translate="no">[HIGH] Linlan Bank' in page
    assert "14 stories where 1.7 were expected" in page
    assert "<pre>Linlan &lt;Bank&gt;</pre>" in page


def test_the_chart_of_what_was_known_then_leaves_out_what_came_later(board: Served) -> None:
    now, then = board.get("/alerts/a1b2c3d4e5f60718").text, board.get("/alerts/a1b2c3d4e5f60718?known=then").text
    documents = [int(re.search(r"(\d+) documents", Outline(page).values("svg", "aria-label")[0])[1]) for page in (now, then)]  # type: ignore[index]
    assert documents[0] > documents[1] > 0


def test_a_live_runs_dossier_says_where_its_messages_are(tmp_path: Path) -> None:
    with a_board(tmp_path, alerts=[an_opened_alert()], kind="live") as board:
        assert '<b translate="no">mail:desk</b>: due' in board.get("/alerts/a1b2c3d4e5f60718").text


def test_an_alert_that_is_not_stored_is_not_found(board: Served) -> None:
    answer = board.get("/alerts/ffff")
    assert answer.status == 404
    assert "no alert has that id" in answer.text
    assert board.get("/api/alerts/ffff.json").json() == {"error": "alert 'ffff': no alert has that id; `groundswell alerts` lists them"}


def test_stored_bytes_that_are_no_alert_are_named_and_not_a_crash(tmp_path: Path) -> None:
    def spoil(store: Store) -> None:
        with store.write() as connection:
            connection.execute(t.alerts.update().values(body=b"{}"))

    with a_board(tmp_path, alerts=[an_opened_alert()], then=spoil) as board:
        answer = board.get("/alerts/a1b2c3d4e5f60718")
    assert answer.status == 500
    assert "What is stored cannot be shown" in answer.text


# --- sources ------------------------------------------------------------------------------------------------------------------
def test_sources_shows_who_is_blind_since_when_and_what_was_dropped(board: Served) -> None:
    page = " ".join(board.get("/sources").text.split())
    assert re.search(r"blind since <time [^>]+>2026-03-10 07:35 UTC</time>", page)
    assert "10 min is the most that is usual from that hour of the week on" in page
    assert 'fill="url(#hatch-blind)"' in page
    assert "language: fi" in page
    twin = board.get("/api/sources.json").json()
    assert {one["source"]: one["state"] for one in twin["sources"]} == {"Harbour Wire": "live", "Quay Forum": "blind"}
    assert twin["drops"] == {"language: fi": 1}
    assert twin["balance"][-1] == {
        "source": "all", "fetched": 3_811, "scored": 546, "duplicate": 0, "edited": 3_264, "dropped": 1, "in_flight": 0, "balance": 0
    }  # fmt: skip


def test_a_lost_document_is_named_on_every_page(tmp_path: Path) -> None:
    def lose(store: Store) -> None:
        with store.write() as connection:
            connection.execute(t.admissions.delete().where(t.admissions.c.position == 1, t.admissions.c.part == 0))

    with a_board(tmp_path, then=lose) as board:
        assert re.search(r"balance not 0: <bdi>(Harbour Wire|Quay Forum)</bdi> \+1", board.get("/alerts").text)
        assert list(board.get("/api/sources.json").json()["trust"]["unbalanced"].values()) == [1]


def test_sources_that_were_never_seen_to_work_are_named_on_their_page_and_in_its_twin(tmp_path: Path) -> None:
    checked = {"wire": "2026-11-28", "odd <b>": "never", "mute": "never"}
    with a_board(tmp_path, checked=checked) as board:
        page = " ".join(board.get("/sources").text.split())
        assert board.get("/api/sources.json").json()["checked"] == checked
    assert "2 of the 3 sources that are switched on were never seen to work." in page
    assert "<bdi>mute</bdi>, <bdi>odd &lt;b&gt;</bdi>" in page


# --- runs and health ---------------------------------------------------------------------------------------------------------------
def test_a_live_run_that_is_behind_says_by_how_much(tmp_path: Path) -> None:
    with a_board(tmp_path, kind="live", now_ms=END_MS + 3 * HOUR_MS) as board:
        assert "3 h behind" in board.get("/").text
        assert board.get("/api/board.json").json()["trust"]["behind_s"] == 3 * 3600


def test_a_finished_backfill_is_never_behind(tmp_path: Path) -> None:
    with a_board(tmp_path, now_ms=END_MS + 3 * HOUR_MS) as board:
        assert "behind" not in board.get("/").text


def test_a_store_without_a_run_says_how_to_begin_and_is_healthy(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    with served(create_app(store, run=None, log=None, now_ms=lambda: END_MS)) as board:
        page, health = board.get("/"), board.get("/healthz")
    store.close()
    assert page.status == 404
    assert "start with groundswell demo" in page.text
    assert health.json() == {"ok": True, "run": None, "data_until": None}


def test_a_run_without_a_closed_tick_is_shown_as_empty(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    fill(store, None, closed=False)
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS)) as board:
        pages = [board.get(path) for path in ("/", "/alerts", "/sources")]
        twin = board.get("/api/board.json").json()
    store.close()
    assert [page.status for page in pages] == [200, 200, 200]
    assert all("No data yet" in page.text for page in pages)
    assert twin["board"] is None


def test_many_readers_at_once_see_the_same_page(board: Served) -> None:
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(board.get("/api/board.json").body)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 8
    assert len(set(bodies)) == 1


def test_the_list_of_alerts_names_series_and_time_in_utc(board: Served) -> None:
    (alert,) = json.loads(board.get("/api/alerts.json").body)["alerts"]
    assert (alert["series"], alert["opened_at"], alert["expected"]) == (BANK, "2026-03-10T10:00:00Z", 1.7)
