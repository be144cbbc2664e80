"""The door for notebooks: a frame has the rows and columns of the CSV, with times as times."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from groundswell import open_store
from groundswell.errors import NotFoundError, UsageError
from groundswell.frames import TIMES, Desk
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b
from tests.cli.test_cli import groundswell


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live run with alerts."""
    place = tmp_path_factory.mktemp("frames")
    store, instruments = Store(str(place / "desk.db")), b.instruments()
    with b.fill(LocalLog(place / "log"), b.an_archive(1, records=420)) as log:
        open_run(store, LIVE_RUN, kind="live", instruments=instruments)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        while pipeline.step():
            pass
        pipeline.finish()
    store.close()
    return place


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    with open_store(str(folder / "desk.db")) as opened:
        yield opened


def printed(folder: Path, *arguments: str) -> pd.DataFrame:
    """What a command writes as CSV, with times as times."""
    done = groundswell(*arguments, "--format", "csv", folder=folder, GROUNDSWELL_STORE_URL=str(folder / "desk.db"))
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(io.StringIO(done.stdout))
    for name in TIMES & set(frame.columns):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def test_series_are_what_the_command_prints(folder: Path, desk: Desk) -> None:
    ours = desk.series(["entity:*", "topic:debt_credit:en"], "2026-09-21", "2026-09-24", window="1d")
    theirs = printed(folder, "series", "entity:*", "topic:debt_credit:en", "--from", "2026-09-21", "--to", "2026-09-24", "--window", "1d")
    assert len(ours) > 8
    assert ours["documents"].sum() > 50
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, rtol=1e-5)
    assert str(ours["start"].dt.tz) == "UTC"


def test_alerts_and_documents_are_what_the_commands_print(folder: Path, desk: Desk) -> None:
    alerts = desk.alerts()
    theirs = printed(folder, "alerts")
    assert len(alerts) > 2
    pd.testing.assert_frame_equal(alerts[theirs.columns], theirs, check_dtype=False, rtol=1e-5)
    assert {"parts", "evidence", "versions"} <= set(alerts.columns)
    found = desk.documents("fraud", limit=50)
    printed_found = printed(folder, "search", "fraud", "--limit", "50")
    assert len(found) == 50
    assert list(found.columns) == list(printed_found.columns)
    assert found["document_id"].tolist() == printed_found["document_id"].tolist()
    assert (found["published_at"] == printed_found["published_at"]).all()


def test_documents_come_page_after_page_up_to_the_limit(desk: Desk) -> None:
    everything = desk.documents(limit=1_000)
    assert len(everything) > 300
    assert not everything.duplicated(["document_id", "content_hash"]).any()
    assert set(everything["outcome"]) == {"scored", "edited"}
    assert everything["published_at"].dt.floor("s").is_monotonic_decreasing
    few = desk.documents("sentiment:negative", "2026-09-23", "2026-09-23", limit=7)
    assert set(few["sentiment"]) == {"negative"}
    assert few["published_at"].between(pd.Timestamp("2026-09-23", tz="UTC"), pd.Timestamp("2026-09-24", tz="UTC")).all()


def test_as_of_and_vintage_are_taken_as_the_command_takes_them(folder: Path, desk: Desk) -> None:
    then = pd.Timestamp(b.T0_MS + 2 * DAY_MS, unit="ms", tz="UTC").to_pydatetime()
    ours = desk.series("entity:*", "2026-09-21", "2026-09-24", window="1d", as_of=then)
    assert 0 < ours["documents"].sum() < desk.series("entity:*", "2026-09-21", "2026-09-24", window="1d")["documents"].sum()
    first = desk.series("entity:*", "2026-09-21", "2026-09-24", window="1d", vintage="first")
    theirs = printed(folder, "series", "entity:*", "--from", "2026-09-21", "--to", "2026-09-24", "--window", "1d", "--vintage", "first")
    assert first["documents"].tolist() == theirs["documents"].tolist()


def test_incidents_and_sources_have_their_rows(desk: Desk) -> None:
    incidents, sources = desk.incidents(), desk.sources()
    assert incidents["alerts"].sum() == len(desk.alerts())
    assert incidents["last_alert_at"].is_monotonic_decreasing
    assert {"wire", "daily", "forum", "zhwire", "mortal"} == set(sources["source"])
    assert str(sources["last_known"].dt.tz) == "UTC"


def test_an_empty_answer_has_its_columns(desk: Desk) -> None:
    assert desk.alerts("1990-01-01", "1990-01-02").columns[0] == "id"
    assert desk.documents("nowhere").empty


def test_what_cannot_be_asked_is_refused_as_everywhere(folder: Path, desk: Desk) -> None:
    with pytest.raises(NotFoundError, match="nothing stored matches"):
        desk.series("nobody:*")
    with pytest.raises(UsageError, match="lies before"):
        desk.series("entity:*", "2026-09-24", "2026-09-22")
    with pytest.raises(UsageError, match="not a span"):
        desk.series("entity:*", window="soon")
    with pytest.raises(UsageError, match="final or first"):
        desk.series("entity:*", vintage="lag")
    with pytest.raises(NotFoundError, match="'other' is not stored"):
        open_store(str(folder / "desk.db"), run="other").alerts()


def test_the_door_costs_nothing_until_it_is_opened() -> None:
    script = "import sys, groundswell; assert 'pandas' not in sys.modules; groundswell.open_store; assert 'pandas' in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stderr == ""


def test_all_that_it_reads_is_in_one_snapshot_of_stored_rows(folder: Path, desk: Desk) -> None:
    store = Store(str(folder / "desk.db"))
    with store.read() as connection:
        assert desk.alerts()["id"].tolist() == [alert.id for alert in alerts_of(connection, LIVE_RUN)]
    store.close()
