"""A model is promoted while the live run goes on: every document has one score that counts, and none is lost, kill or no kill."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from groundswell.codec import decode, encode
from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN, ROLE_SCORE, TICK_MS
from groundswell.records import Alert, Position, Score
from groundswell.store import schema as t
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from models.linear import load_bundle, save_bundle
from models.registry import Registry, registry_at
from models.scorer import LINEAR_BUNDLES, Scorer
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, load_instruments, open_run
from stream.shells.reload import ScorerHolder
from stream.shells.switches import Switch, model_at, read_switches
from tests import archives
from tests import builders as b
from tests.dying_store import DyingStore, Killed

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


def holder_of(load: Callable[[], Scorer], revision: Callable[[], str]) -> ScorerHolder:
    """A holder that looks at the registry before every batch, and loads at once."""
    begun = revision()
    seconds = itertools.count(0.0, 1_000.0)
    return ScorerHolder(load(), load=load, revision=revision, begun=begun, start=lambda work: work(), now_s=lambda: next(seconds))


def scored_to(store: Store) -> int:
    with store.read() as connection:
        return max((row.next_offset for row in progress_of(connection, LIVE_RUN, ROLE_SCORE)), default=0)


def run(store: Store, log: LocalLog, *, promoted_at: int = PROMOTED_AT, limit: int = 1, models: Makers = MODELS) -> EmbeddedPipeline:
    """A process from its start to the log's end; somebody promotes the second model on its way."""
    in_force = ["fake-1"]

    def look() -> None:
        in_force[0] = "fake-2" if scored_to(store) >= promoted_at else "fake-1"

    look()
    holder = holder_of(lambda: models[in_force[0]](), lambda: in_force[0])
    scorer = models[in_force[0]]()
    instruments = replace(b.instruments(scorer=scorer), holder=holder)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments, targets=("console",))
    while pipeline.step(limit=limit):
        look()
    pipeline.finish()
    return pipeline


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
            select(a.part, a.position, a.place, a.document_id, a.content_hash).where(a.run == LIVE_RUN, a.outcome == "scored")
        ).all()
        scores, switches = each_score(connection), read_switches(connection, LIVE_RUN)
        assert {key: models for key, models in scores.items() if len(models) != 1} == {}
        by_model: dict[str, int] = {}
        for part, position, place, document_id, content_hash in counted:
            (model_id,) = scores.pop((document_id, content_hash))
            assert model_id == model_at(switches, Position(part, position, place))
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


def test_the_run_remembers_where_the_model_changed_and_which_is_in_force(store: Store, log: LocalLog) -> None:
    run(store, log)
    with store.read() as connection:
        first, second = read_switches(connection, LIVE_RUN)
        row = connection.execute(select(t.runs).where(t.runs.c.run == LIVE_RUN)).mappings().one()
        version = connection.execute(select(t.versions.c.effective_ms).where(t.versions.c.kind == "model")).scalar_one()
        a = t.admissions.c
        known_ms = connection.execute(select(a.known_ms).where(a.position == second.offset)).scalar_one()
    assert first == Switch("fake-1", None, 0, 0)
    assert (second.model_id, second.part) == ("fake-2", 0)
    assert second.offset >= PROMOTED_AT
    assert second.effective_ms == version == known_ms
    manifest = msgspec.json.decode(row["manifest"])
    assert row["model_id"] == manifest["versions"]["model"] == "fake-2"


def test_a_document_that_was_counted_is_not_counted_again_by_a_later_model(store: Store, tmp_path: Path) -> None:
    with LocalLog(tmp_path / "twice") as log:
        for n in range(6):
            raw = b.a_raw(source="wire", id=f"n{n % 3}", title=f"Aldora debt number {n % 3}", published_ms=b.T0_MS)
            log.append([("document", "wire", encode(raw))], now_ms=b.T0_MS + n * TICK_MS)
        run(store, log, promoted_at=4)  # positions begin at 1: after the third record
        assert check_exactly_once(store, log) == {"fake-1": 3}
        with store.read() as connection:
            outcomes = connection.execute(select(t.admissions.c.outcome).order_by(t.admissions.c.position)).scalars().all()
    assert outcomes == ["scored"] * 3 + ["duplicate"] * 3


def test_an_alert_names_the_model_that_was_in_force_at_its_tick(store: Store, tmp_path: Path) -> None:
    with b.fill(LocalLog(tmp_path / "long"), b.an_archive(7, records=400, days=12)) as log:
        run(store, log, promoted_at=log.records() // 2, limit=7, models={"fake-1": b.CountingScorer, "fake-2": Twin})
    with store.read() as connection:
        switch = read_switches(connection, LIVE_RUN)[-1]
        alerts = [decode(body, Alert) for body in connection.execute(select(t.alerts.c.body)).scalars()]
    for alert in alerts:
        assert alert.versions["model"] == ("fake-2" if switch.effective_ms < alert.opened_ms else "fake-1")
    assert {alert.versions["model"] for alert in alerts} == {"fake-1", "fake-2"}


def test_after_a_rollback_the_first_model_scores_again(store: Store, log: LocalLog) -> None:
    in_force = ["fake-1"]
    holder = holder_of(lambda: MODELS[in_force[0]](), lambda: in_force[0])
    instruments = replace(b.instruments(), holder=holder)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
    for model in ("fake-1", "fake-2", "fake-1"):
        in_force[0] = model
        for _ in range(10):
            pipeline.step(limit=3)
    pipeline.finish()

    check_exactly_once(store, log)
    with store.read() as connection:
        assert [switch.model_id for switch in read_switches(connection, LIVE_RUN)] == ["fake-1", "fake-2", "fake-1"]


def test_only_the_live_run_takes_promoted_models(tmp_path: Path) -> None:
    archives.write(tmp_path / "a.jsonl", [*archives.lines(3, number=120)])
    in_force = iter(["fake-1", *["fake-2"] * 1_000])
    holder = holder_of(lambda: Other(), lambda: next(in_force))
    store = Store(str(tmp_path / "s.db"))
    backfill([tmp_path / "a.jsonl"], store, "r1", replace(b.instruments(), holder=holder), data_dir=tmp_path, options=ArchiveOptions())
    with store.read() as connection:
        assert set(connection.execute(select(t.scores.c.model_id)).scalars()) == {"fake-1"}
    store.close()


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
        first = replace(b.instruments(), holder=None)
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


def test_a_live_run_from_before_there_were_switches_keeps_its_scores(store: Store, log: LocalLog) -> None:
    first = b.instruments()
    open_run(store, LIVE_RUN, kind="live", instruments=first)
    EmbeddedPipeline(store, log, LIVE_RUN, first).step(limit=50)
    with store.write() as connection:
        manifest = msgspec.json.decode(connection.execute(select(t.runs.c.manifest)).scalar_one())
        del manifest["models"]
        connection.execute(t.runs.update().values(manifest=msgspec.json.encode(manifest)))
    second = b.instruments(scorer=Other())
    open_run(store, LIVE_RUN, kind="live", instruments=second)
    pipeline = EmbeddedPipeline(store, log, LIVE_RUN, second)
    while pipeline.step(limit=9):
        pass
    pipeline.finish()

    assert set(check_exactly_once(store, log)) == {"fake-1", "fake-2"}


# --- real bundles --------------------------------------------------------------------------------------------------------------
def contrary_bundle(folder: Path) -> Path:
    """The shipped linear bundles with the signs of their sentiment turned: another model, with other answers."""
    for language in ("en", "zh"):
        model = load_bundle(LINEAR_BUNDLES, language)
        slopes = model.tensors.slopes.copy()
        first = 0
        for head, names in model.card.heads.items():
            if head in ("post", "news"):
                slopes[first : first + len(names)] *= -1
            first += len(names)
        save_bundle(folder, model.card, tensors=msgspec.structs.replace(model.tensors, slopes=slopes))
    shutil.copy(LINEAR_BUNDLES / "lexicon.json", folder / "lexicon.json")
    return folder


def test_a_promoted_linear_bundle_scores_the_rest_of_a_running_stream(store: Store, tmp_path: Path) -> None:
    registry = registry_at(tmp_path / "registry")
    registry.add(contrary_bundle(tmp_path / "contrary"))
    registry.promote("linear", force=True)  # whatever ships
    instruments = with_eager_holder(load_instruments(registry=tmp_path / "registry"), registry)
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    with LocalLog(tmp_path / "log") as log:
        for n in range(60):
            raw = b.a_raw(source="wire", id=f"n{n}", title=f"Veyra Bank number {n} faces a lawsuit after heavy losses", text="")
            log.append([("document", "wire", encode(raw))], now_ms=b.T0_MS + n * 1_000)
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


def with_eager_holder(instruments: Instruments, registry: Registry) -> Instruments:
    def load() -> Scorer:
        return load_instruments(registry=registry.root).scorer

    return replace(instruments, holder=holder_of(load, registry.revision))


def test_a_bundle_that_breaks_after_its_promotion_leaves_the_model_before_in_force(store: Store, log: LocalLog, tmp_path: Path) -> None:
    registry = registry_at(tmp_path / "registry")
    registry.add(contrary_bundle(tmp_path / "contrary"))
    registry.promote("linear", force=True)  # whatever ships
    instruments = with_eager_holder(load_instruments(registry=tmp_path / "registry"), registry)
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
