"""Canaries: documents that prove that the whole way works, from the crawler to the desk and to a mailbox."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from groundswell.names import CANARY_SERIES, PANE_MS, ROLE_DESK, TICK_MS
from groundswell.store import schema as t
from groundswell.store.store import Store


@dataclass(frozen=True)
class Canary:
    """One that reached the desk."""

    due_ms: int  # when it was to be sent
    reached_ms: int  # when the desk had decided its tick, by the wall clock
    told: str = ""  # targets that have taken it, separated by commas
    refused: str = ""  # what the others said

    @property
    def latency_s(self) -> int:
        """How long it took to the desk."""
        return (self.reached_ms - self.due_ms) // 1_000


def decided_canaries(connection: Connection, run: str, *, after_tick: int) -> list[tuple[int, int]]:
    """(tick, due_ms) of those in ticks after one that the desk has decided, by tick; a canary is published when it is due."""
    i, p = t.increments.c, t.progress.c
    decided = select(func.max(p.time_ms)).where(p.run == run, p.role == ROLE_DESK)
    until_ms: int | None = connection.execute(decided).scalar_one_or_none()
    if until_ms is None:
        return []
    rows = connection.execute(
        select(i.tick, i.pane)
        .where(i.run == run, i.series == CANARY_SERIES, i.tick > after_tick, i.tick < until_ms // TICK_MS)
        .order_by(i.tick)
    )
    return [(tick, pane * PANE_MS) for tick, pane in rows]


def keep_canary(store: Store, run: str, canary: Canary) -> bool:
    """Store that one reached the desk; returns whether this is news.

    Raises:
        DependencyError: the store is away.
    """
    row = {"run": run, "due_ms": canary.due_ms, "reached_ms": canary.reached_ms, "told": "", "refused": ""}
    with store.write() as connection:
        return store.insert(connection, t.canaries, [row]) > 0


def tell_of_canary(store: Store, run: str, canary: Canary) -> None:
    """Store which targets have taken it, and what the others said.

    Raises:
        DependencyError: the store is away.
    """
    c = t.canaries.c
    with store.write() as connection:
        values = {"told": canary.told, "refused": canary.refused[:500]}
        connection.execute(update(t.canaries).where(c.run == run, c.due_ms == canary.due_ms).values(**values))


def last_canary(connection: Connection, run: str) -> Canary | None:
    """The last one that reached the desk."""
    c = t.canaries.c
    row = connection.execute(
        select(c.due_ms, c.reached_ms, c.told, c.refused).where(c.run == run).order_by(c.due_ms.desc()).limit(1)
    ).first()
    return None if row is None else Canary(*row)
