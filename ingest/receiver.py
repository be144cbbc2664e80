"""The door for push feeds: listens, believes only what is signed, and says "taken" only when the sink has it.

    POST /push/NAME   with the headers of ingest/types/webhook.py, NAME as in the entry's url (webhook:NAME)

    200  taken        the records are safe
    400  the body holds nothing that the entry's map finds
    401  not believed: signature, timestamp
    404  no such name
    409  this very request was taken before
    413  larger than BODY_BYTES_MAX
    503  the sink is away: send it again

It listens without TLS, on 127.0.0.1 unless the setting says otherwise: a proxy in front of it ends TLS and slow senders.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from groundswell.clock import Clock
from groundswell.errors import DependencyError, UsageError, reason_of
from groundswell.logs import logger
from groundswell.names import content_id
from groundswell.records import Heartbeat
from ingest.catalogue import Source
from ingest.memory import Memory, item_id
from ingest.poll import Poll
from ingest.types.base import Request
from ingest.types.table import type_of
from ingest.types.webhook import SIGNATURE_HEADER, Webhook, refusal

__all__ = ["Receiver"]

BODY_BYTES_MAX: Final = 1024 * 1024
BODY_WITHIN_S: Final = 15.0
BEAT_S: Final = 60.0  # how often a source that pushes is said to be heard, though it has nothing to say
REQUESTS_AT_ONCE: Final = 8

log = logger(__name__)

HandOver = Callable[[Source, Poll], Awaitable[None]]
"""Gives a poll's records to the sink and remembers it; raises DependencyError where one of the two refuses."""


class Receiver:
    """Takes what the sources of type webhook post.

    Args:
        sources: those of the catalogue; others are passed over.
        hand_over: the crawler's.
        memory: which requests and items were seen.
        clock: what timestamps are compared with.
        host: address to listen on.
        port: port to listen on; 0: a free one.
        environ: where secrets are.
        beat_s: seconds between two heartbeats of a source.

    Raises:
        UsageError: two sources have one name, or a secret is not set.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        hand_over: HandOver,
        memory: Memory,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int,
        environ: Mapping[str, str] = os.environ,
        beat_s: float = BEAT_S,
    ) -> None:
        self._hand_over, self._memory, self._clock = hand_over, memory, clock
        self._place, self._beat_s = (host, port), beat_s
        self._doors: dict[str, tuple[Source, Webhook, bytes]] = {}
        self._gate = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._one = asyncio.Lock()  # between "was it seen" and "it is remembered" nobody else may look
        for source in sources:
            kind = type_of(source)
            if not isinstance(kind, Webhook):
                continue
            name = source.url.partition(":")[2]
            if name in self._doors:
                message = f"sources {self._doors[name][0].name} and {source.name} are both webhook:{name}; rename one"
                raise UsageError(message)
            try:
                self._doors[name] = (source, kind, kind.secret(environ))
            except ValueError as error:
                message = f"source {source.name}: {reason_of(error)}"
                raise UsageError(message) from error
        self.listening = asyncio.Event()
        self.url = ""  # once it listens

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set.

        Raises:
            DependencyError: the port cannot be had.
        """
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/push/{name}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5, handle_signals=False)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, *self._place).start()
            except OSError as error:
                message = f"webhook.host, webhook.port: cannot listen on {self._place[0]}:{self._place[1]}: {reason_of(error)}; set another"
                raise DependencyError(message) from error
            self.url = f"http://{self._place[0]}:{runner.addresses[0][1]}/push/"
            self.listening.set()
            log.info("listening for push feeds", url=self.url, sources=len(self._doors))
            while not stop.is_set():
                await self._beat()
                try:
                    await asyncio.wait_for(stop.wait(), self._beat_s)
                except TimeoutError:
                    continue
        finally:
            await runner.cleanup()

    async def _beat(self) -> None:
        """Say that the door is open: a publisher that has nothing to say is not blind."""
        for source, _, _ in self._doors.values():
            try:
                await self._hand_over(source, self._poll(source))
            except DependencyError as error:
                log.warning("heartbeat not handed over", source=source.name, reason=reason_of(error))

    async def _answer(self, request: web.Request) -> web.Response:
        door = self._doors.get(request.match_info["name"])
        if door is None:
            return _said(404, "no source of that name")
        async with self._gate:
            try:
                async with asyncio.timeout(BODY_WITHIN_S):
                    body = await request.read()
            except web.HTTPRequestEntityTooLarge:
                return _said(413, f"larger than {BODY_BYTES_MAX} bytes; send less at once")
            except TimeoutError:
                return _said(408, f"not complete within {BODY_WITHIN_S:.0f} seconds")
            headers = {name.lower(): value for name, value in request.headers.items()}
            async with self._one:
                return await self._believe(*door, headers, body)

    async def _believe(self, source: Source, kind: Webhook, secret: bytes, headers: Mapping[str, str], body: bytes) -> web.Response:
        now_ms = self._clock.now_ms()
        refused = refusal(headers, body, secret=secret, now_ms=now_ms)
        if refused is not None:
            log.warning("push refused", source=source.name, reason=refused)
            return _said(401, refused)
        # As remembered it is no secret: who has the memory cannot send the request again, because it is remembered.
        key = content_id("push", headers[SIGNATURE_HEADER.lower()])
        if not self._memory.unseen(source, [key]):
            return _said(409, "this request was taken before")
        parsed = await asyncio.to_thread(kind.parse, body, headers, asked=Request(url=source.url), source=source, fetched_ms=now_ms)
        if not parsed.readable:
            return _said(400, parsed.problem or "not readable")
        items = {item_id(record): record for record in reversed(parsed.records)}
        unseen = self._memory.unseen(source, list(items))
        documents = [record for item, record in items.items() if item in unseen]
        poll = Poll(
            heartbeat=Heartbeat(
                source=source.name, fetched_ms=now_ms, ok=True, fetched=parsed.entries, new=len(documents), reason=parsed.problem
            ),
            result="new" if documents else "nothing_new",
            documents=documents,
            items=[*items, key],
            state=self._memory.state(source),
        )
        try:
            await self._hand_over(source, poll)
        except DependencyError as error:
            log.warning("push not handed over", source=source.name, reason=reason_of(error))
            return _said(503, "not taken: the log is away; send it again")
        return web.json_response({"taken": len(documents), "of": parsed.entries})

    def _poll(self, source: Source) -> Poll:
        beat = Heartbeat(source=source.name, fetched_ms=self._clock.now_ms(), ok=True)
        return Poll(heartbeat=beat, result="nothing_new", state=self._memory.state(source))


def _said(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)
