"""Backfill: archives through the same pipeline; whatever a line holds is accounted for, and a killed run goes on."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import UsageError
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.query import Balance, alerts_of, drops_by_reason, total
from groundswell.store.store import Store
from stream.shells import backfill as shell
from stream.shells.backfill import ArchiveOptions, Backfilled, backfill
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import Instruments, open_run
from tests import archives, dying_store
from tests import builders as b

RUN = "r1"
NOT_AFTER_MS = b.T0_MS + 30 * 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def run(
    store: Store, *files: Path, name: str = RUN, instruments: Instruments | None = None, data_dir: Path | None = None, **options: Any
) -> Backfilled:
    given = ArchiveOptions(**({"not_after_ms": NOT_AFTER_MS} | options))
    return backfill(files, store, name, instruments or b.instruments(), data_dir=data_dir or files[0].parent / "data", options=given)


def alerts(store: Store, name: str = RUN) -> list[Alert]:
    with store.read() as connection:
        return alerts_of(connection, name)


# --- what a line may hold ---------------------------------------------------------------------------------------------------
def test_whatever_a_line_holds_is_counted_with_its_reason_and_the_rest_is_scored(store: Store, tmp_path: Path) -> None:
    good = [archives.a_line(id=f"g{n}", title=f"Aldora debt number {n}") for n in range(5)]
    rows: list[dict[str, Any] | bytes] = [
        good[0],
        b'{"source": "wire", "title": "broken',
        archives.a_line(id="long", text="word " * 2_000_000),
        archives.a_line(id="untitled", title=""),
        archives.a_line(id="late", published_at="2099-01-01T00:00:00Z", known_at="2099-01-01T00:00:00Z"),
        b'{"source": "wire", "title": "\xff\xfe", "published_at": "2026-09-21"}',
        archives.a_line(id="ru", title="Банк России сохранил ставку", text=""),
        archives.a_line(id="fr", language="fr"),
        archives.a_line(id="none", title="12 % 34", text=""),
        archives.a_line(id="nothing", title="", text=""),
        archives.a_line(id="nul", source="Har\x00bour", title="Aldora\x00 debt", url="https://x.example/\x00"),
        b"",
        *good[1:],
    ]
    done = run(store, archives.write(tmp_path / "a.jsonl", rows))
    everything = total(done.rows)

    assert [row for row in done.rows if row.balance] == []
    assert (everything.fetched, everything.in_flight) == (len(rows), 0)
    assert (everything.scored, everything.dropped) == (8, 8)  # five good ones, the long, the untitled and the one with NULs
    assert [line.line for line in done.bad_lines] == [2, 5, 6, 10, 12]
    assert next(row for row in done.rows if row.source == "file:a.jsonl") == Balance("file:a.jsonl", fetched=5, dropped=5)
    with store.read() as connection:
        reasons = drops_by_reason(connection, RUN)
    assert {"language: other", "language: fr", "language: none, the text has no letters"} <= reasons.keys()
    assert any("a.jsonl, line 6: not UTF-8 at byte" in reason for reason in reasons)
    assert any("known in the future" in reason for reason in reasons)


def test_bad_lines_of_two_files_of_the_same_name_are_both_counted(store: Store, tmp_path: Path) -> None:
    files = []
    for year in ("2025", "2026"):
        (tmp_path / year).mkdir()
        files.append(archives.write(tmp_path / year / "news.jsonl", [archives.a_line(id=year), b"{broken"]))
    done = run(store, *files)

    assert len(done.bad_lines) == 2
    assert total(done.rows).balance == 0
    assert total(done.rows).fetched == 4


# --- the same again ---------------------------------------------------------------------------------------------------------
def test_a_shuffled_archive_and_one_cut_into_files_lead_to_the_same_rows(store: Store, tmp_path: Path) -> None:
    rows: list[Any] = archives.lines(1)
    shuffled = random.Random(1).sample(rows, len(rows))
    run(store, archives.write(tmp_path / "a.jsonl", rows), name="whole")
    run(store, archives.write(tmp_path / "b.jsonl", shuffled), name="shuffled")
    parts = [archives.write(tmp_path / f"p{n}.jsonl", shuffled[n::3]) for n in range(3)]
    run(store, *parts, name="parts")
    whole = b.export(store, "whole")

    assert whole["alerts"]
    assert b.differences(whole, b.export(store, "shuffled")) == {}
    assert b.differences(whole, b.export(store, "parts")) == {}


def test_a_second_call_does_nothing_and_says_so(store: Store, tmp_path: Path) -> None:
    file = archives.write(tmp_path / "a.jsonl", [*archives.lines(2, number=60)])
    first, before = run(store, file), b.export(store, RUN)
    second = run(store, file)

    assert (first.already, second.already) == (False, True)
    assert second.rows == first.rows
    assert b.differences(before, b.export(store, RUN)) == {}
    assert list((tmp_path / "data" / "runs").iterdir()) == []  # the sorted log is not left behind


def test_the_same_run_with_another_file_or_other_rules_is_refused(store: Store, tmp_path: Path) -> None:
    run(store, archives.write(tmp_path / "a.jsonl", [archives.a_line()]))
    other = archives.write(tmp_path / "b.jsonl", [archives.a_line(id="2")])

    with pytest.raises(UsageError, match=r"run 'r1': it was made with files \[.*a\.jsonl.*\], now \[.*b\.jsonl.*choose another --run name"):
        run(store, other)
    with pytest.raises(UsageError, match=r"run 'r1': it was made with versions .* choose another --run name"):
        run(store, tmp_path / "a.jsonl", instruments=b.instruments(b.rules()))
    with pytest.raises(UsageError, match=r"run 'r1': it was made with assume_lag_ms 600000, now 5 is asked for"):
        run(store, tmp_path / "a.jsonl", assume_lag_ms=5)


def test_a_file_that_is_no_archive_is_refused_before_anything_is_stored(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        run(store, tmp_path / "gone.jsonl")


def test_a_backfill_never_pings_and_its_alerts_can_be_explained(store: Store, tmp_path: Path) -> None:
    run(store, archives.write(tmp_path / "a.jsonl", [*archives.lines(3)]))
    found = alerts(store)

    assert found
    assert b.export(store, RUN)["outbox"] == []
    assert all(explain(store, alert.id, b.instruments()).differences == [] for alert in found)


def test_live_and_backfill_of_the_same_records_find_the_same(store: Store, tmp_path: Path) -> None:
    """One path: the log of the backfill, played as a live run in small steps, gives the same windows and the same alerts."""
    file = archives.write(tmp_path / "a.jsonl", [*archives.lines(4)])
    log = shell.stage_archives([file], tmp_path / "live.log", ArchiveOptions(), lambda _phase, _done, _total: None)
    instruments = b.instruments()
    open_run(store, "live", kind="live", instruments=instruments)
    with log:
        pipeline = EmbeddedPipeline(store, log, "live", instruments)
        while pipeline.step(limit=13):
            pass
        pipeline.finish()
    run(store, file)

    live = b.export(store, "live", without=["fetched"])
    assert [alert.id for alert in alerts(store, "live")] == [alert.id for alert in alerts(store)] != []
    assert b.differences(live, b.export(store, RUN, without=["fetched"])) == {}


# --- killed -----------------------------------------------------------------------------------------------------------------
def test_a_backfill_that_was_killed_while_running_goes_on(tmp_path: Path) -> None:
    files = [archives.write(tmp_path / f"{n}.jsonl", [*archives.lines(n, number=120), b"{broken"]) for n in (5, 6)]
    reference = Store(str(tmp_path / "reference.db"))
    run(reference, *files)
    kills, chance = 0, random.Random(9)
    while True:
        dying = dying_store.DyingStore(str(tmp_path / "killed.db"), writes_left=chance.randrange(5, 9), stored=chance.random() < 0.5)
        try:
            done = run(dying, *files, data_dir=tmp_path / "other data")
            break
        except dying_store.Killed:
            kills += 1
        finally:
            dying.close()
        assert kills < 30, "it does not get any further"

    assert kills >= 1
    assert total(done.rows).balance == 0
    assert b.differences(b.export(reference, RUN), b.export(Store(str(tmp_path / "killed.db")), RUN)) == {}


def test_reading_and_sorting_that_were_killed_go_on_behind_the_last_batch_even_where_the_archive_was_moved(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    rows = [archives.a_line(id=str(n), title=f"t{n * 7_919 % 10_007}") for n in range(shell.STAGE_LINES + 500)]
    for name in ("a", "b"):
        archives.write(folder / f"{name}.jsonl", [*rows, b"{broken"])

    def killed(_phase: str, _done: int, _total: int | None) -> None:
        raise dying_store.Killed

    for number in range(1, 6):  # two batches of each file, then the sort
        with pytest.raises(dying_store.Killed):
            shell.stage_archives(sorted(folder.iterdir()), tmp_path / "killed.log", ArchiveOptions(), killed)
        folder = folder.rename(tmp_path / str(number))
    logs = [
        shell.stage_archives(sorted(folder.iterdir()), tmp_path / name, ArchiveOptions(), lambda _phase, _done, _total: None)
        for name in ("killed.log", "whole.log")
    ]

    assert [log.records() for log in logs] == [2 * len(rows)] * 2
    assert logs[0].read(0, limit=20_000) == logs[1].read(0, limit=20_000)
    assert logs[0].bad_lines() == logs[1].bad_lines() != []
    for log in logs:
        log.close()


def test_a_log_that_is_sealed_is_not_read_again(tmp_path: Path) -> None:
    file = archives.write(tmp_path / "a.jsonl", [archives.a_line()])
    shell.stage_archives([file], tmp_path / "log", ArchiveOptions(), lambda _phase, _done, _total: None).close()
    file.unlink()
    with LocalLog(tmp_path / "log") as log:
        assert log.sealed
    again = shell.stage_archives([file], tmp_path / "log", ArchiveOptions(), lambda _phase, _done, _total: None)
    assert again.records() == 1
    again.close()
