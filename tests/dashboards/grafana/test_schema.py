"""Grafana's own types of 11.6 read each dashboard and write it back unchanged. Schema checked: no Grafana has shown them here."""

import copy
import json
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as sdk

from tests.dashboards.grafana import grafana_text as g

DASHBOARDS = [g.json_of(dashboard) for dashboard in g.DASHBOARDS]


def through_the_types(dashboard: dict[str, Any]) -> dict[str, Any]:
    register_default_plugins()
    found: dict[str, Any] = json.loads(json.dumps(sdk.Dashboard.from_json(dashboard), cls=JSONEncoder))
    return found


def without_queries_of_annotations(dashboard: dict[str, Any]) -> dict[str, Any]:
    """The types know an annotation's query for Grafana's own source only (their comment says so), and lose that of any other."""
    found = copy.deepcopy(dashboard)
    for mark in found["annotations"]["list"]:
        mark.pop("target", None)
    return found


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: str(dashboard["uid"]))
def test_each_dashboard_comes_back_unchanged(dashboard: dict[str, Any]) -> None:
    assert without_queries_of_annotations(through_the_types(dashboard)) == without_queries_of_annotations(dashboard)


def test_a_misspelt_field_does_not_come_back() -> None:
    dashboard = copy.deepcopy(DASHBOARDS[0])
    dashboard["panels"][1]["descripton"] = "lost"
    dashboard["panels"][4]["fieldConfig"]["defaults"]["units"] = "lost"

    assert without_queries_of_annotations(through_the_types(dashboard)) == without_queries_of_annotations(DASHBOARDS[0])
