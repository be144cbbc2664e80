"""Documents that give only their day: they stand at its end, lead to no surge of an hour, and are in no window shorter than a day."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from groundswell.names import DAY_MS, HOUR_MS
from groundswell.store import schema as t
from groundswell.store.query import series_windows
from groundswell.store.store import Store
from stream.shells.backfill import ArchiveOptions, backfill
from tests import archives
from tests import builders as b

RUN, SERIES = "r1", "entity:aldora"
NOT_AFTER_MS = b.T0_MS + 300 * DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def play(store: Store, folder: Path, *, day: bool, zone: str = "UTC") -> None:
    """Quiet weeks, and then twenty negative stories on one day: all known at its end, as days are."""
    words = b.WORDS.split()
    rows: list[dict[str, Any] | bytes] = [
        archives.a_line(
            id=f"q{n}",
            title=f"Aldora sales calm {words[n % 20]} {n}",
            published_at=f"2026-09-{1 + n:02d}T12:00:00Z",
            known_at=f"2026-09-{1 + n:02d}T12:01:00Z",
        )
        for n in range(24)
    ]
    rows += [
        archives.a_line(
            id=f"d{n}",
            source=f"wire{n % 6}",
            title=f"Aldora debt fraud {' '.join(words[n : n + 9])}",
            published_at="2026-09-25" if day else "2026-09-25T23:59:59Z",
            known_at=None if day else "2026-09-26T00:00:00Z",
        )
        for n in range(20)
    ]
    rows.append(
        archives.a_line(id="end", title="Aldora sales calm again", published_at="2026-09-28T12:00:00Z", known_at="2026-09-28T12:01:00Z")
    )
    options = ArchiveOptions(not_after_ms=NOT_AFTER_MS, zone=zone)
    backfill([archives.write(folder / "a.jsonl", rows)], store, RUN, b.instruments(), data_dir=folder / "data", options=options)


def windows_of_candidates(store: Store) -> set[int]:
    with store.read() as connection:
        return set(
            connection.execute(select(t.candidates.c.window_s).where(t.candidates.c.run == RUN, t.candidates.c.series == SERIES)).scalars()
        )


def counted(store: Store, window_ms: int) -> dict[int, int]:
    """{start: negative documents} of windows that have any."""
    day_ms = b.T0_MS + 4 * DAY_MS
    with store.read() as connection:
        found = list(series_windows(connection, RUN, SERIES, start_ms=day_ms - DAY_MS, end_ms=day_ms + 2 * DAY_MS, window_ms=window_ms))
    return {w.start_ms - day_ms: w.counts.negative for w in found if w.counts.negative}


def test_days_lead_to_no_surge_of_an_hour_and_the_same_texts_with_a_clock_do(store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, day=True)
    assert windows_of_candidates(store) == {86_400}
    with_clock = Store(str(tmp_path / "clock.db"))
    play(with_clock, tmp_path, day=False)
    assert windows_of_candidates(with_clock) == {3_600, 86_400}
    with_clock.close()


def test_days_are_in_the_window_of_their_day_and_in_no_shorter_one(store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, day=True)
    assert counted(store, DAY_MS) == {0: 20}
    assert counted(store, HOUR_MS) == {}


def test_a_day_elsewhere_ends_when_it_ends_there(store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, day=True, zone="Asia/Shanghai")
    with store.read() as connection:
        places = set(connection.execute(select(t.documents.c.published_ms).where(t.documents.c.published_precision == "day")).scalars())
    assert places == {b.T0_MS + 5 * DAY_MS - 8 * HOUR_MS - 1}
