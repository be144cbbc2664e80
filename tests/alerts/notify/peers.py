"""The other ends of the line, on loopback: an SMTP relay and Slack's webhook, each behaving as a test asks."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult

from tests.peers import free_port

HOST = "127.0.0.1"


@dataclass
class Relay:
    """What the relay answers, and what it got."""

    data: str = "250 2.0.0 queued"  # to the mail's text; "drop" hangs up, "250 kept, then drop" keeps it first, "hang" says nothing
    recipients: dict[str, str] = field(default_factory=dict)  # answers that differ from 250
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:  # noqa: N802
        session.host_name = hostname
        self.commands.append(f"EHLO {hostname}")
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data == "hang":
            await self.released.wait()
        if self.data == "250 kept, then drop":
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.data in ("drop", "250 kept, then drop"):
            server.transport.abort()
            return "250 nobody hears this"
        if self.data.startswith("250"):
            parsed = message_from_bytes(envelope.content, policy=policy.default)
            self.mails.append(parsed)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return self.data

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
        self.logins.append((login.login, login.password))
        return AuthResult(success=login.password == b"open sesame", handled=False)


@contextlib.asynccontextmanager
async def a_relay(relay: Relay, *, tls: ssl.SSLContext | None = None, login: bool = False) -> AsyncIterator[Relay]:
    """Serve `relay` on a free port for as long as the context lasts."""
    peers: list[Any] = []

    def connected() -> Any:
        authenticator = relay.authenticate if login else None
        peer = SMTP(relay, hostname="relay.example", tls_context=tls, authenticator=authenticator, auth_required=login)
        peers.append(peer)
        return peer

    server = await asyncio.get_running_loop().create_server(connected, HOST, 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.released.set()
        server.close()
        for peer in peers:
            if peer.transport is not None:
                peer.transport.abort()
        await server.wait_closed()


@dataclass
class Slack:
    """What Slack answers, and what it got."""

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False  # never answers
    drop: bool = False  # hangs up instead of answering
    url: str = ""
    posts: list[dict[str, Any]] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.posts.append(await request.json())
        if self.hang:
            await self.released.wait()
        if self.drop and request.transport is not None:
            request.transport.abort()
        return web.Response(status=self.status, text=self.body, headers=self.headers)


SLACK_PATH = "/services/T0AAAA/B0BBBB/c0ffeesecret"


@contextlib.asynccontextmanager
async def a_slack(slack: Slack) -> AsyncIterator[Slack]:
    """Serve `slack` on a free port for as long as the context lasts."""
    app = web.Application()
    app.router.add_post(SLACK_PATH, slack.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    slack.url = f"http://{HOST}:{runner.addresses[0][1]}{SLACK_PATH}"
    try:
        yield slack
    finally:
        slack.released.set()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def a_babbler(says: bytes) -> AsyncIterator[int]:
    """A peer that speaks no protocol: it says these bytes to whoever connects, and hangs up. Gives its port."""

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(babble, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def a_closed_port() -> int:
    """A port of loopback on which nobody listens."""
    return free_port()
