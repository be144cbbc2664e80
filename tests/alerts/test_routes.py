"""Routes: who is told, when, and what a mistake in the file is called."""

from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.routes import Due, Reader, Routes, day_began_ms, digest_ms, is_quiet, parse_routes, routes_of
from alerts.rules import load_rules
from alerts.toml_lines import line_of
from groundswell.errors import SettingsError
from tests.alerts.alert_factory import an_alert

SHANGHAI = "Asia/Shanghai"


def at(text: str, tz: str = SHANGHAI) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp() * 1_000)


TUESDAY_NOON, TUESDAY_NIGHT = at("2026-11-17T12:00"), at("2026-11-17T23:30")


def a_reader(**overrides: Any) -> Reader:
    return msgspec.convert({"name": "anna", "tz": SHANGHAI, "mail": ("anna@bank.example",)} | overrides, Reader)


def told(reader: Reader, *, now_ms: int = TUESDAY_NOON, pinged: int = 0, **alert: Any) -> list[tuple[str, str, int]]:
    due = routes_of(an_alert(**alert), Routes(reader=(reader,)), now_ms, pinged={"anna": pinged})
    return [(one.target, one.how, one.not_before_ms) for one in due]


NOW = [("mail:anna", "now", 0)]


# --- who ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "alert", "hears"),
    [
        ({}, {}, True),
        ({"series": ("entity:LINLAN",)}, {}, True),
        ({"series": ("topic:debt_credit:*",)}, {}, True),
        ({"series": ("entity:OTHER",)}, {}, False),
        ({"series": ()}, {}, False),
        ({"series": ("entity:*", "!entity:LINLAN")}, {"all_series": ["entity:LINLAN"]}, False),
        ({"series": ("*", "!topic:*")}, {}, True),
        ({"series": ("watch:tier-2",)}, {"all_series": ["entity:LINLAN", "watch:tier-2"]}, True),
        ({"series": ("flag:*:SVB",)}, {"series": "flag:default_bankruptcy:SVB", "all_series": []}, True),
        ({"series": ("entity:SVB",)}, {"series": "word:denial:SVB", "all_series": ["word:denial:SVB"]}, True),
        ({"series": ("entity:OTHER",)}, {"series": "word:denial:SVB", "all_series": ["word:denial:SVB"]}, False),
        ({"series": ("entity:linlan",)}, {}, False),
        ({"kinds": ("sighting",)}, {}, False),
        ({"kinds": ("sighting", "surge")}, {}, True),
        ({"severity": "high"}, {"severity": "medium"}, False),
        ({"severity": "medium"}, {"severity": "medium"}, True),
    ],
)
def test_a_reader_hears_of_what_they_asked_for(asked: dict[str, Any], alert: dict[str, Any], hears: bool) -> None:
    assert told(a_reader(**asked), **alert) == (NOW if hears else [])


def test_each_target_of_a_reader_gets_its_own_message() -> None:
    reader = a_reader(slack="C012", teams_url_env="TEAMS", console=True)
    assert [target for target, _, _ in told(reader)] == ["console:anna", "mail:anna", "slack:anna", "teams:anna"]


# --- when -----------------------------------------------------------------------------------------------------------------------
def test_what_is_not_loud_enough_waits_for_the_digest() -> None:
    reader = a_reader(at_once="high", digest_at="08:00")
    assert told(reader, severity="medium") == [("mail:anna", "digest", at("2026-11-18T08:00"))]
    assert told(reader, severity="high") == NOW


def test_quiet_hours_hold_until_they_end_where_the_reader_is() -> None:
    reader = a_reader(quiet="22:00-07:00")
    assert told(reader, now_ms=TUESDAY_NIGHT) == [("mail:anna", "digest", at("2026-11-18T07:00"))]
    assert told(reader, now_ms=at("2026-11-18T06:59")) == [("mail:anna", "digest", at("2026-11-18T07:00"))]
    assert told(reader, now_ms=at("2026-11-18T07:00")) == NOW
    assert told(reader, now_ms=at("2026-11-17T21:59")) == NOW


def test_a_high_one_goes_through_quiet_hours_only_if_the_reader_lets_it() -> None:
    assert told(a_reader(quiet="22:00-07:00", through_quiet="high"), now_ms=TUESDAY_NIGHT, severity="high") == NOW
    assert told(a_reader(quiet="22:00-07:00", through_quiet="high"), now_ms=TUESDAY_NIGHT, severity="medium") != NOW
    assert told(a_reader(quiet="22:00-07:00"), now_ms=TUESDAY_NIGHT, severity="high") != NOW


def test_a_quiet_weekend_ends_on_monday_when_the_quiet_hours_do() -> None:
    reader = a_reader(quiet="22:00-07:00", quiet_days=("sat", "sun"))
    assert told(reader, now_ms=at("2026-11-21T12:00")) == [("mail:anna", "digest", at("2026-11-23T07:00"))]
    assert told(a_reader(quiet_days=("sat", "sun")), now_ms=at("2026-11-21T12:00")) == [("mail:anna", "digest", at("2026-11-23T00:00"))]


def test_over_the_readers_number_of_pings_the_rest_waits_and_updates_are_not_counted() -> None:
    reader = a_reader(pings_a_day=3)
    assert told(reader, pinged=2) == NOW
    assert told(reader, pinged=3) == [("mail:anna", "digest", at("2026-11-18T08:00"))]
    assert told(reader, pinged=3, update=1) == NOW
    assert told(a_reader(pings_a_day=0)) != NOW


def test_a_digest_time_within_quiet_days_moves_to_the_next_day_that_is_not() -> None:
    reader = a_reader(quiet_days=("sat", "sun"), digest_at="08:00")
    assert digest_ms(reader, at("2026-11-20T09:00")) == at("2026-11-23T08:00")


def test_a_day_of_23_hours_has_its_digest_at_its_own_eight_o_clock() -> None:
    berlin = a_reader(tz="Europe/Berlin", quiet="22:00-07:00")
    saturday_night = at("2026-03-28T23:00", "Europe/Berlin")
    assert told(berlin, now_ms=saturday_night) == [("mail:anna", "digest", at("2026-03-29T07:00", "Europe/Berlin"))]
    assert digest_ms(berlin, saturday_night) == at("2026-03-29T08:00", "Europe/Berlin")
    assert at("2026-03-29T07:00", "Europe/Berlin") - saturday_night == 7 * 3_600_000


@given(
    now_ms=st.integers(1_700_000_000_000, 1_900_000_000_000),
    tz=st.sampled_from(["UTC", SHANGHAI, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    quiet=st.sampled_from([None, "22:00-07:00", "00:00-08:00", "12:00-13:30", "23:59-00:01"]),
    days=st.sampled_from([(), ("sat", "sun"), ("mon",)]),
    severity=st.sampled_from(["low", "medium", "high"]),
)
def test_whatever_waits_waits_for_a_moment_to_come_that_is_not_quiet(
    now_ms: int, tz: str, quiet: str | None, days: tuple[str, ...], severity: str
) -> None:
    reader = a_reader(tz=tz, quiet=quiet, quiet_days=days, at_once="medium", digest_at="09:30")
    ((_, how, not_before_ms),) = told(reader, now_ms=now_ms, severity=severity)
    assert how in ("now", "digest")
    if how == "now":
        assert not is_quiet(reader, now_ms)
        assert severity != "low"
    else:
        assert now_ms < not_before_ms <= now_ms + 4 * 86_400_000
        assert not is_quiet(reader, not_before_ms)
    assert 0 <= now_ms - day_began_ms(reader, now_ms) < 25 * 3_600_000


# --- escalation -----------------------------------------------------------------------------------------------------------------
HEAD = msgspec.convert({"name": "head", "mail": ("head@bank.example",), "series": (), "quiet": "00:00-23:59"}, Reader)


def escalated(reader: Reader, **alert: Any) -> list[Due]:
    return [d for d in routes_of(an_alert(**alert), Routes(reader=(reader, HEAD)), TUESDAY_NOON) if d.how == "escalation"]


def test_what_nobody_acknowledges_goes_to_somebody_else_even_in_their_quiet_hours() -> None:
    reader = a_reader(escalation={"after_min": 15, "to": ("mail:head",)})
    (one,) = escalated(reader, severity="high")
    assert (one.target, one.reader, one.not_before_ms) == ("mail:head", "head", TUESDAY_NOON + 15 * 60_000)
    assert escalated(reader, severity="medium") == []
    assert escalated(reader, severity="high", update=1) == []


def test_what_waits_for_a_digest_is_not_escalated() -> None:
    assert escalated(a_reader(pings_a_day=0, escalation={"after_min": 15, "to": ("mail:head",)}), severity="high") == []


def test_who_is_told_at_once_is_not_told_again_by_escalation() -> None:
    reader = a_reader(escalation={"after_min": 15, "to": ("mail:anna",)})
    assert [d.how for d in routes_of(an_alert(), Routes(reader=(reader,)), TUESDAY_NOON)] == ["now"]


# --- the file -------------------------------------------------------------------------------------------------------------------
def test_the_example_is_right_and_means_what_it_says() -> None:
    text = resources.files("alerts").joinpath("routes.toml").read_text(encoding="utf-8")
    routes = parse_routes(text, place="alerts/routes.toml")
    assert [reader.name for reader in routes.reader] == ["anna", "risk", "head", "tickets"]
    assert routes.secret_variables == ("TICKETS_URL", "TICKETS_SECRET")
    due = routes_of(an_alert(severity="high"), routes, TUESDAY_NOON)
    assert [(d.target, d.how) for d in due] == [
        ("mail:anna", "now"), ("mail:head", "escalation"), ("slack:risk", "now"), ("webhook:tickets", "now"),
    ]  # fmt: skip
    for key in Reader.__struct_fields__:
        assert key in text, "an example shows every key"


GOOD = '[[reader]]\nname = "anna"\nmail = ["a@b.example"]\n\n[[reader]]\nname = "risk"\nslack = "C01"\n'


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ('quiet_hours = "22:00-07:00"', "r.toml:8: reader.1.quiet_hours: there is no such key, did you mean 'quiet_days'?"),
        ('severity = "hihg"', "r.toml:8: reader.1.severity: Invalid enum value 'hihg': 'hihg'"),
        ('tz = "Asia/Shangai"', "r.toml:8: reader.1.tz: there is no zone 'Asia/Shangai', did you mean 'Asia/Shanghai'?"),
        ('quiet = "22-7"', "r.toml:8: reader.1.quiet: Expected `str` matching regex"),
        ("pings_a_day = -1", "r.toml:8: reader.1.pings_a_day: Expected `int` >= 0: -1"),
        ('[reader.escalation]\nafter = 5\nto = ["mail:anna"]', "r.toml:9: reader.1.escalation.after: there is no such key"),
        ('[reader.escalation]\nafter_min = 5\nto = ["mail:ana"]', "r.toml:10: reader.1.escalation.to: there is no target 'mail:ana', did"),
        ('[[reader]]\nname = "anna"\nconsole = true', "r.toml:9: reader.2.name: 'anna' is another reader's name"),
        ('[[reader]]\nname = "nobody"', "r.toml:9: reader.2.name: 'nobody' is told nowhere"),
        ('webhook_url_env = "X"', "r.toml:5: reader.1.webhook_secret_env: webhook_url_env needs webhook_secret_env"),
        ('quiet = "07:00-07:00"', "r.toml:8: reader.1.quiet: begins when it ends"),
        ('quiet_days = ["mon","tue","wed","thu","fri","sat","sun"]', "r.toml:8: reader.1.quiet_days: every day is quiet"),
        ('[raeder]\nname = "x"', "r.toml:8: raeder: there is no such key, did you mean 'reader'?"),
        ("severity = ", "r.toml: is not TOML: Invalid value (at line 8"),
        ('mail = ["a b@c"]', "r.toml:8: reader.1.mail.0: Expected `str` matching regex"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_its_key_and_what_is_nearest(extra: str, said: str) -> None:
    parse_routes(GOOD, place="r.toml")
    with pytest.raises(SettingsError) as caught:
        parse_routes(GOOD + extra + "\n", place="r.toml")
    assert str(caught.value).startswith(said), str(caught.value)
    assert "; " in str(caught.value), "and says what to do"


def test_an_empty_file_is_a_mistake_and_not_nobody() -> None:
    with pytest.raises(SettingsError, match=r"r\.toml:1: the file: Object missing required field `reader`"):
        parse_routes("", place="r.toml")


def test_the_rules_file_names_its_mistakes_alike(tmp_path: Path) -> None:
    text = resources.files("alerts").joinpath("rules.toml").read_text(encoding="utf-8")
    path = tmp_path / "rules.toml"
    path.write_text(text.replace("budget_per_day", "budget_a_day", 1))
    number = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith("budget_a_day"))
    with pytest.raises(SettingsError) as caught:
        load_rules(path)
    assert str(caught.value).startswith(f"{path}:{number}: desk.budget_a_day: there is no such key, did you mean 'budget_per_day'?")


def test_a_line_is_found_in_tables_lists_and_quoted_keys() -> None:
    text = '[a]\n"b c" = 1\n[[d.e]]\nf = 2\n[[d.e]]\n  f = 3\n[d.e.g]\nh = 4\n'
    assert [line_of(text, path) for path in (("a", "b c"), ("d", "e", 1, "f"), ("d", "e", 1, "g", "h"), ("z",))] == [2, 6, 8, 1]
