"""The promise that everything rests on: a run that was killed again and again has the rows of one that was not."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.store.store import Store
from stream.pipeline import Fold
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.rebuild import rebuild_fold
from tests import builders as b
from tests.dying_store import DyingStore, Killed

RUN = "live"


def play(store: Store, log: LocalLog, scorer: b.CountingScorer, limit: Callable[[], int]) -> EmbeddedPipeline:
    """Open the pipeline and run it to the log's end."""
    instruments = b.instruments(scorer=scorer)
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, RUN, instruments, targets=("console",))
    while pipeline.step(limit=limit()):
        pass
    pipeline.finish()
    return pipeline


def undisturbed(folder: Path, log: LocalLog, *, limit: int = 1_000) -> dict[str, list[tuple[object, ...]]]:
    store = Store(str(folder / f"undisturbed-{limit}.db"))
    play(store, log, b.CountingScorer(), lambda: limit)
    exported = b.export(store, RUN)
    store.close()
    return exported


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_was_killed_at_random_moments_ends_with_the_same_rows(seed: int, tmp_path: Path) -> None:
    log = b.fill(LocalLog(tmp_path / "log"), b.an_archive(seed, records=420))
    expected = undisturbed(tmp_path, log)
    for table in ("candidates", "alerts", "drops", "baselines", "exposures", "stories", "outbox"):
        assert expected[table], f"the archive of seed {seed} leads to no {table}, so it proves nothing of them"

    chance = random.Random(seed)
    kills = 0
    while True:
        # A process makes 4 writes to open and 1 or 2 a step; a commit between the intake's and the fold's is as likely as any.
        store = DyingStore(str(tmp_path / "killed.db"), writes_left=chance.randrange(4, 40), stored=chance.random() < 0.5)
        try:
            play(store, log, b.CountingScorer(), lambda: chance.choice((1, 2, 5, 9)))
            break
        except Killed:
            kills += 1
        finally:
            store.close()

    assert kills >= 5
    assert b.differences(expected, b.export(Store(str(tmp_path / "killed.db")), RUN)) == {}


@pytest.mark.parametrize("limit", [1, 7, 333])
def test_how_many_records_are_read_at_a_time_does_not_matter(limit: int, tmp_path: Path) -> None:
    log = b.fill(LocalLog(tmp_path / "log"), b.an_archive(11, records=120))

    assert b.differences(undisturbed(tmp_path, log), undisturbed(tmp_path, log, limit=limit)) == {}


def test_a_restart_costs_no_inference_for_what_was_scored(tmp_path: Path) -> None:
    log = b.fill(LocalLog(tmp_path / "log"), b.an_archive(3, records=120))
    reference = b.CountingScorer()
    play(Store(str(tmp_path / "a.db")), log, reference, lambda: 40)
    scored = 0
    for writes in (9, 11, 10**9):
        scorer = b.CountingScorer()
        with suppress(Killed):
            play(DyingStore(str(tmp_path / "b.db"), writes_left=writes, stored=True), log, scorer, lambda: 10)
        scored += scorer.scored

    assert scored == reference.scored


def test_memory_rebuilt_at_any_tick_goes_on_like_the_one_that_never_died_even_past_the_horizon(tmp_path: Path) -> None:
    """Ten weeks: longer than the eight that are remembered, so that what was forgotten must be the same too."""
    log = b.fill(LocalLog(tmp_path / "log"), b.an_archive(5, records=450, days=70))
    expected = undisturbed(tmp_path, log)
    store = Store(str(tmp_path / "again.db"))
    chance = random.Random(10)
    opened = 0
    while True:
        instruments = b.instruments()
        open_run(store, RUN, kind="live", instruments=instruments)
        pipeline = EmbeddedPipeline(store, log, RUN, instruments, targets=("console",))
        opened += 1
        if not all(pipeline.step(limit=20) for _ in range(chance.randrange(1, 6))):
            pipeline.finish()
            break

    assert opened >= 6
    assert b.differences(expected, b.export(store, RUN)) == {}


def test_a_rebuilt_memory_knows_of_no_later_tick(tmp_path: Path) -> None:
    log = b.fill(LocalLog(tmp_path / "log"), b.an_archive(4, records=300))
    store = Store(str(tmp_path / "s.db"))
    pipeline = play(store, log, b.CountingScorer(), lambda: 100)
    middle = (b.T0_MS + 6 * DAY_MS) // TICK_MS

    in_force = pipeline.instruments.in_force(RUN)
    with store.read() as connection:
        in_force.renew(connection)
        fold: Fold = rebuild_fold(connection, RUN, in_force=in_force, through_tick=middle)

    assert fold.last_tick == middle
    assert all(story.tick <= middle for memory in fold.series.values() for story in memory.leaders.stories)
    assert fold.exposure.hour == middle * TICK_MS // HOUR_MS
