"""The first line of every page: can I trust this screen?

Until when data are complete, which sources are blind, whether every document is accounted for, and which run this is.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from groundswell.local_log import LocalLog
from groundswell.names import ROLE_SCORE, TICK_MS
from groundswell.silence import Rhythm
from groundswell.store.actions import rows_said
from groundswell.store.canaries import Canary, last_canary
from groundswell.store.conditions import Condition, open_conditions
from groundswell.store.health import SourceHealth, SourceWatch, run_kind, source_health, source_states
from groundswell.store.progress import progress_of
from groundswell.store.query import Balance, closed_ms, settled_balance, total
from groundswell.store.times import HeldBack, held_back
from groundswell.store.versions import read_schedule

SAID_ALREADY = "behind"
"""The kind of condition that the first line finds out by itself."""

HELD_BACK_MS = 60_000
"""A raw partition that is this far behind the furthest one is named: workers and crawlers let time pass in each every 2 s."""

LATE_MS = 120_000
"""A live run whose data end longer ago than this is behind."""

COST_FACTOR = 20
"""The balance reads all of a local log: it is made again only after this many times as long as it took, and after 5 s."""

BALANCE_S = 5.0


@dataclass(frozen=True)
class Trust:
    """What the first line says."""

    run: str
    kind: str  # live, demo or backfill
    data_until_ms: int | None  # None: nothing has been folded yet
    behind_ms: int | None  # of a live run; None for others
    reporting: int
    sources: int
    blind: dict[str, int]  # {source: since when, ms}, longest blind first
    unbalanced: dict[str, int]  # {source: documents missing (+) or counted twice (-)}
    documents: int  # fetched, all sources
    in_flight: int
    held_back: HeldBack | None = None  # of a live run: the raw partition that all others wait for, where that takes too long
    canary: Canary | None = None  # of a live run: the last one that reached the desk
    conditions: tuple[Condition, ...] = ()  # of a live run's installation, those that the rest of the line does not say

    @property
    def late(self) -> bool:
        """Whether a live run is behind."""
        return self.behind_ms is not None and self.behind_ms > LATE_MS

    @property
    def sound(self) -> bool:
        """Nothing to be said against this screen."""
        return self.data_until_ms is not None and not (self.late or self.blind or self.unbalanced or self.held_back or self.conditions)


class Watch:
    """What the first line needs of one run, kept between pages. Safe for several threads."""

    def __init__(self, run: str, log: LocalLog | None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.run, self._log, self._monotonic = run, log, monotonic
        self._lock = threading.Lock()
        self._sources = SourceWatch(run)
        self._balances: list[Balance] = []
        self._balance_of: object = None
        self._balance_due = float("-inf")

    def version(self, connection: Connection) -> str:
        """Changes whenever a page of this run could say something new."""
        score = [(claim.epoch, claim.revision) for claim in progress_of(connection, self.run, ROLE_SCORE)]
        held = [(condition.kind, condition.subject) for condition in open_conditions(connection)]
        waits, canary, said = _held_back(connection, self.run), last_canary(connection, self.run), rows_said(connection, self.run)
        versions = len(read_schedule(connection, self.run).rows)
        known = closed_ms(connection, self.run), score, held, waits and waits.partition, canary and canary.due_ms, self._log_end()
        return ":".join(map(str, (self.run, *known, said, versions)))

    def _log_end(self) -> int | None:
        return self._log.last_known_ms() if self._log else None

    def balances(self, connection: Connection, *, fresh: bool = False) -> list[Balance]:
        """The balance of each source; at most a few seconds old, or made now."""
        with self._lock:
            key, now = self.version(connection), self._monotonic()
            if key != self._balance_of and (fresh or now >= self._balance_due):
                self._balances = settled_balance(connection, self.run, log=self._log)
                took = self._monotonic() - now
                self._balance_of, self._balance_due = key, now + max(BALANCE_S, COST_FACTOR * took)
            return self._balances

    def health(self, connection: Connection, *, at_ms: int) -> list[SourceHealth]:
        """Every source of the run."""
        with self._lock:
            return source_health(connection, self.run, self._rhythms(connection, at_ms), at_ms=at_ms)

    def _rhythms(self, connection: Connection, at_ms: int) -> dict[str, Rhythm]:
        return self._sources.rhythms(connection, at_ms=at_ms)

    def trust(self, connection: Connection, *, now_ms: int) -> Trust:
        """The first line at this moment."""
        until, kind = closed_ms(connection, self.run), run_kind(connection, self.run)
        balances = self.balances(connection)
        blind: dict[str, int] = {}
        sources = 0
        if until is not None:
            with self._lock:
                rhythms = self._rhythms(connection, until)
                states = source_states(rhythms, at_ms=until)
                sources = sum(state != "forgotten" for state in states.values())
                since = {name: rhythms[name].blind_from * TICK_MS for name, state in states.items() if state == "blind"}
            blind = dict(sorted(since.items(), key=lambda item: (item[1], item[0])))
        unbalanced = {row.source: row.balance for row in balances if row.balance}
        # The lookout counts every row anew, the line above what is in no sum yet: either may be off alone.
        said = {SAID_ALREADY, "balance"} if unbalanced else {SAID_ALREADY}
        everything = total(balances)
        return Trust(
            run=self.run,
            kind=kind,
            data_until_ms=until,
            behind_ms=now_ms - until if kind == "live" and until is not None else None,
            reporting=sources - len(blind),
            sources=sources,
            blind=blind,
            unbalanced=unbalanced,
            documents=everything.fetched,
            in_flight=everything.in_flight,
            held_back=_held_back(connection, self.run) if kind == "live" else None,
            canary=last_canary(connection, self.run) if kind == "live" else None,
            conditions=tuple(c for c in open_conditions(connection) if c.kind not in said) if kind == "live" else (),
        )


def _held_back(connection: Connection, run: str) -> HeldBack | None:
    found = held_back(connection, run)
    return found if found is not None and (found.behind_ms is None or found.behind_ms > HELD_BACK_MS) else None
