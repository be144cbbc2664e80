"""What Grafana makes of a query before it sends it: macros of its PostgreSQL source, variables, and PromQL's own intervals.

Written after grafana.com's page "PostgreSQL query editor" and the expansions that it documents for Grafana 11; like Grafana's, a macro's
arguments end at the first bracket.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.catalogue import dashboards
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import Dashboard, Panel, Promql, Sql

LIMITS = Limits(
    board_url="https://desk.example",
    behind_s=180,
    canary_every_s=3_600,
    canary_late_s=300,
    budget_per_day=3,
    incident_quiet_s=43_200,
    exposure_min=0.5,
    fresh_s=21_600,
)
DASHBOARDS = dashboards(LIMITS)
INTERVALS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Shown:
    """The span that is shown, in seconds since 1970."""

    since_s: int
    until_s: int


def json_of(dashboard: Dashboard) -> dict[str, Any]:
    """What Grafana would read from the file."""
    found: dict[str, Any] = json.loads(json.dumps(dashboard.as_json()))
    return found


def queries(kind: type[Promql] | type[Sql]) -> Iterator[tuple[str, Panel, Promql | Sql]]:
    """(place, panel, query) of every query of one kind, on every dashboard."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            for number, query in enumerate(panel.queries):
                if isinstance(query, kind):
                    yield f"{dashboard.uid}: {panel.title} [{number}]", panel, query


def statement(text: str, *, shown: Shown, interval: str, variables: Mapping[str, str | Sequence[str]]) -> str:
    """SQL as Grafana sends it: variables first (several values as quoted literals), then macros."""

    def variable(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name.startswith("__"):
            return interval if name == "__interval" else found[0]
        value = variables[name]
        if isinstance(value, str):
            return value.replace("'", "''")
        return ",".join("'" + one.replace("'", "''") + "'" for one in value)

    def macro(found: re.Match[str]) -> str:
        return expanded(found[1], [part.strip(" ") for part in found[2].split(",")], shown)

    return re.sub(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)", macro, re.sub(r"\$(?:(\w+)(?!\w|\()|\{(\w+)\})", variable, text))


def expanded(name: str, arguments: Sequence[str], shown: Shown) -> str:
    """One macro."""
    if name == "__unixEpochFilter":
        return f"{arguments[0]} >= {shown.since_s} AND {arguments[0]} <= {shown.until_s}"
    if name in ("__unixEpochFrom", "__unixEpochTo"):
        return str(shown.since_s if name.endswith("From") else shown.until_s)
    if name in ("__unixEpochGroup", "__unixEpochGroupAlias"):
        seconds = interval_s(arguments[1].strip("'"))
        grouped = f"floor(({arguments[0]})/{seconds})*{seconds}"
        return f'{grouped} AS "time"' if name.endswith("Alias") else grouped
    message = f"unknown macro {name!r}"
    raise ValueError(message)


def interval_s(text: str) -> int:
    """Seconds of "5m"."""
    return int(text[:-1]) * INTERVALS_S[text[-1]]


def expression(text: str, *, rate_interval: str, variables: Mapping[str, str]) -> str:
    """PromQL as Grafana sends it: "All" of a variable with an allValue is that value."""
    for name, value in {"__rate_interval": rate_interval, **variables}.items():
        text = re.sub(rf"\${name}\b|\$\{{{name}\}}", value, text)
    return text
