"""A desk for tests of the outbox: a store with alerts, channels that keep what they got, and a clock that a test moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, select

from alerts.notify.base import Limits, Notifier
from alerts.notify.message import Message
from alerts.routes import Routes, parse_routes
from groundswell.clock import ManualClock
from groundswell.names import LIVE_RUN, ROUTES_TARGET
from groundswell.records import Alert, Delivery
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.stops import Stop, What, say
from groundswell.store.store import Store
from stream.shells.sender import Fixed, Sender
from stream.shells.voice import Voice
from tests.alerts.alert_factory import OPENED_MS, an_alert

NOON_MS = OPENED_MS - OPENED_MS % 86_400_000 + 43_200_000  # of the day of the factory's alert, UTC
ACTS = frozenset({"acknowledge", "unsubscribe"})
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@dataclass
class Keeper:
    """A notifier whose answers a test gives; afterwards it delivers everything. Keeps the messages."""

    name: str
    answers: list[Delivery] = field(default_factory=list)
    got: list[tuple[Message, bool]] = field(default_factory=list)
    amended: list[tuple[str, str]] = field(default_factory=list)
    limits: ClassVar[Limits] = Limits(subject_chars=90, text_chars=1_000, messages_per_s=1.0, burst=50, threads=True)

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        self.got.append((message, resend))
        return self.answers.pop(0) if self.answers else Delivery(target=self.name, ok=True, provider_id=f"{self.name}/{len(self.got)}")

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message, _ in self.got]

    @property
    def ids(self) -> list[str]:
        return [message.message_id for message, _ in self.got]


class Amendable(Keeper):
    """One that can change what it has sent."""

    async def amend(self, message: Message, *, provider_id: str, state: str) -> Delivery:
        self.amended.append((provider_id, state))
        return Delivery(target=self.name, ok=True, provider_id=provider_id)


class Desk:
    """A store, a sender, and what people have done."""

    def __init__(self, path: Path | str, routes: str = "", *, channels: Mapping[str, Keeper] | None = None) -> None:
        self.store = Store(str(path))
        self.clock = ManualClock(NOON_MS)
        self.acknowledged: set[str] = set()
        self.quiet: dict[str, str] = {}
        self.done: dict[str, str] = {}
        self.routes: Routes | None = parse_routes(routes, place="routes.toml") if routes else None
        named = [target for reader in self.routes.reader for target in reader.targets] if self.routes else ["mail"]
        self.channels = dict(channels) if channels else {name: Keeper(name) for name in named}

    def sender(self, **given: Any) -> Sender:
        notifiers: dict[str, Notifier] = dict(self.channels)
        return Sender(
            self.store,
            LIVE_RUN,
            Fixed(notifiers, self.routes),
            Voice("https://gs.bank.example", lambda i: i.title(), link=given.pop("link", None), acts=ACTS),
            self.clock.now_ms,
            acknowledged=lambda connection, run, incident: self._real(connection, run) and incident in self.acknowledged,
            quieted=self._quieted,
            state_of=lambda connection, run, incident: self.done.get(incident) if self._real(connection, run) else None,
            **given,
        )

    def _quieted(self, connection: Connection, run: str, incident: str, now_ms: int) -> str | None:
        assert now_ms == self.clock.now_ms()
        return self.quiet.get(incident) if self._real(connection, run) else None

    @staticmethod
    def _real(connection: Connection, run: str) -> bool:
        assert run == LIVE_RUN
        assert not connection.closed
        return True

    def open(self, name: str, *, at_ms: int | None = None, **given: Any) -> Alert:
        """An alert of an incident of its own, written as the desk writes it."""
        given = {"id": name * 16, "incident": name * 16, "opened_ms": self.clock.now_ms() if at_ms is None else at_ms} | given
        alert = an_alert(**given)
        targets = (ROUTES_TARGET,) if self.routes else tuple(self.channels)
        with self.store.write() as connection:
            insert_alert(self.store, connection, LIVE_RUN, alert, targets=targets)
        return alert

    def say(self, target: str, what: What) -> bool:
        """A reader stops a target, or lets it go on."""
        with self.store.write() as connection:
            return say(self.store, connection, Stop(target, self.clock.now_ms(), what, target.partition(":")[2], "one click"))

    def rows(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """(first letter of the alert, target) -> (state, reason)."""
        box = t.outbox.c
        with self.store.read() as connection:
            found = connection.execute(select(box.alert_id, box.target, box.state, box.reason))
            return {(row[0][:1], row[1]): (row[2], row[3]) for row in found}

    def whole_rows(self) -> dict[tuple[str, str], str]:
        """(alert, target) -> state."""
        box = t.outbox.c
        with self.store.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(select(box.alert_id, box.target, box.state))}
