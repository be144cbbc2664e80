"""What of the outbox is to change before anything is sent: readers found, holds ended or begun, many old messages made one.

    routes row --its readers--> due | held        held --time, acknowledged, quieted--> due | held | withdrawn
    due, several and old --> one digest           held for a digest, time has come --> one digest
    whatever its time has come for --its reader has stopped the target--> stopped; an escalation goes on to whoever is next

It reads and says what to change; the sender stores that under its fence (stream/shells/sender.py).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from alerts.routes import Due, Routes, day_began_ms, routes_of, stand_ins
from groundswell.exports import iso
from groundswell.names import ROUTES_TARGET, content_id
from groundswell.store.outbox import UNSENT, Item, escalations, pinged, targets_of
from groundswell.store.stops import Stop, stopped

__all__ = ["CATCH_UP_MIN", "CATCH_UP_MS", "Changes", "Dispatch"]

CATCH_UP_MS: Final = 900_000
"""Older messages come too late to be a ping of their own ..."""

CATCH_UP_MIN: Final = 3
"""... where so many of them wait for one target: they go out as one."""

HOLD_AGAIN_MS: Final = 60_000
"""How often a message that a person has quieted is looked at again."""


@dataclass
class Changes:
    """What to store."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # new messages
    moves: list[tuple[Item, dict[str, Any]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.rows or self.moves)


@dataclass(frozen=True)
class Dispatch:
    """The rules of one run's outbox.

    Args:
        run: whose.
        routes: who is told of what; None: every target of the settings, of everything.
        targets: names of the targets of the settings.
        acknowledged: (connection, run, incident) -> whether somebody has taken it on; None: nobody can.
        quieted: (connection, run, incident, now_ms) -> why nothing of it may be sent now, in words; None: no reason.
    """

    run: str
    routes: Routes | None
    targets: Sequence[str]
    acknowledged: Callable[[Connection, str, str], bool] | None = None
    quieted: Callable[[Connection, str, str, int], str | None] | None = None

    def changes(self, connection: Connection, items: Sequence[Item], *, now_ms: int) -> Changes:
        """What to change of the messages that wait; nothing where they can go as they are."""
        changes = Changes()
        for item in items:
            if item.target == ROUTES_TARGET:
                self._route(connection, item, changes, now_ms=now_ms)
        ready = [item for item in items if item.target != ROUTES_TARGET and item.next_ms <= now_ms]
        stops = stopped(connection) if ready else {}
        for item in ready:
            if item.target in stops and item.how != "escalation":
                changes.moves.append((item, {"state": "stopped", "reason": _why(stops[item.target])}))
            elif item.how != "digest" and (item.state == "held" or (item.state == "due" and not item.attempts)):
                self._hold_or_wake(connection, item, changes, stops, now_ms=now_ms)
            elif item.target in stops:  # an escalation that was tried before
                self._pass_on(connection, item, changes, stops, now_ms=now_ms)
        moved = {item.key for item, _ in changes.moves}
        left = [item for item in items if item.target != ROUTES_TARGET and item.key not in moved]
        self._digests(left, changes, now_ms=now_ms)
        return changes

    def _route(self, connection: Connection, item: Item, changes: Changes, *, now_ms: int) -> None:
        due = self._due(connection, item, now_ms=now_ms)
        changes.rows += [
            {
                "alert_id": item.alert_id, "target": one.target, "state": "due" if one.how == "now" else "held",
                "next_ms": one.not_before_ms, "how": one.how, "reason": one.reason or None,
            }
            for one in due
        ]  # fmt: skip
        found = ", ".join(sorted({one.reader for one in due})) or "nobody asked for it"
        changes.moves.append((item, {"state": "routed", "reason": found}))

    def _due(self, connection: Connection, item: Item, *, now_ms: int) -> list[Due]:
        if self.routes is None:  # the file was taken out of the settings since
            return [Due(target, target, "now", 0, "") for target in self.targets]
        counted = {
            reader.name: pinged(
                connection, self.run, reader=reader.name, since_ms=day_began_ms(reader, now_ms), without=item.incident
            )
            for reader in self.routes.reader
            if reader.pings_a_day is not None
        }  # fmt: skip
        return routes_of(item.alert, self.routes, now_ms, pinged=counted)

    def _hold_or_wake(self, connection: Connection, item: Item, changes: Changes, stops: Mapping[str, Stop], *, now_ms: int) -> None:
        waited = item.how == "escalation" and item.state == "held"
        if waited and self.acknowledged is not None and self.acknowledged(connection, self.run, item.incident):
            changes.moves.append((item, {"state": "withdrawn", "reason": "acknowledged in time"}))
            return
        why = self.quieted(connection, self.run, item.incident, now_ms) if self.quieted is not None else None
        if why is not None:
            changes.moves.append((item, {"state": "held", "reason": why, "next_ms": now_ms + HOLD_AGAIN_MS}))
        elif item.target in stops:
            self._pass_on(connection, item, changes, stops, now_ms=now_ms)
        elif item.state == "held":
            changes.moves.append((item, {"state": "due", "reason": None, "next_ms": 0}))

    def _pass_on(self, connection: Connection, item: Item, changes: Changes, stops: Mapping[str, Stop], *, now_ms: int) -> None:
        """An escalation that its reader would not take goes to whoever is next; where there is nobody, it is a dead letter."""
        why = _why(stops[item.target])
        told = targets_of(connection, self.run, item.alert_id)
        following = stand_ins(self.routes, item.target, without=told | set(stops)) if self.routes else ()
        changes.rows += [
            {
                "alert_id": item.alert_id, "target": target, "state": "held", "next_ms": now_ms, "how": "escalation",
                "reason": f"in place of {item.target}",
            }
            for target in following
        ]  # fmt: skip
        called = escalations(connection, self.run, item.alert_id)
        beside = [target for target, state in called.items() if target not in stops and state in (*UNSENT, "sent", "digested")]
        if following or beside:
            names = ", ".join(following or sorted(beside))
            changes.moves.append(
                (item, {"state": "stopped", "reason": f"{why}; {names} {'is' if ',' not in names else 'are'} told instead"})
            )
            return
        reason = f"{why}, and nobody is next: name somebody else in escalation.to of the routes"
        changes.moves.append((item, {"state": "failed", "reason": reason}))

    def _digests(self, items: Sequence[Item], changes: Changes, *, now_ms: int) -> None:
        waiting: dict[str, list[Item]] = defaultdict(list)
        late: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            if item.how == "digest" and item.state == "held":
                waiting[item.target].append(item)
            elif item.how != "escalation" and item.state == "due" and now_ms - item.opened_ms >= CATCH_UP_MS:
                late[item.target].append(item)
        for held in waiting.values():  # as soon as one is due all go: a reader who is told in the morning is told once
            if min(item.next_ms for item in held) <= now_ms:
                self._fold(held, changes)
        for old in late.values():
            digests = {item.digest for item in old}
            if len(old) >= CATCH_UP_MIN and (None in digests or len(digests) > 1):  # else they are one already
                self._fold(old, changes)

    def _fold(self, items: Sequence[Item], changes: Changes) -> None:
        name = "d" + content_id(items[0].target, *sorted(item.alert_id for item in items))
        changes.moves += [(item, {"state": "due", "attempts": 0, "next_ms": 0, "digest": name}) for item in items]


def _why(stop: Stop) -> str:
    return f"unsubscribed by {stop.who}, {stop.place}, {iso(stop.at_ms)}"
