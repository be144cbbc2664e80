"""A series as fold watches it, for tests: periods that close, rows that are kept, and a restart from them at any tick."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.surge import DAY_S, HOUR_S, SurgeDetector
from alerts.detectors.watch import SeriesWatch
from alerts.rules import Rules, load_rules
from groundswell.names import DAY_MS, DAY_TICKS, HOUR_MS, TICK_MS
from groundswell.records import Candidate, Contribution, Increment
from stream.operators.windows import increments_of
from tests import builders as b

FULL = 1_000_000
SERIES = "entity:aldora"
OWNERS = tuple(f"Owner {n}" for n in range(40))


@dataclass
class Sky:
    """Exposure as a test wants it: full, and known for so many days."""

    days: int = 400
    now_ppm: int = FULL
    since_tick: int = -(2**62)

    @property
    def first_hour(self) -> int | None:
        return (b.T0_MS - self.days * DAY_MS) // HOUR_MS

    def now(self, tick: int, language: str) -> int:
        return self.now_ppm

    def of_hour(self, hour: int, language: str) -> int:
        return FULL

    def seen(self, slot: int, language: str, *, daily: bool = False) -> tuple[int, int]:
        return 8 * FULL, 8 * (7 if daily else 168) * FULL


@dataclass
class Series:
    """All detectors of one series."""

    rules: Rules = field(default_factory=load_rules)
    sky: Sky = field(default_factory=Sky)
    series: str = SERIES
    rows: list[Increment] = field(default_factory=list)
    baseline: list[BaselineRow] = field(default_factory=list)
    found: list[Candidate] = field(default_factory=list)
    tick: int | None = None
    number: int = 0

    def __post_init__(self) -> None:
        self.watch = SeriesWatch(SurgeDetector(self.series, self.rules.surge), self.rules)

    def document(self, tick: int, *, negative: bool = True, story: str | None = None, late_s: int = 60, **given: Any) -> Contribution:
        """A document that was published so long before the tick; of a story of its own unless one is given."""
        self.number += 1
        fields: dict[str, Any] = {
            "series": self.series,
            "document_id": story if story and not any(story in row.members for row in self.rows) else f"d{self.number:06}",
            "owner": OWNERS[self.number % len(OWNERS)],
            "sentiment": "negative" if negative else "neutral",
            "negative_ppm": self.number,
            "known_ms": tick * TICK_MS,
            "published_ms": tick * TICK_MS - late_s * 1_000,
            "fresh": late_s < 21_600,
        }
        return b.a_contribution(**(fields | given))

    def hear(self, tick: int, documents: Iterable[tuple[Contribution, str | None]] | Iterable[Contribution]) -> list[Candidate]:
        """One tick with documents; a pair names the story that a document is a copy of."""
        pairs = [each if isinstance(each, tuple) else (each, None) for each in documents]
        found = self.close(tick)
        rows = increments_of(tick, [(document, story or document.document_id) for document, story in pairs])
        self.rows += rows
        found += self.watch.step(tick, rows, self.sky)
        self.found += found
        return found

    def close(self, tick: int) -> list[Candidate]:
        """The hour and the day that ended since the last tick."""
        found: list[Candidate] = []
        for period_s, ticks in ((HOUR_S, b.TICKS_H), (DAY_S, b.TICKS_D)):
            if self.tick is not None and tick // ticks > self.tick // ticks:
                closed = self.watch.close_period(period_s, self.tick // ticks, self.sky, tick=tick)
                self.baseline += closed.baselines
                found += closed.candidates
        self.tick = tick
        return found

    def restored(self) -> "Series":
        """The same after a restart, rebuilt from rows as stream/shells/rebuild.py does it."""
        again = Series(self.rules, self.sky, self.series, list(self.rows), list(self.baseline), list(self.found), self.tick, self.number)
        last = {(candidate.kind, candidate.window_s): candidate for candidate in self.found}
        tick = self.tick or 0
        day = [row for row in self.rows if row.tick > tick - DAY_TICKS]
        again.watch.restore(baseline=self.baseline, rows=day, last=last.values(), tick=tick)
        return again

    def of_kind(self, kind: str) -> list[Candidate]:
        """What was found of one kind."""
        return [candidate for candidate in self.found if candidate.kind == kind]
