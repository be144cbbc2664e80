"""What an answer leads to: asked within bounds, in order, once; what could not be asked waits, and a failure takes nothing with it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundswell.clock import ManualClock
from ingest.catalogue import Source
from ingest.fetch import Fetched
from ingest.follow import REQUESTS_MAX, TRIES_MAX
from ingest.memory import Memory
from ingest.poll import Poll, ask

NOW = 1_772_500_000_000
START = "https://harbour.example/news/"
Reply = bytes | int | Fetched


class Site:
    """A publisher in memory: what each address answers, and what was asked."""

    def __init__(self, memory: Memory, source: Source) -> None:
        self.memory, self.source, self.clock = memory, source, ManualClock(NOW)
        self.answers: dict[str, Reply] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.took_ms = 0
        self.environ: dict[str, str] = {}

    async def get(self, url: str, headers: Mapping[str, str]) -> Fetched:
        self.asked.append((url, dict(headers)))
        self.clock.advance(self.took_ms)
        reply = self.answers.get(url, 404)
        if isinstance(reply, Fetched):
            return reply
        return Fetched(status=reply) if isinstance(reply, int) else Fetched(status=200, headers={"content-type": "text/html"}, body=reply)

    async def poll(self, *, delivered: bool = True) -> Poll:
        self.asked.clear()
        state = self.memory.state(self.source)
        poll = await ask(self.source, state, get=self.get, memory=self.memory, clock=self.clock, environ=self.environ)
        if delivered:
            self.memory.keep(self.source, poll.state, items=poll.items, now_ms=NOW, waiting=poll.waiting, mark=poll.mark)
        return poll

    def list(self, *numbers: int) -> None:
        """The listing shows these articles, the first on top; each answers."""
        links = "".join(f"<li><a href='/n/{number}'>Headline {number}</a></li>" for number in numbers)
        self.answers[START] = f"<html><body>{links}</body></html>".encode()
        for number in numbers:
            self.answers.setdefault(url_of(number), article(number))


def url_of(number: int) -> str:
    return f"https://harbour.example/n/{number}"


def article(number: int) -> bytes:
    return (
        f"<html><body><h1>Headline {number}</h1><article><p>{f'The words of article {number}. ' * 8}</p></article></body></html>".encode()
    )


def titles(poll: Poll) -> list[str]:
    return [record.title.removeprefix("Headline ") for record in poll.documents]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with Memory(tmp_path / "crawler.db") as memory:

        def made(how: dict[str, Any] | None = None, **more: Any) -> Site:
            fields = {"name": "desk", "owner": "o", "url": START, "type": "listing", "how": how or {"items": "li"}}
            return Site(memory, msgspec.convert(fields | more, Source))

        yield made


async def test_articles_are_asked_once_and_handed_over_the_oldest_first(make: Callable[..., Site]) -> None:
    site = make()
    site.list(3, 2, 1)
    assert titles(await site.poll()) == ["1", "2", "3"]
    site.list(4, 3, 2, 1)
    assert titles(await site.poll()) == ["4"]
    assert [url for url, _ in site.asked] == [START, url_of(4)]


async def test_of_many_articles_the_newest_come_first_and_the_rest_in_the_next_polls_though_the_listing_has_forgotten_them(
    make: Callable[..., Site],
) -> None:
    site = make()
    site.list(*range(120, 0, -1))
    first = await site.poll()
    assert titles(first) == [str(number) for number in range(71, 121)]
    assert len(site.asked) == 1 + REQUESTS_MAX
    assert "70 wait for the next poll" in (first.heartbeat.reason or "")
    site.answers[START] = 304
    second = await site.poll()
    assert len(second.documents) == 50
    assert titles(second) == sorted(titles(second), key=int)
    third = await site.poll()
    assert sorted(map(int, titles(first) + titles(second) + titles(third))) == list(range(1, 121))
    assert (await site.poll()).documents == []
    assert site.memory.waiting(site.source) == []


async def test_a_failing_article_takes_no_other_with_it_is_tried_again_and_given_up_after_five_tries(make: Callable[..., Site]) -> None:
    site = make()
    site.list(3, 2, 1)
    site.answers[url_of(2)] = 500
    first = await site.poll()
    assert titles(first) == ["1", "3"]
    assert first.heartbeat.ok
    assert first.heartbeat.reason == "of 3 further requests; HTTP 500; 1 wait for the next poll"
    site.answers[START] = 304
    for _ in range(TRIES_MAX - 2):
        await site.poll()
        assert [url for url, _ in site.asked] == [START, url_of(2)]
    last = await site.poll()
    assert "given up after 5 tries" in (last.heartbeat.reason or "")
    await site.poll()
    assert [url for url, _ in site.asked] == [START]


async def test_a_failed_article_that_recovers_arrives(make: Callable[..., Site]) -> None:
    site = make()
    site.list(2, 1)
    site.answers[url_of(1)] = 500
    assert titles(await site.poll()) == ["2"]
    site.answers |= {url_of(1): article(1), START: 304}
    again = await site.poll()
    assert (titles(again), again.result) == (["1"], "new")


@pytest.mark.parametrize("reply", [404, 410, Fetched(status=0, refused=True, reason="robots.txt disallows this address")])
async def test_an_article_that_is_gone_or_forbidden_is_not_asked_again(make: Callable[..., Site], reply: Reply) -> None:
    site = make()
    site.list(2, 1)
    site.answers[url_of(1)] = reply
    assert (await site.poll()).heartbeat.reason is not None
    await site.poll()
    assert [url for url, _ in site.asked] == [START]


async def test_a_host_that_wants_rest_is_asked_nothing_more_and_not_before_it_said(make: Callable[..., Site]) -> None:
    site = make()
    site.list(3, 2, 1)
    site.answers[url_of(1)] = Fetched(status=429, headers={"retry-after": "36000"})
    poll = await site.poll()
    assert [url for url, _ in site.asked] == [START, url_of(1)]
    assert poll.state.next_ms >= NOW + 36_000_000
    assert len(poll.waiting or []) == 3


async def test_a_source_in_trouble_has_its_waiting_articles_left_alone(make: Callable[..., Site]) -> None:
    site = make()
    site.list(2, 1)
    site.answers[url_of(1)] = 500
    await site.poll()
    site.answers[START] = 503
    await site.poll()
    assert [url for url, _ in site.asked] == [START]
    assert len(site.memory.waiting(site.source)) == 1


async def test_what_was_not_delivered_is_asked_again(make: Callable[..., Site]) -> None:
    site = make()
    site.list(2, 1)
    assert titles(await site.poll(delivered=False)) == ["1", "2"]
    assert titles(await site.poll()) == ["1", "2"]


async def test_a_poll_ends_in_time_however_slow_the_host_is(make: Callable[..., Site]) -> None:
    site = make()
    site.list(*range(30, 0, -1))
    site.took_ms = 60_000
    poll = await site.poll()
    assert len(site.asked) <= 5
    assert len(poll.waiting or []) == 30 - len(poll.documents)


async def test_a_page_without_words_is_the_headline_that_the_listing_gave_and_says_so(make: Callable[..., Site]) -> None:
    site = make()
    site.list(1)
    site.answers[url_of(1)] = b""
    poll = await site.poll()
    assert [(record.title, record.text) for record in poll.documents] == [("Headline 1", "")]
    assert "an empty page" in (poll.heartbeat.reason or "")


async def test_a_source_leads_to_its_own_host_and_to_those_that_its_entry_names(make: Callable[..., Site]) -> None:
    links = "".join(f"<li><a href='{url}'>A headline</a></li>" for url in ("https://evil.example/1", "https://m.harbour.example/2"))
    site = make()
    site.answers[START] = f"<html><body>{links}</body></html>".encode()
    poll = await site.poll()
    assert [url for url, _ in site.asked] == [START, "https://m.harbour.example/2"]
    assert "leads to another host: name it in hosts" in (poll.heartbeat.reason or "")
    named = make({"items": "li", "hosts": ["evil.example"]}, name="named")
    named.answers[START] = site.answers[START]
    await named.poll()
    assert "https://evil.example/1" in [url for url, _ in named.asked]


# --- pages --------------------------------------------------------------------------------------------------------------------
API = "https://api.harbour.example/news"


def page_of(*numbers: int) -> bytes:
    return msgspec.json.encode([{"id": number, "title": f"Headline {number}"} for number in numbers])


def api(make: Callable[..., Site], **how: Any) -> Site:
    return make({"fields": {"title": "title", "id": "id"}, "paging": "page", **how}, type="json_api", url=API)


async def test_pages_are_read_until_one_brings_nothing_new_and_all_of_it_is_in_order(make: Callable[..., Site]) -> None:
    site = api(make)
    site.answers = {API: page_of(6, 5), f"{API}?page=2": page_of(4, 3), f"{API}?page=3": page_of(2, 1), f"{API}?page=4": page_of()}
    assert titles(await site.poll()) == ["1", "2", "3", "4", "5", "6"]
    site.answers |= {API: page_of(7, 6), f"{API}?page=2": page_of(5, 4)}
    assert titles(await site.poll()) == ["7"]
    assert [url for url, _ in site.asked] == [API, f"{API}?page=2"]


async def test_endless_pages_end_at_the_limit_of_the_entry(make: Callable[..., Site]) -> None:
    site = api(make, pages_max=7)
    site.answers = {API: page_of(0), **{f"{API}?page={number}": page_of(number) for number in range(2, 100)}}
    assert len((await site.poll()).documents) == 7


async def test_a_page_that_leads_back_to_itself_is_asked_once(make: Callable[..., Site]) -> None:
    site = api(make, paging="link", pages_max=50)
    for number in (1, 2):
        url, onward = (API, f"{API}?b") if number == 1 else (f"{API}?b", API)
        site.answers[url] = Fetched(status=200, headers={"link": f'<{onward}>; rel="next"'}, body=page_of(number))
    assert titles(await site.poll()) == ["2", "1"]
    assert len(site.asked) == 2


async def test_a_page_that_fails_is_read_by_the_next_poll_and_nothing_is_missed(make: Callable[..., Site]) -> None:
    site = api(make)
    site.answers = {API: page_of(4, 3), f"{API}?page=2": 500}
    assert titles(await site.poll()) == ["3", "4"]
    site.answers = {API: 304, f"{API}?page=2": page_of(2, 1), f"{API}?page=3": page_of()}
    assert titles(await site.poll()) == ["1", "2"]


async def test_a_page_that_goes_on_failing_waits_once_however_often_it_is_led_to(make: Callable[..., Site]) -> None:
    site = api(make)
    for number in range(3, 8):
        site.answers = {API: page_of(number), f"{API}?page=2": 500}
        await site.poll()
        assert [url for url, _ in site.asked].count(f"{API}?page=2") == 1
        assert len(site.memory.waiting(site.source)) == 1


# --- keys ---------------------------------------------------------------------------------------------------------------------
KEY = "k3y/with+signs=0123456789"


@pytest.mark.parametrize("how", [{"key_parameter": "token"}, {}, {"key_header": "X-Api-Key", "key_prefix": ""}])
async def test_a_key_is_sent_and_is_in_nothing_that_is_kept_or_said(make: Callable[..., Site], how: dict[str, str], tmp_path: Path) -> None:
    site = api(make, key_variable="VENDOR_KEY", paging="none", **how)
    site.environ["VENDOR_KEY"] = KEY
    moved = f"https://api.harbour.example/v2?token={KEY}"
    with_key = "https://api.harbour.example/news?token=k3y%2Fwith%2Bsigns%3D0123456789"
    for url in (API, with_key):
        site.answers[url] = Fetched(status=200, headers={}, body=page_of(1), moved_to=moved)
    poll = await site.poll()
    assert titles(poll) == ["1"]
    [(url, headers)] = site.asked
    assert (url == with_key) if "key_parameter" in how else (KEY in headers.get(how.get("key_header", "Authorization"), ""))
    assert poll.state.moved_to is None
    for url in (API, with_key):
        site.answers[url] = Fetched(status=0, reason=f"more than 5 redirects, the last to {with_key} with {KEY}")
    failed = await site.poll()
    for shown in (repr(poll), repr(failed), (tmp_path / "crawler.db").read_bytes().decode("latin-1")):
        assert KEY not in shown
        assert "k3y%2Fwith" not in shown


async def test_a_key_that_is_not_set_is_a_reason_with_its_variable_and_nobody_is_asked(make: Callable[..., Site]) -> None:
    site = api(make, key_variable="VENDOR_KEY")
    poll = await site.poll()
    assert site.asked == []
    assert not poll.heartbeat.ok
    assert "environment variable VENDOR_KEY is not set" in (poll.heartbeat.reason or "")


# --- threads ------------------------------------------------------------------------------------------------------------------
def posts(*numbers: int, more: str = "") -> bytes:
    shown = "".join(f"<div class=post id=p{number}><p>Words of {number}</p></div>" for number in numbers)
    return f"<html><body><h1>T</h1>{shown}{more}</body></html>".encode()


async def test_a_new_post_on_the_last_page_of_a_thread_is_found_though_the_first_page_has_nothing_new(make: Callable[..., Site]) -> None:
    site = make({"posts": "div.post", "next": "a.next"}, type="thread", kind="comment", url="https://forum.example/t/1")
    onward = "<a class=next href='/t/1?page=2'>next</a>"
    site.answers = {"https://forum.example/t/1": posts(1, 2, more=onward), "https://forum.example/t/1?page=2": posts(3)}
    assert [record.id for record in (await site.poll()).documents] == ["p1", "p2", "p3"]
    site.answers["https://forum.example/t/1?page=2"] = posts(3, 4)
    assert [record.id for record in (await site.poll()).documents] == ["p4"]


async def test_an_index_leads_to_its_threads_and_a_thread_is_asked_again_when_its_number_of_posts_changes(
    make: Callable[..., Site],
) -> None:
    how = {"posts": "div.post", "threads": "li a", "count": "li i"}
    site = make(how, type="thread", kind="comment", url="https://forum.example/")
    index = b"<html><body><li><a href='/t/1'>one</a><i>2</i></li><li><a href='/t/2'>two</a><i>1</i></li></body></html>"
    site.answers = {"https://forum.example/": index, "https://forum.example/t/1": posts(1, 2), "https://forum.example/t/2": posts(7)}
    assert sorted(record.id or "" for record in (await site.poll()).documents) == ["p1", "p2", "p7"]
    site.answers |= {"https://forum.example/": index.replace(b"<i>2", b"<i>3"), "https://forum.example/t/1": posts(1, 2, 3)}
    assert [record.id for record in (await site.poll()).documents] == ["p3"]
    assert [url for url, _ in site.asked] == ["https://forum.example/", "https://forum.example/t/1"]
