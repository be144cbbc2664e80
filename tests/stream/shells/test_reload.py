"""The holder: a promoted model is there at the next batch, a broken one changes nothing, and no batch waits for either."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from groundswell.errors import BundleError, SettingsError
from groundswell.metrics import Metrics
from models.scorer import Scorer
from stream.shells.reload import POLL_S, RETRY_S, ScorerHolder
from tests.fake_scorer import FakeScorer


def scorer(name: str) -> Scorer:
    made = FakeScorer()
    made.model_id = name
    return made


@dataclass
class Desk:
    """A registry whose state a test sets, a clock that it moves, and what was asked of both."""

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

    def load(self) -> Scorer:
        self.loads.append(self.in_force)
        if self.broken:
            message = "bundle b: the card promises sha256 0"
            raise BundleError(message)
        return scorer(self.in_force)

    def holder(self, *, start: Callable[[Callable[[], None]], None] = lambda work: work()) -> ScorerHolder:
        begun = self.revision()
        self.polls = 0
        made = ScorerHolder(scorer("a"), load=self.load, revision=self.revision, begun=begun, start=start, now_s=lambda: self.now_s)
        made.metrics = Metrics(CollectorRegistry())
        return made

    def later(self, holder: ScorerHolder, by_s: float = POLL_S) -> str:
        self.now_s += by_s
        return holder.current().model_id


def counted(holder: ScorerHolder, result: str) -> float | None:
    assert holder.metrics is not None
    return holder.metrics.registry.get_sample_value("groundswell_model_loads_total", {"result": result})


def test_nothing_is_loaded_while_nothing_is_promoted() -> None:
    desk = Desk()
    holder = desk.holder()
    assert [desk.later(holder) for _ in range(5)] == ["a"] * 5
    assert desk.loads == []


def test_the_registry_is_not_asked_for_every_batch() -> None:
    desk = Desk()
    holder = desk.holder()
    for _ in range(100):
        desk.later(holder, POLL_S / 50)
    assert desk.polls <= 4


def test_a_promoted_model_scores_the_next_batch_once_it_is_loaded() -> None:
    desk = Desk()
    holder = desk.holder()
    desk.in_force = "b"
    assert desk.later(holder) == "b"
    assert desk.later(holder) == "b"
    assert desk.loads == ["b"]
    assert (counted(holder, "loaded"), counted(holder, "failed")) == (1, 0)


def test_a_batch_never_waits_for_a_model_that_is_being_loaded() -> None:
    desk = Desk()
    waiting: list[Callable[[], None]] = []
    holder = desk.holder(start=waiting.append)
    desk.in_force = "b"
    assert [desk.later(holder) for _ in range(3)] == ["a"] * 3
    assert len(waiting) == 1, "one load at a time"
    waiting.pop()()
    assert desk.later(holder) == "b"


def test_a_model_that_fails_to_load_leaves_the_one_before_in_force_and_is_tried_again_later() -> None:
    desk = Desk()
    holder = desk.holder()
    desk.in_force, desk.broken = "b", True
    assert [desk.later(holder) for _ in range(5)] == ["a"] * 5
    assert desk.loads == ["b"]
    assert (counted(holder, "loaded"), counted(holder, "failed")) == (0, 1)
    desk.broken = False
    assert desk.later(holder, RETRY_S) == "b"


def test_a_registry_that_is_away_leaves_the_model_in_force() -> None:
    desk = Desk()
    holder = desk.holder()
    desk.in_force, desk.away = "b", True
    assert desk.later(holder) == "a"
    desk.away = False
    assert desk.later(holder, RETRY_S) == "b"


def test_a_promotion_while_another_model_is_being_loaded_is_not_missed() -> None:
    desk = Desk()
    waiting: list[Callable[[], None]] = []
    holder = desk.holder(start=waiting.append)
    desk.in_force = "b"
    desk.later(holder)
    waiting.pop()()
    desk.in_force = "c"
    assert desk.later(holder) == "b"
    waiting.pop()()
    assert desk.later(holder) == "c"


def test_loading_goes_on_in_a_thread_of_its_own() -> None:
    desk, may_load, loaded = Desk(), threading.Event(), threading.Event()

    def slowly() -> Scorer:
        assert may_load.wait(30)
        loaded.set()
        return scorer("b")

    holder = ScorerHolder(scorer("a"), load=slowly, revision=lambda: "1", begun="0", now_s=lambda: desk.now_s)
    assert desk.later(holder) == "a"
    assert not loaded.is_set()
    may_load.set()
    assert loaded.wait(30)
    for thread in threading.enumerate():
        if thread.name == "groundswell-model":
            thread.join(30)
    assert desk.later(holder) == "b"
