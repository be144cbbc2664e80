"""A model is promoted while the live run goes on: every document has one score that counts, and none is lost, kill or no kill."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from groundswell.codec import canonical, decode, encode
from groundswell.errors import BundleError
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN, ROLE_SCORE, TICK_MS
from groundswell.records import Alert, Score
from groundswell.schedule import MODEL, InForce
from groundswell.store import schema as t
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force, read_schedule
from models.registry import Registry, registry_at
from models.scorer import Scorer
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, load_instruments, open_run
from stream.shells.reload import Models
from stream.shells.verify import verify
from tests import archives
from tests import builders as b
from tests.dying_store import DyingStore, Killed
from tests.model_bundles import a_linear

PROMOTED_AT = 40
"""The second model is promoted when the store has come to this position of the log."""


class Other(b.CountingScorer):
    """Sees everything as positive, and can read what the first model cannot."""

    model_id = "fake-2"

    def score(self, documents: Any) -> list[Score | None]:
        readable = [msgspec.structs.replace(d, title=d.title.replace(b.UNREAD, "").replace("unscorable", "")) for d in documents]
        return [
            answer and msgspec.structs.replace(answer, sentiment="positive", negative_ppm=0, neutral_ppm=0, positive_ppm=1_000_000)
            for answer in super().score(readable)
        ]


class Twin(b.CountingScorer):
    """Another model that answers as the first."""

    model_id = "fake-2"


Makers = dict[str, Callable[[], b.CountingScorer]]
MODELS: Makers = {"fake-1": b.CountingScorer, "fake-2": Other}


def eager(load: Callable[[bytes], Scorer], promoted: Callable[[], bytes], revision: Callable[[], str] | None = None) -> Models:
    """Models that look at the registry before every batch, load at once, and are in force from the next tick on."""
    revised = revision or (lambda: promoted().decode())
    begun, content = revised(), promoted()
    seconds = itertools.count(0.0, 1_000.0)
    return Models(
        load(content),
        content,
        load=load,
        promoted=promoted,
        revision=revised,
        begun=begun,
        now_ms=lambda: 0,
        start=lambda work: work(),
        now_s=lambda: next(seconds),
    )


def made_with(models: Models, promoted: bytes) -> Instruments:
    """A process's instruments, begun with what is promoted."""
    scorer = models.get(promoted.decode(), promoted)
    assert isinstance(scorer, b.CountingScorer)
    return replace(b.instruments(scorer=scorer), models=models, content=promoted)


def scored_to(store: Store) -> int:
    with store.read() as connection:
        return max((row.next_offset for row in progress_of(connection, LIVE_RUN, ROLE_SCORE)), default=0)


def run(store: Store, log: LocalLog, *, promoted_at: int = PROMOTED_AT, limit: int = 1, models: Makers = MODELS) -> EmbeddedPipeline:
    """A process from its start to the log's end; somebody promotes the second model on its way."""
    in_force = [b"fake-1"]

    def look() -> None:
        in_force[0] = b"fake-2" if scored_to(store) >= promoted_at else b"fake-1"

    look()
    instruments = made_with(eager(lambda content: models[content.decode()](), lambda: in_force[0]), in_force[0])
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments, targets=("console",))
    while pipeline.step(limit=limit):
        look()
    pipeline.finish()
    return pipeline


def play(pipeline: EmbeddedPipeline, *, limit: int) -> None:
    while pipeline.step(limit=limit):
        pass


def each_score(connection: Connection) -> dict[tuple[str, str], list[str]]:
    """{(document, content): models that have scored it}."""
    found: dict[tuple[str, str], list[str]] = {}
    s = t.scores.c
    for document_id, content_hash, model_id in connection.execute(select(s.document_id, s.content_hash, s.model_id)):
        found.setdefault((document_id, content_hash), []).append(model_id)
    return found


def check_exactly_once(store: Store, log: LocalLog) -> dict[str, int]:
    """Every document that counts has one score, by the model that was in force at its place; returns how many each model has."""
    with store.read() as connection:
        a = t.admissions.c
        counted = connection.execute(
            select(a.known_ms, a.model_id, a.document_id, a.content_hash).where(a.run == LIVE_RUN, a.outcome == "scored")
        ).all()
        scores, schedule = each_score(connection), read_schedule(connection, LIVE_RUN)
        assert {key: models for key, models in scores.items() if len(models) != 1} == {}
        by_model: dict[str, int] = {}
        for known_ms, mark, document_id, content_hash in counted:
            (model_id,) = scores.pop((document_id, content_hash))
            assert model_id == schedule.at(MODEL, known_ms) == (mark or schedule.of(MODEL)[0].hash)
            by_model[model_id] = by_model.get(model_id, 0) + 1
        assert scores == {}, "scores of documents that do not count"
        i = t.increments.c
        folded = connection.execute(select(func.sum(i.documents)).where(i.run == LIVE_RUN, i.series.like("topic:%"))).scalar_one()
        assert folded == len(counted) > 0
        assert [row for row in balance_of(connection, LIVE_RUN, log=log) if row.balance] == []
    return by_model


@pytest.fixture(scope="module")
def archive() -> list[tuple[int, str, str, bytes]]:
    return b.an_archive(7, records=90, days=4)


@pytest.fixture
def log(archive: list[tuple[int, str, str, bytes]], tmp_path: Path) -> Iterator[LocalLog]:
    with LocalLog(tmp_path / "log") as opened:
        yield b.fill(opened, archive)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


# --- what a promotion does ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("limit", [1, 7, 1_000])
def test_what_comes_after_a_promotion_is_scored_by_the_new_model_and_nothing_twice(store: Store, log: LocalLog, limit: int) -> None:
    run(store, log, limit=limit)
    by_model = check_exactly_once(store, log)
    assert set(by_model) == ({"fake-1", "fake-2"} if limit < 1_000 else {"fake-1"})


def models_of(store: Store) -> list[InForce]:
    with store.read() as connection:
        return read_schedule(connection, LIVE_RUN).of(MODEL)


def test_the_run_remembers_when_the_model_changed_and_which_is_in_force(store: Store, log: LocalLog) -> None:
    run(store, log)
    with store.read() as connection:
        row = connection.execute(select(t.runs).where(t.runs.c.run == LIVE_RUN)).mappings().one()
        a = t.admissions.c
        promoted_ms = connection.execute(select(func.max(a.known_ms)).where(a.position < PROMOTED_AT)).scalar_one()
    assert models_of(store) == [InForce(0, MODEL, "fake-1"), InForce((promoted_ms // TICK_MS + 1) * TICK_MS, MODEL, "fake-2")]
    manifest = msgspec.json.decode(row["manifest"])
    assert row["model_id"] == manifest["versions"]["model"] == "fake-2"


def test_a_promotion_a_minute_ahead_is_no_documents_before_it(store: Store, tmp_path: Path) -> None:
    """Loaded at once, but in force only from a known time on: the same for every worker, however soon each one has it."""
    at_ms = [b.T0_MS + n * 20_000 for n in range(8)]
    in_force = [b"fake-1"]
    models = eager(lambda content: MODELS[content.decode()](), lambda: in_force[0])
    models.now_ms = lambda: b.T0_MS + 60_000
    instruments = made_with(models, in_force[0])
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    in_force[0] = b"fake-2"
    with LocalLog(tmp_path / "minute") as log:
        for n, known_ms in enumerate(at_ms):
            raw = b.a_raw(source="wire", id=f"n{n}", title=f"Aldora debt number {n}", published_ms=known_ms)
            log.append([("document", "wire", encode(raw))], now_ms=known_ms)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        pipeline.step()  # all of them in one batch
        pipeline.finish()
        assert check_exactly_once(store, log) == {"fake-1": 3, "fake-2": 5}


def test_a_document_that_was_counted_is_not_counted_again_by_a_later_model(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "twice") as log:
        for n in range(6):
            raw = b.a_raw(source="wire", id=f"n{n % 3}", title=f"Aldora debt number {n % 3}", published_ms=b.T0_MS)
            log.append([("document", "wire", encode(raw))], now_ms=b.T0_MS + n * TICK_MS)
        run(store, log, promoted_at=4, models={"fake-1": b.CountingScorer, "fake-2": Twin})  # positions begin at 1: after the third record
        assert check_exactly_once(store, log) == {"fake-1": 3}
        with store.read() as connection:
            outcomes = connection.execute(select(t.admissions.c.outcome).order_by(t.admissions.c.position)).scalars().all()
    assert outcomes == ["scored"] * 3 + ["duplicate"] * 3


def test_an_alert_names_the_model_that_was_in_force_at_its_tick(store: Store, tmp_path: Path) -> None:
    with b.fill(LocalLog(tmp_path / "long"), b.an_archive(7, records=400, days=12)) as log:
        run(store, log, promoted_at=log.records() // 2, limit=7, models={"fake-1": b.CountingScorer, "fake-2": Twin})
    with store.read() as connection:
        switch = read_schedule(connection, LIVE_RUN).of(MODEL)[-1]
        alerts = [decode(body, Alert) for body in connection.execute(select(t.alerts.c.body)).scalars()]
    for alert in alerts:
        assert alert.versions["model"] == ("fake-2" if switch.effective_ms < alert.opened_ms else "fake-1")
    assert {alert.versions["model"] for alert in alerts} == {"fake-1", "fake-2"}


def test_after_a_rollback_the_first_model_scores_again(store: Store, log: LocalLog) -> None:
    in_force = [b"fake-1"]
    instruments = made_with(eager(lambda content: MODELS[content.decode()](), lambda: in_force[0]), in_force[0])
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
    for model in (b"fake-1", b"fake-2", b"fake-1"):
        in_force[0] = model
        for _ in range(10):
            pipeline.step(limit=3)
    pipeline.finish()

    check_exactly_once(store, log)
    assert [row.hash for row in models_of(store)] == ["fake-1", "fake-2", "fake-1"]


def test_only_the_live_run_takes_promoted_models(tmp_path: Path) -> None:
    archives.write(tmp_path / "a.jsonl", [*archives.lines(3, number=120)])
    revisions = iter(str(n) for n in range(10_000))
    models = eager(lambda _: b.CountingScorer(), lambda: b"fake-1", lambda: next(revisions))
    instruments = made_with(models, b"fake-1")
    store = Store(str(tmp_path / "s.db"))
    backfill([tmp_path / "a.jsonl"], store, "r1", instruments, data_dir=tmp_path, options=ArchiveOptions())
    with store.read() as connection:
        assert set(connection.execute(select(t.scores.c.model_id)).scalars()) == {"fake-1"}
    assert int(next(revisions)) == 1, "the registry was not even asked"
    store.close()


def test_a_model_that_others_put_in_force_and_that_cannot_be_had_here_ends_the_process_at_its_time(store: Store, log: LocalLog) -> None:
    instruments = b.instruments()
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
    pipeline.step(limit=20)
    (row,) = put_in_force(store, LIVE_RUN, {MODEL: ("elsewhere", b"{}")}, now_ms=0)
    reason = r"model elsewhere: is in force in run 'live' since .*cannot be had here: this process was started"
    with pytest.raises(BundleError, match=reason):
        play(pipeline, limit=1)
    with store.read() as connection:
        last_ms = connection.execute(select(func.max(t.admissions.c.known_ms))).scalar_one()
        assert set(connection.execute(select(t.scores.c.model_id)).scalars()) == {"fake-1"}
    assert last_ms < row.effective_ms


def test_what_a_former_model_has_left_is_scored_by_the_next_one_where_an_upgrade_took_it_away(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "upgrade") as log:
        for n in range(4):
            raw = b.a_raw(source="wire", id=f"n{n}", title=f"Aldora debt number {n}", published_ms=b.T0_MS)
            log.append([("document", "wire", encode(raw))], now_ms=b.T0_MS + n * 1_000)  # one tick
        first = b.instruments()
        open_run(store, LIVE_RUN, kind="live", instruments=first)
        EmbeddedPipeline(store, log, LIVE_RUN, first).step(limit=2)
        second = b.instruments(scorer=Twin())
        open_run(store, LIVE_RUN, kind="live", instruments=second)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, second)
        while pipeline.step():
            pass
        pipeline.finish()
        with store.read() as connection:
            a, i = t.admissions.c, t.increments.c
            marks = connection.execute(select(a.model_id).order_by(a.position)).scalars().all()
            folded = connection.execute(select(func.sum(i.documents)).where(i.series.like("topic:%"))).scalar_one()
            assert [check.shown for check in verify(store, LIVE_RUN, second, log=log) if check.wrong] == []
    assert (marks, folded) == ([None, None, "fake-2", "fake-2"], 4)


# --- kills -------------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def undisturbed(archive: list[tuple[int, str, str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Store(str(folder / "s.db"))
    with b.fill(LocalLog(folder / "log"), archive) as log:
        run(store, log)
    rows = b.export(store, LIVE_RUN)
    store.close()
    return rows


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("writes", [*range(PROMOTED_AT - 4, PROMOTED_AT + 30, 4), 90])
def test_a_process_that_dies_around_a_promotion_goes_on_to_the_same_rows(
    log: LocalLog, undisturbed: dict[str, list[tuple[Any, ...]]], tmp_path: Path, writes: int, stored: bool
) -> None:
    dying = DyingStore(str(tmp_path / "d.db"), writes_left=writes, stored=stored)
    with pytest.raises(Killed):
        run(dying, log)
    dying.close()
    store = Store(str(tmp_path / "d.db"))
    run(store, log)

    assert set(check_exactly_once(store, log)) == {"fake-1", "fake-2"}
    assert b.differences(undisturbed, b.export(store, LIVE_RUN)) == {}
    store.close()


def test_what_the_first_model_refused_stays_a_drop_when_it_is_met_again_by_one_that_could_read_it(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "refused") as log:
        for n, title in enumerate((f"Aldora {b.UNREAD} debt", "Brennick debt profit")):
            log.append([("document", "wire", encode(b.a_raw(source="wire", id=f"n{n}", title=title)))], now_ms=b.T0_MS + n)
        first = b.instruments()
        open_run(store, LIVE_RUN, kind="live", instruments=first)
        EmbeddedPipeline(store, log, LIVE_RUN, first).step()  # both are stored, neither is folded: a restart meets them again
        second = b.instruments(scorer=Other())
        open_run(store, LIVE_RUN, kind="live", instruments=second)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, second)
        pipeline.step()
        pipeline.finish()

        assert check_exactly_once(store, log) == {"fake-1": 1}
        assert isinstance(second.scorer, Other)
        assert second.scorer.scored == 0, "a replay costs no inference"
        with store.read() as connection:
            assert connection.execute(select(t.drops.c.position)).scalars().all() == [1]


# --- real bundles --------------------------------------------------------------------------------------------------------------
def test_a_promoted_linear_bundle_scores_the_rest_of_a_running_stream(store: Store, tmp_path: Path) -> None:
    registry, instruments = a_registry(tmp_path)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    with LocalLog(tmp_path / "log") as log:
        for n in range(60):
            raw = b.a_raw(source="wire", id=f"n{n}", title=f"Veyra Bank number {n} faces a lawsuit after heavy losses", text="")
            log.append([("document", "wire", encode(raw))], now_ms=b.T0_MS + n * TICK_MS)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        pipeline.step(limit=25)
        registry.promote("contrary", by="test", force=True)
        while pipeline.step(limit=25):
            pass
        pipeline.finish()

        by_model = check_exactly_once(store, log)
    assert sorted(by_model.values()) == [25, 35]
    with store.read() as connection:
        s = t.scores.c
        said = connection.execute(select(s.model_id, s.sentiment, func.count()).group_by(s.model_id, s.sentiment)).all()
    sentiments = {(model_id == instruments.scorer.model_id, sentiment) for model_id, sentiment, _ in said}
    assert (True, "negative") in sentiments
    assert (False, "negative") not in sentiments


def a_registry(folder: Path) -> tuple[Registry, Instruments]:
    """A registry with the shipped linear models in force and their contrary beside them, and what a process makes of it."""
    registry = registry_at(folder / "registry")
    registry.add(a_linear(folder / "contrary", slope=-1.0))
    registry.promote("linear", force=True)  # whatever ships
    instruments = load_instruments(registry=registry.root)
    assert instruments.models is not None

    def load(content: bytes) -> Scorer:
        return load_instruments(registry=registry.root, bundles=msgspec.json.decode(content)["bundles"]).scorer

    def promoted() -> bytes:
        return canonical({"bundles": registry.in_force()})

    return registry, replace(instruments, models=eager(load, promoted, registry.revision), content=promoted())


def test_a_bundle_that_breaks_after_its_promotion_leaves_the_model_before_in_force(store: Store, log: LocalLog, tmp_path: Path) -> None:
    registry, instruments = a_registry(tmp_path)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
    pipeline.step(limit=30)
    registry.promote("contrary", by="test", force=True)
    tensors = tmp_path / "registry" / "bundles" / "contrary" / "en.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:1_000])
    while pipeline.step(limit=30):
        pass
    pipeline.finish()

    assert set(check_exactly_once(store, log)) == {instruments.scorer.model_id}
