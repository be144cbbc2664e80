"""What every store promises, on SQLite and on PostgreSQL alike."""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from sqlalchemy import inspect, select

from groundswell.codec import encode
from groundswell.errors import ContinuityError, DependencyError, OwnershipLostError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import ROLE_FOLD, ROLE_SCORE, TICK_MS
from groundswell.records import Admission, Decision, Drop, Heartbeat, Increment, Outcome, Position, Story
from groundswell.store import derived, facts
from groundswell.store import schema as t
from groundswell.store.partitions import PARTITIONED
from groundswell.store.progress import NEVER_TICK, advance, claim, confirm, progress_of
from groundswell.store.store import HEAD, Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from tests import builders as b
from tests import peers

RUN = "r1"
ASTRAL = "𝔘𝔫𝔦 临澜银行 café 🚀 ' \" % :x ?"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store_url"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no store is yet."""
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_empty_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def admission(offset: int, document_id: str, content: str, outcome: Outcome = "scored") -> Admission:
    return Admission(
        position=Position(0, offset),
        known_ms=b.T0_MS + offset,
        source="wire",
        language="en",
        outcome=outcome,
        document_id=document_id,
        content_hash=content,
    )


# --- rows -------------------------------------------------------------------------------------------------------------------
def test_an_insert_keeps_the_row_that_is_there(store: Store) -> None:
    rows = [{"run": RUN, "source": "a", "documents": 1}, {"run": RUN, "source": "b", "documents": 2}]
    with store.write() as connection:
        assert store.insert(connection, t.fetched, rows) == 2
        assert (
            store.insert(connection, t.fetched, [{"run": RUN, "source": "a", "documents": 99}, {"run": RUN, "source": "c", "documents": 3}])
            == 1
        )
        assert store.insert(connection, t.fetched, []) == 0

    with store.read() as connection:
        stored = list(connection.execute(select(t.fetched.c.source, t.fetched.c.documents).order_by(t.fetched.c.source)))
    assert [tuple(row) for row in stored] == [("a", 1), ("b", 2), ("c", 3)]


def test_an_insert_of_many_rows_counts_those_that_were_not_there(store: Store) -> None:
    rows = [{"run": RUN, "source": f"s{number}", "documents": number} for number in range(3_000)]
    with store.write() as connection:
        assert store.insert(connection, t.fetched, rows[:1_000]) == 1_000
        assert store.insert(connection, t.fetched, rows) == 2_000
        assert store.insert(connection, t.fetched, rows) == 0


def test_an_insert_of_what_is_written_once_refuses_a_second(store: Store) -> None:
    row = {"run": RUN, "source": "a", "documents": 1}
    with store.write() as connection:
        store.insert(connection, t.fetched, [row], keep=False)
    with pytest.raises(Exception, match=r"(?i)unique"), store.write() as connection:
        store.insert(connection, t.fetched, [row], keep=False)


def test_an_upsert_sets_every_other_column(store: Store) -> None:
    def beat(source: str, polled_ms: int, reason: str | None) -> dict[str, object]:
        return {"source": source, "polled_ms": polled_ms, "ok_ms": None, "fetched": 0, "new": 0, "reason": reason}

    with store.write() as connection:
        store.upsert(connection, t.heartbeats, [beat("a", 1, "x"), beat("b", 1, None)])
        store.upsert(connection, t.heartbeats, [beat("a", 2, None), beat("c", 3, "y")])
        store.upsert(connection, t.heartbeats, [])
        columns = t.heartbeats.c.source, t.heartbeats.c.polled_ms, t.heartbeats.c.reason
        stored = [tuple(row) for row in connection.execute(select(*columns).order_by(t.heartbeats.c.source))]

    assert stored == [("a", 2, None), ("b", 1, None), ("c", 3, "y")]


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.write() as connection:
            store.insert(connection, t.fetched, [{"run": RUN, "source": "a", "documents": 1}])
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with store.read() as connection:
        assert connection.execute(select(t.fetched)).all() == []


# --- schema -----------------------------------------------------------------------------------------------------------------
def test_a_store_can_be_opened_twice_and_migrates_once(store: Store, url: str) -> None:
    again = Store(url)
    with store.write() as connection:
        store.insert(connection, t.fetched, [{"run": RUN, "source": "a", "documents": 1}])
    with again.read() as connection:
        assert len(connection.execute(select(t.fetched)).all()) == 1
    again.close()


def test_processes_that_open_an_empty_store_together_make_one_schema(empty_url: str) -> None:
    start, errors = threading.Barrier(4), []

    def open_it() -> None:
        start.wait()
        try:
            Store(empty_url).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []


def test_migrations_make_the_schema_that_the_code_knows(store: Store) -> None:
    found = inspect(store.engine)
    for table in t.metadata.sorted_tables:
        if table is t.search and store.is_sqlite:  # an FTS5 table has no types, no keys and tables of its own below it
            assert {c["name"] for c in found.get_columns("search")} == {c.name for c in table.columns}
            continue
        columns = {c["name"]: c["nullable"] for c in found.get_columns(table.name)}
        assert columns == {c.name: bool(c.nullable) for c in table.columns}, table.name
        key = {c.name for c in table.primary_key}
        if not store.is_sqlite and table.name in PARTITIONED:
            assert key <= set(PARTITIONED[table.name]), "a key may gain what its table is divided by, and lose nothing"
            key = set(PARTITIONED[table.name])
        assert set(found.get_pk_constraint(table.name)["constrained_columns"]) == key, table.name
        assert {i["name"] for i in found.get_indexes(table.name)} == {i.name for i in table.indexes}, table.name
    below = {"search_config", "search_content", "search_data", "search_docsize", "search_idx"} if store.is_sqlite else set()
    names = {name for name in found.get_table_names() if not re.fullmatch(r"(increments|stories)_(live|other)\w*", name)}
    assert names == {table.name for table in t.metadata.sorted_tables} | {"alembic_version"} | below


def test_a_store_of_a_later_release_is_refused_with_the_next_step(store: Store, url: str) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UsageError, match=f"its schema is 9999, this release knows schemas up to {HEAD}; upgrade groundswell"):
        Store(url)


# --- progress ---------------------------------------------------------------------------------------------------------------
def test_a_claim_begins_at_the_beginning_and_a_commit_moves_it(store: Store) -> None:
    mine = claim(store, RUN, ROLE_FOLD, owner="me", log_id="log-1")
    assert (mine.epoch, mine.next_offset, mine.closed_tick) == (1, 0, NEVER_TICK)
    with store.write() as connection:
        mine = advance(connection, mine, next_offset=5, time_ms=77, closed_tick=3)
    with store.read() as connection:
        assert progress_of(connection, RUN, ROLE_FOLD) == [mine]
    assert (mine.next_offset, mine.time_ms, mine.closed_tick, mine.revision) == (5, 77, 3, 1)


def test_a_commit_that_changes_no_number_is_a_commit(store: Store) -> None:
    mine = claim(store, RUN, ROLE_FOLD, owner="me")
    for _ in range(2):
        with store.write() as connection:
            mine = advance(connection, mine, next_offset=0, time_ms=NEVER_TICK, closed_tick=NEVER_TICK)

    assert mine.revision == 2


def test_the_next_owner_goes_on_where_the_last_one_committed(store: Store) -> None:
    mine = claim(store, RUN, ROLE_FOLD, part=3, owner="me", log_id="log-1")
    with store.write() as connection:
        advance(connection, mine, next_offset=5, time_ms=77, closed_tick=3)
    other = claim(store, RUN, ROLE_FOLD, part=3, owner="other")

    assert (other.epoch, other.revision, other.next_offset, other.time_ms, other.closed_tick, other.log_id) == (2, 0, 5, 77, 3, "log-1")


@pytest.mark.parametrize("first_commits", [True, False])
def test_of_two_owners_only_the_later_one_can_commit_in_either_order(store: Store, *, first_commits: bool) -> None:
    old, new = claim(store, RUN, ROLE_FOLD, owner="old"), claim(store, RUN, ROLE_FOLD, owner="new")

    def commit_old() -> None:
        with pytest.raises(OwnershipLostError, match=r"owner old \(epoch 1\) has been replaced"), store.write() as connection:
            advance(connection, old, next_offset=9, time_ms=9, closed_tick=9)

    if first_commits:
        commit_old()
    with store.write() as connection:
        moved = advance(connection, new, next_offset=1, time_ms=1, closed_tick=1)
    if not first_commits:
        commit_old()

    with store.read() as connection:
        assert progress_of(connection, RUN, ROLE_FOLD) == [moved]


def test_a_zombies_whole_transaction_is_undone(store: Store) -> None:
    zombie = claim(store, RUN, ROLE_FOLD, owner="zombie")
    claim(store, RUN, ROLE_FOLD, owner="new")

    def commit() -> None:
        decision = Decision(candidate_id="c", tick=1, incident=None, verdict="held", reason="x")
        with store.write() as connection:
            derived.insert_decisions(store, connection, RUN, [decision])
            advance(connection, zombie, next_offset=9, time_ms=9, closed_tick=9)

    with pytest.raises(OwnershipLostError):
        commit()

    with store.read() as connection:
        assert connection.execute(select(t.decisions)).all() == []


def test_a_takeover_in_mid_transaction_waits_for_it_and_goes_on_from_there(store: Store, url: str) -> None:
    old = claim(store, RUN, ROLE_FOLD, owner="old")
    other, taken = Store(url), []
    thread = threading.Thread(target=lambda: taken.append(claim(other, RUN, ROLE_FOLD, owner="new")))
    with store.write() as connection:
        old = advance(connection, old, next_offset=5, time_ms=5, closed_tick=5)
        thread.start()
        thread.join(0.3)
        assert taken == []  # the row is locked: the new owner waits for this commit
    thread.join()
    other.close()

    assert taken[0].next_offset == 5
    with pytest.raises(OwnershipLostError), store.write() as connection:
        advance(connection, old, next_offset=6, time_ms=6, closed_tick=6)


def test_an_owner_can_be_sure_of_its_row_without_moving_it(store: Store) -> None:
    first = claim(store, RUN, ROLE_SCORE, owner="a")
    with store.write() as connection:
        confirm(connection, first)
        confirm(connection, first)
        moved = advance(connection, first, next_offset=1, time_ms=1, closed_tick=1)
        confirm(connection, moved)
        with pytest.raises(OwnershipLostError, match=r"owner a \(epoch 1\) has been replaced"):
            confirm(connection, first)
    claim(store, RUN, ROLE_SCORE, owner="b")

    with pytest.raises(OwnershipLostError), store.write() as connection:
        confirm(connection, moved)


def test_an_owner_learns_whether_the_one_before_it_committed_anything(store: Store) -> None:
    assert not claim(store, RUN, ROLE_SCORE, owner="a").follows_death, "nobody was before it"
    second = claim(store, RUN, ROLE_SCORE, owner="b")
    assert second.follows_death
    with store.write() as connection:
        moved = advance(connection, second, next_offset=5, time_ms=1, closed_tick=1)

    assert not moved.follows_death
    assert not claim(store, RUN, ROLE_SCORE, owner="c").follows_death


def test_numbers_are_added_to_those_that_are_there(store: Store) -> None:
    def row(source: str, documents: int) -> dict[str, object]:
        return {"run": RUN, "part": 3, "source": source, "documents": documents}

    with store.write() as connection:
        store.add(connection, t.taken, [row("a", 2), row("b", 1)], column="documents")
        store.add(connection, t.taken, [row("a", 40)], column="documents")
        store.add(connection, t.taken, [], column="documents")
        assert sorted(tuple(r) for r in connection.execute(select(t.taken.c.source, t.taken.c.documents))) == [("a", 42), ("b", 1)]


@pytest.mark.postgres
def test_an_owner_that_stops_in_mid_transaction_does_not_keep_the_next_one_out(postgres_store_url: str) -> None:
    store, heir = Store(postgres_store_url, silent_write_s=1), Store(postgres_store_url)
    stopped = claim(store, RUN, ROLE_FOLD, owner="stopped")

    def stop_in_mid_transaction() -> None:
        with store.write() as connection:
            advance(connection, stopped, next_offset=5, time_ms=0, closed_tick=0)
            assert claim(heir, RUN, ROLE_FOLD, owner="heir").next_offset == 0
            advance(connection, stopped, next_offset=6, time_ms=0, closed_tick=0)

    with pytest.raises(DependencyError, match="nothing of this transaction was stored"):
        stop_in_mid_transaction()
    store.close()
    heir.close()


@pytest.mark.postgres
def test_a_writer_that_stops_among_the_rows_of_an_insert_is_cut_off_by_whoever_has_waited_for_them(
    postgres_store_url: str,
) -> None:
    heir, row = Store(postgres_store_url, silent_write_s=1), {"run": RUN, "source": "wire", "documents": 1}
    with psycopg.connect(peers.plain_url(postgres_store_url)) as stopped, contextlib.suppress(psycopg.OperationalError), stopped.pipeline():
        stopped.execute("INSERT INTO fetched (run, source, documents) VALUES (%(run)s, %(source)s, %(documents)s)", row)
        stopped.pgconn.send_flush_request()  # here, before the rest of its rows, it stops
        stopped.pgconn.flush()
        with pytest.raises(DependencyError, match="lock timeout"), heir.write() as connection:
            heir.insert(connection, t.fetched, [row])
        with heir.write() as connection:  # as the worker that was started again does
            heir.insert(connection, t.fetched, [row])
    heir.close()


def test_progress_of_another_log_is_refused(store: Store) -> None:
    claim(store, RUN, ROLE_SCORE, owner="me", log_id="log-1")

    with pytest.raises(ContinuityError, match=r"it belongs to log log-1, but this is log log-2; .*start a new run, or restore the log"):
        claim(store, RUN, ROLE_SCORE, owner="me", log_id="log-2")
    assert claim(store, "r2", ROLE_SCORE, owner="me", log_id="log-2").epoch == 1


# --- facts ------------------------------------------------------------------------------------------------------------------
def test_facts_come_back_as_they_were_written(store: Store) -> None:
    document = b.a_document(title=ASTRAL, text=ASTRAL * 50, url=None, published_flag="missing", owner_known=False, tier=1, role="regulator")
    score = b.a_score(digest=bytes(range(256)))
    body = bytes(range(256)) * 4
    with store.write() as connection:
        facts.write_intake(
            store,
            connection,
            RUN,
            admissions=[admission(1, document.document_id, document.content_hash)],
            documents=[document],
            scores=[score],
            drops=[Drop(position=Position(0, 2, 1), known_ms=5, source=ASTRAL, reason=ASTRAL, body=body)],
        )

    with store.read() as connection:
        key = document.document_id, document.content_hash
        assert facts.counted_documents(connection, RUN, [key[0]]) == {key[0]: msgspec.structs.replace(document, known_ms=b.T0_MS + 1)}
        assert facts.stored_scores(connection, [key], model_id="fake-1") == {key: score}
        assert facts.stored_scores(connection, [key], model_id="another") == {}
        assert facts.stored_scores(connection, [(key[0], "other content")], model_id="fake-1") == {}
        (drop,) = connection.execute(select(t.drops)).all()
    assert (bytes(drop.body), drop.source, drop.reason, drop.place) == (body, ASTRAL, ASTRAL, 1)


def test_what_strangers_wrote_can_always_be_stored(store: Store) -> None:
    """PostgreSQL refuses NUL in a text and both refuse numbers of more than 64 bits: one such record would stop every batch."""
    hostile = "a\x00b\ud800"
    with store.write() as connection:
        drop = Drop(position=Position(0, 1), known_ms=5, source=hostile, reason=hostile * 1_000, body=b"\x00")
        facts.write_intake(store, connection, RUN, drops=[drop])
        beat = Heartbeat(source=hostile, fetched_ms=10**30, ok=False, fetched=-(10**30), new=10**30, reason=hostile)
        facts.write_heartbeats(store, connection, [beat])

    with store.read() as connection:
        assert connection.execute(select(t.drops.c.source)).scalar_one() == "ab?"
        assert connection.execute(select(t.heartbeats.c.source)).scalar_one() == "ab?"


def test_facts_that_are_there_are_kept_as_they_are(store: Store) -> None:
    first, second = b.a_document(source="first"), b.a_document(source="second")
    with store.write() as connection:
        facts.write_intake(store, connection, RUN, documents=[first], scores=[b.a_score(negative_ppm=1)])
        facts.write_intake(store, connection, RUN, documents=[second], scores=[b.a_score(negative_ppm=2)])
        key = first.document_id, first.content_hash
        assert connection.execute(select(t.documents.c.source)).scalars().all() == ["first"]
        assert facts.stored_scores(connection, [key], model_id="fake-1")[key].negative_ppm == 1


def test_known_contents_are_those_of_the_run_at_their_first_position(store: Store) -> None:
    rows = [admission(4, "d", "x"), admission(6, "d", "x", "duplicate"), admission(5, "d", "y", "edited"), admission(7, "e", "z")]
    with store.write() as connection:
        facts.write_intake(store, connection, RUN, admissions=rows)
        facts.write_intake(store, connection, "other", admissions=[admission(1, "d", "x")])
        known = facts.known_contents(connection, RUN, ["d", "e", "f", *(f"n{n}" for n in range(1_200))])

    assert known == {"d": {"x": Position(0, 4), "y": Position(0, 5)}, "e": {"z": Position(0, 7)}}


def test_of_a_documents_contents_the_one_that_counted_is_read_back(store: Store) -> None:
    contents = [b.a_document(content_hash=name, title=name) for name in ("old", "new")]
    with store.write() as connection:
        rows = [admission(2, contents[0].document_id, "old"), admission(3, contents[0].document_id, "new", "edited")]
        facts.write_intake(store, connection, RUN, admissions=rows, documents=contents)
        found = facts.counted_documents(connection, RUN, [contents[0].document_id, "missing"])

    assert [document.title for document in found.values()] == ["old"]


def test_a_heartbeat_keeps_the_last_successful_poll(store: Store) -> None:
    polls = [(10, True), (20, False), (30, False)]
    with store.write() as connection:
        facts.write_heartbeats(store, connection, [Heartbeat(source="s", fetched_ms=ms, ok=ok) for ms, ok in polls])
        row = connection.execute(select(t.heartbeats)).one()

    assert (row.polled_ms, row.ok_ms) == (30, 10)


def test_arrivals_are_distinct_by_tick_and_drops_are_none(store: Store) -> None:
    rows = [admission(n, f"d{n}", "c") for n in (0, 1, 20_000, 40_000)]
    with store.write() as connection:
        facts.write_intake(store, connection, RUN, admissions=rows)
        assert facts.arrival_ticks(connection, RUN, since_tick=b.T0_TICK, through_tick=b.T0_TICK + 1) == [
            ("wire", b.T0_TICK),
            ("wire", b.T0_TICK + 1),
        ]
        assert facts.arrivals_between(connection, RUN, since_tick=b.T0_TICK, through_tick=b.T0_TICK) == [("wire", "en", 2)]
        assert facts.first_tick(connection, RUN) == b.T0_TICK
        assert facts.tick_before(connection, RUN, b.T0_TICK + 2) == b.T0_TICK + 1
        assert facts.first_tick(connection, "empty") is None


# --- derived ----------------------------------------------------------------------------------------------------------------
def test_increments_come_back_in_the_order_in_which_they_were_folded(store: Store) -> None:
    def row(series: str, tick: int, pane: int, *, daily: bool = False) -> Increment:
        members = {ASTRAL: {"o": [3, 1, 1, 1, 10**12, 2, 1]}, "t": {"p": [1, 1, 0, 0, 1, 1, 1]}}
        return Increment(series=series, tick=tick, pane=pane, daily=daily, members=members, negatives=[["d", ASTRAL, "o", 1, 900_000]])

    rows = [row("b", 1, 5), row("a", 2, 4), row("a", 2, 5), row("a", 2, 5, daily=True), row("b", 2, 1), row("a", 3, 1)]
    with store.write() as connection:
        derived.insert_increments(store, connection, RUN, reversed(rows))
        assert derived.load_increments(connection, RUN, since_tick=1, through_tick=3) == rows
        assert derived.load_increments(connection, RUN, since_tick=2, through_tick=2, series=["b"]) == [rows[4]]
        stored = connection.execute(select(t.increments.c.documents, t.increments.c.negative).where(t.increments.c.tick == 1)).one()
    assert tuple(stored) == (4, 2)


def test_stories_and_candidates_come_back_up_to_a_tick(store: Store) -> None:
    stories = [Story(series="s", story=f"d{n}", founded_ms=n * TICK_MS + 7, tick=n, digest=bytes(range(256))) for n in range(4)]
    candidates = [b.a_candidate(tick=tick) for tick in range(4)]
    with store.write() as connection:
        derived.insert_stories(store, connection, RUN, stories)
        derived.insert_candidates(store, connection, RUN, candidates)
        assert derived.load_stories(connection, RUN, since_ms=TICK_MS + 7, through_tick=2) == stories[1:3]
        assert derived.load_candidates(connection, RUN, since_tick=1, through_tick=2) == candidates[1:3]
        assert derived.load_candidates(connection, RUN, since_tick=0, through_tick=9, series=["another"]) == []


# --- the pipeline -----------------------------------------------------------------------------------------------------------
def test_the_same_log_leads_to_the_same_rows_as_in_a_fresh_sqlite_store(store: Store, tmp_path: Path) -> None:
    archive = b.an_archive(8, records=250)
    hostile = b.a_raw(title="Aldora nul\x00 debt", url="https://x.example/\x00", owner="\x00o", source="n\x00ul", id="h", fetched_ms=10**30)
    log = b.fill(LocalLog(tmp_path / "log"), [*archive, (archive[-1][0] + 1, "document", "nul", encode(hostile))])
    exports = []
    for used in (store, Store(str(tmp_path / "reference.db"))):
        instruments = b.instruments()
        open_run(used, "live", kind="live", instruments=instruments)
        pipeline = EmbeddedPipeline(used, log, "live", instruments, targets=("console",))
        while pipeline.step(limit=60):
            pass
        pipeline.finish()
        exports.append(b.export(used, "live"))
        for row in exports[-1]["alerts"]:
            assert explain(used, row[0], instruments).differences == []

    assert exports[1]["alerts"]
    assert b.differences(exports[0], exports[1]) == {}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("mysql://u@h/d", UsageError, "only SQLite and PostgreSQL are known"),
        ("nothing://", UsageError, "only SQLite and PostgreSQL are known"),
        ("post gres:/x://", UsageError, "only SQLite and PostgreSQL are known|write a path"),
        ("postgresql://u:secret@127.0.0.1:1/d", DependencyError, "is the server running and the database created"),
    ],
)
def test_an_address_of_no_store_says_what_to_write_and_hides_its_password(given: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        Store(given)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary, this is long enough to be read as a header\n" * 50)

    with pytest.raises(UsageError, match=r"file is not a database; give the path of a store"):
        Store(str(tmp_path / "diary.txt"))
