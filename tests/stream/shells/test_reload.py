"""The models of a process: a promoted one is proposed once it is loaded, a broken one changes nothing, and no batch waits for either."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from groundswell.errors import BundleError, SettingsError
from groundswell.metrics import Metrics
from models.scorer import Scorer
from stream.shells.reload import KEPT_MAX, POLL_S, RETRY_S, Models
from tests.fake_scorer import FakeScorer


def scorer(name: str) -> Scorer:
    made = FakeScorer()
    made.model_id = name
    return made


@dataclass
class Desk:
    """A registry whose state a test sets, a clock that it moves, and what was asked of both. A version's content is its model's name."""

    in_force: str = "a"
    broken: bool = False
    away: bool = False
    now_s: float = 0.0
    loads: list[str] = field(default_factory=list)
    polls: int = 0

    def revision(self) -> str:
        self.polls += 1
        if self.away:
            message = "registry: cannot be read"
            raise SettingsError(message)
        return f"revision with {self.in_force}"

    def load(self, content: bytes) -> Scorer:
        self.loads.append(content.decode())
        if self.broken:
            message = "bundle b: the card promises sha256 0"
            raise BundleError(message)
        return scorer(content.decode())

    def models(
        self, *, start: Callable[[Callable[[], None]], None] = lambda work: work(), load: Callable[[bytes], Scorer] | None = None
    ) -> Models:
        made = Models(
            scorer("a"),
            b"a",
            load=load or self.load,
            promoted=lambda: self.in_force.encode(),
            revision=self.revision,
            begun=self.revision(),
            now_ms=lambda: 0,
            start=start,
            now_s=lambda: self.now_s,
        )
        made.metrics = Metrics(CollectorRegistry())
        made.promoted()  # what it began with
        self.polls = 0
        return made

    def later(self, models: Models, by_s: float = POLL_S) -> str | None:
        """What is proposed so much later."""
        self.now_s += by_s
        found = models.promoted()
        return None if found is None else found[0].model_id


def counted(models: Models, result: str) -> float | None:
    assert models.metrics is not None
    return models.metrics.registry.get_sample_value("groundswell_model_loads_total", {"result": result})


def test_what_a_process_begins_with_is_proposed_once() -> None:
    models = Models(
        scorer("a"),
        b"a",
        load=lambda _: scorer("a"),
        promoted=lambda: b"a",
        revision=lambda: "1",
        begun="1",
        now_ms=lambda: 0,
        now_s=lambda: 0.0,
    )
    assert [found and (found[0].model_id, found[1]) for found in (models.promoted(), models.promoted())] == [("a", b"a"), None]


def test_nothing_is_loaded_while_nothing_is_promoted() -> None:
    desk = Desk()
    models = desk.models()
    assert [desk.later(models) for _ in range(5)] == [None] * 5
    assert desk.loads == []


def test_the_registry_is_not_asked_for_every_batch() -> None:
    desk = Desk()
    models = desk.models()
    for _ in range(100):
        desk.later(models, POLL_S / 50)
    assert desk.polls <= 4


def test_a_promoted_model_is_proposed_once_it_is_loaded_and_is_there_when_it_is_needed() -> None:
    desk = Desk()
    models = desk.models()
    desk.in_force = "b"
    assert [desk.later(models) for _ in range(2)] == ["b", None]
    found = models.get("b", b"b")
    assert found is not None
    assert (found.model_id, desk.loads) == ("b", ["b"])
    assert (counted(models, "loaded"), counted(models, "failed")) == (1, 0)


def test_a_batch_never_waits_for_a_model_that_is_only_promoted() -> None:
    desk = Desk()
    waiting: list[Callable[[], None]] = []
    models = desk.models(start=waiting.append)
    desk.in_force = "b"
    assert [desk.later(models) for _ in range(3)] == [None] * 3
    assert len(waiting) == 1, "one load at a time"
    waiting.pop()()
    assert desk.later(models) == "b"


def test_a_model_that_fails_to_load_is_not_proposed_and_is_tried_again_later() -> None:
    desk = Desk()
    models = desk.models()
    desk.in_force, desk.broken = "b", True
    assert [desk.later(models) for _ in range(5)] == [None] * 5
    assert desk.loads == ["b"]
    assert (counted(models, "loaded"), counted(models, "failed")) == (0, 1)
    desk.broken = False
    assert desk.later(models, RETRY_S) == "b"


def test_a_registry_that_is_away_changes_nothing() -> None:
    desk = Desk()
    models = desk.models()
    desk.in_force, desk.away = "b", True
    assert desk.later(models) is None
    desk.away = False
    assert desk.later(models, RETRY_S) == "b"


def test_a_promotion_while_another_model_is_being_loaded_is_not_missed() -> None:
    desk = Desk()
    waiting: list[Callable[[], None]] = []
    models = desk.models(start=waiting.append)
    desk.in_force = "b"
    desk.later(models)
    desk.in_force = "c"
    waiting.pop()()
    assert desk.later(models) == "c", "what is in force when it is loaded"


def test_loading_goes_on_in_a_thread_of_its_own_and_who_needs_the_model_waits_for_it() -> None:
    desk, may_load, got = Desk(), threading.Event(), list[Scorer | None]()

    def slowly(content: bytes) -> Scorer:
        assert may_load.wait(180)
        return scorer(content.decode())

    models = Models(
        scorer("a"), b"a", load=slowly, promoted=lambda: b"b", revision=lambda: "1", begun="1", now_ms=lambda: 0, now_s=lambda: desk.now_s
    )
    models.expect("b", b"b")
    waits = threading.Thread(target=lambda: got.append(models.get("b", b"b")))
    waits.start()
    assert got == []
    may_load.set()
    waits.join(180)
    assert [found and found.model_id for found in got] == ["b"]


def test_a_model_that_cannot_be_had_or_is_another_one_says_why() -> None:
    desk = Desk()
    models = desk.models()
    assert models.get("b", b"c") is None
    assert models.why_not("b") == "the bundles of that name here are c"
    desk.broken = True
    assert models.get("d", b"d") is None
    assert models.why_not("d") == "bundle b: the card promises sha256 0"
    assert desk.loads == ["c", "d"]
    models.expect("d", b"d")
    assert desk.loads == ["c", "d"], "what has failed is not tried at every batch"


def test_a_process_keeps_few_models_and_loads_an_earlier_one_again_when_it_is_needed() -> None:
    desk = Desk()
    models = desk.models()
    names = [f"m{n}" for n in range(KEPT_MAX)]
    for name in [*names, names[-1], "a"]:
        assert models.get(name, name.encode()) is not None
    assert desk.loads == [*names, "a"]
