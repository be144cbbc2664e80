"""Incidents as a reader sees them: whose they are, what is new in them, what can be done, and what people did and said.

What an incident is and how it stands is asked of groundswell/store/inbox.py, as the command line does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from groundswell.errors import NotFoundError
from groundswell.exports import iso
from groundswell.records import Action, Alert, Correction, Verdict
from groundswell.store.accounts import Reader
from groundswell.store.actions import corrections_of, verdicts_of
from groundswell.store.inbox import IncidentRow, incident_row

ORDER: Final = ("reopened", "open", "acknowledged", "forming", "resolved")
SEVERITIES: Final = ("high", "medium", "low")


def incident_of(connection: Connection, run: str, alert: Alert, *, now_ms: int) -> IncidentRow:
    """The incident of one alert, however far the desk has come since.

    Raises:
        NotFoundError: the alert belongs to none.
    """
    for known_ms in (None, alert.opened_ms):
        row = incident_row(connection, run, alert.incident, now_ms=now_ms, known_ms=known_ms)
        if row is not None:
            return row
    reason = f"incident {alert.incident!r} of alert {alert.id!r}: it is not stored; `groundswell alerts` lists what is"
    raise NotFoundError(reason)


def is_of(row: IncidentRow, reader: Reader) -> bool:
    """Whether an incident is a reader's: theirs to deal with, or about a company of theirs."""
    return bool(reader.name) and (row.holder == reader.name or any(not set(a.all_series).isdisjoint(reader.companies) for a in row.alerts))


def is_new_to(row: IncidentRow, reader: Reader) -> bool:
    """Whether something happened since the reader's last visit."""
    return reader.before_ms is not None and row.moved_ms > reader.before_ms


def mine_first(found: Sequence[IncidentRow], reader: Reader) -> list[IncidentRow]:
    """The reader's own before the others; then what waits before what is done, the graver and the newer first."""

    def key(row: IncidentRow) -> tuple[bool, int, int, int]:
        return not is_of(row, reader), ORDER.index(row.life.state), SEVERITIES.index(row.newest.severity), -row.moved_ms

    return sorted(found, key=key)


def offered(row: IncidentRow) -> tuple[str, ...]:
    """What can be done about an incident as it stands, the likeliest first."""
    match row.life.state:
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


def log_of(connection: Connection, run: str, incident: IncidentRow, alert: Alert) -> list[Logged]:
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


def incident_json(row: IncidentRow, reader: Reader) -> dict[str, Any]:
    """An incident for a JSON twin."""
    return {
        "incident": row.incident,
        "alert": row.newest.id,
        "state": row.life.state,
        "owner": row.holder,
        "mine": is_of(row, reader),
        "new_since_last_visit": is_new_to(row, reader),
        "severity": row.newest.severity,
        "kind": row.newest.kind,
        "title": row.newest.title,
        "series": row.newest.all_series,
        "opened_at": iso(row.alerts[0].opened_ms),
        "updates": row.newest.update,
        "moved_at": iso(row.moved_ms),
        "verdicts": row.words,
        "quiet_until": None if row.hush is None or row.hush.until_ms is None else iso(row.hush.until_ms),
    }
