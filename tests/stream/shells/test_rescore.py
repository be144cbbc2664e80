"""Re-score: what the live run has counted, read by another model in known order, resumable, without what was removed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from groundswell.errors import NotFoundError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN, TICK_MS
from groundswell.store import schema as t
from groundswell.store.drop_run import begin_drop, finish_drop
from groundswell.store.pasts import attach_past
from groundswell.store.removals import remove_texts
from groundswell.store.runs import runs_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.rescore import rescore
from stream.shells.verify import verify
from tests import builders as b
from tests.dying_store import DyingStore, Killed

PAST = "past"


class Twin(b.CountingScorer):
    """Another model with the same answers."""

    model_id = "fake-2"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "s.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_store_url"))


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """A live run of six days."""
    opened = Store(url)
    with b.fill(LocalLog(tmp_path / "log"), b.an_archive(5, records=150, days=6)) as log:
        open_run(opened, LIVE_RUN, kind="live", instruments=b.instruments())
        pipeline = EmbeddedPipeline(opened, log, LIVE_RUN, b.instruments(), targets=("console",))
        while pipeline.step():
            pass
        pipeline.finish()
    yield opened
    opened.close()


def counted(store: Store, run: str) -> int:
    a = t.admissions.c
    with store.read() as connection:
        return int(connection.execute(select(func.count()).where(a.run == run, a.outcome == "scored")).scalar_one())


FOLDED = ("increments", "stories")


def test_the_same_answers_give_the_same_windows_and_stories(store: Store, tmp_path: Path) -> None:
    done = rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path)
    live, again = b.export(store, LIVE_RUN), b.export(store, PAST)
    assert {name: live[name] for name in FOLDED} == {name: again[name] for name in FOLDED}
    assert (done.removed, sum(row.balance for row in done.rows)) == (0, 0)
    assert sum(row.scored for row in done.rows) == counted(store, LIVE_RUN) == counted(store, PAST) > 100
    with store.read() as connection:
        assert connection.execute(select(t.outbox.c.run).where(t.outbox.c.run == PAST)).all() == []
        assert [(row.run, row.kind, row.model_id, row.complete) for row in runs_of(connection)][1] == (PAST, "rescore", "fake-2", True)
    assert [check.shown for check in verify(store, PAST, b.instruments(scorer=Twin())) if check.wrong] == []
    assert list((tmp_path / "runs").glob("*")) == [], "nothing is left on the disk"


def test_a_second_call_changes_nothing_and_another_span_is_another_run(store: Store, tmp_path: Path) -> None:
    rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path)
    before, scorer = b.export(store, PAST), Twin()
    assert rescore(store, PAST, b.instruments(scorer=scorer), data_dir=tmp_path).already
    assert (b.differences(before, b.export(store, PAST)), scorer.scored) == ({}, 0)
    with pytest.raises(UsageError, match=r"run 'past': it was made with from_ms"):
        rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path, from_ms=b.T0_MS + DAY_MS)
    with pytest.raises(UsageError, match=r"run 'other': its span ends before it begins"):
        rescore(store, "other", b.instruments(), data_dir=tmp_path, from_ms=b.T0_MS + 90 * DAY_MS)


def test_only_the_span_that_was_asked_for_is_read(store: Store, tmp_path: Path) -> None:
    span = b.T0_MS + DAY_MS, b.T0_MS + 3 * DAY_MS
    rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path, from_ms=span[0], to_ms=span[1])
    a = t.admissions.c
    with store.read() as connection:
        first, last = connection.execute(select(func.min(a.known_ms), func.max(a.known_ms)).where(a.run == PAST)).one()
        inside = select(func.count()).where(a.run == LIVE_RUN, a.outcome == "scored", a.known_ms >= span[0], a.known_ms < span[1])
        assert connection.execute(inside).scalar_one() == counted(store, PAST) > 0
    assert span[0] <= first < last < span[1]


def test_a_document_whose_text_was_removed_is_left_out_and_counted(store: Store, tmp_path: Path) -> None:
    with store.read() as connection:
        gone = connection.execute(
            select(t.admissions.c.document_id).where(t.admissions.c.outcome == "scored").order_by(t.admissions.c.position).limit(7)
        ).scalars()
        names = list(gone)
    remove_texts(store, t.documents.c.document_id.in_(names), reason="a test", now_ms=1)
    done = rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path)
    assert done.removed == 7
    assert counted(store, PAST) == counted(store, LIVE_RUN) - 7
    assert [row for row in done.rows if row.balance] == []


def test_one_that_is_killed_goes_on_where_it_stopped(store: Store, url: str, tmp_path: Path) -> None:
    whole = rescore(store, "whole", b.instruments(scorer=Twin()), data_dir=tmp_path)
    kills = 0
    for writes in (1, 2, 4, 5, 6, 10**9):
        dying = DyingStore(url, writes_left=writes, stored=False)
        try:
            done = rescore(dying, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path, stage_rows=20)
            break
        except Killed:
            kills += 1
        finally:
            dying.close()
    assert kills >= 3
    assert [msg for msg in done.rows if msg.balance] == []
    assert done.removed == whole.removed
    same = {"without": ("suspects",)}
    assert b.differences(b.export(store, "whole", **same), b.export(store, PAST, **same)) == {}


def test_a_run_that_is_not_finished_or_has_other_companies_is_no_past_and_can_be_dropped(store: Store, tmp_path: Path) -> None:
    other = b.instruments(scorer=Twin())
    other.versions["catalogue"] = "another"
    rescore(store, "companies", other, data_dir=tmp_path)
    open_run(store, "begun", kind="rescore", instruments=b.instruments(scorer=Twin()))
    for run, reason in (("companies", "it was made with catalogue another, the live run has none"), ("begun", "it is not complete")):
        with pytest.raises(UsageError, match=reason):
            attach_past(store, run, now_ms=0)
    begin_drop(store, "companies", now_ms=0)
    assert finish_drop(store, "companies") > 100
    assert counted(store, LIVE_RUN) > 100


def test_without_a_live_run_there_is_nothing_to_read_again(tmp_path: Path) -> None:
    empty = Store(str(tmp_path / "empty.db"))
    with pytest.raises(NotFoundError, match="run 'live': nothing of it is folded yet"):
        rescore(empty, PAST, b.instruments(), data_dir=tmp_path)
    empty.close()


def test_a_past_counts_from_a_tick_that_nothing_of_the_live_run_has_come_to(store: Store, tmp_path: Path) -> None:
    rescore(store, PAST, b.instruments(scorer=Twin()), data_dir=tmp_path)
    row = attach_past(store, PAST, now_ms=0)
    with store.read() as connection:
        p = t.progress.c
        reached_ms, owners = connection.execute(select(func.max(p.time_ms), func.min(p.owner)).where(p.run == LIVE_RUN)).one()
    assert (row.kind, row.hash, owners) == ("past of fake-2", PAST, "attach")
    assert row.effective_ms // TICK_MS > reached_ms // TICK_MS
