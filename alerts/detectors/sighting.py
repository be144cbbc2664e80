"""Sighting: a company is said to be in trouble of a listed kind, for the first time in a while.

One credible report of a default counts for more than thirty sour comments, and no count of negative stories sees it. The series is
what is said of one risk of one company (`flag:default_bankruptcy:SVB`), whatever its tone. At ticks that bring a fresh story of it:

    stories within a day corroborate each other?       no -> nothing
    as many as that are usual for this company?        yes -> nothing
    (one story of a regulator, an exchange or the company itself, where there was none in the quiet days, passes both)
    another sighting within the quiet days?            no -> candidate "open";  yes -> "hold", once a day: it keeps an incident alive
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from alerts.detectors.baseline import Baseline, BaselineRow, clip
from alerts.detectors.gates import Gate
from alerts.detectors.surge import DAY_S, FULL_PPM, HORIZON_DAYS, Seeing
from alerts.detectors.tails import limit_of, negative_binomial_tail
from alerts.detectors.window import strongest
from alerts.rules import Rules, SightingRules
from groundswell.names import DAY_MS, DAY_TICKS, HOUR_MS, TICK_MS, content_id
from groundswell.records import Candidate, Increment
from groundswell.windows import best_tier

STORIES_BEFORE: Final = 0.5
"""Added to the stories of the horizon: none in eight weeks does not mean that there can be none."""

RECENT_DAYS: Final = 14
"""Days that do not count as usual: a crisis is named now and then before it breaks."""


@dataclass
class SightingDetector:
    """One risk of one company. State is rebuilt from stored rows: baselines, increments of a day, candidates of the quiet days."""

    series: str
    rules: Rules
    followed: frozenset[str] = frozenset()  # companies that the run watches
    _rows: deque[tuple[int, list[list[str | int]]]] = field(default_factory=deque)  # (tick, fresh documents)
    _last_tick: int | None = None  # of the last candidate
    _baseline: Baseline = field(default_factory=lambda: Baseline(slots=7, horizon=HORIZON_DAYS))
    _open: set[str] = field(default_factory=set)  # stories of the calendar day that is still open

    def __post_init__(self) -> None:
        _, self._flag, self._company = self.series.split(":", 2)

    def step(self, tick: int, rows: Iterable[Increment], seeing: Seeing) -> Iterator[Candidate]:
        """Take a closed tick's rows of this series, and yield what they lead to."""
        fresh = [document for row in rows for document in row.negatives]
        self._leave(tick)
        if fresh:
            self._rows.append((tick, fresh))
            self._open.update(str(document[1]) for document in fresh)
            candidate = self._evaluate(tick, seeing)
            if candidate:
                self._last_tick = tick
                yield candidate

    def use(self, readers: frozenset[str] | None) -> None:
        """Another model is in force: what it has read itself is the baseline from here on."""
        self._baseline.use(readers)

    def obey(self, rules: Rules) -> None:
        """Other rules are in force."""
        self.rules = rules

    def follow(self, companies: frozenset[str]) -> None:
        """Other companies are watched."""
        self.followed = companies

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, reader: str = "") -> BaselineRow | None:
        """Close a calendar day in which the company was said to be at risk; an hour is no period of such a series."""
        if period_s != DAY_S or not self._open:
            return None
        expected = self._rate(index, seeing)
        row = BaselineRow(self.series, DAY_S, index, clip(len(self._open), expected=expected), len(self._open), reader)
        self._baseline.add(row)
        self._open = set()
        return row

    def restore(self, *, baseline: Iterable[BaselineRow], rows: Iterable[Increment], last: Iterable[Candidate], tick: int) -> None:
        """Rebuild from stored rows: those of the horizon, of the last day, and the last candidate of the quiet days, up to `tick`."""
        for closed in baseline:
            self._baseline.add(closed)
        for row in rows:
            if row.negatives:
                self._rows.append((row.tick, row.negatives))
                if row.tick // DAY_TICKS == tick // DAY_TICKS:
                    self._open.update(str(document[1]) for document in row.negatives)
        for candidate in last:
            self._last_tick = candidate.tick
        self._leave(tick)

    def _leave(self, tick: int) -> None:
        while self._rows and self._rows[0][0] <= tick - DAY_TICKS:
            self._rows.popleft()

    def gates(self, period_s: int, tick: int, seeing: Seeing) -> list[Gate]:
        """What stands between the day that ends with `tick` and a candidate: every gate.

        None where no fresh story is in the day, nor for an hour, which is no period of such a series.
        """
        self._leave(tick)
        return list(self._gates(tick, seeing)) if period_s == DAY_S and self._rows else []

    def _evaluate(self, tick: int, seeing: Seeing) -> Candidate | None:
        return self._candidate(tick, seeing) if all(gate.holds for gate in self._gates(tick, seeing)) else None

    def _gates(self, tick: int, seeing: Seeing) -> Iterator[Gate]:
        rules, first = self.rules.sighting, seeing.first_hour
        yield Gate("listed", self._flag in rules.flags, f"{self._flag} is {'' if self._flag in rules.flags else 'not '}in the rules' list")
        days = rules.forming_days
        formed = first is not None and tick * TICK_MS >= first * HOUR_MS + days * DAY_MS
        yield Gate("forming", formed, f"days heard: {'at least' if formed else 'fewer than'} {days}; needed: {days}")
        documents, stories, owners, _ = self._day()
        enough, believed = corroborated(stories, owners=owners, watched=self._watched, rules=rules), self._believed_tier(documents, tick)
        yield Gate(
            "corroboration", enough or believed > 0, f"stories: {stories}, of known owners: {owners}{self._credible(documents, tick)}"
        )
        expected, p = self._unusual(stories, tick, seeing)
        usual = p > rules.p_open and not self._watched and not believed
        yield Gate("improbable", not usual, f"expected in a day: {expected:.2f}, so p = {p:.2g}; needed: {rules.p_open:.2g}")
        since_ms = None if self._last_tick is None else (tick - self._last_tick) * TICK_MS
        last = "none" if since_ms is None else f"{since_ms / HOUR_MS:.1f} h ago"
        yield Gate("repeat", since_ms is None or since_ms >= DAY_MS, f"found before: {last}; one a day, new after {rules.quiet_days} days")
        last_tick = self._rows[-1][0]
        yield Gate("news", last_tick == tick, f"the last of them came {(tick - last_tick) * TICK_MS / 60_000:.0f} min before; needed: now")

    def _believed_tier(self, documents: list[list[str | int]], tick: int) -> int:
        """The tier of which one story is enough now, if the day has one of it; else 0."""
        rules, best = self.rules.sighting, best_tier(documents)
        if self._company in self.followed and 0 < best <= rules.watched_tier:
            return rules.watched_tier
        return rules.credible_tier if 0 < best <= rules.credible_tier and not self._before(tick) else 0

    def _before(self, tick: int) -> int:
        """Stories of the quiet days before the last day."""
        day = tick // DAY_TICKS
        return sum(row.stories for row in self._baseline.rows if day - self.rules.sighting.quiet_days <= row.index < day - 1)

    def _credible(self, documents: list[list[str | int]], tick: int) -> str:
        """What there is and what it takes, in words."""
        rules, best = self.rules.sighting, best_tier(documents)
        if self._watched:
            return "; needed: 1 of 1"
        tier = f", best tier: {best or 'unknown'}" if best or rules.credible_tier else ""
        needed = f"{rules.stories_min} of at least {rules.owners_min}, or {rules.one_owner_stories_min}"
        if self._company in self.followed and rules.watched_tier:
            return f"{tier}; needed: {needed}, or 1 of tier {rules.watched_tier} or better"
        if not rules.credible_tier:
            return f"{tier}; needed: {needed}"
        before = f"{self._before(tick)} in {rules.quiet_days} days"
        return f"{tier}; needed: {needed}, or 1 of tier {rules.credible_tier} and none before ({before})"

    def _candidate(self, tick: int, seeing: Seeing) -> Candidate:
        documents, stories, owners, speakers = self._day()
        expected, p = self._unusual(stories, tick, seeing)
        rules = self.rules.sighting
        by_count = corroborated(stories, owners=owners, watched=self._watched, rules=rules) and (self._watched or p <= rules.p_open)
        believed = 0 if by_count else self._believed_tier(documents, tick)
        quiet = self._last_tick is None or (tick - self._last_tick) * TICK_MS > rules.quiet_days * DAY_MS
        return Candidate(
            candidate_id=content_id(self.series, str(DAY_S), str(tick)),
            series=self.series,
            window_s=DAY_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=stories,
            expected_milli=round(expected * 1_000),
            limit=1 if believed else self._limit(expected, owners=owners),
            p_ppt=round(p * 1e12),
            share_p_ppt=FULL_PPM * FULL_PPM,
            by="count",
            stories=stories,
            owners=speakers,
            owners_known=owners > 0,
            baseline_share_ppm=0,
            exposure_ppm=FULL_PPM,
            level="open" if quiet else "hold",
            evidence=strongest(documents),
            kind="sighting",
            quiet_days=min(rules.quiet_days, (tick * TICK_MS - (seeing.first_hour or 0) * HOUR_MS) // DAY_MS),
            believed_tier=believed,
        )

    def _limit(self, expected: float, *, owners: int) -> int:
        """How many stories it takes, of as many owners as there are."""
        rules = self.rules.sighting
        if self._watched:
            return 1
        believed = rules.stories_min if owners >= rules.owners_min else rules.one_owner_stories_min
        return max(believed, limit_of(rules.p_open, mean=expected, dispersion=self.rules.surge.dispersion))

    @property
    def _watched(self) -> bool:
        return self._company in self.rules.sighting.watched

    def _day(self) -> tuple[list[list[str | int]], int, int, int]:
        """The day's documents, and how many stories, known owners and owners of any kind there are among them."""
        documents = [document for _, fresh in self._rows for document in fresh]
        stories, owners = {document[1] for document in documents}, {document[2] for document in documents}
        return documents, len(stories), len({document[2] for document in documents if document[3]}), len(owners)

    def _unusual(self, stories: int, tick: int, seeing: Seeing) -> tuple[float, float]:
        """How many stories a day usually brings, and the p-value of so many."""
        expected = self._rate(tick // DAY_TICKS, seeing)
        return expected, negative_binomial_tail(stories, mean=expected, dispersion=self.rules.surge.dispersion)

    def _rate(self, day: int, seeing: Seeing) -> float:
        """Stories that a day usually brings: over the seeing days of the horizon, but for the last ones, where it may have begun."""
        self._baseline.forget_before(day)
        _, seen_ppm = seeing.seen(day % 7, "", daily=True)
        stories = sum(row.negative for row in self._baseline.rows if row.index < day - RECENT_DAYS)
        return (stories + STORIES_BEFORE) / max(seen_ppm / FULL_PPM - RECENT_DAYS, 1)


def corroborated(stories: int, *, owners: int, watched: bool, rules: SightingRules) -> bool:
    """Whether so many distinct stories of so many known owners are enough to be believed."""
    if watched and owners:
        return True
    return stories >= rules.one_owner_stories_min or (stories >= rules.stories_min and owners >= rules.owners_min)
