"""Rehearse: what is refused, what is doubted, and that a kept rehearsal is a run like any other."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from alerts.plain import PLAIN
from groundswell.errors import NotFoundError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.store import schema as t
from groundswell.store.query import alerts_of
from groundswell.store.runs import runs_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from stream.shells.keep import keep
from stream.shells.rehearse import Rehearsal, rehearse
from stream.shells.verify import verify
from stream.shells.why_not import why_not
from tests import builders as b

RUN = "live"
SINCE_MS = b.T0_MS + 4 * DAY_MS
OWN = b.easy_rules()
STRICT = msgspec.structs.replace(OWN, desk=msgspec.structs.replace(OWN.desk, budget_per_day=1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A run that led to more alerts than one a day."""
    with closing(Store(str(tmp_path / "s.db"))) as store, LocalLog(tmp_path / "log") as log:
        open_run(store, RUN, kind="live", instruments=b.instruments(OWN))
        pipeline = EmbeddedPipeline(store, b.fill(log, b.an_archive(1, records=420)), RUN, b.instruments(OWN), targets=("console",))
        while pipeline.step(limit=50):
            pass
        pipeline.finish()
        yield store


def ask(store: Store, run: str = RUN, **span: Any) -> Rehearsal:
    return rehearse(store, run, STRICT, display=str, **span)


def test_stricter_rules_send_less_and_say_why(store: Store) -> None:
    done = ask(store)
    with store.read() as connection:
        stored = alerts_of(connection, RUN)

    assert 0 < len(done.alerts) < len(stored)
    assert done.held["budget"] > 0
    assert done.documents > 300


def test_the_plain_rules_speak_as_often_as_the_rehearsed(store: Store) -> None:
    done = ask(store)
    for name in PLAIN:
        possible = done.plain.pings_at(name, -1e9)
        assert len(done.plain.spoken(name, pings=len(done.alerts))) == min(len(done.alerts), possible)


def test_a_run_that_is_not_there_and_a_span_without_any_of_it_are_refused_with_what_there_is(store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"run 'march': it is not stored; `groundswell runs list`"):
        ask(store, "march")
    with pytest.raises(UsageError, match=r"run 'live': nothing of it lies in the span .* it was known from 2026-09-21T"):
        ask(store, from_ms=SINCE_MS, to_ms=SINCE_MS - DAY_MS)


def test_a_run_that_has_closed_no_tick_is_refused(tmp_path: Path) -> None:
    with closing(Store(str(tmp_path / "empty.db"))) as empty:
        open_run(empty, RUN, kind="live", instruments=b.instruments(OWN))
        with pytest.raises(NotFoundError, match=r"run 'live': it has not closed a tick yet"):
            ask(empty)


def test_baselines_that_another_release_made_otherwise_are_noticed(store: Store) -> None:
    with store.write() as connection:
        row = t.baselines.c
        connection.execute(update(t.baselines).where(row.run == RUN, row.period_s == 86_400).values(negative=row.negative + 1))
    done = ask(store)

    assert 0 < done.unlike < done.periods


# --- kept -------------------------------------------------------------------------------------------------------------------
def test_a_kept_rehearsal_can_be_explained_asked_and_verified_like_any_run(store: Store) -> None:
    done = ask(store, from_ms=SINCE_MS)
    keep(store, done, "strict")
    rules = b.instruments(STRICT)

    with store.read() as connection:
        kept = alerts_of(connection, "strict", start_ms=SINCE_MS)
        kind = {row.run: row.kind for row in runs_of(connection)}
        budget = [d for d in done.decisions if d.reason.startswith("budget")]
        held = next(c for c in done.candidates if c.candidate_id == budget[0].candidate_id)
        told = why_not(connection, "strict", [held.series], at_ms=held.known_until_ms + TICK_MS, rules=STRICT)
    assert [alert.id for alert in kept] == [alert.id for alert in sorted(done.alerts, key=lambda a: (a.opened_ms, a.id))] != []
    assert kind == {RUN: "live", "strict": "rehearsal"}
    assert any(each.decision and each.decision.reason.startswith("budget") for each in told.held)
    assert all(explain(store, alert.id, rules, run="strict").differences == [] for alert in kept)
    assert [check.name for check in verify(store, "strict", rules) if check.wrong] == []


def test_a_kept_rehearsal_sends_nothing_and_changes_nothing_of_its_run(store: Store) -> None:
    before = b.export(store, RUN)
    keep(store, ask(store), "strict")

    assert b.differences(before, b.export(store, RUN)) == {}
    assert b.export(store, "strict")["outbox"] == []


@pytest.mark.parametrize("name", [RUN, "strict"])
def test_a_name_that_is_taken_is_refused_and_nothing_is_stored(name: str, store: Store) -> None:
    keep(store, ask(store), "strict")
    before = b.export(store, "strict")
    with pytest.raises(UsageError, match=rf"--keep '{name}': there is such a run"):
        keep(store, ask(store, from_ms=SINCE_MS), name)

    assert b.differences(before, b.export(store, "strict")) == {}


def test_half_a_run_is_not_kept(store: Store) -> None:
    with pytest.raises(UsageError, match=r"a run is whole or it is none; leave --to out"):
        keep(store, ask(store, to_ms=SINCE_MS + HOUR_MS), "half")
