"""Panel 12, alert quality: the first figures of the monthly report, over the last 30 days and the 30 before them."""

from typing import Final

from sqlalchemy import Connection

from groundswell.names import DAY_MS
from groundswell.quality import figures_of
from groundswell.store.panels.rows import PanelRow
from groundswell.store.quality import read_month

DAYS: Final = 30
MEASURES: Final = {
    "precision": ("judged", "precision", "precision of rule"),
    "pings": ("pings a day", "days within budget"),
    "missed": ("missed",),
    "lead time": ("minutes from public to first ping",),
    "latency": ("seconds from published to known", "seconds from known to sent"),
}
"""{what is asked: how the names of the report's figures that answer it begin}; `groundswell quality report` prints the whole."""


class FigureRow(PanelRow, frozen=True):
    """One figure of 30 days."""

    measure: str  # of MEASURES
    name: str  # as the monthly report has it
    group: str  # what it is of: "all", a kind, a rule, a target, a company
    value: float | None  # None: there are too few cases
    low: float | None  # 90 % interval of a share
    high: float | None
    cases: int
    value_before: float | None  # of the 30 days before
    note: str


def read_judged(connection: Connection, run: str, *, known_ms: int) -> list[FigureRow]:
    """The figures, in the order of the report; those of a rule, a target or a company behind that of all.

    Args:
        connection: a reading transaction.
        run: whose.
        known_ms: end of the 30 days; what people said of their alerts later counts too.
    """
    start_ms = (-(-known_ms // DAY_MS) - DAYS) * DAY_MS  # today is the last of them
    now, earlier = (
        figures_of(read_month(connection, run, start_ms=since_ms, end_ms=until_ms, instrument=False))
        for since_ms, until_ms in ((start_ms, known_ms), (start_ms - DAYS * DAY_MS, start_ms))
    )
    before = {(one.name, one.group): one.value for one in earlier}
    return [
        FigureRow(
            measure=measure,
            name=one.name,
            group=one.group,
            value=one.value,
            low=one.low,
            high=one.high,
            cases=one.cases,
            value_before=before.get((one.name, one.group)),
            note=one.note,
        )
        for measure, names in MEASURES.items()
        for one in now
        if one.name.split(",")[0] in names
    ]
