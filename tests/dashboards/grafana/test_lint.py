"""Each rule of the lint is broken once; the dashboards themselves break none."""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from dashboards.grafana import lint
from dashboards.grafana.lint import Known, faults
from dashboards.grafana.lint_queries import exported_metrics
from dashboards.grafana.model import Json
from groundswell.store import schema as t
from tests.dashboards.grafana import grafana_text as g

KNOWN: Final = Known(exported_metrics(), frozenset(t.metadata.tables))
PIPELINE: Final = next(g.json_of(dashboard) for dashboard in g.DASHBOARDS if dashboard.uid == "groundswell-pipeline")
ALL: Final = [g.json_of(dashboard) for dashboard in g.DASHBOARDS]


def panel(dashboard: Json, title: str) -> Json:
    (found,) = [one for one in lint.panels(dashboard) if one["title"] == title]
    return found


def variable(dashboard: Json, name: str) -> Json:
    found: list[Json] = [one for one in dashboard["templating"]["list"] if one["name"] == name]
    return found[0]


def expression(dashboard: Json, before: str, after: str) -> None:
    target = panel(dashboard, "Drops a second")["targets"][0]
    assert before in target["expr"]
    target["expr"] = target["expr"].replace(before, after)


def sql(text: str, **more: str) -> Callable[[Json], Any]:
    return lambda d: panel(d, "Conditions that hold")["targets"][0].update({"rawSql": text, **more})


def test_the_dashboards_break_no_rule() -> None:
    assert [str(fault) for fault in faults(ALL, KNOWN)] == []


BROKEN: Final[dict[str, Callable[[Json], Any]]] = {
    "the uid begins with groundswell-": lambda d: d.update(uid="pipeline"),
    "and has at most 40 characters": lambda d: d.update(uid="groundswell-" + "x" * 30),
    "a dashboard has a description": lambda d: d.update(description=""),
    "schemaVersion is 41": lambda d: d.update(schemaVersion=42),
    "tags is ['groundswell']": lambda d: d.update(tags=[]),
    "timezone is 'utc'": lambda d: d.update(timezone="browser"),
    "graphTooltip is 1": lambda d: d.update(graphTooltip=0),
    "$prometheus_datasource is a data source variable with the fixed uid": lambda d: variable(d, "prometheus_datasource")["current"].update(
        value="default"
    ),
    "$postgres_datasource is a data source variable with the fixed uid": lambda d: d["templating"]["list"].remove(
        variable(d, "postgres_datasource")
    ),
    "editable is False": lambda d: d.update(editable=True),
    "for several values, with all as .+, got ('Instance', False": lambda d: variable(d, "instance").update(multi=False),
    "a variable's query is asked again when the span changes (refresh 2), got $run: 1": lambda d: variable(d, "run").update(refresh=1),
    "panels of Prometheus need the variable $job": lambda d: d["templating"]["list"].remove(variable(d, "job")),
    "a variable that a query or link names is defined, got $run": lambda d: d["templating"]["list"].remove(variable(d, "run")),
    "a variable that is offered changes something, got $mood": lambda d: d["templating"]["list"].append(
        variable(d, "run") | {"name": "mood"}
    ),
    "a panel's id is unique": lambda d: panel(d, "Behind").update(id=1),
    "a panel's title is unique": lambda d: panel(d, "Behind").update(title="Balance"),
    "a panel lies within the 24 columns": lambda d: panel(d, "Behind")["gridPos"].update(x=23),
    "panels do not overlap": lambda d: panel(d, "Balance")["gridPos"].update(x=1),
    "a panel has a title": lambda d: panel(d, "Behind").update(title=""),
    "a panel's description is a sentence": lambda d: panel(d, "Behind").update(description="behind"),
    "a panel has a known unit, got 'seconds'": lambda d: panel(d, "Behind")["fieldConfig"]["defaults"].update(unit="seconds"),
    "a panel has a known unit, got 'date'": lambda d: panel(d, "Conditions that hold")["fieldConfig"]["overrides"][0]["properties"][
        0
    ].update(value="date"),
    "a panel has a query": lambda d: panel(d, "Behind").update(targets=[]),
    "a panel's data source is a variable": lambda d: panel(d, "Behind")["datasource"].update(uid="prom-groundswell"),
    "every query of a panel goes to the panel's own data source": lambda d: panel(d, "Behind")["targets"][0].update(datasource=None),
    "a query's refId is unique": lambda d: [target.update(refId="A") for target in panel(d, "Documents a second")["targets"]],
    "a link leads to the board": lambda d: panel(d, "Behind")["fieldConfig"]["defaults"].update(
        links=[{"title": "x", "url": "/d/elsewhere?x"}]
    ),
    "brackets are closed": lambda d: expression(d, "[$__rate_interval]))", "[$__rate_interval])"),
    "an expression reads a metric of ours": lambda d: expression(d, "groundswell_records_dropped_total", "records_dropped_total"),
    "a metric is one that the processes export, got groundswell_records_dropped;": lambda d: expression(d, "_dropped_total", "_dropped"),
    'each selector has job=~"$job"': lambda d: expression(d, 'job=~"$job", ', ""),
    'each selector has instance=~"$instance"': lambda d: expression(d, ', instance=~"$instance"', ""),
    "a span is [$__rate_interval], got groundswell_records_dropped_total[5m]": lambda d: expression(d, "[$__rate_interval]", "[5m]"),
    "a counter is read through rate or increase": lambda d: expression(d, "rate(", "("),
    "a gauge is read as it is": lambda d: expression(d, "groundswell_records_dropped_total", "groundswell_held_records"),
    "a statement only reads, and is one, got SELECT 1;": sql("SELECT 1; SELECT 2"),
    "a statement only reads, and is one, got DELETE": sql("DELETE FROM alerts"),
    "a macro is one of Grafana's, got $__day": sql("SELECT since_ms FROM conditions WHERE $__day(since_ms)"),
    "a macro's arguments have no brackets": sql("SELECT 1 FROM conditions WHERE $__unixEpochFilter(floor(since_ms) / 1000)"),
    "a product with the span's seconds is a bigint": sql("SELECT 1 FROM conditions WHERE since_ms > $__unixEpochFrom() * 1000"),
    "is a bigint, got 2 * $__unixEpochTo()": sql("SELECT 1 FROM conditions WHERE since_ms > 2 * $__unixEpochTo()"),
    "a table is one of the store's, got condition;": sql("SELECT since_ms FROM condition"),
    "a time series is bounded, grouped and sorted by time": sql("SELECT since_ms FROM conditions", format="time_series"),
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_rule_is_told_with_dashboard_rule_value_and_next_step(words: str) -> None:
    dashboard = copy.deepcopy(PIPELINE)
    BROKEN[words](dashboard)

    said = [str(fault) for fault in faults([dashboard], KNOWN)]

    assert any(words in line for line in said), said
    assert all(line.startswith(str(dashboard["uid"])) and ", got " in line and "; " in line for line in said)


def test_a_dashboard_of_long_ago_is_read_too_and_its_folded_panels() -> None:
    dashboard = copy.deepcopy(PIPELINE)
    folded = {"id": 98, "type": "row", "title": "More", "collapsed": True, "gridPos": {"x": 0, "y": 99, "w": 24, "h": 1}}
    text = {"id": 99, "type": "text", "title": "Notes", "datasource": "Prometheus", "gridPos": {"x": 0, "y": 100, "w": 24, "h": 4}}
    dashboard["panels"].append(folded | {"panels": [text]})

    said = [str(fault) for fault in faults([dashboard], KNOWN)]

    assert "groundswell-pipeline: panel 'Notes': a panel has a query, got none; give it one, or take it away" in said
    assert any("panel 'Notes': a panel's data source is a variable, got 'Prometheus'" in line for line in said)


def test_a_uid_that_two_dashboards_share_is_told() -> None:
    assert "groundswell-pipeline: a uid belongs to one dashboard, got 2 of them; give each its own" in map(
        str, faults([PIPELINE, PIPELINE], KNOWN)
    )


def test_a_mark_over_the_charts_is_read_by_the_same_rules() -> None:
    dashboard = copy.deepcopy(PIPELINE)
    dashboard["annotations"]["list"][1]["target"]["rawSql"] += ";"

    (fault,) = faults([dashboard], KNOWN)

    assert "panel 'annotation Incidents': a statement only reads" in str(fault)
