"""Send what the desk has put into the outbox: in order per target, the attempt stored before the call, the result after.

A crash between call and result leaves the row "attempted": it is sent once more, marked as a resend. A target that
refuses for good ends as "failed" with its reason; one that asks for time gets it. Only the live run has an outbox.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, select, update

from alerts.notify.base import Notifier
from alerts.notify.message import Message, render
from groundswell.codec import decode
from groundswell.errors import reason_of
from groundswell.logs import logger
from groundswell.records import Alert, Delivery
from groundswell.store import schema as t
from groundswell.store.store import Store

BACKOFF_S: Final = (5, 15, 60, 300, 900)
ATTEMPTS_MAX: Final = 20
_log = logger("groundswell.sender")


@dataclass
class Sender:
    """The outbox of one run.

    Args:
        store: where the outbox is.
        run: whose.
        notifiers: by target name.
        base_url: where dossiers are linked to.
        entity_name: an entity id in the reader's words.
        now_ms: the wall clock; the outbox is the one place where it counts.
    """

    store: Store
    run: str
    notifiers: Mapping[str, Notifier]
    base_url: str
    entity_name: Callable[[str], str]
    now_ms: Callable[[], int]

    async def send_due(self) -> list[Delivery]:
        """Send every message that is due, the oldest first; a target that fails waits, the others go on."""
        deliveries = []
        held: set[str] = set()
        for alert, target, attempts, resend in self._due():
            if target in held:
                continue
            self._set(alert.id, target, state="attempted", attempts=attempts + 1)
            delivery = await self._send(alert, target, resend=resend)
            self._settle(alert.id, target, attempts + 1, delivery)
            if not delivery.ok:
                held.add(target)
            deliveries.append(delivery)
        return deliveries

    async def _send(self, alert: Alert, target: str, *, resend: bool) -> Delivery:
        notifier = self.notifiers.get(target)
        if notifier is None:
            return Delivery(target=target, ok=False, permanent=True, reason=f"no target {target!r} is configured any more")
        try:
            return await notifier.send(self.message(alert), resend=resend)
        except Exception as error:
            return Delivery(target=target, ok=False, reason=reason_of(error))

    def message(self, alert: Alert) -> Message:
        """The message of an alert, as every target gets it."""
        return render(alert, base_url=self.base_url, entity_name=self.entity_name)

    def _due(self) -> list[tuple[Alert, str, int, bool]]:
        box, alerts = t.outbox.c, t.alerts.c
        statement = (
            select(alerts.body, box.target, box.attempts, box.state)
            .select_from(t.outbox.join(t.alerts, and_(box.run == alerts.run, box.alert_id == alerts.id)))
            .where(box.run == self.run, box.state.in_(["due", "attempted"]), box.next_ms <= self.now_ms())
            .order_by(alerts.opened_ms, alerts.id, box.target)
        )
        with self.store.read() as connection:
            return [(decode(row.body, Alert), row.target, row.attempts, row.state == "attempted") for row in connection.execute(statement)]

    def _settle(self, alert_id: str, target: str, attempts: int, delivery: Delivery) -> None:
        if delivery.ok:
            self._set(alert_id, target, state="sent", reason=delivery.reason, provider_id=delivery.provider_id)
        elif delivery.permanent or attempts >= ATTEMPTS_MAX:
            self._set(alert_id, target, state="failed", reason=delivery.reason)
            _log.error("message could not be delivered", alert=alert_id, target=target, reason=delivery.reason)
        else:
            wait_s = delivery.retry_after_s or BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
            self._set(alert_id, target, state="due", reason=delivery.reason, next_ms=self.now_ms() + round(wait_s * 1000))
            _log.warning("message waits", alert=alert_id, target=target, reason=delivery.reason, wait_s=wait_s)

    def _set(self, alert_id: str, target: str, **values: object) -> None:
        box = t.outbox.c
        with self.store.write() as connection:
            where = and_(box.run == self.run, box.alert_id == alert_id, box.target == target)
            connection.execute(update(t.outbox).where(where).values(**values))
