"""A CSV of counts through the volume detector."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.rules import load_rules
from alerts.volume_file import detect_lines
from groundswell.errors import UsageError

PROFILES = load_rules().volume
BEGIN = datetime(2026, 3, 2, 0, 2, 53, tzinfo=UTC)


def lines(values: list[int], *, step_s: int = 300, begin: datetime = BEGIN) -> list[str]:
    stamps = (begin + timedelta(seconds=step_s * number) for number in range(len(values)))
    return ["timestamp,value\n", *(f"{stamp:%Y-%m-%d %H:%M:%S},{value}\n" for stamp, value in zip(stamps, values, strict=True))]


def detected(given: list[str], *, profile: str = "nab", step_s: int | None = None) -> tuple[list[str], list[str]]:
    bad: list[str] = []
    return list(detect_lines(given, PROFILES[profile], name="counts.csv", step_s=step_s, report=bad.append)), bad


VALUES = [number * 7 % 11 + (60 if number in (300, 301, 302) else 0) for number in range(600)]


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_row_comes_back_as_it_was_with_a_score_and_an_alert(profile: str) -> None:
    found, bad = detected(lines(VALUES), profile=profile)

    assert bad == []
    assert found[0] == "timestamp,value,score,alert\n"
    assert [line.rsplit(",", 2)[0] for line in found[1:]] == [line.strip() for line in lines(VALUES)[1:]]
    assert {line.strip().rsplit(",", 1)[1] for line in found[1:]} <= {"0", "1"}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_file_cut_after_a_row_gives_the_same_rows_up_to_there(profile: str) -> None:
    gap_first = [*lines(VALUES)[:2], *lines(VALUES)[3:]]
    whole, _ = detected(gap_first, profile=profile)

    for cut in (1, 2, 3, 4, 13, 14, 301, 302, 599):
        assert detected(gap_first[:cut], profile=profile)[0] == whole[:cut]


def test_rows_are_judged_as_they_come() -> None:
    given = iter(lines(VALUES))
    found = detect_lines(given, PROFILES["nab"], name="-", step_s=None, report=pytest.fail)

    assert next(found).startswith("timestamp")
    assert next(found).startswith("2026-03-02 00:02:53,0,")
    assert next(given).startswith("2026-03-02 00:07:53")  # nobody had read it yet


def test_a_gap_before_the_second_row_does_not_decide_how_long_a_step_is() -> None:
    gap_first, _ = detected([*lines(VALUES)[:2], *lines(VALUES)[3:]])
    given, _ = detected([*lines(VALUES)[:2], *lines(VALUES)[3:]], step_s=300)

    assert gap_first[3:] == given[3:]


def test_a_gap_is_no_bad_line() -> None:
    given = lines(VALUES)
    found, bad = detected(given[:200] + given[260:])

    assert bad == []
    assert len(found) == len(given) - 60


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("yesterday,4\n", "'yesterday' is no time; write ISO 8601"),
        ("2026-03-02 23:12:53\n", "1 columns where the header has more"),
        ("2026-03-02 23:12:53,\n", "'' is no count; write a whole number"),
        ("2026-03-02 23:12:53,-4\n", "'-4' is no count"),
        ("2026-03-02 23:12:53,1.5\n", "'1.5' is no count"),
        ("2026-03-02 23:12:53,nan\n", "'nan' is no count"),
        ("2026-03-02 23:12:53,1e300\n", "'1e300' is no count"),
        ("2026-03-02 00:12:53,4\n", "not later than the row before it; sort the file"),
        ("2026-03-02 23:04:00,4\n", "less than half a step of 300 s after the row before it"),
    ],
)
def test_a_bad_line_is_reported_with_its_place_and_left_out(line: str, reason: str) -> None:
    given = lines(VALUES)
    place = 278
    assert given[place - 1].startswith("2026-03-02 23:02:53")
    without, _ = detected(given[:place] + given[place + 1 :])
    found, bad = detected([*given[:place], line, *given[place + 1 :]])

    assert found == without
    (said,) = bad
    assert said.startswith(f"counts.csv:{place + 1}: ")
    assert reason in said


def test_whole_numbers_may_be_written_as_decimals_times_with_a_zone_and_further_columns_stay_out() -> None:
    plain, _ = detected(lines([4, 5, 6]))
    rich = ["id,Timestamp, value\n"] + [f"{i},2026-03-02T0{1 + i // 60}:0{2 + 5 * i}:53+01:00,{4 + i}.0\n" for i in range(2)]
    found, bad = detected(rich)

    assert bad == []
    assert [line.split(",")[2:] for line in found] == [line.split(",")[2:] for line in plain[:3]]


def test_a_header_without_the_columns_says_what_to_write() -> None:
    with pytest.raises(
        UsageError, match=r"counts.csv:1: no column 'value'; the first line has to name the columns, at least timestamp,value"
    ):
        detected(["timestamp,count\n", "2026-03-02,4\n"])
    with pytest.raises(UsageError, match=r"no column 'timestamp'"):
        detected([])
