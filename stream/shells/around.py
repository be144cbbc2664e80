"""What the desk knows of a tick beside its candidates, read from stored rows: the same when it decides and when `explain` asks again.

moved     languages whose figures have moved with the model     alerts/detectors/model_shift.py
echoes    amplifications that only readers passed on
named     the companies in the evidence of what is wider than a company
peers     what those that an alert is compared with did

    hours   |---- before: up to eight weeks, whole days ----|  ...  |---- recent: the last 24 that are closed ----| open

Only hours that were closed when the tick began are read: whoever decides a tick has them all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection

from alerts.desk import WIDE, Around
from alerts.detectors.model_shift import Language, shift_of
from alerts.kinds import HELD_BY_SHIFT
from alerts.rules import Rules
from groundswell.names import HOUR_MS, LANGUAGES, TICK_MS, TOPICS, entity_series, language_series, series_kind, topic_series
from groundswell.peers import PEERS_MAX, median_of, moved_of
from groundswell.records import Candidate, Peers
from groundswell.schedule import MODEL, PAST_OF
from groundswell.store.facts import counted_documents, first_tick
from groundswell.store.history import history_of
from groundswell.store.results import named_in
from groundswell.store.shares import last_day, sums_of
from stream.operators.exposure import HORIZON_HOURS
from stream.shells.versions import VersionsInForce

RECENT_HOURS: Final = 24
Sums = dict[str, tuple[int, int]]


class _Span(NamedTuple):
    """Closed hours `[since, until)` of a run that count."""

    run: str
    since: int
    until: int


@dataclass
class Memo:
    """What a desk asks for again and again: the sums of whole days, those of one day at a time, and where the run begins."""

    day: int | None = None
    first: dict[bool, int] = field(default_factory=dict)  # tick; with the run's history and without it
    sums: dict[tuple[str, tuple[_Span, ...]], Sums] = field(default_factory=dict)

    def of_day(self, day: int) -> dict[tuple[str, tuple[_Span, ...]], Sums]:
        """What is known of the days before one."""
        if day != self.day:
            self.day, self.sums = day, {}
        return self.sums


def nobody(_: str) -> Sequence[str]:
    """Of whom no sector is known."""
    return ()


@dataclass(frozen=True)
class Looker:
    """Reads around one tick of one run.

    Args:
        connection: the transaction of whoever asks.
        run: whose rows.
        tick: the tick that is decided.
        in_force: which model is in force when.
        memo: what whoever asks has kept since the last tick.
    """

    connection: Connection
    run: str
    tick: int
    in_force: VersionsInForce
    memo: Memo = field(default_factory=Memo)

    def around(self, candidates: Iterable[Candidate], rules: Rules) -> tuple[Around, list[Candidate]]:
        """What the desk has to know to decide candidates, and a finding for each language that has moved."""
        asked = [candidate for candidate in candidates if candidate.level == "open"]
        shifts = {language: found for language in _languages(asked) if (found := self.shift(language, rules))}
        amplified = [candidate for candidate in asked if candidate.kind == "amplification"]
        echoes = {candidate.candidate_id for candidate in amplified if self._only_readers(candidate, rules)}
        wide = {str(row[0]) for candidate in asked if series_kind(candidate.series) in WIDE for row in candidate.evidence}
        return Around(frozenset(shifts), frozenset(echoes), named_in(self.connection, self.run, sorted(wide))), list(shifts.values())

    def shift(self, language: str, rules: Rules) -> Candidate | None:
        """The finding that a language's figures have moved with the model; None where they have not."""
        series = [topic_series(topic, language) for topic in TOPICS]
        recent, before = self._spans(language_series(language))
        now = self._sums(recent, series)
        if sum(stories >= rules.model_shift.stories_min for _, stories in now.values()) < rules.model_shift.topics_min:
            return None  # what came before need not be read
        kept, key = self.memo.of_day(self._midnight), (language, tuple(before))
        if key not in kept:
            kept[key] = self._sums(before, series)
        began_ms = self._model_since_ms()
        since_model_ms = None if began_ms is None else self.tick * TICK_MS - began_ms
        hours = sum(span.until - span.since for span in before)
        return shift_of(Language(language, moved_of(now, kept[key]), hours, since_model_ms), self.tick, rules.model_shift)

    def peers(self, series: str, sector: Callable[[str], Sequence[str]]) -> Peers | None:
        """What those did that a company or a topic is compared with; None where too few of them were spoken of.

        The recent hours are counted from what was written: a baseline clips the hours of a surge, and peers that surge too would look calm.
        """
        recent, before = self._spans(series)
        kind, _, rest = series.partition(":")
        if kind == "topic":
            topic, language = rest.rsplit(":", 1)
            others = [topic_series(other, language) for other in TOPICS if other != topic]
            return median_of("topics", moved_of(self._written(recent, others), self._sums(before, others)))
        if kind != "entity":
            return None
        rivals = [entity_series(other) for other in sector(rest)]
        same = median_of("sector", moved_of(self._written(recent, rivals), self._sums(before, rivals)))
        if same is not None:
            return same
        now = self._sums(recent, prefix=entity_series(""))
        most = [name for name in sorted(now, key=lambda name: (-now[name][1], name)) if name != series][:PEERS_MAX]
        return median_of("companies", moved_of(self._written(recent, most), self._sums(before, most)))

    # --- the rows ------------------------------------------------------------------------------------------------------
    @property
    def _open_hour(self) -> int:
        return self.tick * TICK_MS // HOUR_MS

    @property
    def _midnight(self) -> int:
        """The hour that the whole days before the recent hours end with."""
        return (self._open_hour - RECENT_HOURS) // 24 * 24

    def _model_since_ms(self) -> int | None:
        """When the model in force came into force; None for the one that the run began with."""
        model = self.in_force.schedule.at(MODEL, self.tick * TICK_MS)
        begun = [start for start, _ in self.in_force.schedule.spans(MODEL, model or "") if start <= self.tick * TICK_MS]
        return begun[-1] if begun and begun[-1] > 0 else None

    def _spans(self, series: str) -> tuple[list[_Span], list[_Span]]:
        """Recent hours and those before, as far as the model in force has read them: in this run, and in the run that is its past."""
        oldest = self._midnight - HORIZON_HOURS
        history = history_of(self.connection, self.run)
        with_history = history is None or history.counts_at(self.tick, series)
        began_ms = self._model_since_ms()
        since = max(oldest, -(-max(began_ms or 0, self._first_tick(history=with_history) * TICK_MS) // HOUR_MS))
        recent = _Span(self.run, max(since, self._open_hour - RECENT_HOURS), self._open_hour)
        before = [_Span(self.run, since, self._midnight)]
        model = self.in_force.schedule.at(MODEL, self.tick * TICK_MS)
        pasts = [row.hash for row in self.in_force.schedule.of(f"{PAST_OF}{model}") if row.effective_ms <= self.tick * TICK_MS]
        if pasts and began_ms is not None:
            start_ms, end_ms = self.in_force.pasts[pasts[-1]]
            until = min(min(end_ms, began_ms) // HOUR_MS, self._midnight)
            before.append(_Span(pasts[-1], max(oldest, -(-start_ms // HOUR_MS)), until))
        return [recent], [span for span in before if span.since < span.until]

    def _first_tick(self, *, history: bool) -> int:
        """The first tick that was heard; what a desk has once found stays so."""
        found = self.memo.first.get(history)
        if found is None:
            found = first_tick(self.connection, self.run, history=history) or 0
            self.memo.first[history] = found
        return found

    def _sums(self, spans: list[_Span], series: Iterable[str] = (), *, prefix: str = "") -> Sums:
        """{series: negative stories and stories} of closed hours, those of several runs together."""
        found: Sums = {}
        wanted = list(series)
        for run, since, until in spans:
            some = sums_of(self.connection, run, since_hour=since, until_hour=until, series=wanted, prefix=prefix)
            for name, (negative, stories) in some.items():
                known = found.get(name, (0, 0))
                found[name] = known[0] + negative, known[1] + stories
        return found

    def _written(self, spans: list[_Span], series: Sequence[str]) -> Sums:
        """The same of the recent hours, without clipping; a story that goes on for hours is one."""
        (span,) = spans
        found = last_day(self.connection, span.run, series, known_ms=span.until * HOUR_MS, since_ms=span.since * HOUR_MS)
        return {name: (sums.negative, sums.stories) for name, sums in found.items()}

    def _only_readers(self, candidate: Candidate, rules: Rules) -> bool:
        """Whether too few of those that passed a story on are publishers."""
        documents = counted_documents(self.connection, self.run, [str(row[0]) for row in candidate.evidence], removed=True)
        publishers = {document.owner for document in documents.values() if document.kind != "comment"}
        return len(publishers) < rules.amplification.publishers_min


def _languages(candidates: Iterable[Candidate]) -> list[str]:
    """The languages whose figures these candidates rest on: a company is spoken of in all of them."""
    asked: set[str] = set()
    for candidate in candidates:
        if candidate.kind in HELD_BY_SHIFT:
            is_topic = series_kind(candidate.series) == "topic"
            asked.update([candidate.series.rsplit(":", 1)[1]] if is_topic else LANGUAGES)
    return sorted(asked)
