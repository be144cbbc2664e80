"""Months of known time, in UTC: what old rows are deleted by, and what is remembered of those that were.

dropped_months   one row for each month of a run that was dropped, or is being dropped
dropped_counts   what became of its records, by source, fate and reason, so that every balance stays what it was
"""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

from sqlalchemy import Connection, select

from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.lifecycle import FOR_EVER_MS
from groundswell.names import TICK_MS
from groundswell.store import schema as t

_NAME: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Month(NamedTuple):
    """A calendar month; they sort by time."""

    year: int
    number: int  # 1 to 12

    @classmethod
    def at(cls, ms: int) -> Self:
        """The month that a moment lies in.

        >>> Month.at(1_763_000_000_000).name
        '2025-11'
        """
        moment = datetime.fromtimestamp(ms / 1000, UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def named(cls, text: str, *, place: str) -> Self:
        """The month that somebody writes as 2025-11.

        Raises:
            UsageError: it is not one.
        """
        found = _NAME.fullmatch(text)
        if found is None:
            reason = f"{place} {text[:40]!r}: not a month; write it as 2025-11"
            raise UsageError(reason)
        return cls(int(found[1]), int(found[2]))

    @property
    def name(self) -> str:
        """As it is stored and shown."""
        return f"{self.year:04}-{self.number:02}"

    def after(self, months: int) -> "Month":
        """The month so many months later; earlier where it is negative.

        >>> Month(2025, 11).after(3).name
        '2026-02'
        """
        index = self.year * 12 + self.number - 1 + months
        return Month(index // 12, index % 12 + 1)

    @property
    def begin_ms(self) -> int:
        """Its first moment."""
        return round(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()) * 1000

    @property
    def end_ms(self) -> int:
        """The first moment of the next one."""
        return self.after(1).begin_ms

    @property
    def first_tick(self) -> int:
        """Its first tick; a month begins with one."""
        return self.begin_ms // TICK_MS

    @property
    def last_tick(self) -> int:
        """Its last tick."""
        return self.end_ms // TICK_MS - 1


class DroppedMonth(NamedTuple):
    """A month whose rows were deleted."""

    month: Month
    begun_ms: int
    ended_ms: int | None  # None: some are still there

    @property
    def sentence(self) -> str:
        """What whoever looks for its rows is told."""
        if self.ended_ms is None:
            return f"rows of {self.month.name} are being dropped since {iso(self.begun_ms)}"
        return f"rows of {self.month.name} were dropped on {iso(self.ended_ms)}"

    def holds(self, tick: int) -> bool:
        """Whether a tick lies in it."""
        return self.month.first_tick <= tick <= self.month.last_tick

    def touches(self, start_ms: int, end_ms: int) -> bool:
        """Whether any of `[start, end)` lies in it: what was counted there is not known any more, and is not zero."""
        return self.month.begin_ms < end_ms and start_ms < self.month.end_ms


def dropped_months(connection: Connection, run: str, *, since_ms: int | None = None, until_ms: int | None = None) -> list[DroppedMonth]:
    """The months of a run that are gone and touch `[since, until)`, by time.

    Args:
        connection: a reading transaction.
        run: whose.
        since_ms: None: from the first on.
        until_ms: None: to the last one.
    """
    c = t.dropped_months.c
    rows = connection.execute(select(c.month, c.begun_ms, c.ended_ms).where(c.run == run).order_by(c.month))
    found = [DroppedMonth(Month.named(name, place="dropped_months"), begun_ms, ended_ms) for name, begun_ms, ended_ms in rows]
    since_ms, until_ms = (0 if since_ms is None else since_ms), (FOR_EVER_MS if until_ms is None else until_ms)
    return [one for one in found if one.touches(since_ms, until_ms)]


def dropped_counts(connection: Connection, run: str) -> dict[tuple[str, str, str, str], int]:
    """{(month, fate, source, reason of drops): records} of the months of a run that are gone; fates as tallies.py counts them."""
    c = t.dropped_counts.c
    rows = connection.execute(select(c.month, c.fate, c.source, c.reason, c.documents).where(c.run == run))
    return {(month, fate, source, reason): documents for month, fate, source, reason, documents in rows}
