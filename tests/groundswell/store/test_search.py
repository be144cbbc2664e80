"""Full text on SQLite and PostgreSQL: the same answers from both, by index, and nothing of what was removed."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event, insert, select

from groundswell.errors import UsageError
from groundswell.records import Admission, Document, Mention, Outcome, Position, Score
from groundswell.search import And, Node, Not, Or, Query, Words, matches, parse
from groundswell.store import schema as t
from groundswell.store import search
from groundswell.store.facts import write_intake
from groundswell.store.migrate import upgrade
from groundswell.store.removals import remove_texts
from groundswell.store.store import Store
from groundswell.terms import Indexed
from tests import builders as b
from tests.groundswell.store.synthetic_texts import NAME, load
from tests.peers import plain_url

RUN = "r"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def take(store: Store, texts: Sequence[str], *, run: str = RUN, outcome: Outcome = "scored", **given: Any) -> list[Document]:
    """Store a document for each title, a second apart, as an intake does."""
    documents = [
        b.a_document(document_id=f"{hash_of(title)}", title=title, **({"text": "", "published_ms": b.T0_MS + place * 1_000} | given))
        for place, title in enumerate(texts)
    ]
    scores = [b.a_score(document_id=d.document_id, mentions=[Mention("LinlanBank", 0, 1)]) for d in documents]
    with store.write() as connection:
        write_intake(
            store,
            connection,
            run,
            documents=documents,
            scores=scores if outcome == "scored" else [],
            admissions=admitted(documents, outcome),
        )
    return documents


def hash_of(title: str) -> str:
    return f"{int.from_bytes(title.encode()[:40]):x}"


def admitted(documents: Sequence[Document], outcome: Outcome) -> list[Admission]:
    return [
        Admission(
            position=Position(0, int(d.document_id[-12:], 16)),
            known_ms=d.known_ms,
            source=d.source,
            language=d.language,
            outcome=outcome,
            document_id=d.document_id,
            content_hash=d.content_hash,
        )
        for d in documents
    ]


def titles(store: Store, text: str, *, run: str = RUN, limit: int = 50, below: int | None = None) -> list[str]:
    d = t.documents.c
    with store.read() as connection:
        hits = search.find(connection, run, parse(text), limit=limit, below=below)
        return [connection.execute(select(d.title).where(d.document_id == hit.document_id)).scalar_one() for hit in hits]


BANK, NAMED, FED = "Linlan Bank misses a payment", "临澜银行未能付款，A股下跌", "Fed holds rates"


EXPECTED = {
    "": [FED, NAMED, BANK],
    "bank": [BANK],
    "银行": [NAMED],
    "款": [NAMED],
    '"银行未能"': [NAMED],
    '"银行 未能"': [],
    "NOT bank": [FED, NAMED],
    "rates OR payment": [FED, BANK],
    "company:LINLANBANK 付款": [NAMED],
    'source:"harbour wire" NOT (rates OR 银行)': [BANK],
    "kind:comment": [],
    "from:2026-09-21T00:00:01Z": [FED, NAMED],
    "to:2026-09-21T00:00:02Z": [NAMED, BANK],
    "nowhere": [],
}


def test_a_query_finds_the_same_on_both_databases_newest_first(store: Store) -> None:
    take(store, [BANK, NAMED, FED])
    assert {text: titles(store, text) for text in EXPECTED} == EXPECTED


def test_a_page_goes_on_below_the_last_hit_whatever_came_in_meanwhile(store: Store) -> None:
    take(store, [f"payment {n}" for n in range(7)])
    with store.read() as connection:
        first = search.find(connection, RUN, parse("payment"), limit=3)
    take(store, ["payment today"], published_ms=b.T0_MS + 60_000)
    assert titles(store, "payment", limit=3, below=first[-1].place) == ["payment 3", "payment 2", "payment 1"]


def test_only_what_the_run_met_is_found(store: Store) -> None:
    take(store, [BANK])
    take(store, [FED], run="other")
    take(store, ["Linlan Bank corrects itself"], outcome="edited")
    take(store, ["Linlan Bank repeats itself"], outcome="duplicate")
    assert sorted(titles(store, "linlan OR rates")) == ["Linlan Bank corrects itself", BANK]
    assert titles(store, "linlan OR rates", run="other") == [FED]


def test_a_content_that_is_met_again_is_one_row(store: Store) -> None:
    take(store, [BANK, FED])
    take(store, [BANK, FED, NAMED])
    take(store, [BANK], published_ms=b.T0_MS + 86_400_000)
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM search").scalar_one() == 3


def test_texts_of_one_place_are_both_found(store: Store) -> None:
    same = [b.a_document(document_id=f"{n:016x}", content_hash="c", title=f"twin {n}") for n in range(3)]
    with store.write() as connection:
        write_intake(store, connection, RUN, documents=same, admissions=admitted(same, "scored"))
        if store.is_sqlite:
            place = connection.exec_driver_sql("SELECT place FROM search LIMIT 1").scalar_one()
            other, third = ({"place": place, "document_id": name, "content_hash": "c", "terms": "collides"} for name in ("other", "third"))
            search._insert(connection, [other, third])
            search._insert(connection, [third])
            assert connection.exec_driver_sql("SELECT count(*) FROM search WHERE search MATCH 'collides'").scalar_one() == 2
    assert sorted(titles(store, "twin")) == ["twin 0", "twin 1", "twin 2"]


def test_a_removed_text_is_not_found_by_any_of_its_words_and_stays_away_when_it_is_met_again(store: Store) -> None:
    documents = take(store, [BANK, FED])
    assert remove_texts(store, t.documents.c.title == BANK, reason="asked", now_ms=1) == 1
    for _ in range(2):
        assert [titles(store, text) for text in ("bank", "linlan", '"misses a payment"')] == [[], [], []]
        assert titles(store, "") == [FED]
        with store.write() as connection:
            write_intake(store, connection, RUN, documents=documents)
    with store.read() as connection:
        assert "misses" not in str(connection.exec_driver_sql("SELECT terms FROM search").all())


def test_what_a_source_forbids_to_store_is_not_found(store: Store) -> None:
    take(store, ["open title"], text="secret words", store_text=False)
    assert (titles(store, "open"), titles(store, "secret")) == (["open title"], [])


def test_hostile_text_is_indexed_like_any_other(store: Store) -> None:
    hostile = [
        "'; DROP TABLE search; --", 'x" OR "y', "\\' & | ! <-> :* ()", "·all ·source·x", "NEAR(a b) terms:a {a}", "𝔘𝔫𝔦 🚀 end",
        "ﷺ" * 500, "word" * 2_000, "a'b\x00c",
    ]  # fmt: skip
    with_nul = [text for text in hostile if "\x00" not in text or store.is_sqlite]
    take(store, with_nul)
    assert titles(store, "DROP") == ["'; DROP TABLE search; --"]
    assert titles(store, '"x OR y"') == ['x" OR "y']
    assert titles(store, "uni end") == ["𝔘𝔫𝔦 🚀 end"]
    assert len(titles(store, "")) == len(with_nul)


def test_a_search_that_takes_too_long_is_ended_with_the_next_step(store: Store) -> None:
    """PostgreSQL sleeps in a query beside; SQLite counts far beyond what it may."""
    slow = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT max(i) FROM n"
        if store.is_sqlite
        else "SELECT pg_sleep(60)"
    )
    with pytest.raises(UsageError, match=r"looked for 0\.05 s .* narrow it"), store.read() as connection, search._bounded(connection, 0.05):
        connection.exec_driver_sql(slow)
    assert titles(store, "") == []  # the connection is good again


# --- memory, SQLite and PostgreSQL agree -----------------------------------------------------------------------------------------
WORD = st.sampled_from(["bank", "run", "fed", "银行", "银", "行业", "跌", "a"])
LEAF: st.SearchStrategy[Node] = st.one_of(
    st.lists(WORD, min_size=1, max_size=3).map(lambda words: Words(" ".join(words))),
    st.lists(WORD, min_size=1, max_size=3).map(lambda words: Words("".join(words))),
    st.sampled_from(["kind:news", "kind:comment", "company:LinlanBank", "sentiment:positive"]).map(
        lambda text: parse(text).node or Words("a")
    ),
)
TREE: st.SearchStrategy[Node] = st.recursive(
    LEAF, lambda inner: st.one_of(st.builds(Not, inner), st.lists(inner, min_size=2, max_size=3).map(lambda of: Or(tuple(of))),
                                  st.lists(inner, min_size=2, max_size=3).map(lambda of: And(tuple(of)))), max_leaves=6
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(texts=st.lists(st.lists(WORD, min_size=1, max_size=6), min_size=1, max_size=6), seeds=st.lists(TREE, min_size=1, max_size=6))
def test_an_index_finds_what_is_found_in_memory(store: Store, texts: list[list[str]], seeds: list[Node]) -> None:
    run = secrets.token_hex(4)
    made: list[tuple[Document, Score]] = []
    for number, words in enumerate(texts):
        document = b.a_document(
            document_id=secrets.token_hex(8),
            title=("" if number % 2 else " ").join(words),
            text="",
            kind="comment" if number % 3 else "news",
        )
        score = b.a_score(document_id=document.document_id, mentions=[Mention("LinlanBank", 0, 1)] if number % 2 else [])
        made.append((document, score))
    with store.write() as connection:
        documents = [document for document, _ in made]
        write_intake(
            store, connection, run, documents=documents, scores=[score for _, score in made], admissions=admitted(documents, "scored")
        )
    with store.read() as connection:
        for node in seeds:
            found = {hit.document_id for hit in search.find(connection, run, Query(node), limit=50)}
            assert found == {d.document_id for d, s in made if matches(node, Indexed(d, s))}, str(Query(node))


# --- by index, with 100,000 texts ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def large(postgres_url: str) -> Iterator[Store]:
    from tests.peers import fresh_database

    with fresh_database(postgres_url) as url:
        opened = Store(url)
        with psycopg.connect(plain_url(url), autocommit=True) as link:
            load(link, RUN, documents=100_000)
        yield opened
        opened.close()


def plans(store: Store, text: str) -> tuple[list[str], list[search.Hit]]:
    """The plan of every statement that a search sends, and what it found."""
    found: list[str] = []

    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            cursor.execute(f"EXPLAIN {statement}", parameters)
            found.append("\n".join(row[0] for row in cursor.fetchall()))

    event.listen(store.engine, "before_cursor_execute", explain)
    try:
        with store.read() as connection:
            hits = search.find(connection, RUN, parse(text), limit=50)
    finally:
        event.remove(store.engine, "before_cursor_execute", explain)
    return found, hits


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("text", "number"),
    [
        (NAME, 24),  # a name of two characters, in one of 4,200 texts
        (f"company:LinlanBank {NAME}", 24),
        ("w0", 50),  # nearly everywhere
        ("w0 w1 NOT w2", 50),
        ("NOT w0", 50),
        ("w0 nowhere", 0),
        ('"w1 w0"', 50),
        ("kind:comment sentiment:negative", 50),
        ("kind:filing", 0),
        ("", 50),
        ("w3 from:2026-09-21 to:2026-09-22", 50),
    ],
)
def test_no_search_reads_a_table_from_end_to_end(large: Store, text: str, number: int) -> None:
    found, hits = plans(large, text)
    assert found
    assert [plan for plan in found if "Seq Scan" in plan] == []
    assert len(hits) == number
    assert [hit.place for hit in hits] == sorted((hit.place for hit in hits), reverse=True)
    if text.endswith(NAME):
        assert "Bitmap Index Scan on search_terms" in found[0]


# --- stores from before ----------------------------------------------------------------------------------------------------------
def test_a_store_from_before_is_indexed_by_its_upgrade_without_what_was_removed(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    upgrade(engine, to="0005")
    columns = [column.name for column in t.documents.columns if column.name not in ("tier", "role")]  # these came later
    made = [b.a_document(document_id=f"{n:016x}", title=f"old {n}", text="") for n in range(1_203)]
    with engine.begin() as connection:
        for one in made:
            connection.execute(insert(t.documents), {name: getattr(one, name) for name in columns})
        gone = {"document_id": made[7].document_id, "content_hash": made[7].content_hash, "removed_ms": 1, "reason": ""}
        connection.execute(insert(t.removals), gone)
        row = {"run": RUN, "part": 0, "place": 0, "known_ms": 1, "tick": 0, "source": "w", "outcome": "scored"}
        keys = [{"position": n, "document_id": d.document_id, "content_hash": d.content_hash} for n, d in enumerate(made)]
        connection.execute(insert(t.admissions), [row | key for key in keys])
    engine.dispose()
    store = Store(str(tmp_path / "old.db"))
    assert titles(store, "old 7") == []
    assert titles(store, "old 1202") == ["old 1202"]
    assert len(titles(store, "old", limit=2_000)) == 1_202
    store.close()
