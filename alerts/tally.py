"""The tally of a rehearsal: pings held against events that really happened, which somebody has listed.

A ping is right where its moment lies in an event's `[start, end)` and one of its series is the event's. Equal for every rule.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple, Protocol

from groundswell.errors import UsageError
from groundswell.names import DAY_MS

COLUMNS: Final = ("series", "start", "end", "name")
PUBLIC: Final = "public"
"""A column that may be missing, or empty in a row."""


class Event(NamedTuple):
    """Something that happened, as listed: `[start_ms, end_ms)` on the known axis."""

    series: frozenset[str]
    start_ms: int
    end_ms: int
    name: str
    public_ms: int | None = None  # when it was public, by the reference that the house goes by; None: nobody says, so its start

    @property
    def reference_ms(self) -> int:
        """What the lead is measured from."""
        return self.start_ms if self.public_ms is None else self.public_ms


class Ping(NamedTuple):
    """One message that would have been sent, by whichever rule."""

    at_ms: int
    series: frozenset[str]

    def tells(self, event: Event) -> bool:
        """Whether it speaks of an event."""
        return event.start_ms <= self.at_ms < event.end_ms and bool(self.series & event.series)


@dataclass(frozen=True)
class Figures:
    """What pings are worth over `[start, end)`."""

    days: float
    pings: int
    right: int  # that tell a listed event
    listed: int  # events that begin in the span
    found: int  # of these
    after_start_ms: int | None  # from an event's start to its first ping, median of the found
    before_end_ms: int | None  # from the first ping to the event's end: the lead, median of the found

    @property
    def per_day(self) -> float:
        """Pings of one analyst's day."""
        return self.pings / self.days if self.days else 0.0


def first_ping(event: Event, pings: Iterable[Ping]) -> Ping | None:
    """The first ping that tells an event."""
    return min((ping for ping in pings if ping.tells(event)), key=lambda ping: ping.at_ms, default=None)


def leads_ms(events: Iterable[Event], pings: Sequence[Ping]) -> list[int]:
    """From each event's public moment to the first ping that tells it, of those that were told; below zero: before it was public."""
    return [ping.at_ms - event.reference_ms for event in events if (ping := first_ping(event, pings))]


def figures(pings: Sequence[Ping], events: Sequence[Event], *, start_ms: int, end_ms: int) -> Figures:
    """Count a span. An event belongs to the span in which it begins."""
    inside = [ping for ping in pings if start_ms <= ping.at_ms < end_ms]
    listed = [event for event in events if start_ms <= event.start_ms < end_ms]
    firsts = [(event, ping) for event in listed if (ping := first_ping(event, pings))]
    return Figures(
        days=(end_ms - start_ms) / DAY_MS,
        pings=len(inside),
        right=sum(any(ping.tells(event) for event in events) for ping in inside),
        listed=len(listed),
        found=len(firsts),
        after_start_ms=round(median(ping.at_ms - event.start_ms for event, ping in firsts)) if firsts else None,
        before_end_ms=round(median(event.end_ms - ping.at_ms for event, ping in firsts)) if firsts else None,
    )


class Moment(Protocol):
    """How a time is read."""

    def __call__(self, text: str, *, name: str, end: bool = False) -> int:
        """Milliseconds since 1970; `end`: a bare day is its end."""


def read_events(lines: Iterable[str], *, place: str, moment: Moment, series_of: Callable[[str], Iterable[str]]) -> list[Event]:
    """Events from a CSV file with a header: series,start,end,name, and public where the house has a reference.

    Args:
        lines: of the file.
        place: its name, for errors.
        moment: reads a time.
        series_of: what a name in the first column stands for.

    Raises:
        UsageError: a column is missing, a time cannot be read, or an event ends before it begins; line and column are named.
    """
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        reason = f"{place}, line 1: column {missing[0]!r} is missing; the first line has to be {','.join(COLUMNS)}"
        raise UsageError(reason)
    events = []
    for row in reader:
        here = f"{place}, line {reader.line_num}"
        if any(not (row[name] or "").strip() for name in COLUMNS[:3]):
            reason = f"{here}: series, start or end is empty; every event needs all three"
            raise UsageError(reason)
        start_ms = moment(row["start"].strip(), name=f"{here}, start")
        end_ms = moment(row["end"].strip(), name=f"{here}, end", end=True)
        if end_ms <= start_ms:
            reason = f"{here}: end {row['end']!r} does not lie behind start {row['start']!r}; exchange them"
            raise UsageError(reason)
        public = (row.get(PUBLIC) or "").strip()
        public_ms = moment(public, name=f"{here}, {PUBLIC}") if public else None
        if public_ms is not None and not start_ms <= public_ms <= end_ms:
            reason = f"{here}: public {public!r} does not lie between start {row['start']!r} and end {row['end']!r}; correct one of them"
            raise UsageError(reason)
        name = (row["name"] or row["series"]).strip()
        events.append(Event(frozenset(series_of(row["series"].strip())), start_ms, end_ms, name, public_ms))
    return events
