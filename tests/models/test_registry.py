"""The registry: what is in force changes in one step or not at all, by hand or by many at once, and there is always a way back."""

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundswell.clock import ManualClock
from groundswell.errors import BundleError, NotFoundError, SettingsError, UsageError
from groundswell.records import Document
from models.bundle import Metric
from models.by_language import ByLanguage
from models.registry import LINEAR, PREFERRED, SHIPPED, Registry, State, current_scorer, load_scorer, registry_at, standing, worse_figures
from models.scorer import LINEAR_BUNDLES
from tests.model_bundles import a_linear, an_encoder

T0_MS = 1_789_948_800_000
LOSS = Document(
    document_id="d1", content_hash="c1", source="wire", owner="wire", owner_known=True, kind="news", language="en",
    title="Bank faces a lawsuit after heavy losses", text="", url=None, published_ms=0, published_precision="second", known_ms=0,
)  # fmt: skip


def nobody(_: str) -> list[Any]:
    return []


def no_digest(_: str) -> bytes:
    return b""


@pytest.fixture
def shipped(tmp_path: Path) -> Registry:
    """What a package ships: the linear bundle and an English encoder; nothing is run here."""
    (tmp_path / "package/bundles").mkdir(parents=True)
    shutil.copytree(LINEAR_BUNDLES, tmp_path / "package/bundles/linear")
    return Registry(tmp_path / "package", preferred={"en": "en-tiny", "zh": "zh-tiny"}, can_run=lambda: True)


@pytest.fixture
def registry(tmp_path: Path, shipped: Registry) -> Registry:
    opened = Registry(tmp_path / "own", shipped=shipped, clock=ManualClock(T0_MS))
    for name in ("one", "two", "three"):
        opened.add(an_encoder(tmp_path / "made" / name))
    return opened


# --- what is in force before anybody says so -------------------------------------------------------------------------------
def test_a_shipped_encoder_is_in_force_for_its_language_where_it_is_there_and_can_be_run(shipped: Registry) -> None:
    assert shipped.in_force() == {"en": LINEAR, "zh": LINEAR}
    an_encoder(shipped.root / "bundles/en-tiny")
    assert shipped.in_force() == {"en": "en-tiny", "zh": LINEAR}
    an_encoder(shipped.root / "bundles/zh-tiny", language="zh")
    assert shipped.in_force() == {"en": "en-tiny", "zh": "zh-tiny"}


def test_without_the_libraries_that_run_an_encoder_the_linear_model_is_in_force(shipped: Registry) -> None:
    an_encoder(shipped.root / "bundles/en-tiny")
    bare = Registry(shipped.root, preferred={"en": "en-tiny"}, can_run=lambda: False)
    assert bare.in_force() == {"en": LINEAR, "zh": LINEAR}


def test_the_package_s_own_registry_names_the_bundles_that_it_ships() -> None:
    assert LINEAR in SHIPPED.names()
    assert all(SHIPPED.current(language) in (name, LINEAR) for language, name in PREFERRED.items())
    assert all(name in SHIPPED.names() for name in SHIPPED.in_force().values())


def test_a_setting_without_a_folder_means_what_ships(tmp_path: Path) -> None:
    assert registry_at("") is SHIPPED
    assert registry_at(tmp_path).in_force() == SHIPPED.in_force()
    assert list(tmp_path.iterdir()) == [], "looking creates nothing"


def test_what_ships_is_never_changed(shipped: Registry) -> None:
    for change in (lambda: shipped.promote(LINEAR), lambda: shipped.rollback(), lambda: shipped.add(LINEAR_BUNDLES, name="x")):
        with pytest.raises(UsageError, match=r"set models\.registry to a folder of your own"):
            change()


# --- bundles ---------------------------------------------------------------------------------------------------------------
def test_an_added_bundle_is_a_copy_of_exactly_its_files(registry: Registry, tmp_path: Path) -> None:
    source = an_encoder(tmp_path / "four")
    (source / "notes.txt").write_text("mine")
    assert registry.add(source) == "four"
    (source / "model.onnx").write_bytes(b"changed later")
    found = registry.open("four")
    assert sorted(path.name for path in found.directory.iterdir()) == sorted(found.files)
    assert registry.names() == ["four", "one", "three", "two", LINEAR]


def test_adding_the_same_bundle_again_changes_nothing_and_another_one_of_its_name_is_refused(registry: Registry, tmp_path: Path) -> None:
    assert registry.add(tmp_path / "made/one") == "one"
    other = an_encoder(tmp_path / "other/one", precision="fp32")
    with pytest.raises(UsageError, match="is there already, with other content"):
        registry.add(other)
    assert registry.add(other, name="one-fp32") == "one-fp32"


def test_a_bundle_cannot_take_the_name_of_one_that_ships(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        registry.add(an_encoder(tmp_path / "made/four"), name=LINEAR)


@pytest.mark.parametrize("name", ["../up", "Upper", "a b", ".hidden"])
def test_a_name_that_is_a_path_is_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="its name here is"):
        registry.add(tmp_path / "made/one", name=name)


def test_a_broken_bundle_is_not_added(registry: Registry, tmp_path: Path) -> None:
    broken = an_encoder(tmp_path / "broken")
    (broken / "model.onnx").write_bytes(b"short")
    with pytest.raises(BundleError, match="truncated"):
        registry.add(broken)
    assert "broken" not in registry.names()
    assert [path.name for path in (registry.root / "bundles").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["four", "../made/one", "", "."])
def test_a_bundle_that_is_not_there_is_named_with_those_that_are(registry: Registry, name: str) -> None:
    with pytest.raises(NotFoundError, match="one, three, two, linear"):
        registry.directory(name)


def test_a_bundle_may_be_given_by_its_folder(registry: Registry, tmp_path: Path) -> None:
    assert registry.place("one") == registry.root / "bundles/one"
    assert registry.place(f"{tmp_path}/made/one") == registry.place(tmp_path / "made/one") == tmp_path / "made/one"
    assert registry.place("./one") == Path("one")


# --- promotion and the way back ----------------------------------------------------------------------------------------------
def test_a_promoted_bundle_is_in_force_and_the_record_says_who_when_and_why(registry: Registry) -> None:
    (move,) = registry.promote("one", by="ada", why="better on comments")
    assert registry.in_force() == {"en": "one", "zh": LINEAR}
    assert registry.state().history == [move]
    assert (move.at, move.action, move.bundle, move.before, move.by, move.why) == (
        "2026-09-21T00:00:00Z", "promote", "one", None, "ada", "better on comments",
    )  # fmt: skip


def test_a_bundle_of_two_languages_is_promoted_for_both_or_for_those_asked_for(registry: Registry, tmp_path: Path) -> None:
    registry.add(a_linear(tmp_path / "both"))
    assert [move.language for move in registry.promote("both", languages=["zh"])] == ["zh"]
    assert registry.in_force() == {"en": LINEAR, "zh": "both"}
    assert [move.language for move in registry.promote("both")] == ["en"], "zh is in force already"
    assert registry.promote("both") == []


def test_a_language_that_a_bundle_does_not_have_is_refused(registry: Registry) -> None:
    with pytest.raises(UsageError, match="'one': has en, not 'zh'"):
        registry.promote("one", languages=["zh"])


def test_rollbacks_go_back_one_promotion_at_a_time_down_to_what_ships(registry: Registry) -> None:
    for name in ("one", "two", "three"):
        registry.promote(name)
    seen = []
    for _ in range(3):
        registry.rollback()
        seen.append(registry.current("en"))
    assert seen == ["two", "one", LINEAR]
    with pytest.raises(UsageError, match="no promotion stands"):
        registry.rollback()
    assert [move.action for move in registry.state().history] == ["promote"] * 3 + ["rollback"] * 3


def test_after_a_rollback_a_promotion_begins_anew(registry: Registry) -> None:
    registry.promote("one")
    registry.promote("two")
    registry.rollback()
    registry.promote("three")
    registry.rollback()
    assert registry.current("en") == "one"
    assert standing(registry.state().history, "en") == ["one"]


def test_a_rollback_takes_back_the_last_bundle_for_every_language_that_it_was_promoted_for(registry: Registry, tmp_path: Path) -> None:
    registry.add(a_linear(tmp_path / "both"))
    registry.promote("one")
    registry.promote("both", force=True)
    assert {move.language: move.bundle for move in registry.rollback()} == {"en": "one", "zh": None}
    assert registry.in_force() == {"en": "one", "zh": LINEAR}


def test_a_rollback_of_one_language_leaves_the_other(registry: Registry, tmp_path: Path) -> None:
    registry.add(a_linear(tmp_path / "both"))
    registry.promote("both")
    registry.rollback(languages=["en"])
    assert registry.in_force() == {"en": LINEAR, "zh": "both"}
    with pytest.raises(UsageError, match="no promotion stands for 'en'"):
        registry.rollback(languages=["zh", "en"])
    assert registry.current("zh") == "both", "both or none"


def test_a_rollback_to_a_bundle_that_is_broken_by_now_changes_nothing(registry: Registry) -> None:
    registry.promote("one")
    registry.promote("two")
    (registry.root / "bundles/one/model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match="truncated"):
        registry.rollback()
    assert registry.current("en") == "two"


def test_a_broken_bundle_is_not_promoted(registry: Registry) -> None:
    (registry.root / "bundles/one/tokenizer.json").write_bytes(b"[]")
    with pytest.raises(BundleError, match="promises"):
        registry.promote("one")
    assert registry.state() == State()


def test_a_worse_bundle_needs_force(registry: Registry, tmp_path: Path) -> None:
    registry.add(an_encoder(tmp_path / "worse", metrics={"TFNT accuracy": Metric(0.85, 0.84, 0.86)}))
    registry.promote("one")
    with pytest.raises(UsageError, match=r"is worse than 'one', which is in force for en: TFNT accuracy 0\.850 against 0\.900; .* --force"):
        registry.promote("worse")
    assert registry.current("en") == "one"
    registry.promote("worse", force=True)
    assert registry.current("en") == "worse"


def test_anything_that_works_is_better_than_what_is_broken(registry: Registry, tmp_path: Path) -> None:
    registry.add(an_encoder(tmp_path / "worse", metrics={"TFNT accuracy": Metric(0.5, 0.4, 0.6)}))
    registry.promote("one")
    (registry.root / "bundles/one/model.onnx").unlink()
    registry.promote("worse")
    assert registry.current("en") == "worse"


@pytest.mark.parametrize(
    ("new", "old", "worse"),
    [
        (Metric(0.77), Metric(0.80, 0.78, 0.82), True),
        (Metric(0.79), Metric(0.80, 0.78, 0.82), False),
        (Metric(0.77, 0.75, 0.79), Metric(0.80), True),
        (Metric(0.77, 0.75, 0.81), Metric(0.80), False),
        (Metric(0.785), Metric(0.80), True),
        (Metric(0.795), Metric(0.80), False),
        (Metric(0.90), Metric(0.80), False),
        (Metric(0.05, better="lower"), Metric(0.02, 0.01, 0.03, better="lower"), True),
        (Metric(0.01, better="lower"), Metric(0.02, 0.01, 0.03, better="lower"), False),
        (Metric(0.05, 0.04, 0.06, better="lower"), Metric(0.02, better="lower"), True),
    ],
)
def test_a_figure_is_worse_beyond_what_chance_explains(new: Metric, old: Metric, worse: bool) -> None:
    assert bool(worse_figures({"f": new}, {"f": old})) is worse
    assert worse_figures({"f": new}, {"g": old}) == []


# --- the state on disk -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"\x80\x04", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format": "groundswell-registry-1", "current": {"en": 5}}', "cannot be read"),
        (b'{"format": "groundswell-registry-1", "owner": "x"}', "cannot be read"),
        (b'{"format": "groundswell-registry-9"}', "use the version that wrote it"),
    ],
)
def test_a_state_that_cannot_be_read_stops_every_change_with_the_next_step(registry: Registry, content: bytes, said: str) -> None:
    (registry.root / "current.json").write_bytes(content)
    calls: list[Callable[[], object]] = [registry.state, registry.in_force, lambda: registry.promote("one"), registry.rollback]
    for call in calls:
        with pytest.raises(SettingsError, match=said):
            call()
    assert (registry.root / "current.json").read_bytes() == content


def test_the_revision_changes_with_what_is_in_force_and_not_otherwise(registry: Registry) -> None:
    seen = [registry.revision()]
    changes: list[Callable[[], object]] = [*(partial(registry.promote, name) for name in ("one", "one", "two")), registry.rollback]
    for change in changes:
        change()
        seen.append(registry.revision())
    assert seen[1] == seen[2]
    assert len(set(seen)) == 4
    assert Registry(registry.root).revision() == seen[-1], "the same for every process"


class Interrupted(BaseException):
    """As a signal or the loss of a disk would."""


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_a_promotion_that_dies_half_way_leaves_the_state_before_it(registry: Registry, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    registry.promote("one")
    before = (registry.root / "current.json").read_bytes()

    def dies(*_: Any, **__: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(os, call, dies)
        with pytest.raises(Interrupted):
            registry.promote("two")
    assert (registry.root / "current.json").read_bytes() == before
    assert [path.name for path in registry.root.iterdir() if path.name.startswith(".current")] == []
    registry.promote("two")
    assert registry.current("en") == "two", "the lock was let go"


def test_a_folder_that_cannot_be_written_to_is_a_setting_to_correct(tmp_path: Path, shipped: Registry) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SettingsError, match=r"check the folder that models\.registry names"):
        Registry(tmp_path / "file", shipped=shipped).promote(LINEAR)


def promote_often(root: Path, package: Path, names: Sequence[str], times: int, together: Barrier) -> None:
    registry = Registry(root, shipped=Registry(package))
    together.wait(300)
    for number in range(times):
        registry.promote(names[number % len(names)], by=names[0], force=True)


def test_promotions_by_several_processes_at_once_all_stand_in_the_record_and_readers_never_see_half_of_one(registry: Registry) -> None:
    start = multiprocessing.get_context("spawn")
    together, times = start.Barrier(4), 10
    assert registry.shipped is not None
    given = [("one", "two"), ("two", "three"), ("three", "one")]
    workers = [start.Process(target=promote_often, args=(registry.root, registry.shipped.root, names, times, together)) for names in given]
    for worker in workers:
        worker.start()
    together.wait(300)
    seen = set()
    while any(worker.is_alive() for worker in workers):
        seen.add(registry.current("en"))
        registry.revision()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert seen <= {"one", "two", "three", LINEAR}
    history = registry.state().history
    assert [move.before for move in history[1:]] == [move.bundle for move in history[:-1]], "each saw the one before it"
    assert all(move.before != move.bundle for move in history)
    assert history[-1].bundle == registry.current("en")


def test_threads_that_add_the_same_bundle_end_with_one_copy(registry: Registry, tmp_path: Path) -> None:
    source, names = an_encoder(tmp_path / "four"), []
    together = threading.Barrier(4)

    def add() -> None:
        together.wait(300)
        names.append(Registry(registry.root, shipped=registry.shipped).add(source))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["four"] * 4
    assert [path.name for path in (registry.root / "bundles").iterdir() if "four" in path.name] == ["four"]


def test_the_state_can_be_read_by_people_and_other_programs(registry: Registry) -> None:
    registry.promote("one", by="ada")
    text = (registry.root / "current.json").read_text(encoding="utf-8")
    assert json.loads(text)["current"] == {"en": "one"}
    assert text.count("\n") > 5
    assert (registry.root / "current.json").stat().st_mode & 0o777 == 0o644


# --- scorers -----------------------------------------------------------------------------------------------------------------
def test_the_shipped_linear_scorer_is_the_same_by_name_by_folder_and_by_default() -> None:
    scorers = [load_scorer(place, finder=nobody, digest=no_digest) for place in (LINEAR, LINEAR_BUNDLES, f"{LINEAR_BUNDLES}/")]
    assert {scorer.model_id for scorer in scorers} == {load_scorer(LINEAR, finder=nobody, digest=no_digest).model_id}


def test_the_scorer_in_force_follows_promotions_and_is_put_together_by_language(registry: Registry, tmp_path: Path) -> None:
    registry.add(a_linear(tmp_path / "contrary", slope=-1.0))
    before = current_scorer(registry, finder=nobody, digest=no_digest)
    registry.promote("contrary", languages=["en"], force=True)
    after = current_scorer(registry, finder=nobody, digest=no_digest)
    assert isinstance(after, ByLanguage)
    assert after.languages == before.languages == {"en", "zh"}
    assert after.model_id != before.model_id
    answers = [scorer.score([LOSS, msgspec.structs.replace(LOSS, language="zh", title="银行亏损")]) for scorer in (before, after)]
    (old, old_zh), (new, new_zh) = [[score.sentiment if score else None for score in given] for given in answers]
    assert (old, old_zh, new_zh) == ("negative", "negative", "negative")
    assert new in ("neutral", "positive")
    assert {score.model_id for score in answers[1] if score} == {after.model_id}


def test_linear_can_be_asked_for_whatever_is_in_force(registry: Registry, tmp_path: Path) -> None:
    registry.add(a_linear(tmp_path / "contrary", slope=-1.0))
    registry.promote("contrary", force=True)
    scorer = current_scorer(registry, finder=nobody, digest=no_digest, use="linear")
    assert scorer.model_id == load_scorer(LINEAR, finder=nobody, digest=no_digest).model_id


def cannot_be_run(registry: Registry) -> None:
    registry.promote("one")


def is_altered(registry: Registry) -> None:
    registry.promote("one")
    (registry.root / "bundles/one/model.onnx").write_bytes(b"")


@pytest.mark.parametrize("spoil", [cannot_be_run, is_altered])
def test_a_promoted_bundle_that_cannot_be_used_is_an_error_and_never_another_model_in_silence(
    registry: Registry, spoil: Callable[[Registry], None]
) -> None:
    pytest.importorskip("onnxruntime")
    spoil(registry)
    with pytest.raises(BundleError, match=str(registry.root / "bundles/one")):
        current_scorer(registry, finder=nobody, digest=no_digest)


def test_a_promoted_bundle_that_is_gone_is_named(registry: Registry) -> None:
    registry.promote("one")
    shutil.rmtree(registry.root / "bundles/one")
    with pytest.raises(NotFoundError, match="bundle 'one'"):
        current_scorer(registry, finder=nobody, digest=no_digest)
