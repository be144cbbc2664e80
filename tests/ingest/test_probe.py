"""One look at an address: what it is, what a crawler would make of it, and what to do where it would make nothing."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from groundswell.clock import ManualClock
from groundswell.names import HOUR_MS
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.fetch import Fetcher, Limits
from ingest.probe import Probe, advice, kind_of, probe, rhythm_of
from ingest.types.base import Parsed
from tests.ingest.publisher import Publisher, answer, publishing, rss

NOW = 1_772_440_200_000
ITEMS = "".join(
    f"<item><title>Title {n}</title><link>/item/{n}</link><pubDate>Mon, 0{2 + n} Mar 2026 09:30:00 +0100</pubDate></item>" for n in range(4)
)
FEED = f"<rss version='2.0'><channel><title>Harbour</title><ttl>120</ttl><language>en</language>{ITEMS}</channel></rss>"


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with publishing() as publisher:
        yield publisher


async def look(publisher: Publisher, path: str = "/rss", **fields: Any) -> Probe:
    entry = {"name": "test", "owner": "o", "url": publisher.url + path, "allow_private": True} | fields
    async with Fetcher(limits=Limits(total_s=120.0, connect_s=120.0, silence_s=120.0)) as fetcher:
        return await probe(msgspec.convert(entry, Source), fetcher=fetcher, clock=ManualClock(NOW))


async def test_a_feed_is_shown_with_its_answer_items_rhythm_and_how_often_it_would_be_asked(publisher: Publisher) -> None:
    publisher.play("/rss", answer(200, FEED, Content_Type="application/rss+xml", ETag='"a b"'))
    found = await look(publisher)
    assert found.works
    assert advice(found) is None
    assert (found.form, found.robots) == ("feed", "allowed")
    assert (found.fetched.status, found.fetched.headers["etag"]) == (200, '"a b"')
    assert [record.title for record in found.parsed.records] == [f"Title {n}" for n in range(4)]
    assert found.rhythm == 1.0
    assert 1.9 * HOUR_MS < found.asked_every_ms < 2.5 * HOUR_MS  # <ttl> says two hours
    assert [request.path for request in publisher.requests] == ["/robots.txt", "/rss"]  # robots first, and one request


async def test_what_robots_forbids_is_not_asked(publisher: Publisher) -> None:
    publisher.play("/robots.txt", answer(200, "User-agent: *\nDisallow: /rss")).play("/rss", answer(200, FEED))
    found = await look(publisher)
    assert found.robots == "robots.txt disallows this address"
    assert publisher.asked("/rss") == []
    assert advice(found) == "it may not be asked: robots.txt disallows this address; leave it switched off, or ask its publisher"


async def test_a_crawl_delay_is_said(publisher: Publisher) -> None:
    publisher.play("/robots.txt", answer(200, "User-agent: *\nCrawl-delay: 5")).play("/rss", answer(200, FEED))
    assert (await look(publisher)).robots == "allowed, with 5 s between requests"


async def test_a_page_that_names_a_feed_says_which(publisher: Publisher) -> None:
    head = "<link rel='alternate' type='application/rss+xml' href='/feeds/all.xml?a=1&amp;b=2'><link rel=stylesheet href=/x.css>"
    publisher.play("/", answer(200, f"<!doctype html><html><head>{head}</head></html>", Content_Type="text/html"))
    found = await look(publisher, "/")
    assert (found.form, found.feeds) == ("html", [f"{publisher.url}/feeds/all.xml?a=1&b=2"])
    assert advice(found) == f"this is HTML; it names a feed at {publisher.url}/feeds/all.xml?a=1&b=2: use that address"


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (403, {}, "the publisher refuses it (HTTP 403); set catalogue.contact"),
        (404, {}, "nothing is there (HTTP 404); look for its new address at https://news.example/feeds"),
        (410, {}, "nothing is there (HTTP 410)"),
        (429, {"Retry_After": "600"}, "the publisher asks for rest (HTTP 429); try again after 600"),
        (503, {}, "the publisher asks for rest (HTTP 503); try again in some hours"),
        (500, {}, "HTTP 500; try again later"),
    ],
)
async def test_an_answer_that_refuses_says_what_to_do(publisher: Publisher, status: int, headers: dict[str, str], said: str) -> None:
    publisher.play("/rss", answer(status, "", **headers))
    found = await look(publisher)
    assert not found.works
    assert (advice(found, documented="https://news.example/feeds") or "").startswith(said)


async def test_an_empty_feed_a_page_without_one_and_rubbish_are_told_apart(publisher: Publisher) -> None:
    publisher.play("/empty", answer(200, rss())).play("/page", answer(200, "<html><body>hello</body></html>"))
    publisher.play("/rubbish", answer(200, b"\x00\x01", Content_Type="application/octet-stream")).play("/map", answer(200, "<urlset/>"))
    said = [advice(await look(publisher, path)) or "" for path in ("/empty", "/page", "/rubbish", "/map")]
    assert [text.split(";")[0].split(":")[0].split(" (")[0] for text in said] == [
        "this is a feed without an item", "this is HTML and names no feed", "no item could be read", "this is a sitemap and no feed",
    ]  # fmt: skip


async def test_an_inside_address_is_not_asked_unless_that_is_meant(publisher: Publisher) -> None:
    found = await look(publisher, allow_private=False)
    assert publisher.requests == []
    assert "inside address" in (advice(found) or "")


async def test_a_host_that_does_not_answer_is_no_refusal_of_its_publisher(publisher: Publisher) -> None:
    found = await look(publisher, url="http://127.0.0.1:1/rss")
    assert (advice(found) or "").startswith("its host does not answer (")


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b'{"version": "https://jsonfeed.org/version/1.1", "items": []}', "json feed"),
        (b'{"items": []}', "json"),
        (b"[" * 100_000, "json"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><sitemapindex/>", "sitemap"),
        (b"<HTML>", "html"),
        (b"plain words", "other"),
    ],
)
def test_what_an_answer_is_is_seen_from_what_stands_in_it(body: bytes, form: str) -> None:
    assert kind_of(body, {"content-type": "text/plain"}, Parsed()) == form


def test_a_rhythm_needs_three_times_that_differ() -> None:
    def item(hours: int | None) -> RawDocument:
        return RawDocument(source="s", title="t", published_ms=None if hours is None else hours * HOUR_MS)

    assert rhythm_of([item(0), item(24)]) is None
    assert rhythm_of([item(0), item(0), item(0)]) is None
    assert rhythm_of([item(0), item(12), item(None), item(24)]) == 2.0
