"""Eighty and more ways in which publishers answer, good and bad, each with what has to come of it.

All texts are written for this project. One behaviour is the answers to the polls of one source, a day and two hours apart unless
it says otherwise; the last answer is repeated. `tests/ingest/test_behaviours.py` drives them.
"""

import gzip
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from groundswell.metrics import PollResult
from tests.ingest.publisher import Publisher, Reply, answer, raw

NOW_MS = 1_772_440_200_000  # 2026-03-02 08:30:00 UTC
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
NEXT_DAY_MS = DAY_MS + 120 * MINUTE_MS  # beyond the longest pause, and beyond a robots.txt

Outcome = tuple[PollResult, str]
NEW: Outcome = ("new", "")
SAME: Outcome = ("nothing_new", "")
NOT_MODIFIED: Outcome = ("not_modified", "")


@dataclass(frozen=True)
class Behaviour:
    """One way to answer.

    Args:
        name: in a few words.
        replies: to the polls of /rss, in order.
        outcomes: of the polls: the metric's label, and words of the heartbeat's reason.
        titles: of what arrives, in order, once each.
        times: (published_ms, precision) of these, where they matter.
        others: replies at other paths.
        step_ms: from one poll to the next.
        rest_ms: how long after the first poll it must not be asked.
        asked: how often /rss is asked, where that is not once for each outcome.
        sent: request headers that must have been sent with the polls of /rss, None for one that must not.
    """

    name: str
    replies: tuple[Reply, ...]
    outcomes: tuple[Outcome, ...]
    titles: tuple[str, ...] = ()
    times: tuple[tuple[int | None, str], ...] | None = None
    others: dict[str, tuple[Reply, ...]] = field(default_factory=dict)
    step_ms: int = NEXT_DAY_MS
    rest_ms: int = 0
    asked: int | None = None
    sent: dict[str, tuple[str | None, ...]] = field(default_factory=dict)


# --- what they publish --------------------------------------------------------------------------------------------------------
def item(title: str, *, guid: str = "", stamp: str = "", text: str = "") -> str:
    date = f"<pubDate>{stamp}</pubDate>" if stamp else ""
    return f"<item><title>{title}</title><guid isPermaLink='false'>{guid or title}</guid>{date}<description>{text}</description></item>"


def feed(*items: str, head: str = "", encoding: str = "utf-8") -> bytes:
    shown = (
        f"<?xml version='1.0' encoding='{encoding}'?>{head}<rss version='2.0'><channel><title>wire</title>{''.join(items)}</channel></rss>"
    )
    return shown.encode(encoding)


def many(count: int) -> bytes:
    return feed(*(item(f"item {number}") for number in range(count, 0, -1)))


AB = feed(item("Bank B raises rates"), item("Bank A cuts rates"))
AB_TITLES = ("Bank A cuts rates", "Bank B raises rates")
WELL = answer(200, AB)
ATOM = """<feed xmlns='http://www.w3.org/2005/Atom'><title>wire</title>
<entry><id>tag:wire,2</id><title>Two</title><link href='/2'/><published>2026-03-02T09:30:00+08:00</published></entry>
<entry><id>tag:wire,1</id><title>One</title><link href='/1'/><updated>2026-03-01T23:59Z</updated></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'
xmlns:dc='http://purl.org/dc/elements/1.1/'><channel rdf:about='x'><title>wire</title></channel>
<item rdf:about='n:1'><title>One</title><link>http://news.example/1</link><dc:date>2026-03-01</dc:date></item></rdf:RDF>"""
CHINESE = "某银行下调利率"
LOGIN = "<html><head><title>Sign in</title></head><body><form action='/login'>name</form></body></html>"
ENTITIES = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
BOMB = feed(item("Bomb", text="&e11;"), item("Beside it"), head=f"<!DOCTYPE x [<!ENTITY e0 'boom'>{ENTITIES}]>")
FILES = feed(item("Name", text="&file;"), head="<!DOCTYPE x [<!ENTITY file SYSTEM 'file:///etc/hostname'>]>")


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1_000)  # type: ignore[arg-type,misc]


def http_date(*, in_s: int) -> str:
    return format_datetime(datetime.fromtimestamp(NOW_MS / 1_000, UTC) + timedelta(seconds=in_s), usegmt=True)


def head(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: application/rss+xml", *lines, "", ""]).encode() + body


def chunked(*sizes_and_parts: tuple[str, bytes]) -> bytes:
    return b"".join(size.encode() + b"\r\n" + part + b"\r\n" for size, part in sizes_and_parts)


# --- the ways -----------------------------------------------------------------------------------------------------------------
GOOD = [
    Behaviour("RSS", (WELL,), (NEW, SAME), AB_TITLES),
    Behaviour(
        "Atom with zones", (answer(200, ATOM),), (NEW, SAME), ("One", "Two"),
        ((ms(2026, 3, 1, 23, 59), "minute"), (ms(2026, 3, 2, 1, 30), "second")),
    ),
    Behaviour("RDF with a bare day", (answer(200, RDF),), (NEW, SAME), ("One",), ((ms(2026, 3, 2) - 1, "day"),)),
    Behaviour("UTF-16 with a mark", (answer(200, feed(item(CHINESE), encoding="utf-16")),), (NEW, SAME), (CHINESE,)),
    Behaviour("GB18030, said in the document only", (answer(200, feed(item(CHINESE), encoding="gb18030")),), (NEW, SAME), (CHINESE,)),
    Behaviour(
        "the head knows the character set, the document says another",
        (answer(200, feed(item(CHINESE)).decode().encode("gbk"), Content_Type="application/xml; charset=gbk"),), (NEW, SAME), (CHINESE,),
    ),
    Behaviour(
        "the encoding changes between two polls",
        (answer(200, feed(item(CHINESE))), answer(200, feed(item("新消息"), item(CHINESE), encoding="gb18030"))),
        (NEW, NEW, SAME), (CHINESE, "新消息"),
    ),
    Behaviour("gzip", (answer(200, gzip.compress(AB), Content_Encoding="gzip"),), (NEW, SAME), AB_TITLES),
    Behaviour(
        "gzip in two members", (answer(200, gzip.compress(AB[:90]) + gzip.compress(AB[90:]), Content_Encoding="gzip"),), (NEW,), AB_TITLES
    ),
    Behaviour("deflate that nobody asked for", (answer(200, zlib.compress(AB), Content_Encoding="deflate"),), (NEW, SAME), AB_TITLES),
    Behaviour("called HTML", (answer(200, AB, Content_Type="text/html"),), (NEW, SAME), AB_TITLES),
    Behaviour("called an image", (answer(200, AB, Content_Type="image/png"),), (NEW, SAME), AB_TITLES),
    Behaviour("no content type, then the end of the connection", (raw(b"HTTP/1.0 200 OK\r\n\r\n" + AB),), (NEW, SAME), AB_TITLES),
    Behaviour("blank lines before the document", (answer(200, b"\n\n  " + AB),), (NEW, SAME), AB_TITLES),
    Behaviour(
        "302, never learned", (answer(302, Location="/here"),), (NEW, SAME, SAME, SAME, SAME), AB_TITLES,
        others={"/here": (WELL,)}
    ),
    Behaviour(
        "301, believed the third time", (answer(301, Location="/here"),), (NEW, SAME, SAME, SAME, SAME), AB_TITLES,
        others={"/here": (WELL,)}, asked=3,
    ),
    Behaviour(
        "301, but it changes its mind", (answer(301, Location="/here"), answer(301, Location="/here"), WELL),
        (NEW, SAME, SAME, SAME), AB_TITLES, others={"/here": (WELL,)},
    ),
    Behaviour("a cookie", (answer(200, AB, Set_Cookie="id=1; Path=/"),), (NEW, SAME), AB_TITLES, sent={"Cookie": (None, None)}),
    Behaviour(
        "a strong ETag", (answer(200, AB, ETag='"1"'), answer(304)), (NEW, NOT_MODIFIED, NOT_MODIFIED), AB_TITLES,
        sent={"If-None-Match": (None, '"1"', '"1"')},
    ),
    Behaviour(
        "a weak ETag with quotes in it", (answer(200, AB, ETag='W/"a \\"b\\" c"'), answer(304)), (NEW, NOT_MODIFIED), AB_TITLES,
        sent={"If-None-Match": (None, 'W/"a \\"b\\" c"')},
    ),
    Behaviour(
        "an ETag without quotes", (answer(200, AB, ETag="5-abc,def"), answer(304)), (NEW, NOT_MODIFIED), AB_TITLES,
        sent={"If-None-Match": (None, "5-abc,def")},
    ),
    Behaviour(
        "an ETag that always changes", (answer(200, AB, ETag='"1"'), answer(200, AB, ETag='"2"'), answer(200, AB, ETag='"3"')),
        (NEW, SAME, SAME), AB_TITLES, sent={"If-None-Match": (None, '"1"', '"2"')},
    ),
    Behaviour(
        "a Last-Modified in no form at all", (answer(200, AB, Last_Modified="yesterday, I think"), answer(304)), (NEW, NOT_MODIFIED),
        AB_TITLES, sent={"If-Modified-Since": (None, "yesterday, I think")},
    ),
    Behaviour(
        "a Last-Modified in the future, and yet something new",
        (answer(200, feed(item("a")), Last_Modified=http_date(in_s=10**8)), answer(200, feed(item("b"), item("a")))),
        (NEW, NEW), ("a", "b"),
    ),
    Behaviour(
        "304 with a body", (answer(200, AB, ETag='"1"'), *[raw(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\nabc')] * 2, WELL),
        (NEW, ("failed", "Bad status line"), ("failed", "Bad status line"), SAME), AB_TITLES,
        sent={"If-None-Match": (None, '"1"', '"1"', None)},
    ),
    Behaviour("slow, but not too slow", (), (NEW, SAME), AB_TITLES),
]  # fmt: skip

TIMES = [
    Behaviour(
        "zones of all sorts",
        (answer(200, feed(
            item("d", stamp="Mon, 02 Mar 2026 09:00:00 CET"), item("c", stamp="Mon, 02 Mar 2026 02:00:00 -0500"),
            item("b", stamp="Mon, 02 Mar 2026 14:00:00 HKT"), item("a", stamp="Mon, 02 Mar 2026 05:00:00 GMT"))),),
        (NEW, SAME), ("a", "b", "c", "d"), tuple((ms(2026, 3, 2, hour), "second") for hour in (5, 6, 7, 8)),
    ),
    Behaviour(
        "a clock in the future", (answer(200, feed(item("a", stamp="Tue, 02 Mar 2027 05:00:00 GMT"))),), (NEW,), ("a",),
        ((ms(2027, 3, 2, 5), "second"),),
    ),
    Behaviour(
        "days without a time", (answer(200, feed(item("b", stamp="Mon, 02 Mar 2026"), item("a", stamp="2026-03-01"))),), (NEW,),
        ("a", "b"), ((ms(2026, 3, 2) - 1, "day"), (ms(2026, 3, 3) - 1, "day")),
    ),
    Behaviour("a time that is none", (answer(200, feed(item("a", stamp="soon"))),), (NEW,), ("a",), ((None, "second"),)),
    Behaviour(
        "the same item with its time set right later",
        (answer(200, feed(item("a", stamp="Mon, 02 Mar 2026 05:00:00 GMT"))),
         answer(200, feed(item("a", stamp="Mon, 02 Mar 2026 06:00:00 GMT")))),
        (NEW, SAME), ("a",), ((ms(2026, 3, 2, 5), "second"),),
    ),
]  # fmt: skip

ITEMS = [
    Behaviour(
        "nearly the same twice, as two items", (answer(200, feed(item("Bank fails", guid="2"), item("Bank fails", guid="1"))),),
        (NEW, SAME),
        ("Bank fails", "Bank fails"),
    ),
    Behaviour("the very same twice in one answer", (answer(200, feed(item("a"), item("a"))),), (NEW, SAME), ("a",)),
    Behaviour(
        "an edited item", (answer(200, feed(item("Bank fails", guid="1"))), answer(200, feed(item("Bank does not fail", guid="1")))),
        (NEW, NEW, SAME), ("Bank fails", "Bank does not fail"),
    ),
    Behaviour("another order", (answer(200, feed(item("b"), item("a"))), answer(200, feed(item("a"), item("b")))), (NEW, SAME), ("a", "b")),
    Behaviour(
        "an item is removed, and comes back",
        (answer(200, feed(item("b"), item("a"))), answer(200, feed(item("a"))), answer(200, feed(item("b"), item("a")))),
        (NEW, SAME, SAME), ("a", "b"),
    ),
    Behaviour("five thousand items", (answer(200, many(5_000)),), (NEW,), tuple(f"item {number}" for number in range(1, 5_001))),
    Behaviour("no items at all", (answer(200, feed()), WELL), (SAME, NEW), AB_TITLES),
    Behaviour("broken XML behind two items", (answer(200, AB.partition(b"</chan")[0] + b"<item><title>half"),), (NEW, SAME), AB_TITLES),
    Behaviour("characters that XML forbids", (answer(200, feed(item("ab", text="a\x01b"))),), (NEW,), ("ab",)),
    Behaviour("an external entity", (answer(200, FILES),), (("failed", "defines XML entities"),)),
]  # fmt: skip


def _once(name: str, reply: Reply, result: PollResult, reason: str) -> Behaviour:
    """Bad once, then well: nothing is lost."""
    return Behaviour(name, (reply, WELL), ((result, reason), NEW), AB_TITLES)


GONE: Outcome = ("refused", "HTTP 404")
BAD = [
    _once("brotli that nobody asked for", answer(200, b"\x0b\x02\x80hello\x03", Content_Encoding="br"), "failed", "br"),
    _once("gzip that is none", answer(200, AB, Content_Encoding="gzip"), "failed", "gzip"),
    _once("a length that is too long", raw(head("Content-Length: 99999", body=AB)), "failed", "ClientPayloadError"),
    _once("a length that is too short", raw(head(f"Content-Length: {len(AB) - 40}", body=AB)), "failed", "Bad status line"),
    _once("a length that is none", raw(head("Content-Length: many", body=AB)), "failed", "Content-Length"),
    _once("a reset in the middle", raw(head("Content-Length: 99999", body=AB), reset=True), "failed", "Error"),
    Behaviour("the connection closes without a word", (raw(b""), raw(b""), WELL), (("failed", "disconnected"), NEW), AB_TITLES, asked=3),
    _once("chunks of garbage", raw(head("Transfer-Encoding: chunked", body=chunked(("zz", AB)))), "failed", "chunk size"),
    _once(
        "chunks without an end", raw(head("Transfer-Encoding: chunked", body=chunked((f"{len(AB):x}", AB)))), "failed", "ClientPayloadError"
    ),
    _once("no HTTP", raw(b"220 mail.example ESMTP\r\n"), "failed", "Error"),
    Behaviour("a head without end", (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),), (("failed", "Error"),)),
    Behaviour("too large", (answer(200, b"x" * 3_000_000),), (("failed", "larger than"),)),
    Behaviour("a gzip bomb", (answer(200, gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip"),), (("failed", "larger than"),)),
    Behaviour("stuck in the middle", (), (("failed", "no complete answer in time"), NEW), AB_TITLES),
    Behaviour("a byte now and then", (), (("failed", "slower than"), NEW), AB_TITLES),
    Behaviour("a head, a byte now and then", (), (("failed", "no complete answer in time"), NEW), AB_TITLES),
    _once("an empty answer", answer(200, b""), "failed", "not a feed"),
    Behaviour(
        "a login page in place of the feed", (answer(200, LOGIN, ETag='"page"', Content_Type="text/html"), WELL),
        (("failed", "not a feed"), NEW), AB_TITLES, sent={"If-None-Match": (None, None)},
    ),
    Behaviour("an entity bomb", (answer(200, BOMB),), (("failed", "defines XML entities"),) * 2),
    Behaviour("redirects in a circle", (answer(302, Location="/rss"),), (("failed", "more than 5 redirects"),), asked=6),
    Behaviour("a redirect to nowhere", (answer(302),), (("failed", "HTTP 302"),)),
    Behaviour("a redirect inside", (answer(302, Location="http://169.254.169.254/latest/"),), (("refused", "169.254.169.254 is an"),)),
    Behaviour("a redirect to a file", (answer(302, Location="file:///etc/hostname"),), (("refused", "only http and https"),)),
    Behaviour("410", (answer(410), WELL), (("refused", "HTTP 410"),), step_ms=3 * NEXT_DAY_MS, asked=1),
    Behaviour("404, then back", (answer(404), answer(404), WELL), (GONE, GONE, NEW), AB_TITLES),
    Behaviour("401", (answer(401, WWW_Authenticate="Basic"),), (("refused", "HTTP 401"),) * 2, sent={"Authorization": (None, None)}),
    Behaviour("403", (answer(403),), (("refused", "HTTP 403"),)),
    Behaviour("500 for an hour", (answer(500), WELL), (("failed", "HTTP 500"), NEW), AB_TITLES, step_ms=70 * MINUTE_MS),
    _once("a status that does not exist", answer(799), "failed", "HTTP 799"),
    _once("503", answer(503), "failed", "HTTP 503"),
]  # fmt: skip


def _throttled(name: str, value: str | None, *, status: int = 429, rest_ms: int, step_ms: int) -> Behaviour:
    told = {} if value is None else {"Retry_After": value}
    outcomes: tuple[Outcome, ...] = (("refused" if status == 429 else "failed", f"HTTP {status}"), NEW)
    return Behaviour(name, (answer(status, **told), WELL), outcomes, AB_TITLES, step_ms=step_ms, rest_ms=rest_ms)


HOUR_MS = 60 * MINUTE_MS
THROTTLED = [
    _throttled("429 with seconds", str(7 * 3_600), rest_ms=7 * HOUR_MS, step_ms=7 * HOUR_MS),
    # The first answer comes a second after the date was written: robots.txt was asked before.
    _throttled("429 with a date", http_date(in_s=9 * 3_600), rest_ms=9 * HOUR_MS - 1_000, step_ms=9 * HOUR_MS),
    _throttled("429 with words", "after lunch", rest_ms=108 * MINUTE_MS, step_ms=133 * MINUTE_MS),
    _throttled("429 without a word", None, rest_ms=108 * MINUTE_MS, step_ms=133 * MINUTE_MS),
    _throttled("503 with seconds", "30000", status=503, rest_ms=30_000_000, step_ms=30_000_000),
]


def _robots(
    name: str, reply: Reply, *outcomes: Outcome, later: Reply | None = None, titles: tuple[str, ...] = (), asked: int | None = None
) -> Behaviour:
    replies = (reply,) if later is None else (reply, later)
    return Behaviour(name, (WELL,), outcomes, titles, others={"/robots.txt": replies}, asked=asked)


NONE = answer(404)
ROBOTS = [
    _robots("robots.txt disallows it", answer(200, "User-agent: *\nDisallow: /rss"), ("refused", "robots.txt disallows"), asked=0),
    _robots("robots.txt is not there", NONE, NEW, titles=AB_TITLES),
    _robots("robots.txt is ill, then well", answer(500), ("refused", "answers 500"), NEW, titles=AB_TITLES, asked=1, later=NONE),
    _robots("robots.txt is forbidden", answer(403), ("refused", "robots.txt answers 403"), asked=0),
    _robots("robots.txt asks for a pause", answer(200, "User-agent: *\nCrawl-delay: 30"), NEW, SAME, titles=AB_TITLES),
    _robots("robots.txt is huge", answer(200, "User-agent: *\nDisallow: /rss\n" + "# x\n" * 200_000), ("refused", "disallows"), asked=0),
    _robots("robots.txt is a page", answer(200, LOGIN), NEW, titles=AB_TITLES),
    _robots(
        "robots.txt comes to forbid it", NONE, NEW, ("refused", "robots.txt disallows"),
        later=answer(200, "User-agent: groundswell\nDisallow: /"),
        titles=AB_TITLES, asked=1,
    ),
]  # fmt: skip

BEHAVIOURS = [*GOOD, *TIMES, *ITEMS, *BAD, *THROTTLED, *ROBOTS]


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[place : place + size] for place in range(0, len(body), size)]


def slow_replies(publisher: Publisher) -> dict[str, tuple[Reply, ...]]:
    """Those that need the publisher's own clock."""
    return {
        "slow, but not too slow": (publisher.dripping(*pieces(AB, 40), every_s=0.02),),
        "stuck in the middle": (publisher.endless, WELL),
        "a byte now and then": (publisher.dripping(*pieces(AB, 1), every_s=0.05), WELL),
        "a head, a byte now and then": (publisher.dripping(*pieces(head(f"X: {'y' * 200}", body=AB), 1), every_s=0.05, plain=True), WELL),
    }
