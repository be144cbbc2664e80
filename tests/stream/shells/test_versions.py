"""Versions in force where messages are delivered again and workers come and go: every tick has one set, on all of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.errors import BundleError, DependencyError, OwnershipLostError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN, TICK_MS
from groundswell.records import Envelope
from groundswell.schedule import CATALOGUE, MODEL, RULES, InForce, Schedule
from groundswell.store import schema as t
from groundswell.store.progress import advance, claim
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force, read_schedule
from stream.shells.desk_stage import DeskStage
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.reload import Models
from stream.shells.score_worker import ScorePartition
from stream.shells.versions import ScorersInForce, VersionsInForce, content_of_rules
from stream.shells.wire import FoldItem, RawBatch, RawMessage
from tests import builders as b

PARTS = (3, 5)


class Second(b.CountingScorer):
    """The same answers under another name."""

    model_id = "fake-2"


MODELS = {b"fake-1": b.CountingScorer, b"fake-2": Second}


class Worker:
    """A score worker with two raw partitions, which can load every model that it is told of."""

    def __init__(self, store: Store, scorer: b.CountingScorer) -> None:
        self.scorer, self.store, self.loaded = scorer, store, list[b.CountingScorer]()
        made = replace(b.instruments(scorer=scorer), content=scorer.model_id.encode())
        open_run(store, LIVE_RUN, kind="live", instruments=made)
        models = Models(
            scorer, scorer.model_id.encode(), load=self._load, promoted=lambda: b"", revision=lambda: "1", begun="1", now_ms=lambda: 0,
            start=lambda work: work(), now_s=lambda: 0.0,
        )  # fmt: skip
        models.promoted()
        stage = IntakeStage(store, LIVE_RUN, scorer, shared=True, scorers=ScorersInForce(store, LIVE_RUN, scorer, models))
        self.partitions = {part: ScorePartition.open(stage, part, owner="o", log_id="t", live=True) for part in PARTS}

    def _load(self, content: bytes) -> b.CountingScorer:
        self.loaded.append(MODELS[content]())
        return self.loaded[-1]

    def take(self, part: int, first: int, last: int) -> list[FoldItem]:
        batches: list[RawBatch] = self.partitions[part].take([message(part, offset) for offset in range(first, last)])
        return [item for batch in batches for item in batch.items]


def promote(store: Store, model: bytes, *, at_offset: int) -> None:
    """Put a model in force from a message's time on."""
    put_in_force(store, LIVE_RUN, {MODEL: (model.decode(), model)}, now_ms=b.T0_MS + at_offset * TICK_MS)


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


# --- models ---------------------------------------------------------------------------------------------------------------------
def test_every_partition_goes_over_to_another_model_at_the_same_known_time(store: Store) -> None:
    worker = Worker(store, b.CountingScorer())
    worker.take(3, 0, 1)
    promote(store, b"fake-2", at_offset=4)
    worker.take(3, 1, 7)  # across the border in one batch
    worker.take(5, 0, 3)
    worker.take(5, 3, 6)
    with store.read() as connection:
        a = t.admissions.c
        rows = connection.execute(select(a.part, a.position, a.model_id).order_by(a.part, a.position)).all()
    assert {(part, position): mark for part, position, mark in rows} == {
        (part, position): "fake-2" if position >= 4 else None for part, last in ((3, 7), (5, 6)) for position in range(last)
    }
    assert scored(store) == {"fake-1": 8, "fake-2": 5}


def test_messages_that_are_delivered_again_lead_to_the_same_though_another_model_was_promoted(store: Store) -> None:
    before = Worker(store, b.CountingScorer())
    sent = {part: before.take(part, 0, 2) for part in PARTS}
    promote(store, b"fake-2", at_offset=2)
    sent[3] += before.take(3, 2, 4)  # the process ends before partition 5 does

    after = Worker(store, Second())
    assert after.take(3, 0, 4) == sent[3]
    assert after.take(5, 0, 2) == sent[5]
    assert (after.scorer.scored, after.loaded) == (0, []), "a replay costs no inference, and no model"
    after.take(5, 2, 4)
    assert scored(store) == {"fake-1": 4, "fake-2": 4}


def test_what_was_sent_keeps_its_model_through_a_rollback(store: Store) -> None:
    worker, sent = Worker(store, b.CountingScorer()), []
    for first, model in enumerate([b"fake-1", b"fake-2", b"fake-1"]):
        promote(store, model, at_offset=first)
        sent += worker.take(3, first, first + 1)

    again = Worker(store, b.CountingScorer())
    assert again.take(3, 0, 3) == sent
    assert again.scorer.scored == 0
    assert scored(store) == {"fake-1": 2, "fake-2": 1}


def test_a_worker_with_a_backlog_loads_the_model_that_was_in_force_then(store: Store) -> None:
    Worker(store, b.CountingScorer()).take(3, 0, 6)
    promote(store, b"fake-2", at_offset=6)
    late = Worker(store, Second())
    late.take(5, 0, 8)
    assert [scorer.scored for scorer in late.loaded] == [6]
    assert scored(store) == {"fake-1": 12, "fake-2": 2}


def test_a_worker_that_was_replaced_stores_nothing_though_it_knows_the_next_model(store: Store) -> None:
    zombie = Worker(store, b.CountingScorer())
    zombie.take(3, 0, 1)
    Worker(store, b.CountingScorer())
    promote(store, b"fake-2", at_offset=1)
    with pytest.raises(OwnershipLostError):
        zombie.take(3, 1, 2)
    assert scored(store) == {"fake-1": 1}


# --- the schedule ---------------------------------------------------------------------------------------------------------------
def test_a_version_comes_into_force_at_a_tick_that_nothing_has_come_to_yet(store: Store) -> None:
    worker = Worker(store, b.CountingScorer())
    worker.take(3, 0, 6)
    reached_ms = b.T0_MS + 5 * TICK_MS
    for number, now_ms in enumerate((0, reached_ms + 1, reached_ms + 100 * TICK_MS + 7)):
        (row,) = put_in_force(store, LIVE_RUN, {RULES: content_of_rules(b.rules(forming_days=number + 5))}, now_ms=now_ms)
        assert row.effective_ms % TICK_MS == 0
        assert row.effective_ms > reached_ms + number * TICK_MS
        assert row.effective_ms >= now_ms
    assert put_in_force(store, LIVE_RUN, {RULES: content_of_rules(b.rules(forming_days=7))}, now_ms=0) == [], "it is the last one already"


def test_a_live_run_that_has_read_nothing_yet_goes_on_with_other_instruments(store: Store) -> None:
    for scorer in (b.CountingScorer(), Second(), b.CountingScorer()):
        made = b.instruments(scorer=scorer)
        open_run(store, LIVE_RUN, kind="live", instruments=made)
        claim(store, LIVE_RUN, "score", owner="o")
    with store.read() as connection:
        schedule = read_schedule(connection, LIVE_RUN)
    assert [row.hash for row in schedule.of(MODEL)] == ["fake-1", "fake-2", "fake-1"]
    assert schedule.at(MODEL, b.T0_MS) == "fake-1"


def test_work_that_lies_behind_a_version_it_did_not_know_of_is_not_stored(store: Store) -> None:
    """Nobody can put a version in force behind stored progress; this is work that was not stored yet when it came."""
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
    mine, known = claim(store, LIVE_RUN, "fold", owner="o"), VersionsInForce(LIVE_RUN, b.easy_rules())
    with store.read() as connection:
        known.renew(connection)
    (row,) = put_in_force(store, LIVE_RUN, {RULES: content_of_rules(b.rules(forming_days=9))}, now_ms=b.T0_MS)

    def commit(time_ms: int) -> None:
        with store.write() as connection:
            advance(connection, mine, next_offset=1, time_ms=time_ms, closed_tick=1)
            known.check(connection, before_ms=time_ms)

    with pytest.raises(DependencyError, match=r"a version came into force before .* while this process worked without it; nothing of this"):
        commit(row.effective_ms + TICK_MS)
    commit(row.effective_ms)
    with store.read() as connection:
        known.renew(connection)
    assert [known.rules_at(tick).surge.forming_days for tick in (b.T0_TICK - 1, b.T0_TICK)] == [3, 9]


def test_a_worker_with_another_catalogue_than_the_one_in_force_stops(store: Store) -> None:
    made = b.instruments()
    open_run(store, LIVE_RUN, kind="live", instruments=made)
    (row,) = put_in_force(store, LIVE_RUN, {CATALOGUE: ("new", b"{}")}, now_ms=b.T0_MS)
    old, new, third = (ScorersInForce(store, LIVE_RUN, made.scorer, None, name) for name in ("none", "new", "third"))
    with store.read() as connection:
        for scorers in (old, new, third):
            scorers.renew(connection)
    old.at(row.effective_ms - 1)
    new.at(row.effective_ms - 1)  # it is what comes next: an upgraded worker works off what was left
    new.at(row.effective_ms)
    for scorers, at_ms in ((old, row.effective_ms), (third, 0)):
        with pytest.raises(UsageError, match=r"catalogue new is in force in run 'live' since .*every worker the same companies\.extra"):
            scorers.at(at_ms)


def test_a_run_without_a_schedule_has_what_its_process_was_started_with(store: Store) -> None:
    made = b.instruments()
    in_force = made.in_force("nobody's")
    with store.read() as connection:
        in_force.renew(connection)
    assert (in_force.rules_at(5), in_force.hashes_at(5)) == (made.rules, made.versions)
    assert made.scorers(store, "nobody's").at(5) is made.scorer


def test_a_model_that_nobody_has_is_no_other(store: Store) -> None:
    worker = Worker(store, b.CountingScorer())
    promote(store, b"fake-3", at_offset=1)
    worker.take(3, 0, 1)
    with pytest.raises(BundleError, match="model fake-3: is in force"):
        worker.take(3, 1, 2)


def test_the_schedule_says_what_is_in_force_at_each_moment_and_through_each_span() -> None:
    found = Schedule((InForce(60_000, MODEL, "b"), InForce(0, MODEL, "a"), InForce(120_000, MODEL, "a"), InForce(0, RULES, "r")))
    assert [found.at(MODEL, ms) for ms in (-5, 0, 59_999, 60_000, 120_000)] == ["a", "a", "a", "b", "a"]
    assert found.hashes(60_000) == {MODEL: "b", RULES: "r"}
    assert [found.through(MODEL, *span) for span in ((0, 60_000), (0, 60_001), (60_000, 120_000))] == ["a", None, "b"]
    assert [end for _, end in found.spans(MODEL, "a")] == [60_000, 2**62]
    assert [row.hash for row in found.ahead(MODEL, 70_000)] == ["b", "a"]


# --- rules ----------------------------------------------------------------------------------------------------------------------
def test_rules_change_in_mid_stream_at_one_known_time_and_alerts_name_those_that_made_them(store: Store, tmp_path: Path) -> None:
    """Half of the stream with rules that hear nothing: from their tick on there is no candidate, and before it every one."""
    at_ms, archive = b.T0_MS + 8 * DAY_MS, b.an_archive(7, records=600)
    deaf = b.rules(forming_days=3, stories_min_hour=1_000, stories_min_day=1_000)
    found: dict[str, list[tuple[int, str]]] = {}
    for name, changes in (("easy", []), ("deaf", [(deaf, at_ms)]), ("back", [(deaf, at_ms), (b.easy_rules(), at_ms + DAY_MS)])):
        played = Store(str(tmp_path / f"{name}.db"))
        with b.fill(LocalLog(tmp_path / f"{name}.log"), archive) as log:
            made = b.instruments()
            open_run(played, LIVE_RUN, kind="live", instruments=made)
            pipeline = EmbeddedPipeline(played, log, LIVE_RUN, made)
            for rules, since_ms in changes:
                put_in_force(played, LIVE_RUN, {RULES: content_of_rules(rules)}, now_ms=since_ms)
            while pipeline.step(limit=70):
                pass
            pipeline.finish()
        with played.read() as connection:
            c = t.candidates.c
            rows = connection.execute(select(c.tick, c.candidate_id).order_by(c.tick, c.candidate_id)).all()
            found[name] = [(row.tick * TICK_MS, row.candidate_id) for row in rows]
            alerts = alerts_of(connection, LIVE_RUN)
        assert alerts
        for alert in alerts:
            is_deaf = bool(changes) and at_ms < alert.opened_ms <= at_ms + DAY_MS
            assert alert.versions["rules"] == (deaf if is_deaf else b.easy_rules()).hash
            assert explain(played, alert.id, made, run=LIVE_RUN).same
        played.close()
    before = [one for one in found["easy"] if one[0] < at_ms]
    after = [one for one in found["easy"] if one[0] >= at_ms]
    assert before
    assert after
    assert found["deaf"] == before
    assert {one for one in found["back"] if one[0] >= at_ms} <= {one for one in found["back"] if one[0] >= at_ms + DAY_MS}
    assert len(found["back"]) > len(before)


def test_a_desk_whose_rules_begin_to_look_further_back_remembers_what_a_restarted_one_does(store: Store) -> None:
    short, long = b.easy_rules(), b.easy_rules()
    short = msgspec.structs.replace(short, desk=msgspec.structs.replace(short.desk, incident_quiet_s=600, cooldown_s=600))
    made = b.instruments(short)
    open_run(store, LIVE_RUN, kind="live", instruments=made)
    turn = b.T0_TICK + 4 * b.TICKS_H
    put_in_force(store, LIVE_RUN, {RULES: content_of_rules(long)}, now_ms=turn * TICK_MS)
    first = b.a_candidate(tick=b.T0_TICK)
    second = b.a_candidate(tick=turn, documents=["e1", "e2", "e3", "e4", "e5", "e6"])
    desk = DeskStage(store, LIVE_RUN, made.display, made.in_force(LIVE_RUN))
    with store.write() as connection:
        desk.in_force.renew(connection)
        desk.decide(connection, b.T0_TICK, [first])
        desk.decide(connection, turn - 1, [b.a_candidate(tick=turn - 1, series="entity:brennick", documents=["f1"], level="hold")])
        desk.decide(connection, turn, [second])
        rows = dict(connection.execute(select(t.decisions.c.candidate_id, t.decisions.c.verdict)).all())
    assert rows[second.candidate_id] == "joined", "its series has a live incident, by the rules of this tick"
