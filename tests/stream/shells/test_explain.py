"""Explain: an alert is made again from its rows, byte for byte, and what was changed since is named."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, select, update

from groundswell.errors import NotFoundError
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store import schema as t
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import Instruments, open_run
from tests import builders as b

RUN = "live"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded run that led to alerts."""
    folder = tmp_path_factory.mktemp("explain")
    log = b.fill(LocalLog(folder / "log"), b.an_archive(1, records=420))
    store, instruments = Store(str(folder / "s.db")), b.instruments()
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, log, RUN, instruments)
    while pipeline.step(limit=50):
        pass
    pipeline.finish()
    store.close()
    return folder


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of that run that a test may spoil."""
    source = Store(str(folder / "s.db"))
    with source.write() as connection:
        connection.exec_driver_sql("SELECT 1")
    with source.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.driver_connection.execute(f"VACUUM INTO '{tmp_path / 'copy.db'}'")  # type: ignore[union-attr]
    source.close()
    copy = Store(str(tmp_path / "copy.db"))
    yield copy
    copy.close()


def alerts(store: Store) -> list[Alert]:
    with store.read() as connection:
        return alerts_of(connection, RUN)


def test_every_alert_is_made_again_to_the_same_byte(store: Store) -> None:
    found = alerts(store)
    assert len(found) >= 3
    for alert in found:
        explained = explain(store, alert.id, b.instruments())
        assert explained.differences == []
        assert explained.same
        assert explained.candidates[0].series == alert.series


def test_an_id_may_be_shortened_and_a_wrong_one_says_where_to_look(store: Store) -> None:
    alert = alerts(store)[0]

    assert explain(store, alert.id[:10], b.instruments()).alert == alert
    with pytest.raises(NotFoundError, match=r"alert 'zz': no alert has that id; `groundswell alerts` lists them"):
        explain(store, "zz", b.instruments())
    with pytest.raises(NotFoundError, match="alerts begin so"):
        explain(store, "", b.instruments())


def test_a_row_that_was_changed_is_noticed(store: Store) -> None:
    alert = alerts(store)[0]
    i = t.increments.c
    with store.write() as connection:
        where = (i.run == RUN) & (i.series == alert.series) & (i.tick == alert.opened_ms // 15_000 - 1)
        body = connection.execute(select(i.body).where(where)).scalars().first()
        assert body is not None
        spoiled = msgspec.json.decode(body)
        for row in spoiled[1]:
            row[4] += 1
        connection.execute(update(t.increments).where(where).values(body=msgspec.json.encode(spoiled)))
    explained = explain(store, alert.id, b.instruments())

    assert not explained.same
    assert any("differs" in line for line in explained.differences)
    assert any(line.startswith("evidence: stored") for line in explained.differences)


def test_rows_that_were_deleted_are_noticed(store: Store) -> None:
    alert = alerts(store)[0]
    with store.write() as connection:
        connection.execute(delete(t.increments).where(t.increments.c.series == alert.series))
    explained = explain(store, alert.id, b.instruments())

    assert not explained.same
    assert any("not found again" in line for line in explained.differences)


def test_changed_rules_do_not_matter_because_those_in_force_are_stored(store: Store) -> None:
    other: Instruments = b.instruments(b.rules())

    assert explain(store, alerts(store)[0].id, other).same


def test_without_the_rules_in_force_it_says_so(store: Store) -> None:
    with store.write() as connection:
        connection.execute(delete(t.versions))

    with pytest.raises(NotFoundError, match=r"the rules it was made with .* are not stored; restore the store's versions table"):
        explain(store, alerts(store)[0].id, b.instruments())


def test_another_catalogue_is_mentioned(store: Store) -> None:
    changed = b.instruments()
    changed.versions["catalogue"] = "another"

    assert "the company catalogue has changed since" in explain(store, alerts(store)[0].id, changed).differences[-1]


def test_what_the_desk_held_back_is_no_part_of_the_alert(store: Store) -> None:
    """A series' other window may have been held, or belong to another incident, in the very tick of the alert."""
    explained = next(e for e in (explain(store, alert.id, b.instruments()) for alert in alerts(store)) if len(e.candidates) > 1)
    main, other = explained.candidates[:2]
    with store.write() as connection:
        d = t.decisions.c
        connection.execute(update(t.decisions).where(d.candidate_id == other.candidate_id).values(verdict="held"))
    again = explain(store, explained.alert.id, b.instruments())

    assert main in again.candidates
    assert other not in again.candidates
