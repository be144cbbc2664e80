"""The rule files as text: what `deploy/prometheus` holds is what this makes, and a test says so."""

import json
from collections.abc import Iterable
from typing import Final

from dashboards.prometheus.rules import ALERTS, DAILY_RECORDS, RECORDS, Alert, Record

FOLDER: Final = "deploy/prometheus"
RUNBOOK: Final = "docs/runbook.md"
_HEAD: Final = "# Made from dashboards/prometheus/rules.py: change it there. What each alert asks for: docs/runbook.md."


def files(*, runbook: str = RUNBOOK) -> dict[str, str]:
    """{path from the repository's root: text} of the rule files.

    Args:
        runbook: where operators read the runbook; a link to a heading follows it.
    """
    return {
        f"{FOLDER}/recording.yml": _file(
            _group("groundswell-recording", map(_record, RECORDS)),
            _group("groundswell-recording-daily", map(_record, DAILY_RECORDS), interval="2m"),
        ),
        f"{FOLDER}/alerts.yml": _file(_group("groundswell-alerts", (_alert(alert, runbook) for alert in ALERTS))),
    }


def _file(*groups: str) -> str:
    return "\n".join([_HEAD, "groups:", *groups]) + "\n"


def _group(name: str, entries: Iterable[str], *, interval: str = "") -> str:
    return "\n".join([f"  - name: {name}", *([f"    interval: {interval}"] if interval else []), "    rules:", *entries])


def _record(record: Record) -> str:
    return _entry(record=record.name, expr=record.expr)


def _alert(alert: Alert, runbook: str) -> str:
    said = {"summary": alert.summary, "description": alert.description, "runbook_url": f"{runbook}#{alert.runbook}"}
    annotations = "\n".join(f"          {name}: {_quoted(text)}" for name, text in said.items())
    head = _entry(alert=alert.name, expr=alert.expr)
    return f"{head}\n        for: {alert.for_}\n        labels: {{severity: {alert.severity}}}\n        annotations:\n{annotations}"


def _entry(*, expr: str, **name: str) -> str:
    ((kind, value),) = name.items()
    return f"      - {kind}: {value}\n        expr: {_quoted(expr)}"


def _quoted(text: str) -> str:
    """A string of JSON is one of YAML."""
    return json.dumps(text, ensure_ascii=False)
