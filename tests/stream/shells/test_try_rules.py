"""What the board is handed to rehearse rules: the same rules change nothing, stricter ones let incidents go, and it can be ended."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from alerts.rules_text import text_of
from groundswell.codec import canonical
from groundswell.errors import SettingsError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, TICK_MS
from groundswell.rehearsed import Comparison, events_of
from groundswell.schedule import RULES
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from groundswell.store.versions import read_schedule
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.try_rules import TryRules
from tests import builders as b

RUN = "live"
OWN = b.easy_rules()
STRICT = msgspec.structs.replace(OWN, desk=msgspec.structs.replace(OWN.desk, budget_per_day=1))
LOOSE = msgspec.structs.replace(
    OWN,
    surge=msgspec.structs.replace(OWN.surge, p_open_hour=0.2, p_open_day=0.2, p_share_open=0.9, owners_min=1, stories_min_hour=1),
    desk=msgspec.structs.replace(OWN.desk, budget_per_day=50, cooldown_s=60),
)
SPAN = {"from_ms": b.T0_MS, "to_ms": b.T0_MS + 90 * DAY_MS}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("run")
    with closing(Store(str(folder / "s.db"))) as store, LocalLog(folder / "log") as log:
        open_run(store, RUN, kind="live", instruments=b.instruments(OWN))
        pipeline = EmbeddedPipeline(store, b.fill(log, b.an_archive(1, records=420)), RUN, b.instruments(OWN), targets=("console",))
        while pipeline.step(limit=50):
            pass
        pipeline.finish()
        yield store


def compared(store: Store, text: str) -> Comparison:
    told: list[float] = []
    found = TryRules(store, display=str).compare(text, RUN, before=OWN.hash, beat=told.append, **SPAN)
    assert told == sorted(told)
    assert (len(told) > 10, told[-1]) == (True, 1.0)
    return found


def test_with_the_runs_own_rules_every_incident_stays_message_for_message(store: Store) -> None:
    found = compared(store, text_of(OWN))
    with store.read() as connection:
        stored = alerts_of(connection, RUN)
    assert [one.alert for one in found.sent] == [alert.id for alert in stored] != []
    assert sorted(found.would, key=lambda one: (one.opened_ms, one.alert)) == found.sent
    assert {event.fate for event in events_of(found)} == {"stays"}
    assert (found.rules, found.before, found.unlike) == (OWN.hash, OWN.hash, 0)


def test_stricter_rules_let_incidents_go_and_looser_ones_let_incidents_come(store: Store) -> None:
    strict, loose = compared(store, text_of(STRICT)), compared(store, text_of(LOOSE))
    assert [len(strict.would) < len(strict.sent), len(loose.would) > len(loose.sent)] == [True, True]
    assert "goes" in {event.fate for event in events_of(strict)}
    assert strict.held["budget"] > 0
    for found in (strict, loose):
        events = events_of(found)
        assert sum(len(event.sent) for event in events) == len(found.sent)
        assert sum(len(event.would) for event in events) == len(found.would)


def test_a_part_of_the_run_is_compared_with_what_was_sent_in_that_part(store: Store) -> None:
    span = {"from_ms": b.T0_MS + 4 * DAY_MS, "to_ms": b.T0_MS + 6 * DAY_MS}
    found = TryRules(store, display=str).compare(text_of(OWN), RUN, before="", beat=lambda _: None, **span)
    assert found.days == pytest.approx(2.0)
    assert [one.alert for one in found.sent] == [one.alert for one in sorted(found.would, key=lambda one: (one.opened_ms, one.alert))]


def test_what_the_beat_raises_ends_it(store: Store) -> None:
    def enough(done: float) -> None:
        if done > 0.1:
            message = "enough"
            raise UsageError(message)

    with pytest.raises(UsageError, match="enough"):
        TryRules(store, display=str).compare(text_of(OWN), RUN, before="", beat=enough, **SPAN)


def test_a_text_and_what_is_stored_of_it_are_the_same_rules(store: Store) -> None:
    trial = TryRules(store, display=str)
    name, content = trial.read(text_of(STRICT))
    assert (name, content) == (STRICT.hash, canonical(STRICT))
    assert trial.read(trial.text_of(content)) == (name, content)
    with pytest.raises(SettingsError, match=r"the rules:\d+: desk\.budget_per_dag: there is no such key, did you mean 'budget_per_day'"):
        trial.read(text_of(STRICT).replace("budget_per_day", "budget_per_dag"))


# --- a start with the same file ---------------------------------------------------------------------------------------------------
def test_rules_that_were_saved_outlive_a_start_with_the_file_as_it_was_and_a_changed_file_counts_again(tmp_path: Path) -> None:
    from groundswell.store.versions import put_in_force
    from stream.shells.versions import content_of_rules

    with closing(Store(str(tmp_path / "s.db"))) as store:
        for step, (given, saved) in enumerate([(OWN, STRICT), (OWN, None), (LOOSE, None), (OWN, None)]):
            open_run(store, RUN, kind="live", instruments=b.instruments(given), now_ms=step * TICK_MS)
            if saved is not None:
                put_in_force(store, RUN, {RULES: content_of_rules(saved)}, now_ms=step * TICK_MS)
        with store.read() as connection:
            assert [row.hash for row in read_schedule(connection, RUN).of(RULES)] == [OWN.hash, STRICT.hash, LOOSE.hash, OWN.hash]
