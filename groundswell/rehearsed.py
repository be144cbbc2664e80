"""What a rehearsal says of other rules, beside what was sent: records, and what the two have in common. Pure.

sent    o------o     o        o        the run's own alerts in the span
would   o------o                 o     of the rehearsed rules: one incident stays, two go, one comes
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from groundswell.names import DAY_MS
from groundswell.records import Alert, AlertKind, Severity

SAME_WITHIN_MS: Final = DAY_MS
"""Two incidents with a series in common that open so close to each other are one event."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One message: an incident's first alert, or an update of it."""

    alert: str
    incident: str
    update: int  # 0: the first
    opened_ms: int
    severity: Severity
    kind: AlertKind
    series: str
    all_series: list[str]
    title: str

    @classmethod
    def of(cls, alert: Alert) -> "Told":
        """What of an alert is compared."""
        return cls(
            alert=alert.id,
            incident=alert.incident,
            update=alert.update,
            opened_ms=alert.opened_ms,
            severity=alert.severity,
            kind=alert.kind,
            series=alert.series,
            all_series=alert.all_series,
            title=alert.title,
        )


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A rehearsal over `[start_ms, end_ms)` of a run."""

    run: str
    start_ms: int
    end_ms: int
    before: str  # hash of the newest rules when it was asked for
    rules: str  # hash of the rehearsed ones
    documents: int
    sent: list[Told]
    would: list[Told]
    held: dict[str, int]  # reason -> candidates that the rehearsed rules would have held
    forming_ms: int  # nothing fires before, by any rule
    unlike: int  # hours and days of baseline that did not come out as they are stored
    gone: list[str] = []  # months of the span, or of what it looks back on, that were dropped

    @property
    def days(self) -> float:
        """Length of the span."""
        return (self.end_ms - self.start_ms) / DAY_MS


@dataclass(frozen=True)
class Event:
    """One incident in both: `None` where one of them does not tell it."""

    sent: list[Told]  # its messages, oldest first; empty: it would come
    would: list[Told]  # empty: it would go

    @property
    def first(self) -> Told:
        """What it is known by: what was sent, where something was."""
        return (self.sent or self.would)[0]

    @property
    def fate(self) -> str:
        """Whether it "comes", "goes" or "stays"."""
        return "comes" if not self.sent else "goes" if not self.would else "stays"


def events_of(found: Comparison) -> list[Event]:
    """The incidents of a comparison, those of both first matched: by name, then by a series in common within SAME_WITHIN_MS.

    Returns:
        Newest first.
    """
    sent, would = _incidents(found.sent), _incidents(found.would)
    pairs = [(name, name) for name in sent if name in would]
    left = {name: told for name, told in would.items() if name not in sent}
    for name, told in sent.items():
        if name not in would:
            near = [other for other, its in left.items() if _is_same(told[0], its[0])]
            if near:
                best = min(near, key=lambda other: (abs(left[other][0].opened_ms - told[0].opened_ms), other))
                pairs.append((name, best))
                del left[best]
    mine, theirs = {name for name, _ in pairs}, {name for _, name in pairs}
    made = [Event(sent[a], would[b]) for a, b in pairs]
    made += [Event(told, []) for name, told in sent.items() if name not in mine]
    made += [Event([], told) for name, told in would.items() if name not in theirs]
    return sorted(made, key=lambda event: (-event.first.opened_ms, event.first.alert))


def _incidents(told: Iterable[Told]) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = {}
    for one in sorted(told, key=lambda one: (one.opened_ms, one.alert)):
        found.setdefault(one.incident, []).append(one)
    return found


def _is_same(one: Told, other: Told) -> bool:
    return abs(one.opened_ms - other.opened_ms) < SAME_WITHIN_MS and not set(one.all_series).isdisjoint(other.all_series)
