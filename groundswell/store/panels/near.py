"""Panel 10, near misses: findings that came within a fifth of their limit and were held, with what held them.

A detector stores what came close (it *holds*: improbable enough to keep an incident alive, not to open one) and what would have
opened; the desk stores what it did with each. What no detector found is stored nowhere: `groundswell why-not` makes it again.
"""

from collections import defaultdict
from typing import Final

from sqlalchemy import Connection, select

from groundswell.codec import decode
from groundswell.names import DAY_TICKS, TICK_MS
from groundswell.records import Candidate
from groundswell.store import schema as t
from groundswell.store.panels.rows import PanelRow

NEAR: Final = 0.8
DAYS: Final = 7


class NearRow(PanelRow, frozen=True):
    """One series' window that came close, at its closest, and was never told."""

    series: str
    kind: str
    window_s: int
    closest_ms: int  # end of the tick at which it was closest
    statistic: int
    limit: int
    expected: float
    closeness: float  # statistic by limit
    by: str  # "count" or "share": which of the two turned
    gate: str  # the first word of the reason: "hold", "cooldown", "budget", ...
    reason: str
    held: int  # how many such findings there were


def read_near(connection: Connection, run: str, *, known_ms: int) -> list[NearRow]:
    """Near misses of the last DAYS days, the closest of each series and window, the newest first.

    Left out is what was told after all: a finding of an incident that has an alert.

    Args:
        connection: a reading transaction.
        run: whose.
        known_ms: end of the days, in known time.
    """
    c, d, until = t.candidates.c, t.decisions.c, known_ms // TICK_MS
    # A finding is decided in its own tick. Said of both, because the planner does not follow from one to the other: each by its index.
    within = (one for row in (c, d) for one in (row.run == run, row.tick >= until - DAYS * DAY_TICKS, row.tick < until))
    same = c.candidate_id == d.candidate_id
    held = select(c.body, d.reason, d.incident).select_from(t.candidates.join(t.decisions, same)).where(*within, d.verdict == "held")
    told = _told(connection, run, known_ms=known_ms)
    near: dict[tuple[str, str, int], list[tuple[Candidate, str]]] = defaultdict(list)
    for body, reason, incident in connection.execute(held):
        found = decode(body, Candidate)
        if incident not in told and found.limit > 0 and (found.level == "open" or found.statistic >= NEAR * found.limit):
            near[found.series, found.kind, found.window_s].append((found, reason))
    rows = [_row(found) for found in near.values()]
    return sorted(rows, key=lambda row: (-row.closest_ms, -row.closeness, row.series, row.window_s))


def _told(connection: Connection, run: str, *, known_ms: int) -> set[str]:
    a = t.alerts.c
    since_ms = known_ms - 2 * DAYS * DAY_TICKS * TICK_MS
    opened = (a.opened_ms >= since_ms, a.opened_ms <= known_ms)
    return set(connection.execute(select(a.incident).distinct().where(a.run == run, *opened)).scalars())


def _row(found: list[tuple[Candidate, str]]) -> NearRow:
    candidate, reason = max(found, key=lambda one: (one[0].statistic / one[0].limit, one[0].tick))
    return NearRow(
        series=candidate.series,
        kind=candidate.kind,
        window_s=candidate.window_s,
        closest_ms=candidate.known_until_ms,
        statistic=candidate.statistic,
        limit=candidate.limit,
        expected=candidate.expected_milli / 1_000,
        closeness=candidate.statistic / candidate.limit,
        by=candidate.by,
        gate=reason.partition(":")[0],
        reason=reason,
        held=len(found),
    )
