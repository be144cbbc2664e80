"""The rules: names, links, the files in deploy, and every alert in cases that must fire and cases that must not."""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dashboards.prometheus.files import files
from dashboards.prometheus.rules import ALERTS, DAILY_RECORDS, RECORDS
from groundswell.metrics import Metrics
from tests.dashboards.prometheus.alert_cases import CASES, Case
from tests.house.test_docs import sections

ROOT = Path(__file__).resolve().parents[3]
ALL_RECORDS = (*RECORDS, *DAILY_RECORDS)
BY_NAME = {alert.name: alert for alert in ALERTS}


def test_every_name_is_taken_once_and_says_level_metric_and_operation() -> None:
    names = [record.name for record in ALL_RECORDS]
    assert len(set(names)) == len(names)
    assert not [name for name in names if not re.fullmatch(r"[a-z_]+:groundswell_[a-z_]+:[a-z0-9_]+", name)]
    assert len(BY_NAME) == len(ALERTS)
    assert not [name for name in BY_NAME if not re.fullmatch(r"Groundswell[A-Z][A-Za-z]+", name)]


def test_every_alert_leads_to_a_heading_of_the_runbook_and_says_what_is_the_matter() -> None:
    headings = sections("docs/runbook.md")
    for alert in ALERTS:
        assert alert.runbook in headings, alert.name
        assert alert.name in headings[alert.runbook], f"{alert.name}: its heading does not name it"
        assert "{{" not in alert.summary, f"{alert.name}: a summary is the same for all"
        assert alert.summary.endswith(".")
        assert alert.description.endswith(".")


def test_rules_speak_only_of_metrics_that_there_are() -> None:
    known = {"up", *(record.name for record in ALL_RECORDS)}
    known |= {sample.name for metric in Metrics(CollectorRegistry(), watched=["A"]).registry.collect() for sample in metric.samples}
    for expr in (*(record.expr for record in ALL_RECORDS), *(alert.expr for alert in ALERTS)):
        named = re.findall(r"[a-z_]+:groundswell_[a-z0-9_]+:[a-z0-9_]+|groundswell_[a-z0-9_]+|\bup\b", expr)
        assert named
        assert not set(named) - known, expr


def test_every_alert_has_cases_that_fire_and_cases_that_do_not() -> None:
    fires = defaultdict(set)
    for case in CASES:
        fires[f"Groundswell{case.alert}"].add(case.description is not None)
    assert fires == {name: {True, False} for name in BY_NAME}


def test_a_link_to_the_runbook_can_lead_to_where_it_is_read() -> None:
    text = files(runbook="https://wiki.example/runbook")["deploy/prometheus/alerts.yml"]
    assert '"https://wiki.example/runbook#time-stands-still"' in text


@pytest.mark.prometheus
def test_promtool_accepts_the_files_and_the_configuration(tmp_path: Path) -> None:
    told = promtool("check", "rules", *(str(ROOT / path) for path in files()))
    assert f"{len(ALL_RECORDS)} rules found" in told
    assert f"{len(ALERTS)} rules found" in told
    assert "is valid prometheus config file syntax" in promtool("check", "config", str(ROOT / "deploy/prometheus/prometheus.yml"))


@pytest.mark.alertmanager
def test_amtool_accepts_the_configuration() -> None:
    command = ["amtool", "check-config", str(ROOT / "deploy/alertmanager/alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_alerts_fire_in_the_cases_where_they_must_and_in_no_other(tmp_path: Path) -> None:
    for step in sorted({case.step for case in CASES}):
        assert "SUCCESS" in unit_tested([case for case in CASES if case.step == step], tmp_path)


@pytest.mark.prometheus
def test_a_case_that_says_the_contrary_is_refused(tmp_path: Path) -> None:
    wrong = [Case(case.alert, case.title, case.series, at=case.at) for case in CASES if case.description]
    for case in wrong[:3]:
        with pytest.raises(AssertionError, match=case.alert):
            unit_tested([case], tmp_path)


def unit_tested(cases: Sequence[Case], folder: Path) -> str:
    """What promtool says of cases with the same step."""
    rules = [str(ROOT / path) for path in files()]
    order = re.findall(r"^  - name: (\S+)", "".join(files().values()), flags=re.MULTILINE)  # else promtool takes them in any
    given = {
        "rule_files": rules,
        "evaluation_interval": cases[0].step,
        "group_eval_order": order,
        "tests": [unit(case) for case in cases],
    }
    (folder / "cases.yml").write_text(json.dumps(given))  # JSON is YAML
    return promtool("test", "rules", str(folder / "cases.yml"))


def unit(case: Case) -> dict[str, object]:
    """A test in the words of promtool."""
    alert = BY_NAME[f"Groundswell{case.alert}"]
    expected = {
        "exp_labels": {"severity": alert.severity, **case.labels},
        "exp_annotations": {
            "summary": alert.summary, "description": case.description, "runbook_url": f"docs/runbook.md#{alert.runbook}",
        },
    }  # fmt: skip
    return {
        "name": f"{case.alert}: {case.title}",
        "interval": case.step,
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [{"eval_time": case.at, "alertname": alert.name, "exp_alerts": [expected] if case.description else []}],
    }


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
