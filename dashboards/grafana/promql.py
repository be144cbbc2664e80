"""The PromQL of the dashboards, apart from their layout: what each expression reads of the processes' metrics (groundswell/metrics.py).

Every process exports every metric. A moment that a process does not know stays at 0, which is why moments are compared with 0 first;
a figure of the whole installation, of which only one process knows, is its maximum; what each has a part of is a sum.
"""

from typing import Final

_AT: Final = 'job=~"$job", instance=~"$instance", run=~"$run|"'
"""The chosen processes that work on the chosen run, and those that have no run."""

_RATE: Final = "[$__rate_interval]"


def _rate(counter: str, by: str = "", *, where: str = "") -> str:
    """Events a second, over all processes."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({counter}{{{_AT}{where}}}{_RATE}))"


def _most(gauge: str, by: str = "", *, where: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"max{grouped} ({gauge}{{{_AT}{where}}})"


# --- how far it has come -----------------------------------------------------------------------------------------------------
BEHIND: Final = f"time() - min(groundswell_closed_tick_timestamp_seconds{{{_AT}}} > 0)"
READ_BEHIND: Final = f"time() - max(groundswell_known_timestamp_seconds{{{_AT}}} > 0)"
DECIDED_BEHIND: Final = f"time() - max(groundswell_decided_tick_timestamp_seconds{{{_AT}}} > 0)"
PARTITIONS_BEHIND: Final = f"time() - max by (partition) (groundswell_raw_partition_timestamp_seconds{{{_AT}}} > 0)"
WAITING: Final = f"sum by (stage) (groundswell_partition_lag_messages{{{_AT}}})"
HELD: Final = f"sum(groundswell_held_records{{{_AT}}})"
HELD_BACK: Final = f"sum(groundswell_held_back_partitions{{{_AT}}})"
UP: Final = f"min by (job, instance) (up{{{_AT}}})"

# --- is everything accounted for ---------------------------------------------------------------------------------------------
BALANCE: Final = f'max(abs(groundswell_balance_documents{{{_AT}, term="balance"}}))'
TERMS: Final = _most("groundswell_balance_documents", "term")
CONDITIONS: Final = f"sum({_most('groundswell_conditions', 'kind')})"
CANARY_LATENCY: Final = _most("groundswell_canary_latency_seconds")
CANARY_AGE: Final = f"time() - max(groundswell_canary_timestamp_seconds{{{_AT}}} > 0)"

# --- how much it does --------------------------------------------------------------------------------------------------------
SCORED: Final = _rate("groundswell_documents_scored_total")
DUPLICATE: Final = _rate("groundswell_documents_duplicate_total")
EDITED: Final = _rate("groundswell_documents_edited_total")
DROPPED: Final = _rate("groundswell_records_dropped_total")
DROPPED_BY_REASON: Final = _rate("groundswell_records_dropped_total", "reason")
BATCHES: Final = _rate("groundswell_batch_duration_seconds_count", "stage")


def batch_quantile(share: float) -> str:
    """How long this share of the batches took at most, by stage."""
    return f"histogram_quantile({share:g}, {_rate('groundswell_batch_duration_seconds_bucket', 'le, stage')})"


def latency_quantile(share: float) -> str:
    """Within which time this share of the documents was known, and stored with its score."""
    return f"histogram_quantile({share:g}, {_rate('groundswell_document_latency_seconds_bucket', 'le, to')})"


def quantile(share: float, histogram: str) -> str:
    """What this share of a histogram without labels is at most."""
    return f"histogram_quantile({share:g}, {_rate(f'{histogram}_bucket', 'le')})"


BATCH_RECORDS: Final = quantile(0.5, "groundswell_batch_records")
ALERT_LATENCY: Final = quantile(0.95, "groundswell_alert_latency_seconds")
STORE_ANSWERS: Final = quantile(0.95, "groundswell_look_duration_seconds")
BUDGET_USED: Final = _most("groundswell_budget_used_alerts")
BUDGET_LIMIT: Final = _most("groundswell_budget_limit_alerts")
DELIVERIES: Final = _rate("groundswell_deliveries_total", "result")
DELIVERED: Final = f"time() - max(groundswell_delivery_timestamp_seconds{{{_AT}}} > 0)"
POLLED: Final = f"time() - max(groundswell_poll_timestamp_seconds{{{_AT}}} > 0)"
POLLS: Final = _rate("groundswell_polls_total", "result")
ITEMS_FETCHED: Final = _rate("groundswell_items_fetched_total")
ITEMS_NEW: Final = _rate("groundswell_items_new_total")
SPOOLED: Final = f"sum by (instance) (groundswell_spooled_records{{{_AT}}})"
ALERTS: Final = f"sum by (kind, severity) (increase(groundswell_alerts_total{{{_AT}}}{_RATE}))"
OUTBOX: Final = _most("groundswell_outbox_messages", "state")

# --- what the model says -----------------------------------------------------------------------------------------------------
SENTIMENTS: Final = (
    f"{_rate('groundswell_documents_scored_total', 'language, sentiment')} / on (language) group_left () "
    f"{_rate('groundswell_documents_scored_total', 'language')}"
)
TOPICS: Final = _rate("groundswell_documents_scored_total", "topic")
KINDS: Final = _rate("groundswell_documents_scored_total", "language, kind")
UNKNOWN_LANGUAGE: Final = _rate("groundswell_documents_unknown_language_total")
CONFIDENCE: Final = (
    f"{_rate('groundswell_score_confidence_ratio_sum', 'language')} / {_rate('groundswell_score_confidence_ratio_count', 'language')}"
)
MODEL: Final = f"max by (job, instance, model) (groundswell_model_info{{{_AT}}})"
SOURCES: Final = _most("groundswell_sources", "state")
MODEL_LOADS: Final = f"sum by (result) (increase(groundswell_model_loads_total{{{_AT}}}{_RATE}))"
