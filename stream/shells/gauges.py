"""What only the store knows, as metrics: states of sources, use of the budget, messages by state. Read at each look of the lookout."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from groundswell.metrics import Metrics
from groundswell.names import DAY_MS, TICK_MS
from groundswell.records import EVENT_KINDS
from groundswell.store import schema as t
from groundswell.store.health import SourceWatch, source_states
from stream.shells.versions import VersionsInForce


@dataclass
class StoreGauges:
    """The gauges of one live run that no process could count by itself.

    Args:
        metrics: where they are shown.
        run: whose.
        in_force: the rules of the run, for its budget.
    """

    metrics: Metrics
    run: str
    in_force: VersionsInForce
    _watch: SourceWatch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = SourceWatch(self.run)

    def read(self, connection: Connection, *, until_ms: int | None) -> None:
        """Set them.

        Args:
            connection: a reading transaction.
            until_ms: the end of the last closed tick; None: none has closed, so there is neither a state nor a day.
        """
        self.metrics.observe_outbox(outbox_states(connection, self.run))
        if until_ms is None:
            return
        self._observe_sources(connection, until_ms)
        self.in_force.renew(connection)
        limit = self.in_force.rules_at(until_ms // TICK_MS - 1).desk.budget_per_day
        self.metrics.observe_budget(used=told_today(connection, self.run, until_ms=until_ms), limit=limit)

    def _observe_sources(self, connection: Connection, until_ms: int) -> None:
        rhythms = self._watch.rhythms(connection, at_ms=until_ms)
        self.metrics.observe_sources(source_states(rhythms, at_ms=until_ms).values())


def outbox_states(connection: Connection, run: str) -> dict[str, int]:
    """{state: messages} of a run's outbox."""
    o = t.outbox.c
    rows = connection.execute(select(o.state, func.count()).where(o.run == run).group_by(o.state))
    return {row[0]: row[1] for row in rows}


def told_today(connection: Connection, run: str, *, until_ms: int) -> int:
    """Incidents of events whose first alert was opened on the UTC day of a moment: what the desk's budget counts (alerts/desk.py)."""
    a, day_ms = t.alerts.c, (until_ms - 1) // DAY_MS * DAY_MS
    of_events = a.run == run, a.kind.in_(sorted(EVENT_KINDS))
    first = select(func.min(a.opened_ms).label("opened_ms")).where(*of_events).group_by(a.incident).subquery()
    found = connection.execute(
        select(func.count()).select_from(first).where(first.c.opened_ms > day_ms, first.c.opened_ms <= day_ms + DAY_MS)
    )
    return int(found.scalar_one())
