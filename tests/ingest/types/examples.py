"""One real-looking source of each type that is asked over HTTP, written for the project: what the contract and the fuzzers work on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ingest.catalogue import Source
from ingest.types.base import Request

HTML: Final = {"content-type": "text/html; charset=utf-8"}
JSON: Final = {"content-type": "application/json"}
XML: Final = {"content-type": "application/xml"}


@dataclass(frozen=True)
class Example:
    """A small site: what each of its addresses answers, the titles that come of it in order, and one edit."""

    source: Source
    site: Mapping[str, bytes]
    headers: Mapping[str, str]
    words: tuple[str, ...]  # a piece of each record, the oldest first
    edits: tuple[tuple[str, str], ...]  # what an edit of one item replaces, and by what
    articles: tuple[str, ...] = field(default=())  # addresses among them that are articles

    def asked(self, url: str) -> Request:
        role = "article" if url in self.articles else "start" if url == self.source.url else "page"
        return Request(url=url, role=role, key=url, page=1 if role == "start" else 2)  # type: ignore[arg-type]

    def edited(self) -> dict[str, bytes]:
        """The site with the words of one item changed."""
        changed = dict(self.site)
        for old, new in self.edits:
            assert any(old.encode() in body for body in changed.values())
            changed = {url: body.replace(old.encode(), new.encode()) for url, body in changed.items()}
        return changed


def entry(read_as: str, url: str, how: Mapping[str, Any] | None = None, **more: Any) -> Source:
    return msgspec.convert({"name": read_as, "owner": "Harbour Group", "url": url, "type": read_as, "how": how or {}, **more}, Source)


def page(title: str, words: str, *, head: str = "") -> bytes:
    paragraphs = "".join(f"<p>{words} Paragraph {n} says more about it, in whole sentences, as articles do.</p>" for n in range(1, 4))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title} | Harbour</title>{head}</head><body>"
        f"<nav><a href='/'>Home</a> <a href='/about'>About</a></nav><article><h1>{title}</h1>{paragraphs}</article>"
        "<footer>All rights reserved</footer></body></html>"
    ).encode()


FEED = Example(
    entry("feed", "https://harbour.example/rss"),
    {
        "https://harbour.example/rss": b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"><channel><title>Harbour</title><language>en</language><ttl>30</ttl>
<item><title>Linlan Bank delays &amp;amp; denies</title><link>https://harbour.example/b?utm_source=rss</link><guid>b</guid>
<pubDate>Mon, 02 Mar 2026 09:30:00 CET</pubDate><description><![CDATA[<p>Holders of <b>$LLB</b> wait.</p>]]></description></item>
<item><title><![CDATA[<ruby>\xe9\x8a\x80\xe8\xa1\x8c<rt>bank</rt></ruby> raises rates]]></title><link>/a</link><guid>a</guid>
<pubDate>2026-03-01</pubDate></item>
</channel></rss>"""
    },
    XML,
    ("raises rates", "delays & denies"),
    (("Holders of", "Creditors of"),),
)
JSON_FEED = Example(
    entry("feed", "https://harbour.example/feed.json", name="json_feed"),
    {
        "https://harbour.example/feed.json": json.dumps(
            {
                "version": "https://jsonfeed.org/version/1.1",
                "title": "Harbour",
                "items": [
                    {
                        "id": 2,
                        "title": "Second",
                        "content_html": "<p>Bond <b>sale</b> fails</p>",
                        "date_published": "2026-03-02T09:00:00+01:00",
                    },
                    {"id": "1", "title": "First", "summary": "Rates rise", "url": "/1", "date_modified": "2026-03-01"},
                ],
            }
        ).encode()
    },
    JSON,
    ("First", "Second"),
    (("Rates rise", "Rates rose"),),
)
API_PAGE = "https://api.harbour.example/news?size=2"
API = Example(
    entry(
        "json_api",
        API_PAGE,
        {
            "items": "data.list[]",
            "paging": "cursor",
            "cursor": "data.next",
            "cursor_parameter": "after",
            "fields": {
                "title": "headline",
                "text": "body.html || summary",
                "id": "id",
                "published": "time",
                "tickers": "stocks[].code",
                "link": "https://harbour.example/n/{id}",
                "zone": "+08:00",
            },
        },
    ),
    {
        API_PAGE: json.dumps(
            {
                "data": {
                    "next": "c2",
                    "list": [
                        {"id": 4, "headline": "Four", "body": {"html": "<p>a</p>"}, "time": 1772440200, "stocks": [{"code": "600519.SH"}]},
                        {"id": 3, "headline": "Three", "summary": "three words", "time": "2026-03-02 08:00"},
                    ],
                }
            }
        ).encode(),
        f"{API_PAGE}&after=c2": json.dumps(
            {"data": {"next": None, "list": [{"id": 2, "headline": "Two", "time": "2026年3月1日"}, {"id": 1, "headline": "One"}]}}
        ).encode(),
    },
    JSON,
    ("One", "Two", "Three", "Four"),
    (("three words", "three other words"),),
)
SITEMAP = Example(
    entry("sitemap", "https://harbour.example/news.xml"),
    {
        "https://harbour.example/news.xml": b"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">
<url><loc>https://harbour.example/2</loc><lastmod>2026-03-02T09:00:00Z</lastmod><news:news><news:publication><news:name>Harbour</news:name>
<news:language>en</news:language></news:publication><news:publication_date>2026-03-02T08:00:00Z</news:publication_date>
<news:title>Fund gates investors</news:title><news:stock_tickers>NASDAQ:HRB, LSE:HB</news:stock_tickers></news:news></url>
<url><loc>https://harbour.example/1</loc><lastmod>2026-03-01</lastmod></url>
<url><loc>https://elsewhere.example/9</loc><lastmod>2026-02-01</lastmod></url></urlset>""",
        "https://harbour.example/2": page("Fund gates investors", "The fund has closed its gate to redemptions."),
        "https://harbour.example/1": page(
            "Rates held", "The bank holds its rate.", head="<meta property='article:published_time' content='2026-03-01T10:00Z'>"
        ),
    },
    XML,
    ("Rates held", "Fund gates investors"),
    (("<lastmod>2026-03-01</lastmod>", "<lastmod>2026-03-03</lastmod>"), ("holds its rate", "raises its rate")),
    ("https://harbour.example/2", "https://harbour.example/1"),
)
LISTING = Example(
    entry("listing", "https://harbour.example/news/", {"items": "li.news", "time": "span", "zone": "+08:00"}),
    {
        "https://harbour.example/news/": (
            "<html lang='zh'><body><ul><li class=news><a href='/n/2?spm=1'>临澜银行推迟兑付</a><span>2026-03-02 09:30</span></li>"
            "<li class=news><a href='/n/1'>央行维持利率</a><span>2026-03-01</span></li>"
            "<li class=ad><a href='/ad'>ad</a></li></ul></body></html>"
        ).encode(),
        "https://harbour.example/n/2?spm=1": page(
            "临澜银行推迟兑付", "临澜银行表示将推迟兑付。", head="<link rel=canonical href='https://www.harbour.example/n/2'>"
        ),
        "https://harbour.example/n/1": page("央行维持利率", "央行表示维持利率不变。"),
    },
    HTML,
    ("央行维持利率", "临澜银行推迟兑付"),
    (("央行维持利率", "央行上调利率"),),
    ("https://harbour.example/n/2?spm=1", "https://harbour.example/n/1"),
)
EDGAR = Example(
    entry("filings", "https://data.harbour.example/submissions/CIK0000000042.json", {"forms": ["8-K"]}, kind="filing"),
    {
        "https://data.harbour.example/submissions/CIK0000000042.json": json.dumps(
            {
                "cik": "0000000042",
                "name": "HARBOUR BANK",
                "tickers": ["HRB"],
                "filings": {
                    "recent": {
                        "accessionNumber": ["0000000042-26-000003", "0000000042-26-000002", "0000000042-26-000001"],
                        "filingDate": ["2026-03-02", "2026-03-01", "2026-02-27"],
                        "acceptanceDateTime": ["2026-03-02T21:05:10.000Z", "2026-03-01T20:00:00.000Z", ""],
                        "form": ["8-K/A", "4", "8-K"],
                        "primaryDocument": ["a.htm", "b.xml", ""],
                        "primaryDocDescription": ["CURRENT REPORT", "", "8-K"],
                        "items": ["2.02,9.01", "", "4.02"],
                    }
                },
            }
        ).encode()
    },
    JSON,
    ("Items 4.02", "Items 2.02,9.01"),
    (('"4.02"', '"4.01"'),),
)
EDGAR_ATOM = Example(
    entry("filings", "https://www.harbour.example/cgi-bin/browse", {"forms": ["8-K"]}, kind="filing", name="edgar_atom"),
    {
        "https://www.harbour.example/cgi-bin/browse": b"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Latest Filings</title>
<entry><title>8-K - HARBOUR BANK (0000000042) (Filer)</title><link rel="alternate" type="text/html" href="https://www.harbour.example/2-index.htm"/>
<summary type="html"> &lt;b&gt;Filed:&lt;/b&gt; 2026-03-02 Item 2.02: Results</summary><updated>2026-03-02T16:05:10-05:00</updated>
<id>urn:tag:sec.gov,2008:accession-number=0000000042-26-000002</id></entry>
<entry><title>4 - DOE JANE (0000000043) (Reporting)</title><summary>x</summary><updated>2026-03-02T16:00:00-05:00</updated>
<id>urn:1</id></entry>
</feed>"""
    },
    {"content-type": "application/atom+xml"},
    ("Item 2.02",),
    (("Item 2.02: Results", "Item 4.02: Reliance"),),
)
THREAD = Example(
    entry(
        "thread",
        "https://forum.harbour.example/t/7",
        {
            "posts": "div.post",
            "text": ".body",
            "author": ".who",
            "time": "time",
            "title": "h1",
            "parent": "data-re",
            "next": "a.next",
            "page_size": 2,
        },
        kind="comment",
    ),
    {
        "https://forum.harbour.example/t/7": (
            b"<html lang=en><body><h1>Is my money safe?</h1><div class=post id=p1><b class=who>ann</b>"
            b"<time datetime='2026-03-02T09:00Z'>9</time>"
            b"<div class=body>I cannot withdraw from Linlan.</div></div><div class=post id=p2 data-re=p1><b class=who>bob</b>"
            b"<div class=body>Nor can I, $LLB is gone.</div></div><a class=next href='?page=2'>next</a></body></html>"
        ),
        "https://forum.harbour.example/t/7?page=2": (
            b"<html lang=en><body><h1>Is my money safe?</h1><div class=post id=p3 data-re=p2><b class=who>ann</b>"
            b"<div class=body>They called me back.</div></div></body></html>"
        ),
    },
    HTML,
    ("I cannot withdraw", "Nor can I", "They called"),
    (("They called me back.", "They called me back at last."),),
)
COMMENTS = Example(
    entry(
        "thread",
        "https://forum.harbour.example/api/7",
        {
            "format": "json",
            "items": "comments",
            "replies": "replies",
            "fields": {"text": "body", "id": "id", "author": "user", "published": "at", "parent": "re"},
        },
        kind="comment",
        name="comments",
    ),
    {
        "https://forum.harbour.example/api/7": json.dumps(
            {
                "comments": [
                    {"id": 1, "user": "ann", "body": "First", "at": 1772440200, "replies": [{"id": 2, "user": "bob", "body": "Answer"}]},
                    {"id": 3, "user": "cyd", "body": "Last"},
                ]
            }
        ).encode()
    },
    JSON,
    ("First", "Answer", "Last"),
    (("Answer", "Better answer"),),
)

EXAMPLES: Final = {
    "feed": FEED,
    "json_feed": JSON_FEED,
    "json_api": API,
    "sitemap": SITEMAP,
    "listing": LISTING,
    "filings": EDGAR,
    "edgar_atom": EDGAR_ATOM,
    "thread": THREAD,
    "comments": COMMENTS,
}
