"""Panel 9, us and peers: the negative share of a company or topic beside that of those that it is compared with.

The last 24 hours are counted from what was written, days before them from closed baselines. An alert's line about peers is frozen at its
moment, and its 24 hours end with the last full one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from groundswell.names import DAY_MS, LANGUAGES, TOPICS, entity_series, series_kind, topic_series
from groundswell.peers import PEERS_MAX, PEERS_MIN, STORIES_MIN, Of
from groundswell.store.grid import most_active
from groundswell.store.panels.rows import PanelRow
from groundswell.store.panels.usual import USUAL_DAYS, day_rows, day_sums
from groundswell.store.shares import DaySums, last_day

WEEKS: Final = 28
WEEK_DAYS: Final = 7


class RivalRow(PanelRow, frozen=True):
    """One span of closed time: the selected series, and the band of its peers."""

    series: str
    of: str  # what its peers are: sector, companies, topics
    span: str  # "day": the last 24 hours; "before": the 56 days before them; "week": seven days that end with a day
    start_ms: int
    end_ms: int
    stories: int  # distinct fresh ones
    negative_stories: int
    share: float | None  # None: no story
    peers: int  # that were spoken of enough to be measured
    peer_low: float | None  # a quarter of the peers lies below; None: fewer than three were measured
    peer_median: float | None
    peer_high: float | None  # a quarter lies above


@dataclass(frozen=True)
class Rivals:
    """Who a series is compared with."""

    of: Of
    series: list[str]


def rivals_of(connection: Connection, run: str, series: str, sector: Callable[[str], Sequence[str]], *, known_ms: int) -> Rivals:
    """Other topics of a topic's language; of a company those of its sector, and where the sector is too small, the most spoken of."""
    kind, _, rest = series.partition(":")
    if kind == "topic":
        topic, language = rest.rsplit(":", 1) if rest.rpartition(":")[2] in LANGUAGES else (rest, LANGUAGES[0])
        return Rivals("topics", [topic_series(other, language) for other in TOPICS if other != topic])
    company = rest.rpartition(":")[2]  # of a risk: its company
    same = [entity_series(one) for one in sector(company) if one != company]
    week = (known_ms // DAY_MS - WEEK_DAYS, known_ms // DAY_MS)
    if (
        sum(sums.stories >= STORIES_MIN for sums in day_sums(connection, run, same, since_day=week[0], until_day=week[1]).values())
        >= PEERS_MIN
    ):
        return Rivals("sector", same)
    busy = most_active(connection, run, "entity:", start_ms=week[0] * DAY_MS, end_ms=known_ms, limit=PEERS_MAX + 1)
    return Rivals("companies", [name for name, _ in busy if name != entity_series(company)][:PEERS_MAX])


def read_rivals(connection: Connection, run: str, series: str, sector: Callable[[str], Sequence[str]], *, known_ms: int) -> list[RivalRow]:
    """The last 24 hours, what was before them, and then 28 weeks that end one day apart, the latest first.

    Args:
        connection: a reading transaction.
        run: whose.
        series: of a company, a risk of one, or a topic; what else there is has no peers, and no row.
        sector: a company's id -> the others of its sector.
        known_ms: end of the 24 hours, in known time; days that had closed before it.
    """
    if series_kind(series) not in ("entity", "topic", "flag"):
        return []
    rivals = rivals_of(connection, run, series, sector, known_ms=known_ms)
    all_series, day = [series, *rivals.series], known_ms // DAY_MS
    yesterday, oldest = day - 1, day - 1 - USUAL_DAYS  # whole days before the last 24 hours
    before = day_sums(connection, run, all_series, since_day=oldest, until_day=yesterday)
    rows = [
        _row(series, rivals, "day", (known_ms - DAY_MS, known_ms), last_day(connection, run, all_series, known_ms=known_ms)),
        _row(series, rivals, "before", (oldest * DAY_MS, yesterday * DAY_MS), before),
    ]
    by_day = _by_day(connection, run, all_series, since=day - WEEKS - WEEK_DAYS + 1, until=day)
    for end in range(day, day - WEEKS, -1):
        week = {name: _sum(days, end - WEEK_DAYS, end) for name, days in by_day.items()}
        rows.append(_row(series, rivals, "week", ((end - WEEK_DAYS) * DAY_MS, end * DAY_MS), week))
    return rows


def only_this_one(rows: Sequence[RivalRow]) -> bool | None:
    """Whether the peers have not moved half as far as the selected one, from before to the last day; None where it cannot be said."""
    day, before = rows[0], rows[1]
    if day.share is None or before.share is None or day.peer_median is None or before.peer_median is None:
        return None
    return day.share > before.share and 2 * (day.peer_median - before.peer_median) < day.share - before.share


def _by_day(connection: Connection, run: str, series: Sequence[str], *, since: int, until: int) -> dict[str, dict[int, DaySums]]:
    found: dict[str, dict[int, DaySums]] = {}
    for name, day, sums in day_rows(connection, run, series, since_day=since, until_day=until):
        found.setdefault(name, {})[day] = sums
    return found


def _sum(days: Mapping[int, DaySums], since: int, until: int) -> DaySums:
    found = [sums for day, sums in days.items() if since <= day < until]
    return DaySums(sum(one.negative for one in found), sum(one.stories for one in found))


def _row(series: str, rivals: Rivals, name: str, span: tuple[int, int], sums: Mapping[str, DaySums]) -> RivalRow:
    own = sums.get(series, DaySums(0, 0))
    measured = [sums[name] for name in rivals.series if name in sums and sums[name].stories >= STORIES_MIN]
    shares = sorted(one.negative / one.stories for one in measured)
    enough = len(shares) >= PEERS_MIN
    return RivalRow(
        series=series,
        of=rivals.of,
        span=name,
        start_ms=span[0],
        end_ms=span[1],
        stories=own.stories,
        negative_stories=own.negative,
        share=own.negative / own.stories if own.stories else None,
        peers=len(shares),
        peer_low=shares[len(shares) // 4] if enough else None,
        peer_median=shares[len(shares) // 2] if enough else None,
        peer_high=shares[3 * len(shares) // 4] if enough else None,
    )
