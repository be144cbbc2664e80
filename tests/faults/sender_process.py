"""A process that sends what is due by mail until it is killed: `python -m tests.faults.sender_process STORE PORT AHEAD_MS`."""

import asyncio
import sys

from alerts.notify.mail import MailNotifier, MailSettings
from groundswell.clock import SystemClock
from groundswell.names import LIVE_RUN
from groundswell.store.store import Store
from stream.shells.sender import Fixed, Sender
from stream.shells.voice import Voice


async def main(url: str, port: int, ahead_ms: int) -> None:
    """Send until nothing is left."""
    settings = MailSettings(
        host="127.0.0.1", port=port, sender="gs@bank.example", recipients=("a@bank.example",), security="none", timeout_s=180.0
    )
    notifiers = {"mail": MailNotifier("mail", settings)}
    sender = Sender(
        Store(url), LIVE_RUN, Fixed(notifiers), Voice("https://gs.bank.example", str), lambda: SystemClock().now_ms() + ahead_ms
    )
    while not any(delivery.ok for delivery in await sender.send_due()):
        pass
    sys.stdout.write("sent\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
