"""Source health: who is reporting, who is blind and why, and how much came lately; and what became of findings and messages."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from sqlalchemy import Connection, func, select

from groundswell.moments import spoken
from groundswell.names import DAY_MS, DAY_TICKS, TICK_MS
from groundswell.silence import FORMING_TICKS, HORIZON_TICKS, Judgement, Rhythm
from groundswell.store import schema as t
from groundswell.store.facts import arrival_ticks

DAYS: Final = 14
"""Days of counts that are shown for each source."""

GONE: Final = "HTTP 410"
"""How the reason of a poll begins whose publisher has said that the address is gone for good: it is not asked again."""

State = Judgement | Literal["disabled", "forgotten"]
NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class SourceHealth:
    """One source as it stands at a moment of known time."""

    source: str
    state: State  # disabled: nobody asks it any more; forgotten: nothing for two horizons of 56 days, so nobody misses it
    since_ms: int | None  # of that state; None: live, or switched off at a moment that is not known
    why: str  # one line; empty while it is live
    last_known_ms: int  # end of the last tick at which it was heard
    expected_ms: int  # silence that is usual at most after the last document, at that hour of the week
    patience_ms: int  # silence that makes it blind
    was_blind: tuple[tuple[int, int], ...]  # blindness of the DAYS that has ended: (since, until), ms
    days: tuple[int, ...]  # documents of the last DAYS times 24 h, newest first
    polled_ms: int | None  # last poll, from its heartbeat
    ok_ms: int | None  # last poll that succeeded
    poll_reason: str | None  # why the last poll failed

    @property
    def blind_since_ms(self) -> int | None:
        """When its silence became too long, where it still is."""
        return self.since_ms if self.state == "blind" else None

    @property
    def documents_day(self) -> int:
        """Documents of the last 24 h."""
        return self.days[0]

    @property
    def documents_week(self) -> int:
        """Documents of the last 7 x 24 h."""
        return sum(self.days[:7])


class SourceWatch:
    """The rhythm of every source of one run, read from admissions: once in full, then only what is new.

    A page is drawn every few seconds; reading two horizons of arrivals for each took 0.1 to 0.4 s with 40,000 documents.
    Not safe for several threads at once: the caller holds a lock.

    Args:
        run: whose sources.
        priors: {source: the gap in ticks that the catalogue promises}, for those that were not heard often enough.
    """

    def __init__(self, run: str, *, priors: Mapping[str, int] | None = None) -> None:
        self.run, self._priors = run, priors or {}
        self._rhythms: dict[str, Rhythm] = {}
        self._read_to: int | None = None

    def rhythms(self, connection: Connection, *, at_ms: int) -> dict[str, Rhythm]:
        """Rhythms as of a moment that has closed; moments come in ascending order. Not to be changed."""
        until = at_ms // TICK_MS
        since = until - 2 * HORIZON_TICKS if self._read_to is None else self._read_to
        heard: dict[str, list[int]] = defaultdict(list)
        for source, tick in arrival_ticks(connection, self.run, since_tick=since, through_tick=until - 1):
            heard[source].append(tick)
        for source, ticks in heard.items():
            rhythm = self._rhythms.get(source)
            if rhythm is None:
                rhythm = self._rhythms[source] = Rhythm(self._priors.get(source, 0))
                rhythm.restore(ticks)
            else:
                for tick in ticks:
                    rhythm.hear(tick)
        self._read_to = max(until, since)
        return self._rhythms


def source_states(rhythms: dict[str, Rhythm], *, at_ms: int) -> dict[str, State]:
    """{source: state} at a moment, by its arrivals alone; sorted.

    >>> rhythm = Rhythm()
    >>> rhythm.hear(0)
    >>> source_states({"wire": rhythm}, at_ms=DAY_MS), source_states({"wire": rhythm}, at_ms=60 * DAY_MS)
    ({'wire': 'forming'}, {'wire': 'blind'})
    """
    tick = at_ms // TICK_MS
    return {source: _state(rhythm, tick) for source, rhythm in sorted(rhythms.items())}


def _state(rhythm: Rhythm, tick: int) -> State:
    return "forgotten" if rhythm.last_tick < tick - 2 * HORIZON_TICKS else rhythm.judge(tick)


def source_health(
    connection: Connection, run: str, rhythms: dict[str, Rhythm], *, at_ms: int, disabled: Mapping[str, str] = NOBODY
) -> list[SourceHealth]:
    """Every source of a run, sorted by name.

    Args:
        connection: a reading transaction.
        run: whose sources.
        rhythms: from SourceWatch, for the same moment.
        at_ms: end of the last closed tick.
        disabled: {source: why nobody asks it}, as the catalogue says.
    """
    days = _days(connection, run, at_ms=at_ms)
    polls = _polls(connection)
    spans = blind_spans(connection, run, start_ms=at_ms - DAYS * DAY_MS, end_ms=at_ms)
    found = []
    for source, judged in source_states(rhythms, at_ms=at_ms).items():
        rhythm, poll = rhythms[source], polls.get(source, _NEVER)
        state, since_ms, why = _said(rhythm, judged, poll, at_ms=at_ms, disabled=disabled.get(source))
        found.append(
            SourceHealth(
                source=source,
                state=state,
                since_ms=since_ms,
                why=why,
                last_known_ms=(rhythm.last_tick + 1) * TICK_MS,
                expected_ms=rhythm.expected * TICK_MS,
                patience_ms=rhythm.patience * TICK_MS,
                was_blind=tuple((since, until) for name, since, until in spans if name == source),
                days=tuple(days.get(source, [0] * DAYS)),
                polled_ms=poll.polled_ms,
                ok_ms=poll.ok_ms,
                poll_reason=poll.reason,
            )
        )
    return found


class _Poll(NamedTuple):
    """The last poll of a source."""

    polled_ms: int | None = None
    ok_ms: int | None = None
    reason: str | None = None


_NEVER: Final = _Poll()


def _polls(connection: Connection) -> dict[str, _Poll]:
    h = t.heartbeats.c
    return {
        row.source: _Poll(row.polled_ms, row.ok_ms, row.reason)
        for row in connection.execute(select(h.source, h.polled_ms, h.ok_ms, h.reason))
    }


def _said(rhythm: Rhythm, judged: State, poll: _Poll, *, at_ms: int, disabled: str | None) -> tuple[State, int | None, str]:
    """State, since when, and why."""
    if disabled is not None:
        return "disabled", None, disabled
    if poll.reason is not None and poll.reason.startswith(GONE):
        return "disabled", poll.polled_ms, f"its publisher has said that it is gone for good ({GONE})"
    last_ms, usual = rhythm.last_tick * TICK_MS, spoken(rhythm.expected * TICK_MS)
    if judged == "forming":
        return (
            judged,
            rhythm.first_tick * TICK_MS,
            f"heard for {spoken(at_ms - rhythm.first_tick * TICK_MS)}: after {spoken(FORMING_TICKS * TICK_MS)} its rhythm is known",
        )
    if judged == "live":
        return judged, None, ""
    if judged == "forgotten":
        return judged, last_ms + 2 * HORIZON_TICKS * TICK_MS, "nobody misses it any more"
    since_ms = last_ms + (rhythm.patience if judged == "blind" else rhythm.expected) * TICK_MS
    silent = f"nothing new for {spoken(at_ms - last_ms)}, {usual} is the most that is usual from that hour of the week on"
    if poll.polled_ms is None:
        return judged, since_ms, silent
    if poll.polled_ms < last_ms + (since_ms - last_ms) // 2:
        return judged, since_ms, f"not polled for {spoken(at_ms - poll.polled_ms)}: its crawler is silent"
    if poll.reason is not None:
        since = "never succeeded" if poll.ok_ms is None else f"fail for {spoken(at_ms - poll.ok_ms)}"
        return judged, since_ms, f"polls {since}: {poll.reason}"
    return judged, since_ms, f"polls succeed, but {silent}"


def blind_spans(connection: Connection, run: str, *, start_ms: int, end_ms: int) -> list[tuple[str, int, int]]:
    """(source, since, until) in ms of the blindness that had ended by `end_ms` and not before `start_ms`, by source and time."""
    b = t.blind_spans.c
    rows = connection.execute(
        select(b.source, b.since_tick, b.until_tick)
        .where(b.run == run, b.until_tick < end_ms // TICK_MS, b.until_tick >= start_ms // TICK_MS)
        .order_by(b.source, b.since_tick)
    )
    return [(source, since * TICK_MS, until * TICK_MS) for source, since, until in rows]


def _days(connection: Connection, run: str, *, at_ms: int) -> dict[str, list[int]]:
    """{source: documents of each of the last 24 h periods, newest first}."""
    end = at_ms // TICK_MS
    a = t.admissions.c
    ago = (end - 1 - a.tick) // DAY_TICKS
    rows = connection.execute(
        select(a.source, ago, func.count())
        .where(a.run == run, a.tick >= end - DAYS * DAY_TICKS, a.tick < end, a.outcome != "dropped")
        .group_by(a.source, ago)
    )
    days: dict[str, list[int]] = defaultdict(lambda: [0] * DAYS)
    for source, day, documents in rows:
        days[source][int(day)] = documents
    return days


# --- what became of findings and messages ------------------------------------------------------------------------------------
def decisions_by_reason(connection: Connection, run: str) -> list[tuple[str, str, int]]:
    """(verdict, reason, findings), most frequent first: why what was found was or was not sent."""
    d = t.decisions.c
    count = func.count()
    rows = connection.execute(
        select(d.verdict, d.reason, count).where(d.run == run).group_by(d.verdict, d.reason).order_by(count.desc(), d.verdict, d.reason)
    )
    return [(verdict, reason, number) for verdict, reason, number in rows]


def deliveries_of(connection: Connection, run: str, alert_id: str) -> list[tuple[str, str, int, str | None]]:
    """(target, state, attempts, reason) of an alert's messages, by target."""
    o = t.outbox.c
    rows = connection.execute(
        select(o.target, o.state, o.attempts, o.reason).where(o.run == run, o.alert_id == alert_id).order_by(o.target)
    )
    return [(target, state, attempts, reason) for target, state, attempts, reason in rows]


def run_kind(connection: Connection, run: str) -> str:
    """What a run is: "live", "demo" or "backfill"; "" for a run that is not stored."""
    return connection.execute(select(t.runs.c.kind).where(t.runs.c.run == run)).scalar_one_or_none() or ""
