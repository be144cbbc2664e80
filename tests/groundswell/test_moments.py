"""Times as people write them: what a day is, in every way of writing it and in every zone."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from groundswell.errors import UsageError
from groundswell.moments import duration_ms, time_ms

NEW_YORK = ZoneInfo("America/New_York")


def shown(ms: int, zone: tzinfo = UTC) -> str:
    return datetime.fromtimestamp(ms / 1_000, zone).isoformat()


@pytest.mark.parametrize("day", ["2026-11-23", "20261123", "2026-W48-1", "2026W481"])
def test_a_bare_day_is_its_first_moment_and_as_an_end_the_next_days_however_it_is_written(day: str) -> None:
    assert shown(time_ms(day, name="--from")) == "2026-11-23T00:00:00+00:00"
    assert shown(time_ms(day, name="--to", end=True)) == "2026-11-24T00:00:00+00:00"


@pytest.mark.parametrize("text", ["2026-11-23T10", "20261123T1005", "2026-11-23T10:05:00+08:00"])
def test_a_time_of_day_ends_a_span_at_itself(text: str) -> None:
    assert time_ms(text, name="--to", end=True) == time_ms(text, name="--from")


@pytest.mark.parametrize(("day", "next_day"), [("2026-03-08", "2026-03-09T00:00:00-04:00"), ("2026-11-01", "2026-11-02T00:00:00-05:00")])
def test_a_day_on_which_the_clocks_change_ends_at_midnight(day: str, next_day: str) -> None:
    assert shown(time_ms(day, name="--to", end=True, zone=NEW_YORK), NEW_YORK) == next_day


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "9999-12-31"])
def test_what_is_no_time_or_ends_behind_the_last_day_is_an_error_of_use(text: str) -> None:
    with pytest.raises(UsageError, match=r"--to .*: not a time; write 2026-11-23"):
        time_ms(text, name="--to", end=True)


@pytest.mark.parametrize("text", ["", "m", "0h", "1w", "-1h", "1.5h", "1234567d", "1h\n", "١h"])
def test_what_is_no_span_is_an_error_of_use_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match=r"window .*: not a span of time; write 90s, 15m, 1h or 1d"):
        duration_ms(text, name="window")
