"""Panel 7, risk flags today: stories of each kind of risk of each company, and which of them are the first in a while."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from groundswell.names import DAY_MS, DAY_TICKS, FLAGS, HOUR_MS, TICK_MS, flag_series
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.derived import IncrementBody
from groundswell.store.grid import first_hour_ms
from groundswell.store.panels.rows import PanelRow

FIRST_DAYS: Final = 30
FORMING_DAYS: Final = 14
"""A sighting's times, as the rules have them by default: the first in so many days; nobody can tell in a run that is younger."""


class RiskRow(PanelRow, frozen=True):
    """One risk of one company of which anything was said in the last 24 hours."""

    flag: str
    company: str
    series: str
    stories: int  # distinct, known in the last 24 hours
    documents: int
    first: bool | None  # none of it in the 30 days before; None: the run is too young to tell
    newest_ms: int  # end of the tick at which the last of them was known


def read_risks(connection: Connection, run: str, companies: Iterable[str], *, known_ms: int) -> list[RiskRow]:
    """Every risk that was spoken of, in the order of the risks and then by stories, most first.

    Args:
        connection: a reading transaction.
        run: whose.
        companies: their ids.
        known_ms: end of the 24 hours of known time.
    """
    until = known_ms // TICK_MS
    asked = {flag_series(flag, company): (flag, company) for company in companies for flag in FLAGS}
    stories: dict[str, set[str]] = defaultdict(set)
    documents: dict[str, int] = defaultdict(int)
    newest: dict[str, int] = {}
    row = t.increments.c
    for chunk in in_chunks(asked):
        wanted = (row.run == run, row.series.in_(chunk), row.tick >= until - DAY_TICKS, row.tick < until)
        for series, tick, number, body in connection.execute(select(row.series, row.tick, row.documents, row.body).where(*wanted)):
            stories[series].update(msgspec.json.decode(body, type=IncrementBody).members)
            documents[series] += number
            newest[series] = max(newest.get(series, 0), tick)
    before = _before(connection, run, stories, until=until)
    first_ms = first_hour_ms(connection, run)
    young = first_ms is None or known_ms - first_ms - DAY_MS < FORMING_DAYS * 24 * HOUR_MS
    rows = [
        RiskRow(
            flag=asked[series][0],
            company=asked[series][1],
            series=series,
            stories=len(found),
            documents=documents[series],
            first=False if series in before else None if young else True,
            newest_ms=(newest[series] + 1) * TICK_MS,
        )
        for series, found in stories.items()
        if found
    ]
    return sorted(rows, key=lambda one: (FLAGS.index(one.flag), -one.stories, one.company))


def _before(connection: Connection, run: str, series: Iterable[str], *, until: int) -> set[str]:
    """Those of some series of which anything was known in the FIRST_DAYS before the last 24 hours."""
    row = t.increments.c
    found: set[str] = set()
    for chunk in in_chunks(series):
        earlier = (row.tick >= until - (FIRST_DAYS + 1) * DAY_TICKS, row.tick < until - DAY_TICKS)
        found.update(connection.execute(select(row.series).distinct().where(row.run == run, row.series.in_(chunk), *earlier)).scalars())
    return found
