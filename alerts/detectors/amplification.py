"""Amplification: few stories, many copies. One origin that is passed on is an echo, and is told as one.

A surge counts stories, so that copies cannot make one. What is copied far more than anything of this series in eight weeks is worth a
word all the same, with the origin first: at ticks that bring a copy of the story that has the most of them within a day.
The day's stories and documents are those of the surge detector of the same series; its own are the closed days' largest stories.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.gates import Gate
from alerts.detectors.surge import DAY_S, FULL_PPM, HORIZON_DAYS, Seeing, SurgeDetector
from alerts.detectors.tails import limit_of, negative_binomial_tail
from alerts.detectors.window import EVIDENCE_MAX, Negatives
from alerts.rules import AmplificationRules
from groundswell.names import COPIES_OF, DAY_TICKS, TICK_MS, content_id
from groundswell.records import Candidate, Increment


@dataclass
class AmplificationDetector:
    """One series, beside its surge detector. State is rebuilt from stored rows: the closed days' largest stories, the last candidate."""

    surge: SurgeDetector
    rules: AmplificationRules
    readers: frozenset[str] | None = None
    days: deque[BaselineRow] = field(default_factory=deque)
    last: tuple[int, int] | None = None  # tick and documents of the last candidate

    def __post_init__(self) -> None:
        self.surge.count_copies()

    def step(self, tick: int, rows: Iterable[Increment], seeing: Seeing) -> Iterator[Candidate]:
        """Take a closed tick's rows, behind the surge detector, and yield what they lead to."""
        copies, least = self.surge.day.copies, self.rules.documents_min - 1
        if not copies:
            return
        now = {n[1] for row in rows for n in row.negatives if n[0] != n[1] and copies.get(n[1], 0) >= least}
        if not now:
            return
        story = str(max(now, key=lambda name: (copies[name], str(name))))
        if self._repeats(tick, copies[story] + 1):  # a storm brings hundreds, and each would be looked at again
            return
        if all(gate.holds for gate in self._gates(story, tick, seeing)):
            candidate = self._candidate(story, tick, seeing)
            self.last = tick, candidate.statistic
            yield candidate

    def close_day(self, index: int, *, reader: str) -> BaselineRow | None:
        """Close a calendar day; None where no negative story had a copy."""
        counts: dict[str, int] = {}
        for negative in self.surge.day.negatives_of(index):
            counts[str(negative[1])] = counts.get(str(negative[1]), 0) + 1
        largest = max(counts.values(), default=0)
        if largest < 2:
            return None
        row = BaselineRow(f"{COPIES_OF}{self.surge.series}", DAY_S, index, largest, sum(counts.values()), reader)
        self.days.append(row)
        return row

    def gates(self, tick: int, seeing: Seeing) -> list[Gate]:
        """What stands between the most copied story of the day and a candidate: every gate; none where nothing is copied."""
        copies = self.surge.day.copies or {}
        story = max(copies, key=lambda name: (copies[name], str(name)), default=None)
        return [] if story is None else list(self._gates(str(story), tick, seeing))

    def _gates(self, story: str, tick: int, seeing: Seeing) -> Iterator[Gate]:
        rules = self.rules
        documents = self.surge.day.copies_of(story)
        count = len(documents)
        yield Gate("copies", count >= rules.documents_min, f"documents of one story: {count}; needed: {rules.documents_min}")
        owners = len({negative[2] for negative in documents if negative[3]})
        yield Gate("corroboration", owners >= rules.owners_min, f"known owners: {owners}; needed: {rules.owners_min}")
        formed, days = self.surge.formed(tick, seeing), self.surge.rules.forming_days
        yield Gate("forming", formed, f"days of baseline: {'at least' if formed else 'fewer than'} {days}; needed: {days}")
        repeats = self._repeats(tick, count)
        yield Gate("repeat", not repeats, f"{'much' if repeats else 'nothing like'} the same was found within {rules.repeat_s} s")
        usual, peak = self._usual(tick, seeing)
        p = negative_binomial_tail(count, mean=usual, dispersion=rules.dispersion)
        said = f"usual: {usual:.1f}, so p = {p:.2g}; needed: {rules.p_open:.2g}, and {rules.growth:g} times the most in eight weeks, {peak}"
        yield Gate("improbable", p <= rules.p_open and count >= rules.growth * peak, said)
        stories, breadth = self.surge.breadth(tick, seeing)
        broad = breadth <= self.surge.rules.p_hold
        said = f"negative stories: {stories}, p = {breadth:.2g}; many stories are a surge: needed above {self.surge.rules.p_hold:.2g}"
        yield Gate("echo", not broad, said)
        latest = self.surge.day.latest_tick or tick
        yield Gate("news", latest == tick, f"the last of them came {(tick - latest) * TICK_MS / 60_000:.0f} min before; needed: now")

    def _repeats(self, tick: int, count: int) -> bool:
        """Whether much the same was found a moment ago; `count` may leave out a founder that has left the day."""
        return self.last is not None and (tick - self.last[0]) * TICK_MS < self.rules.repeat_s * 1_000 and count < 2 * self.last[1]

    def _candidate(self, story: str, tick: int, seeing: Seeing) -> Candidate:
        documents: Negatives = self.surge.day.copies_of(story)
        usual, peak = self._usual(tick, seeing)
        p = negative_binomial_tail(len(documents), mean=usual, dispersion=self.rules.dispersion)
        least = limit_of(self.rules.p_open, mean=usual, dispersion=self.rules.dispersion)
        return Candidate(
            candidate_id=content_id("amplification", self.surge.series, str(tick)),
            series=self.surge.series,
            window_s=DAY_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=len(documents),
            expected_milli=round(usual * 1_000),
            limit=max(least, self.rules.documents_min, -int(-self.rules.growth * peak // 1)),
            p_ppt=round(p * 1e12),
            share_p_ppt=FULL_PPM * FULL_PPM,
            by="count",
            stories=len(self.surge.day.stories),
            owners=len({negative[2] for negative in documents}),
            owners_known=True,
            baseline_share_ppm=0,
            exposure_ppm=seeing.now(tick, self.surge.language),
            level="open",
            evidence=_origin_first(documents, story)[:EVIDENCE_MAX],
            kind="amplification",
        )

    def _usual(self, tick: int, seeing: Seeing) -> tuple[float, int]:
        """Documents that a day's largest story usually has, and the most that one had; of the seeing days of the horizon."""
        today = tick // DAY_TICKS
        while self.days and self.days[0].index < today - HORIZON_DAYS:
            self.days.popleft()
        counted = [row.negative for row in self.days if self.readers is None or row.reader in self.readers]
        _, seen_ppm = seeing.seen(today % 7, "", daily=True)
        days = max(seen_ppm // FULL_PPM, len(counted), 1)
        return (sum(counted) + days - len(counted)) / days, max(counted, default=1)


def _origin_first(documents: Negatives, story: str) -> Negatives:
    """The documents as they came, the one that founded the story before all others."""
    return sorted(documents, key=lambda negative: negative[0] != story)
