"""What a hostile publisher, name service or network tries on the fetcher, and how it ends."""

import gzip
import shutil
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from socket import AF_INET, AddressFamily

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from deploy.kafka.secure import make_authority, make_certificate
from ingest.fetch import Fetched, Fetcher, Limits, inside
from tests.ingest.publisher import Publisher, answer, publishing, rss

LIMITS = Limits(bytes_max=100_000, total_s=120.0, connect_s=120.0, silence_s=120.0, least_bytes_per_s=1_000, patience_s=0.2)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with publishing(also_at="127.0.0.2") as publisher:
        yield publisher


class Names(AbstractResolver):
    """A name service that answers one address after the other, the last one again and again."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = list(addresses), list[str]()

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        self.asked.append(host)
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [{"hostname": host, "host": address, "port": port, "family": AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def anything(_: str) -> None:
    return None


async def get(url: str, *, allow_private: bool = True, headers: dict[str, str] | None = None, limits: Limits = LIMITS) -> Fetched:
    async with Fetcher(limits=limits) as fetcher:
        return await fetcher.get(url, permit=anything, allow_private=allow_private, headers=headers)


# --- names ------------------------------------------------------------------------------------------------------------------
async def test_a_name_that_leads_inside_the_second_time_is_refused_the_second_time(publisher: Publisher) -> None:
    publisher.play("/rss", answer(200, rss("a"), Connection="close"))
    names = Names("127.0.0.2", "127.0.0.1")
    url = publisher.url.replace("127.0.0.1", "news.example") + "/rss"
    async with Fetcher(limits=LIMITS, resolver=names, is_inside=lambda address: address != "127.0.0.2") as fetcher:
        first, second = [await fetcher.get(url, permit=anything) for _ in range(2)]
    assert (first.status, second.status, second.refused) == (200, 0, True)
    assert "127.0.0.1 is an inside address" in (second.reason or "")
    assert (names.asked, len(publisher.requests)) == (["news.example"] * 2, 1)


@pytest.mark.parametrize("host", ["localhost.", "LOCALHOST", "news.example@127.0.0.1", "127.0.0.1:80@127.0.0.1", "[::ffff:7f00:1]", "0"])
async def test_no_spelling_of_an_inside_host_is_connected_to(publisher: Publisher, host: str) -> None:
    publisher.play("/rss", answer(200, rss("a")))
    found = await get(publisher.url.replace("127.0.0.1", host) + "/rss", allow_private=False)
    assert (found.status, publisher.requests) == (0, [])
    assert found.reason


@pytest.mark.parametrize(
    "address",
    ["64:ff9b:1::a00:1", "::7f00:1", "::ffff:0:7f00:1", "fec0::1", "fd00:ec2::254", "3fff::1", "5f00::1", "100::1", "168.63.129.16",
     "100.100.100.200", "198.18.0.1", "192.0.2.1", "240.0.0.1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "ff0e::1", "::"],
)  # fmt: skip
def test_rare_ranges_clouds_own_addresses_and_wrapped_ones_are_inside(address: str) -> None:
    assert inside(address)


# --- redirects --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:22/", "port 22 is not followed"),
        ("http://user:password@{place}/rss", "an address with a login is not followed"),
        ("//127.0.0.2:{port}/secret", "127.0.0.2 is an inside address"),
        ("http://127.0.0.1:{port}\\@127.0.0.2:{port}/secret", "backslash"),
        ("http://127.0.0.1%2f@127.0.0.2:{port}/secret", "an address with a login is not followed"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://{place}:99999/", "ValueError"),
    ],
)
async def test_a_redirect_that_tries_something_is_not_followed(publisher: Publisher, location: str, reason: str) -> None:
    place = publisher.url.removeprefix("http://")
    to = location.replace("{place}", place).replace("{port}", place.partition(":")[2])
    publisher.play("/rss", answer(302, Location=to))
    found = await get(publisher.url + "/rss")
    assert reason in (found.reason or "")
    assert [request.path for request in publisher.requests] == ["/rss"]


async def test_a_key_for_one_host_is_not_carried_to_another_and_validators_are() -> None:
    async with publishing(also_at="127.0.0.2") as publisher:
        publisher.play("/rss", answer(302, Location="/here"))
        publisher.play("/here", answer(302, Location=publisher.url.replace("127.0.0.1", "127.0.0.2") + "/there"))
        async with Fetcher(limits=LIMITS, is_inside=lambda _: False) as fetcher:
            await fetcher.get(publisher.url + "/rss", permit=anything, headers={"X-Key": "secret", "If-None-Match": '"1"'})
        shown = {request.path: (request.headers.get("X-Key"), request.headers.get("If-None-Match")) for request in publisher.requests}
    assert shown == {"/rss": ("secret", '"1"'), "/here": ("secret", '"1"'), "/there": (None, '"1"')}


async def test_all_hops_together_have_the_time_of_one_answer(publisher: Publisher) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /rss\r\nContent-Length: 0\r\n\r\n"
    publisher.play("/rss", publisher.dripping(head, every_s=0.8, plain=True))
    found = await get(publisher.url + "/rss", limits=Limits(total_s=2, connect_s=60, silence_s=60))
    assert found.reason == "no complete answer in time"
    assert 2 <= len(publisher.requests) <= 3


# --- TLS --------------------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
async def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_authority_that_the_environment_names_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = make_authority(tmp_path), make_certificate(tmp_path, "publisher")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with publishing(tls=tls) as publisher:
        publisher.play("/rss", answer(200, rss("a"))).play("/down", answer(301, Location=publisher.url.replace("https", "http") + "/rss"))
        refused = await get(publisher.url + "/rss")
        assert (refused.status, publisher.requests) == (0, [])
        assert "the certificate does not hold" in (refused.reason or "")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert (await get(publisher.url + "/rss")).body == rss("a").encode()
        down = await get(publisher.url + "/down")
        assert (down.refused, "never from https to http" in (down.reason or "")) == (True, True)
        other_name = await get(publisher.url.replace("127.0.0.1", "localhost") + "/rss")
        assert "the certificate does not hold" in (other_name.reason or "")


async def test_a_proxy_in_the_environment_is_not_asked(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    publisher.play("/rss", answer(200, rss("a")))
    assert (await get(publisher.url + "/rss")).status == 200


# --- time and size ----------------------------------------------------------------------------------------------------------
async def test_an_answer_that_drips_ends_long_before_its_time_and_a_slow_one_arrives(publisher: Publisher) -> None:
    publisher.play("/drip", publisher.dripping(*[b"x"] * 100, every_s=0.05))
    publisher.play("/slow", publisher.dripping(*[b"x" * 1_000] * 10, every_s=0.05))
    assert (await get(publisher.url + "/drip")).reason == "ValueError: slower than 1000 bytes a second"
    assert len((await get(publisher.url + "/slow")).body) == 10_000


async def test_a_head_that_never_ends_ends(publisher: Publisher) -> None:
    publisher.play("/rss", publisher.dripping(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 1_000, every_s=0.05, plain=True))
    assert (await get(publisher.url + "/rss", limits=Limits(total_s=0.5))).reason == "no complete answer in time"


async def test_a_bomb_costs_no_more_memory_than_its_limit(publisher: Publisher) -> None:
    publisher.play("/bomb", answer(200, gzip.compress(b"\0" * 300_000_000), Content_Encoding="gzip"))
    tracemalloc.start()
    try:
        found = await get(publisher.url + "/bomb")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "larger than 100000 bytes" in (found.reason or "")
    assert peak_bytes < 20_000_000
