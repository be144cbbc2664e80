"""The outbox as it is stored: which messages wait, which were tried, and what became of each.

    routed     an alert whose readers were found: one row for each of their targets follows from it
    due        to be sent, not before next_ms
    held       quiet hours, a snooze, an escalation that may not be needed: looked at again at next_ms
    attempted  the call was begun; without a result by next_ms it is begun once more, marked as a resend
    sent, digested, failed, withdrawn, stopped   the end: delivered, delivered in one message with others, given up (a dead letter),
               not needed, not wanted any more by its reader

A row is moved only from the state in which it was seen, so of two senders one moves it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select, update

from groundswell.codec import decode
from groundswell.errors import NotFoundError
from groundswell.names import ROUTES_TARGET
from groundswell.records import Alert
from groundswell.store import schema as t
from groundswell.store.progress import Claim, confirm
from groundswell.store.store import Store

__all__ = [
    "UNSENT", "Item", "add_messages", "alert_of", "begin_attempt", "counted", "dead_letters", "escalations", "first_messages",
    "keep_shown", "listed", "move", "parent_of", "pinged", "put_back", "settle", "targets_of", "waiting",
]  # fmt: skip

UNSENT: Final = ("due", "attempted", "held")


@dataclass(frozen=True)
class Item:
    """One row, with its alert."""

    alert_id: str
    target: str
    state: str
    attempts: int
    next_ms: int  # not before (wall time)
    how: str
    digest: str | None
    reason: str | None
    provider_id: str | None
    shown: str | None
    incident: str
    opened_ms: int
    body: bytes

    @property
    def key(self) -> tuple[str, str]:
        """What names the row within its run."""
        return self.alert_id, self.target

    @property
    def alert(self) -> Alert:
        """What it speaks of."""
        return decode(self.body, Alert)


_JOINED: Final = t.outbox.join(t.alerts, and_(t.outbox.c.run == t.alerts.c.run, t.outbox.c.alert_id == t.alerts.c.id))
_COLUMNS: Final = (
    t.outbox.c.alert_id, t.outbox.c.target, t.outbox.c.state, t.outbox.c.attempts, t.outbox.c.next_ms, t.outbox.c.how, t.outbox.c.digest,
    t.outbox.c.reason, t.outbox.c.provider_id, t.outbox.c.shown, t.alerts.c.incident, t.alerts.c.opened_ms, t.alerts.c.body,
)  # fmt: skip


def waiting(connection: Connection, run: str) -> list[Item]:
    """Every message that has not come to its end, the oldest alert first."""
    box, alerts = t.outbox.c, t.alerts.c
    statement = select(*_COLUMNS).select_from(_JOINED).where(box.run == run, box.state.in_(UNSENT))
    return [Item(*tuple(row)) for row in connection.execute(statement.order_by(alerts.opened_ms, alerts.id, box.target))]


def listed(connection: Connection, run: str, *, state: str | None = None, target: str | None = None, limit: int = 100) -> list[Item]:
    """Messages of a run, the newest alert first."""
    box, alerts = t.outbox.c, t.alerts.c
    statement = select(*_COLUMNS).select_from(_JOINED).where(box.run == run)
    if state is not None:
        statement = statement.where(box.state == state)
    if target is not None:
        statement = statement.where(box.target == target)
    return [
        Item(*tuple(row)) for row in connection.execute(statement.order_by(alerts.opened_ms.desc(), alerts.id, box.target).limit(limit))
    ]


def counted(connection: Connection, run: str) -> dict[str, int]:
    """{state: messages of a run that are in it}."""
    box = t.outbox.c
    rows = connection.execute(select(box.state, func.count()).where(box.run == run).group_by(box.state))
    return {row[0]: row[1] for row in rows}


def add_messages(store: Store, connection: Connection, run: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write messages that follow from a routed alert: alert_id, target, state, next_ms, how, reason; those that are there stay."""
    fresh = {"run": run, "attempts": 0, "provider_id": None, "digest": None, "shown": None, "sent_ms": None}
    store.insert(connection, t.outbox, [fresh | dict(row) for row in rows])


def move(connection: Connection, run: str, item: Item, **values: Any) -> bool:
    """Change a row that is still as it was seen; False: somebody else has moved it, and nothing is changed."""
    box = t.outbox.c
    same = and_(
        box.run == run, box.alert_id == item.alert_id, box.target == item.target, box.state == item.state, box.attempts == item.attempts,
        box.digest.is_(None) if item.digest is None else box.digest == item.digest,
    )  # fmt: skip
    return connection.execute(update(t.outbox).where(same).values(**values)).rowcount == 1


def settle(connection: Connection, run: str, items: Sequence[Item], *, attempts: int, **values: Any) -> bool:
    """Store the result of an attempt, whoever is the sender by now: it is a fact. False: another attempt has begun since."""
    box = t.outbox.c
    done = [
        connection.execute(
            update(t.outbox)
            .where(
                box.run == run, box.alert_id == item.alert_id, box.target == item.target, box.state == "attempted", box.attempts == attempts
            )
            .values(**values)
        ).rowcount
        for item in items
    ]  # fmt: skip
    return all(done)


# --- what the sender asks -------------------------------------------------------------------------------------------------------
def parent_of(connection: Connection, run: str, item: Item) -> str | None:
    """What the channel called the first message of this incident on this target; None where there was none before this one."""
    box, alerts = t.outbox.c, t.alerts.c
    sent = and_(box.run == run, box.target == item.target, box.state == "sent", box.provider_id.is_not(None))
    statement = select(box.provider_id).select_from(_JOINED).where(sent, alerts.incident == item.incident, box.alert_id != item.alert_id)
    return connection.execute(statement.order_by(alerts.opened_ms, alerts.id).limit(1)).scalar_one_or_none()


def pinged(connection: Connection, run: str, *, reader: str, since_ms: int, without: str) -> int:
    """Incidents that a reader was told of at once since a moment, one incident left out."""
    box, alerts = t.outbox.c, t.alerts.c
    told = and_(box.run == run, box.how == "now", box.state.in_(["due", "attempted", "sent"]), alerts.opened_ms >= since_ms)
    mine = box.target.endswith(f":{reader}", autoescape=True)
    statement = select(func.count(alerts.incident.distinct())).select_from(_JOINED).where(told, mine, alerts.incident != without)
    return connection.execute(statement).scalar_one()


def escalations(connection: Connection, run: str, alert_id: str) -> dict[str, str]:
    """{target: state} of those to whom an alert was to go because nobody acknowledged it."""
    box = t.outbox.c
    rows = connection.execute(select(box.target, box.state).where(box.run == run, box.alert_id == alert_id, box.how == "escalation"))
    return {row.target: row.state for row in rows}


def targets_of(connection: Connection, run: str, alert_id: str) -> frozenset[str]:
    """Every target that an alert has a message for, whatever became of it."""
    box = t.outbox.c
    return frozenset(connection.execute(select(box.target).where(box.run == run, box.alert_id == alert_id)).scalars())


def first_messages(connection: Connection, run: str, *, targets: Sequence[str], since_ms: int) -> list[Item]:
    """The first message of each incident on each of these targets that was sent, and opened since a moment."""
    box, alerts = t.outbox.c, t.alerts.c
    sent = and_(box.run == run, box.target.in_(targets), box.state == "sent", box.provider_id.is_not(None), alerts.opened_ms >= since_ms)
    statement = select(*_COLUMNS).select_from(_JOINED).where(sent).order_by(alerts.opened_ms, alerts.id)
    found: dict[tuple[str, str], Item] = {}
    for row in connection.execute(statement):
        item = Item(*tuple(row))
        found.setdefault((item.incident, item.target), item)
    return list(found.values())


def alert_of(connection: Connection, run: str, incident: str, *, last: bool) -> Alert | None:
    """The first or the last that was said of an incident."""
    row = t.alerts.c
    order = (row.opened_ms.desc(), row.id.desc()) if last else (row.opened_ms, row.id)
    body = connection.execute(
        select(row.body).where(row.run == run, row.incident == incident).order_by(*order).limit(1)
    ).scalar_one_or_none()
    return None if body is None else decode(body, Alert)


def keep_shown(connection: Connection, run: str, item: Item, shown: str) -> None:
    """Note what a first message says by now."""
    box = t.outbox.c
    where = and_(box.run == run, box.alert_id == item.alert_id, box.target == item.target)
    connection.execute(update(t.outbox).where(where).values(shown=shown))


def begin_attempt(store: Store, run: str, items: Sequence[Item], *, mine: Claim, next_ms: int) -> bool:
    """Store that a call begins, for all rows of a message or for none.

    Args:
        store: the store.
        run: whose.
        items: as they were read.
        mine: the sender's fence.
        next_ms: until when nobody else begins it.

    Returns:
        False: somebody has moved a row since it was read.

    Raises:
        OwnershipLostError: another sender has taken over.
    """
    with store.write() as connection:
        confirm(connection, mine)
        with connection.begin_nested() as nested:
            values = {"state": "attempted", "attempts": items[0].attempts + 1, "next_ms": next_ms}
            begun = all(move(connection, run, item, **values) for item in items)
            if not begun:
                nested.rollback()
    return begun


def dead_letters(connection: Connection, run: str, *, since_ms: int) -> dict[str, str]:
    """{target: how many messages of alerts since a moment were given up, and why the last}."""
    box, alerts = t.outbox.c, t.alerts.c
    failed = and_(box.run == run, box.state == "failed", alerts.opened_ms >= since_ms)
    statement = select(box.target, box.reason).select_from(_JOINED).where(failed).order_by(alerts.opened_ms, alerts.id)
    found: dict[str, list[str]] = {}
    for target, reason in connection.execute(statement):
        found.setdefault(target, []).append(reason or "no reason")
    step = "`groundswell outbox --state failed` prints them"
    return {
        target: f"{len(reasons)} messages to {target} were given up, the last: {reasons[-1]}; {step}" for target, reasons in found.items()
    }


# --- by hand --------------------------------------------------------------------------------------------------------------------
def put_back(store: Store, run: str, alert_id: str, *, target: str | None = None) -> list[Item]:
    """Make the dead letters of an alert due again. What was tried more than once may have arrived, and is marked as a resend.

    Args:
        store: the store.
        run: whose.
        alert_id: of which alert.
        target: only this target's.

    Returns:
        What was put back.

    Raises:
        NotFoundError: the alert has no dead letter.
    """
    box = t.outbox.c
    with store.write() as connection:
        dead = and_(box.run == run, box.alert_id == alert_id, box.state == "failed", box.target != ROUTES_TARGET)
        if target is not None:
            dead = and_(dead, box.target == target)
        found = [Item(*tuple(row)) for row in connection.execute(select(*_COLUMNS).select_from(_JOINED).where(dead).order_by(box.target))]
        for item in found:
            state = "attempted" if item.attempts > 1 else "due"
            move(connection, run, item, state=state, attempts=0, next_ms=0, digest=None, reason="put back by hand")
    if not found:
        reason = f"outbox of run {run!r}: alert {alert_id} has no dead letter{f' for {target}' if target else ''}; "
        reason += "`groundswell outbox --state failed` prints those there are"
        raise NotFoundError(reason)
    return found
