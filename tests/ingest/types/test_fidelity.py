"""A record says what was claimed and what was seen: address, times with their precision, updates, tickers, place in a thread."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from groundswell.codec import encode
from groundswell.names import content_id
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.types.base import Parsed, Request
from ingest.types.table import type_of
from tests.ingest.types.examples import API, COMMENTS, EDGAR, EXAMPLES, LISTING, SITEMAP, THREAD, Example, page

NOW = 1_772_500_000_000
MORNING = 1_772_440_200_000  # 2026-03-02T08:30:00Z


def parsed(source: Source, body: bytes, *, asked: Request | None = None, headers: Mapping[str, str] | None = None) -> Parsed:
    return type_of(source).parse(body, headers or {}, asked=asked or Request(url=source.url), source=source, fetched_ms=NOW)


def records(example: Example, url: str | None = None) -> list[RawDocument]:
    url = url or example.source.url
    return parsed(example.source, example.site[url], asked=example.asked(url), headers=example.headers).records


def article(
    head: str = "", *, title: str = "Bank falls", how: dict[str, Any] | None = None, said: RawDocument | None = None
) -> RawDocument:
    source = LISTING.source if how is None else msgspec.structs.replace(LISTING.source, how={"items": "li", **how})
    asked = Request(url="https://harbour.example/n/7?utm_source=x", role="article", key="k", said=said)
    [record] = parsed(source, page(title, "The bank fell.", head=head), asked=asked).records
    return record


# --- addresses ------------------------------------------------------------------------------------------------------------------
def test_the_canonical_address_of_a_page_is_its_own_and_where_it_was_read_is_kept() -> None:
    record = article("<link rel=canonical href='https://www.harbour.example/n/seven'>")
    assert (record.url, record.asked_url) == ("https://www.harbour.example/n/seven", "https://harbour.example/n/7?utm_source=x")


@pytest.mark.parametrize("href", ["https://rival.example/n/7", "/", "javascript:x", "http://[", ""])
def test_a_page_cannot_pass_for_another_publishers_nor_for_a_front_page(href: str) -> None:
    assert article(f"<link rel=canonical href='{href}'>").url == "https://harbour.example/n/7"


# --- times ----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("head", "ms", "precision"),
    [
        ("<meta property='article:published_time' content='2026-03-02T16:30:00+08:00'>", MORNING, "second"),
        ("<meta property='article:published_time' content='2026-03-02 16:30'>", MORNING, "minute"),  # the entry's zone
        (
            '<script type="application/ld+json">{"@graph": [{"headline": "x", "datePublished": "2026-03-02T08:30:00Z"}]}</script>',
            MORNING,
            "second",
        ),
        ("<meta name=pubdate content='2026-03-02'>", MORNING + 27_000_000 - 1, "day"),  # the end of that day in the zone of the entry
        ("", None, "second"),
        ("<script type='application/ld+json'>{broken</script>", None, "second"),
    ],
)
def test_an_articles_time_has_its_zone_and_its_precision(head: str, ms: int | None, precision: str) -> None:
    record = article(head)
    assert (record.published_ms, record.published_precision) == (ms, precision)


def test_what_the_listing_said_fills_the_gaps_and_what_the_page_declares_wins() -> None:
    said = RawDocument(source="listing", title="Headline of the listing", published_ms=5, published_precision="day", language="zh")
    record = article(said=said)
    assert (record.title, record.published_ms, record.published_precision) == ("Headline of the listing", 5, "day")
    stamped = article("<meta property='article:published_time' content='2026-03-02T08:30:00Z'>", said=said)
    assert (stamped.published_ms, stamped.published_precision) == (MORNING, "second")


def test_when_it_was_changed_is_kept_apart_from_when_it_was_published() -> None:
    stamps = {"published": "2026-03-02T08:30:00Z", "modified": "2026-03-02T09:30Z"}
    record = article("".join(f"<meta property='article:{name}_time' content='{stamp}'>" for name, stamp in stamps.items()))
    assert (record.published_ms, record.updated_ms) == (MORNING, MORNING + 3_600_000)


def test_second_minute_and_day_of_an_api_are_kept_apart() -> None:
    four, three = records(API)
    two, one = records(API, f"{API.source.url}&after=c2")
    assert [record.published_precision for record in (four, three, two)] == ["second", "minute", "day"]
    assert four.published_ms == MORNING
    assert three.published_ms == MORNING - 30_600_000  # 08:00 in China
    assert (one.published_ms, one.published_precision) == (None, "second")


# --- words ----------------------------------------------------------------------------------------------------------------------
def test_the_text_of_an_article_is_its_body_without_menus_and_footers() -> None:
    record = article()
    assert record.title == "Bank falls"
    assert record.text.count("The bank fell.") == 3
    assert "All rights reserved" not in record.text
    assert "About" not in record.text


def test_the_catalogues_selectors_stand_for_what_would_be_found() -> None:
    rules = {"article": {"harbour.example": {"title": "footer", "text": "article p:nth-of-type(2)", "remove": "h1"}}}
    record = article(how=rules)
    assert record.title == "All rights reserved"
    assert record.text == "The bank fell. Paragraph 2 says more about it, in whole sentences, as articles do."


# --- tickers, filings, threads -----------------------------------------------------------------------------------------------
def test_tickers_that_the_source_gives_come_before_those_in_the_words() -> None:
    assert records(API)[0].tickers == ["600519.SH"]
    of_map = parsed(SITEMAP.source, SITEMAP.site[SITEMAP.source.url]).follow[0].said
    assert of_map is not None
    assert of_map.tickers == ["NASDAQ:HRB", "LSE:HB"]
    assert article(title="$TSLA falls").tickers == ["TSLA"]


def test_a_filing_has_its_number_its_form_its_address_and_the_symbols_of_its_company() -> None:
    amended, first = records(EDGAR)
    assert (amended.id, amended.title, amended.kind) == ("0000000042-26-000003", "8-K/A - HARBOUR BANK", "filing")
    assert amended.url == "https://www.sec.gov/Archives/edgar/data/42/000000004226000003/a.htm"
    assert (amended.tickers, amended.published_precision, first.published_precision) == (["HRB"], "second", "day")


def test_a_post_has_its_place_what_it_answers_and_its_authors_hash_and_never_the_handle() -> None:
    second, first = records(THREAD)
    [third] = records(THREAD, f"{THREAD.source.url}?page=2")
    assert [post.thread_position for post in (first, second, third)] == [1, 2, 3]
    assert [post.parent_id for post in (first, second, third)] == [None, "p1", "p2"]
    assert first.author_hash == third.author_hash == content_id("author", "thread", "ann")
    assert (first.title, second.title) == ("Is my money safe?", "")
    assert second.tickers == ["LLB"]
    for post in (first, second, third):
        assert b"ann" not in encode(post).replace(b"cannot", b"")
        assert b"bob" not in encode(post)


def test_an_answer_in_a_comment_api_names_the_comment_that_it_answers() -> None:
    by_id = {record.id: record for record in records(COMMENTS)}
    assert {name: record.parent_id for name, record in by_id.items()} == {"1": None, "2": "1", "3": None}
    assert {name: record.thread_position for name, record in by_id.items()} == {"1": 1, "2": 2, "3": 3}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_edit_keeps_its_identity(name: str) -> None:
    """So that the pipeline sees a new revision of the same document, not a new one."""
    example = EXAMPLES[name]
    before, after = example.site, example.edited()
    changed = [url for url in before if before[url] != after[url] and (url in example.articles or not example.articles)]
    for url in changed:
        asked = example.asked(url)
        old = parsed(example.source, before[url], asked=asked, headers=example.headers).records
        new = parsed(example.source, after[url], asked=asked, headers=example.headers).records
        assert [(record.id, record.url) for record in old] == [(record.id, record.url) for record in new]
        assert old != new
    assert changed
