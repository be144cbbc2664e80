"""Which source may be asked at a moment: hosts have one request at a time, a gap between two, and their rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.catalogue import Source
from ingest.polite import SHORTEST_MS, Robots, SourceState
from ingest.timetable import HOST_GAP_MS, Rest, Timetable, host_of, origin_of

HOUR = 3_600_000


def feed(name: str, host: str = "news.example") -> Source:
    return Source(name=name, owner="o", url=f"https://{host}/{name}")


def timetable(*sources: Source, next_ms: int = 0, rests: dict[str, Rest] | None = None, polls_at_once: int = 16) -> Timetable:
    states = {source.name: SourceState(url=source.url, next_ms=next_ms) for source in sources}
    return Timetable(sources, states, rests=rests, polls_at_once=polls_at_once)


def taken(plan: Timetable, now_ms: int) -> list[str]:
    found = []
    while (source := plan.take(now_ms)) is not None:
        found.append(source.name)
    return found


def end(plan: Timetable, source: Source, *, next_ms: int) -> None:
    plan.finish(source, SourceState(url=source.url, next_ms=next_ms))


def test_a_source_is_taken_when_it_is_due_once_until_its_poll_has_ended() -> None:
    a = feed("a")
    plan = timetable(a, next_ms=100)
    assert (plan.next_ms(), taken(plan, 99), taken(plan, 100), taken(plan, 10**9)) == (100, [], ["a"], [])
    end(plan, a, next_ms=300)
    assert (plan.next_ms(), taken(plan, 299), taken(plan, 300)) == (300, [], ["a"])


def test_the_longest_overdue_comes_first_and_only_so_many_at_once() -> None:
    sources = [feed(f"s{number}", f"h{number}.example") for number in range(4)]
    states = {source.name: SourceState(url=source.url, next_ms=40 - 10 * number) for number, source in enumerate(sources)}
    plan = Timetable(sources, states, polls_at_once=3)
    assert (taken(plan, 100), plan.next_ms()) == (["s3", "s2", "s1"], None)
    end(plan, sources[2], next_ms=10**9)
    assert taken(plan, 100) == ["s0"]


def test_two_sources_of_one_host_are_never_asked_at_the_same_time() -> None:
    a, b, elsewhere = feed("a"), feed("b"), feed("c", "other.example")
    plan = timetable(a, b, elsewhere)
    assert taken(plan, 0) == ["a", "c"]
    end(plan, a, next_ms=HOUR)
    assert taken(plan, 0) == ["b"]


def test_a_host_is_asked_again_after_its_gap_and_not_looked_at_before() -> None:
    a, b = feed("a"), feed("b")
    plan = timetable(a, b)
    assert taken(plan, 0) == ["a"]
    assert plan.wait_ms(a.url, 0) == 0
    end(plan, a, next_ms=HOUR)
    assert (taken(plan, 0), plan.next_ms(), taken(plan, HOST_GAP_MS)) == ([], HOST_GAP_MS, ["b"])


def test_requests_within_a_poll_wait_for_the_gap_or_for_the_crawl_delay() -> None:
    plan = timetable(feed("a"))
    assert [plan.wait_ms("https://news.example/1", 0), plan.wait_ms("http://NEWS.example./2", 0)] == [0, HOST_GAP_MS]
    plan.learn_robots("https://news.example/", Robots.of(200, b"User-agent: *\nCrawl-delay: 20", now_ms=0))
    waits = [plan.wait_ms("https://news.example/3", 0), plan.wait_ms("https://news.example/4", 0)]
    assert waits == [2 * HOST_GAP_MS, 2 * HOST_GAP_MS + 20_000]
    assert plan.wait_ms("https://other.example/", 0) == 0


def test_a_clock_that_is_set_back_makes_no_host_wait_longer_than_two_delays() -> None:
    a = feed("a")
    plan = timetable(a)
    assert plan.wait_ms(a.url, 24 * HOUR) == 0
    assert plan.wait_ms(a.url, HOUR) == 120_000
    assert (taken(plan, HOUR), taken(plan, HOUR + 240_000)) == ([], ["a"])


def test_a_rest_holds_for_every_source_of_the_host_and_for_no_other() -> None:
    a, b, c = feed("a"), feed("b"), feed("c", "other.example")
    plan = timetable(a, b, c)
    assert plan.take(0) is a
    rest = plan.answered(a.url, 503, headers={"retry-after": "3600"}, now_ms=0)
    assert rest == Rest(until_ms=HOUR, why="HTTP 503, Retry-After")
    end(plan, a, next_ms=0)
    assert (taken(plan, 0), plan.due(0), plan.next_ms()) == (["c"], [], HOUR)
    assert "news.example asked for rest until 1970-01-01 01:00:00Z" in (plan.rest(b.url, HOUR - 1) or "")
    assert plan.rest(b.url, HOUR) is None
    assert taken(plan, HOUR) == ["b"]  # has waited longer


def test_a_rest_is_never_made_shorter_and_a_429_without_a_word_costs_a_quarter_of_an_hour() -> None:
    plan = timetable(feed("a"))
    url = "https://news.example/a"
    assert plan.answered(url, 429, headers={}, now_ms=0) == Rest(until_ms=SHORTEST_MS, why="HTTP 429")
    assert plan.answered(url, 429, headers={"retry-after": "5"}, now_ms=0) is None
    assert plan.answered("https://b.example/", 503, headers={"retry-after": "soon"}, now_ms=0) is None
    assert plan.answered("https://b.example/", 404, headers={"retry-after": "60"}, now_ms=0) is None
    assert plan.rest(url, SHORTEST_MS - 1) is not None


def test_a_rest_from_before_a_restart_holds() -> None:
    plan = timetable(feed("a"), rests={"news.example": Rest(until_ms=500, why="HTTP 429")})
    assert (taken(plan, 499), taken(plan, 500)) == ([], ["a"])


def test_a_source_that_is_gone_for_good_is_never_due() -> None:
    a = feed("a")
    plan = Timetable([a], {"a": SourceState(url=a.url, disabled="410")})
    assert (plan.take(10**15), plan.due(10**15), plan.next_ms()) == (None, [], None)


def test_a_moved_source_counts_for_the_host_where_it_lives_now() -> None:
    a, b = feed("a"), feed("b", "new.example")
    states = {"a": SourceState(url=a.url, moved_to="https://new.example/a", moves=3), "b": SourceState(url=b.url)}
    assert taken(Timetable([a, b], states), 0) == ["a"]


def test_a_source_asked_out_of_turn_is_not_asked_again_at_its_old_moment() -> None:
    a, b = feed("a"), feed("b")
    plan = timetable(a, b)
    assert taken(plan, 0) == ["a"]  # b waits behind it
    end(plan, b, next_ms=HOUR)
    end(plan, a, next_ms=HOUR)
    assert (taken(plan, HOUR - 1), plan.next_ms()) == ([], HOUR)


def test_robots_rules_are_relied_on_until_their_time_and_belong_to_one_port() -> None:
    plan = timetable(feed("a"))
    rules = Robots.of(404, b"", now_ms=0)
    plan.learn_robots("https://news.example/a", rules)
    assert plan.robots("https://news.example/b", 0) is rules
    assert plan.robots("https://news.example:8443/b", 0) is None
    assert plan.robots("https://news.example/b", rules.until_ms) is None


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("https://news.example/rss", "news.example", "https://news.example"),
        ("http://a:b@News.Example.:80/", "news.example", "http://news.example.:80"),
        ("http://[::1]:8080/", "::1", "http://[::1]:8080"),
    ],
)
def test_the_host_of_an_address_is_its_name_and_its_origin_what_robots_txt_belongs_to(url: str, host: str, origin: str) -> None:
    assert (host_of(url), origin_of(url)) == (host, origin)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3_000), st.integers(0, 2)), max_size=40))
def test_whatever_happens_no_host_has_two_polls_and_every_source_comes_again(steps: list[tuple[int, int, int]]) -> None:
    sources = [feed(f"s{number}", f"h{number % 3}.example") for number in range(6)]
    plan, now_ms, running = timetable(*sources, polls_at_once=2), 0, dict[str, Source]()
    for choice, wait_ms, what in steps:
        now_ms += wait_ms
        if what == 0 and (found := plan.take(now_ms)) is not None:
            assert host_of(found.url) not in {host_of(source.url) for source in running.values()}
            assert plan.wait_ms(found.url, now_ms) == 0
            running[found.name] = found
            assert len(running) <= 2
        elif what == 1 and running:
            end(plan, running.pop(min(running)), next_ms=now_ms + 10 * choice)
        elif what == 2:
            plan.answered(sources[choice].url, 429, headers={"retry-after": str(choice)}, now_ms=now_ms)
    for source in running.values():
        end(plan, source, next_ms=now_ms)
    again = set()
    for moment in range(now_ms, now_ms + 2_000_000, 1_000):
        while (found := plan.take(moment)) is not None:
            again.add(found.name)
            end(plan, found, next_ms=10**12)
    assert again == {source.name for source in sources}
