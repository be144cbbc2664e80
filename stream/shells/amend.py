"""Show in a first message how its incident is by now, where a channel can: one message tells the story, and nobody reads ten.

Looked at a few times a minute; what is shown is stored, so nothing is amended twice and a restart amends nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from sqlalchemy import Connection

from alerts.notify.base import Notifier
from alerts.notify.message import Message
from alerts.routes import Routes
from groundswell.logs import logger
from groundswell.names import DAY_MS
from groundswell.records import Delivery
from groundswell.store.outbox import Item, alert_of, first_messages, keep_shown
from groundswell.store.store import Store
from stream.shells.voice import Voice

EVERY_MS: Final = 15_000
SINCE_MS: Final = 3 * DAY_MS
"""First messages of older incidents stay as they are."""

_log = logger("groundswell.sender")


@runtime_checkable
class Amending(Protocol):
    """A notifier that can change what it has sent."""

    async def amend(self, message: Message, *, provider_id: str, state: str) -> Delivery:
        """Show a line about how things are in a message that was sent; never raises for what a peer does."""
        ...


@dataclass
class Amender:
    """The first messages of one run.

    Args:
        store: where the outbox is.
        run: whose.
        voice: how alerts are put into words.
        state_of: (connection, run, incident) -> what people did, in words; None: nothing is known of that.
    """

    store: Store
    run: str
    voice: Voice
    state_of: Callable[[Connection, str, str], str | None] | None = None
    _due_ms: int = field(default=0, init=False)

    async def look(self, notifiers: Mapping[str, Notifier], routes: Routes | None, *, now_ms: int) -> int:
        """Amend what is no longer so, where it is time again.

        Returns:
            How many messages were amended.

        Raises:
            DependencyError: the store is away.
        """
        able = {name: notifier for name, notifier in notifiers.items() if isinstance(notifier, Amending)}
        if not able or now_ms < self._due_ms:
            return 0
        self._due_ms = now_ms + EVERY_MS
        with self.store.read() as connection:
            first = first_messages(connection, self.run, targets=sorted(able), since_ms=now_ms - SINCE_MS)
            stale = [(item, state) for item in first if (state := self._state(connection, item, routes)) != (item.shown or "")]
        done = 0
        for item, state in stale:
            message = self.voice.alert(item.alert, routes.reader_of(item.target) if routes else None)
            delivery = await able[item.target].amend(message, provider_id=str(item.provider_id), state=state)
            if not delivery.ok:
                _log.warning("a first message was not amended", alert=item.alert_id, target=item.target, reason=delivery.reason)
            if delivery.ok or delivery.permanent:  # one that was deleted in the channel is not asked for again
                with self.store.write() as connection:
                    keep_shown(connection, self.run, item, state)
            done += delivery.ok
        return done

    def _state(self, connection: Connection, item: Item, routes: Routes | None) -> str:
        latest = alert_of(connection, self.run, item.incident, last=True)
        said = self.state_of(connection, self.run, item.incident) if self.state_of else None
        return self.voice.state(latest or item.alert, said, routes.reader_of(item.target) if routes else None)
