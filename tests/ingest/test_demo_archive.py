"""The demo archive: the same bytes for a seed, and every plant where its description says."""

import csv
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import pytest

from groundswell.errors import UsageError
from ingest.archives.read import FIELDS, read_archive
from ingest.demo_archive import CATALOGUE, DEMO_END, SMALL_DEMO, DemoSpec, main, spec_lines, write_demo
from models.entities import Catalogue

Line = dict[str, str]
PLANTS = ("bank_run", "copy_storm", "silence", "drift", "strays")
BARE = DemoSpec(days=30, per_day=60, **dict.fromkeys(PLANTS, False))


@pytest.fixture(scope="module")
def small() -> list[Line]:
    return list(spec_lines(SMALL_DEMO, end=DEMO_END))


@pytest.fixture(scope="module")
def bare() -> list[Line]:
    return list(spec_lines(BARE, end=DEMO_END))


@pytest.fixture(scope="module")
def full() -> list[Line]:
    return list(spec_lines(DemoSpec(), end=DEMO_END))


def _known(line: Line) -> datetime:
    return datetime.fromisoformat(line["known_at"])


def _extra(spec: DemoSpec, bare: Iterable[Line]) -> list[Line]:
    return [line for line in spec_lines(spec, end=DEMO_END) if line not in bare]


def _only(plant: str) -> DemoSpec:
    return DemoSpec(days=30, per_day=60, **{name: name == plant for name in PLANTS})


def _pieces(line: Line) -> set[str]:
    text = re.sub(r"@\w+|\W+", " ", line["title"] + " " + line.get("text", "")).lower()
    size = 2 if line["language"] == "zh" else 4
    return {text[at : at + size] for at in range(len(text) - size + 1)}


def _alike(one: set[str], other: set[str]) -> bool:
    return 2 * len(one & other) >= len(one | other)


def _stories(lines: list[Line]) -> int:
    leaders: list[set[str]] = []
    for line in lines:
        pieces = _pieces(line)
        if not any(_alike(pieces, leader) for leader in leaders):
            leaders.append(pieces)
    return len(leaders)


def _packed_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the archive as a whole ----------------------------------------------------------------------------------------------
def test_a_seed_gives_the_same_bytes_twice_and_in_a_fresh_process(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl.gz", "b.jsonl.gz", "c.jsonl.gz")]
    write_demo(paths[0], SMALL_DEMO)
    write_demo(paths[1], SMALL_DEMO)
    command = [sys.executable, "-m", "ingest.demo_archive", str(paths[2]), "--days", "30", "--per-day", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CATALOGUE.parents[1])
    assert re.search(r"c\.jsonl\.gz: \d,\d{3} documents, \d{3},\d{3} bytes\n$", done.stdout)
    assert len({_packed_hash(path) for path in paths}) == 1


def test_another_seed_gives_other_lines(small: list[Line]) -> None:
    other = list(spec_lines(DemoSpec(days=30, per_day=60, seed=8), end=DEMO_END))
    assert len({line["title"] for line in other} & {line["title"] for line in small}) < len(other) / 10


def test_the_full_archive_holds_about_thirty_thousand_documents_in_under_two_megabytes(tmp_path: Path, full: list[Line]) -> None:
    count, size = write_demo(tmp_path / "demo.jsonl.gz")
    assert count == len(full)
    assert 28_500 < count < 31_500
    assert size < 2_000_000


def test_the_small_archive_holds_about_three_thousand(small: list[Line]) -> None:
    assert 2_700 < len(small) < 3_600


def test_every_line_reads_strictly_and_comes_in_known_order(tmp_path: Path, small: list[Line]) -> None:
    path = tmp_path / "small.jsonl.gz"
    write_demo(path, SMALL_DEMO)
    rows = list(read_archive(path, strict=True, not_after_ms=int(DEMO_END.timestamp() * 1000)))
    assert [row.error for row in rows if row.error] == []
    assert len(rows) == len(small)
    known = [row.raw.known_ms for row in rows if row.raw]
    assert known == sorted(known)  # type: ignore[type-var]
    assert all(row.raw.published_ms <= row.raw.known_ms for row in rows if row.raw)  # type: ignore[operator]


def test_lines_carry_archive_fields_only_and_so_no_label(small: list[Line]) -> None:
    assert {key for line in small for key in line} <= set(FIELDS)
    assert not any(re.search(r"plant|storm|drift|run|label|topic", line.get("id", "") + line.get("url", "")) for line in small)


def test_sources_differ_in_kind_language_owner_and_hours(full: list[Line]) -> None:
    news = {line["source"] for line in full if line["kind"] == "news"}
    comments = {line["source"] for line in full if line["kind"] == "comment"}
    assert len(news) >= 11
    assert len(comments) == 3
    assert {line["source"] for line in full if "author" in line} == comments - {"Openfloor"}
    share = Counter(line["language"] for line in full)
    assert 0.25 < share["zh"] / len(full) < 0.45
    peak = {
        source: Counter(_known(line).hour // 6 for line in full if line["source"] == source).most_common(1)[0][0]
        for source in ("Northgate Markets", "海岸早报", "The Ledger Daily")
    }
    assert len(set(peak.values())) == 3
    weekend = sum(_known(line).weekday() >= 5 for line in full) / len(full)
    assert 0.08 < weekend < 0.22


def test_documents_become_known_seconds_to_minutes_after_publication(full: list[Line]) -> None:
    lags = [(_known(line) - datetime.fromisoformat(line["published_at"])).total_seconds() for line in full if "T" in line["published_at"]]
    assert min(lags) >= 0
    late = sum(lag > 16 * 60 for lag in lags) / len(lags)
    assert 0.002 < late < 0.01
    assert sorted(lags)[len(lags) // 2] < 60


def test_everyday_texts_are_seldom_near_duplicates_unless_syndicated(bare: list[Line]) -> None:
    for company in ("Linlan Bank", "Orrin Motors", "临澜银行", "奥棱汽车"):
        lines = [line for line in bare if company in line["title"]]
        heads = Counter(line["title"].split(" - ")[0] for line in lines)
        originals = [line for line in lines if heads[line["title"].split(" - ")[0]] == 1]
        assert len(originals) > 15
        assert _stories(originals) > 0.9 * len(originals)


def test_some_stories_are_syndicated_word_for_word(bare: list[Line]) -> None:
    outlets: dict[tuple[str, str], set[str]] = {}
    for line in bare:
        if line["kind"] == "news":
            outlets.setdefault((line["title"].split(" - ")[0], line.get("text", "")), set()).add(line["source"])
    spread = [len(sources) for sources in outlets.values() if len(sources) > 1]
    assert len(spread) > 10
    assert max(spread) <= 4


# --- the plants ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("plant", PLANTS)
def test_switching_a_plant_off_leaves_every_other_line_as_it_was(plant: str, small: list[Line]) -> None:
    without = list(spec_lines(DemoSpec(days=30, per_day=60, **{plant: False}), end=DEMO_END))
    one, other = ({tuple(line.items()) for line in lines} for lines in (small, without))
    assert (one < other) if plant == "silence" else (other < one)


def test_the_bank_run_has_many_stories_owners_and_both_languages(bare: list[Line]) -> None:
    run = _extra(_only("bank_run"), bare)
    assert len(run) >= 100
    assert all(re.search(r"Linlan|临澜|LNLBQ", line["title"]) for line in run)
    assert min(Counter(line["language"] for line in run).values()) > 20
    assert len({line.get("author", line["source"]) for line in run}) >= 30
    assert len({line["source"] for line in run if line["kind"] != "comment"}) >= 8
    assert sum(_stories([line for line in run if line["language"] == language]) for language in ("en", "zh")) >= 40


def test_the_bank_run_builds_for_six_hours_and_ends_five_minutes_before_the_end(bare: list[Line]) -> None:
    run = _extra(_only("bank_run"), bare)
    times = sorted(DEMO_END - _known(line) for line in run)
    assert timedelta(minutes=5) <= times[0] <= timedelta(minutes=12)
    assert timedelta(hours=4, minutes=30) < times[-1] <= timedelta(hours=6)
    assert sum(left > timedelta(hours=1) for left in times) > 0.6 * len(times)
    assert sum(left < timedelta(hours=3) for left in times) > 0.6 * len(times)


def test_the_copy_storm_is_one_text_from_four_hundred_accounts_in_two_hours(bare: list[Line]) -> None:
    storm = _extra(_only("copy_storm"), bare)
    assert len({line["author"] for line in storm}) == len({line["id"] for line in storm}) == len(storm) == 400
    known = [_known(line) for line in storm]
    assert DEMO_END - timedelta(days=4, hours=2) <= min(known)
    assert max(known) <= DEMO_END - timedelta(days=4)
    assert len({line["title"] for line in storm}) > 15
    pieces = list({frozenset(_pieces(line)) for line in storm})
    assert all(_alike(set(one), set(other)) for one, other in combinations(pieces, 2))


def test_the_silent_source_is_gone_for_twelve_days_and_returns_at_its_old_rate(full: list[Line]) -> None:
    ages = [(DEMO_END - datetime.fromisoformat(line["published_at"])).days for line in full if line["source"] == "Brightline Releases"]
    per_day = Counter(ages)
    assert not any(per_day[age] for age in range(8, 20))
    before = sum(per_day[age] for age in range(20, 34)) / 14
    after = sum(per_day[age] for age in range(7)) / 7
    assert before > 40
    assert 0.8 < after / before < 1.25


def test_the_drift_grows_sixteenfold_without_a_jump(full: list[Line]) -> None:
    without = {tuple(line.items()) for line in spec_lines(DemoSpec(drift=False), end=DEMO_END)}
    drift = [line for line in full if tuple(line.items()) not in without]
    assert all(re.search(r"Castellan Homes|卡垣置业|CSTHQ", line["title"]) for line in drift)
    ages = Counter((DEMO_END - _known(line)).days for line in drift)
    assert max(ages) <= 40
    quarters = [sum(ages[age] for age in range(start, start + 10)) for start in (30, 20, 10, 0)]
    assert quarters == sorted(quarters)
    assert 5 < quarters[-1] / quarters[0] < 15  # 16 ** .75 = 8
    assert max(Counter(line["known_at"][:13] for line in drift).values()) <= 8


def test_edits_repeats_and_unknown_languages_give_the_balance_its_terms(bare: list[Line]) -> None:
    strays = _extra(_only("strays"), bare)
    foreign = [line for line in strays if line["language"] not in ("en", "zh")]
    assert sorted(line["language"] for line in foreign) == ["fi", "th"]
    first = {line.get("id") or line["url"]: line for line in bare if "id" in line or "url" in line}
    again = [(line, first[line.get("id") or line["url"]]) for line in strays if line not in foreign]
    assert len(again) == 12
    assert all(_known(later) > _known(earlier) and later["title"] == earlier["title"] for later, earlier in again)
    assert sum(later["text"] == earlier["text"] for later, earlier in again) == 6
    assert max(_known(line) for line in strays) < DEMO_END - timedelta(days=1)


def test_only_strays_share_an_id_or_an_address(full: list[Line]) -> None:
    seen = Counter((line["source"], line.get("id") or line["url"]) for line in full if "id" in line or "url" in line)
    assert sum(times - 1 for times in seen.values()) == 12


# --- around it -----------------------------------------------------------------------------------------------------------
def test_the_demo_catalogue_adds_twenty_five_companies_and_finds_each_in_both_languages() -> None:
    catalogue = Catalogue.load(extra=[CATALOGUE])
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["entity_id"] for row in rows}) == 25
    for row in rows:
        for text in (f"Buyers like {row['name_en']} today", f"市场关注{row['name_zh']}的公告", f"watching ${row['tickers']} now"):
            assert [mention.entity_id for mention in catalogue.find(text)] == [row["entity_id"]], text


def test_the_end_can_be_moved_and_everything_moves_with_it(small: list[Line]) -> None:
    end = DEMO_END + timedelta(days=7)
    moved = list(spec_lines(SMALL_DEMO, end=end))
    assert [_known(line) - timedelta(days=7) for line in moved] == [_known(line) for line in small]
    assert [line["title"] for line in moved] == [line["title"] for line in small]


@pytest.mark.parametrize(
    ("spec", "end"),
    [
        (DemoSpec(days=27), DEMO_END),
        (DemoSpec(per_day=0), DEMO_END),
        (DemoSpec(), datetime(2026, 6, 30)),  # noqa: DTZ001 (the missing zone is the point)
    ],
)
def test_an_impossible_specification_is_a_usage_error(spec: DemoSpec, end: datetime) -> None:
    with pytest.raises(UsageError, match="demo archive: days must be at least 28"):
        spec_lines(spec, end=end)


def test_the_command_writes_the_file_and_says_how_much_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl.gz"
    end = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert main([str(path), "--days", "28", "--per-day", "20", "--end", end.isoformat()]) == 0
    rows = list(read_archive(path))
    assert capsys.readouterr().out.startswith(f"{path}: {len(rows):,} documents, {path.stat().st_size:,} bytes")
    assert rows[-1].raw is not None
    assert rows[-1].raw.known_ms is not None
    assert 0 <= int(end.timestamp() * 1000) - rows[-1].raw.known_ms < 7_200_000
