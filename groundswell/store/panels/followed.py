"""Which companies the panels are about: the watched ones, greatest exposure first; where nobody watches any, the most spoken of."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from groundswell.codec import decode
from groundswell.names import DAY_MS, entity_series
from groundswell.schedule import WATCHES
from groundswell.store.grid import most_active
from groundswell.store.versions import content_of, read_schedule
from groundswell.watches import WatchedCompany, Watches

FOLLOWED_MAX: Final = 500
ACTIVE: Final = 20
"""So many of the most spoken of, where nobody watches any."""


@dataclass(frozen=True)
class Followed:
    """Companies and whether somebody has put them on a list."""

    companies: list[WatchedCompany]
    by_list: bool
    left_out: int = 0  # of the list, those with the least exposure

    @property
    def series(self) -> list[str]:
        """Their own series."""
        return [entity_series(one.company) for one in self.companies]


def followed(connection: Connection, run: str, *, known_ms: int) -> Followed:
    """The companies that a run watches at a moment of known time, at most FOLLOWED_MAX.

    Where the list is empty: the ACTIVE ones of the 24 hours before, each with weight 1.
    """
    version = read_schedule(connection, run).hashes(known_ms).get(WATCHES)  # before the first one nothing was watched
    listed = decode(content_of(connection, WATCHES, version), Watches).companies if version else []
    if listed:
        chosen = sorted(listed, key=lambda one: (-one.weight, one.company))
        return Followed(chosen[:FOLLOWED_MAX], by_list=True, left_out=max(0, len(chosen) - FOLLOWED_MAX))
    busiest = most_active(connection, run, "entity:", start_ms=known_ms - DAY_MS, end_ms=known_ms, limit=ACTIVE)
    return Followed([WatchedCompany(company=series.partition(":")[2], weight=1.0) for series, _ in busiest], by_list=False)
