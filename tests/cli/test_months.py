"""`groundswell months`: what it prints, what it refuses, and that a dry run changes nothing."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from groundswell.cli import root
from groundswell.errors import UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b

LATER_DAYS = 160


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live run of September and October, and of February, months later."""
    folder = tmp_path_factory.mktemp("months")
    archive = b.an_archive(3, records=60)
    later = [(record[0] + LATER_DAYS * DAY_MS, *record[1:]) for record in b.an_archive(7, records=20)]
    with closing(Store(str(folder / "s.db"))) as store, b.fill(LocalLog(folder / "log"), [*archive, *later]) as log:
        open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments())
        while pipeline.step():
            pass
        pipeline.finish()
    return folder / "s.db"


@pytest.fixture
def store(store_path: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy that a test may change."""
    copy = tmp_path / "s.db"
    copy.write_bytes(store_path.read_bytes())
    with closing(Store(str(copy))) as opened:
        yield opened


def months(store: Store, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(root, ["months", *arguments, "--store", store.url], input=typed)


def listed(store: Store) -> dict[str, dict[str, object]]:
    answer = months(store, "list", "--format", "jsonl")
    assert answer.exit_code == 0, answer.output
    return {row["month"]: row for row in map(json.loads, answer.output.splitlines())}


def admissions(store: Store) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(t.admissions)).scalar_one()


def test_months_are_listed_dropped_and_listed_as_dropped(store: Store) -> None:
    before = listed(store)
    assert list(before) == ["2026-09", "2026-10", "2027-02", "2027-03"]
    answer = months(store, "drop", "--before", "2026-11", "--yes")
    assert answer.exit_code == 0, answer.output
    assert "2026-09 dropped: " in answer.output
    assert "2026-10 dropped: " in answer.output
    after = listed(store)
    assert (after["2026-09"]["increments"], after["2027-02"]) == (0, before["2027-02"])
    assert after["2026-09"]["dropped"]
    assert "nothing of the live run lies before 2026-11" in months(store, "drop", "--before", "2026-11").output


def test_a_dry_run_says_what_would_go_and_changes_nothing(store: Store) -> None:
    before = admissions(store)
    answer = months(store, "drop", "--before", "2026-10", "--dry-run")
    assert answer.exit_code == 0, answer.output
    assert "2026-09" in answer.output
    assert "These lie before 2026-10-01T00:00:00Z." in answer.output
    assert admissions(store) == before


def test_nothing_goes_without_a_yes(store: Store) -> None:
    before = admissions(store)
    assert months(store, "drop", "--before", "2026-10", typed="n\n").exit_code == 1
    assert admissions(store) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--before", "2026-13"], "--before '2026-13': not a month; write it as 2025-11"),
        (["--before", "2027-01"], "looks back 113 days; give 2026-11 or an earlier month"),
        ([], "give either --before 2025-11 or --keep 24"),
        (["--before", "2026-10", "--keep", "3"], "give either --before 2025-11 or --keep 24"),
    ],
)
def test_what_is_no_month_or_still_needed_is_refused_with_the_next_step(store: Store, arguments: list[str], said: str) -> None:
    answer = months(store, "drop", *arguments)
    assert isinstance(answer.exception, UsageError) or answer.exit_code == 2
    assert said in answer.output + str(answer.exception)


def test_sqlite_has_nothing_to_prepare(store: Store) -> None:
    assert months(store, "prepare").output == "SQLite has no partitions: nothing to prepare.\n"
