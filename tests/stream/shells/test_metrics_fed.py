"""A metric that nobody feeds is worse than none: every one moves in a run of the demo archive, or stands below with the reason why not."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from alerts.notify.console import ConsoleNotifier
from groundswell.clock import ManualClock
from groundswell.metrics import Metrics
from groundswell.store import schema as t
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from ingest.demo_archive import SMALL_DEMO
from stream.shells import demo
from stream.shells.canaries import CanaryWatch
from stream.shells.lookout import Lookout
from stream.shells.sender import Fixed, Sender
from stream.shells.voice import Voice

CRAWLER: Final = "an archive is not polled: test_polls_are_counted"
CANARY: Final = "an archive has none: test_a_canary_reaches_desk_and_mailbox_and_is_stored_with_how_long_it_took"
SPOOL: Final = "there is no broker: test_run_polls_everything_that_is_due_says_that_time_goes_on_and_ends_when_it_is_told"
UNMOVED: Final = {
    "groundswell_polls": CRAWLER,
    "groundswell_items_fetched": CRAWLER,
    "groundswell_items_new": CRAWLER,
    "groundswell_poll_timestamp_seconds": CRAWLER,
    "groundswell_spooled_records": SPOOL,
    "groundswell_canary_timestamp_seconds": CANARY,
    "groundswell_canary_latency_seconds": CANARY,
    "groundswell_model_loads": "nothing is promoted: test_a_promoted_model_is_proposed_once_it_is_loaded_and_is_there_when_it_is_needed",
    "groundswell_leaders_crowded_out": "no series has so many: test_a_story_that_is_crowded_out_is_counted_and_one_that_is_old_is_not",
    "groundswell_raw_partition_timestamp_seconds": "Kafka alone: test_each_process_is_found_by_prometheus_and_gone_after_its_stop",
    "groundswell_held_back_partitions": (
        "Kafka alone, and only where a partition is far ahead: "
        "test_the_time_of_each_raw_partition_is_a_moment_and_shows_which_one_holds_the_others_back"
    ),
}
"""Metric -> why it stays at zero here, and the test that moves it."""


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[set[str], set[str]]]:
    """(metrics that moved, all of them) when the small demo archive has been played, looked at and sent."""
    metrics = Metrics(CollectorRegistry(), watched=["VeyraBank"])
    before = values(metrics)
    played = demo.set_up(tmp_path_factory.mktemp("demo"), spec=SMALL_DEMO, use="linear")
    played.pipeline.metrics = metrics
    seen = [before]
    while played.pipeline.step():
        seen.append(values(metrics))
    put_into_outbox(played.store)
    clock = ManualClock((played.log.last_known_ms() or 0) + 600_000)
    console = {"console": ConsoleNotifier("console", io.StringIO())}
    sender = Sender(played.store, demo.RUN, Fixed(console), Voice("http://127.0.0.1", str), clock.now_ms)
    metrics.observe_deliveries(asyncio.run(sender.send_due()))
    in_force = played.instruments.in_force(demo.RUN)
    asyncio.run(Lookout(played.store, demo.RUN, {}, "http://127.0.0.1", clock, played.log, metrics, in_force).look())
    asyncio.run(CanaryWatch(played.store, demo.RUN, 3_600_000, {}, "http://127.0.0.1", clock, metrics).look())
    seen.append(values(metrics))
    yield {name for later in seen for (name, sample), value in later.items() if before.get((name, sample)) != value}, {n for n, _ in before}
    played.store.close()


def put_into_outbox(store: Store) -> None:
    """What a live run would send of its first alert."""
    with store.write() as connection:
        first = alerts_of(connection, demo.RUN)[0].id
        row = {"run": demo.RUN, "alert_id": first, "target": "console", "state": "due", "attempts": 0, "next_ms": 0, "how": "now"}
        store.insert(connection, t.outbox, [row | dict.fromkeys(("reason", "provider_id", "digest", "shown", "sent_ms"))])


def values(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {(m.name, f"{s.name}{s.labels}"): s.value for m in metrics.registry.collect() for s in m.samples}


def test_every_metric_moves_or_has_a_reason(moved: tuple[set[str], set[str]]) -> None:
    fed, known = moved
    assert known - fed == set(UNMOVED)


def test_every_reason_names_a_test_that_there_is() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[2].rglob("test_*.py"))
    assert not [reason for reason in UNMOVED.values() if f"def {reason.split()[-1]}(" not in text]
