"""Late: what would have been a surge on the day that it was published, and is known too late to be one.

A surge counts fresh documents only: news of yesterday must not ring as news of now. Stories whose first document was known too late
are counted here by the day of their publication, against the series' own day and what usually comes late. One notice, which says how
late it is; whether the event was told in its own time is the desk's to know.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.detectors.baseline import BaselineRow, clip
from alerts.detectors.gates import Gate
from alerts.detectors.surge import DAY_S, FULL_PPM, HORIZON_DAYS, Seeing, SurgeDetector
from alerts.detectors.tails import binomial_tail, limit_of, negative_binomial_tail
from alerts.detectors.window import strongest
from alerts.rules import LateRules
from groundswell.names import DAY_MS, DAY_TICKS, LATE_OF, PANE_MS, TICK_MS, content_id
from groundswell.records import Candidate, Increment


class _Story(NamedTuple):
    """A story whose first document was known too late."""

    tick: int
    published_ms: int
    document: list[str | int]  # as Increment.stale

    @property
    def negative(self) -> bool:
        return bool(self.document[5])


@dataclass
class LateDetector:
    """One series, beside its surge detector. State is rebuilt from stored rows: increments of a day, closed days, the last candidate."""

    surge: SurgeDetector
    rules: LateRules
    readers: frozenset[str] | None = None
    days: deque[BaselineRow] = field(default_factory=deque)
    last_tick: int | None = None  # of the last candidate
    _stories: deque[_Story] = field(default_factory=deque)

    def step(self, tick: int, rows: Iterable[Increment], seeing: Seeing) -> Iterator[Candidate]:
        """Take a closed tick's rows, and yield what they lead to."""
        self.leave(tick)
        self.enter(rows)
        if self._stories and self._stories[-1].tick == tick and all(gate.holds for gate in self._gates(tick, seeing)):
            self.last_tick = tick
            yield self._candidate(tick, seeing)

    def enter(self, rows: Iterable[Increment]) -> None:
        """Remember what came late; ticks come in order."""
        for row in rows:
            self._stories.extend(_Story(row.tick, row.pane * PANE_MS, document) for document in row.stale)

    def leave(self, tick: int) -> None:
        """As of a tick, what came a day before is forgotten."""
        while self._stories and self._stories[0].tick <= tick - DAY_TICKS:
            self._stories.popleft()

    def close_day(self, index: int, *, reader: str) -> BaselineRow | None:
        """Close a calendar day of known time; None where nothing came late."""
        stories = [story for story in self._stories if story.tick // DAY_TICKS == index]
        if not stories:
            return None
        negative = clip(sum(story.negative for story in stories), expected=self._usual(index, FULL_PPM * HORIZON_DAYS))
        row = BaselineRow(f"{LATE_OF}{self.surge.series}", DAY_S, index, negative, len(stories), reader)
        self.days.append(row)
        return row

    def gates(self, tick: int, seeing: Seeing) -> list[Gate]:
        """What stands between what came late within a day and a candidate: every gate; none where nothing negative did."""
        self.leave(tick)
        return list(self._gates(tick, seeing)) if any(story.negative for story in self._stories) else []

    def _gates(self, tick: int, seeing: Seeing) -> Iterator[Gate]:
        rules, stories = self.rules, self._published_together(tick)
        negative = [story for story in stories if story.negative]
        said = f"negative stories of one day that came late: {len(negative)}; needed: {rules.stories_min}"
        yield Gate("stories", len(negative) >= rules.stories_min, said)
        owners = len({story.document[2] for story in negative if story.document[3]})
        yield Gate("corroboration", owners >= rules.owners_min, f"known owners: {owners}; needed: {rules.owners_min}")
        formed, days = self.surge.formed(tick, seeing), self.surge.rules.forming_days
        yield Gate("forming", formed, f"days of baseline: {'at least' if formed else 'fewer than'} {days}; needed: {days}")
        repeats = self.last_tick is not None and (tick - self.last_tick) * TICK_MS < rules.repeat_s * 1_000
        yield Gate("repeat", not repeats, f"{'something' if repeats else 'nothing'} late was found within {rules.repeat_s} s")
        expected, p, p_share = self._test(stories, tick, seeing)
        yield Gate("improbable", p <= rules.p_open, f"expected: {expected:.2f}, so p = {p:.2g}; needed: {rules.p_open:.2g}")
        said = f"{len(negative)} of {len(stories)} are negative, so p = {p_share:.2g}; needed: {rules.p_share_open:.2g}"
        yield Gate("opens", p_share <= rules.p_share_open, said)
        last = max((story.tick for story in negative), default=tick)
        yield Gate("news", last == tick, f"the last of them came {(tick - last) * TICK_MS / 60_000:.0f} min before; needed: now")

    def _published_together(self, tick: int) -> list[_Story]:
        """What came late and was published within the day that ends with the newest of its negative stories."""
        oldest_ms = (tick + 1) * TICK_MS - self.rules.horizon_s * 1_000
        recent = [story for story in self._stories if story.published_ms >= oldest_ms]
        newest_ms = max((story.published_ms for story in recent if story.negative), default=0)
        return [story for story in recent if newest_ms - DAY_MS < story.published_ms <= newest_ms]

    def _test(self, stories: list[_Story], tick: int, seeing: Seeing) -> tuple[float, float, float]:
        """Expected negative stories of such a day, and the p-values of their number and of their share."""
        day = max(story.published_ms for story in stories) // DAY_MS
        _, seen_ppm = seeing.seen(day % 7, self.surge.language, daily=True)
        expected = self.surge.usual_day(tick // DAY_TICKS, seeing) + self._usual(tick // DAY_TICKS, seen_ppm)
        negative = sum(story.negative for story in stories)
        share = self.surge.day.baseline.share_ppm() / FULL_PPM
        p = negative_binomial_tail(negative, mean=expected, dispersion=self.surge.rules.dispersion)
        return expected, p, binomial_tail(negative, trials=len(stories), share=share)

    def _usual(self, today: int, seen_ppm: int) -> float:
        """Negative stories that usually come late in a day."""
        while self.days and self.days[0].index < today - HORIZON_DAYS:
            self.days.popleft()
        rows = [row.negative for row in self.days if self.readers is None or row.reader in self.readers]
        return sum(rows) / max(seen_ppm / FULL_PPM, len(rows), 1)

    def _candidate(self, tick: int, seeing: Seeing) -> Candidate:
        stories = self._published_together(tick)
        negative = [story for story in stories if story.negative]
        expected, p, p_share = self._test(stories, tick, seeing)
        lateness_ms = sorted((story.tick + 1) * TICK_MS - story.published_ms for story in negative)
        return Candidate(
            candidate_id=content_id("late", self.surge.series, str(tick)),
            series=self.surge.series,
            window_s=DAY_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=len(negative),
            expected_milli=round(expected * 1_000),
            limit=max(self.rules.stories_min, limit_of(self.rules.p_open, mean=expected, dispersion=self.surge.rules.dispersion)),
            p_ppt=round(p * 1e12),
            share_p_ppt=round(p_share * 1e12),
            by="count",
            stories=len(stories),
            owners=len({story.document[2] for story in negative}),
            owners_known=True,
            baseline_share_ppm=self.surge.day.baseline.share_ppm(),
            exposure_ppm=seeing.now(tick, self.surge.language),
            level="open",
            evidence=strongest([story.document[:5] for story in negative]),
            kind="late",
            late_s=lateness_ms[len(lateness_ms) // 2] // 1_000,
        )
