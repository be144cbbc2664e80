"""Admission and time as a model: whatever happens to crawlers, topics and workers, the rows are those of one sort and one fold.

Hypothesis makes schedules of documents, punctuations, clocks that jump, crashes at every commit boundary, partial and late sends,
rebalances, zombies and restarts. The judge at the end of each is `reference`, which knows nothing of gates, batches or offsets.
`HYPOTHESIS_PROFILE=long` looks for much longer.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, func, select

from groundswell.names import ROLE_DESK, ROLE_FOLD, ROLE_SCORE
from groundswell.store import schema as t
from groundswell.store.progress import NEVER_TICK, Claim, progress_of
from groundswell.store.store import Store
from stream.operators.admit import tick_of
from stream.shells.fold_worker import FoldInput, FoldPartition
from stream.shells.score_worker import ScorePartition
from stream.shells.wire import RawBatch, fold_messages
from tests import builders as b
from tests.time_model import PARTS, RAW, RUN, Breakable, Death, News, Pieces, World, rows_of
from tests.time_reference import reference_rows

LONG: Final = os.environ.get("HYPOTHESIS_PROFILE") == "long"
QUICK: Final = settings(
    max_examples=3_000 if LONG else 25,
    stateful_step_count=80 if LONG else 40,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


# --- the model -----------------------------------------------------------------------------------------------------------------
two = st.integers(0, 1)
raw_place, part = st.integers(0, RAW - 1), st.integers(0, PARTS - 1)
news = st.builds(
    News,
    number=st.integers(0, 25),
    edition=st.sampled_from((0, 0, 0, 1)),
    company=st.integers(0, 2),
    mood=st.sampled_from(("fraud", "fraud", "profit", "calm", "unscorable", "foreign")),
    source=st.integers(0, 3),
)
deaths: st.SearchStrategy[Death] = st.one_of(st.none(), st.none(), st.tuples(st.integers(0, 3), st.booleans()))
waits_ms = st.sampled_from((1, 700, 3_000, 5_000, 9_000, 14_000, 61_000, 20 * 60_000, 5 * 3_600_000, 30 * 3_600_000))


class TimeModel(RuleBasedStateMachine):
    """Rules: what may happen. Invariants: what always holds. Teardown: the judge."""

    parts = Breakable()

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.closed: dict[tuple[str, int], tuple[int, int]] = {}  # (role, part) -> (closed tick, time) as last seen

    @initialize(live=st.booleans())
    def begin(self, live: bool) -> None:
        self.world = World(Path(self.folder.name), live=live, parts=self.parts)

    # --- crawlers and the broker
    @rule(who=two, found=st.lists(news, min_size=1, max_size=5), ms=st.sampled_from((0, 700, 3_000)))
    def a_crawler_finds_documents(self, who: int, found: list[News], ms: int) -> None:
        self.world.now_ms += ms
        self.world.publish(who, found)

    @rule(ms=waits_ms, heard=st.booleans())
    def time_passes(self, ms: int, heard: bool) -> None:
        self.world.now_ms += ms
        for place in range(RAW if heard else 0):
            self.world.punctuate(place)

    @rule(place=raw_place)
    def one_partition_is_punctuated(self, place: int) -> None:
        self.world.punctuate(place)

    @rule(place=raw_place, skew_ms=st.sampled_from((0, -3_600_000, -1, 20_000, 600_000)))
    def a_partition_gets_a_leader_with_another_clock(self, place: int, skew_ms: int) -> None:
        self.world.skew_ms[place] = skew_ms

    @rule(who=two, clock_off_ms=st.sampled_from((0, -3_600_000, 86_400_000)))
    def a_crawlers_clock_jumps(self, who: int, clock_off_ms: int) -> None:
        self.world.crawlers[who].clock_off_ms = clock_off_ms

    @rule(who=two, dies=st.booleans())
    def a_crawler_leaves_or_loses_the_broker(self, who: int, dies: bool) -> None:
        crawler = self.world.crawlers[who]
        crawler.alive, crawler.connected = crawler.alive and not dies, crawler.connected and dies

    @rule(who=two)
    def a_crawler_returns_with_its_backlog(self, who: int) -> None:
        self.world.crawlers[who].alive = self.world.crawlers[who].connected = True
        self.world.deliver(who)

    @rule(place=raw_place, back=st.integers(1, 3))
    def an_envelope_is_published_twice(self, place: int, back: int) -> None:
        if back <= len(self.world.raw[place]):
            self.world.append(place, self.world.raw[place][-back].body)

    # --- score
    @rule(who=two, sizes=st.dictionaries(raw_place, st.integers(1, 6), min_size=1), death=deaths, small=st.booleans())
    def score_takes(self, who: int, sizes: dict[int, int], death: Death, small: bool) -> None:
        self.world.score_takes(who, sizes, death=death, small=small)

    @rule(who=two, to=st.permutations(range(PARTS)), reached=st.integers(0, PARTS))
    def score_sends(self, who: int, to: Sequence[int], reached: int) -> None:
        self.world.score_sends(who, to[:reached])

    @rule(who=two, lags=st.booleans())
    def score_acknowledges(self, who: int, lags: bool) -> None:
        self.world.score_acknowledges(who, lags=lags)

    @rule(lags=st.booleans())
    def score_works_undisturbed(self, lags: bool) -> None:
        for who in range(2):
            self.world.score_takes(who, dict.fromkeys(range(RAW), 8))
            while any(self.world.score[who].outgoing):
                self.world.score_sends(who)
            self.world.score_acknowledges(who, lags=lags)

    # --- fold and desk
    @rule(who=two, sizes=st.dictionaries(part, st.integers(1, 8), min_size=1), death=deaths, lags=st.booleans(), few=st.booleans())
    def fold_takes(self, who: int, sizes: dict[int, int], death: Death, lags: bool, few: bool) -> None:
        self.world.fold_takes(who, sizes, death=death, lags=lags, records_max=1 if few else 1_000)

    @rule(size=st.integers(1, 30))
    def fold_works_undisturbed(self, size: int) -> None:
        for who in range(2):
            self.world.fold_takes(who, dict.fromkeys(range(PARTS), size))

    @rule(which=two, death=deaths)
    def a_desk_decides(self, which: int, death: Death) -> None:
        self.world.desk_decides(which, death=death)

    # --- lives
    @rule(agent=st.sampled_from(("score", "fold")), partition=st.integers(0, max(RAW, PARTS) - 1), noticed=st.booleans())
    def a_partition_moves(self, agent: str, partition: int, noticed: bool) -> None:
        if partition < (RAW if agent == "score" else PARTS):
            self.world.move(agent, partition, noticed=noticed)

    @rule(agent=st.sampled_from(("score", "fold")), who=two)
    def a_worker_is_killed(self, agent: str, who: int) -> None:
        if agent == "score":
            self.world.kill(self.world.score[who], self.world.score_owner)
        else:
            self.world.kill(self.world.fold[who], self.world.fold_owner)

    # --- what always holds
    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "world"):
            with self.world.store.read() as connection:
                rows = {role: {row.part: row for row in progress_of(connection, RUN, role)} for role in (ROLE_SCORE, ROLE_FOLD, ROLE_DESK)}
                last_tick = latest_tick(connection)
            self._nothing_is_acknowledged_that_is_still_needed(rows[ROLE_SCORE], rows[ROLE_FOLD])
            self._nothing_appears_before_its_tick_is_closed_everywhere(rows, last_tick)
            for role, found in rows.items():
                for row in found.values():
                    before = self.closed.get((role, row.part), (NEVER_TICK, NEVER_TICK))
                    assert (row.closed_tick, row.time_ms) >= before, "a closed tick stays closed"
                    self.closed[role, row.part] = row.closed_tick, row.time_ms

    def _nothing_is_acknowledged_that_is_still_needed(self, score: dict[int, Claim], fold: dict[int, Claim]) -> None:
        world = self.world
        for partition, offset in enumerate(world.raw_acknowledged):
            stored = score[partition].next_offset if partition in score else 0
            assert offset <= min(stored, world.delivered[partition]), f"raw {partition}: {offset} is not stored or not sent"
        for partition, offset in enumerate(world.fold_acknowledged):
            if offset:
                row = fold[partition]
                assert offset <= row.next_offset
                last_tick = max(world.needs[partition][:offset])
                assert last_tick < tick_of(row.time_ms), f"contributions {partition}: something before {offset} is not folded"

    def _nothing_appears_before_its_tick_is_closed_everywhere(self, rows: dict[str, dict[int, Claim]], last_tick: int) -> None:
        score, fold, desk = (rows[role] for role in (ROLE_SCORE, ROLE_FOLD, ROLE_DESK))
        time_ms = min(row.time_ms for row in score.values()) if len(score) == RAW else NEVER_TICK
        assert last_tick < tick_of(time_ms)
        assert all(row.time_ms <= time_ms for row in fold.values())
        folded_ms = min(row.time_ms for row in fold.values()) if len(fold) == PARTS else NEVER_TICK
        assert all(row.closed_tick < tick_of(folded_ms) for row in desk.values() if row.closed_tick != NEVER_TICK)

    # --- the judge
    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None and hasattr(self, "world"):
                self.judge()
        finally:
            if hasattr(self, "world"):
                self.world.store.close()
            self.folder.cleanup()

    def judge(self) -> None:
        world = self.world
        world.drain()
        expected, found = reference_rows(Path(self.folder.name), world), rows_of(world.store)
        assert expected["alerts"], "an example without alerts proves nothing of the desk"
        different = b.differences(expected, found)
        assert not different, different
        assert world.published() == len(found["admissions"]) + len(found["drops"]), "the balance is zero"


def latest_tick(connection: Connection) -> int:
    """The last tick of which anything that has to wait for it is stored."""
    ticks = [
        connection.execute(select(func.max(table.c.tick)).where(table.c.run == RUN)).scalar_one_or_none()
        for table in (t.increments, t.stories, t.candidates, t.decisions, t.alerts)
    ]
    return max((tick for tick in ticks if tick is not None), default=NEVER_TICK)


TimeModel.TestCase.settings = QUICK
test_whatever_happens_the_rows_are_those_of_one_sort_and_one_fold = TimeModel.TestCase


# --- the model can fail: workers that break one promise each ----------------------------------------------------------------------
class AcknowledgesAll(FoldPartition):
    """Fold says that everything it has taken may be acknowledged, folded or not."""

    @property
    def needed(self) -> int:
        return self.expected or 0


class TakesTwice(FoldPartition):
    """Fold forgets which raw offsets it has taken."""

    def offer(self, messages: Sequence[FoldInput]) -> None:
        self.seen = {}
        super().offer(messages)


class Unfenced(FoldPartition):
    """Fold commits in the name of whoever owns the partition now."""

    store: Store

    @classmethod
    def open(cls, store: Store, run: str, partition: int, **given: Any) -> Self:
        mine = super().open(store, run, partition, **given)
        mine.store = store
        return mine

    def offer(self, messages: Sequence[FoldInput]) -> None:
        with self.store.read() as connection:
            (row,) = [row for row in progress_of(connection, RUN, ROLE_FOLD) if row.part == self.claim.part]
        self.claim = replace(self.claim, epoch=row.epoch, revision=row.revision)
        super().offer(messages)


class Stubborn(ScorePartition):
    """Score waits when its lead is full, even where fold waits for this very partition."""

    def may_take(self, offset: int) -> bool:
        return super().may_take(offset) and (offset < self.claim.next_offset or not self.lead.is_full)


def time_first(batches: Sequence[RawBatch], size_max: int) -> Pieces:
    """A batch's time goes out before its contributions."""
    times = [RawBatch(batch.partition, batch.first, batch.first - 1, batch.time_ms, []) for batch in batches]
    rest = [RawBatch(batch.partition, batch.first, batch.last, None, batch.items) for batch in batches]
    sent = [fold_messages(one, size_max=size_max, partitions=PARTS) for one in (times, rest)]
    return [early + late for early, late in zip(*sent, strict=True)]


@pytest.mark.parametrize(
    ("broken", "caught_by"),
    [
        pytest.param(Breakable(fold=AcknowledgesAll), "is not folded|offset", id="acknowledged before it is folded"),
        pytest.param(Breakable(acknowledges_unsent=True), "is not stored or not sent", id="acknowledged before it is sent"),
        pytest.param(Breakable(messages=time_first), "came after the partition's time", id="time before contributions"),
        pytest.param(Breakable(fold=Unfenced), "zombie|UNIQUE", id="no fence"),
        pytest.param(Breakable(fold=TakesTwice), "rows only left|came after", id="duplicates counted"),
        pytest.param(Breakable(score=Stubborn), "time has come to the end everywhere", id="the least one waits too"),
    ],
)
def test_a_worker_that_breaks_a_promise_is_caught(broken: Breakable, caught_by: str) -> None:
    class Broken(TimeModel):
        parts = broken

    once = settings(QUICK, max_examples=500, derandomize=True, phases=[Phase.generate], database=None)
    with pytest.raises(Exception, match=caught_by):
        run_state_machine_as_test(Broken, settings=once)
