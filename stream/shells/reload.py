"""A promoted model reaches a running process between two batches: loaded beside the old one, and never waited for.

batch ... batch ... [promoted] batch ... batch ... [loaded] batch ...
 old       old                  old       old                new        loading goes on in a thread of its own
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from groundswell.errors import reason_of
from groundswell.logs import logger
from groundswell.metrics import Metrics
from models.scorer import Scorer

POLL_S: Final = 2.0
RETRY_S: Final = 60.0
_log = logger("groundswell.models")


def in_thread(work: Callable[[], None]) -> None:
    """Start work that ends with the process."""
    threading.Thread(target=work, name="groundswell-model", daemon=True).start()


class ScorerHolder:
    """The scorer in force. `current` is called at the start of each batch, by one thread at a time, and returns at once.

    Args:
        scorer: what the process began with.
        load: loads what is in force now; called in a thread of its own; may take seconds and may fail.
        revision: changes when `load` may give another scorer; cheap.
        begun: the revision before `scorer` was loaded.
        start: runs `load`'s work beside the caller; a test may run it at once.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        load: Callable[[], Scorer],
        revision: Callable[[], str],
        begun: str,
        start: Callable[[Callable[[], None]], None] = in_thread,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics: Metrics | None = None
        self._scorer, self._load, self._revision, self._start, self._now_s = scorer, load, revision, start, now_s
        self._tried: str | None = begun  # the revision that is loaded, being loaded, or has failed
        self._next_s = now_s()
        self._loading = threading.Event()
        self._ready: Scorer | None = None
        self._lock = threading.Lock()

    def current(self) -> Scorer:
        """The scorer for the next batch: the newest that has been loaded. Never raises: a model that fails leaves the old one in force."""
        if not self._loading.is_set() and self._now_s() >= self._next_s:
            self._poll()
        with self._lock:
            ready, self._ready = self._ready, None
        if ready is not None and ready.model_id != self._scorer.model_id:
            _log.info("another model scores from here on", model=ready.model_id, before=self._scorer.model_id)
            self._scorer = ready
        return self._scorer

    def _poll(self) -> None:
        self._next_s = self._now_s() + POLL_S
        try:
            revision = self._revision()
        except Exception as error:
            self._failed(error)
            return
        if revision != self._tried:
            self._tried = revision
            self._loading.set()
            self._start(self._work)

    def _work(self) -> None:
        try:
            scorer = self._load()
        except Exception as error:  # whatever is wrong with a new model, the old one goes on
            self._failed(error)
        else:
            with self._lock:
                self._ready = scorer
            if self.metrics is not None:
                self.metrics.observe_model_load("loaded")
        finally:
            self._loading.clear()

    def _failed(self, error: Exception) -> None:
        _log.error("the promoted model cannot be used, the one before goes on", reason=reason_of(error), model=self._scorer.model_id)
        if self.metrics is not None:
            self.metrics.observe_model_load("failed")
        self._tried = None  # and once more after a while: a folder may have been away
        self._next_s = self._now_s() + RETRY_S
