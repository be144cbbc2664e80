"""When a source may be asked again, what it is sent back, and what its robots.txt allows."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.catalogue import Source
from ingest.polite import Answer, Robots, SourceState, after, next_poll_ms, retry_after_ms, validators

URL = "https://news.example/rss"
SOURCE = Source(name="desk", owner="o", url=URL)
STATE = SourceState(url=URL)
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_772_440_200_000


def wait(answer: Answer, *, source: Source = SOURCE, state: SourceState = STATE, now_ms: int = NOW) -> int:
    return after(state, answer, source=source, now_ms=now_ms).next_ms - now_ms


def good(**headers: str) -> Answer:
    return Answer(status=200, headers={name.replace("_", "-"): value for name, value in headers.items()})


@given(st.integers(0, 2**42), st.text(min_size=1, max_size=20))
def test_without_a_word_from_the_publisher_a_source_is_asked_every_hour_within_a_tenth(now_ms: int, name: str) -> None:
    source = Source(name=name, owner="o", url=URL)
    assert 54 * MINUTE <= wait(good(), source=source, now_ms=now_ms) <= 66 * MINUTE


def test_the_jitter_is_the_same_for_the_same_source_and_moment_and_differs_between_sources() -> None:
    others = [Source(name=f"s{n}", owner="o", url=URL) for n in range(20)]
    waits = [wait(good(), source=source) for source in others]
    assert waits == [wait(good(), source=source) for source in others]
    assert len(set(waits)) == 20


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (Answer(status=200, ttl_s=30 * 60), 30 * MINUTE, 37 * MINUTE),
        (Answer(status=200, update_s=2 * 3_600), 2 * HOUR, 3 * HOUR),
        (good(cache_control="public, max-age=7200"), 2 * HOUR, 3 * HOUR),
        (good(cache_control="max-age=60"), 15 * MINUTE, 19 * MINUTE),
        (good(cache_control="s-maxage=9000, max-age=0, no-cache"), 54 * MINUTE, 66 * MINUTE),
        (Answer(status=304, headers={"cache-control": "max-age=1800"}), 30 * MINUTE, 37 * MINUTE),
        (Answer(status=200, ttl_s=60, update_s=86_400), 24 * HOUR, 24 * HOUR),
        (Answer(status=200, ttl_s=10**9), 24 * HOUR, 24 * HOUR),
    ],
)
def test_the_publishers_word_is_kept_never_below_a_quarter_of_an_hour_nor_above_a_day(answer: Answer, least: int, most: int) -> None:
    for name in ("a", "b", "c", "d", "e"):
        assert least <= wait(answer, source=Source(name=name, owner="o", url=URL)) <= most


def test_the_catalogue_may_ask_more_often_than_a_quarter_of_an_hour() -> None:
    quick = Source(name="q", owner="o", url=URL, every_s=60)
    assert 54_000 <= wait(good(cache_control="max-age=3600"), source=quick) <= 66_000


@pytest.mark.parametrize("status", [429, 503])
def test_a_publisher_who_asks_for_rest_is_asked_half_as_often_each_time_up_to_a_day(status: int) -> None:
    state, waits = STATE, []
    for _ in range(7):
        state = after(state, Answer(status=status), source=SOURCE, now_ms=NOW)
        waits.append(state.next_ms - NOW)
    for doubled, shown in zip((2, 4, 8, 16), waits, strict=False):
        assert 0.9 * doubled * HOUR <= shown <= 1.1 * doubled * HOUR
    assert waits[5] == waits[6] == DAY
    recovered = after(state, good(), source=SOURCE, now_ms=NOW)
    assert recovered.troubles == 0
    assert recovered.next_ms - NOW <= 66 * MINUTE


def test_one_failure_costs_nothing_and_each_further_one_doubles() -> None:
    first = after(STATE, Answer(status=0), source=SOURCE, now_ms=NOW)
    second = after(first, Answer(status=500), source=SOURCE, now_ms=NOW)
    assert first.next_ms - NOW <= 66 * MINUTE
    assert 108 * MINUTE <= second.next_ms - NOW <= 132 * MINUTE


def test_retry_after_is_never_undercut_in_seconds_or_as_a_date() -> None:
    date = format_datetime(datetime.fromtimestamp((NOW + 10 * HOUR) / 1_000, UTC), usegmt=True)
    for value in ("36000", date):
        assert wait(Answer(status=429, headers={"retry-after": value})) == 10 * HOUR
    assert wait(Answer(status=503, headers={"retry-after": "1"})) >= 54 * MINUTE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 0),
        ("99999999999", 7 * DAY),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_a_retry_after_that_cannot_be_read_says_nothing_and_one_beyond_a_week_is_a_mistake(value: str | None, expected: int | None) -> None:
    assert retry_after_ms(value, NOW) == expected


@given(st.text(max_size=40))
def test_no_retry_after_makes_it_raise(value: str) -> None:
    found = retry_after_ms(value, NOW)
    assert found is None or 0 <= found <= 7 * DAY


@pytest.mark.parametrize("etag", ['"a"', 'W/"a b"', "no quotes", '"é\\"x"', "'"])
def test_validators_go_back_byte_for_byte_and_survive_an_answer_that_brings_none(etag: str) -> None:
    state = after(STATE, Answer(status=200, headers={"etag": etag, "last-modified": "Mon , 2 Mar"}), source=SOURCE, now_ms=NOW)
    state = after(state, Answer(status=304), source=SOURCE, now_ms=NOW)
    state = after(state, Answer(status=0), source=SOURCE, now_ms=NOW)
    assert validators(state) == {"If-None-Match": etag, "If-Modified-Since": "Mon , 2 Mar"}


def test_a_full_answer_without_validators_forgets_the_old_ones() -> None:
    state = after(STATE, good(etag='"a"'), source=SOURCE, now_ms=NOW)
    assert validators(after(state, good(), source=SOURCE, now_ms=NOW)) == {}


def test_after_two_answers_that_cannot_be_read_the_whole_is_asked_for() -> None:
    state = after(STATE, good(etag='"a"'), source=SOURCE, now_ms=NOW)
    state = after(state, Answer(status=0), source=SOURCE, now_ms=NOW)
    assert validators(state) == {"If-None-Match": '"a"'}
    assert validators(after(state, Answer(status=0), source=SOURCE, now_ms=NOW)) == {}
    assert validators(after(state, Answer(status=500), source=SOURCE, now_ms=NOW)) == {"If-None-Match": '"a"'}


def test_a_validator_that_is_not_utf8_is_not_sent_back_because_it_could_not_be_exact() -> None:
    assert validators(SourceState(url=URL, etag="\udcff")) == {}


# --- moves ----------------------------------------------------------------------------------------------------------------
def moved(state: SourceState, *targets: str | None, status: int = 200) -> SourceState:
    for target in targets:
        state = after(state, Answer(status=status, moved_to=target, headers={"etag": '"x"'}), source=SOURCE, now_ms=NOW)
    return state


def test_a_permanent_redirect_is_believed_the_third_time_in_a_row() -> None:
    new = "https://new.example/rss"
    assert moved(STATE, new, new).address == URL
    assert moved(STATE, new, new, new).address == new
    assert moved(STATE, new, new, None, new).address == URL
    assert moved(STATE, new, new, "https://other.example/rss").address == URL


def test_a_believed_address_stays_and_starts_without_the_old_ones_validators() -> None:
    believed = moved(STATE, *["https://new.example/rss"] * 3)
    assert validators(believed) == {}
    assert moved(believed, None, None).address == "https://new.example/rss"
    assert validators(moved(believed, None)) == {"If-None-Match": '"x"'}


def test_a_believed_address_that_refuses_is_given_up_and_one_that_is_only_ill_is_not() -> None:
    believed = moved(STATE, *["https://new.example/rss"] * 3)
    assert moved(believed, None, status=404).address == URL
    for status in (0, 429, 500, 503):
        assert moved(believed, None, status=status).address == "https://new.example/rss"


def test_gone_is_for_good() -> None:
    state = after(STATE, Answer(status=410), source=SOURCE, now_ms=NOW)
    assert state.disabled is not None
    assert "410" in state.disabled
    assert after(STATE, Answer(status=404), source=SOURCE, now_ms=NOW).disabled is None


def test_the_next_poll_follows_from_its_arguments_alone() -> None:
    assert next_poll_ms(STATE, good(), NOW, source=SOURCE) == next_poll_ms(STATE, good(), NOW, source=SOURCE)


# --- robots.txt -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 0, 302])
def test_a_robots_file_that_is_refused_broken_or_silent_forbids_everything_for_an_hour(status: int) -> None:
    robots = Robots.of(status, b"", now_ms=NOW)
    assert not robots.allows(URL)
    assert robots.reason
    assert robots.until_ms == NOW + HOUR


@pytest.mark.parametrize("status", [400, 404, 410, 451])
def test_a_host_without_a_robots_file_allows_everything_for_a_day(status: int) -> None:
    robots = Robots.of(status, b"User-agent: *\nDisallow: /", now_ms=NOW)
    assert robots.allows(URL)
    assert robots.until_ms == NOW + DAY


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        (b"User-agent: *\nDisallow: /rss", False),
        (b"User-agent: *\nDisallow: /\nAllow: /rss", True),
        (b"User-agent: groundswell\nDisallow: /\n\nUser-agent: *\nAllow: /", False),
        (b"User-agent: other\nDisallow: /", True),
        (b"User-agent: *\nDisallow: /*ss$", False),
        (b"\xef\xbb\xbfUser-agent: *\nDisallow: /rss", False),
        (b"\xff\xfe broken", True),
        (b"<html>not found</html>", True),
    ],
)
def test_rules_are_matched_by_product_name_wildcard_and_longest_path(body: bytes, allowed: bool) -> None:
    assert Robots.of(200, body, now_ms=NOW).allows(URL) is allowed


def test_a_crawl_delay_is_honoured_up_to_a_minute() -> None:
    assert Robots.of(200, b"User-agent: *\nCrawl-delay: 7", now_ms=NOW).delay_s == 7
    assert Robots.of(200, b"User-agent: *\nCrawl-delay: 9999", now_ms=NOW).delay_s == 60
    assert Robots.of(404, b"", now_ms=NOW).delay_s == 0
