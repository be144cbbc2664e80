"""What each month of the live run holds, as rows for whoever asks."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, func, select

from groundswell.exports import iso
from groundswell.names import DAY_MS, DAY_TICKS, LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.months import DroppedMonth, Month, dropped_counts, dropped_months
from groundswell.store.partitions import is_partitioned, months_made


def month_rows(connection: Connection) -> list[dict[str, Any]]:
    """Every month that holds rows, has partitions or was dropped, by time; of a dropped one, how many records it had."""
    counts: dict[Month, dict[str, int]] = defaultdict(dict)
    for name, table in (("records", t.admissions), ("increments", t.increments), ("stories", t.stories)):
        day, c = table.c.tick // DAY_TICKS, table.c
        for number, rows in connection.execute(select(day, func.count()).where(c.run == LIVE_RUN).group_by(day)):
            of_month = counts[Month.at(number * DAY_MS)]
            of_month[name] = of_month.get(name, 0) + rows
    gone = {one.month: one for one in dropped_months(connection, LIVE_RUN)}
    kept = dropped_counts(connection, LIVE_RUN)
    divided = is_partitioned(connection)
    made = months_made(connection) if divided else set()
    return [
        {
            "month": month.name,
            "records": counts[month].get("records", 0) + sum(rows for (name, *_), rows in kept.items() if name == month.name),
            "increments": counts[month].get("increments", 0),
            "stories": counts[month].get("stories", 0),
            "partition": (month in made) if divided else None,
            "dropped": _dropped(gone.get(month)),
        }
        for month in sorted({*counts, *gone, *made})
    ]


def _dropped(one: DroppedMonth | None) -> str | None:
    if one is None:
        return None
    return "not to the end" if one.ended_ms is None else iso(one.ended_ms)
