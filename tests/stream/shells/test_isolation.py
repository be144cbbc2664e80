"""Records that kill their process: found, dropped, accounted for; and nothing else is lost with them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from groundswell.codec import encode
from groundswell.names import ROLE_SCORE
from groundswell.records import Document, Position, Score, Stamped
from groundswell.store import schema as t
from groundswell.store.progress import claim
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from stream.operators.admit import StampClock
from stream.shells.intake_stage import IntakeStage
from stream.shells.isolation import DEATHS_MAX, REASON
from tests import builders as b

RUN = "r"
DEADLY = "deadly"
UNKNOWN_DEATHS = 1  # in a batch: nobody can say of which record


class ProcessDiedError(BaseException):
    """Stands for a segmentation fault: nothing of the process goes on."""


class DeadlyScorer(b.CountingScorer):
    """Kills its process at the word."""

    def __init__(self, word: str = DEADLY) -> None:
        super().__init__()
        self.word, self.calls = word, 0

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        self.calls += 1
        if any(self.word in document.title for document in documents):
            raise ProcessDiedError
        return super().score(documents)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def records(*titles: str) -> list[Stamped]:
    bodies = [encode(b.a_raw(id=str(n), title=title, text="")) for n, title in enumerate(titles)]
    return [Stamped(Position(0, n), b.T0_MS + n, body) for n, body in enumerate(bodies)]


def live_and_die(store: Store, batches: list[list[Stamped]], *, scorer: Callable[[], DeadlyScorer] = DeadlyScorer) -> int:
    """Processes, one after the other, each going on where the log stands; returns how many have died before the end was reached."""
    for deaths in range(20):
        mine, clock = claim(store, RUN, ROLE_SCORE, owner=f"p{deaths}"), StampClock()
        stage = IntakeStage(store, RUN, scorer())
        try:
            for batch in batches:
                if batch[-1].position.offset >= mine.next_offset:
                    _, moved = stage.take(batch, clock, claim=mine)
                    mine = moved or mine
        except ProcessDiedError:
            continue
        return deaths
    pytest.fail("the same record kills process after process")


def fates(store: Store) -> dict[int, str]:
    with store.read() as connection:
        a, d = t.admissions.c, t.drops.c
        found = {row.position: row.outcome for row in connection.execute(select(a.position, a.outcome))}
        return found | {row.position: row.reason for row in connection.execute(select(d.position, d.reason))}


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_record_that_kills_its_process_is_dropped_alone(store: Store, place: int) -> None:
    titles = ["Aldora debt", "Brennick profit", "Corvane fraud", "Dunmoor oil"]
    titles[place] = f"{DEADLY} {place}"

    deaths = live_and_die(store, [records(*titles)])

    assert deaths == UNKNOWN_DEATHS + DEATHS_MAX
    assert fates(store) == {n: REASON if n == place else "scored" for n in range(4)}


def test_every_record_that_kills_is_found_and_the_balance_is_zero(store: Store) -> None:
    batch = records("Aldora debt", f"{DEADLY} a", "Brennick profit", f"{DEADLY} b", "Corvane")

    deaths = live_and_die(store, [batch[:1], batch[1:4], batch[4:]])

    assert deaths == 1 + UNKNOWN_DEATHS + 2 * DEATHS_MAX, "the first owner had committed, so the second learns nothing from it"
    assert fates(store) == {0: "scored", 1: REASON, 2: "scored", 3: REASON, 4: "scored"}
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.suspects)).scalar_one() == 0, "marks are cleared"
        assert {row.source: (row.fetched, row.balance) for row in balance_of(connection, RUN)} == {"Harbour Wire": (5, 0)}


def test_a_drop_keeps_the_bytes_and_names_its_source(store: Store) -> None:
    batch = records("Aldora debt", DEADLY)
    live_and_die(store, [batch])

    with store.read() as connection:
        d = t.drops.c
        assert [tuple(row) for row in connection.execute(select(d.source, d.body))] == [("Harbour Wire", batch[1].body)]


def test_a_dropped_record_is_not_touched_again_when_the_log_is_read_again(store: Store) -> None:
    batch = records("Aldora debt", DEADLY)
    live_and_die(store, [batch])

    taken, _ = IntakeStage(store, RUN, DeadlyScorer()).take(batch, StampClock())  # would raise

    assert [(admission.position.offset, admission.outcome) for admission in taken.admissions] == [(0, "scored")]


def test_one_end_from_outside_while_a_record_is_scored_alone_costs_it_nothing(store: Store) -> None:
    batch = records("Aldora debt", "Brennick profit")
    given = iter([DeadlyScorer("Brennick")] * (UNKNOWN_DEATHS + DEATHS_MAX - 1))  # after that it would live

    deaths = live_and_die(store, [batch], scorer=lambda: next(given, DeadlyScorer()))

    assert deaths == UNKNOWN_DEATHS + DEATHS_MAX - 1
    assert fates(store) == {0: "scored", 1: "scored"}


def test_a_mark_that_lies_behind_the_next_cut_is_not_forgotten(store: Store) -> None:
    batch = records("Aldora debt", "Brennick profit", DEADLY, "Corvane")
    first = IntakeStage(store, RUN, DeadlyScorer())
    claim(store, RUN, ROLE_SCORE, owner="died at once")
    with pytest.raises(ProcessDiedError):
        first.take(batch, StampClock(), claim=claim(store, RUN, ROLE_SCORE, owner="marked the third record"))

    deaths = live_and_die(store, [batch[:1], batch[1:2], batch[2:]])

    assert deaths == DEATHS_MAX - 1, "an owner that has passed two batches still scores the marked one record by record"
    assert fates(store) == {0: "scored", 1: "scored", 2: REASON, 3: "scored"}


def test_an_owner_that_follows_one_which_committed_scores_in_batches(store: Store) -> None:
    batch = records("Aldora debt", "Brennick profit", "Corvane")
    scorers: list[DeadlyScorer] = []

    def make() -> DeadlyScorer:
        scorers.append(DeadlyScorer("nothing"))
        return scorers[-1]

    live_and_die(store, [batch[:1]], scorer=make)
    live_and_die(store, [batch[1:]], scorer=make)

    assert [scorer.calls for scorer in scorers] == [1, 1]
