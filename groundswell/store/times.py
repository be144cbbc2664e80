"""How far time has come: of each raw partition, of all together, and which raw partition holds the others back."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, ROLE_FOLD, ROLE_SCORE, TICK_MS
from groundswell.store import schema as t
from groundswell.store.progress import NEVER_TICK


@dataclass(frozen=True)
class RawTime:
    """One raw partition's time, as its owner last committed it."""

    partition: int
    time_ms: int | None  # None: nothing of it was ever read
    owner: str  # host and process that had it last; "" if nobody did


@dataclass(frozen=True)
class HeldBack:
    """The raw partition whose time is least: all others wait for it."""

    partition: int
    time_ms: int | None  # None: nothing of it was ever read
    owner: str
    furthest_ms: int  # time of the partition that has come furthest

    @property
    def behind_ms(self) -> int | None:
        """How far the others are ahead of it at most; None where it has no time."""
        return None if self.time_ms is None else self.furthest_ms - self.time_ms


def raw_times(connection: Connection, run: str) -> list[RawTime]:
    """The time of every raw partition of a run; of an embedded run that is one, of a run on Kafka all."""
    p = t.progress.c
    rows = connection.execute(
        select(p.role, p.part, p.time_ms, p.owner).where(p.run == run, p.role.in_((ROLE_SCORE, ROLE_FOLD))).order_by(p.part)
    ).all()
    found = {
        row.part: RawTime(row.part, None if row.time_ms == NEVER_TICK else row.time_ms, row.owner) for row in rows if row.role == ROLE_SCORE
    }
    partitions = RAW_PARTITIONS if any(row.part > 0 for row in rows) else len(found)
    return [found.get(partition, RawTime(partition, None, "")) for partition in range(partitions)]


def held_back(connection: Connection, run: str) -> HeldBack | None:
    """Which raw partition holds the others back, and by how much; None where there are no others, or nothing was read yet."""
    times = raw_times(connection, run)
    furthest_ms = max((time.time_ms for time in times if time.time_ms is not None), default=None)
    if furthest_ms is None or len(times) < 2:
        return None
    least = min(times, key=lambda time: NEVER_TICK if time.time_ms is None else time.time_ms)
    return HeldBack(least.partition, least.time_ms, least.owner, furthest_ms)


def folded_ms(connection: Connection, run: str, *, partitions: int = CONTRIBUTION_PARTITIONS) -> int:
    """The time before whose tick everything is folded on every contribution partition; NEVER_TICK until each has begun."""
    p = t.progress.c
    least_ms, rows = connection.execute(select(func.min(p.time_ms), func.count()).where(p.run == run, p.role == ROLE_FOLD)).one()
    return least_ms if rows == partitions else NEVER_TICK


def documents_since(connection: Connection, run: str, partition: int, *, since_ms: int) -> int:
    """How many documents of a raw partition were admitted in the tick of a time or later."""
    a = t.admissions.c
    since_tick = since_ms // TICK_MS
    counted = select(func.count()).where(a.run == run, a.part == partition, a.tick >= since_tick)
    return connection.execute(counted).scalar_one()
