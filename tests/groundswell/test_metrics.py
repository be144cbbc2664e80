"""Every known label set is there from the start, no metric is larger than promised, and each method moves what it names."""

import urllib.request
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from groundswell.errors import DependencyError
from groundswell.metrics import DELIVERY_RESULTS, DROP_REASONS, Metrics, drop_class, serve_metrics
from groundswell.names import CANARY_SOURCE, KINDS, LANGUAGES, RAW_PARTITIONS, SENTIMENTS, TOPICS
from groundswell.records import Admission, Delivery, Document, Drop, Kind, Mention, Outcome, Position, Score, Sentiment
from tests.peers import free_port


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry, now_s=lambda: 1_000.0)


def timed(**times: Any) -> tuple[Document, Score]:
    document, score = pair("debt_credit", "negative", "en", "news")
    return msgspec.structs.replace(document, **times), score


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
    model = ("groundswell_model_info", ("model", "m"))  # one series, whatever the model is
    assert after - {model} == before - {("groundswell_model_info",)}


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
    metrics.observe_crowded_out(2)
    metrics.observe_crowded_out(3)
    metrics.observe_decided(2, [], seconds=0.1)
    assert registry.get_sample_value("groundswell_closed_tick_timestamp_seconds") == 60.0
    assert registry.get_sample_value("groundswell_decided_tick_timestamp_seconds") == 45.0
    assert registry.get_sample_value("groundswell_held_records") == 7
    assert registry.get_sample_value("groundswell_leaders_crowded_out_total") == 5
    assert registry.get_sample_value("groundswell_batch_duration_seconds_count", {"stage": "desk"}) == 1


def test_a_fold_worker_that_has_no_partition_any_more_does_not_look_as_if_it_stood_still(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.observe_tick(3, held_records=7, seconds=0.1)
    metrics.observe_no_partition()
    assert registry.get_sample_value("groundswell_closed_tick_timestamp_seconds") == 0
    assert registry.get_sample_value("groundswell_held_records") == 0


def test_a_document_is_timed_from_published_to_known_and_from_known_to_scored(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_intake([], [timed(published_ms=940_000, known_ms=970_000)], [], seconds=1, known_ms=1)  # the clock shows 1,000 s
    metrics.observe_intake([], [timed(published_ms=0, known_ms=970_000, published_precision="day")], [], seconds=1, known_ms=1)
    metrics.observe_intake([], [timed(published_ms=970_000, known_ms=970_000, published_flag="missing")], [], seconds=1, known_ms=1)
    shown = {to: registry.get_sample_value("groundswell_document_latency_seconds_sum", {"to": to}) for to in ("known", "scored")}
    assert shown == {"known": 30, "scored": 90}


def test_a_clock_that_is_behind_the_log_makes_no_negative_latency(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_intake([], [timed(published_ms=0, known_ms=1_500_000)], [], seconds=1, known_ms=1)
    assert registry.get_sample_value("groundswell_document_latency_seconds_sum", {"to": "scored"}) == 0


def test_an_exemplar_is_the_id_of_a_document_and_openmetrics_shows_it(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_intake([], [timed(published_ms=940_000, known_ms=970_000)], [], seconds=1, known_ms=1)
    shown = [s.exemplar.labels for m in registry.collect() for s in m.samples if s.exemplar]
    assert {tuple(labels.items()) for labels in shown} == {(("document_id", "d"),)}
    text: str = openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    assert '# {document_id="d"} 30.0' in text


def test_the_mean_confidence_is_the_probability_of_what_was_chosen(registry: CollectorRegistry, metrics: Metrics) -> None:
    for document, score in (pair("debt_credit", "neutral", "zh", "news"), pair("management", "neutral", "zh", "news")):
        sure = msgspec.structs.replace(score, negative_ppm=100_000, neutral_ppm=600_000, positive_ppm=300_000)
        metrics.observe_intake([], [(document, sure)], [], seconds=1, known_ms=1)
    name = "groundswell_score_confidence_ratio"
    assert registry.get_sample_value(f"{name}_sum", {"language": "zh"}) == pytest.approx(1.2)
    assert registry.get_sample_value(f"{name}_count", {"language": "zh"}) == 2
    assert registry.get_sample_value(f"{name}_count", {"language": "en"}) == 0


def test_the_model_is_the_one_whose_score_counted_last(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_model("before")
    metrics.observe_intake([], [pair("management", "neutral", "en", "news")], [], seconds=1, known_ms=1)
    shown = [s.labels for m in registry.collect() if m.name == "groundswell_model" for s in m.samples]
    assert shown == [{"model": "m"}]


def test_a_canary_proves_the_way_and_is_nobodys_opinion(registry: CollectorRegistry, metrics: Metrics) -> None:
    document, score = pair("general_other", "negative", "en", "news")
    metrics.observe_intake([], [(msgspec.structs.replace(document, source=CANARY_SOURCE), score)], [], seconds=1, known_ms=1)
    assert not [s for m in registry.collect() if m.name == "groundswell_documents_scored" for s in m.samples if s.value]
    assert registry.get_sample_value("groundswell_document_latency_seconds_count", {"to": "scored"}) == 1


def test_watched_companies_are_counted_by_name_from_zero_and_nobody_else_is() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, watched=["AAA", "BBB"])
    document, score = pair("management", "negative", "en", "news")
    named = msgspec.structs.replace(score, mentions=[Mention("AAA", 0, 1), Mention("AAA", 3, 4), Mention("CCC", 5, 6)])
    metrics.observe_intake([], [(document, named)], [], seconds=1, known_ms=1)
    shown = {
        (s.labels["entity"], s.labels["sentiment"]): s.value
        for m in registry.collect()
        if m.name == "groundswell_documents_watched"
        for s in m.samples
    }
    assert shown == {(e, s): float((e, s) == ("AAA", "negative")) for e in ("AAA", "BBB") for s in SENTIMENTS}


def test_messages_that_wait_are_shown_by_partition_and_those_of_others_at_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe_lags("fold", {0: 3, 31: 5})
    metrics.observe_lags("fold", {0: 4})
    shown = [registry.get_sample_value("groundswell_partition_lag_messages", {"stage": "fold", "partition": str(n)}) for n in (0, 1, 31)]
    assert shown == [4, 0, 0]


def test_what_became_of_deliveries_sources_and_the_budget_is_shown(registry: CollectorRegistry, metrics: Metrics) -> None:
    results = (
        Delivery(target="mail", ok=True), Delivery(target="mail", ok=False), Delivery(target="slack", ok=False, permanent=True),
    )  # fmt: skip
    metrics.observe_deliveries(results)
    metrics.observe_sources(["live", "blind", "live"])
    metrics.observe_budget(used=2, limit=3)
    value = registry.get_sample_value
    assert [value("groundswell_deliveries_total", {"result": result}) for result in DELIVERY_RESULTS] == [1, 1, 1]
    assert value("groundswell_delivery_timestamp_seconds") == 1_000
    assert [value("groundswell_sources", {"state": state}) for state in ("live", "late", "blind")] == [2, 0, 1]
    assert [value("groundswell_budget_used_alerts"), value("groundswell_budget_limit_alerts")] == [2, 3]


def test_a_poll_that_was_answered_moves_the_time_of_the_last_answer_and_a_failed_one_does_not(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.observe_poll("failed")
    assert registry.get_sample_value("groundswell_poll_timestamp_seconds") == 0
    metrics.observe_poll("not_modified")
    assert registry.get_sample_value("groundswell_poll_timestamp_seconds") == 1_000


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


def test_the_time_of_each_raw_partition_is_a_moment_and_shows_which_one_holds_the_others_back(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.observe_raw_times([-(2**62), 1_500, *[9_000] * (RAW_PARTITIONS - 2)])
    metrics.observe_held_back(3)
    name = "groundswell_raw_partition_timestamp_seconds"
    assert [registry.get_sample_value(name, {"partition": str(n)}) for n in (0, 1, RAW_PARTITIONS - 1)] == [0, 1.5, 9]
    assert registry.get_sample_value("groundswell_held_back_partitions") == 3
