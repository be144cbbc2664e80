"""Forgetting in a run that has alerted: the words go, the counts stay, and every alert can still be made again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import TICK_MS
from groundswell.records import Alert
from groundswell.store import schema as t
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.operators.admit import StampClock
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.forget import Forgotten, forget_document, forget_source
from stream.shells.instruments import open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.verify import verify
from tests import builders as b

RUN = "live"
WORDS = [word.encode() for word in b.WORDS.split() if word != "market"]  # a topic's name has that one
NOW_MS = b.T0_MS + 40 * 86_400_000
SOURCES = ("wire", "daily", "forum", "zhwire", "mortal")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    with b.fill(LocalLog(tmp_path / "log"), b.an_archive(1, records=420)) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path, log: LocalLog) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    play(opened, log)
    yield opened
    opened.close()


def play(store: Store, log: LocalLog, *, until_ms: int | None = None) -> None:
    instruments = b.instruments()
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, RUN, instruments)
    while pipeline.step(limit=50, until_ms=until_ms):
        pass
    if until_ms is None:
        pipeline.finish()


def alerts(store: Store) -> list[Alert]:
    with store.read() as connection:
        return alerts_of(connection, RUN)


def words_in(store: Store) -> set[str]:
    """Tables that hold a word which only texts have."""
    found = set()
    with store.read() as connection:
        for table in t.metadata.sorted_tables:
            for row in connection.execute(select(table)):
                said = b" ".join(bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row)
                if any(word in said for word in WORDS):
                    found.add(table.name)
    return found


def forget_all(store: Store) -> Forgotten:
    done = [forget_source(store, source, now_ms=NOW_MS) for source in SOURCES]
    return Forgotten(sum(one.texts for one in done), sum(one.drops for one in done), 0)


def test_what_texts_say_is_in_documents_their_index_drops_and_alerts_and_after_forgetting_in_alerts_alone(store: Store) -> None:
    """Scores, stories, candidates, increments and decisions hold numbers, ids and hashes; an alert is kept as it was sent."""
    assert words_in(store) == {"documents", "search", "drops", "alerts"}
    done = forget_all(store)

    assert words_in(store) == {"alerts"}
    assert done.texts > 300
    assert done.drops > 5


def test_every_alert_is_still_made_again_to_the_same_byte_and_says_whose_words_are_its_own(store: Store) -> None:
    forget_all(store)
    found = [explain(store, alert.id, b.instruments()) for alert in alerts(store)]

    assert len(found) >= 3
    assert [one.differences for one in found] == [[]] * len(found)
    assert all(one.same for one in found)
    for one in found:
        assert {quote.document_id for quote in one.alert.evidence} <= one.removed.keys()
        assert set(one.removed.values()) == {NOW_MS}


def test_a_text_that_is_forgotten_before_its_alert_is_left_out_of_it_then_and_whenever_it_is_made_again(
    store: Store, log: LocalLog, tmp_path: Path
) -> None:
    alert = next(one for one in alerts(store) if len(one.evidence) > 2 and one.evidence[0].known_ms < one.opened_ms - 2 * TICK_MS)
    other = Store(str(tmp_path / "other.db"))
    play(other, log, until_ms=alert.opened_ms - TICK_MS)
    forget_document(other, alert.evidence[0].document_id, now_ms=NOW_MS)
    play(other, log)
    again = next(one for one in alerts(other) if one.id == alert.id)
    explained = explain(other, alert.id, b.instruments())
    other.close()

    assert [quote.document_id for quote in again.evidence] == [quote.document_id for quote in alert.evidence[1:]]
    assert (again.statistic, again.expected_milli) == (alert.statistic, alert.expected_milli)
    assert explained.differences == []


def test_a_count_that_was_changed_is_noticed_though_the_words_are_gone(store: Store) -> None:
    forget_all(store)
    alert = alerts(store)[0]
    with store.write() as connection:
        i = t.increments.c
        mine = (i.series == alert.series) & (i.tick == alert.opened_ms // TICK_MS - 1)
        connection.execute(update(t.increments).where(mine).values(body=b"[{},[]]"))

    assert not explain(store, alert.id, b.instruments()).same


def test_words_that_even_the_alert_does_not_have_are_named_as_what_differs(store: Store) -> None:
    alert = next(one for one in alerts(store) if len(one.parts) > 2)
    changed = encode({**{name: getattr(alert, name) for name in alert.__struct_fields__}, "parts": alert.parts[-1:]})
    forget_all(store)
    with store.write() as connection:
        connection.execute(update(t.alerts).where(t.alerts.c.id == alert.id).values(body=changed))
    explained = explain(store, alert.id, b.instruments())

    assert not explained.same
    assert any(line.startswith("parts: stored") for line in explained.differences)


def test_counts_scores_and_stories_stay_and_the_run_can_still_be_verified(store: Store, log: LocalLog) -> None:
    before = b.export(store, RUN, without=["drops", "drop_marks"])
    forget_all(store)

    assert b.differences(before, b.export(store, RUN, without=["drops", "drop_marks"])) == {}
    assert [check.shown for check in verify(store, RUN, b.instruments(), log=log)] == [[], [], [], []]


def test_intake_that_meets_the_records_again_brings_no_text_back(store: Store, log: LocalLog) -> None:
    document_id = alerts(store)[0].evidence[0].document_id
    forget_document(store, document_id, now_ms=NOW_MS)
    scorer = b.CountingScorer()
    IntakeStage(store, RUN, scorer).take(log.read(0, limit=1_000), StampClock())
    with store.read() as connection:
        d = t.documents.c
        assert connection.execute(select(d.title, d.text).where(d.document_id == document_id)).all() == [("", "")]
    assert scorer.scored == 0
