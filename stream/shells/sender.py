"""Send what the desk has put into the outbox: the attempt stored before the call, the result after, each target by itself.

A crash between call and result leaves the row "attempted": it is sent once more, marked as a resend; so is what may have arrived although
nobody said so. A target that refuses for good ends as "failed" (a dead letter) with its reason; one that asks for time gets it. One sender
at a time: attempts are begun under a fence, so of two the newer one sends. Only the live run has an outbox.

What goes out to whom and when is decided in stream/shells/dispatch.py; how it is stored in groundswell/store/outbox.py.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
from sqlalchemy import Connection

from alerts.notify.base import Notifier
from alerts.notify.message import Message
from alerts.notify.pace import Pace
from alerts.routes import Routes
from groundswell.errors import reason_of
from groundswell.logs import logger
from groundswell.names import ROLE_SENDER, ROUTES_TARGET
from groundswell.records import Delivery
from groundswell.store.outbox import Item, add_messages, alert_of, begin_attempt, escalations, move, parent_of, settle, waiting
from groundswell.store.progress import Claim, claim, confirm
from groundswell.store.store import Store
from stream.shells.amend import Amender
from stream.shells.dispatch import Dispatch
from stream.shells.voice import Voice

BACKOFF_S: Final = (5, 15, 60, 300, 900)
ATTEMPTS_MAX: Final = 20
LEASE_MS: Final = 120_000
"""How long an attempt may be under way before another sender begins it again."""

CLOSE_S: Final = 10.0
PATIENCE_S: Final = 2.0
"""A slow target goes on beside the next look."""

_log = logger("groundswell.sender")


class RoutesNow(Protocol):
    """The routes in force; asked at each look, so they may change between two."""

    @property
    def routes(self) -> Routes | None:
        """Who is told of what; None: every target of the settings, of everything."""
        ...

    @property
    def notifiers(self) -> Mapping[str, Notifier]:
        """By the targets' stored names."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Routes that never change: the targets of the settings."""

    notifiers: Mapping[str, Notifier]
    routes: Routes | None = None


@dataclass
class Sender:
    """The outbox of one run.

    Args:
        store: where the outbox is.
        run: whose.
        routes: who is told of what, and the channels.
        voice: how alerts are put into each reader's words.
        now_ms: the wall clock; the outbox is the one place where it counts.
        acknowledged: as in Dispatch.
        quieted: as in Dispatch.
        state_of: as in Amender.
        patience_s: how long one look waits for calls that are under way.
        owner: who this is, for the fence: host and process.
    """

    store: Store
    run: str
    routes: RoutesNow
    voice: Voice
    now_ms: Callable[[], int]
    acknowledged: Callable[[Connection, str, str], bool] | None = None
    quieted: Callable[[Connection, str, str, int], str | None] | None = None
    state_of: Callable[[Connection, str, str], str | None] | None = None
    patience_s: float = PATIENCE_S
    owner: str = field(default_factory=lambda: f"{os.uname().nodename}:{os.getpid()}")
    _claim: Claim | None = field(default=None, init=False)
    _paces: dict[str, Pace] = field(default_factory=dict, init=False)
    _under_way: dict[str, "asyncio.Task[list[Delivery]]"] = field(default_factory=dict, init=False)
    _amender: Amender = field(init=False)

    def __post_init__(self) -> None:
        self._amender = Amender(self.store, self.run, self.voice, self.state_of)

    async def send_due(self) -> list[Delivery]:
        """Send every message that is due, the oldest first, to all targets at once; a target that fails or is slow stops no other.

        Returns:
            What came of the calls that have ended since the last look.

        Raises:
            OwnershipLostError: another sender has taken over: end this process.
            DependencyError: the store is away.
        """
        items = self._prepared()
        now_ms = self.now_ms()
        for target, units in _units(items, now_ms=now_ms).items():
            if target not in self._under_way:
                self._under_way[target] = asyncio.create_task(self._send_to(target, units))
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=self.patience_s)
        await self._amender.look(self.routes.notifiers, self.routes.routes, now_ms=now_ms)
        ended = [target for target, task in self._under_way.items() if task.done()]
        return [delivery for target in ended for delivery in self._under_way.pop(target).result()]

    async def close(self) -> None:
        """Wait a little for calls that are under way, so that a restart need not send again what has arrived."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=CLOSE_S)

    def _prepared(self) -> list[Item]:
        """What waits, after what had to be changed first."""
        now_ms, routes = self.now_ms(), self.routes.routes
        dispatch = Dispatch(self.run, routes, list(self.routes.notifiers), self.acknowledged, self.quieted)
        for _ in range(2):  # what follows from a routed alert may have to be held or folded in its turn
            with self.store.read() as connection:
                items = waiting(connection, self.run)
                changes = dispatch.changes(connection, items, now_ms=now_ms)
            if not changes:
                break
            mine = self._mine
            with self.store.write() as connection:
                confirm(connection, mine)
                add_messages(self.store, connection, self.run, changes.rows)
                for item, values in changes.moves:
                    move(connection, self.run, item, **values)
            with self.store.read() as connection:
                items = waiting(connection, self.run)
        return [item for item in items if item.target != ROUTES_TARGET]

    @property
    def _mine(self) -> Claim:
        """The outbox's fence, taken when there is first something to send: whoever had it before begins nothing any more."""
        if self._claim is None:
            self._claim = claim(self.store, self.run, ROLE_SENDER, owner=self.owner)
        return self._claim

    async def _send_to(self, target: str, units: Sequence[list[Item]]) -> list[Delivery]:
        """Send one target's messages in order, until it fails or has had enough for now."""
        deliveries: list[Delivery] = []
        for items in units:
            notifier = self.routes.notifiers.get(target)
            pace = self._paces.setdefault(target, Pace(notifier.limits)) if notifier else None
            if pace is not None and not pace.take(now_ms=self.now_ms()):
                break
            if not begin_attempt(self.store, self.run, items, mine=self._mine, next_ms=self.now_ms() + LEASE_MS):
                continue  # somebody has moved a row since it was read
            resend = any(item.state == "attempted" for item in items)
            delivery = await self._send(notifier, items, target=target, resend=resend)
            self._settle(items, attempts=items[0].attempts + 1, delivery=delivery)
            deliveries.append(delivery)
            if not delivery.ok:
                if pace is not None and delivery.retry_after_s:
                    pace.rest(until_ms=self.now_ms() + round(delivery.retry_after_s * 1_000))
                break
        return deliveries

    async def _send(self, notifier: Notifier | None, items: Sequence[Item], *, target: str, resend: bool) -> Delivery:
        if notifier is None:
            return Delivery(target=target, ok=False, permanent=True, reason=f"no target {target!r} is configured any more")
        try:
            return await notifier.send(self.message(items), resend=resend)
        except Exception as error:
            return Delivery(target=target, ok=False, unknown=True, reason=reason_of(error))

    def message(self, items: Sequence[Item]) -> Message:
        """The message of a row, or of the rows of one digest, as its reader gets it."""
        first, routes = items[0], self.routes.routes
        reader = routes.reader_of(first.target) if routes else None
        if first.digest is not None:
            return self.voice.digest(
                [item.alert for item in items], reader, digest_id=first.digest, held=all(item.how == "digest" for item in items)
            )
        with self.store.read() as connection:
            parent_id = parent_of(connection, self.run, first)
            began = alert_of(connection, self.run, first.incident, last=False)
            called = escalations(connection, self.run, first.alert_id) if first.how == "escalation" else {}
        past = [target for target, state in called.items() if state == "stopped"]
        message = self.voice.alert(first.alert, reader, escalated=routes if first.how == "escalation" else None, past=past)
        subject = self.voice.alert(began, reader).subject if message.update and began else None
        return msgspec.structs.replace(message, parent_id=parent_id, thread_subject=subject)

    def _settle(self, items: Sequence[Item], *, attempts: int, delivery: Delivery) -> None:
        values: dict[str, object]
        first = items[0]
        if delivery.ok:
            values = {"state": "digested" if first.digest else "sent", "reason": delivery.reason, "provider_id": delivery.provider_id}
            values["sent_ms"] = self.now_ms()
        elif delivery.permanent or attempts >= ATTEMPTS_MAX:
            values = {"state": "failed", "reason": delivery.reason}
            _log.error("message could not be delivered", alert=first.alert_id, target=first.target, reason=delivery.reason)
        else:
            wait_s = delivery.retry_after_s or BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
            # What may have arrived at one attempt may have arrived, whatever the next ones say: each of them is marked.
            state = "attempted" if delivery.unknown or first.state == "attempted" else "due"
            values = {"state": state, "reason": delivery.reason, "next_ms": self.now_ms() + round(wait_s * 1_000)}
            _log.warning("message waits", alert=first.alert_id, target=first.target, reason=delivery.reason, wait_s=wait_s)
        with self.store.write() as connection:
            if not settle(connection, self.run, items, attempts=attempts, **values):
                _log.warning("the result came after another attempt had begun", alert=first.alert_id, target=first.target, ok=delivery.ok)


def _units(items: Sequence[Item], *, now_ms: int) -> dict[str, list[list[Item]]]:
    """What can be sent now, by target, the oldest first: single messages, and digests as one.

    A message waits for an earlier one of its incident on its target: an update never comes before what it updates.
    """
    units: dict[str, list[list[Item]]] = {}
    digests: dict[tuple[str, str], list[Item]] = {}
    blocked: set[tuple[str, str]] = set()
    for item in items:
        if item.state == "held":
            continue
        if item.digest is not None:  # its rows wait together, or go together
            whole = digests.setdefault((item.target, item.digest), [])
            if not whole and item.next_ms <= now_ms:
                units.setdefault(item.target, []).append(whole)
            whole.append(item)
            continue
        thread = (item.target, item.incident)
        if item.next_ms > now_ms or thread in blocked:
            blocked.add(thread)
        else:
            units.setdefault(item.target, []).append([item])
    return units
