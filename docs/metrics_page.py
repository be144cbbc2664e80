"""docs/metrics.md: every metric, what it means, and the alerts that look at it; from the instruments and the rules themselves."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric

from dashboards.prometheus.rules import ALERTS, DAILY_RECORDS, RECORDS
from groundswell.metrics import Metrics

_SAYS: Final = """\
# Metrics and alerts

Made from `groundswell/metrics.py` and `dashboards/prometheus/rules.py` by `make docs`; a test compares them. How Prometheus is set up,
and what the metrics are for: [prometheus.md](prometheus.md).

Every label set that can be known beforehand is there from the start, at zero. A time stamp of 0 means: not yet. Each process shows all
metrics; those of a stage that it does not run stay at zero. Where OpenMetrics is asked for, histograms marked * carry the id of a
document as an exemplar. `process_*` (memory, processor time, open files) are those of the Prometheus client.
""".splitlines()

_WITH_EXEMPLARS: Final = ("groundswell_document_latency_seconds", "groundswell_alert_latency_seconds", "groundswell_score_confidence_ratio")


def metrics_markdown() -> str:
    """The page."""
    found = list(Metrics(CollectorRegistry(), watched=["ID"]).registry.collect())
    series = sum(len(metric.samples) for metric in found)
    lines = [*_SAYS, "", f"{len(found)} metrics, {series} series of a process that watches one company.", ""]
    lines += ["| metric | kind | labels (values) | what |", "|---|---|---|---|", *map(_row, found)]
    lines += ["", "## Recorded series", "", "| series | expression |", "|---|---|"]
    lines += [f"| `{record.name}` | `{_in_cell(record.expr)}` |" for record in (*RECORDS, *DAILY_RECORDS)]
    lines += ["", "## Alerts", "", "| alert | severity | after | what | do |", "|---|---|---|---|---|"]
    lines += [
        f"| `{a.name}` | {a.severity} | {a.for_} | {a.summary} | [{a.runbook.replace('-', ' ')}](runbook.md#{a.runbook}) |" for a in ALERTS
    ]
    return "\n".join(lines) + "\n"


def _in_cell(expr: str) -> str:
    return expr.replace("|", "\\|")


def _row(metric: Metric) -> str:
    name = f"{metric.name}{'_total' if metric.type == 'counter' else '_info' if metric.type == 'info' else ''}"
    star = " *" if metric.name in _WITH_EXEMPLARS else ""
    return f"| `{name}`{star} | {metric.type} | {'; '.join(_labels(metric)) or '-'} | {metric.documentation} |"


def _labels(metric: Metric) -> Iterator[str]:
    values: dict[str, dict[str, None]] = {}
    for sample in metric.samples:
        for label, value in sample.labels.items():
            if label != "le":
                values.setdefault(label, {})[value] = None
    if metric.name == "groundswell_model":
        values["model"] = {}
    for label, found in values.items():
        names = list(found)
        if label == "partition":
            yield f"{label} (0 to {len(names) - 1})"
        elif label in ("topic", "entity", "model"):
            yield label
        else:
            yield f"{label} ({', '.join(names)})"
