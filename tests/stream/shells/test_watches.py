"""Saved searches in a run: each a series from its own tick on, the same however the log is cut, and made again by verify."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from groundswell.codec import canonical
from groundswell.errors import UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN, TICK_MS
from groundswell.schedule import WATCHES
from groundswell.store import schema as t
from groundswell.store.query import alerts_of, series_windows
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force
from groundswell.store.watches import change_watches, newest_watches
from groundswell.watches import NOTHING, Watches
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.forget import forget_source
from stream.shells.instruments import Instruments, open_run
from stream.shells.rehearse import rehearse
from stream.shells.rescore import rescore
from stream.shells.verify import verify
from tests import archives
from tests import builders as b

SINCE_MS = b.T0_MS + 4 * DAY_MS
WATCHED = NOTHING.saving("fraud", "fraud NOT kind:comment", ids_of=lambda name: [name]).saving(
    "zh", "language:zh (银 OR 行)", ids_of=lambda name: [name]
)


def played(folder: Path, *, limit: int, records: int = 420) -> Store:
    """A live run that begins to watch after four days."""
    folder.mkdir()
    store, instruments = Store(str(folder / "s.db")), b.instruments()
    with b.fill(LocalLog(folder / "log"), b.an_archive(1, records=records)) as log:
        open_run(store, LIVE_RUN, kind="live", instruments=instruments)
        put_in_force(store, LIVE_RUN, {WATCHES: (WATCHED.hash, canonical(WATCHED))}, now_ms=SINCE_MS)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, instruments)
        while pipeline.step(limit=limit):
            pass
        pipeline.finish()
    return store


def test_a_watch_is_counted_from_its_tick_on_and_the_same_however_the_log_is_cut(tmp_path: Path) -> None:
    stores = [played(tmp_path / str(limit), limit=limit) for limit in (40, 7)]
    i = t.increments.c
    for store in stores:
        with store.read() as connection:
            rows = connection.execute(
                select(i.series, func.min(i.tick), func.sum(i.documents)).where(i.series.startswith("watch:")).group_by(i.series)
            ).all()
        assert [row[0] for row in sorted(rows)] == ["watch:fraud", "watch:zh"]
        assert all(row[1] * TICK_MS >= SINCE_MS and row[2] > 5 for row in rows)
    assert b.differences(b.export(stores[0], LIVE_RUN), b.export(stores[1], LIVE_RUN)) == {}
    for store in stores:
        store.close()


def test_a_watch_counts_what_the_search_means(tmp_path: Path) -> None:
    store = played(tmp_path / "s", limit=50)
    end_ms = b.T0_MS + 30 * DAY_MS
    a, d = t.admissions.c, t.documents.c
    joined = t.admissions.join(t.documents, (a.document_id == d.document_id) & (a.content_hash == d.content_hash))
    has_word = (d.title.like("%fraud%")) | (d.text.like("%fraud%"))
    with store.read() as connection:
        (window,) = series_windows(connection, LIVE_RUN, "watch:fraud", start_ms=0, end_ms=end_ms, window_ms=end_ms)
        wanted = connection.execute(
            select(func.count()).select_from(joined).where(a.outcome == "scored", a.known_ms >= SINCE_MS, d.kind != "comment", has_word)
        ).scalar_one()
    assert window.counts.documents == wanted > 20
    store.close()


def filled(folder: Path, instruments: Instruments, *, run: str = LIVE_RUN, kind: str = "live") -> Store:
    """A run that watches from its first document on, as far as its instruments say."""
    folder.mkdir()
    store = Store(str(folder / "s.db"))
    with b.fill(LocalLog(folder / "log"), b.an_archive(1, records=420)) as log:
        open_run(store, run, kind=kind, instruments=instruments)
        pipeline = EmbeddedPipeline(store, log, run, instruments)
        while pipeline.step(limit=40):
            pass
        pipeline.finish()
    return store


def test_a_new_run_begins_with_the_searches_of_its_instruments_whatever_kind_it_is(tmp_path: Path) -> None:
    watching = replace(b.instruments(), watches=WATCHED)
    live, past = filled(tmp_path / "live", watching), filled(tmp_path / "past", watching, run="past", kind="backfill")

    with live.read() as connection:
        alerts = alerts_of(connection, LIVE_RUN)
        assert newest_watches(connection, LIVE_RUN)[0] == WATCHED
    assert {alert.versions[WATCHES] for alert in alerts} == {WATCHED.hash}
    assert {series for alert in alerts for series in alert.all_series} >= {"watch:fraud"}
    with past.read() as connection:
        assert alerts_of(connection, "past") == alerts
    done = rehearse(live, LIVE_RUN, watching.rules, display=watching.display)
    assert sorted(canonical(alert) for alert in done.alerts) == sorted(canonical(alert) for alert in alerts)
    assert all(explain(live, alert.id, watching).same for alert in alerts)
    assert [(check.name, check.shown) for check in verify(live, LIVE_RUN, watching) if check.wrong] == []
    for store in (live, past):
        store.close()


def test_what_a_live_run_watches_is_its_own_from_its_second_start_on(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s.db"))
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
    open_run(store, LIVE_RUN, kind="live", instruments=replace(b.instruments(), watches=WATCHED))
    with store.read() as connection:
        assert newest_watches(connection, LIVE_RUN) == (NOTHING, [])
    with store.write() as connection:
        change_watches(store, connection, lambda _: WATCHED, now_ms=b.T0_MS)
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments(), now_ms=b.T0_MS + DAY_MS)
    with store.read() as connection:
        assert newest_watches(connection, LIVE_RUN)[0] == WATCHED
    store.close()


def test_a_run_over_an_archive_that_goes_on_has_to_be_given_the_same_searches(tmp_path: Path) -> None:
    store, archive = Store(str(tmp_path / "s.db")), archives.write(tmp_path / "a.jsonl", [archives.a_line(id="one", title="Aldora fraud")])
    watching = replace(b.instruments(), watches=WATCHED)
    options = ArchiveOptions(not_after_ms=b.T0_MS + 30 * DAY_MS)
    backfill([archive], store, "r", watching, data_dir=tmp_path, options=options)

    assert backfill([archive], store, "r", watching, data_dir=tmp_path, options=options).already
    with pytest.raises(UsageError, match=f"it was made with watches .*{WATCHED.hash}"):
        backfill([archive], store, "r", b.instruments(), data_dir=tmp_path, options=options)
    with store.read() as connection:
        (window,) = series_windows(
            connection, "r", "watch:fraud", start_ms=0, end_ms=b.T0_MS + 30 * DAY_MS, window_ms=b.T0_MS + 30 * DAY_MS
        )
    assert window.counts.documents == 1
    store.close()


def test_a_reading_by_another_model_counts_what_the_live_run_watches(tmp_path: Path) -> None:
    store = filled(tmp_path / "s", replace(b.instruments(), watches=WATCHED))
    rescore(store, "again", b.instruments(), data_dir=tmp_path)

    i = t.increments.c
    with store.read() as connection:
        runs = connection.execute(select(i.run).where(i.series == "watch:fraud").distinct().order_by(i.run)).scalars().all()
    assert runs == ["again", LIVE_RUN]
    store.close()


def test_verify_makes_it_again_and_passes_over_what_was_removed(tmp_path: Path) -> None:
    store = played(tmp_path / "s", limit=50)
    assert [(check.name, check.shown) for check in verify(store, LIVE_RUN, b.instruments()) if check.wrong] == []
    forget_source(store, "wire", now_ms=b.T0_MS + 40 * DAY_MS)
    assert [(check.name, check.shown) for check in verify(store, LIVE_RUN, b.instruments()) if check.wrong] == []
    store.close()


def test_alerts_name_the_watches_in_force_and_earlier_ones_do_not(tmp_path: Path) -> None:
    store = played(tmp_path / "s", limit=50, records=700)
    with store.read() as connection:
        alerts = alerts_of(connection, LIVE_RUN)
    since = {alert.versions.get(WATCHES) for alert in alerts if alert.opened_ms > SINCE_MS + TICK_MS}
    before = {alert.versions.get(WATCHES) for alert in alerts if alert.opened_ms <= SINCE_MS}
    assert since == {WATCHED.hash}
    assert before <= {None}
    assert all(explain(store, alert.id, b.instruments()).same for alert in alerts)
    store.close()


def test_the_newest_version_is_what_a_change_begins_with(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s.db"))
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
    with store.read() as connection:
        assert newest_watches(connection, LIVE_RUN) == (NOTHING, [])
    with store.write() as connection:
        watches, (row,) = change_watches(store, connection, lambda _: WATCHED, now_ms=b.T0_MS)
        assert (watches, row.effective_ms) == (WATCHED, b.T0_MS + 60_000)
        assert change_watches(store, connection, lambda found: found, now_ms=b.T0_MS) == (WATCHED, [])
        change_watches(store, connection, lambda _: Watches(), now_ms=b.T0_MS)
    with store.read() as connection:
        newest, rows = newest_watches(connection, LIVE_RUN)
    assert (newest, len(rows)) == (NOTHING, 2)
    store.close()
