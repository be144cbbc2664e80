"""The live embedded shell: crawler, pipeline, desk and sender in one process, around one local log.

    crawler --append--> log --step--> pipeline --outbox--> sender --> mail, Slack, console
                         ^ a punctuation while nothing comes, so that ticks close

Three loops, each with its own connection to the log; whichever fails ends the process, and a supervisor starts it again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from groundswell.clock import Clock
from groundswell.local_log import LocalLog
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.names import LIVE_RUN
from groundswell.probes import Probes
from groundswell.store.store import Store
from ingest.crawler import Crawler
from stream.shells.canaries import CanaryWatch
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, open_run
from stream.shells.lookout import Lookout
from stream.shells.sender import Sender

PUNCTUATION_MS: Final = 5_000
STUCK_MS: Final = 90_000
IDLE_S: Final = 0.3
SEND_S: Final = 2.0
_log = logger("groundswell.live")


@dataclass
class Live:
    """One process that does everything.

    Args:
        store: where everything is stored.
        log: the raw log, for the pipeline's own reading and punctuations; the crawler has another connection.
        instruments: model, rules and catalogue in force.
        crawler: what fills the log; None where another process does.
        targets: what is written into the outbox for each alert.
        sender: what sends the outbox.
        clock: the wall clock.
        lookout: what watches the installation; None in a rehearsal.
        metrics: instruments of this process.
        probes: what it says of itself.
        canaries: what proves the way.
    """

    store: Store
    log: LocalLog
    instruments: Instruments
    crawler: Crawler | None
    targets: Sequence[str]
    sender: Sender
    clock: Clock
    lookout: Lookout | None = None
    metrics: Metrics | None = None
    probes: Probes = field(default_factory=Probes)
    canaries: CanaryWatch | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, or until a loop fails."""
        open_run(self.store, LIVE_RUN, kind="live", instruments=self.instruments)
        pipeline = await asyncio.to_thread(
            EmbeddedPipeline, self.store, self.log, LIVE_RUN, self.instruments, targets=tuple(self.targets), metrics=self.metrics
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pipeline(pipeline, stop))
            group.create_task(self._send(stop))
            if self.crawler:
                group.create_task(self.crawler.run(stop))

    async def _pipeline(self, pipeline: EmbeddedPipeline, stop: asyncio.Event) -> None:
        punctuated_ms = 0
        self.probes.is_ready()
        while not stop.is_set():
            self.probes.beat()
            if await asyncio.to_thread(pipeline.step):
                continue
            now_ms = self.clock.now_ms()
            if now_ms - punctuated_ms >= PUNCTUATION_MS:
                if punctuated_ms and now_ms - punctuated_ms >= STUCK_MS:
                    _log.error("time stood still", seconds=(now_ms - punctuated_ms) // 1000)
                await asyncio.to_thread(self.log.punctuate, now_ms=now_ms)
                punctuated_ms = now_ms
            else:
                await _pause(stop, IDLE_S)

    async def _send(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            deliveries = await self.sender.send_due()
            for delivery in deliveries:
                _log.info("message", target=delivery.target, ok=delivery.ok, reason=delivery.reason)
            if self.metrics:
                self.metrics.observe_deliveries(deliveries)
            if self.lookout:
                await self.lookout.look()
            if self.canaries:
                await self.canaries.look()
            await _pause(stop, SEND_S)
        await self.sender.close()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
