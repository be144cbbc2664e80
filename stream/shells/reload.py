"""The models of a running process: the one in force, the next one, and an earlier one that a backlog still needs.

    registry: B promoted --> loaded in a thread --> proposed: put in force a minute ahead (intake_stage.py)
    schedule: B from 10:00 --> every other process loads it in a thread --> the first document known at 10:00 is scored by B

Loading goes on beside the work, which waits for it only when a document needs a model that is not there yet. One that cannot be had
then ends the process: it must not use another.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from groundswell.errors import reason_of
from groundswell.logs import logger
from groundswell.metrics import LoadResult, Metrics
from models.scorer import Scorer

POLL_S: Final = 2.0
RETRY_S: Final = 60.0
KEPT_MAX: Final = 3
"""Models that a process keeps in memory: before, now and next."""

Load = Callable[[bytes], Scorer]
"""A version's content -> its scorer."""

_log = logger("groundswell.models")


def in_thread(work: Callable[[], None]) -> None:
    """Start work that ends with the process."""
    threading.Thread(target=work, name="groundswell-model", daemon=True).start()


class Models:
    """Scorers by their id. Called by one thread at a time; only `promoted` may be asked at every batch, and returns at once.

    Args:
        scorer: what the process began with.
        content: what its version holds.
        load: makes a scorer of a version's content; may take seconds and may fail.
        promoted: the content of what the registry has in force now.
        revision: changes when `promoted` may have; cheap.
        begun: the revision before `scorer` was loaded.
        now_ms: the wall clock, for the moment from which a promoted model is in force.
        start: runs loading beside the caller; a test may run it at once.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        scorer: Scorer,
        content: bytes,
        *,
        load: Load,
        promoted: Callable[[], bytes],
        revision: Callable[[], str],
        begun: str,
        now_ms: Callable[[], int],
        start: Callable[[Callable[[], None]], None] = in_thread,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics: Metrics | None = None
        self.now_ms = now_ms
        self._load, self._promoted, self._revision, self._start, self._now_s = load, promoted, revision, start, now_s
        self._tried: str | None = begun  # the revision that is loaded, being loaded, or has failed
        self._next_s = now_s()
        self._idle = threading.Event()  # nothing is being loaded
        self._idle.set()
        self._lock = threading.Lock()
        self._kept: dict[str, Scorer] = {scorer.model_id: scorer}
        self._failed: dict[str, str] = {}  # model -> why it cannot be had
        self._ready: tuple[Scorer, bytes] | None = scorer, content  # what to propose: at first what the process began with

    # --- what the registry says --------------------------------------------------------------------------------------------
    def promoted(self) -> tuple[Scorer, bytes] | None:
        """A model that has to be put in force, with what its version holds; told once. Never raises, never waits."""
        if self._idle.is_set() and self._now_s() >= self._next_s:
            self._poll()
        with self._lock:
            ready, self._ready = self._ready, None
        return ready

    def _poll(self) -> None:
        self._next_s = self._now_s() + POLL_S
        try:
            revision = self._revision()
        except Exception as error:
            self._not_now(error)
            return
        if revision != self._tried:
            self._tried = revision
            self._begin(self._load_promoted)

    def _begin(self, work: Callable[[], None]) -> None:
        self._idle.clear()

        def loading() -> None:
            try:
                work()
            finally:
                self._idle.set()

        self._start(loading)

    def _load_promoted(self) -> None:
        try:
            content = self._promoted()
            scorer = self._load(content)
        except Exception as error:  # whatever is wrong with a new model, the old one goes on
            self._not_now(error)
            return
        self._keep(scorer)
        with self._lock:
            self._ready = scorer, content

    def _not_now(self, error: Exception) -> None:
        _log.error("the promoted model cannot be used, the one before goes on", reason=reason_of(error))
        self._count("failed")
        self._tried = None  # and once more after a while: a folder may have been away
        self._next_s = self._now_s() + RETRY_S

    # --- what the schedule says --------------------------------------------------------------------------------------------
    def expect(self, model_id: str, content: bytes) -> None:
        """A model will be needed: load it beside the work. At most one is loaded at a time; asked again, the next one is."""
        if model_id not in self._kept and model_id not in self._failed and self._idle.is_set():
            self._begin(lambda: self._fetch(model_id, content))

    def get(self, model_id: str, content: bytes) -> Scorer | None:
        """A model that is needed now: waits for it. None where it cannot be had; `why_not` says why."""
        if model_id not in self._kept:
            self._idle.wait()
        if model_id not in self._kept and model_id not in self._failed:
            self._fetch(model_id, content)
        with self._lock:
            return self._kept.get(model_id)

    def why_not(self, model_id: str) -> str:
        """Why a model cannot be had."""
        return self._failed.get(model_id, "nobody asked for it")

    def _fetch(self, model_id: str, content: bytes) -> None:
        try:
            scorer = self._load(content)
        except Exception as error:
            self._failed[model_id] = reason_of(error)
            self._count("failed")
            return
        if scorer.model_id != model_id:
            self._failed[model_id] = f"the bundles of that name here are {scorer.model_id}"
            self._count("failed")
            return
        self._keep(scorer)

    def _keep(self, scorer: Scorer) -> None:
        with self._lock:
            self._kept.pop(scorer.model_id, None)
            self._kept[scorer.model_id] = scorer
            for oldest in list(self._kept)[:-KEPT_MAX]:
                del self._kept[oldest]
        self._failed.pop(scorer.model_id, None)
        self._count("loaded")

    def _count(self, result: LoadResult) -> None:
        if self.metrics is not None:
            self.metrics.observe_model_load(result)
