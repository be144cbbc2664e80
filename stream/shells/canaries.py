"""Watch for canaries at the desk: store that one came through, tell the targets that watch the way, and notice one that is missing.

    crawler -> log -> score -> fold (series "canary") -> desk: its tick is decided -> a stored row -> mail, Slack

It runs beside whoever sends: the desk, or the embedded process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from alerts.notify.base import Notifier
from alerts.notify.notice import canary_message
from groundswell.clock import Clock
from groundswell.errors import reason_of
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.names import TICK_MS
from groundswell.store.canaries import Canary, decided_canaries, keep_canary, last_canary, tell_of_canary
from groundswell.store.conditions import end, hold
from groundswell.store.store import Store

GRACE_MS: Final = 300_000
"""How late one may be before it is missed."""

_log = logger("groundswell.canaries")


@dataclass
class CanaryWatch:
    """Watches one live run.

    Args:
        store: where everything is stored.
        run: which run.
        every_ms: how often one is due; 0: never, and nothing is missed.
        notifiers: the test mailbox and channel, by target name.
        base_url: where the board is reached.
        clock: the wall clock.
        metrics: instruments of this process.
    """

    store: Store
    run: str
    every_ms: int
    notifiers: Mapping[str, Notifier]
    base_url: str
    clock: Clock
    metrics: Metrics | None = None
    _after_tick: int = field(default=-1, init=False)
    _since_ms: int = field(default=0, init=False)  # nothing is missed from before this
    _missing: bool | None = field(default=None, init=False)  # None: not known yet

    async def look(self) -> list[Canary]:
        """Find those that have come through since the last look; returns them.

        Raises:
            DependencyError: the store is away.
        """
        if self.metrics is not None:
            self.metrics.observe_canary_interval(self.every_ms)
        if not self.every_ms:
            return []
        now_ms = self.clock.now_ms()
        if not self._since_ms:
            self._begin(now_ms)
        with self.store.read() as connection:
            found = decided_canaries(connection, self.run, after_tick=self._after_tick)
        come = []
        for tick, due_ms in found:
            self._after_tick, self._since_ms = tick, max(self._since_ms, due_ms)
            canary = Canary(due_ms, now_ms)
            if keep_canary(self.store, self.run, canary):
                come.append(await self._tell(canary))
        self._settle(now_ms, came=bool(found))
        return come

    def _begin(self, now_ms: int) -> None:
        with self.store.read() as connection:
            last = last_canary(connection, self.run)
        self._since_ms = now_ms
        if last is not None:
            self._after_tick = last.due_ms // TICK_MS
            self._observe(last)

    async def _tell(self, canary: Canary) -> Canary:
        message, told, refused = canary_message(canary, base_url=self.base_url), [], []
        for name, notifier in sorted(self.notifiers.items()):
            try:
                delivery = await notifier.send(message, resend=False)
            except Exception as error:
                refused.append(f"{name}: {reason_of(error)}")
                continue
            if delivery.ok:
                told.append(name)
            else:
                refused.append(f"{name}: {delivery.reason}")
        canary = replace(canary, told=",".join(told), refused="; ".join(refused))
        tell_of_canary(self.store, self.run, canary)
        self._observe(canary)
        _log.info("a canary reached the desk", due=_minute(canary.due_ms), latency_s=canary.latency_s, refused=canary.refused or None)
        return canary

    def _observe(self, canary: Canary) -> None:
        if self.metrics is not None:
            self.metrics.observe_canary(due_ms=canary.due_ms, latency_s=canary.latency_s)

    def _settle(self, now_ms: int, *, came: bool) -> None:
        """Say that one is missing; that it is over only when one has come."""
        due_ms = now_ms // self.every_ms * self.every_ms
        missing = due_ms > self._since_ms and now_ms - due_ms > GRACE_MS
        if missing and not self._missing:
            reason = f"the canary of {_minute(due_ms)} has not reached the desk after {(now_ms - due_ms) // 60_000} min"
            hold(self.store, "canary", self.run, reason=reason, now_ms=now_ms)
            self._missing = True
        elif came and self._missing is not False:
            end(self.store, "canary", self.run, now_ms=now_ms)
            self._missing = False


def _minute(moment_ms: int) -> str:
    return f"{datetime.fromtimestamp(moment_ms / 1_000, tz=UTC):%Y-%m-%d %H:%M} UTC"
