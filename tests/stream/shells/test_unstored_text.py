"""A source whose text may not be stored: it is scored and counted like any other, and afterwards nothing of its text is anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from groundswell.codec import decode_raw, encode
from groundswell.errors import RecordError
from groundswell.local_log import LocalLog
from groundswell.records import Position, RawDocument, Stamped
from groundswell.store import schema as t
from groundswell.store.drops import drops_of
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from groundswell.terms import QUOTE_CHARACTERS_MAX
from stream.operators.admit import StampClock
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.replay import refusal
from stream.shells.verify import verify
from tests import builders as b
from tests.fake_scorer import REFUSED

RUN = "live"
SECRET = "the ledger said otherwise"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def played(store: Store, archive: list[tuple[int, str, str, bytes]], log: LocalLog) -> None:
    instruments = b.instruments()
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, b.fill(log, archive), RUN, instruments)
    while pipeline.step():
        pass
    pipeline.finish()


def unstored(body: bytes) -> bytes:
    try:
        raw = decode_raw(body)
    except RecordError:
        return body
    return encode(msgspec.structs.replace(raw, store_text=False)) if isinstance(raw, RawDocument) else body


def take(store: Store, *raws: RawDocument) -> None:
    batch = [Stamped(Position(0, n), b.T0_MS + n, encode(raw), raw.source) for n, raw in enumerate(raws)]
    IntakeStage(store, RUN, b.CountingScorer()).take(batch, StampClock())


def documents(store: Store) -> list[Any]:
    with store.read() as connection:
        d = t.documents.c
        return list(connection.execute(select(d.source, d.title, d.text).order_by(d.source)))


def test_its_text_is_scored_and_not_stored_and_the_text_of_others_is(store: Store) -> None:
    text = f"Aldora debt fraud: {SECRET}"
    take(
        store,
        b.a_raw(source="closed", title="Aldora", text=text, id="1", store_text=False),
        b.a_raw(source="open", title="Aldora", text=text, id="2"),
    )
    assert documents(store) == [("closed", "Aldora", ""), ("open", "Aldora", text)]
    with store.read() as connection:
        scores = connection.execute(select(t.scores.c.topic, t.scores.c.sentiment, t.scores.c.negative_ppm)).all()
    assert len(scores) == 2
    assert scores[0] == scores[1]  # the text counted, though it is gone


def test_a_text_without_a_title_keeps_what_may_be_quoted(store: Store) -> None:
    take(store, b.a_raw(title="", text="Aldora " * 60, store_text=False))
    ((_, title, text),) = documents(store)
    assert text == ""
    assert title == ("Aldora " * 60)[:QUOTE_CHARACTERS_MAX]


def test_what_is_dropped_of_it_keeps_no_bytes_and_says_why_it_cannot_be_replayed(store: Store) -> None:
    take(
        store,
        b.a_raw(id="1", title="12 % 34", text="", store_text=False),
        b.a_raw(id="2", title=f"{REFUSED} one", text=SECRET, store_text=False),
        b.a_raw(id="3", title="12 % 34", text=""),
    )
    with store.read() as connection:
        found = sorted(drops_of(connection, RUN), key=lambda drop: drop.position)
    assert [bool(drop.bytes) for drop in found] == [False, False, True]
    assert [refusal(drop) for drop in found[1:]] == [
        "none of its bytes were kept: its source's text may not be stored; let its source be fetched again",
        None,
    ]


def test_counts_and_alerts_are_those_of_a_run_that_stored_its_texts_and_are_made_again_without_them(store: Store, tmp_path: Path) -> None:
    archive = b.an_archive(1, records=420)
    with LocalLog(tmp_path / "a.log") as log:
        played(store, [(known_ms, kind, source, unstored(body)) for known_ms, kind, source, body in archive], log)
        checks = verify(store, RUN, b.instruments(), log=log)
    stored = Store(str(tmp_path / "whole.db"))
    with LocalLog(tmp_path / "b.log") as log:
        played(stored, archive, log)

    assert {text for _, _, text in documents(store)} == {""}
    assert any(text for _, _, text in documents(stored))
    assert [check.name for check in checks if check.wrong] == []
    assert b.differences(b.export(store, RUN, without=["drops"]), b.export(stored, RUN, without=["drops"])) == {}
    with store.read() as connection:
        alerts = alerts_of(connection, RUN)
    assert len(alerts) >= 3
    for alert in alerts:
        assert explain(store, alert.id, b.instruments(), run=RUN).same
        assert all(0 < len(quote.quote) <= QUOTE_CHARACTERS_MAX for quote in alert.evidence)
    stored.close()
