"""Feeds as they are: three formats, broken, mislabelled, hostile; records come out, and nothing raises."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.codec import decode_raw, encode
from groundswell.names import DAY_MS, content_id
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.types.base import Parsed, Request
from ingest.types.feed import Feed
from ingest.types.times import Moment, moment_of
from ingest.types.words import text_of_html

SOURCE = Source(name="desk", owner="Example Bank", url="https://news.example/feeds/all.rss")

RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"><channel>
<title>Example wire</title><link>https://news.example/</link><language>en-gb</language><ttl>30</ttl>
<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency>
<item><title>Regulator fines bank &amp; two funds</title><link>/a/1</link><guid isPermaLink="false">tag:1</guid>
<pubDate>Mon, 02 Mar 2026 09:30:00 +0100</pubDate>
<description>&lt;p&gt;The &lt;b&gt;regul&lt;/b&gt;ator said.&lt;/p&gt;&lt;p&gt;More.&lt;/p&gt;</description>
<author>a@b.example (Ann)</author></item>
<item><description>only words</description><pubDate>2026-03-02</pubDate></item>
<item><link>https://news.example/empty</link></item>
</channel></rss>"""

ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title>Amt</title><id>urn:feed</id>
<entry><title type="html">Zinsen &lt;i&gt;steigen&lt;/i&gt;</title><id>urn:uuid:1</id><link href="https://news.example/b/1"/>
<updated>2026-03-02T10:00:00Z</updated><published>2026-03-02T09:00Z</published><author><name>Ann</name></author>
<content type="html">&lt;div&gt;Body&lt;/div&gt;</content></entry></feed>"""

RDF = """<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://news.example/"><title>Old</title></channel>
<item rdf:about="https://news.example/c/1"><title>Bond sale fails</title><link>https://news.example/c/1</link>
<dc:date>2026-03-02T09:00:00+09:00</dc:date></item></rdf:RDF>"""


def read(body: str | bytes, *, source: Source = SOURCE, content_type: str = "") -> Parsed:
    headers = {"Content-Type": content_type} if content_type else {}
    octets = body.encode() if isinstance(body, str) else body
    return Feed().parse(octets, headers, asked=Request(url=source.url), source=source, fetched_ms=5)


def test_an_rss_item_gives_every_field_as_the_feed_has_it() -> None:
    first = read(RSS).records[0]
    assert first == RawDocument(
        source="desk",
        title="Regulator fines bank & two funds",
        kind="news",
        text="The regulator said. More.",
        url="https://news.example/a/1",
        id="tag:1",
        author_hash=None,
        owner="Example Bank",
        language="en-gb",
        published_ms=1_772_440_200_000,
        published_precision="second",
        fetched_ms=5,
        role="press",
    )


def test_an_item_with_words_only_is_kept_and_one_without_any_is_counted_but_not_kept() -> None:
    parsed = read(RSS)
    assert (parsed.entries, len(parsed.records)) == (3, 2)
    bare = parsed.records[1]
    assert (bare.title, bare.text, bare.url, bare.id) == ("", "only words", None, None)
    assert (bare.published_ms, bare.published_precision) == (1_772_409_600_000 + DAY_MS - 1, "day")


def test_the_feed_says_how_long_it_may_be_kept_and_which_language_it_speaks() -> None:
    parsed = read(RSS)
    assert (parsed.title, parsed.language, parsed.ttl_s, parsed.update_s) == ("Example wire", "en-gb", 1_800, 1_800)
    assert (parsed.readable, parsed.problem) == (True, None)


def test_atom_is_read_with_its_content_where_there_is_no_summary_and_published_before_updated() -> None:
    [record] = read(ATOM).records
    assert (record.title, record.text, record.id, record.url) == ("Zinsen steigen", "Body", "urn:uuid:1", "https://news.example/b/1")
    assert (record.published_ms, record.published_precision) == (1_772_442_000_000, "minute")
    assert record.language == "de"


def test_rdf_is_read_and_its_zone_is_kept() -> None:
    [record] = read(RDF).records
    assert (record.title, record.id) == ("Bond sale fails", "https://news.example/c/1")
    assert record.published_ms == 1_772_409_600_000


def test_an_author_is_hashed_for_comments_and_not_kept_at_all_for_anything_else() -> None:
    comment = Source(name="forum", owner="Forum", url="https://f.example/rss", kind="comment")
    [record] = read(ATOM, source=comment).records
    assert record.author_hash == content_id("author", "forum", "Ann")
    assert b"Ann" not in encode(record)
    assert read(ATOM).records[0].author_hash is None


def test_the_language_in_the_catalogue_wins_over_the_feeds_own_claim() -> None:
    chinese = Source(name="s", owner="o", url="https://n.example/", language="zh")
    assert read(RSS, source=chinese).records[0].language == "zh"


def test_broken_xml_gives_the_items_before_the_break_and_says_what_is_broken() -> None:
    parsed = read(RSS.replace("</item>\n<item><description>", "</itm>\n<item><description>"))
    assert parsed.records[0].title == "Regulator fines bank & two funds"
    assert parsed.problem is not None
    assert parsed.problem.startswith("broken: ")


def test_a_wrong_character_set_in_the_answer_is_survived_and_a_right_one_is_used() -> None:
    german = RSS.replace("utf-8", "iso-8859-1").replace("Example wire", "Börse").encode("iso-8859-1")
    assert read(german, content_type="application/rss+xml").title == "Börse"
    utf8 = RSS.replace("Example wire", "Börse")
    assert read(utf8, content_type="application/xml; charset=utf-8").title == "Börse"
    wrong = read(utf8, content_type="application/xml; charset=us-ascii")
    assert len(wrong.records) == 2
    assert wrong.title == "Börse"
    assert wrong.problem is not None


@pytest.mark.parametrize("body", ["", "<html><body>Please log in</body></html>", "{}", "/etc/hostname", "https://news.example/rss"])
def test_what_is_no_feed_is_said_to_be_none_and_is_never_taken_for_the_name_of_a_file(body: str) -> None:
    parsed = read(body, content_type="text/html")
    assert (parsed.records, parsed.readable) == ([], False)
    assert "not a feed" in (parsed.problem or "")


def test_a_body_that_names_a_feed_on_this_machine_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "feed.xml"
    file.write_text(RSS)
    assert read(str(file)).records == []


def test_entities_neither_read_files_nor_blow_up(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    doctype = f'<!DOCTYPE r [<!ENTITY e SYSTEM "file://{file}">]>'
    parsed = read(f"<?xml version='1.0'?>{doctype}<rss version='2.0'><channel><item><title>a &e; b</title></item></channel></rss>")
    assert "hunter2" not in str(parsed)
    layers = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f"<!DOCTYPE r [<!ENTITY l0 'xxxxxxxxxx'>{layers}]><rss version='2.0'><channel><item><title>&l8;</title></item></channel></rss>"
    assert len(encode(read(bomb).records)) < 10_000


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<![", "<b>", "<script>", "&amp;", "&#", "<a b='", '<a "', "</", "<!DOCTYPE "])
def test_hostile_markup_takes_time_in_proportion_to_its_length(piece: str) -> None:
    began_s = time.process_time()  # of this process alone, however busy the machine is
    text_of_html(piece * 60_000)
    assert time.process_time() - began_s < 20.0  # quadratic handling of the same took more than a minute


def test_one_absurd_character_reference_does_not_cost_the_feed() -> None:
    assert text_of_html("a &#" + "9" * 5_000 + "; b") == "a \ufffd b"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a <b>b</b>c<br>d", "a bc d"),
        ("x<style>p{}</style>y<SCRIPT src=q>1<2</SCRIPT>z", "x y z"),
        ("a<!-- <p>no</p> > -->b", "a b"),
        ('<img alt="a > b">c', "c"),
        ("profit < 5 % and > 3 %", "profit < 5 % and > 3 %"),
        ("a<script>never closed", "a"),
        ("&lt;b&gt; is a tag", "<b> is a tag"),
    ],
)
def test_markup_becomes_what_a_reader_sees(markup: str, text: str) -> None:
    assert text_of_html(markup) == text


@pytest.mark.parametrize(
    ("text", "ms", "precision"),
    [
        ("Mon, 02 Mar 2026 09:30:00 GMT", 1_772_443_800_000, "second"),
        ("Mon, 02 Mar 2026 09:30:00 EST", 1_772_461_800_000, "second"),
        ("Mon, 02 Mar 2026 09:30 CET", 1_772_440_200_000, "minute"),
        ("02 Mar 2026 09:30:00 BST", 1_772_440_200_000, "second"),
        ("2026-03-02T09:30:00.500+01:00", 1_772_440_200_500, "second"),
        ("2026-03-02 09:30:00", 1_772_443_800_000, "second"),
        ("Mon, 02 Mar 2026", 1_772_409_600_000 + DAY_MS - 1, "day"),
    ],
)
def test_a_time_is_read_with_its_zone_and_its_precision(text: str, ms: int, precision: str) -> None:
    fallback = (2026, 3, 2, 0, 0, 0, 0, 61, 0) if text.endswith("2026") else None
    assert moment_of(text, fallback) == Moment(ms, precision)  # type: ignore[arg-type]


def test_a_time_that_nobody_can_read_is_no_time() -> None:
    assert moment_of("yesterday") is None
    assert moment_of("0000-99-99T99:99:99Z", (10**9, 1, 1, 0, 0, 0, 0, 1, 0)) is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(RSS)), st.integers(0, len(RSS)))
def test_no_damage_to_a_feed_makes_the_parser_raise_or_give_what_the_log_cannot_take(noise: bytes, start: int, end: int) -> None:
    body = RSS.encode()
    damaged = body[: min(start, end)] + noise + body[max(start, end) :]
    for record in read(damaged).records:
        assert decode_raw(encode(record)) == record
        assert record.title or record.text


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=40), st.text(max_size=40), st.text(max_size=30))
def test_no_field_makes_the_parser_raise(title: str, link: str, date: str) -> None:
    item = f"<title>{title}</title><link>{link}</link><guid>{link}</guid><pubDate>{date}</pubDate>"
    xml = f"<rss version='2.0'><channel><item>{item}</item></channel></rss>"
    for record in read(xml.encode("utf-8", "surrogatepass")).records:
        assert decode_raw(encode(record)) == record


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/!-&;#\"'ab scriptSTYLE=0x9", max_size=200))
def test_stripping_ends_for_any_markup_and_leaves_one_line(markup: str) -> None:
    text = text_of_html(markup)
    assert "\n" not in text
    assert len(text) <= len(markup) + 1
