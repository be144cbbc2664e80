"""A rehearsal equals what a run really sends, byte for byte: its own rules, other rules, and rules that are put in force on its way."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from alerts.rules import Rules
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.records import Alert
from groundswell.schedule import RULES
from groundswell.store import schema as t
from groundswell.store.store import Store
from groundswell.store.versions import put_in_force
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, open_run
from stream.shells.keep import keep
from stream.shells.rehearse import Rehearsal, rehearse
from stream.shells.versions import content_of_rules
from tests import builders as b

RUN = "live"
KEPT = "kept"
BEGIN_MS, MIDDLE_MS = b.T0_MS, b.T0_MS + 6 * DAY_MS + 7 * HOUR_MS
OWN = b.easy_rules()
OTHER = msgspec.structs.replace(
    b.rules(
        **{name: getattr(OWN.surge, name) for name in msgspec.structs.asdict(OWN.surge)} | {"stories_min_hour": 3, "repeat_s": 3_600},
    ),
    desk=msgspec.structs.replace(OWN.desk, budget_per_day=1, incident_quiet_s=7_200, cooldown_s=14_400, updates_per_day=1),
)
CAREFUL = msgspec.structs.replace(OWN, desk=msgspec.structs.replace(OWN.desk, false_share=0.5))
SEEDS = (1, 2)


def an_instrument(rules: Rules) -> Instruments:
    return b.instruments(rules)


def play(store: Store, folder: Path, seed: int, rules: Rules, *, then: Rules | None = None) -> int:
    """A run over a random archive; other rules come into force at its middle. Returns the moment since when."""
    log = b.fill(LocalLog(folder / f"log-{seed}-{rules.hash}-{then.hash if then else ''}"), b.an_archive(seed, records=420))
    open_run(store, RUN, kind="live", instruments=an_instrument(rules))
    pipeline = EmbeddedPipeline(store, log, RUN, an_instrument(rules))
    since_ms = MIDDLE_MS
    if then is not None:
        while pipeline.step(limit=20, until_ms=MIDDLE_MS):
            pass
        since_ms = put_in_force(store, RUN, {RULES: content_of_rules(then)}, now_ms=MIDDLE_MS)[0].effective_ms
    while pipeline.step(limit=20):
        pass
    pipeline.finish()
    log.close()
    return since_ms


def sent(store: Store, run: str = RUN, *, since_ms: int = 0) -> list[bytes]:
    """The stored bytes of a run's alerts, in the order in which they were made."""
    a = t.alerts.c
    with store.read() as connection:
        statement = select(a.body, a.tick, a.id).where(a.run == run, a.tick >= since_ms // TICK_MS)
        return [bytes(row.body) for row in sorted(connection.execute(statement), key=lambda row: (row.tick, row.id))]


def would_send(done: Rehearsal) -> list[bytes]:
    from groundswell.codec import canonical

    def order(alert: Alert) -> tuple[int, str]:
        return alert.opened_ms, alert.id

    return [canonical(alert) for alert in sorted(done.alerts, key=order)]


def ask(store: Store, rules: Rules, **span: Any) -> Rehearsal:
    return rehearse(store, RUN, rules, display=an_instrument(rules).display, **span)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


@pytest.mark.parametrize("seed", SEEDS)
def test_a_runs_own_rules_send_what_it_stored(seed: int, store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, seed, OWN)
    done = ask(store, OWN)

    assert would_send(done) == sent(store) != []
    assert (done.periods > 100, done.unlike) == (True, 0)
    rows = b.export(store, RUN)
    assert sorted((d.candidate_id, d.tick, d.incident, d.verdict, d.reason) for d in done.decisions) == sorted(rows["decisions"])
    assert sorted(c.candidate_id for c in done.candidates) == sorted(row[0] for row in rows["candidates"])


@pytest.mark.parametrize("days", [4, 6, 9, 11])
def test_from_any_moment_on_a_runs_own_rules_send_what_it_stored_since(days: int, store: Store, tmp_path: Path) -> None:
    since_ms = BEGIN_MS + days * DAY_MS + 5 * HOUR_MS
    play(store, tmp_path, 1, OWN)

    assert would_send(ask(store, OWN, from_ms=since_ms)) == sent(store, since_ms=since_ms)


@pytest.mark.parametrize("seed", SEEDS)
def test_other_rules_send_what_a_run_made_with_them_stores(seed: int, store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, seed, OWN)
    with closing(Store(str(tmp_path / "other.db"))) as other:
        play(other, tmp_path, seed, OTHER)

        assert would_send(ask(store, OTHER)) == sent(other) != sent(store)


@pytest.mark.parametrize(
    ("first", "then"), [(OWN, OTHER), (OTHER, OWN), (OWN, CAREFUL), (CAREFUL, OTHER)], ids=["stricter", "milder", "careful", "careless"]
)
def test_rules_that_come_into_force_on_the_way_send_what_was_rehearsed_from_there(
    first: Rules, then: Rules, store: Store, tmp_path: Path
) -> None:
    play(store, tmp_path, 1, first)
    with closing(Store(str(tmp_path / "other.db"))) as other:
        since_ms = play(other, tmp_path, 1, first, then=then)
        done = ask(store, then, from_ms=since_ms)

        assert would_send(done) == sent(other, since_ms=since_ms) != []
        keep(store, done, KEPT)
        without = ("in_force", "outbox")
        assert b.differences(b.export(other, RUN, without=without), b.export(store, KEPT, without=without)) == {}


def test_a_process_that_starts_again_goes_on_with_the_stream_of_false_discovery_control(store: Store, tmp_path: Path) -> None:
    open_run(store, RUN, kind="live", instruments=an_instrument(CAREFUL))
    log = b.fill(LocalLog(tmp_path / "log"), b.an_archive(1, records=420))
    while True:
        pipeline = EmbeddedPipeline(store, log, RUN, an_instrument(CAREFUL))
        if not all(pipeline.step(limit=20) for _ in range(3)):
            break
    pipeline.finish()
    done = ask(store, CAREFUL)

    assert would_send(done) == sent(store)
    assert done.held["chance"] > 0


def test_a_span_that_ends_early_sends_the_begin_of_it(store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, 1, OWN)
    whole, early = ask(store, OWN), ask(store, OWN, to_ms=MIDDLE_MS)

    assert early.alerts == [alert for alert in whole.alerts if alert.opened_ms <= MIDDLE_MS] != whole.alerts


def test_a_rehearsal_stores_nothing(store: Store, tmp_path: Path) -> None:
    play(store, tmp_path, 1, OWN)
    before = b.export(store, RUN)
    ask(store, OTHER)

    assert b.differences(before, b.export(store, RUN)) == {}
    with store.read() as connection:
        assert list(connection.execute(select(t.runs.c.run)).scalars()) == [RUN]


def test_on_postgresql_too(postgres_store_url: str, tmp_path: Path) -> None:
    with closing(Store(postgres_store_url)) as store:
        play(store, tmp_path, 2, OWN)
        done = ask(store, OTHER, from_ms=MIDDLE_MS)
        assert would_send(ask(store, OWN)) == sent(store) != []
        keep(store, done, KEPT)
        assert sent(store, KEPT, since_ms=done.span.start_ms) == would_send(done)
