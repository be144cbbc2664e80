"""A publisher on loopback: a real HTTP server that plays one answer after the other for each path."""

import asyncio
import socket
import ssl
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self

from aiohttp import web

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


def rss(*titles: str, extra: str = "") -> str:
    items = "".join(f"<item><title>{title}</title><guid isPermaLink='false'>{title}</guid></item>" for title in titles)
    return f"<rss version='2.0'><channel><title>wire</title>{extra}{items}</channel></rss>"


def answer(status: int = 200, body: str | bytes = "", **headers: str) -> Reply:
    async def reply(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body.encode() if isinstance(body, str) else body, headers=named)

    return reply


def raw(*parts: bytes, reset: bool = False) -> Reply:
    """These very bytes on the wire, whatever HTTP says, then the end of the connection, polite or not."""

    async def reply(request: web.Request) -> web.StreamResponse:
        assert isinstance(request.transport, asyncio.WriteTransport)
        for part in parts:
            request.transport.write(part)
        if reset:
            wire = request.transport.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.close()
        return web.Response()

    return reply


class Publisher:
    """What is asked for, in order, and what is answered: the last answer of a path is repeated."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.url = ""
        self.slow = asyncio.Event()  # set to let slow answers end
        self._plays: defaultdict[str, list[Reply]] = defaultdict(list)
        self._plays["/robots.txt"] = [answer(404)]

    def play(self, path: str, *replies: Reply) -> Self:
        self._plays[path] = list(replies)
        return self

    def asked(self, path: str) -> list[web.Request]:
        return [request for request in self.requests if request.path == path]

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """Headers, one byte, and nothing until the test ends."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"<")
        await self.slow.wait()
        return response

    def dripping(self, *parts: bytes, every_s: float, plain: bool = False) -> Reply:
        """A body in pieces with pauses; `plain`: these very bytes, so that not even the head needs to end."""

        async def reply(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            if not plain:
                await response.prepare(request)
            for part in parts:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.slow.wait(), every_s)
                if request.transport is None or request.transport.is_closing():
                    break
                if plain:
                    assert isinstance(request.transport, asyncio.WriteTransport)
                    request.transport.write(part)
                else:
                    await response.write(part)
            return response

        return reply

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        plays = self._plays.get(request.path)
        if not plays:
            return web.Response(status=404)
        return await (plays.pop(0) if len(plays) > 1 else plays[0])(request)


@asynccontextmanager
async def publishing(*, tls: ssl.SSLContext | None = None, also_at: str | None = None) -> AsyncIterator[Publisher]:
    """A publisher on a free port of 127.0.0.1 until the block ends.

    Args:
        tls: its certificate, where it speaks https.
        also_at: another address at which it can be reached, at the same port.
    """
    publisher = Publisher()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", publisher._handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    if also_at is not None:
        await web.TCPSite(runner, also_at, port, ssl_context=tls).start()
    publisher.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield publisher
    finally:
        publisher.slow.set()
        await runner.cleanup()
