"""The trailing hour or day of a series: distinct fresh stories, owners, and the documents an alert would show.

A story counts while its last tick lies in the window, so that tick is all that is remembered of it, however many documents it
has. Of the negative documents of one tick the strongest are kept: the evidence of the window does not depend on the others.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from alerts.detectors.baseline import Baseline
from groundswell.names import ANY_TONE, TICK_MS, series_kind
from groundswell.records import Increment
from groundswell.windows import FRESH, FRESH_NEGATIVE

EVIDENCE_MAX: Final = 200
"""Documents of a candidate's evidence. What is not among the strongest so many of its tick is not among those of the window either."""

NEVER: Final = 2**62

Negatives = list[list[str | int]]


Fresh = tuple[list[str], list[str]]
"""Stories with a fresh document, and those with a fresh one that counts: a negative one, or of a saved search one that is not positive."""


class Latest:
    """Keys by the last tick that had them, the oldest first: a dictionary's own order, in half the memory of an ordered one."""

    def __init__(self) -> None:
        self._ticks: dict[str, int] = {}
        self._oldest = NEVER  # no key is older; nearly every tick there is nothing to forget, and that has to cost nothing

    def __len__(self) -> int:
        return len(self._ticks)

    def see(self, key: str, tick: int) -> None:
        """A tick has the key; ticks come in order."""
        if key in self._ticks:
            del self._ticks[key]
        self._ticks[key] = tick
        if tick < self._oldest:
            self._oldest = tick

    def forget_through(self, tick: int) -> None:
        """Let go of keys whose last tick is not after this one."""
        if tick < self._oldest:
            return
        # In one go: what a dictionary has lost from its front it walks over again each time that it is asked for its first key.
        for key in [key for key, last in takewhile(lambda item: item[1] <= tick, self._ticks.items())]:
            del self._ticks[key]
        self._oldest = next(iter(self._ticks.values()), NEVER)

    def since(self, tick: int) -> int:
        """How many keys were seen at or after a tick."""
        count = 0
        for last in reversed(self._ticks.values()):
            if last < tick:
                break
            count += 1
        return count


@dataclass
class Window:
    """What a window has to remember of increments until they leave it."""

    period_s: int
    baseline: Baseline
    stories: Latest = field(default_factory=Latest)
    negative: Latest = field(default_factory=Latest)  # stories with a fresh negative document
    owners: Latest = field(default_factory=Latest)  # of those documents
    copies: dict[str | int, int] | None = None  # negative documents of each story beside the one that founded it; where they are asked for
    last: tuple[int, int] | None = None  # tick and statistic of the last candidate
    _known_owner: int | None = None  # the last tick with a negative document whose owner is known
    _strongest: deque[tuple[int, Negatives]] = field(default_factory=deque)  # by tick

    @property
    def ticks(self) -> int:
        """Length in ticks."""
        return self.period_s * 1_000 // TICK_MS

    def enter(self, row: Increment, fresh: Fresh | None = None) -> None:
        """Count an increment; ticks come in order. Who has several windows reads the row once (`fresh_stories`) and hands it in."""
        stories, against = fresh or fresh_stories(row)
        for name in stories:
            self.stories.see(name, row.tick)
        for name in against:
            self.negative.see(name, row.tick)
        if not row.negatives:
            return
        for negative in row.negatives:
            self.owners.see(str(negative[2]), row.tick)
            if negative[3]:
                self._known_owner = row.tick
        before = self._strongest.pop()[1] if self._strongest and self._strongest[-1][0] == row.tick else []
        kept = before + row.negatives if before else row.negatives
        kept = kept if len(kept) <= EVIDENCE_MAX else strongest(kept)
        self._strongest.append((row.tick, kept))
        if self.copies is not None:
            if before:
                _count(self.copies, before, -1)
            _count(self.copies, kept, 1)

    def leave(self, tick: int) -> None:
        """As of a tick, what lies a window back has left."""
        through = tick - self.ticks
        for latest in (self.stories, self.negative, self.owners):
            latest.forget_through(through)
        while self._strongest and self._strongest[0][0] <= through:
            _, gone = self._strongest.popleft()
            if self.copies is not None:
                _count(self.copies, gone, -1)

    @property
    def latest_tick(self) -> int | None:
        """The last tick of the window with a fresh negative document."""
        return self._strongest[-1][0] if self._strongest else None

    def of_period(self, index: int) -> tuple[int, int]:
        """Distinct fresh negative stories and distinct fresh stories of a calendar period, which is the last that has rows."""
        begin = index * self.ticks
        return self.negative.since(begin), self.stories.since(begin)

    def owner_known(self, tick: int) -> bool:
        """Whether any of the negative documents has a known owner."""
        return self._known_owner is not None and self._known_owner > tick - self.ticks

    def negatives_of(self, index: int) -> Negatives:
        """The negative documents of a calendar period, which is the last that has rows; in the order in which they came."""
        begin = index * self.ticks
        return [negative for tick, negatives in self._strongest if tick >= begin for negative in negatives]

    def copies_of(self, story: str) -> Negatives:
        """The negative documents of a story in the order in which they came."""
        return [negative for _, negatives in self._strongest for negative in negatives if negative[1] == story]

    def evidence(self) -> Negatives:
        """The strongest of the negative documents."""
        return strongest([negative for _, negatives in self._strongest for negative in negatives])


def fresh_stories(row: Increment) -> Fresh:
    """The stories of an increment that count."""
    if series_kind(row.series) in ANY_TONE:
        found = [story for story, owners in row.members.items() if any(counts[FRESH] for counts in owners.values())]
        return found, list(dict.fromkeys(str(negative[1]) for negative in row.negatives))
    stories: list[str] = []
    negative: list[str] = []
    for story, owners in row.members.items():
        fresh = against = 0
        for counts in owners.values():
            fresh += counts[FRESH]
            against += counts[FRESH_NEGATIVE]
        if fresh:
            stories.append(story)
            if against:
                negative.append(story)
    return stories, negative


def strongest(negatives: Negatives) -> Negatives:
    """At most EVIDENCE_MAX documents: one of each story first, the most negative before the others."""
    ordered = sorted(negatives, key=lambda n: (-int(n[4]), str(n[0])))
    leaders: dict[str, list[str | int]] = {}
    for negative in ordered:
        leaders.setdefault(str(negative[1]), negative)
    firsts = list(leaders.values())
    rest = [negative for negative in ordered if leaders[str(negative[1])] is not negative]
    return (firsts + rest)[:EVIDENCE_MAX]


def _count(copies: dict[str | int, int], negatives: Negatives, sign: int) -> None:
    """Add to the copies, or take away; a story without any goes."""
    for document_id, story, *_ in negatives:
        if document_id != story:
            count = copies.get(story, 0) + sign
            if count:
                copies[story] = count
            else:
                del copies[story]
