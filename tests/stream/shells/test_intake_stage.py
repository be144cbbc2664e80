"""The stages with their store: facts first, refusals alone, replays for nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from groundswell.codec import decode, encode
from groundswell.errors import OwnershipLostError
from groundswell.names import ROLE_SCORE
from groundswell.records import Position, Score, Stamped
from groundswell.store import schema as t
from groundswell.store.progress import claim
from groundswell.store.store import Store
from stream.operators.admit import StampClock
from stream.shells.intake_stage import IntakeStage, Taken
from tests import builders as b
from tests.fake_scorer import REFUSED

RUN = "live"
Told = tuple[str, str]
"""Identifier and title of a document."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def records(*told: Told, start: int = 0) -> list[Stamped]:
    bodies = [encode(b.a_raw(id=name, title=title, text="")) for name, title in told]
    return [Stamped(Position(0, start + n), b.T0_MS + start + n, body, "Harbour Wire") for n, body in enumerate(bodies)]


def take(store: Store, batch: list[Stamped], scorer: b.CountingScorer | None = None) -> Taken:
    return IntakeStage(store, RUN, scorer or b.CountingScorer()).take(batch, StampClock())[0]


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as connection:
        a, d = t.admissions.c, t.drops.c
        admissions = [tuple(row) for row in connection.execute(select(a.position, a.outcome).order_by(a.position))]
        drops = [tuple(row) for row in connection.execute(select(d.position, d.reason).order_by(d.position))]
    return {"admissions": admissions, "drops": drops}


def test_facts_are_stored_before_anything_is_handed_on(store: Store) -> None:
    taken = take(store, records(("1", "Aldora debt fraud"), ("2", "Brennick profit")))

    assert [c.series for _, c in taken.contributions] == [
        "topic:debt_credit:en", "entity:aldora", "topic:general_other:en", "entity:brennick",
    ]  # fmt: skip
    with store.read() as connection:
        assert len(connection.execute(select(t.scores)).all()) == len(connection.execute(select(t.documents)).all()) == 2


def test_a_replayed_batch_costs_no_inference_and_leads_to_the_same(store: Store) -> None:
    batch = records(("1", "Aldora debt fraud"), ("1", "Aldora debt fraud"), ("1", "changed"), ("2", f"{REFUSED} one"))
    first, before = take(store, batch), rows(store)
    scorer = b.CountingScorer()
    again = take(store, batch, scorer)

    assert scorer.scored == 0
    assert (again.contributions, again.arrivals, again.admissions) == (first.contributions, first.arrivals, first.admissions)
    assert rows(store) == before


@pytest.mark.parametrize("word", [REFUSED, b.UNREAD])
def test_a_document_that_the_model_cannot_take_is_dropped_alone(store: Store, word: str) -> None:
    taken = take(store, records(("1", "Aldora debt fraud"), ("2", f"{word} one"), ("3", "Brennick profit")))

    assert [a.position.offset for a in taken.admissions] == [0, 2]
    assert [(drop.position.offset, drop.source) for drop in taken.drops] == [(1, "Harbour Wire")]
    assert len(taken.contributions) == 4


@pytest.mark.parametrize("word", [REFUSED, b.UNREAD])
@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_refused_document_was_never_there_wherever_batches_end(store: Store, word: str, size: int) -> None:
    """Else a copy of it were a duplicate of nothing, and its correction an edit that nobody counts: but only in one batch."""
    told = [
        ("1", f"{word} one"),
        ("1", f"{word} one"),
        ("1", "Aldora debt fraud"),
        ("1", "Aldora again"),
        ("1", f"{word} one"),
        ("2", "x y"),
    ]
    batch = records(*told)
    contributions = [c for start in range(0, len(batch), size) for c in take(store, batch[start : start + size]).contributions]

    assert rows(store)["admissions"] == [(2, "scored"), (3, "edited"), (4, "edited"), (5, "scored")]
    assert [position for position, _ in rows(store)["drops"]] == [0, 1]
    assert [(position.offset, c.series) for position, c in contributions] == [
        (2, "topic:debt_credit:en"), (2, "entity:aldora"), (5, "topic:general_other:en"),
    ]  # fmt: skip


def test_a_refused_document_is_refused_again_after_its_correction_was_counted(store: Store) -> None:
    batch = records(("1", f"{REFUSED} one"), ("1", "Aldora debt fraud"))
    first = take(store, batch[:1]), take(store, batch[1:])
    again = take(store, batch)

    assert again.contributions == first[1].contributions
    assert rows(store) == {"admissions": [(1, "scored")], "drops": [(0, "score: this text cannot be scored")]}


def test_a_zombies_batch_stores_nothing(store: Store) -> None:
    mine = claim(store, RUN, ROLE_SCORE, owner="zombie")
    claim(store, RUN, ROLE_SCORE, owner="new")
    with pytest.raises(OwnershipLostError):
        IntakeStage(store, RUN, b.CountingScorer()).take(records(("1", "Aldora debt fraud")), StampClock(), claim=mine)

    assert rows(store) == {"admissions": [], "drops": []}
    with store.read() as connection:
        assert connection.execute(select(t.documents)).all() == connection.execute(select(t.scores)).all() == []


def test_with_shared_facts_the_stored_score_is_the_one_that_counts(store: Store) -> None:
    batch = records(("1", "Aldora debt fraud"))
    take(store, batch)
    with store.write() as connection:
        stored = decode(connection.execute(select(t.scores.c.body)).scalar_one(), Score)
        other = msgspec.structs.replace(stored, negative_ppm=123)  # as another process has written it first
        connection.execute(t.scores.update().values(body=encode(other)))
    taken, _ = IntakeStage(store, "another run", b.CountingScorer(), shared=True).take(batch, StampClock())

    assert {c.negative_ppm for _, c in taken.contributions} == {123}
