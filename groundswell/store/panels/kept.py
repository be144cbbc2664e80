"""What a panel may not say: one that looks back into a month that was dropped would count nothing where nobody knows.

Findings, decisions, alerts and what people did stay when a month goes, so incidents, near misses and alert quality say what they always
said; the range of the topics is the reader's own, and its windows say it one by one (grid.py).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection

from groundswell.errors import NotFoundError
from groundswell.exports import iso
from groundswell.names import DAY_MS
from groundswell.store.months import DroppedMonth, dropped_months
from groundswell.store.panels import arrivals, echo, risks, turned
from groundswell.store.panels.usual import USUAL_DAYS

BACK_DAYS: Final[Mapping[str, int]] = {
    "watchlist": USUAL_DAYS + 1,
    "turned": turned.WEEK_DAYS + turned.BEFORE_DAYS + 1,
    "echo": echo.PERIODS + 1,
    "risks": risks.FIRST_DAYS + 2,
    "stories": USUAL_DAYS + 1,
    "peers": USUAL_DAYS + 2,
    "arrivals": arrivals.BEFORE_DAYS + 2,
}
"""{panel: days that it looks back at most, those that have begun included}."""


class NotKept(NamedTuple):
    """Why a panel is not shown as of a moment."""

    panel: str
    back_days: int
    months: list[DroppedMonth]

    @property
    def again_ms(self) -> int:
        """From when on it says something."""
        return self.months[-1].month.end_ms + self.back_days * DAY_MS

    @property
    def names(self) -> str:
        """The months."""
        return ", ".join(one.month.name for one in self.months)

    @property
    def sentence(self) -> str:
        """What a program is told instead of rows."""
        why = "; ".join(one.sentence for one in self.months)
        return (
            f"panel {self.panel}: it looks back {self.back_days} days, and {why}: nobody knows what it would count; "
            f"ask as of {iso(self.again_ms)} or later"
        )


def not_kept(connection: Connection, run: str, *, known_ms: int) -> dict[str, NotKept]:
    """{panel: why it cannot be shown} as of a moment of known time; empty where no month is missing."""
    gone = dropped_months(connection, run, since_ms=known_ms - max(BACK_DAYS.values()) * DAY_MS, until_ms=known_ms)
    lost = {name: [one for one in gone if one.touches(known_ms - days * DAY_MS, known_ms)] for name, days in BACK_DAYS.items()}
    return {name: NotKept(name, BACK_DAYS[name], months) for name, months in lost.items() if months}


def refuse_not_kept(connection: Connection, run: str, panel: str, *, known_ms: int) -> None:
    """Be sure that a panel can be counted as of a moment.

    Raises:
        NotFoundError: it cannot, with the months and from when on it can.
    """
    found = not_kept(connection, run, known_ms=known_ms).get(panel)
    if found is not None:
        raise NotFoundError(found.sentence)
