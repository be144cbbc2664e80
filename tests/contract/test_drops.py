"""Drops and removals, on SQLite and on PostgreSQL alike: what is found, what is marked, and what is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.errors import NotFoundError, UsageError
from groundswell.metrics import DROP_REASONS
from groundswell.names import DAY_MS, content_id
from groundswell.records import Admission, Document, Drop, Position
from groundswell.store import schema as t
from groundswell.store.drops import ADVICE, drop_at, drops_of, mark_drops, position_of
from groundswell.store.facts import counted_documents, write_intake
from groundswell.store.removals import remove_drop_bytes, remove_texts, removed_texts
from groundswell.store.store import Store
from stream.shells.forget import forget_author, forget_document, forget_expired, forget_source
from stream.shells.replay import document_id_of
from tests import builders as b

RUN = "live"
NOW_MS = b.T0_MS + 40 * DAY_MS


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url"))
    yield opened
    opened.close()


def drop(offset: int, reason: str = "language: fi", *, source: str = "wire", body: bytes = b"{}", known_ms: int | None = None) -> Drop:
    return Drop(position=Position(0, offset), known_ms=known_ms or b.T0_MS + offset, source=source, reason=reason, body=body)


def keep(store: Store, *drops: Drop, documents: list[Document] | None = None, run: str = RUN) -> None:
    with store.write() as connection:
        write_intake(store, connection, run, drops=drops, documents=documents or [])


def places(store: Store, **wanted: object) -> list[str]:
    with store.read() as connection:
        return [one.place for one in drops_of(connection, RUN, **wanted)]  # type: ignore[arg-type]


def bodies(store: Store) -> list[bytes]:
    with store.read() as connection:
        return [bytes(body) for body in connection.execute(select(t.drops.c.body).order_by(t.drops.c.run, t.drops.c.position)).scalars()]


def texts(store: Store) -> dict[str, tuple[str, str, str | None]]:
    d = t.documents.c
    with store.read() as connection:
        rows = connection.execute(select(d.document_id, d.title, d.text, d.url).order_by(d.document_id))
        return {row.document_id: (row.title, row.text, row.url) for row in rows}


# --- drops --------------------------------------------------------------------------------------------------------------------
def test_drops_are_listed_newest_first_and_by_reason_source_and_time(store: Store) -> None:
    keep(store, drop(1), drop(2, "raw record: broken"), drop(3, "language: de", source="daily"), drop(4, "the disk spoke"))
    keep(store, drop(9), run="another")

    assert places(store) == ["0:4:0", "0:3:0", "0:2:0", "0:1:0"]
    assert places(store, limit=1) == ["0:4:0"]
    assert places(store, reason="language") == ["0:3:0", "0:1:0"]
    assert places(store, reason="language: d") == ["0:3:0"]
    assert places(store, reason="other") == ["0:4:0"]
    assert places(store, reason="lang%") == []
    assert places(store, source="daily") == ["0:3:0"]
    assert places(store, start_ms=b.T0_MS + 2, end_ms=b.T0_MS + 4) == ["0:3:0", "0:2:0"]


def test_a_drop_is_read_back_with_its_bytes_and_what_was_done_with_it(store: Store) -> None:
    body = bytes(range(256))
    keep(store, drop(1, body=body), drop(2))
    with store.write() as connection:
        mark_drops(store, connection, RUN, [Position(0, 1)], replayed_ms=7)
        mark_drops(store, connection, RUN, [Position(0, 1)], removed_ms=8)
        mark_drops(store, connection, RUN, [Position(0, 1)], replayed_ms=9)
    with store.read() as connection:
        found, kept = drop_at(connection, RUN, position_of("0:1:0"))
        untouched, _ = drop_at(connection, RUN, position_of("0:2:0"))

    assert kept == body
    assert (found.place, found.bytes, found.replayed_ms, found.removed_ms) == ("0:1:0", 256, 9, 8)
    assert (untouched.bytes, untouched.replayed_ms, untouched.removed_ms) == (2, None, None)


def test_a_place_that_is_none_or_holds_nothing_says_where_places_are_found(store: Store) -> None:
    for wrong in ("1:2", "a:b:c", ""):
        with pytest.raises(UsageError, match=r"not PART:OFFSET:INDEX; `groundswell drops list` prints"):
            position_of(wrong)
    with store.read() as connection, pytest.raises(NotFoundError, match=r"drop -1:7:0 of run 'live': nothing was dropped there"):
        drop_at(connection, RUN, position_of("-1:7:0"))


def test_there_is_advice_for_every_class_of_reasons() -> None:
    assert set(ADVICE) == set(DROP_REASONS)


# --- texts --------------------------------------------------------------------------------------------------------------------
def a_text(name: str, **overrides: object) -> Document:
    return b.a_document(document_id=name, content_hash=f"c-{name}", title=f"title of {name}", **overrides)


def test_a_removed_text_leaves_the_row_and_does_not_come_back_with_a_second_crawl(store: Store) -> None:
    document = a_text("d1")
    keep(store, documents=[document, a_text("d2")])
    before = rows(store)
    assert forget_document(store, "d1", now_ms=NOW_MS).texts == 1
    keep(store, documents=[document])

    assert texts(store)["d1"] == ("", "", None)
    assert texts(store)["d2"][0] == "title of d2"
    blank = {"title", "text", "url"}
    assert {name: value for name, value in rows(store)["d1"].items() if name not in blank} == {
        name: value for name, value in before["d1"].items() if name not in blank
    }
    again = forget_document(store, "d1", now_ms=NOW_MS + 5)
    assert (again.texts, again.already) == (0, 1)
    with store.read() as connection:
        assert removed_texts(connection, ["d1", "d2"]) == {"d1": NOW_MS}


def rows(store: Store) -> dict[str, dict[str, object]]:
    with store.read() as connection:
        return {row["document_id"]: dict(row) for row in connection.execute(select(t.documents)).mappings()}


def test_whoever_composes_an_alert_no_longer_meets_the_document_and_whoever_counts_does(store: Store) -> None:
    keep(store, documents=[a_text("d1")])
    counted = Admission(
        position=Position(0, 1), known_ms=b.T0_MS, source="wire", language="en", outcome="scored", document_id="d1", content_hash="c-d1"
    )
    with store.write() as connection:
        write_intake(store, connection, RUN, admissions=[counted])
    forget_document(store, "d1", now_ms=NOW_MS)
    with store.read() as connection:
        assert counted_documents(connection, RUN, ["d1"]) == {}
        assert counted_documents(connection, RUN, ["d1"], removed=True)["d1"].source == "Harbour Wire"


def test_more_texts_than_one_transaction_holds_all_go(store: Store) -> None:
    keep(store, *(drop(n) for n in range(1, 1_101)), documents=[a_text(f"d{n:04}") for n in range(1_100)])

    assert remove_texts(store, t.documents.c.source == "Harbour Wire", reason="source", now_ms=NOW_MS) == 1_100
    assert remove_drop_bytes(store, t.drops.c.run == RUN, now_ms=NOW_MS, holds=lambda body: body == b"{}") == 1_100
    assert {title for title, _, _ in texts(store).values()} == {""}
    assert set(bodies(store)) == {b""}


def test_forgetting_a_source_takes_its_texts_and_its_drops_and_nobody_elses(store: Store) -> None:
    keep(store, drop(1, source="Harbour Wire"), drop(2, source="daily"), documents=[a_text("d1"), a_text("d2", source="daily")])
    done = forget_source(store, "Harbour Wire", now_ms=NOW_MS)

    assert (done.texts, done.drops) == (1, 1)
    assert [title for title, _, _ in texts(store).values()] == ["", "title of d2"]
    assert bodies(store) == [b"", b"{}"]
    with store.read() as connection:
        assert drop_at(connection, RUN, Position(0, 1))[0].removed_ms == NOW_MS


def test_an_author_is_found_by_name_at_every_source_though_only_hashes_are_stored(store: Store) -> None:
    mine = {source: content_id("author", source, "Ada Quill") for source in ("wire", "daily")}
    documents = [a_text(f"by-{source}", source=source, owner=owner) for source, owner in mine.items()]
    dropped = encode(b.a_raw(source="wire", title="привет", author_hash=mine["wire"]))
    broken = b'{"type":"document","author_hash":"' + mine["wire"].encode() + b'","title":'
    keep(store, drop(1, body=dropped), drop(2, body=broken), drop(3), documents=[*documents, a_text("other", source="wire")])
    done = forget_author(store, "Ada Quill", now_ms=NOW_MS)

    assert (done.texts, done.drops) == (2, 2)
    assert texts(store)["other"][0] == "title of other"
    assert bodies(store) == [b"", b"", b"{}"]
    with store.read() as connection:
        assert "Quill" not in str(list(connection.execute(select(t.removals))))


def test_drops_of_a_forgotten_document_lose_their_bytes_too(store: Store) -> None:
    raw = b.a_raw(id="a-17", title="привет")
    keep(store, drop(1, body=encode(raw)), drop(2, body=encode(b.a_raw(id="a-18"))))

    assert forget_document(store, document_id_of(raw), now_ms=NOW_MS).drops == 1
    assert bodies(store)[0] == b""
    assert bodies(store)[1] != b""


@pytest.mark.parametrize("forget", [forget_document, forget_source, forget_author])
def test_what_nobody_stored_cannot_be_forgotten(store: Store, forget: object) -> None:
    assert callable(forget)
    with pytest.raises(NotFoundError, match="no text is stored of it"):
        forget(store, "nobody", now_ms=NOW_MS)


def test_texts_expire_after_their_days_each_source_by_its_own_and_archives_only_when_asked(store: Store) -> None:
    old, young = NOW_MS - 31 * DAY_MS, NOW_MS - 29 * DAY_MS
    fetched = {"fetched_ms": 1}
    documents = [
        a_text("old", known_ms=old, **fetched), a_text("young", known_ms=young, **fetched), a_text("archived", known_ms=old),
        a_text("short", known_ms=young, source="short", **fetched), a_text("long", known_ms=old, source="long", **fetched),
        a_text("for ever", known_ms=old, source="for ever", **fetched),
    ]  # fmt: skip
    keep(store, drop(1, known_ms=old), drop(2, known_ms=young), documents=documents)
    keep(store, drop(3, known_ms=old), run="past")
    by_source = {"short": 7, "long": 365, "for ever": 0}

    def gone() -> list[str]:
        return sorted(name for name, (title, _, _) in texts(store).items() if not title)

    assert forget_expired(store, days=0, by_source={}, now_ms=NOW_MS).texts == 0
    done = forget_expired(store, days=30, by_source=by_source, now_ms=NOW_MS)
    assert (done.texts, done.drops, gone()) == (2, 1, ["old", "short"])
    assert bodies(store) == [b"", b"{}", b"{}"]
    done = forget_expired(store, days=30, by_source=by_source, now_ms=NOW_MS, archives=True)
    assert (done.texts, done.drops, gone()) == (1, 1, ["archived", "old", "short"])
