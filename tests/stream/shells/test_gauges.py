"""What only the store knows: states of sources, use of the budget, messages by state."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from alerts.rules import load_rules
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.metrics import SOURCE_STATES, Metrics
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.query import closed_ms
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.gauges import StoreGauges, told_today
from stream.shells.versions import VersionsInForce
from tests import builders as b

DAY = b.T0_MS - b.T0_MS % DAY_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as made:
        yield made


def an_alert(store: Store, incident: str, opened_ms: int, *, name: str = "", kind: str = "surge") -> None:
    row = {
        "run": LIVE_RUN, "id": f"{incident}{name}", "incident": incident, "kind": kind, "series": "topic:management:en",
        "opened_ms": opened_ms, "tick": 0, "severity": "low", "body": b"",
    }  # fmt: skip
    with store.write() as connection:
        store.insert(connection, t.alerts, [row])


def test_the_budget_counts_incidents_by_their_first_alert_on_the_utc_day_of_known_time(store: Store) -> None:
    an_alert(store, "yesterday", DAY)  # ends with the day before: [start, end) of its tick
    an_alert(store, "yesterday", DAY + 1_000, name="an update")
    an_alert(store, "early", DAY + 15_000)
    an_alert(store, "early", DAY + 30_000, name="an update")
    an_alert(store, "last", DAY + DAY_MS, kind="sighting")
    for kind in ("late", "slow_burn", "blind", "model_shift"):  # they have limits of their own, or none
        an_alert(store, kind, DAY + 45_000, kind=kind)
    an_alert(store, "tomorrow", DAY + DAY_MS + 15_000)
    with store.read() as connection:
        assert [told_today(connection, LIVE_RUN, until_ms=DAY + n) for n in (15_000, DAY_MS, DAY_MS + 15_000)] == [2, 2, 1]
        assert told_today(connection, "another", until_ms=DAY + 15_000) == 0


def test_sources_budget_and_outbox_are_those_of_the_store(store: Store, tmp_path: Path) -> None:
    metrics = Metrics(CollectorRegistry())
    shipped = load_rules()
    rules = msgspec.structs.replace(shipped, desk=msgspec.structs.replace(shipped.desk, budget_per_day=7))
    gauges = StoreGauges(metrics, LIVE_RUN, VersionsInForce(LIVE_RUN, rules))
    with LocalLog(tmp_path / "log") as log:
        for n in range(3):
            raw = b.a_raw(id=str(n), title=f"Aldora debt {n}", text="", source="Harbour Wire" if n else "Quay Post")
            log.append([("document", raw.source, encode(raw))], now_ms=b.T0_MS + n * 1_000)
        log.punctuate(now_ms=b.T0_MS + 60_000)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, b.instruments())
        while pipeline.step():
            pass
    box = {"run": LIVE_RUN, "alert_id": "a", "state": "due", "attempts": 0, "next_ms": 0, "how": "now"}
    box |= dict.fromkeys(("reason", "provider_id", "digest", "shown", "sent_ms"))
    with store.write() as connection:
        store.insert(connection, t.outbox, [box | {"target": "mail"}, box | {"target": "slack", "state": "failed"}])
    with store.read() as connection:
        gauges.read(connection, until_ms=closed_ms(connection, LIVE_RUN))
    value = metrics.registry.get_sample_value
    assert [value("groundswell_sources", {"state": state}) for state in SOURCE_STATES] == [2, 0, 0, 0, 0]
    assert [value("groundswell_outbox_messages", {"state": state}) for state in ("due", "sent", "failed")] == [1, 0, 1]
    assert [value("groundswell_budget_used_alerts"), value("groundswell_budget_limit_alerts")] == [0, 7]


def test_before_the_first_closed_tick_there_is_neither_a_state_nor_a_day(store: Store) -> None:
    metrics = Metrics(CollectorRegistry())
    with store.read() as connection:
        StoreGauges(metrics, LIVE_RUN, VersionsInForce(LIVE_RUN, load_rules())).read(connection, until_ms=None)
    assert metrics.registry.get_sample_value("groundswell_budget_limit_alerts") == 0
