"""Why not: what was told is named, what was held has its reason, and of what was not found a gate says why."""

from collections.abc import Iterator

import msgspec
import pytest

from groundswell.errors import NotFoundError
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, TICK_MS
from groundswell.records import Alert
from groundswell.store.derived import load_candidates
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from models.entities import Catalogue
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.why_not import WhyNot, series_named, why_not
from tests import builders as b

RUN = "live"
RULES = msgspec.structs.replace(b.easy_rules(), desk=msgspec.structs.replace(b.easy_rules().desk, budget_per_day=1))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A seeded run that led to alerts, and to more than its budget of one a day."""
    folder = tmp_path_factory.mktemp("why_not")
    store, instruments = Store(str(folder / "s.db")), b.instruments(RULES)
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, b.fill(LocalLog(folder / "log"), b.an_archive(1, records=420)), RUN, instruments)
    while pipeline.step(limit=50):
        pass
    pipeline.finish()
    yield store
    store.close()


def asked(store: Store, *series: str, at_ms: int) -> WhyNot:
    with store.read() as connection:
        return why_not(connection, RUN, series, at_ms=at_ms, rules=RULES)


def alerts(store: Store) -> list[Alert]:
    with store.read() as connection:
        return alerts_of(connection, RUN)


def test_an_alert_of_the_day_before_is_named(store: Store) -> None:
    for alert in alerts(store):
        assert alert.id in [told.id for told in asked(store, alert.series, at_ms=alert.opened_ms).alerts]
        assert alert.id not in [told.id for told in asked(store, alert.series, at_ms=alert.opened_ms - TICK_MS).alerts]
        assert asked(store, "entity:nobody", at_ms=alert.opened_ms).alerts == []


def test_what_the_desk_held_is_named_with_its_reason(store: Store) -> None:
    with store.read() as connection:
        found = load_candidates(connection, RUN, since_tick=0, through_tick=2**40)
    reasons = {
        held.decision.reason.split(":")[0]
        for candidate in found
        for held in asked(store, candidate.series, at_ms=candidate.known_until_ms).held
        if held.decision is not None
    }
    assert "budget" in reasons


def test_where_there_was_no_candidate_a_gate_says_why(store: Store) -> None:
    """The gates are the detector's own: they all hold only where it has found something, and there the last one says so."""
    with store.read() as connection:
        found = load_candidates(connection, RUN, since_tick=0, through_tick=2**40)
    found_at = {(candidate.kind, candidate.series, candidate.window_s, candidate.tick) for candidate in found}
    series = sorted({candidate.series for candidate in found})
    stopped = set()
    for day in range(12):
        for hour in range(0, 24, 3):
            answer = asked(store, *series, at_ms=b.T0_MS + DAY_MS // 2 + day * DAY_MS + hour * DAY_MS // 24)
            for reading in answer.readings:
                assert reading.stopped_by or (reading.kind, reading.series, reading.window_s, answer.tick) in found_at
                stopped.add(reading.stopped_by.name if reading.stopped_by else "")
    assert len(stopped) >= 3


def test_each_gate_says_its_numbers(store: Store) -> None:
    alert = alerts(store)[0]
    readings = [r for r in asked(store, alert.series, at_ms=alert.opened_ms + TICK_MS).readings if r.kind == "surge"]

    assert readings
    for reading in readings:
        assert [gate.name for gate in reading.gates] == [
            "stories",
            "forming",
            "repeat",
            "blind",
            "improbable",
            "corroboration",
            "opens",
            "news",
        ]
        assert reading.gates[0].said.startswith("fresh negative stories: ")


def test_before_the_first_record_nothing_can_be_said(store: Store) -> None:
    with pytest.raises(NotFoundError, match="nothing was known so early"):
        asked(store, "entity:aldora", at_ms=0)


def test_a_name_is_a_company_with_its_risks_a_topic_or_a_series() -> None:
    catalogue = Catalogue.load()

    assert series_named("Credit Suisse", catalogue)[:2] == ["entity:CreditSuisse", "flag:default_bankruptcy:CreditSuisse"]
    assert series_named("CreditSuisse", catalogue) == series_named("瑞信", catalogue)
    assert series_named("Market moves", catalogue) == ["topic:market_moves:en", "topic:market_moves:zh"]
    assert series_named("topic:fx_crypto:en", catalogue) == ["topic:fx_crypto:en"]
    with pytest.raises(NotFoundError, match=r"'Nowhere Ltd': no company, topic or series is called so"):
        series_named("Nowhere Ltd", catalogue)
