"""Sums of what became of records, and the first pane, say what reading every row says, on SQLite and on PostgreSQL alike."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, func, select

from groundswell.local_log import BadLine, LocalLog
from groundswell.names import LIVE_RUN, ROLE_SCORE
from groundswell.records import Admission, Drop, Outcome, Position
from groundswell.store import schema as t
from groundswell.store.drop_run import begin_drop, finish_drop
from groundswell.store.facts import write_intake
from groundswell.store.progress import Claim, advance, claim
from groundswell.store.query import balance_of, drops_by_reason
from groundswell.store.store import Store
from groundswell.store.tallies import REASON_CHARS, fates, first_pane, tally
from stream.shells.backfill import account_for
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.forget import forget_document, forget_source
from stream.shells.instruments import open_run
from stream.shells.replay import replay, to_local_log
from stream.shells.verify import verify
from tests import builders as b

PARTS = (0, 1, 5)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url"))
    yield opened
    opened.close()


@dataclass
class Workers:
    """What workers of three partitions do to a store, by chance."""

    store: Store
    chance: random.Random
    run: str = LIVE_RUN
    claims: dict[int, Claim] = field(default_factory=dict)

    def take(self) -> None:
        """A batch of one partition: its rows and its progress, in one transaction."""
        part = self.chance.choice(PARTS)
        mine = self.claims.get(part) or claim(self.store, self.run, ROLE_SCORE, part=part, owner="test")
        begin, size = mine.next_offset, self.chance.randint(1, 9)
        with self.store.write() as connection:
            self._write(connection, [Position(part, begin + n, place) for n in range(size) for place in range(self.chance.randint(0, 2))])
            self.claims[part] = advance(connection, mine, next_offset=begin + size, time_ms=1, closed_tick=0)

    def stray(self) -> None:
        """Rows of partitions that nobody claims, between, below and above those that somebody does: bad lines of an archive."""
        part = self.chance.choice([-2, -1, 3, 9])
        with self.store.write() as connection:
            self._write(connection, [Position(part, self.chance.randint(0, 40), 0)])

    def _write(self, connection: Connection, positions: list[Position]) -> None:
        admissions, drops, scores = [], [], []
        for position in positions:
            source, name = self.chance.choice(["wire", "forum"]), f"{position.partition}-{position.offset}-{position.index}"
            fate = self.chance.choice(["scored", "scored without a score", "duplicate", "edited", "dropped"])
            if fate == "dropped":
                reason = self.chance.choice(["language: fi", "score: " + "下" * 300])
                drops.append(Drop(position=position, known_ms=1, source=source, reason=reason, body=b""))
                continue
            outcome: Outcome = "duplicate" if fate == "duplicate" else "edited" if fate == "edited" else "scored"
            if fate == "scored":
                scores.append(b.a_score(document_id=name, content_hash=name))
            admissions.append(
                Admission(position=position, known_ms=1, source=source, language="en", outcome=outcome, document_id=name, content_hash=name)
            )
        write_intake(self.store, connection, self.run, admissions=admissions, scores=scores, drops=drops)


def summed_and_whole(store: Store, run: str = LIVE_RUN) -> tuple[dict[tuple[str, str, str], int], dict[tuple[str, str, str], int]]:
    with store.read() as connection:
        return dict(fates(connection, run)), dict(fates(connection, run, whole=True))


@pytest.mark.parametrize("seed", range(12))
def test_sums_and_what_is_behind_them_are_what_every_row_says(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    workers = Workers(store, chance)
    for _ in range(30):
        match chance.choice(["take", "take", "stray", "tally"]):
            case "take":
                workers.take()
            case "stray":
                workers.stray()
            case _:
                tally(store, LIVE_RUN, step=chance.randint(1, 12))
        summed, whole = summed_and_whole(store)
        assert summed == whole
    added = tally(store, LIVE_RUN)
    summed, whole = summed_and_whole(store)
    assert (summed, tally(store, LIVE_RUN)) == (whole, 0)
    assert added >= 0
    assert sum(whole.values()) > 30


def test_what_is_summed_is_not_read_again(store: Store) -> None:
    workers = Workers(store, random.Random(1))
    for _ in range(20):
        workers.take()
    before, _ = summed_and_whole(store)
    tally(store, LIVE_RUN)
    with store.write() as connection:
        connection.execute(delete(t.admissions))
        connection.execute(delete(t.drops))
    assert summed_and_whole(store) == (before, {})


def test_two_processes_that_sum_at_once_count_nothing_twice(store: Store) -> None:
    workers = Workers(store, random.Random(2))
    for _ in range(40):
        workers.take()
    with ThreadPoolExecutor(4) as pool:
        added = sum(pool.map(lambda _: tally(store, LIVE_RUN, step=3), range(4)))
    summed, whole = summed_and_whole(store)
    assert summed == whole
    assert added == sum(whole.values())


def test_reasons_of_drops_are_summed_by_their_beginning(store: Store) -> None:
    workers = Workers(store, random.Random(3))
    for _ in range(40):
        workers.take()
    with store.read() as connection:
        before = drops_by_reason(connection, LIVE_RUN)
    tally(store, LIVE_RUN)
    with store.read() as connection:
        assert drops_by_reason(connection, LIVE_RUN) == before
        assert sum(before.values()) == connection.execute(select(func.count()).select_from(t.drops)).scalar_one()
    assert max(map(len, before)) == REASON_CHARS
    assert list(before.values()) == sorted(before.values(), reverse=True)


def test_the_balance_of_a_run_is_the_same_with_and_without_sums_at_any_moment_of_it(store: Store, tmp_path: Path) -> None:
    archive, chance = b.an_archive(4, records=200), random.Random(4)
    with b.fill(LocalLog(tmp_path / "log"), archive) as log:
        open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments())
        while pipeline.step(limit=chance.randint(1, 60)):
            if chance.random() < 0.5:
                tally(store, LIVE_RUN, step=chance.randint(5, 50))
            assert_same(store, log)
        pipeline.finish()
        tally(store, LIVE_RUN)

        replayed = replay(store, LIVE_RUN, put=to_local_log(log, now_ms=lambda: archive[-1][0] + 1), now_ms=1, reason="language")
        assert replayed.put_back
        assert_same(store, log)
        while pipeline.step():
            assert_same(store, log)
        with store.read() as connection:
            source, document = connection.execute(select(t.documents.c.source, t.documents.c.document_id)).first() or ("", "")
        forget_document(store, document, now_ms=2)
        assert_same(store, log)
        forget_source(store, source, now_ms=3)
        assert_same(store, log)


def assert_same(store: Store, log: LocalLog) -> None:
    with store.read() as connection:
        rows = balance_of(connection, LIVE_RUN, log=log)
        assert rows == balance_of(connection, LIVE_RUN, log=log, whole=True)
        assert first_pane(connection, LIVE_RUN) == connection.execute(select(func.min(t.increments.c.pane))).scalar_one()
    assert [row for row in rows if row.balance] == []


def test_a_finished_backfill_is_summed_and_its_sums_go_with_it(store: Store, tmp_path: Path) -> None:
    with b.fill(LocalLog(tmp_path / "log"), b.an_archive(5, records=80)) as log:
        open_run(store, "past", kind="backfill", instruments=b.instruments())
        pipeline = EmbeddedPipeline(store, log, "past", b.instruments())
        while pipeline.step():
            pass
        account_for(store, "past", log, [BadLine("a.jsonl", 3, "line: is no JSON", b"{")])
    assert tally(store, "past") == 0
    with store.read() as connection:
        rows = balance_of(connection, "past")
        assert rows == balance_of(connection, "past", whole=True)
    assert [row.dropped for row in rows if row.source == "file:a.jsonl"] == [1]

    kept = t.tallied, t.tallies, t.reach
    with store.read() as connection:
        assert all(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in kept)
    begin_drop(store, "past", now_ms=1)
    finish_drop(store, "past")
    with store.read() as connection:
        assert [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in kept] == [0, 0, 0]
        assert balance_of(connection, "past") == []


def test_a_row_that_is_lost_after_it_was_summed_is_found_by_verify(store: Store, tmp_path: Path) -> None:
    with b.fill(LocalLog(tmp_path / "log"), b.an_archive(6, records=60)) as log:
        open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments())
        while pipeline.step():
            pass
        pipeline.finish()
        tally(store, LIVE_RUN)
        (held,) = [check for check in verify(store, LIVE_RUN, b.instruments(), log=log) if check.name == "balance"]
        with store.write() as connection:
            a = t.admissions.c
            row = connection.execute(select(a.position, a.source).where(a.outcome == "duplicate")).first()
            assert row is not None
            connection.execute(delete(t.admissions).where(a.position == row.position))
        (lost,) = [check for check in verify(store, LIVE_RUN, b.instruments(), log=log) if check.name == "balance"]
    assert held.wrong == 0
    assert lost.shown[0] == f"source {row.source}: +1"
    assert f"source {row.source}: " in lost.shown[1]
    assert "duplicate by the stored sums" in lost.shown[1]
