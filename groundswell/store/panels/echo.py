"""Panel 6, echo against breadth: how many documents, how many stories, how many owners; of one series, by 24 hours.

Many documents of few stories are an echo; many stories of many owners are breadth.
"""

from collections import defaultdict
from typing import Final

from sqlalchemy import Connection, select

from groundswell.names import DAY_MS, PANE_MS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.derived import increment_of
from groundswell.store.panels.rows import PanelRow
from groundswell.windows import DOCUMENTS, Members, absorb, view

PERIODS: Final = 8
"""The last 24 hours, and seven times 24 hours before them to compare with."""

ECHO_FACTOR: Final = 2.0
"""So many times the copies that are usual are called out."""


class EchoRow(PanelRow, frozen=True):
    """24 hours of published time of one series, as known at the moment."""

    series: str
    start_ms: int
    end_ms: int
    documents: int
    stories: int  # near-duplicates are one
    owners: int
    documents_per_story: float | None  # None: there was none
    largest_story: str | None  # id of the document that leads the story with the most documents
    largest_documents: int
    largest_owners: int


def read_echo(connection: Connection, run: str, series: str, *, known_ms: int) -> list[EchoRow]:
    """The last 24 hours first, then the seven before, the latest first.

    Args:
        connection: a reading transaction.
        run: whose.
        series: of what.
        known_ms: only what was known before it; the last pane may be filling still.
    """
    row, until = t.increments.c, known_ms // TICK_MS
    end = -(-known_ms // PANE_MS)
    period = DAY_MS // PANE_MS
    first = end - PERIODS * period
    wanted = (row.tick >= first * PANE_MS // TICK_MS, row.tick < until, row.pane >= first, row.pane < end)
    members: dict[int, Members] = defaultdict(dict)
    for tick, pane, daily, body in connection.execute(
        select(row.tick, row.pane, row.daily, row.body).where(row.run == run, row.series == series, *wanted)
    ):
        absorb(members[(end - 1 - pane) // period], increment_of(series, tick, pane, daily=daily, body=body).members)
    return [_row(series, (end - (n + 1) * period) * PANE_MS, members.get(n, {})) for n in range(PERIODS)]


def _row(series: str, start_ms: int, members: Members) -> EchoRow:
    counts = view(members)
    sizes = {story: sum(each[DOCUMENTS] for each in owners.values()) for story, owners in members.items()}
    largest = max(sizes, key=lambda story: (sizes[story], len(members[story]), story), default=None)
    return EchoRow(
        series=series,
        start_ms=start_ms,
        end_ms=start_ms + DAY_MS,
        documents=counts.documents,
        stories=counts.stories,
        owners=counts.owners,
        documents_per_story=counts.documents / counts.stories if counts.stories else None,
        largest_story=largest,
        largest_documents=sizes[largest] if largest else 0,
        largest_owners=len(members[largest]) if largest else 0,
    )


def usual_ratio(rows: list[EchoRow]) -> float | None:
    """Documents for each story over all but the first of the rows; None where there were none."""
    documents, stories = (sum(getattr(row, name) for row in rows[1:]) for name in ("documents", "stories"))
    return documents / stories if stories else None


def is_echo(rows: list[EchoRow]) -> bool:
    """Whether the first of the rows has ECHO_FACTOR times the usual copies."""
    now, usual = rows[0].documents_per_story if rows else None, usual_ratio(rows)
    return now is not None and usual is not None and now >= ECHO_FACTOR * usual
