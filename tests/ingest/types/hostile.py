"""Answers that were made to hurt, for each parser: `python -m tests.ingest.types.hostile` prints what each one costs.

One line of JSON each: name, type, seconds, how much the process has grown (MB), how many records came of it, and the problem.
"""

import json
import sys
import time
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from ingest.types.base import Request
from ingest.types.table import type_of
from tests.ingest.types.examples import EXAMPLES, Example

LARGE: Final = 2_500_000


def rss(inner: str) -> bytes:
    return f"<?xml version='1.0'?>{inner}".encode()


def packed(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(size // 1_000_000)) + packer.flush()


def layers() -> str:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f"<!DOCTYPE r [<!ENTITY l0 'xxxxxxxxxx'>{entities}]>"


def hostile() -> Iterator[tuple[str, str, bytes]]:
    """(name, example, body)."""
    item = "<item><title>Bank {0} falls</title><guid>{0}</guid><description>&lt;p&gt;It fell by {0}.&lt;/p&gt;</description></item>"
    feed = "<rss version='2.0'><channel>{}</channel></rss>"
    yield "ten thousand items", "feed", rss(feed.format("".join(item.format(number) for number in range(10_000))))
    yield "one huge item", "feed", rss(feed.format(f"<item><title>a</title><description>{'x &lt;b&gt; ' * 200_000}</description></item>"))
    yield "a giant attribute", "feed", rss(feed.format(f"<item><title a='{'x' * LARGE}'>a</title></item>"))
    yield (
        "ten thousand attributes",
        "feed",
        rss(feed.format("<item><title " + " ".join(f"a{n}='b'" for n in range(10_000)) + ">a</title></item>")),
    )
    yield "a hundred thousand openings", "feed", rss("<rss version='2.0'><channel>" + "<a>" * 100_000)
    yield "openings of items", "feed", rss("<rss version='2.0'><channel>" + "<item><title>" * 20_000)
    yield "a million ampersands", "feed", rss(feed.format(f"<item><title>{'&' * 1_000_000}</title></item>"))
    yield "a million brackets", "feed", rss(feed.format(f"<item><title>{'&lt;' * 400_000}</title></item>"))
    yield "a comment without an end", "feed", rss("<rss version='2.0'><channel><!--" + "-" * LARGE)
    yield "noise", "feed", bytes(range(256)) * 8_000
    for name in ("feed", "sitemap"):
        root = "<urlset><url><loc>https://harbour.example/1&l9;</loc></url></urlset>" if name == "sitemap" else feed.format("&l9;")
        yield "a billion laughs", name, rss(layers() + root)
        yield "a file of ours", name, rss("<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + root.replace("l9", "e"))
        yield "parameter entities", name, rss("<!DOCTYPE r [<!ENTITY % a 'x'><!ENTITY % b '%a;%a;'>%b;]>" + root.replace("&l9;", ""))
    yield (
        "fifty thousand addresses",
        "sitemap",
        rss(
            "<urlset>"
            + "".join(f"<url><loc>https://harbour.example/{n}</loc><lastmod>2026-03-02</lastmod></url>" for n in range(50_000))
            + "</urlset>"
        ),
    )
    yield "a packed bomb", "sitemap", packed(60_000_000)
    yield "deep", "sitemap", rss("<urlset>" + "<url>" * 50_000)
    yield (
        "an index of itself",
        "sitemap",
        rss("<sitemapindex>" + "<sitemap><loc>https://harbour.example/news.xml</loc></sitemap>" * 10_000 + "</sitemapindex>"),
    )
    for name in ("json_feed", "json_api", "filings", "comments"):
        yield "deep lists", name, b"[" * 1_000_000
        yield "deep objects", name, b'{"a":' * 300_000
        yield "one long number", name, b'{"items": ' + b"9" * 1_000_000 + b"}"
        yield "one long text", name, json.dumps({"items": ["\\u0000" * 300_000], "comments": ["<" * LARGE]}).encode()
    yield "fifty thousand comments", "comments", json.dumps({"comments": [{"id": n, "body": f"w {n}"} for n in range(50_000)]}).encode()
    nested: dict[str, object] = {"id": 0, "body": "w"}
    for number in range(300):
        nested = {"id": number, "body": "w", "replies": [nested] * 2 if number > 290 else [nested]}
    yield "answers to answers", "comments", json.dumps({"comments": [nested]}).encode()
    for name in ("listing", "thread"):
        yield "deep elements", name, b"<html><body>" + b"<div>" * 100_000 + b"<li class=news><a href='/1'>x</a></li>"
        yield "two hundred thousand elements", name, b"<html><body>" + b"<p>x</p>" * 200_000
        yield "a giant attribute", name, b"<html><body><li class=news title='" + b"x" * LARGE + b"'><a href='/1'>t</a></li>"
        yield "open tags", name, b"<html><body>" + b"<a " * 500_000
        yield (
            "twenty thousand items",
            name,
            b"<html><body>" + b"<li class=news><a href='/1'>x</a></li><div class=post id=a>x</div>" * 15_000,
        )
        yield "a page of ten megabytes", name, b"<html><body>" + b"x " * 5_000_000


def asked_for(example: Example) -> Request:
    return example.asked(example.source.url)


def article_bodies() -> Iterator[tuple[str, bytes]]:
    """Pages that are taken for articles."""
    words = "The bank fell and fell again, as banks do. "
    yield "a long article", (f"<html><body><article>{f'<p>{words * 3}</p>' * 8_000}</article></body></html>").encode()
    yield "an article of tables", ("<html><body><article>" + "<table><tr><td>" * 60 + words * 100).encode()
    yield "an article of links", ("<html><body><article>" + f"<a href='/x'>{words}</a><br>" * 15_000).encode()
    yield "an article of spans", ("<html><body><article><p>" + "<span><b>x</b></span>" * 20_000).encode()
    yield "an article of formatted letters", ("<html><body><article><p>" + "<b>x</b>" * 20_000).encode()
    yield "twenty paragraphs of links", ("<html><body><article>" + ("<p>" + "<a href='/x'>y</a> " * 900 + "</p>") * 20).encode()
    yield "an article without an end", ("<html><body><article><p>" + words * 60_000).encode()
    yield "an article of formatting", ("<html><body><p>" + "<b><i><u>" * 30_000 + words).encode()
    yield (
        "a hundred declarations",
        ("<html><head>" + "<script type='application/ld+json'>[[[[" * 5_000 + "</script></head><body><p>" + words).encode(),
    )


def peak_kb() -> int:
    """Most memory that this process has had; not ru_maxrss, which begins with that of the process it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """Parse each, and print what it cost."""
    for example in EXAMPLES.values():
        for url, body in example.site.items():
            type_of(example.source).parse(body, example.headers, asked=example.asked(url), source=example.source, fetched_ms=0)
    article = EXAMPLES["listing"]
    of_article = article.asked(article.articles[0])
    before = peak_kb()
    of_sources = ((name, EXAMPLES[kind], asked_for(EXAMPLES[kind]), body) for name, kind, body in hostile())
    of_pages = ((name, article, of_article, body) for name, body in article_bodies())
    for name, example, asked, body in chain(of_sources, of_pages):
        started = time.thread_time()
        parsed = type_of(example.source).parse(body, example.headers, asked=asked, source=example.source, fetched_ms=0)
        took_s = time.thread_time() - started
        grown_mb = (peak_kb() - before) / 1024
        line = {"name": name, "type": example.source.name, "s": round(took_s, 2), "mb": round(grown_mb), "records": len(parsed.records)}
        sys.stdout.write(json.dumps({**line, "problem": parsed.problem, "secret": "root:" in repr(parsed)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
