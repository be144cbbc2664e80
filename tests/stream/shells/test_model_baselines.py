"""A promotion in mid-stream: what two models say is never one baseline, no alert comes of the change alone, and stories go on."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from groundswell.errors import OwnershipLostError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN, TICK_MS
from groundswell.records import Candidate, Document, Score
from groundswell.schedule import MODEL
from groundswell.store import schema as t
from groundswell.store.drop_run import begin_drop
from groundswell.store.pasts import attach_past, forming_span
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import Instruments, open_run
from stream.shells.reload import Models
from stream.shells.rescore import rescore
from stream.shells.verify import verify
from tests import builders as b
from tests.dying_store import DyingStore, Killed

PROMOTED_MS = b.T0_MS + 8 * DAY_MS
PAST = "past"
FORMING_MS = b.easy_rules().surge.forming_days * DAY_MS


class Twin(b.CountingScorer):
    """Another model with the same answers."""

    model_id = "fake-2"


class Gloomy(b.CountingScorer):
    """Another model, to which nothing looks good."""

    model_id = "fake-3"

    def score(self, documents: Any) -> list[Score | None]:
        return [answer and gloom(answer) for answer in super().score(documents)]


class SecretlyGloomy(b.CountingScorer):
    """A model that changes its mind under one name: what a version is there to prevent."""

    def score(self, documents: list[Document]) -> list[Score | None]:  # type: ignore[override]
        answers = super().score(documents)
        return [a and (gloom(a) if d.known_ms >= PROMOTED_MS else a) for d, a in zip(documents, answers, strict=True)]


def gloom(answer: Score) -> Score:
    return msgspec.structs.replace(answer, sentiment="negative", negative_ppm=1_000_000, neutral_ppm=0, positive_ppm=0)


SCORERS = {scorer.model_id.encode(): scorer for scorer in (b.CountingScorer, Twin, Gloomy)}


def instruments(scorer: b.CountingScorer | None = None) -> Instruments:
    """A process that began with a model and can load every other."""
    began = scorer or b.CountingScorer()
    content = began.model_id.encode()
    models = Models(
        began, content, load=lambda which: SCORERS[which](), promoted=lambda: content, revision=lambda: "1", begun="1", now_ms=lambda: 0,
        start=lambda work: work(), now_s=lambda: 0.0,
    )  # fmt: skip
    models.promoted()
    return replace(b.instruments(scorer=began), models=models, content=content)


def opened(store: Store, log: LocalLog, made: Instruments | None = None) -> EmbeddedPipeline:
    chosen = made or instruments()
    with store.read() as connection:
        there = connection.execute(select(t.runs.c.run).where(t.runs.c.run == LIVE_RUN)).first()
    if there is None:
        open_run(store, LIVE_RUN, kind="live", instruments=chosen)
    return EmbeddedPipeline(store, log, LIVE_RUN, chosen, targets=("console",))


def promote(store: Store, scorer: type[b.CountingScorer], *, at_ms: int = PROMOTED_MS) -> None:
    put_in_force(store, LIVE_RUN, {MODEL: (scorer.model_id, scorer.model_id.encode())}, now_ms=at_ms)


def play(pipeline: EmbeddedPipeline, *, until_ms: int | None = None, limit: int = 50) -> EmbeddedPipeline:
    while pipeline.step(limit=limit, until_ms=until_ms):
        pass
    if until_ms is None:
        pipeline.finish()
    return pipeline


def candidates(store: Store) -> list[Candidate]:
    c = t.candidates.c
    with store.read() as connection:
        bodies = connection.execute(select(c.body).where(c.run == LIVE_RUN).order_by(c.tick, c.candidate_id)).scalars()
        return [msgspec.json.decode(body, type=Candidate) for body in bodies]


@pytest.fixture(scope="module")
def archive() -> list[tuple[int, str, str, bytes]]:
    """Twelve days; surges at day 4.8, 7.2 and 10.2."""
    return b.an_archive(7, records=700)


@pytest.fixture
def log(tmp_path: Path, archive: list[tuple[int, str, str, bytes]]) -> Iterator[LocalLog]:
    with LocalLog(tmp_path / "log") as opened_log:
        yield b.fill(opened_log, archive)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path / "s.db"))
    yield made
    made.close()


def whole_run(folder: Path, log: LocalLog, name: str, promoted: type[b.CountingScorer] | None, made: Instruments | None = None) -> Store:
    store = Store(str(folder / f"{name}.db"))
    pipeline = opened(store, log, made)
    if promoted is not None:
        promote(store, promoted)
    play(pipeline)
    return store


def test_no_candidate_comes_of_another_model_alone_and_stories_go_on(log: LocalLog, tmp_path: Path) -> None:
    secret = whole_run(tmp_path, log, "secret", None, instruments(SecretlyGloomy()))
    told = whole_run(tmp_path, log, "told", Gloomy)
    same = whole_run(tmp_path, log, "same", None)
    formed_ms = PROMOTED_MS + b.easy_rules().surge.forming_days * DAY_MS

    def in_forming_time(store: Store) -> int:
        return sum(PROMOTED_MS <= c.tick * TICK_MS < formed_ms for c in candidates(store))

    assert in_forming_time(secret) > 20, "without a version the change is an alarm"
    assert in_forming_time(told) == 0
    before = [[c for c in candidates(each) if c.tick * TICK_MS < PROMOTED_MS] for each in (told, same)]
    assert before[0] == before[1]
    stories = [b.export(each, LIVE_RUN)["stories"] for each in (told, same)]
    assert stories[0] == stories[1]
    assert len(stories[0]) > 100
    for each in (secret, told, same):
        each.close()


def test_a_model_that_is_new_forms_for_the_same_time_as_a_new_run(log: LocalLog, tmp_path: Path) -> None:
    """The surge of day 10.2 lies in the forming time of a model that was promoted on day 8, and is found by one of day 1."""
    early, late = Store(str(tmp_path / "early.db")), Store(str(tmp_path / "late.db"))
    for store, at_ms in ((early, b.T0_MS + DAY_MS), (late, PROMOTED_MS)):
        pipeline = opened(store, log)
        promote(store, Twin, at_ms=at_ms)
        play(pipeline)
    last = [[c for c in candidates(store) if c.tick * TICK_MS >= PROMOTED_MS + 2 * DAY_MS] for store in (early, late)]
    assert len(last[0]) > 0
    assert [c for c in last[1] if c.tick * TICK_MS < PROMOTED_MS + 3 * DAY_MS] == []
    early.close()
    late.close()


def test_a_model_that_was_in_force_before_has_its_own_baselines_back_at_once(log: LocalLog, store: Store) -> None:
    pipeline = opened(store, log)
    promote(store, Gloomy, at_ms=b.T0_MS + 9 * DAY_MS)
    promote(store, b.CountingScorer, at_ms=b.T0_MS + 9 * DAY_MS + 6 * 3_600_000)  # rolled back
    play(pipeline)
    found = [c for c in candidates(store) if c.tick * TICK_MS >= b.T0_MS + 10 * DAY_MS]
    assert found
    assert all(c.baseline_share_ppm < 500_000 for c in found), "nothing of the gloom is in it"


@pytest.mark.parametrize("seed", [1])
def test_a_run_that_is_killed_around_a_promotion_and_a_rollback_has_the_rows_of_one_that_was_not(
    log: LocalLog, tmp_path: Path, seed: int
) -> None:
    def scheduled(store: Store) -> None:
        opened(store, log)
        promote(store, Gloomy, at_ms=b.T0_MS + 6 * DAY_MS)
        promote(store, b.CountingScorer, at_ms=b.T0_MS + 7 * DAY_MS)

    whole = Store(str(tmp_path / "whole.db"))
    scheduled(whole)
    play(opened(whole, log))
    killed = Store(str(tmp_path / "killed.db"))
    scheduled(killed)
    killed.close()
    chance, kills = random.Random(seed), 0
    while True:
        dying = DyingStore(str(tmp_path / "killed.db"), writes_left=chance.randrange(8, 60), stored=chance.random() < 0.5)
        try:
            play(opened(dying, log), limit=chance.choice((2, 5, 9)))
            break
        except Killed:
            kills += 1
        finally:
            dying.close()
    again = Store(str(tmp_path / "killed.db"))
    assert kills >= 2
    assert b.differences(b.export(whole, LIVE_RUN), b.export(again, LIVE_RUN)) == {}
    whole.close()
    again.close()


# --- a re-scored run as a model's past --------------------------------------------------------------------------------------------
def test_with_its_past_attached_a_promoted_model_is_formed(log: LocalLog, store: Store, tmp_path: Path) -> None:
    made = instruments()
    pipeline = opened(store, log, made)
    promote(store, Twin)
    play(pipeline, until_ms=PROMOTED_MS + DAY_MS)
    before, sent = b.export(store, LIVE_RUN), outbox(store)
    done = rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path)
    assert [row.balance for row in done.rows if row.balance] == []
    assert (b.differences(before, b.export(store, LIVE_RUN)), outbox(store)) == ({}, sent), "live does not move, and nothing pings"
    assert shown_as_forming(store) == (PROMOTED_MS, PROMOTED_MS + FORMING_MS)
    attach_past(store, PAST, now_ms=0)
    with pytest.raises(OwnershipLostError):  # whoever worked without it is fenced, and starts again with it
        play(pipeline)
    with_past = play(opened(store, log, made))
    assert shown_as_forming(store) == (PROMOTED_MS, PROMOTED_MS), "its past is as long as what a new run needs"
    assert with_past.alerts_seen > 0
    with store.read() as connection:
        late = [alert for alert in alerts_of(connection, LIVE_RUN) if alert.opened_ms > PROMOTED_MS + 2 * DAY_MS]
        alerts = alerts_of(connection, LIVE_RUN)
    assert late, "the surge of day 10.2, in what would be forming time"
    assert {alert.versions["model"] for alert in late} == {"fake-2"}
    assert len(alerts) > len(late)
    assert all(explain(store, alert.id, made, run=LIVE_RUN).same for alert in alerts)
    assert [check.shown for check in verify(store, LIVE_RUN, made, log=log) if check.wrong] == []
    assert [check.shown for check in verify(store, PAST, b.instruments(scorer=Twin())) if check.wrong] == []
    with pytest.raises(UsageError, match="is the past of model fake-2 and the live run reads it"):
        begin_drop(store, PAST, now_ms=0)
    with pytest.raises(UsageError, match="it is the past of its model already"):
        attach_past(store, PAST, now_ms=0)


def shown_as_forming(store: Store) -> tuple[int, int] | None:
    with store.read() as connection:
        return forming_span(connection, LIVE_RUN, forming_ms=FORMING_MS)


def outbox(store: Store) -> int:
    with store.read() as connection:
        return len(connection.execute(select(t.outbox.c.alert_id)).all())
