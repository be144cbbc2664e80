"""Panel 3, my watchlist: each company's last 24 hours in panes, sorted by exposure times surprise."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from groundswell import surprise
from groundswell.names import DAY_MS, DAY_TICKS, PANE_MS, TICK_MS, entity_series
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.derived import IncrementBody
from groundswell.store.panels.followed import Followed
from groundswell.store.panels.rows import PanelRow
from groundswell.store.panels.usual import usual_days

PANES: Final = DAY_MS // PANE_MS


class HeatPane(PanelRow, frozen=True):
    """One pane of published time in which something was said."""

    start_ms: int
    documents: int
    negative: int
    complete: bool  # known time has passed its end


class HeatRow(PanelRow, frozen=True):
    """One company: what was known of it in the last 24 hours."""

    company: str  # id in the catalogue
    series: str
    weight: float  # its exposure; 1 where nobody watches any
    owner: str  # who answers for it
    surprise: float  # negative stories above the usual number, in standard deviations
    rank: float  # weight times surprise: the rows are sorted by it
    negative_stories: int  # distinct fresh stories that speak against it, known in the last 24 hours
    usual_stories: float  # of a day, over the 56 days before
    documents: int  # published in the last 24 hours
    negative: int
    panes: list[HeatPane]  # ascending; those with documents


def read_heat(connection: Connection, run: str, who: Followed, *, known_ms: int) -> list[HeatRow]:
    """The companies' last 24 hours, most exposed and most surprising first.

    Args:
        connection: a reading transaction.
        run: whose.
        who: which companies.
        known_ms: end of the 24 hours; only what was known before it counts.
    """
    stories = negative_stories(connection, run, who.series, known_ms=known_ms)
    usual = usual_days(connection, run, who.series, known_ms=known_ms)
    panes = _panes(connection, run, who.series, known_ms=known_ms)
    rows = []
    for one in who.companies:
        series = entity_series(one.company)
        number, of_day = len(stories.get(series, ())), usual[series].negative
        found, here = surprise.of_count(number, of_day), panes.get(series, [])
        rows.append(
            HeatRow(
                company=one.company,
                series=series,
                weight=one.weight,
                owner=one.owner,
                surprise=found,
                rank=one.weight * found,
                negative_stories=number,
                usual_stories=of_day,
                documents=sum(pane.documents for pane in here),
                negative=sum(pane.negative for pane in here),
                panes=here,
            )
        )
    return sorted(rows, key=lambda row: (-row.rank, -row.surprise, -row.weight, -row.documents, row.company))


def negative_stories(connection: Connection, run: str, series: Iterable[str], *, known_ms: int) -> dict[str, set[str]]:
    """{series: distinct fresh stories that speak against it} of the 24 hours of known time before a moment."""
    row, until = t.increments.c, known_ms // TICK_MS
    found: dict[str, set[str]] = defaultdict(set)
    for chunk in in_chunks(series):
        wanted = (row.run == run, row.series.in_(chunk), row.tick >= until - DAY_TICKS, row.tick < until, row.negative > 0)
        for name, body in connection.execute(select(row.series, row.body).where(*wanted)):
            found[name].update(str(negative[1]) for negative in msgspec.json.decode(body, type=IncrementBody).negatives)
    return found


def _panes(connection: Connection, run: str, series: Iterable[str], *, known_ms: int) -> dict[str, list[HeatPane]]:
    row, until = t.increments.c, known_ms // TICK_MS
    first = first_pane(known_ms)
    panes: dict[str, list[HeatPane]] = defaultdict(list)
    for chunk in in_chunks(series):
        # What is published after `first` is known after it: the index is by tick.
        within = (row.tick >= first * PANE_MS // TICK_MS, row.tick < until, row.pane >= first, row.daily.is_(False))
        sums = select(row.series, row.pane, func.sum(row.documents), func.sum(row.negative))
        for name, pane, documents, negative in connection.execute(
            sums.where(row.run == run, row.series.in_(chunk), *within).group_by(row.series, row.pane).order_by(row.series, row.pane)
        ):
            complete = (pane + 1) * PANE_MS <= known_ms
            panes[name].append(HeatPane(start_ms=pane * PANE_MS, documents=int(documents), negative=int(negative), complete=complete))
    return panes


def first_pane(known_ms: int) -> int:
    """The first of the PANES panes of which the last one holds the moment before `known_ms`."""
    return (known_ms - 1) // PANE_MS - PANES + 1
