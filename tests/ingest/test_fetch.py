"""One GET: it names itself, ends at its limits, and connects to no inside address unless it is told to."""

import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ingest.fetch import Fetched, Fetcher, Limits, RefusedError, inside
from tests.ingest.publisher import Publisher, answer, publishing, rss

LIMITS = Limits(bytes_max=100_000, total_s=120.0, connect_s=120.0, silence_s=120.0)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with publishing() as publisher:
        yield publisher


async def anything(_: str) -> None:
    return None


async def get(url: str, *, allow_private: bool = True, contact: str = "", headers: dict[str, str] | None = None) -> Fetched:
    async with Fetcher(contact=contact, limits=LIMITS) as fetcher:
        return await fetcher.get(url, permit=anything, allow_private=allow_private, headers=headers)


async def test_it_names_itself_takes_gzip_and_sends_headers_as_given(publisher: Publisher) -> None:
    publisher.play("/rss", answer(200, gzip.compress(rss("a").encode()), Content_Encoding="gzip"))
    found = await get(publisher.url + "/rss", contact="https://bank.example/crawler", headers={"If-None-Match": 'W/"é"'})
    [request] = publisher.requests
    assert (found.status, found.body) == (200, rss("a").encode())
    assert request.headers["User-Agent"] == "groundswell/0.1 (+https://bank.example/crawler)"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["If-None-Match"] == 'W/"é"'


async def test_a_cookie_is_never_given_back(publisher: Publisher) -> None:
    publisher.play("/rss", answer(200, "x", Set_Cookie="id=1"))
    async with Fetcher(limits=LIMITS) as fetcher:
        for _ in range(2):
            await fetcher.get(publisher.url + "/rss", permit=anything, allow_private=True)
    assert ["Cookie" in request.headers for request in publisher.requests] == [False, False]


async def test_an_answer_ends_at_its_size_packed_or_not(publisher: Publisher) -> None:
    publisher.play("/big", answer(200, b"x" * 200_000))
    publisher.play("/bomb", answer(200, gzip.compress(b"x" * 5_000_000), Content_Encoding="gzip"))
    for path in ("/big", "/bomb"):
        found = await get(publisher.url + path)
        assert (found.status, found.body) == (0, b"")
        assert "larger than 100000 bytes" in (found.reason or "")


async def test_an_answer_that_stops_in_the_middle_ends_at_its_time(publisher: Publisher) -> None:
    publisher.play("/slow", publisher.endless)
    async with Fetcher(limits=Limits(silence_s=0.2)) as fetcher:
        found = await fetcher.get(publisher.url + "/slow", permit=anything, allow_private=True)
    assert (found.status, found.reason) == (0, "no complete answer in time")


@pytest.mark.parametrize(("status", "known"), [(301, True), (308, True), (302, False), (307, False)])
async def test_only_permanent_redirects_are_told_as_a_move(publisher: Publisher, status: int, known: bool) -> None:
    publisher.play("/old", answer(status, Location="/new")).play("/new", answer(200, rss("a")))
    found = await get(publisher.url + "/old")
    assert found.status == 200
    assert found.moved_to == (publisher.url + "/new" if known else None)


async def test_redirects_without_end_end(publisher: Publisher) -> None:
    publisher.play("/loop", answer(302, Location="/loop"))
    found = await get(publisher.url + "/loop")
    assert "more than 5 redirects" in (found.reason or "")
    assert len(publisher.requests) == 6


async def test_each_hop_is_permitted_first_and_a_forbidden_one_is_not_asked(publisher: Publisher) -> None:
    publisher.play("/old", answer(301, Location="/secret"))

    async def permit(url: str) -> None:
        if "secret" in url:
            message = "robots.txt disallows this address"
            raise RefusedError(message)

    async with Fetcher(limits=LIMITS) as fetcher:
        found = await fetcher.get(publisher.url + "/old", permit=permit, allow_private=True)
    assert (found.status, found.refused, found.reason) == (0, True, "robots.txt disallows this address")
    assert [request.path for request in publisher.requests] == ["/old"]


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://h/x", "javascript:1"])
async def test_a_redirect_out_of_the_web_is_not_followed(publisher: Publisher, target: str) -> None:
    publisher.play("/old", answer(302, Location=target))
    found = await get(publisher.url + "/old")
    assert found.refused
    assert "only http and https" in (found.reason or "")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_an_inside_address_is_not_connected_to_however_it_is_written(publisher: Publisher, host: str) -> None:
    publisher.play("/rss", answer(200, rss("a")))
    found = await get(publisher.url.replace("127.0.0.1", host) + "/rss", allow_private=False)
    assert found.status == 0
    assert publisher.requests == []
    # Numbers that only some programs take for an address are refused as addresses.
    assert any(words in (found.reason or "") for words in ("set allow_private = true", "not a canonical IPv4 address"))
    assert found.refused == ("allow_private" in (found.reason or ""))


async def test_a_port_where_nobody_listens_is_a_reason_and_no_exception() -> None:
    found = await get("http://127.0.0.1:1/rss")
    assert found.status == 0
    assert not found.refused
    assert found.reason


async def test_a_broken_answer_is_a_reason_and_no_exception(publisher: Publisher) -> None:
    publisher.play("/rss", answer(200, b"not gzip at all", Content_Encoding="gzip"))
    found = await get(publisher.url + "/rss")
    assert found.status == 0
    assert found.reason


async def test_a_connection_that_is_cut_is_a_reason_and_no_exception(publisher: Publisher) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    publisher.play("/rss", cut)
    assert (await get(publisher.url + "/rss")).reason


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", False), ("2606:4700::1111", False), ("64:ff9b::808:808", False), ("2002:808:808::1", False),
        ("10.1.2.3", True), ("172.16.0.1", True), ("192.168.1.1", True), ("169.254.169.254", True), ("100.64.0.1", True), ("0.0.0.0", True),
        ("::1", True), ("fe80::1%eth0", True), ("fd00::1", True), ("::ffff:10.0.0.1", True), ("64:ff9b::a00:1", True),
        ("2002:a00:1::1", True),
        ("224.0.0.1", True), ("ff02::1", True), ("255.255.255.255", True),
    ],
)  # fmt: skip
def test_every_kind_of_inside_address_is_known(address: str, expected: bool) -> None:
    assert inside(address) is expected
