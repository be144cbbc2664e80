from typing import get_args

import pytest

from dashboards.board.words import TOPIC_TITLES, Clock, duration, parse_moment, safe_link, visible
from groundswell.errors import UsageError
from groundswell.lifecycle import State
from groundswell.moments import duration_ms
from groundswell.names import LANGUAGES, TOPICS
from groundswell.records import Act, VerdictWord

UTC = Clock("UTC")


def test_every_topic_has_a_title() -> None:
    assert tuple(TOPIC_TITLES) == TOPICS


@pytest.mark.parametrize("text", ["5m", "6h", "7d", "90d"])
def test_a_duration_is_read_as_it_is_written(text: str) -> None:
    assert duration(duration_ms(text, name="window")) == text


@pytest.mark.parametrize("text", ["2026-03-09T20:00+08:00", "2026-03-09T20:00 08:00", "2026-03-09T12:00Z", "2026-03-09T12:00"])
def test_a_moment_is_read_even_where_a_form_has_turned_its_plus_into_a_blank(text: str) -> None:
    assert parse_moment(text, name="from", clock=UTC) == 1_773_057_600_000


@pytest.mark.parametrize("text", ["soon", "1969-12-31", "2026-13-01", "9" * 50])
def test_a_moment_that_is_none_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match=r"from .*: (not a time; write|times from 1970)"):
        parse_moment(text, name="from", clock=UTC)


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\x1b", "\x85", "\u2028", "\ud800"])
def test_what_could_hide_or_reorder_text_is_spelt_out(character: str) -> None:
    assert visible(f"a{character}b") == f"a[U+{ord(character):04X}]b"


@pytest.mark.parametrize("text", ["临澜银行股价重挫", "Müller & Söhne: 5 %", "مصرف", "🏦"])
def test_ordinary_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//host/x",
        "ftp://h/x",
        "https://",
        "https://h/a b",
        'https://h/"x',
        "https://h/\u202e",
        "/x",
        "",
    ],
)
def test_an_address_that_is_not_plainly_a_web_address_is_no_link(url: str) -> None:
    assert safe_link(url) is None


@pytest.mark.parametrize("url", ["http://h/x", "HTTPS://h.example/a?b=c&d=%20#e", "https://例.example/页"])
def test_a_web_address_is_a_link_unchanged(url: str) -> None:
    assert safe_link(url) == url


@pytest.mark.parametrize("known", [get_args(State), get_args(VerdictWord), get_args(Act)])
def test_states_verdicts_and_actions_have_words_of_their_own_in_both_languages(known: tuple[str, ...]) -> None:
    for language in LANGUAGES:
        said = [Clock("UTC", language).words(word) for word in known]
        assert len(set(said)) == len(known)
        assert not [word for word in said if "_" in word or (language == "zh" and word.isascii())]


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("{number} docs", {"number": "1"}, "1 doc"),
        ("{number} docs", {"number": "11"}, "11 docs"),
        ("{a} documents in {b} stories of {c} owners", {"a": 2, "b": 1, "c": 1}, "2 documents in 1 story of 1 owner"),
        ("{number} negative stories", {"number": 1}, "1 negative story"),
        ("{a} of {b} alerts were judged", {"a": 0, "b": 1}, "0 of 1 alerts were judged"),
        ("{title}: {number} documents", {"title": "1 stories", "number": 1}, "1 stories: 1 document"),
    ],
)
def test_one_of_a_thing_is_no_plural_in_english(text: str, values: dict[str, object], said: str) -> None:
    assert Clock("UTC").say(text, **values) == said


def test_chinese_has_no_plural_to_mind() -> None:
    assert Clock("UTC", "zh").say("{number} alerts", number=1) == "1 条预警"
