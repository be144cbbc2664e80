"""Times of an archive: zones, days, precision, and how a known time came about."""

from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import UsageError
from groundswell.records import RawDocument
from ingest.archives.plan import Plan, load_plan
from ingest.archives.read import ArchiveRow, read_archive
from tests import archives

HOUR = 3_600_000
DAY = 24 * HOUR
MARCH_1 = 1_772_323_200_000  # 2026-03-01T00:00:00Z


def row(tmp_path: Path, line: dict[str, Any], **options: Any) -> ArchiveRow:
    (only,) = read_archive(archives.write(tmp_path / "a.jsonl", [line]), **options)
    return only


def raw(tmp_path: Path, line: dict[str, Any], **options: Any) -> RawDocument:
    found = row(tmp_path, {"source": "Harbour Wire", "title": "Tin recovers"} | line, **options).raw
    assert found is not None
    return found


def error(tmp_path: Path, line: dict[str, Any], **options: Any) -> str:
    found = row(tmp_path, {"source": "Harbour Wire", "title": "Tin recovers"} | line, **options)
    assert found.raw is None
    return found.error or ""


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Asia/Shanghai", -8), ("America/New_York", 5)])
def test_a_day_ends_and_becomes_known_at_its_end_where_it_was_published(tmp_path: Path, zone: str, hours: int) -> None:
    found = raw(tmp_path, {"published_at": "2026-03-01"}, zone=zone)
    assert (found.published_ms, found.published_precision) == (MARCH_1 + DAY + hours * HOUR - 1, "day")
    assert (found.known_ms, found.known_basis) == (MARCH_1 + DAY + hours * HOUR, "assumed")


def test_a_day_on_which_clocks_are_changed_is_not_24_hours_long(tmp_path: Path) -> None:
    short = raw(tmp_path, {"published_at": "2026-03-08"}, zone="America/New_York")
    assert short.known_ms == MARCH_1 + 8 * DAY + 4 * HOUR  # begins at UTC-5, ends at UTC-4


def test_a_time_without_a_zone_is_in_the_given_one_and_a_time_with_its_own_keeps_it(tmp_path: Path) -> None:
    assert raw(tmp_path, {"published_at": "2026-03-01T08:00:00"}, zone="Asia/Shanghai").published_ms == MARCH_1
    assert raw(tmp_path, {"published_at": "2026-03-01T00:00:00Z"}, zone="Asia/Shanghai").published_ms == MARCH_1
    assert raw(tmp_path, {"known_at": "2026-03-01 08:00"}, zone="Asia/Shanghai").known_ms == MARCH_1


def test_a_source_may_have_a_zone_of_its_own(tmp_path: Path) -> None:
    zones = {"Caixin": "Asia/Shanghai"}
    assert raw(tmp_path, {"published_at": "2026-03-01T08:00", "source": "Caixin"}, zones=zones).published_ms == MARCH_1
    assert raw(tmp_path, {"published_at": "2026-03-01T08:00"}, zones=zones).published_ms == MARCH_1 + 8 * HOUR


@pytest.mark.parametrize("tier", [1, "1"])
def test_a_line_may_say_tier_and_role_of_its_source(tmp_path: Path, tier: int | str) -> None:
    said = raw(tmp_path, {"known_at": "2026-03-01T00:00:00Z", "tier": tier, "role": "regulator"})
    assert (said.tier, said.role) == (1, "regulator")
    silent = raw(tmp_path, {"known_at": "2026-03-01T00:00:00Z"})
    assert (silent.tier, silent.role) == (None, None)


@pytest.mark.parametrize(
    ("line", "said"), [({"tier": 5}, "tier must be 1"), ({"tier": "first"}, "tier must be 1"), ({"role": "oracle"}, "role must be one of")]
)
def test_a_tier_or_a_role_that_there_is_not_is_said(tmp_path: Path, line: dict[str, Any], said: str) -> None:
    assert said in error(tmp_path, {"known_at": "2026-03-01T00:00:00Z"} | line)


def test_a_clock_that_says_nothing_can_be_told_to_be_a_day(tmp_path: Path) -> None:
    found = raw(tmp_path, {"published_at": "2026-03-01T00:00:00+08:00", "published_precision": "day"})
    assert (found.published_ms, found.published_precision) == (MARCH_1 + 16 * HOUR - 1, "day")  # the day of its own zone
    assert raw(tmp_path, {"published_at": "2026-03-01T00:00:00Z", "published_precision": "minute"}).published_precision == "minute"


@pytest.mark.parametrize("basis", ["recorded", "claimed", "assumed"])
def test_a_known_time_keeps_what_the_archive_says_of_it(tmp_path: Path, basis: str) -> None:
    assert raw(tmp_path, {"known_at": "2026-03-01T00:00:00Z", "known_basis": basis}).known_basis == basis


def test_strict_reading_takes_no_known_time_that_was_assumed_before(tmp_path: Path) -> None:
    line = {"known_at": "2026-03-01T00:00:00Z", "known_basis": "assumed"}
    assert "was itself assumed" in error(tmp_path, line, strict=True)
    assert raw(tmp_path, line | {"known_basis": "recorded"}, strict=True).known_basis == "recorded"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ({"published_at": "2026-03-01", "published_precision": "hour"}, "published_precision must be one of second, minute, day"),
        ({"known_at": "2026-03-01", "known_basis": "guessed"}, "known_basis must be one of recorded, claimed, assumed"),
        ({"published_at": "9999-12-31"}, "the last day that there is"),
    ],
)
def test_words_and_days_that_there_are_not_make_a_bad_line(tmp_path: Path, line: dict[str, Any], rule: str) -> None:
    assert rule in error(tmp_path, line)


def test_what_every_line_has_need_not_stand_in_it_and_gives_way_where_it_does(tmp_path: Path) -> None:
    always = {"source": "Openfloor", "kind": "comment"}
    (bare,) = read_archive(archives.write(tmp_path / "b.jsonl", [{"title": "x", "published_at": "2026-03-01"}]), always=always)
    assert bare.raw is not None
    assert (bare.raw.source, bare.raw.kind) == ("Openfloor", "comment")
    assert raw(tmp_path, {"published_at": "2026-03-01", "kind": "report"}, always=always).kind == "report"
    table = tmp_path / "a.csv"
    table.write_text("headline,day\nTin recovers,2026-03-01\n", encoding="utf-8")
    (from_csv,) = read_archive(table, mapping={"title": "headline", "published_at": "day"}, always=always)
    assert from_csv.raw is not None
    assert from_csv.raw.source == "Openfloor"


@pytest.mark.parametrize("options", [{"zone": "Mars/Olympus"}, {"zones": {"x": "../etc/passwd"}}, {"always": {"headline": "x"}}])
def test_a_zone_or_field_that_there_is_not_is_a_usage_error(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"no such zone|no archive field"):
        read_archive(archives.write(tmp_path / "a.jsonl", [archives.a_line()]), **options)


# --- mapping files ----------------------------------------------------------------------------------------------------------
def test_a_mapping_file_says_columns_fixed_values_and_zones(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text('zone = "Asia/Shanghai"\n[columns]\ntitle = "headline"\n[always]\nkind = "news"\n[zones]\nFT = "Europe/London"\n')
    plan = Plan(columns={"title": "headline"}, always={"kind": "news"}, zone="Asia/Shanghai", zones={"FT": "Europe/London"})
    assert load_plan(path) == plan


@pytest.mark.parametrize("text", ["[column]\na = 'b'\n", "zone = 1\n", "[[", "[columns]\ntitle = 1\n"])
def test_a_mapping_file_that_says_something_else_is_an_error_that_names_what_it_may_hold(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"m\.toml: .*\[columns\], \[always\] and \[zones\]"):
        load_plan(path)
    with pytest.raises(UsageError, match="mapping file"):
        load_plan(tmp_path / "none.toml")
