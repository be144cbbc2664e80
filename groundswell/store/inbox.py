"""The incidents that people were told of, with their lives: what an inbox lists, on the command line and on the board."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, func, select

from groundswell.codec import decode
from groundswell.judged import words_of
from groundswell.lifecycle import FOR_EVER_MS, Hush, Life, State, hush_of, life_of
from groundswell.names import ROLE_DESK, TICK_MS
from groundswell.records import Action, Alert, VerdictWord
from groundswell.schedule import RULES, Schedule
from groundswell.store import schema as t
from groundswell.store.actions import actions_of, said_by, verdicts_of
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.query import alerts_of, alerts_of_incident, closed_ms
from groundswell.store.versions import contents_of, read_schedule


@dataclass(frozen=True)
class IncidentRow:
    """One incident as it stands."""

    incident: str
    life: Life
    alerts: list[Alert]  # the first one first, never empty
    actions: list[Action]  # oldest first
    words: dict[str, VerdictWord]  # {alert: what it was judged to be}, of those that were
    hush: Hush | None  # why no update of it is sent now

    @property
    def newest(self) -> Alert:
        """What was last said of it."""
        return self.alerts[-1]

    @property
    def holder(self) -> str | None:
        """Who has it: whom it was given to last, else who acknowledged it last."""
        acknowledged = [step.who for step in self.life.steps if step.state == "acknowledged"]
        return self.life.assignee or (acknowledged[-1] if acknowledged else None)

    @property
    def moved_ms(self) -> int:
        """When anything last happened to it: an alert, an action, a change of its state."""
        return max(self.newest.opened_ms, self.life.steps[-1].at_ms, *(action.at_ms for action in self.actions), 0)


def inbox(connection: Connection, run: str, *, now_ms: int, known_ms: int | None = None) -> list[IncidentRow]:
    """Every incident that people were told of: those that are not over first, then the latest.

    Args:
        connection: a reading transaction.
        run: whose incidents.
        now_ms: wall time: what people did later is left out.
        known_ms: known time: alerts that were opened later are left out; by default as far as the desk has decided.
    """
    found = _rows(connection, run, None, now_ms=now_ms, known_ms=known_ms)
    return sorted(found, key=lambda row: (row.life.is_over, -row.newest.opened_ms, row.incident))


def incident_row(connection: Connection, run: str, incident: str, *, now_ms: int, known_ms: int | None = None) -> IncidentRow | None:
    """One incident as `inbox` has it, read by itself; None if nobody was told of it."""
    return next(iter(_rows(connection, run, incident, now_ms=now_ms, known_ms=known_ms)), None)


def _rows(connection: Connection, run: str, only: str | None, *, now_ms: int, known_ms: int | None) -> list[IncidentRow]:
    until_ms = decided_ms(connection, run) if known_ms is None else known_ms
    by_incident: dict[str, list[Alert]] = defaultdict(list)
    slept: dict[str, int] = {}  # of those that were told again later: when they had gone quiet before
    for alert in alerts_of(connection, run) if only is None else alerts_of_incident(connection, run, only):
        if alert.opened_ms <= until_ms:
            by_incident[alert.incident].append(alert)
        elif alert.quiet_from_ms:
            slept[alert.incident] = min(alert.quiet_from_ms, slept.get(alert.incident, FOR_EVER_MS))
    if not by_incident:
        return []
    actions: dict[str, list[Action]] = defaultdict(list)
    for action in actions_of(connection, run, only, before_ms=now_ms + 1):
        actions[action.incident].append(action)
    judged = None if only is None else [alert.id for alert in by_incident[only]]
    words = words_of(verdicts_of(connection, run, alerts=judged, before_ms=now_ms + 1))
    spans, rules = _spans(connection, run, only), _QuietTimes(connection, run)
    return [
        IncidentRow(
            incident,
            life=_life(alerts, actions[incident], spans.get(incident), rules=rules, known_ms=until_ms, quiet_from_ms=slept.get(incident)),
            alerts=sorted(alerts, key=lambda alert: alert.update),
            actions=actions[incident],
            words={alert.id: words[alert.id] for alert in alerts if alert.id in words},
            hush=hush_of(map(said_by, alerts), actions[incident], now_ms=now_ms),
        )
        for incident, alerts in by_incident.items()
    ]


def _life(
    alerts: list[Alert],
    actions: list[Action],
    span: tuple[int, int] | None,
    *,
    rules: "_QuietTimes",
    known_ms: int,
    quiet_from_ms: int | None,
) -> Life:
    """The life of an incident that was told; `quiet_from_ms` where it was told again after the moment, and had gone quiet before."""
    opened = [alert.opened_ms for alert in alerts]
    first_ms, last_ms = min(opened), max(opened)
    if span is not None:
        first_ms, last_ms = min(first_ms, span[0]), max(last_ms, span[1])
    said, quiet_ms = map(said_by, alerts), rules.at(last_ms)
    if quiet_from_ms is not None and quiet_ms is not None:
        last_ms = quiet_from_ms - quiet_ms
    return life_of(said, actions, founded_ms=first_ms, last_ms=last_ms, quiet_ms=quiet_ms, known_ms=known_ms)


def state_of(connection: Connection, run: str, incident: str, *, now_ms: int) -> State:
    """The state of one incident now; one that nobody was told of is forming."""
    row = incident_row(connection, run, incident, now_ms=now_ms)
    return "forming" if row is None else row.life.state


def last_done_ms(connection: Connection, run: str, who: str) -> int | None:
    """When somebody last did or said anything in a run (wall time); None if they never did."""
    tables = (t.actions, t.verdicts, t.misses)
    latest = [
        connection.execute(select(func.max(table.c.at_ms)).where(table.c.run == run, table.c.who == who)).scalar_one() for table in tables
    ]
    return max((ms for ms in latest if ms is not None), default=None)


def decided_ms(connection: Connection, run: str) -> int:
    """The known time up to which the desk has decided; where fold and desk are one process, up to which all is folded."""
    rows = [row for row in progress_of(connection, run, ROLE_DESK) if row.closed_tick != NEVER_TICK]
    if rows:
        return (min(row.closed_tick for row in rows) + 1) * TICK_MS
    closed = closed_ms(connection, run)
    return FOR_EVER_MS if closed is None else closed


class _Founded(msgspec.Struct):
    """What the desk's memory of an incident says of its beginning; the rest of it is the desk's own."""

    opened_tick: int


def _spans(connection: Connection, run: str, only: str | None) -> dict[str, tuple[int, int]]:
    """{incident: known time of its first and its last candidate}.

    The last one of all serves every moment but one: the desk takes a candidate that comes after the quiet time for another incident, so
    wherever a later one belongs to this incident, it was not over before. What wakes it by a word says since when it had been quiet.
    """
    i = t.incidents.c
    wanted = [i.run == run] + ([i.incident == only] if only is not None else [])
    rows = connection.execute(select(i.incident, i.last_tick, i.body).where(*wanted))
    return {name: ((decode(body, _Founded).opened_tick + 1) * TICK_MS, (last + 1) * TICK_MS) for name, last, body in rows}


class _Desk(msgspec.Struct):
    incident_quiet_s: int


class _Rules(msgspec.Struct):
    """The one line of the rules that an incident's life depends on; the hall knows no others."""

    desk: _Desk


class _QuietTimes:
    """After how long without a candidate an incident is over, by the rules that were in force."""

    def __init__(self, connection: Connection, run: str) -> None:
        self._schedule: Schedule = read_schedule(connection, run)
        wanted: Iterable[str] = {row.hash for row in self._schedule.of(RULES)}
        stored = contents_of(connection, RULES)
        self._quiet_ms = {name: decode(stored[name], _Rules).desk.incident_quiet_s * 1_000 for name in wanted if name in stored}

    def at(self, known_ms: int) -> int | None:
        """The quiet time at a moment; None where the run does not say by which rules it was decided."""
        return self._quiet_ms.get(self._schedule.at(RULES, known_ms) or "")
