"""The lookout: what operators have to know, found in the store every half minute, stored as conditions, and told to people.

    drops     a source of which much is dropped: a feed that changed its form, not a text in another language
    behind    a live run whose closed time stands too far behind the wall clock
    balance   documents without a fate, or with two
    crawler   nobody has polled any source for a while
    months    on PostgreSQL: the next month's partitions are missing, or rows lie in none

It runs beside whoever sends: the desk, or the embedded process. A supervisor that gives up writes its own condition
(`supervisor_report`); the lookout of the desk tells it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, func, select

from alerts.notify.base import Notifier
from alerts.notify.notice import notice
from groundswell.clock import Clock, SystemClock
from groundswell.errors import GroundswellError, reason_of
from groundswell.local_log import LocalLog
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.names import DAY_MS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.conditions import Condition, end, hold, open_conditions, settle, told
from groundswell.store.outbox import dead_letters
from groundswell.store.partitions import trouble_of
from groundswell.store.query import closed_ms, settled_balance, total
from groundswell.store.store import Store
from groundswell.store.tallies import tally
from stream.shells.gauges import StoreGauges
from stream.shells.supervisor import Report, Said
from stream.shells.versions import VersionsInForce

LOOK_EVERY_MS: Final = 30_000
BEHIND_MS: Final = 180_000
DROPS_WITHIN_MS: Final = 3_600_000
DROPS_MIN: Final = 20
DROPS_SHARE: Final = 0.2
"""A source of which at least so many records, and this share, were dropped in the last hour of known time, is being lost."""

UNPOLLED_MS: Final = 7_200_000
"""A source is asked once an hour unless its publisher says otherwise: of several, one is asked within two."""

BALANCE_EVERY_MS: Final = 60_000
BALANCE_COST: Final = 20
"""The balance reads every row of the run: it is made once a minute, but only after this many times as long as it took."""

DEAD_LETTERS_MS: Final = 7 * DAY_MS
"""How long a message that was given up is reported."""

_log = logger("groundswell.lookout")


@dataclass
class Lookout:
    """Watches one live run.

    Args:
        store: where everything is stored.
        run: which run.
        notifiers: by target name; each is told once of each condition.
        base_url: where the board is reached.
        clock: the wall clock.
        log: the run's local log, where it has one.
        metrics: instruments of this process.
        in_force: the run's rules, for what the metrics say of its budget.
    """

    store: Store
    run: str
    notifiers: Mapping[str, Notifier]
    base_url: str
    clock: Clock
    log: LocalLog | None = None
    metrics: Metrics | None = None
    in_force: VersionsInForce | None = None
    _gauges: StoreGauges | None = field(default=None, init=False)
    _due_ms: int = field(default=0, init=False)
    _balance_due_ms: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.metrics is not None and self.in_force is not None:
            self._gauges = StoreGauges(self.metrics, self.run, self.in_force)

    async def look(self) -> list[Condition]:
        """Look, where it is time again; returns what people were told of.

        Raises:
            DependencyError: the store is away.
        """
        now_ms = self.clock.now_ms()
        if now_ms < self._due_ms:
            return []
        self._due_ms = now_ms + LOOK_EVERY_MS
        self.settle(now_ms)
        with self.store.read() as connection:
            holding = open_conditions(connection)
        if self.metrics is not None:
            self.metrics.observe_conditions(condition.kind for condition in holding)
        untold = [condition for condition in holding if condition.told_ms is None]
        return [c for c in untold if await tell(self.store, c, self.notifiers, base_url=self.base_url, now_ms=now_ms)]

    def settle(self, now_ms: int) -> None:
        """Make the stored conditions say what is so."""
        began_s = time.monotonic()
        with self.store.read() as connection:
            until_ms = closed_ms(connection, self.run)
            dropping = dropping_sources(connection, self.run, until_ms=until_ms or 0)
            unpolled = nobody_polls(connection, now_ms=now_ms)
            given_up = dead_letters(connection, self.run, since_ms=now_ms - DEAD_LETTERS_MS)
            monthless = trouble_of(connection, now_ms=now_ms)
            if self._gauges is not None:
                self._gauges.read(connection, until_ms=until_ms)
        settle(self.store, "drops", dropping, now_ms=now_ms)
        settle(self.store, "behind", behind(self.run, until_ms, now_ms=now_ms), now_ms=now_ms)
        settle(self.store, "crawler", unpolled, now_ms=now_ms)
        settle(self.store, "dead_letters", given_up, now_ms=now_ms)
        settle(self.store, "months", monthless, now_ms=now_ms)
        if self.metrics is not None:
            self.metrics.observe_look(time.monotonic() - began_s)
        unbalanced = self._unbalanced(now_ms)
        if unbalanced is not None:
            settle(self.store, "balance", unbalanced, now_ms=now_ms)

    def _unbalanced(self, now_ms: int) -> dict[str, str] | None:
        """{run: which sources}; None where it is not time yet.

        Every row is counted anew, so that a lost one is missed; what has become final is summed for the board, which counts the rest.
        """
        if now_ms < self._balance_due_ms:
            return None
        tally(self.store, self.run)
        with self.store.read() as connection:
            balances = settled_balance(connection, self.run, log=self.log, whole=True)
        took_ms = self.clock.now_ms() - now_ms
        self._balance_due_ms = now_ms + max(BALANCE_EVERY_MS, BALANCE_COST * took_ms)
        if self.metrics is not None:
            self.metrics.observe_balance(total(balances).terms)
        rows = [row for row in balances if row.balance]
        return {self.run: ", ".join(f"{row.source} {row.balance:+d}" for row in rows[:10])} if rows else {}


async def tell(store: Store, condition: Condition, notifiers: Mapping[str, Notifier], *, base_url: str, now_ms: int) -> bool:
    """Tell every target of a condition once.

    Returns:
        Whether one has taken it; else it is to be tried again at the next look.

    Raises:
        DependencyError: the store is away.
    """
    message, taken = notice(condition, base_url=base_url), False
    for name, notifier in sorted(notifiers.items()):
        try:
            delivery = await notifier.send(message, resend=False)
        except Exception as error:
            _log.error("a condition could not be told", target=name, reason=reason_of(error))
            continue
        taken |= delivery.ok
        if not delivery.ok:
            _log.error("a condition could not be told", target=name, reason=delivery.reason)
    if taken:
        told(store, condition, now_ms=now_ms)
    return taken


def dropping_sources(connection: Connection, run: str, *, until_ms: int) -> dict[str, str]:
    """{source: figures} of those that are being lost in the hour before a moment; texts in other languages are none."""
    since_ms = until_ms - DROPS_WITHIN_MS
    d, a = t.drops.c, t.admissions.c
    lost = select(d.source, func.count()).where(d.run == run, d.known_ms >= since_ms, d.reason.not_like("language:%")).group_by(d.source)
    dropped = {source: number for source, number in connection.execute(lost) if number >= DROPS_MIN}
    if not dropped:
        return {}
    kept = select(a.source, func.count()).where(a.run == run, a.tick >= since_ms // TICK_MS, a.source.in_(list(dropped))).group_by(a.source)
    taken: dict[str, int] = {row[0]: row[1] for row in connection.execute(kept)}
    shares = {source: number / (number + taken.get(source, 0)) for source, number in dropped.items()}
    return {
        source: f"{dropped[source]} records of {source} were dropped within an hour, {share:.0%} of what came from it"
        for source, share in sorted(shares.items())
        if share >= DROPS_SHARE
    }


def behind(run: str, until_ms: int | None, *, now_ms: int) -> dict[str, str]:
    """{run: by how much} where a run's closed time is too far behind the wall clock; a run that has closed nothing has not begun."""
    if until_ms is None or now_ms - until_ms <= BEHIND_MS:
        return {}
    return {run: f"everything is known only until {(now_ms - until_ms) // 1_000} s ago; no alert can come from later documents"}


def nobody_polls(connection: Connection, *, now_ms: int) -> dict[str, str]:
    """{"crawler": since when} where the last poll of all sources is too long ago; what was never polled is no crawler's."""
    last_ms: int | None = connection.execute(select(func.max(t.heartbeats.c.polled_ms))).scalar_one_or_none()
    if last_ms is None or now_ms - last_ms <= UNPOLLED_MS:
        return {}
    return {"crawler": f"the last poll of any source was {(now_ms - last_ms) // 60_000} min ago; what is published now is not seen"}


def supervisor_report(store: Store, subject: str) -> Report:
    """What a supervisor says, as conditions of its machine; a store that is away stops no supervisor."""

    def report(said: Said, reason: str) -> None:
        now_ms = SystemClock().now_ms()
        try:
            if said == "steady":
                end(store, "crash_loop", subject, now_ms=now_ms)
                end(store, "final", subject, now_ms=now_ms)
            else:
                hold(store, said, subject, reason=reason, now_ms=now_ms)
        except GroundswellError as error:
            _log.error("the condition could not be stored", said=said, reason=reason_of(error))

    return report
