"""Search, Series and Watchlist as they are served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.board.app import create_app
from dashboards.board.search_pages import pieces
from groundswell.codec import canonical
from groundswell.names import TICK_MS
from groundswell.records import Admission, Mention, Position
from groundswell.schedule import RULES, WATCHES
from groundswell.store import schema as t
from groundswell.store.facts import write_intake
from groundswell.store.store import Store
from groundswell.watches import NOTHING, WatchedCompany
from tests import builders as b
from tests.dashboards.board.board_store import END_MS, HOSTILE, Served, fill, served

QUOTED = "A long beginning. " * 30 + "Linlan Bank <b>missed</b> a payment."
WATCHED = NOTHING.saving("queues", 'company:LinlanBank (queue OR "bank run")', ids_of=lambda name: [name]).watching(
    [WatchedCompany(company="LinlanBank", weight=0.08, owner="<i>Moss</i>")]
)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = Store(str(tmp_path_factory.mktemp("search") / "store.db"))
    fill(store, None)
    documents = [
        b.a_document(document_id="f1", title=HOSTILE, text=QUOTED, url="javascript:alert(1)", published_ms=END_MS - 5_000),
        b.a_document(document_id="f2", title="临澜银行未能付款", text="", url="https://harbour.example/2", published_ms=END_MS - 4_000),
    ]
    admissions = [
        Admission(
            position=Position(9, n), known_ms=END_MS, source=d.source, language="en", outcome="edited" if n else "scored",
            document_id=d.document_id, content_hash=d.content_hash,
        )
        for n, d in enumerate(documents)
    ]  # fmt: skip
    score = b.a_score(document_id="f1", model_id="toy", mentions=[Mention("LinlanBank", 0, 1)])
    with store.write() as connection:
        write_intake(store, connection, "r", documents=documents, scores=[score], admissions=admissions)
        rules = b.easy_rules()
        for kind, name, content in ((WATCHES, WATCHED.hash, canonical(WATCHED)), (RULES, rules.hash, canonical(rules))):
            store.insert(connection, t.versions, [{"kind": kind, "hash": name, "content": content}])
            store.insert(connection, t.in_force, [{"run": "r", "kind": kind, "effective_ms": END_MS // TICK_MS * TICK_MS, "hash": name}])
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS, companies=lambda _: ["LinlanBank"])) as opened:
        yield opened
    store.close()


def test_a_result_shows_its_words_marked_its_mood_its_companies_and_no_script(board: Served) -> None:
    page = board.get("/search?q=missed+company:Linlan").text
    assert "Linlan Bank &lt;b&gt;<mark>missed</mark>&lt;/b&gt; a payment." in page
    assert 'class="mood negative">negative</span> · P(negative) 90 %' in page
    assert '<a href="/series?key=entity%3ALinlanBank"><bdi>Linlan Bank</bdi></a>' in page
    assert "<script>alert" not in page
    assert "javascript:" not in page
    assert "[U+202E]" in page
    assert "groundswell watch save NAME &#39;missed company:LinlanBank&#39;" in page


def test_a_chinese_name_is_found_and_an_edit_says_that_it_is_one(board: Served) -> None:
    page = board.get("/search?q=%E4%B8%B4%E6%BE%9C").text
    assert "<mark>临澜</mark>银行未能付款" in page
    assert "an edit, not scored" in page
    assert 'href="https://harbour.example/2"' in page


def test_a_query_that_cannot_be_read_keeps_what_was_typed_and_says_why(board: Served) -> None:
    page = board.get("/search?q=%28bank").text
    assert 'value="(bank"' in page
    assert "query, column 6: expected" in page
    assert "no place; follow the link" in board.get("/search?q=bank&after=x").text


def test_older_results_are_one_link_away_and_the_twin_has_the_same(board: Served) -> None:
    page = board.get("/search?q=invented").text
    link = page.split('" rel="next"')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
    assert link.startswith("/search?q=invented&after=")
    assert board.get(link).text.count("<mark>") == 50
    twin = board.get(link.replace("/search", "/api/v1/documents")).json()["rows"]
    assert twin[0]["title"] in board.get(link).text.replace("<mark>", "").replace("</mark>", "")
    assert 'href="/api/v1/documents?q=invented"' in page


def test_without_a_query_the_newest_are_shown_and_nothing_found_is_said(board: Served) -> None:
    assert board.get("/search").text.index("临澜银行") < board.get("/search").text.index("A long beginning")
    assert "Nothing is found for <code>nowhere</code>" in board.get("/search?q=nowhere").text


def test_a_series_is_drawn_with_its_figures_and_their_csv(board: Served) -> None:
    page = board.get("/series?key=entity:LinlanBank").text
    assert "<svg" in page
    csv = page.split('">These windows as CSV')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
    answer = board.get(csv)
    assert answer.status == 200
    assert sum(int(line.split(",")[3]) for line in answer.text.splitlines()[1:]) > 100
    assert board.get("/series").status == 400
    chosen = board.get("/series?key=entity:LinlanBank&span=24h").text
    assert '<a href="/series?key=entity%3ALinlanBank&amp;span=24h" aria-current="true">24h</a>' in " ".join(chosen.split())
    assert "windows of 1h" in chosen


def test_the_watchlist_shows_searches_companies_and_the_rules_in_force(board: Served) -> None:
    page = board.get("/watchlist").text
    assert "company:LinlanBank (queue OR &#34;bank run&#34;)" in page
    assert "&lt;i&gt;Moss&lt;/i&gt;" in page
    assert ">0.08<" in page
    assert WATCHED.hash in page
    assert b.easy_rules().hash in page
    assert 'href="/rules"' in page
    assert [row["name"] for row in board.get("/api/v1/watches").json()["rows"]] == ["queues", "LinlanBank"]


def test_a_run_that_watches_nothing_says_how_to_begin(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    fill(store, None)
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS)) as opened:
        page = opened.get("/watchlist").text
    assert "groundswell watch add FILE.csv" in page
    assert "This run keeps no versions." in page
    store.close()


@pytest.mark.parametrize(("start", "end"), [(0, 13), (5, 6), (2, 9)])
def test_pieces_put_together_are_the_part_of_the_text(start: int, end: int) -> None:
    assert "".join(text for text, _ in pieces("one two three", [(0, 1), (4, 7), (12, 13)], start, end)) == "one two three"[start:end]
