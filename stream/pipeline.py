"""The way of the data, once. Every shell drives these three stages and no other.

    raw records, stamped by their log
      Intake   admit       stamps become time                                  operators/admit.py
               normalise   clean text, language, identity, times               operators/normalise.py
               identify    new, replay, duplicate or edit                      operators/identify.py
               score       topic, sentiment, companies                         models/scorer.py   -> stored, facts first
               contribute  one row for each series it counts in                operators/contribute.py
      ---- the gate: a tick's items wait until it has closed on every raw partition (operators/admit.py) ----
      Fold     exposure    who is blind                                        operators/exposure.py
               stories     near-duplicates become one story                    operators/stories.py
               windows     integer increments that merge                       operators/windows.py
               watch       all that looks at one series                        alerts/detectors/watch.py
                 surge          what is improbable for it now                  alerts/detectors/surge.py
                 amplification  one story, many copies                         alerts/detectors/amplification.py
                 late           what would have been a surge in its time       alerts/detectors/late.py
                 slow_burn      a week against three months                    alerts/detectors/slow_burn.py
                 sighting       said of a company for the first time           alerts/detectors/sighting.py
                 word           an official word on it, or a denial            alerts/detectors/word.py
               blind       a language of which little is seen                  alerts/detectors/blind.py
      Desk     shift       the model has moved, not the world                  alerts/detectors/model_shift.py
               decide      candidates of all series become incidents           alerts/desk.py
               compose     an incident becomes an alert with its evidence      alerts/dossier.py
    -> increments, stories, candidates, alerts, and the outbox that mail and Slack are sent from

No stage reads a clock, a network or a database; what they need from the store is handed in.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType

import msgspec

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.blind import BlindWatch, ClosedHour, formed_by
from alerts.detectors.surge import DAY_S, HOUR_S, SurgeDetector
from alerts.detectors.watch import FlagWatch, SearchWatch, SeriesWatch, watch_of
from alerts.rules import Rules, SurgeRules
from groundswell.codec import decode_raw
from groundswell.errors import RecordError, reason_of
from groundswell.names import CANARY_SOURCE, HEARD_OUTCOMES, HOUR_MS, LANGUAGES, TICK_MS, language_series
from groundswell.records import (
    Admission,
    Arrival,
    Candidate,
    Contribution,
    Document,
    Drop,
    Heartbeat,
    Increment,
    Position,
    Score,
    Stamped,
    Story,
)
from groundswell.schedule import MODEL, PAST_OF, RULES, Schedule
from groundswell.watches import Watches, nothing_watched
from stream.operators.admit import ClosedTick, StampClock
from stream.operators.contribute import contribute
from stream.operators.exposure import BlindSpan, Exposure, HourExposure, SourceHour
from stream.operators.measured import ALWAYS, Measured
from stream.operators.normalise import normalise, source_name
from stream.operators.stories import SIMILARITY_MIN, Leaders
from stream.operators.windows import increments_of

DROP_BYTES_MAX = 65_536


# --- intake ----------------------------------------------------------------------------------------------------------------
@dataclass
class Opened:
    """A batch of raw records, read: every record is a document, a heartbeat or a drop."""

    documents: list[tuple[Position, Document]] = field(default_factory=list)
    heartbeats: list[Heartbeat] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)


def open_records(batch: Iterable[Stamped], clock: StampClock, refused: Mapping[Position, str] = MappingProxyType({})) -> Opened:
    """Admit and normalise a batch of one raw partition; a record that cannot be read becomes a drop and stops nothing.

    Args:
        batch: in the order of its log.
        clock: the partition's time.
        refused: {position: reason} of records that must not be touched: they were dropped before, or have killed a process.
    """
    opened = Opened()
    for stamped in batch:
        known_ms, source = clock.stamp(stamped.known_ms), stamped.source
        if not stamped.body and not stamped.source:  # a punctuation: the log says that time goes on, and nothing else
            continue
        if stamped.position in refused:
            opened.drops.append(drop_of(stamped, known_ms=known_ms, source=said_source(stamped), reason=refused[stamped.position]))
            continue
        try:
            raw = decode_raw(stamped.body)
            source = source_name(raw.source) or source
            if isinstance(raw, Heartbeat):
                opened.heartbeats.append(raw)
            else:
                opened.documents.append((stamped.position, normalise(raw, known_ms=known_ms)))
        except RecordError as error:
            opened.drops.append(drop_of(stamped, known_ms=known_ms, source=source, reason=reason_of(error)))
    return opened


def said_source(stamped: Stamped) -> str:
    """What a record that must not be touched says of its source: nothing else of it is read."""
    said = _said(stamped.body)
    return (source_name(said.source) if said else "") or stamped.source


class _Source(msgspec.Struct):
    source: str = ""
    store_text: bool = True


_source = msgspec.json.Decoder(_Source)


def _said(body: bytes) -> _Source | None:
    """The little that is read of a record that is dropped; None where not even that can be read."""
    try:
        return _source.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def drop_of(stamped: Stamped, *, known_ms: int, source: str, reason: str) -> Drop:
    """The drop of a record, with the bytes that it came as."""
    return Drop(position=stamped.position, known_ms=known_ms, source=source[:200] or "?", reason=reason, body=kept_bytes(stamped.body))


def kept_bytes(body: bytes) -> bytes:
    """What a drop keeps of a record: its beginning; nothing of one whose text may not be stored.

    >>> kept_bytes(b'{"source": "a", "text": "b"}'), kept_bytes(b'{"source": "a", "text": "b", "store_text": false}')
    (b'{"source": "a", "text": "b"}', b'')
    """
    said = _said(body)
    return body[:DROP_BYTES_MAX] if said is None or said.store_text else b""


def arrivals_of(admissions: Iterable[Admission]) -> list[Arrival]:
    """That sources were heard: one arrival for each source, language and tick, at its first moment.

    Drops, repetitions and canaries say nothing of it.
    """
    heard: dict[tuple[str, str, int], tuple[int, int]] = {}
    for admission in admissions:
        if admission.outcome in HEARD_OUTCOMES and admission.source != CANARY_SOURCE:
            key = admission.source, admission.language or "", admission.known_ms // TICK_MS
            first_ms, documents = heard.get(key, (admission.known_ms, 0))
            heard[key] = min(first_ms, admission.known_ms), documents + 1
    return [Arrival(source, language, first_ms, documents) for (source, language, _), (first_ms, documents) in heard.items()]


def contributions_of(
    admitted: Iterable[tuple[Admission, Document]],
    scores: Mapping[tuple[str, str], Score],
    watches_at: Callable[[int], Watches] = nothing_watched,
) -> list[tuple[Position, Contribution]]:
    """What each newly counted document adds to its series, from its stored score; duplicates and edits add nothing."""
    return [
        (admission.position, contribution)
        for admission, document in admitted
        if admission.outcome == "scored"
        for contribution in contribute(document, scores[document.document_id, document.content_hash], watches_at(document.known_ms))
    ]


# --- what is in force --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Plan:
    """Which model and rules are in force in which tick, as fold needs it. Without a schedule one set always is.

    Args:
        schedule: of the run.
        rules_of: the rules that it names, by their hash; without them the rules never change.
        pasts: {re-scored run: the `[start, end)` in known ms that its model has read in it}.
        watches_at: what is watched at a known time.
    """

    schedule: Schedule = field(default_factory=Schedule)
    rules_of: Mapping[str, Rules] = field(default_factory=dict)
    pasts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    watches_at: Callable[[int], Watches] = nothing_watched

    def rules_at(self, tick: int) -> Rules | None:
        """The rules in force in a tick; None where the plan has none."""
        return self.rules_of.get(self.schedule.at_tick(tick).get(RULES, ""))

    def readers_at(self, tick: int) -> tuple[frozenset[str] | None, tuple[tuple[int, int], ...]]:
        """Whose baseline rows count in a tick, and the known time that they were read in by then; without a schedule all of both."""
        model = self.schedule.at(MODEL, tick * TICK_MS)
        if model is None:
            return None, ALWAYS
        begun = tuple((start, end) for start, end in self.schedule.spans(MODEL, model) if start <= tick * TICK_MS)
        pasts = [row.hash for row in self.schedule.of(f"{PAST_OF}{model}") if row.effective_ms <= tick * TICK_MS]
        if not pasts:
            return frozenset({model}), begun
        start_ms, end_ms = self.pasts[pasts[-1]]
        before = ((start_ms, min(end_ms, begun[0][0])),) if start_ms < begun[0][0] else ()
        return frozenset({model, past_reader(pasts[-1])}), (*before, *begun)

    def reader_of(self, start_ms: int, end_ms: int) -> str:
        """The model that read all of a span; "" where two did, or nobody says."""
        return self.schedule.through(MODEL, start_ms, end_ms) or ""


def past_reader(run: str) -> str:
    """How baseline rows of a re-scored run are told from those of the run that it is the past of."""
    return f"{PAST_OF}{run}"


# --- fold -------------------------------------------------------------------------------------------------------------------
@dataclass
class Folded:
    """The rows that closed ticks have led to; stored in one transaction with the progress."""

    increments: list[Increment] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    baselines: list[BaselineRow] = field(default_factory=list)
    source_hours: list[SourceHour] = field(default_factory=list)
    exposures: list[HourExposure] = field(default_factory=list)
    blind_spans: list[BlindSpan] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    leaders_crowded_out: int = 0  # not stored: stories that were forgotten before their time, because their series has too many


@dataclass
class SeriesMemory:
    """What fold remembers of one series."""

    leaders: Leaders
    watch: SeriesWatch | SearchWatch | FlagWatch


@dataclass
class Fold:
    """All series of one contribution partition. Everything in here can be rebuilt from stored rows (shells/rebuild.py).

    Args:
        rules: those in force, as long as the plan has no others.
        exposure: what is known of all sources.
        similarity_min: how alike two texts of one story are; above 1 every copy is a story (only a test wants that).
        make_detector: what watches a topic or a company for surges.
        plan: which model and rules are in force in which tick.
        mine: which series belong to the partition.
    """

    rules: Rules
    exposure: Exposure = field(default_factory=Exposure)
    similarity_min: float = SIMILARITY_MIN
    make_detector: Callable[[str, SurgeRules], SurgeDetector] = SurgeDetector
    plan: Plan = field(default_factory=Plan)
    mine: Callable[[str], bool] = lambda _: True
    series: dict[str, SeriesMemory] = field(default_factory=dict)
    touched: dict[int, set[str]] = field(default_factory=lambda: {HOUR_S: set(), DAY_S: set()})  # in the open hour and day
    last_tick: int | None = None
    seeing: Measured = field(init=False)  # exposure, of the model in force
    blind: dict[str, BlindWatch] = field(init=False)  # by language
    readers: frozenset[str] | None = field(default=None, init=False)  # whose baseline rows count; None: all
    followed: frozenset[str] = field(default=frozenset(), init=False)  # companies that are watched

    def __post_init__(self) -> None:
        self.seeing = Measured(self.exposure)
        self.blind = {language: BlindWatch(language) for language in LANGUAGES if self.mine(language_series(language))}
        heard = self.exposure.heard_hours()
        for language, watch in self.blind.items():
            for hour, exposure_ppm in self.exposure.closed_hours(language):
                watch.hour(self._seen(hour, exposure_ppm, heard))

    def step(self, closed: ClosedTick, into: Folded) -> list[Candidate]:
        """Fold one closed tick; ticks come in order, those without any item may be left out.

        Returns:
            The candidates of this tick (also added to `into`).
        """
        tick = closed.tick
        found = self.open_tick(tick, closed.arrivals, into)
        in_series = sorted(closed.contributions, key=lambda c: c.series)  # stable: known_ms, document_id within a series
        for series, grouped in groupby(in_series, key=lambda c: c.series):
            contributions, memory = list(grouped), self.memory_of(series)
            crowded_out = memory.leaders.crowded_out
            placed = memory.leaders.assign_all(contributions, tick=tick)
            into.stories += [founded for _, founded in placed if founded]
            into.leaders_crowded_out += memory.leaders.crowded_out - crowded_out
            rows = increments_of(tick, zip(contributions, (story for story, _ in placed), strict=True))
            into.increments += rows
            found += self._watch(series, tick, rows)
        into.candidates += found
        self.last_tick = tick
        return found

    def replay(self, tick: int, arrivals: Iterable[Arrival], rows: Iterable[Increment], into: Folded) -> list[Candidate]:
        """The same of a tick whose increments are stored already: nothing before them depends on rules, so no document is folded again.

        Returns:
            The candidates of this tick (also added to `into`).
        """
        found = self.open_tick(tick, arrivals, into)
        for series, mine in groupby(sorted(rows, key=lambda row: row.series), key=lambda row: row.series):
            found += self._watch(series, tick, list(mine))
        into.candidates += found
        self.last_tick = tick
        return found

    def _watch(self, series: str, tick: int, rows: list[Increment]) -> list[Candidate]:
        """Show a tick's rows of one series to its detector."""
        found = self.memory_of(series).watch.step(tick, rows, self.seeing)
        for names in self.touched.values():
            names.add(series)
        return found

    def open_tick(self, tick: int, arrivals: Iterable[Arrival], into: Folded) -> list[Candidate]:
        """What a tick means before any of its documents: hours and days that have ended, and who was heard. `explain` does the same.

        Returns:
            What they lead to.
        """
        hours: list[HourExposure] = []
        for heard, exposures in self.exposure.roll(tick):
            into.source_hours += heard
            hours += exposures
        into.exposures += hours
        found = self._close_periods(tick, into)
        self.turn(tick)
        into.blind_spans += self.exposure.hear(tick, arrivals)
        return found + self._look_around(tick, hours) if hours else found

    def _look_around(self, tick: int, hours: list[HourExposure]) -> list[Candidate]:
        """Whether a language has gone blind in the hours that have ended, or sees again."""
        found = []
        heard = self.exposure.heard_hours(since=hours[0].hour)
        for language, watch in self.blind.items():
            closed = [self._seen(row.hour, row.exposure_ppm, heard) for row in hours if row.language == language]
            candidate = watch.step(tick, closed)
            found += [candidate] if candidate else []
        return found

    def _seen(self, hour: int, exposure_ppm: int, heard: set[int]) -> ClosedHour:
        """A closed hour of one language; `heard` are the hours in which anything was."""
        rules = (self.plan.rules_at((hour + 1) * HOUR_MS // TICK_MS) or self.rules).blind
        return ClosedHour(exposure_ppm, hour in heard, rules, formed_by(hour, self.exposure.first_hour, rules))

    def turn(self, tick: int) -> None:
        """Go over to what is in force in a tick, behind the periods that ended before it."""
        rules = self.plan.rules_at(tick) or self.rules
        readers, spans = self.plan.readers_at(tick)
        if spans != self.seeing.spans:
            self.seeing = Measured(self.exposure, spans)
        if (rules, readers) != (self.rules, self.readers):
            self.rules, self.readers = rules, readers
            for memory in self.series.values():
                memory.watch.obey(rules)
                memory.watch.use(readers)
        followed = self.plan.watches_at(tick * TICK_MS).followed
        if followed != self.followed:
            self.followed = followed
            for memory in self.series.values():
                memory.watch.follow(followed)

    def memory_of(self, series: str) -> SeriesMemory:
        """The memory of a series, empty when it is new."""
        memory = self.series.get(series)
        if memory is None:
            watch = watch_of(series, self.rules, self.make_detector)
            watch.use(self.readers)
            watch.follow(self.followed)
            memory = self.series[series] = SeriesMemory(Leaders(similarity_min=self.similarity_min), watch)
        return memory

    def _close_periods(self, tick: int, into: Folded) -> list[Candidate]:
        """Close the calendar hour and day that ended since the last tick, for the series that had rows in it."""
        found: list[Candidate] = []
        if self.last_tick is None:
            return found
        for period_s, names in self.touched.items():
            period_ticks = period_s * 1_000 // TICK_MS
            before = self.last_tick // period_ticks
            if tick // period_ticks > before:
                reader = self.plan.reader_of(before * period_s * 1_000, (before + 1) * period_s * 1_000)
                for series in sorted(names):
                    closed = self.series[series].watch.close_period(period_s, before, self.seeing, tick=tick, reader=reader)
                    into.baselines += closed.baselines
                    found += closed.candidates
                names.clear()
        return found
