"""Switches between models where messages are delivered again: what was sent once is sent again, whoever scores by then."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.errors import OwnershipLostError
from groundswell.names import LIVE_RUN, TICK_MS
from groundswell.records import Envelope, Position
from groundswell.store import schema as t
from groundswell.store.store import Store
from models.scorer import Scorer
from stream.shells.instruments import open_run
from stream.shells.score_worker import ScorePartition
from stream.shells.stages import IntakeStage
from stream.shells.switches import Switch, first_switch, model_at, read_switches, versions_at
from stream.shells.wire import FoldItem, RawBatch, RawMessage
from tests import builders as b

PARTS = (3, 5)


class Second(b.CountingScorer):
    """The same answers under another name."""

    model_id = "fake-2"


class Worker:
    """A score worker with two raw partitions; `scorer` is what its registry has in force."""

    def __init__(self, store: Store, scorer: b.CountingScorer) -> None:
        self.scorer = scorer
        open_run(store, LIVE_RUN, kind="live", instruments=b.instruments(scorer=scorer))
        stage = IntakeStage(store, LIVE_RUN, scorer, shared=True, renew=self._renew)
        self.partitions = {part: ScorePartition.open(stage, part, owner="o", log_id="t", live=True) for part in PARTS}

    def _renew(self) -> Scorer:
        return self.scorer

    def take(self, part: int, first: int, last: int) -> list[FoldItem]:
        batches: list[RawBatch] = self.partitions[part].take([message(part, offset) for offset in range(first, last)])
        return [item for batch in batches for item in batch.items]


def message(part: int, offset: int) -> RawMessage:
    record = b.a_raw(source="wire", id=f"{part}-{offset}", title=f"Aldora {part} {offset}", published_ms=b.T0_MS)
    return RawMessage(offset, b.T0_MS + offset * TICK_MS, encode(Envelope(records=[msgspec.Raw(encode(record))])))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def scored(store: Store) -> dict[str, int]:
    """{model: documents}; a document with two scores is an error."""
    with store.read() as connection:
        rows = connection.execute(select(t.scores.c.document_id, t.scores.c.model_id)).all()
    assert len({row.document_id for row in rows}) == len(rows)
    return {model: sum(row.model_id == model for row in rows) for model in {row.model_id for row in rows}}


def switches(store: Store) -> list[tuple[str, int | None, int]]:
    with store.read() as connection:
        return [(s.model_id, s.part, s.offset) for s in read_switches(connection, LIVE_RUN)]


def test_messages_that_are_delivered_again_lead_to_the_same_though_another_model_was_promoted(store: Store) -> None:
    before = Worker(store, b.CountingScorer())
    sent = {part: before.take(part, 0, 2) for part in PARTS}
    before.scorer = Second()  # promoted: partition 3 goes on with it, the process ends before partition 5 does
    sent[3] += before.take(3, 2, 4)

    after = Worker(store, Second())
    assert after.take(3, 0, 4) == sent[3]
    assert after.take(5, 0, 2) == sent[5]
    assert after.scorer.scored == 0, "a replay costs no inference"
    after.take(5, 2, 4)
    assert scored(store) == {"fake-1": 4, "fake-2": 4}
    assert switches(store) == [("fake-1", None, 0), ("fake-2", 3, 2), ("fake-2", 5, 2)]


def test_what_was_sent_keeps_its_model_through_a_rollback(store: Store) -> None:
    worker, sent = Worker(store, b.CountingScorer()), []
    for first, scorer in enumerate([b.CountingScorer(), Second(), b.CountingScorer()]):
        worker.scorer = scorer
        sent += worker.take(3, first, first + 1)

    again = Worker(store, Second())
    assert again.take(3, 0, 3) == sent
    assert again.scorer.scored == 0
    assert switches(store) == [("fake-1", None, 0), ("fake-2", 3, 1), ("fake-1", 3, 2)]


def test_a_worker_that_was_replaced_cannot_switch(store: Store) -> None:
    zombie = Worker(store, b.CountingScorer())
    zombie.take(3, 0, 1)
    Worker(store, b.CountingScorer())
    zombie.scorer = Second()
    with pytest.raises(OwnershipLostError):
        zombie.take(3, 1, 2)
    assert switches(store) == [("fake-1", None, 0)]
    assert scored(store) == {"fake-1": 1}


def test_a_batch_that_brings_nothing_new_is_no_switch(store: Store) -> None:
    worker = Worker(store, b.CountingScorer())
    worker.take(3, 0, 1)
    worker.scorer = Second()
    copy = message(3, 0)
    worker.partitions[3].take([RawMessage(1, copy.append_ms + TICK_MS, copy.body)])
    assert switches(store) == [("fake-1", None, 0)]


def test_a_run_without_switches_leaves_model_and_versions_as_they_are() -> None:
    assert model_at([], Position(0, 5)) is None
    assert versions_at({"model": "a"}, [], end_ms=5) == {"model": "a"}


def test_a_switch_counts_from_its_own_document_on_in_its_own_partition() -> None:
    found = [first_switch("a"), Switch("b", 3, 10, 9_000)]
    at = [Position(3, 9, 8), Position(3, 10), Position(3, 10, 2), Position(5, 99)]
    assert [model_at(found, position) for position in at] == ["a", "b", "b", "a"]
    assert [versions_at({}, found, end_ms=end_ms)["model"] for end_ms in (9_000, 9_001)] == ["a", "b"]
