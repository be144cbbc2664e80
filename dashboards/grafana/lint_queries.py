"""What is wrong with one query: PromQL and SQL looked at as text, without a server. Real servers judge them in the tests."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry

from dashboards.grafana.model import Json
from groundswell.metrics import Metrics

Words = tuple[str, str, str]
"""Rule, value, next step."""

MATCHERS: Final = ('job=~"$job"', 'instance=~"$instance"')
OF_PROMETHEUS: Final = {"up": "gauge"}
"""What Prometheus itself says of a process."""

_SELECTOR: Final = re.compile(r"\b(groundswell_\w+|up)\b(\{[^}]*\})?(\[[^\]]*\])?")
_OVER_TIME: Final = re.compile(r"\b(?:rate|increase|irate|resets|\w+_over_time)\(\s*$")
_MACROS: Final = frozenset(
    {
        "__unixEpochFrom",
        "__unixEpochTo",
        "__unixEpochFilter",
        "__unixEpochGroup",
        "__unixEpochGroupAlias",
        "__timeFilter",
        "__timeGroupAlias",
    }
)
_MACRO: Final = re.compile(r"\$(__\w+)\(([^)]*)\)")
_SMALL_PRODUCT: Final = re.compile(r"(?<![\w:])\d+ \* \$__unixEpoch(?:From|To)\(\)|\$__unixEpoch(?:From|To)\(\) \* \d+(?!\d*::bigint)")
_NOT_A_TABLE: Final = frozenset({"unnest", "jsonb_array_elements", "jsonb_array_elements_text", "lateral"})


def exported_metrics() -> dict[str, str]:
    """{name as a process exposes it: its type}, of every metric of this version."""
    registry = CollectorRegistry()
    Metrics(registry)
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
    return {
        f"{metric.name}{ending}": metric.type for metric in registry.collect() for ending in endings.get(metric.type, ("",))
    } | OF_PROMETHEUS


def metrics_named(expression: str) -> set[str]:
    """The metrics that an expression reads.

    >>> sorted(metrics_named('sum(up{job="a"}) / groundswell_held_records'))
    ['groundswell_held_records', 'up']
    """
    return {found[1] for found in _SELECTOR.finditer(expression)}


def promql_complaints(expression: str, metrics: Mapping[str, str]) -> Iterator[Words]:
    """What the linter's rules say of an expression.

    Args:
        expression: PromQL with Grafana's variables.
        metrics: {name as exposed: type} of everything that may be read.
    """
    for opening, closing in ("()", "{}", "[]"):
        if expression.count(opening) != expression.count(closing):
            yield "brackets are closed", expression, f"count {opening} and {closing}"
    if not metrics_named(expression):
        yield "an expression reads a metric of ours", expression, "name one of groundswell/metrics.py"
    for found in _SELECTOR.finditer(expression):
        name, matchers, span = found[1], found[2] or "", found[3] or ""
        if name not in metrics:
            yield "a metric is one that the processes export", name, "see groundswell/metrics.py; a counter ends with _total"
        for matcher in MATCHERS:
            if matcher not in matchers:
                yield f"each selector has {matcher}", f"{name}{matchers}", "add it, so that the variables choose"
        if span and span != "[$__rate_interval]":
            yield "a span is [$__rate_interval]", f"{name}{span}", "a fixed one is empty or coarse at another zoom"
        is_counter = metrics.get(name) in ("counter", "histogram")
        if is_counter and not (span and _OVER_TIME.search(expression[: found.start()])):
            yield "a counter is read through rate or increase", name, "its height says only how long the process has run"
        if not is_counter and span:
            yield "a gauge is read as it is, not through rate", f"{name}{span}", "take the span away, or use deriv with a reason"


def sql_complaints(target: Json, tables: frozenset[str]) -> Iterator[Words]:
    """What is wrong with a statement.

    Args:
        target: a query of the PostgreSQL source.
        tables: names that may be read.
    """
    text = str(target.get("rawSql", ""))
    if not re.match(r"\s*(SELECT|WITH)\b", text) or ";" in text or re.search(r"\b(INSERT|UPDATE|DELETE|DROP|ALTER|CREATE)\b", text):
        yield "a statement only reads, and is one", text[:80], "write one SELECT"
    for name, arguments in _MACRO.findall(text):
        if name not in _MACROS:
            yield "a macro is one of Grafana's", f"${name}", f"use one of {', '.join(sorted(_MACROS))}"
        if "(" in arguments:
            yield "a macro's arguments have no brackets: Grafana ends them at the first", f"${name}({arguments})", "compute outside of it"
    for product in _SMALL_PRODUCT.findall(text):
        yield "a product with the span's seconds is a bigint", product, "write the number as 1000::bigint: an int overflows"
    ours = set(re.findall(r"(?:WITH|,)\s+(\w+) AS \(", text)) | set(re.findall(r"\) AS (\w+)", text))
    for name in re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", text):
        if name not in tables | ours | _NOT_A_TABLE:
            yield "a table is one of the store's", name, "see groundswell/store/schema.py"
    if target.get("format") == "time_series" and not ("$__" in text and re.search(r"\bORDER BY 1\b", text) and "GroupAlias(" in text):
        yield "a time series is bounded, grouped and sorted by time", text[:80], "use $__unixEpochGroupAlias, a bound, and ORDER BY 1"
