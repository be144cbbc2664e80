"""The door for push feeds, over real HTTP: only what is signed is believed, and "taken" means that the sink has it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from groundswell.clock import ManualClock
from groundswell.errors import DependencyError, UsageError
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.crawler import Crawler
from ingest.fetch import Fetcher
from ingest.memory import Memory
from ingest.receiver import BODY_BYTES_MAX, Receiver
from ingest.sink import RawRecord
from ingest.types.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature_of

NOW = 1_772_500_000_000
SECRET = "a secret of both sides"
ENVIRON = {"VENDOR_SECRET": SECRET}
BODY = json.dumps([{"id": 1, "title": "Bank falls"}, {"id": 2, "title": "Bank rises", "published_at": "2026-03-02T09:30Z"}]).encode()


def source(**how: Any) -> Source:
    fields = {"name": "vendor", "owner": "Vendor", "url": "webhook:vendor", "type": "webhook"}
    return msgspec.convert(fields | {"how": {"secret_variable": "VENDOR_SECRET", **how}}, Source)


class Door:
    """A receiver that listens, what its sink got, and a client."""

    def __init__(self, path: Path, client: aiohttp.ClientSession) -> None:
        self.taken: list[RawRecord] = []
        self.full = False
        self.clock = ManualClock(NOW)
        self.path, self.client = path, client
        self.url = ""
        self.heard, self.loop = asyncio.Event(), asyncio.get_running_loop()  # three records

    def put(self, records: Any) -> None:
        if self.full:
            message = "the disk is full"
            raise DependencyError(message)
        self.taken += records
        if len(self.taken) >= 3:
            self.loop.call_soon_threadsafe(self.heard.set)

    def tick(self) -> int:
        return 0

    def close(self) -> None:
        pass

    @property
    def titles(self) -> list[str]:
        return [record.title for record in self.taken if isinstance(record, RawDocument)]

    async def post(
        self, body: bytes = BODY, *, secret: str = SECRET, at_s: int = 0, name: str = "vendor", **headers: str
    ) -> tuple[int, Any]:
        timestamp = str(NOW // 1_000 + at_s)
        signed = {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: signature_of(secret.encode(), timestamp, body), **headers}
        async with self.client.post(self.url + name, data=io.BytesIO(body), headers=signed) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status != 413 else None

    @asynccontextmanager
    async def open(self, *sources: Source, beat_s: float = 3_600.0) -> AsyncIterator[Receiver]:
        stop = asyncio.Event()
        with Memory(self.path) as memory:
            async with Fetcher() as fetcher:
                crawler = Crawler([], sink=self, memory=memory, fetcher=fetcher, clock=self.clock)
                receiver = Receiver(
                    sources or [source()],
                    hand_over=crawler.hand_over,
                    memory=memory,
                    clock=self.clock,
                    port=0,
                    environ=ENVIRON,
                    beat_s=beat_s,
                )
                running = asyncio.create_task(receiver.run(stop))
                try:
                    await asyncio.wait_for(receiver.listening.wait(), 180)
                    self.url = receiver.url
                    yield receiver
                finally:
                    stop.set()
                    await running


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with aiohttp.ClientSession() as client:
        yield Door(tmp_path / "crawler.db", client)


async def test_what_is_signed_is_taken_in_its_order_with_a_heartbeat_behind_it(door: Door) -> None:
    async with door.open():
        assert await door.post() == (200, {"taken": 2, "of": 2})
    assert door.titles == ["Bank falls", "Bank rises"]
    assert door.taken[-1] == msgspec.structs.replace(door.taken[0], fetched=2, new=2)  # the first one says that the door is open


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"secret": "another secret!!"}, "does not fit"),
        ({"at_s": -301}, "more than 300 seconds"),
        ({"at_s": 301}, "more than 300 seconds"),
        ({SIGNATURE_HEADER: "v1="}, "does not fit"),
        ({SIGNATURE_HEADER: ""}, "are needed"),
        ({TIMESTAMP_HEADER: "1e9"}, "are needed"),
        ({TIMESTAMP_HEADER: str(NOW // 1_000 + 1)}, "does not fit"),
    ],
)
async def test_what_is_not_signed_by_both_sides_secret_within_five_minutes_is_refused(door: Door, given: Any, reason: str) -> None:
    async with door.open():
        status, said = await door.post(**given)
    assert status == 401
    assert reason in said["error"]
    assert SECRET not in str(said)
    assert door.titles == []


async def test_a_signature_is_of_the_very_body(door: Door) -> None:
    async with door.open():
        timestamp = str(NOW // 1_000)
        signed: Any = {SIGNATURE_HEADER: signature_of(SECRET.encode(), timestamp, BODY + b" ")}
        status, _ = await door.post(**signed)
    assert status == 401


async def test_the_same_request_is_not_taken_twice_not_even_after_a_restart(door: Door) -> None:
    async with door.open():
        assert (await door.post())[0] == 200
        assert (await door.post())[0] == 409
    async with door.open():
        assert (await door.post())[0] == 409
        assert await door.post(at_s=1) == (200, {"taken": 0, "of": 2})  # another request with the same items
    assert door.titles == ["Bank falls", "Bank rises"]


async def test_two_copies_at_once_are_taken_once(door: Door) -> None:
    async with door.open():
        answers = await asyncio.gather(*(door.post() for _ in range(6)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409, 409]
    assert len(door.titles) == 2


async def test_nothing_is_said_to_be_taken_before_the_sink_has_it(door: Door) -> None:
    async with door.open():
        door.full = True
        assert (await door.post())[0] == 503
        door.full = False
        assert await door.post() == (200, {"taken": 2, "of": 2})


async def test_an_edit_that_is_pushed_is_taken(door: Door) -> None:
    async with door.open():
        await door.post()
        assert await door.post(BODY.replace(b"falls", b"fell")) == (200, {"taken": 1, "of": 2})


async def test_a_body_that_is_too_large_is_refused_and_one_that_holds_nothing_is_explained(door: Door) -> None:
    async with door.open():
        assert (await door.post(b"x" * (BODY_BYTES_MAX + 10)))[0] == 413
        for body in (b"", b"[[", b"3", b'[{"headline": "x"}]', b"[" * 100_000):
            status, said = await door.post(body)
            assert (status, bool(said["error"])) == (400, True)
        assert (await door.post(name="nobody"))[0] == 404
    assert door.titles == []


async def test_a_feed_may_be_pushed_too(door: Door) -> None:
    rss = b"<rss version='2.0'><channel><item><title>b</title></item><item><title>a</title></item></channel></rss>"
    async with door.open(source(format="feed")):
        assert await door.post(rss) == (200, {"taken": 2, "of": 2})
    assert door.titles == ["a", "b"]


async def test_an_open_door_is_said_to_be_open_though_nobody_comes(door: Door) -> None:
    async with door.open(beat_s=0.01):
        await asyncio.wait_for(door.heard.wait(), 180)
    assert {(record.source, getattr(record, "ok", None)) for record in door.taken} == {("vendor", True)}


@pytest.mark.parametrize(("environ", "sources"), [({}, 1), ({"VENDOR_SECRET": "short"}, 1), (ENVIRON, 2)])
def test_a_door_without_a_secret_or_with_two_owners_is_not_opened(
    tmp_path: Path, environ: dict[str, str], sources: int, door: Door
) -> None:
    given = [msgspec.structs.replace(source(), name=f"vendor {number}") for number in range(sources)]

    async def nothing(*_: object) -> None:
        raise AssertionError

    with Memory(tmp_path / "m.db") as memory, pytest.raises(UsageError, match=r"VENDOR_SECRET|rename one"):
        Receiver(given, hand_over=nothing, memory=memory, clock=ManualClock(NOW), port=0, environ=environ)
