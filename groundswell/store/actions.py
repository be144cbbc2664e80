"""What people do and say, as rows that are only ever added: actions, verdicts, corrections, misses.

Each row is named by a hash of its content, so that the same thing recorded twice (a form sent twice, a try again after an error) is
one row. What follows from the rows, the state of an incident, is in groundswell/lifecycle.py and stored nowhere.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple, TypeVar, cast, get_args

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, exists, func, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from groundswell.codec import canonical, decode
from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import iso
from groundswell.lifecycle import Hush, Said, hush_of, in_order, life_of
from groundswell.names import SENTIMENTS, TOPICS, content_id
from groundswell.records import Act, Action, Alert, Corrected, Correction, Miss, Verdict, VerdictWord
from groundswell.store import schema as t

ACTS: Final[tuple[Act, ...]] = get_args(Act)
WORDS: Final[tuple[VerdictWord, ...]] = get_args(VerdictWord)
CORRECTED: Final[tuple[Corrected, ...]] = get_args(Corrected)
NAME_MAX: Final = 200
NOTE_MAX: Final = 2_000

_OWN: Final = {"assign": "assignee", "snooze": "until_ms", "mute_story": "story"}
"""What kind of action has a field of its own."""

R = TypeVar("R", Action, Verdict, Correction, Miss)


# --- recording -----------------------------------------------------------------------------------------------------------------
def record_action(connection: Connection, run: str, action: Action) -> bool:
    """Store what somebody did about an incident.

    Args:
        connection: a writing transaction.
        run: the incident's.
        action: what was done; where it names no alert, the newest one of the incident is written with it.

    Returns:
        Whether this is new; False where the same thing was recorded before.

    Raises:
        NotFoundError: the run has no such incident.
        UsageError: a field that the action needs is missing, or does not belong to it.
    """
    _check_action(action)
    said = said_of(connection, run, action.incident)
    if not said and not connection.execute(select(exists().where(_incident(run, action.incident)))).scalar_one():
        reason = f"incident {action.incident!r}: run {run!r} has none of that name; `groundswell inbox` lists them"
        raise NotFoundError(reason)
    name = _hash(msgspec.structs.replace(action, alert=None))
    alert = action.alert or (said[-1].alert if said else None)
    row = msgspec.structs.asdict(action) | {"run": run, "action_id": name, "alert": alert}
    return _insert_once(connection, t.actions, row)


def record_verdict(connection: Connection, run: str, verdict: Verdict) -> bool:
    """Store what somebody says of an alert; what they said before stays, and counts no more.

    Returns:
        Whether this is new.

    Raises:
        NotFoundError: the run has no such alert.
        UsageError: not a word of a verdict.
    """
    _check_said(verdict.who, verdict.note)
    if verdict.word not in WORDS:
        reason = f"verdict {verdict.word!r}: it is one of {', '.join(WORDS)}"
        raise UsageError(reason)
    a = t.alerts.c
    if not connection.execute(select(exists().where(a.run == run, a.id == verdict.alert))).scalar_one():
        reason = f"alert {verdict.alert!r}: run {run!r} has none of that id; `groundswell alerts` lists them"
        raise NotFoundError(reason)
    row = msgspec.structs.asdict(verdict) | {"run": run, "verdict_id": _hash(verdict)}
    return _insert_once(connection, t.verdicts, row)


def record_correction(connection: Connection, correction: Correction) -> bool:
    """Store what somebody says is wrong with the reading of a document.

    Returns:
        Whether this is new.

    Raises:
        NotFoundError: no document of that id, or no such version of it, was ever read.
        UsageError: no such thing can be corrected, or the value is none that the correction can have.
    """
    _check_said(correction.who, correction.note)
    if correction.what not in CORRECTED:
        reason = f"correction of {correction.what!r}: it is one of {', '.join(CORRECTED)}"
        raise UsageError(reason)
    known = {"sentiment": SENTIMENTS, "topic": TOPICS}.get(correction.what)
    if not correction.value or (known is not None and correction.value not in known):
        rule = f"one of {', '.join(known)}" if known else "the id of the company that the text is not about"
        reason = f"correction of {correction.what}: {correction.value!r} is given; it is {rule}"
        raise UsageError(reason)
    d = t.documents.c
    versions = select(d.content_hash).where(d.document_id == correction.document_id).order_by(d.known_ms.desc(), d.content_hash)
    found = list(connection.execute(versions).scalars())
    if not found or (correction.content_hash and correction.content_hash not in found):
        version = f", version {correction.content_hash!r}" if found else ""
        reason = f"document {correction.document_id!r}{version}: nothing of that id was read; an alert's evidence names its documents"
        raise NotFoundError(reason)
    name = _hash(msgspec.structs.replace(correction, content_hash=""))
    row = msgspec.structs.asdict(correction) | {"correction_id": name, "content_hash": correction.content_hash or found[0]}
    return _insert_once(connection, t.corrections, row)


def record_miss(connection: Connection, run: str, miss: Miss) -> bool:
    """Store that somebody expected an alert and got none.

    Returns:
        Whether this is new.

    Raises:
        UsageError: no name is given.
    """
    _check_said(miss.who, miss.note)
    if not miss.name.strip() or len(miss.name) > NAME_MAX:
        reason = f"miss: its name has {len(miss.name)} characters; write a company, a topic or a series in 1 to {NAME_MAX}"
        raise UsageError(reason)
    row = msgspec.structs.asdict(miss) | {"run": run, "miss_id": _hash(msgspec.structs.replace(miss, gate=""))}
    return _insert_once(connection, t.misses, row)


def record_press(connection: Connection, run: str, *, who: str, what: str, alert_id: str, at_ms: int) -> bool:
    """Store what somebody did by a button under a message: "acknowledge", or a word of a verdict.

    Returns:
        Whether this is new.

    Raises:
        NotFoundError: the run has no such alert.
        UsageError: no word that a button may have.
    """
    if what != "acknowledge":
        return record_verdict(connection, run, Verdict(alert=alert_id, at_ms=at_ms, who=who, word=cast("VerdictWord", what)))
    named = incident_named(connection, alert_id, run=run)
    return record_action(connection, run, Action(incident=named.incident, at_ms=at_ms, who=who, what="acknowledge"))


def _check_action(action: Action) -> None:
    """Every field that the action needs, and no other."""
    _check_said(action.who, action.note)
    given = {name for name in ("assignee", "until_ms", "story") if getattr(action, name) is not None}
    if action.what not in ACTS or given - {_OWN.get(action.what)} or (action.what == "assign" and not action.assignee):
        reason = (
            f"action {action.what!r} with {', '.join(sorted(given)) or 'no more'}: it is one of {', '.join(ACTS)}; assign names an "
            "assignee, snooze may name until_ms, mute_story a story, and no other does"
        )
        raise UsageError(reason)
    if action.until_ms is not None and action.until_ms <= action.at_ms:
        reason = f"action 'snooze': until {iso(action.until_ms)}, which is past at {iso(action.at_ms)}; give a later moment"
        raise UsageError(reason)
    if action.what == "comment" and not action.note.strip():
        reason = "action 'comment': its note is empty; write what is to be said"
        raise UsageError(reason)


def _check_said(who: str, note: str) -> None:
    if not who.strip() or len(who) > NAME_MAX or len(note) > NOTE_MAX:
        reason = (
            f"who has {len(who)} characters, the note {len(note)}: a name has 1 to {NAME_MAX}, a note at most {NOTE_MAX}; say who does "
            "this, and shorten the note"
        )
        raise UsageError(reason)


def _hash(record: msgspec.Struct) -> str:
    return content_id(type(record).__name__, canonical(record).decode())


def _insert_once(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(row).on_conflict_do_nothing().returning(table.c.at_ms)
    return connection.execute(statement).first() is not None


# --- reading -------------------------------------------------------------------------------------------------------------------
class IncidentNamed(NamedTuple):
    """An incident that somebody named, by its own id or by an alert of it."""

    run: str
    incident: str
    alert: str | None  # the alert that was named; else the incident's newest, if it has one


def incident_named(connection: Connection, text: str, *, run: str | None = None) -> IncidentNamed:
    """The incident of an alert's or an incident's id; the id may be shortened as long as it names one.

    Raises:
        NotFoundError: none, or more than one, begins so.
    """
    a, i = t.alerts.c, t.incidents.c
    alerts = select(a.run, a.incident, a.id).where(a.id.startswith(text, autoescape=True))
    incidents = select(i.run, i.incident).where(i.incident.startswith(text, autoescape=True))
    if run is not None:
        alerts, incidents = alerts.where(a.run == run), incidents.where(i.run == run)
    found = [IncidentNamed(*row) for row in connection.execute(alerts.order_by(a.run, a.id))]
    if not found:
        found = [IncidentNamed(*row, None) for row in connection.execute(incidents.order_by(i.run, i.incident))]
    if not text or len({(one.run, one.incident, one.alert) for one in found}) != 1:
        what = "no alert or incident has that id" if not found else f"{len(found)} begin so"
        reason = f"{text!r}: {what}; `groundswell inbox` lists them, and --run NAME chooses between runs"
        raise NotFoundError(reason)
    named = found[0]
    if named.alert is None and (said := said_of(connection, named.run, named.incident)):
        return named._replace(alert=said[-1].alert)
    return named


def actions_of(connection: Connection, run: str, incident: str | None = None, *, before_ms: int | None = None) -> list[Action]:
    """Actions on one incident or on all, oldest first; `before_ms` leaves out those of that wall time and later."""
    c = t.actions.c
    wanted = [c.run == run] + ([c.incident == incident] if incident is not None else [])
    return in_order(_read(connection, t.actions, Action, wanted, before_ms=before_ms))


def verdicts_of(connection: Connection, run: str, *, alerts: Collection[str] | None = None, before_ms: int | None = None) -> list[Verdict]:
    """Everything that was said of some alerts or of all, oldest first, with what was replaced since: see `groundswell.judged.counted`."""
    c = t.verdicts.c
    wanted = [c.run == run] + ([c.alert.in_(list(alerts))] if alerts is not None else [])
    return _read(connection, t.verdicts, Verdict, wanted, before_ms=before_ms)


def corrections_of(connection: Connection, *, documents: Collection[str] | None = None) -> list[Correction]:
    """Corrections of some documents or of all, oldest first."""
    wanted = [t.corrections.c.document_id.in_(list(documents))] if documents is not None else []
    return _read(connection, t.corrections, Correction, wanted)


def misses_of(connection: Connection, run: str) -> list[Miss]:
    """What was expected in vain, in the order in which it was said."""
    return _read(connection, t.misses, Miss, [t.misses.c.run == run])


def _read(
    connection: Connection, table: Table, kind: type[R], wanted: Iterable[ColumnElement[bool]], *, before_ms: int | None = None
) -> list[R]:
    until = [table.c.at_ms < before_ms] if before_ms is not None else []
    columns = [table.c[name] for name in kind.__struct_fields__]
    order = table.c.at_ms, *table.primary_key.columns.values()[-1:]
    return [kind(**row) for row in connection.execute(select(*columns).where(*wanted, *until).order_by(*order)).mappings()]


def rows_said(connection: Connection, run: str) -> int:
    """How much people have done and said: it grows with whatever a page of the run could say anew. A correction is of every run."""
    counts = [select(func.count()).select_from(table).where(table.c.run == run) for table in (t.actions, t.verdicts, t.misses)]
    counts.append(select(func.count()).select_from(t.corrections))
    return sum(connection.execute(union_all(*counts)).scalars())


def said_of(connection: Connection, run: str, incident: str) -> list[Said]:
    """The alerts of an incident, the first one first."""
    a = t.alerts.c
    bodies = connection.execute(select(a.body).where(a.run == run, a.incident == incident)).scalars()
    return sorted((said_by(decode(body, Alert)) for body in bodies), key=lambda one: one.update)


def said_by(alert: Alert) -> Said:
    """An alert, as far as its incident's life is concerned."""
    return Said(alert.id, alert.update, alert.opened_ms, frozenset(quote.story for quote in alert.evidence), alert.quiet_from_ms)


# --- for whoever sends ---------------------------------------------------------------------------------------------------------
def quieted(connection: Connection, run: str, incident: str, now_ms: int) -> str | None:
    """Why no update of an incident may be sent now, in words; None if it may. `now_ms` is wall time."""
    hush = hush_of(said_of(connection, run, incident), actions_of(connection, run, incident), now_ms=now_ms)
    return None if hush is None else _in_words(hush)


def _in_words(hush: Hush) -> str:
    by = f"by {hush.who} on {iso(hush.at_ms)}"
    if hush.reason != "snoozed":
        return f"{hush.reason} {by}"
    return f"snoozed until {iso(hush.until_ms) if hush.until_ms is not None else 'its next update'}, {by}"


def acknowledged(connection: Connection, run: str, incident: str) -> bool:
    """Whether somebody has taken notice of what was last said of an incident: it need not be told to anybody else."""
    actions = actions_of(connection, run, incident)
    life = life_of(said_of(connection, run, incident), actions, founded_ms=0, last_ms=0, quiet_ms=None)
    return life.state in ("acknowledged", "resolved")


def _incident(run: str, incident: str) -> ColumnElement[bool]:
    return (t.incidents.c.run == run) & (t.incidents.c.incident == incident)
