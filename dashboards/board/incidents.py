"""Incidents as people see them: the state that follows from alerts and actions, whose they are, and what was said of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from groundswell.errors import NotFoundError
from groundswell.exports import iso
from groundswell.lifecycle import Hush, Life, hush_of, life_of
from groundswell.names import DAY_MS, TICK_MS
from groundswell.records import Action, Alert, Correction, Verdict
from groundswell.store import schema as t
from groundswell.store.accounts import Reader
from groundswell.store.actions import actions_of, corrections_of, said_by, verdicts_of
from groundswell.store.query import alerts_of, closed_ms
from groundswell.store.versions import content_of, read_schedule

LISTED_MS: Final = 90 * DAY_MS
"""The inbox goes back so far; the list of alerts has the others."""

ORDER: Final = ("reopened", "open", "acknowledged", "forming", "resolved")
SEVERITIES: Final = ("high", "medium", "low")


@dataclass(frozen=True)
class Incident:
    """One incident at this moment."""

    alert: Alert  # its newest
    first_ms: int  # when its first alert was opened, known time
    life: Life
    hush: Hush | None
    actions: tuple[Action, ...]

    @property
    def touched_ms(self) -> int:
        """When something was last said or done."""
        return max([self.alert.opened_ms, *(action.at_ms for action in self.actions)])

    def is_of(self, reader: Reader) -> bool:
        """Whether it is a reader's: given to them, or about a company of theirs."""
        return bool(reader.name) and (self.life.assignee == reader.name or not set(self.alert.all_series).isdisjoint(reader.companies))

    def is_new_to(self, reader: Reader) -> bool:
        """Whether something happened since the reader's last visit."""
        return reader.before_ms is not None and self.touched_ms > reader.before_ms


def quiet_ms_of(connection: Connection, run: str) -> int | None:
    """After how long without a finding an incident is over, by the rules in force; None where the run does not say."""
    rows = read_schedule(connection, run).of("rules")
    try:
        body = content_of(connection, "rules", rows[-1].hash) if rows else b"{}"
    except NotFoundError:
        return None
    quiet_s = msgspec.json.decode(body).get("desk", {}).get("incident_quiet_s") if body[:1] == b"{" else None
    return quiet_s * 1000 if isinstance(quiet_s, int) else None


def incidents_of(connection: Connection, run: str, *, now_ms: int) -> list[Incident]:
    """Every incident that has an alert in the last LISTED_MS of the run, in no order."""
    until_ms = closed_ms(connection, run) or 0
    said: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts_of(connection, run, start_ms=max(0, until_ms - LISTED_MS)):
        said[alert.incident].append(alert)
    done: dict[str, list[Action]] = defaultdict(list)
    for action in actions_of(connection, run):
        done[action.incident].append(action)
    i = t.incidents.c
    last = {row.incident: row.last_tick for row in connection.execute(select(i.incident, i.last_tick).where(i.run == run))}
    quiet_ms = quiet_ms_of(connection, run)
    return [
        _incident(
            alerts, done[name], last_ms=(last[name] + 1) * TICK_MS if name in last else until_ms, quiet_ms=quiet_ms, at=(until_ms, now_ms)
        )
        for name, alerts in said.items()
    ]


def incident_of(connection: Connection, run: str, alert: Alert, *, now_ms: int) -> Incident:
    """The incident of one alert."""
    until_ms = closed_ms(connection, run) or alert.opened_ms
    a, i = t.alerts.c, t.incidents.c
    bodies = connection.execute(select(a.body).where(a.run == run, a.incident == alert.incident)).scalars()
    alerts = [msgspec.json.decode(body, type=Alert) for body in bodies] or [alert]
    tick = connection.execute(select(i.last_tick).where(i.run == run, i.incident == alert.incident)).scalar_one_or_none()
    last_ms = until_ms if tick is None else (tick + 1) * TICK_MS
    actions = actions_of(connection, run, alert.incident)
    return _incident(alerts, actions, last_ms=last_ms, quiet_ms=quiet_ms_of(connection, run), at=(until_ms, now_ms))


def _incident(alerts: Sequence[Alert], actions: Sequence[Action], *, last_ms: int, quiet_ms: int | None, at: tuple[int, int]) -> Incident:
    """`at`: known time and wall time."""
    in_order = sorted(alerts, key=lambda alert: alert.update)
    said, (known_ms, now_ms) = [said_by(alert) for alert in in_order], at
    life = life_of(
        said,
        actions,
        founded_ms=in_order[0].opened_ms,
        last_ms=last_ms,
        quiet_ms=quiet_ms,
        known_ms=max(known_ms, in_order[-1].opened_ms),
        now_ms=now_ms,
    )
    return Incident(in_order[-1], in_order[0].opened_ms, life, hush_of(said, actions, now_ms=now_ms), tuple(actions))


def mine_first(found: Sequence[Incident], reader: Reader) -> list[Incident]:
    """The reader's own before the others; then what waits before what is done, the graver and the newer first."""

    def key(one: Incident) -> tuple[bool, int, int, int]:
        return not one.is_of(reader), ORDER.index(one.life.state), SEVERITIES.index(one.alert.severity), -one.touched_ms

    return sorted(found, key=key)


def offered(incident: Incident) -> tuple[str, ...]:
    """What can be done about an incident as it stands, the likeliest first."""
    match incident.life.state:
        case "open" | "reopened":
            return "acknowledge", "comment", "resolve"
        case "resolved":
            return "comment", "reopen"
    return "resolve", "comment"


# --- the log of one alert ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Logged:
    """One line of what people did and said."""

    at_ms: int
    who: str
    what: str  # a word of the board: "acknowledge", "false", "sentiment", ...
    kind: str  # "action", "verdict" or "correction"
    to: str  # the assignee, the right value; "" where there is none
    until_ms: int | None
    note: str


def log_of(connection: Connection, run: str, incident: Incident, alert: Alert) -> list[Logged]:
    """What people did about an incident, and said of one of its alerts and of the documents in it, the newest first."""
    documents = [quote.document_id for quote in alert.evidence]
    lines = [_logged(one) for one in incident.actions]
    lines += [_logged(one) for one in verdicts_of(connection, run, alerts=[alert.id])]
    lines += [_logged(one) for one in corrections_of(connection, documents=documents)]
    return sorted(lines, key=lambda line: -line.at_ms)


def _logged(one: Action | Verdict | Correction) -> Logged:
    match one:
        case Action():
            return Logged(one.at_ms, one.who, one.what, "action", one.assignee or "", one.until_ms, one.note)
        case Verdict():
            return Logged(one.at_ms, one.who, one.word, "verdict", "", None, one.note)
    return Logged(one.at_ms, one.who, one.what, "correction", one.value, None, one.note)


def incident_json(one: Incident, reader: Reader) -> dict[str, Any]:
    """An incident for a JSON twin."""
    return {
        "incident": one.alert.incident,
        "alert": one.alert.id,
        "state": one.life.state,
        "owner": one.life.assignee,
        "mine": one.is_of(reader),
        "new_since_last_visit": one.is_new_to(reader),
        "severity": one.alert.severity,
        "kind": one.alert.kind,
        "title": one.alert.title,
        "series": one.alert.all_series,
        "opened_at": iso(one.first_ms),
        "updates": one.alert.update,
        "touched_at": iso(one.touched_ms),
        "quiet_until": None if one.hush is None or one.hush.until_ms is None else iso(one.hush.until_ms),
    }
