"""What several raw partitions bring is stored together: one transaction, all of it or nothing, on both databases."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.errors import OwnershipLostError
from groundswell.names import ROLE_SCORE
from groundswell.records import Document, Envelope, RawDocument, Score
from groundswell.store import schema as t
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.operators.lead import Lead
from stream.shells.intake_stage import IntakeStage
from stream.shells.isolation import DEATHS_MAX, REASON
from stream.shells.score_process import ScoreProcess
from stream.shells.wire import RawMessage
from tests.counting_store import CountingStore
from tests.fake_scorer import FakeScorer

RUN = "r"
PARTS = (2, 5, 9)
NOON_MS = 1_760_011_200_000


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CountingStore]:
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    with closing(CountingStore(url)) as opened:
        yield opened


def process(store: Store, *, owner: str = "o", scorer: FakeScorer | None = None, **options: Any) -> ScoreProcess:
    return ScoreProcess(IntakeStage(store, RUN, scorer or FakeScorer(), shared=True), owner, "t", live=True, **options)


def said(part: int, offset: int, *titles: str) -> RawMessage:
    records = [
        RawDocument(source=f"s{part}", id=f"{part} {offset} {title}", title=title, language="en", published_ms=NOON_MS) for title in titles
    ]
    return RawMessage(offset, NOON_MS + offset, encode(Envelope(records=[msgspec.Raw(encode(record)) for record in records])))


def round_of(*, first: int = 0, messages: int = 3) -> dict[int, list[RawMessage]]:
    """The same of each partition: documents that count, one that comes twice, and one that is no record."""
    return {
        part: [
            *(said(part, first + n, f"Aldora debt {part} {n}", f"Brennick profit {part} {n}") for n in range(messages - 1)),
            RawMessage(first + messages - 1, NOON_MS + first + messages, b"no envelope"),
        ]
        for part in PARTS
    }


def facts(store: Store) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with store.read() as connection:
        for table in (t.documents, t.scores, t.admissions, t.drops, t.taken):
            found[table.name] = sorted(map(repr, connection.execute(select(table))))
        found["progress"] = [repr((row.part, row.next_offset, row.time_ms)) for row in progress_of(connection, RUN, ROLE_SCORE)]
    return found


def test_what_all_partitions_bring_is_one_transaction_and_the_same_as_one_by_one(store: CountingStore, tmp_path: Path) -> None:
    score, waiting = process(store), round_of()
    for part in waiting:
        score.partition(part)
    before = store.writes
    together = score.take(waiting)
    assert (store.writes - before, waiting) == (1, {})

    with closing(Store(str(tmp_path / "alone.db"))) as other:
        alone = process(other)
        each = {part: alone.partition(part).take(messages) for part, messages in round_of().items()}
        assert {part: (stored.messages, stored.batches) for part, stored in together.items()} == {
            part: (3, batches) for part, batches in each.items()
        }
        assert facts(store) == facts(other)


def test_no_further_partition_joins_a_transaction_that_is_full(store: CountingStore) -> None:
    score, waiting = process(store), round_of()
    size = sum(len(message.body) for message in waiting[2])
    assert sorted(score.take(waiting, together_bytes=size + 1)) == [2, 5]
    assert sorted(score.take(waiting, together_bytes=size + 1)) == [9]
    assert waiting == {}


def test_what_was_stored_before_and_what_is_new_come_in_one_round(store: CountingStore) -> None:
    first = process(store).take(round_of())
    messages = {part: [*round_of()[part], *round_of(first=3)[part]] for part in PARTS}
    messages[5] = messages[5][3:]  # of one partition everything is new
    again = process(store, owner="next").take(messages)
    assert [len(again[part].batches) for part in PARTS] == [2, 1, 2]
    assert again[2].batches[0] == first[2].batches[0], "a replay leads to the same"
    with store.read() as connection:
        assert {row.part: row.next_offset for row in progress_of(connection, RUN, ROLE_SCORE)} == dict.fromkeys(PARTS, 6)


def test_where_one_partition_has_another_owner_nothing_of_any_is_stored(store: CountingStore) -> None:
    zombie = process(store)
    zombie.take(round_of())
    process(store, owner="heir").partition(5)
    before = facts(store)
    with pytest.raises(OwnershipLostError, match="score 5: owner o"):
        zombie.take(round_of(first=3))
    assert facts(store) == before


def test_a_partition_that_has_to_wait_keeps_no_other_from_going_on(store: CountingStore) -> None:
    score = process(store, lead=partial(Lead, records_max=1, bytes_max=10**9))
    ahead = score.partition(5)
    score.take({part: messages[:1] for part, messages in round_of().items()})
    for part in (2, 9):
        score.partition(part).lead = Lead(records_max=10**6, bytes_max=10**9)
    ahead.lead.fold(NOON_MS - 3_600_000)
    ahead.clock.time_ms += 3_600_000  # it is far ahead of what is folded
    found = score.take({part: messages[1:] for part, messages in round_of().items()})
    assert {part: stored.messages for part, stored in found.items()} == {2: 2, 5: 0, 9: 2}


def test_a_partition_whose_records_are_scored_one_by_one_goes_alone(store: CountingStore) -> None:
    process(store, owner="died before its first commit").partition(5)
    score, waiting = process(store, owner="next"), round_of()
    assert [sorted(score.take(waiting)) for _ in range(2)] == [[2, 9], [5]]
    assert waiting == {}


class ProcessDiedError(BaseException):
    """Stands for a process that a record has killed."""


class DeadlyScorer(FakeScorer):
    """Ends its process at one title."""

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        if any("deadly" in document.title for document in documents):
            raise ProcessDiedError
        return super().score(documents)


def test_a_record_that_kills_the_process_costs_the_other_partitions_of_its_transaction_nothing(store: CountingStore) -> None:
    messages = round_of(messages=2)
    messages[5][0] = said(5, 0, "Aldora debt", "deadly", "Brennick profit")
    for deaths in range(10):
        score, waiting = process(store, owner=f"p{deaths}", scorer=DeadlyScorer()), {part: list(found) for part, found in messages.items()}
        try:
            while waiting:
                score.take(waiting)
        except ProcessDiedError:
            continue
        break
    assert deaths == 1 + DEATHS_MAX
    with store.read() as connection:
        dropped = connection.execute(select(t.drops.c.part, t.drops.c.reason).where(t.drops.c.reason == REASON)).all()
        scored = connection.execute(select(t.admissions.c.part)).scalars().all()
        assert [tuple(row) for row in dropped] == [(5, REASON)]
        assert sorted(scored) == [2, 2, 5, 5, 9, 9]
        assert connection.execute(select(t.suspects)).all() == []
