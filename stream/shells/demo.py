"""The demo: the synthetic archive through the embedded pipeline, at speed first, at real pace for its last minutes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

from alerts.rules import Rules
from groundswell.clock import Clock
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.query import alerts_of, balance_of, total
from groundswell.store.store import Store
from ingest.demo_archive import CATALOGUE, DEMO_END, DemoSpec, write_demo
from models.registry import Use
from stream.pipeline import Fold
from stream.shells.backfill import ArchiveOptions, stage_archives
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, load_instruments, open_run

RUN: Final = "demo"
LIVE_MINUTES: Final = 4
IDLE_S: Final = 0.5


@dataclass
class Demo:
    """A demo that has been set up: an empty store, a sealed log, and what plays one into the other."""

    store: Store
    log: LocalLog
    pipeline: EmbeddedPipeline
    instruments: Instruments

    def play_at_speed(self, *, until_ms: int | None = None, alerted: Callable[[list[Alert]], None] = lambda _: None) -> None:
        """Everything known before a moment, as fast as it goes."""
        seen = 0
        while self.pipeline.step(until_ms=until_ms):
            if self.pipeline.alerts_seen > seen:
                alerted(self._alerts()[seen:])
                seen = self.pipeline.alerts_seen

    def play_at_pace(self, clock: Clock, *, alerted: Callable[[list[Alert]], None], stop: Callable[[], bool]) -> None:
        """The rest as it becomes known, by the wall clock, to the archive's end."""
        seen, last_ms = self.pipeline.alerts_seen, self.log.last_known_ms() or 0
        while not stop():
            now_ms = clock.now_ms()
            if not self.pipeline.step(until_ms=now_ms):
                if now_ms > last_ms:
                    break
                time.sleep(IDLE_S)
            if self.pipeline.alerts_seen > seen:
                alerted(self._alerts()[seen:])
                seen = self.pipeline.alerts_seen
        if not stop():
            self.pipeline.finish()

    def _alerts(self) -> list[Alert]:
        with self.store.read() as connection:
            return alerts_of(connection, RUN)

    def summary(self) -> dict[str, Any]:
        """The balance in total and the number of alerts; each term is counted from its own rows or positions."""
        with self.store.read() as connection:
            sums = total(balance_of(connection, RUN, log=self.log))
            alerts = len(alerts_of(connection, RUN))
        return {
            "fetched": sums.fetched,
            "scored": sums.scored,
            "duplicate": sums.duplicate,
            "edited": sums.edited,
            "dropped": sums.dropped,
            "in_flight": sums.in_flight,
            "alerts": alerts,
            "balance": sums.balance,
        }


def set_up(
    folder: Path,
    *,
    end: datetime = DEMO_END,
    spec: DemoSpec | None = None,
    catalogues: Sequence[Path] = (),
    registry: Path | None = None,
    use: Use = "auto",
    fold: Callable[[Rules], Fold] = Fold,
) -> Demo:
    """A fresh demo in a folder of its own; an earlier one there is removed.

    Args:
        folder: where the store and the log lie.
        end: the archive's last moment.
        spec: size and plants; the shipped ones by default.
        catalogues: more companies than the shipped and the demo's own.
        registry: as in `load_instruments`.
        use: as in `load_instruments`.
        fold: the memory to begin with; tests take a guard out of it and see the false alert.
    """
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = folder / "demo.jsonl.gz"
    write_demo(archive, spec, end=end)
    instruments = load_instruments(catalogues=[CATALOGUE, *catalogues], registry=registry, use=use)
    log = stage_archives([archive], folder / "demo.log", ArchiveOptions(), lambda _phase, _done, _total: None)
    store = Store(str(folder / "demo.db"))
    open_run(store, RUN, kind="demo", instruments=instruments)
    return Demo(store, log, EmbeddedPipeline(store, log, RUN, instruments, fold=fold(instruments.rules)), instruments)


def live_end(clock: Clock) -> datetime:
    """An end a few minutes ahead, so that the archive's last minutes can be played at real pace."""
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    return (now + timedelta(minutes=LIVE_MINUTES)).replace(second=0, microsecond=0)
