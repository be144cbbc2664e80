"""Negative stories and stories of many series, from the hours that baselines have closed: what the desk compares with."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, func, select

from groundswell.store import schema as t

HOUR_S: Final = 3_600


def sums_of(
    connection: Connection, run: str, *, since_hour: int, until_hour: int, series: Iterable[str] = (), prefix: str = ""
) -> dict[str, tuple[int, int]]:
    """{series: distinct fresh negative stories (clipped) and distinct fresh stories}, hour by hour, of closed hours `[since, until)`.

    Args:
        connection: a reading transaction.
        run: whose rows.
        since_hour: first hour that counts.
        until_hour: first hour that does not.
        series: of which.
        prefix: of all whose key begins so, instead.
    """
    b = t.baselines.c
    wanted = b.series.startswith(prefix, autoescape=True) if prefix else b.series.in_(list(series))
    hours = (b.period_s == HOUR_S, b.period >= since_hour, b.period < until_hour)
    columns = (b.series, func.sum(b.negative), func.sum(b.stories))
    rows = connection.execute(select(*columns).where(b.run == run, wanted, *hours).group_by(b.series))
    return {name: (int(negative), int(stories)) for name, negative, stories in rows}
