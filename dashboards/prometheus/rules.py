"""The rules: what Prometheus records of the metrics, and what it tells operators. `dashboards/prometheus/files.py` writes them.

A recorded name is `level:metric:operation`. An alert is there because somebody can do something about it now: its runbook heading
says what. What analysts are told of comes from the desk, never from here. Only processes of the live run count: a backfill's ticks
are years old and nobody's trouble. Tests: tests/dashboards/prometheus, with cases that must fire and cases that must not.
"""

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Record:
    """An expression that is computed beforehand."""

    name: str  # level:metric:operation
    expr: str


@dataclass(frozen=True)
class Alert:
    """What operators are told of."""

    name: str
    expr: str
    for_: str  # how long it has to hold
    severity: Severity  # critical: alerts may be missing or late now; warning: they will be, or something is being lost
    summary: str  # the same for every series, so that a group shares it
    description: str  # with labels and value
    runbook: str  # heading of docs/runbook.md


def _live(expr: str) -> str:
    """LIVE stands for: of the live run, whether the target says so or says nothing."""
    return expr.replace("LIVE", 'run=~"live|"')


def _quantile(share: float, metric: str, by: str, *, over: str) -> str:
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{{LIVE}}[{over}])))"


_NEGATIVE: Final = 'sum by (topic, language) (rate(groundswell_documents_scored_total{sentiment="negative", LIVE}[1h]))'

_RECORDS: Final = (
    ("job:groundswell_documents_scored:rate5m", "sum by (job) (rate(groundswell_documents_scored_total{LIVE}[5m]))"),
    (
        "topic_language_sentiment:groundswell_documents_scored:rate1h",
        "sum by (topic, language, sentiment) (rate(groundswell_documents_scored_total{LIVE}[1h]))",
    ),
    (
        "topic_language:groundswell_documents_scored_negative:ratio_rate1h",
        f"{_NEGATIVE} / sum by (topic, language) (rate(groundswell_documents_scored_total{{LIVE}}[1h]))",
    ),
    ("reason:groundswell_records_dropped:rate5m", "sum by (reason) (rate(groundswell_records_dropped_total{LIVE}[5m]))"),
    ("stage:groundswell_batch_duration_seconds:p90_5m", _quantile(0.9, "groundswell_batch_duration_seconds", "stage", over="5m")),
    ("to:groundswell_document_latency_seconds:p90_5m", _quantile(0.9, "groundswell_document_latency_seconds", "to", over="5m")),
    ("stage:groundswell_partition_lag_messages:sum", "sum by (stage) (groundswell_partition_lag_messages{LIVE})"),
    (
        "job:groundswell_sources_blind:ratio",
        'sum by (job) (groundswell_sources{state="blind", LIVE}) / sum by (job) (groundswell_sources{state=~"live|late|blind", LIVE})',
    ),
)
RECORDS: Final = tuple(Record(name, _live(expr)) for name, expr in _RECORDS)

_DAY: Final = "sum by (language) (increase(groundswell_score_confidence_ratio_{}{{LIVE}}[1d]))"
DAILY_RECORDS: Final = (
    Record("language:groundswell_score_confidence_ratio_count:increase1d", _live(_DAY.format("count"))),
    Record("language:groundswell_score_confidence_ratio:mean1d", _live(f"{_DAY.format('sum')} / {_DAY.format('count')}")),
    Record("language:groundswell_score_confidence_ratio:mean7d", "avg_over_time(language:groundswell_score_confidence_ratio:mean1d[7d])"),
)
"""They read a day of samples and more, so they are computed every two minutes only."""

_DEAD_LETTERS: Final = 'sum(increase(groundswell_records_dropped_total{reason!="language", LIVE}[1h]))'
_CLOSED: Final = "min(groundswell_closed_tick_timestamp_seconds{LIVE} > 0)"
_CANARY: Final = "max(groundswell_canary_timestamp_seconds{LIVE})"
_CANARY_EVERY: Final = "max(groundswell_canary_interval_seconds{LIVE})"

_UNSENT: Final = 'sum(groundswell_outbox_messages{state=~"due|attempted", LIVE})'
_TRIED_AGAIN: Final = 'sum(increase(groundswell_deliveries_total{result="waits", LIVE}[1h]))'
"""Whoever waits for its time, and was never tried, is no trouble."""

_ALERTS: Final = (
    Alert(
        "GroundswellProcessDown",
        'up{job="groundswell"} == 0',
        "2m",
        "critical",
        "A groundswell process does not answer.",
        "{{ $labels.process }} at {{ $labels.instance }} shows no metrics: it has ended, or it hangs.",
        "a-process-is-gone",
    ),
    Alert(
        "GroundswellNothingScraped",
        "absent(groundswell_closed_tick_timestamp_seconds{LIVE})",
        "5m",
        "critical",
        "Prometheus finds no groundswell process at all.",
        "No process of the live run is known to Prometheus: none runs, or its files in DATA/targets are not read.",
        "a-process-is-gone",
    ),
    Alert(
        "GroundswellWorkersGivenUp",
        'max by (kind) (groundswell_conditions{kind=~"crash_loop|final", LIVE}) > 0',
        "0m",
        "critical",
        "A supervisor has given its workers up.",
        "The condition {{ $labels.kind }} holds: workers crash again and again, or say that starting them again does not help.",
        "workers-end-again-and-again",
    ),
    Alert(
        "GroundswellBehind",
        f"time() - {_CLOSED} > 180",
        "2m",
        "critical",
        "Time stands still: the pipeline is behind the clock.",
        "Everything is known only until {{ $value | humanizeDuration }} ago; no alert can come from later documents.",
        "time-stands-still",
    ),
    Alert(
        "GroundswellDeskStopped",
        f"{_CLOSED} - max(groundswell_decided_tick_timestamp_seconds{{LIVE}}) > 120",
        "2m",
        "critical",
        "The desk has stopped.",
        "Nothing was decided of the last {{ $value | humanizeDuration }} that are folded; no alert can come.",
        "the-desk-has-stopped",
    ),
    Alert(
        "GroundswellBalanceOff",
        'max(abs(groundswell_balance_documents{term="balance", LIVE})) > 0',
        "5m",
        "critical",
        "Documents have no fate, or two.",
        "The balance is off by {{ $value }} documents.",
        "the-balance-is-not-zero",
    ),
    Alert(
        "GroundswellCanaryOverdue",
        f"time() - {_CANARY} > {_CANARY_EVERY} + 300 and {_CANARY} > 0 and {_CANARY_EVERY} > 0",
        "1m",
        "critical",
        "A canary is missing.",
        "The last canary that reached the desk was to be sent {{ $value | humanizeDuration }} ago.",
        "a-canary-is-missing",
    ),
    Alert(
        "GroundswellMessageFailed",
        'sum(increase(groundswell_deliveries_total{result="failed", LIVE}[1h])) > 0',
        "0m",
        "critical",
        "A message was refused for good.",
        "A mail or a Slack message of an alert was refused and is not sent again by itself.",
        "a-message-was-not-delivered",
    ),
    Alert(
        "GroundswellMessagesWait",
        f"{_UNSENT} > 0 and {_TRIED_AGAIN} > 2",
        "15m",
        "critical",
        "Messages cannot be delivered.",
        "For a quarter of an hour attempts have failed and messages have waited, now {{ $value }}.",
        "a-target-refuses",
    ),
    Alert(
        "GroundswellNothingPolled",
        '(time() - max(groundswell_poll_timestamp_seconds{LIVE} > 0) > 7200) or (max(groundswell_conditions{kind="crawler", LIVE}) > 0)',
        "1m",
        "critical",
        "No source is polled.",
        "No source has answered for two hours: what is published now is not seen.",
        "no-source-is-polled",
    ),
    Alert(
        "GroundswellSpoolGrows",
        "groundswell_spooled_records{LIVE} > 0",
        "10m",
        "warning",
        "A crawler cannot publish.",
        "At {{ $labels.instance }} records have been waiting on disk for ten minutes, now {{ $value }}.",
        "the-broker-is-away",
    ),
    Alert(
        "GroundswellLagGrows",
        "stage:groundswell_partition_lag_messages:sum > 1000 and deriv(stage:groundswell_partition_lag_messages:sum[15m]) > 0",
        "15m",
        "warning",
        "Workers do not keep up with Kafka.",
        "{{ $value }} messages wait for stage {{ $labels.stage }}, and it becomes more.",
        "the-lag-grows",
    ),
    Alert(
        "GroundswellFeedDropped",
        'max(groundswell_conditions{kind="drops", LIVE}) > 0',
        "1m",
        "warning",
        "A feed is being dropped.",
        "Of {{ $value }} sources a fifth or more of what came within an hour could not be used.",
        "a-feed-is-being-dropped",
    ),
    Alert(
        "GroundswellDeadLetters",
        f"{_DEAD_LETTERS} > 20 and {_DEAD_LETTERS} / sum(increase(groundswell_batch_records_sum{{LIVE}}[1h])) > 0.1",
        "5m",
        "warning",
        "Many records cannot be used.",
        "{{ $value }} records were dropped within an hour, and that is more than a tenth of all.",
        "records-are-dropped",
    ),
    Alert(
        "GroundswellSourcesBlind",
        "job:groundswell_sources_blind:ratio > 0.3",
        "30m",
        "warning",
        "Many sources are blind.",
        "{{ $value | humanizePercentage }} of the sources with a rhythm are silent for too long: their silence is not calm.",
        "a-source-is-blind",
    ),
    Alert(
        "GroundswellModelLoadFailed",
        'sum(increase(groundswell_model_loads_total{result="failed", LIVE}[15m])) > 0',
        "0m",
        "warning",
        "A promoted model cannot be used.",
        "A process could not load a model that was promoted; the one before goes on.",
        "a-version-cannot-be-had-here",
    ),
    Alert(
        "GroundswellModelDrift",
        "abs(language:groundswell_score_confidence_ratio:mean1d - language:groundswell_score_confidence_ratio:mean7d offset 1d) > 0.05"
        " and language:groundswell_score_confidence_ratio_count:increase1d > 500",
        "1h",
        "warning",
        "A model is less sure, or surer, than it was.",
        "In {{ $labels.language }} the mean confidence of a day differs by {{ $value | humanizePercentage }} from that of the week before.",
        "a-models-confidence-has-moved",
    ),
    Alert(
        "GroundswellStoreSlow",
        "histogram_quantile(0.9, sum by (le) (rate(groundswell_look_duration_seconds_bucket{LIVE}[15m]))) > 5",
        "10m",
        "warning",
        "The store answers slowly.",
        "Of the lookout's looks at the store one in ten takes {{ $value | humanizeDuration }} or longer.",
        "the-store-is-slow",
    ),
    Alert(
        "GroundswellClockWrong",
        "max(groundswell_known_timestamp_seconds{LIVE}) - time() > 30",
        "2m",
        "warning",
        "A clock is wrong.",
        "The log stamps records {{ $value | humanizeDuration }} ahead of Prometheus.",
        "a-clock-is-wrong",
    ),
)
ALERTS: Final = tuple(Alert(a.name, _live(a.expr), a.for_, a.severity, a.summary, a.description, a.runbook) for a in _ALERTS)
