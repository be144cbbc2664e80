"""Every known label set is there from the start, no metric is larger than promised, and each method moves what it names."""

import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from groundswell.errors import DependencyError
from groundswell.metrics import DROP_REASONS, Metrics, drop_class, serve_metrics
from groundswell.names import KINDS, LANGUAGES, RAW_PARTITIONS, SENTIMENTS, TOPICS
from groundswell.records import Admission, Document, Drop, Kind, Outcome, Position, Score, Sentiment


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


def admission(outcome: Outcome) -> Admission:
    return Admission(position=Position(0, 1), known_ms=1, source="s", language="en", outcome=outcome)


def drop(reason: str) -> Drop:
    return Drop(position=Position(0, 1), known_ms=1, source="s", reason=reason, body=b"")


def pair(topic: str, sentiment: Sentiment, language: str, kind: Kind) -> tuple[Document, Score]:
    document = Document(
        document_id="d", content_hash="c", source="s", owner="s", owner_known=True, kind=kind, language=language, title="t", text="",
        url=None, published_ms=0, published_precision="second", known_ms=0,
    )  # fmt: skip
    score = Score(
        document_id="d", content_hash="c", model_id="m", language=language, topic=topic, topic_ppm={topic: 1_000_000}, sentiment=sentiment,
        negative_ppm=0, neutral_ppm=1_000_000, positive_ppm=0,
    )  # fmt: skip
    return document, score


def test_scored_documents_have_all_336_series_at_zero_before_the_first_document(registry: CollectorRegistry, metrics: Metrics) -> None:
    samples = [s for m in registry.collect() if m.name == "groundswell_documents_scored" for s in m.samples]
    assert {s.name for s in samples} == {"groundswell_documents_scored_total"}
    assert {s.value for s in samples} == {0.0}
    assert len(samples) == len(TOPICS) * len(SENTIMENTS) * len(LANGUAGES) * len(KINDS) == 336


def test_every_labelled_metric_is_exported_before_anything_happens_and_stays_small(registry: CollectorRegistry, metrics: Metrics) -> None:
    for metric in registry.collect():
        assert metric.samples, metric.name
        assert metric.name.startswith("groundswell_")
        assert metric.documentation.endswith(".")
        assert len(metric.samples) <= 336


def test_feeding_any_label_whatever_adds_no_series(registry: CollectorRegistry, metrics: Metrics) -> None:
    before = {(s.name, *sorted(s.labels.items())) for m in registry.collect() for s in m.samples}
    metrics.observe_intake(
        [], [pair("debt_credit", "negative", "en", "news"), pair("new_topic", "negative", "de", "news")], [], seconds=1, known_ms=1
    )
    metrics.observe_intake([], [], [drop(f"surprise number {n}") for n in range(5)], seconds=1, known_ms=1)
    metrics.observe_outbox({"due": 1, "unheard of": 2})
    after = {(s.name, *sorted(s.labels.items())) for m in registry.collect() for s in m.samples}
    assert after == before


def test_a_batch_moves_the_counters_of_what_became_of_its_records(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_intake(
        [admission("scored"), admission("duplicate"), admission("duplicate"), admission("edited"), admission("dropped")],
        [pair("debt_credit", "negative", "zh", "comment")],
        [drop("language: de"), drop("raw record: Invalid UTF-8"), drop("whatever")],
        seconds=0.2,
        known_ms=1_500,
    )

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"groundswell_{name}", labels)

    labels = {"topic": "debt_credit", "sentiment": "negative", "language": "zh", "kind": "comment"}
    assert value("documents_scored_total", **labels) == 1
    assert (value("documents_duplicate_total"), value("documents_edited_total")) == (2, 1)
    assert [value("records_dropped_total", reason=reason) for reason in DROP_REASONS] == [1, 0, 0, 0, 1, 0, 1]
    assert value("documents_unknown_language_total") == 1
    assert value("batch_duration_seconds_count", stage="intake") == 1
    assert value("known_timestamp_seconds") == 1.5


def test_a_closed_tick_is_shown_as_the_moment_it_ended(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_tick(3, held_records=7, seconds=0.1)
    metrics.observe_tick(3, held_records=0, seconds=0.1, stage="desk")
    assert registry.get_sample_value("groundswell_closed_tick_timestamp_seconds") == 60.0
    assert registry.get_sample_value("groundswell_held_records") == 7


def test_the_outbox_shows_each_state_and_a_state_that_emptied_falls_to_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_outbox({"due": 2, "sent": 5})
    metrics.observe_outbox({"sent": 7})
    shown = [registry.get_sample_value("groundswell_outbox_messages", {"state": s}) for s in ("due", "attempted", "sent", "failed")]
    assert shown == [0, 0, 7, 0]


def test_polls_and_spool_are_counted(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_poll("new", fetched=20, new=3)
    metrics.observe_poll("not_modified")
    metrics.observe_spool(12)
    assert registry.get_sample_value("groundswell_polls_total", {"result": "not_modified"}) == 1
    assert registry.get_sample_value("groundswell_items_fetched_total") == 20
    assert registry.get_sample_value("groundswell_items_new_total") == 3
    assert registry.get_sample_value("groundswell_spooled_records") == 12


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("score: broken", "score"), ("no source: every document names it", "no source"), ("empty: nothing", "empty"), ("", "other")],
)
def test_a_drop_counts_in_the_class_before_its_colon(reason: str, expected: str) -> None:
    assert drop_class(reason) == expected


def test_metrics_are_served_in_a_form_that_prometheus_reads_and_a_taken_port_is_an_error(metrics: Metrics) -> None:
    assert serve_metrics(metrics, "127.0.0.1", 0) is None
    port = free_port()
    served = serve_metrics(metrics, "127.0.0.1", port)
    assert served is not None
    server, thread = served
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            families = {family.name for family in text_string_to_metric_families(answer.read().decode())}
        assert "groundswell_documents_scored" in families
        with pytest.raises(DependencyError, match=f"metrics.port 127.0.0.1:{port}"):
            serve_metrics(metrics, "127.0.0.1", port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_time_of_each_raw_partition_is_a_moment_and_shows_which_one_holds_the_others_back(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.observe_raw_times([-(2**62), 1_500, *[9_000] * (RAW_PARTITIONS - 2)])
    metrics.observe_held_back(3)
    name = "groundswell_raw_partition_timestamp_seconds"
    assert [registry.get_sample_value(name, {"partition": str(n)}) for n in (0, 1, RAW_PARTITIONS - 1)] == [0, 1.5, 9]
    assert registry.get_sample_value("groundswell_held_back_partitions") == 3
