"""A span cut out of an archive must read as blind, and may not alert when the sources come back."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from groundswell.codec import encode
from groundswell.records import Alert
from groundswell.store.query import alerts_of, hour_exposures
from groundswell.store.store import Store
from ingest.demo_archive import CATALOGUE, DEMO_END, SMALL_DEMO, spec_lines
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.instruments import Instruments, load_instruments

Line = dict[str, str]
MONDAY = datetime(2026, 6, 22, 6, tzinfo=UTC)
# Begin, length, and what is left to see of the usual volume: the small archive's sources are sparse, and a source that
# speaks every other hour is not missed after six hours, and one that speaks twice a day not after two days.
CUTS = [
    (MONDAY, timedelta(hours=6), 1_000_000),
    (datetime(2026, 6, 17, tzinfo=UTC), timedelta(days=1), 900_000),
    (datetime(2026, 6, 19, tzinfo=UTC), timedelta(days=3), 750_000),
    (datetime(2026, 6, 19, tzinfo=UTC), timedelta(days=7), 150_000),
]


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    return load_instruments(catalogues=[CATALOGUE], use="linear")


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return list(spec_lines(SMALL_DEMO, end=DEMO_END))


def known(line: Line) -> datetime:
    return datetime.fromisoformat(line["known_at"])


def run(lines: Iterator[Line] | list[Line], folder: Path, instruments: Instruments) -> tuple[Store, list[Alert]]:
    folder.mkdir()
    file = folder / "archive.jsonl"
    file.write_bytes(b"".join(encode(line) + b"\n" for line in lines))
    store = Store(str(folder / "cut.db"))
    done = backfill([file], store, "cut", instruments, data_dir=folder, options=ArchiveOptions())
    assert not [row for row in done.rows if row.balance]
    with store.read() as connection:
        return store, alerts_of(connection, "cut")


@pytest.fixture(scope="module")
def uncut(lines: list[Line], instruments: Instruments, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return {alert.series for alert in run(lines, tmp_path_factory.mktemp("uncut") / "all", instruments)[1]}


@pytest.mark.parametrize(("begin", "length", "left_ppm"), CUTS, ids=["a Monday morning", "a day", "three days", "a week"])
def test_a_cut_is_blind_and_its_end_alerts_nothing_new(
    begin: datetime, length: timedelta, left_ppm: int, lines: list[Line], uncut: set[str], instruments: Instruments, tmp_path: Path
) -> None:
    kept = [line for line in lines if not begin <= known(line) < begin + length]
    assert len(kept) < len(lines) - 10
    store, alerts = run(kept, tmp_path / "cut", instruments)
    end_ms = round((begin + length).timestamp() * 1000)
    after = [alert for alert in alerts if end_ms <= alert.opened_ms < end_ms + 86_400_000 and alert.series not in uncut]
    assert after == []
    with store.read() as connection:
        exposures = hour_exposures(connection, "cut", "", start_ms=end_ms - round(length.total_seconds() * 250), end_ms=end_ms - 3_600_000)
    assert exposures
    assert max(exposures.values()) < left_ppm


def test_the_order_of_an_archives_lines_does_not_matter(lines: list[Line], instruments: Instruments, tmp_path: Path) -> None:
    shuffled = list(lines)
    random.Random(5).shuffle(shuffled)
    alerts = [run(given, tmp_path / name, instruments)[1] for name, given in (("sorted", lines), ("shuffled", shuffled))]
    assert alerts[0] == alerts[1] != []
