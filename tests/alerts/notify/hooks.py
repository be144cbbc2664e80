"""What posts go to, on loopback: a web server for each kind of channel that answers as its vendor documents, and keeps what it got."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from alerts.notify.posts import Hook
from alerts.notify.webhook import SIGNATURE, verify
from tests.alerts.notify.peers import HOST

SECRET = "c0ffeesecret-of-the-hook"
NOW_S = 1_794_893_190.5


@dataclass
class Hooked:
    """A hook as a test wants it to behave, and what it got."""

    status: int = 200
    body: str | None = None  # None: what the vendor says when it is well
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    port: int = 0
    posts: list[dict[str, Any]] = field(default_factory=list)
    seen: list[web.Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # why the vendor's own check refused a post
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def hook(self, kind: str, **given: Any) -> Hook:
        return Hook(channel=kind, url=f"http://{HOST}:{self.port}/{kind}/hooks/c0ffeesecret/0123456789", secret=SECRET, **given)


def checked_webhook(request: web.Request, raw: bytes) -> tuple[int, str]:
    good = verify(SECRET.encode(), raw, header=request.headers.get(SIGNATURE, ""), now_s=NOW_S)
    return (202, "") if good and request.headers.get("Idempotency-Key") else (401, "the signature does not fit")


def checked_teams(request: web.Request, raw: bytes) -> tuple[int, str]:
    body = json.loads(raw)
    (one,) = body["attachments"]
    good = body["type"] == "message" and one["contentType"] == "application/vnd.microsoft.card.adaptive"
    good = good and one["content"]["type"] == "AdaptiveCard" and len(raw) <= 28 * 1024
    return (202, "") if good else (400, "TriggerInputSchemaMismatch")


def checked_feishu(request: web.Request, raw: bytes) -> tuple[int, str]:
    body = json.loads(raw)
    key = f"{body.get('timestamp')}\n{SECRET}".encode()
    good = body.get("sign") == base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    if not good or abs(NOW_S - int(body["timestamp"])) > 3_600:
        return 200, '{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}'
    if len(raw) > 20 * 1024 or body["msg_type"] != "interactive":
        return 200, '{"code":9499,"msg":"Bad Request"}'
    return 200, '{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}'


def checked_dingtalk(request: web.Request, raw: bytes) -> tuple[int, str]:
    at, given = request.query.get("timestamp", "0"), request.query.get("sign")
    expected = base64.b64encode(hmac.new(SECRET.encode(), f"{at}\n{SECRET}".encode(), hashlib.sha256).digest()).decode()
    if given != expected or abs(NOW_S * 1_000 - int(at)) > 3_600_000:
        return 200, '{"errcode":310000,"errmsg":"sign not match"}'
    if len(raw) > 20_000:
        return 200, '{"errcode":460101,"errmsg":"message too long"}'
    return 200, '{"errcode":0,"errmsg":"ok"}'


CHECKS = {"webhook": checked_webhook, "teams": checked_teams, "feishu": checked_feishu, "dingtalk": checked_dingtalk}


@contextlib.asynccontextmanager
async def a_hook(kind: str, hooked: Hooked) -> AsyncIterator[Hooked]:
    """Serve a hook of this kind on a free port for as long as the context lasts."""

    async def answer(request: web.Request) -> web.Response:
        raw = await request.read()
        hooked.seen.append(request)
        hooked.posts.append(json.loads(raw))
        if hooked.hang:
            await hooked.released.wait()
        if hooked.drop and request.transport is not None:
            request.transport.abort()
        status, body = CHECKS[kind](request, raw)
        if hooked.body is None:
            if status >= 400 or '"code":19' in body or '"errcode":3' in body:
                hooked.refused.append(body)
            return web.Response(status=status, text=body, headers=hooked.headers)
        return web.Response(status=hooked.status, text=hooked.body, headers=hooked.headers)

    async with served({f"/{kind}/hooks/c0ffeesecret/0123456789": answer}) as port:
        hooked.port = port
        try:
            yield hooked
        finally:
            hooked.released.set()


@contextlib.asynccontextmanager
async def served(posts: Mapping[str, Any], gets: Mapping[str, Any] | None = None) -> AsyncIterator[int]:
    """A web server on a free port; gives the port."""
    app = web.Application()
    for path, handler in posts.items():
        app.router.add_post(path, handler)
    for path, handler in (gets or {}).items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


# --- Slack's web API and Socket Mode --------------------------------------------------------------------------------------------
BOT_TOKEN, APP_TOKEN = "xoxb-1-c0ffeesecret", "xapp-1-c0ffeesecret"


@dataclass
class SlackApi:
    """What Slack's API answers, and what it got."""

    error: str | None = None  # "token_revoked", ...
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: str | None = None  # instead of JSON
    hang: bool = False
    drop: bool = False
    chars_max: int = 13_000  # over all blocks: more is msg_blocks_too_long
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)  # envelopes of Socket Mode
    pressed: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)  # what Slack sends down the socket
    released: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/api/"

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        method = request.path.rpartition("/")[2]
        self.calls.append((method, body))
        if self.hang:
            await self.released.wait()
        if self.drop and request.transport is not None:
            request.transport.abort()
        if self.raw is not None:
            return web.Response(status=self.status, text=self.raw, headers=self.headers, content_type="text/html")
        error = self.error
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            error = "invalid_auth"
        if error is None and sum(map(len, texts(body["blocks"]))) > self.chars_max:
            error = "msg_blocks_too_long"
        if error is not None:
            return web.json_response({"ok": False, "error": error}, status=self.status, headers=self.headers)
        ts = body.get("ts") or f"1794893190.{len(self.calls):06d}"
        return web.json_response({"ok": True, "channel": body["channel"], "ts": ts}, status=self.status, headers=self.headers)

    async def open(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        return web.json_response({"ok": True, "url": f"ws://{HOST}:{self.port}/link"})

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        sending = asyncio.create_task(self._press(socket))
        try:
            async for said in socket:
                if said.type is WSMsgType.TEXT:
                    self.acknowledged.append(json.loads(said.data)["envelope_id"])
        finally:
            sending.cancel()
        return socket

    async def _press(self, socket: web.WebSocketResponse) -> None:
        while True:
            await socket.send_json(await self.pressed.get())


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [t["text"] for b in blocks for t in [*([b["text"]] if "text" in b else []), *(e for e in b.get("elements", []) if "text" in e)]
            if isinstance(t["text"], str)]  # fmt: skip


@contextlib.asynccontextmanager
async def a_slack_api(api: SlackApi) -> AsyncIterator[SlackApi]:
    """Serve Slack's API on a free port for as long as the context lasts."""
    posts = {"/api/chat.postMessage": api.answer, "/api/chat.update": api.answer, "/api/apps.connections.open": api.open}
    async with served(posts, {"/link": api.link}) as port:
        api.port = port
        try:
            yield api
        finally:
            api.released.set()
