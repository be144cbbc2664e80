"""How known times came about is said of every run, window and quoted document, whatever other runs knew of the same facts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN
from groundswell.records import Alert
from groundswell.store import schema as t
from groundswell.store.basis import BASIS, basis_of_alerts, basis_of_run
from groundswell.store.query import alerts_of
from groundswell.store.runs import manifest_of
from groundswell.store.store import Store
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import archives
from tests import builders as b

NOT_AFTER_MS = b.T0_MS + 30 * 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def play(store: Store, folder: Path, rows: list[Any], run: str) -> list[Alert]:
    options = ArchiveOptions(not_after_ms=NOT_AFTER_MS)
    backfill([archives.write(folder / f"{run}.jsonl", rows)], store, run, b.instruments(), data_dir=folder / "data", options=options)
    with store.read() as connection:
        return alerts_of(connection, run)


def of_run(store: Store, run: str) -> str:
    with store.read() as connection:
        return basis_of_run(connection, run)


def of_alerts(store: Store, run: str, alerts: list[Alert]) -> set[str]:
    with store.read() as connection:
        found = basis_of_alerts(connection, run, alerts)
    assert found.keys() == {quote.document_id for alert in alerts for quote in alert.evidence}
    return set(found.values())


def test_a_run_with_any_assumed_time_says_so_and_its_quotes_say_which(store: Store, tmp_path: Path) -> None:
    rows = archives.lines(6)  # three in ten without known_at
    alerts = play(store, tmp_path, rows, "mixed")
    assert alerts
    assert of_run(store, "mixed") == "assumed"
    assert of_alerts(store, "mixed", alerts) == {"assumed", "claimed"}
    with store.read() as connection:
        counted = manifest_of(connection, "mixed")[BASIS]
    assert counted == {"assumed": sum("known_at" not in row for row in rows), "claimed": sum("known_at" in row for row in rows)}


def test_a_second_run_says_how_it_knew_though_the_facts_are_those_of_the_first(store: Store, tmp_path: Path) -> None:
    rows = list({row["id"]: row for row in archives.lines(6) if "known_at" in row}.values())
    first = play(store, tmp_path, rows, "claimed")
    second = play(store, tmp_path, [row | {"known_basis": "assumed"} for row in rows], "assumed")
    assert first
    assert [alert.id for alert in first] == [alert.id for alert in second]
    assert of_alerts(store, "claimed", first) == {"claimed"}
    assert of_alerts(store, "assumed", second) == {"assumed"}
    assert (of_run(store, "claimed"), of_run(store, "assumed")) == ("claimed", "assumed")


def test_a_run_from_before_it_was_counted_is_judged_by_its_documents(store: Store, tmp_path: Path) -> None:
    alerts = play(store, tmp_path, archives.lines(6), "old")
    with store.write() as connection:
        manifest = {name: value for name, value in manifest_of(connection, "old").items() if name != BASIS}
        connection.execute(t.runs.update().where(t.runs.c.run == "old").values(manifest=msgspec.json.encode(manifest)))
    assert of_run(store, "old") == "assumed"
    assert of_alerts(store, "old", alerts) == {"assumed", "claimed"}


def test_a_live_run_is_recorded(store: Store, tmp_path: Path) -> None:
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
    with b.fill(LocalLog(tmp_path / "live.log"), b.an_archive(1, records=100)) as log:
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments())
        while pipeline.step():
            pass
        pipeline.finish()
    assert of_run(store, LIVE_RUN) == "recorded"
