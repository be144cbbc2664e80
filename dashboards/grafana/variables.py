"""The variables of the dashboards: data sources with fixed uids, processes, runs, series; each dashboard shows its own in one order."""

from collections.abc import Sequence
from typing import Final, Literal

from dashboards.grafana.model import POSTGRES, POSTGRES_UID, PROMETHEUS, PROMETHEUS_UID, Json, source_ref
from groundswell.names import LANGUAGES, LIVE_RUN, TOPICS

ALL: Final = {"selected": True, "text": ["All"], "value": ["$__all"]}
HIDDEN: Final = 2
ON_LOAD: Final = 1
ON_TIME: Final = 2
"""Asked again when the span that is shown changes: every query of a variable is."""


Choice = Literal["processes", "language", "topic", "company", "incident"]
"""What a dashboard lets its reader choose, beside the store and the run: `processes` are Prometheus, its jobs and their instances."""


def variables(url: str, *choices: Choice) -> tuple[Json, ...]:
    """The variables of a dashboard, always in the same order.

    Args:
        url: `board.base_url` of the settings.
        choices: what its panels ask for; in which order they are given does not matter.
    """
    has_processes = "processes" in choices
    made = {"language": language, "topic": topic, "company": company, "incident": incident}
    return (
        postgres(),
        *((prometheus(),) if has_processes else ()),
        board_url(url),
        *((job(), instance()) if has_processes else ()),
        run(),
        *(make() for name, make in made.items() if name in choices),
    )


def prometheus() -> Json:
    """The Prometheus that scrapes the processes; `prom-groundswell` unless the reader chooses another."""
    return _source("prometheus_datasource", "Prometheus data source", PROMETHEUS, PROMETHEUS_UID)


def postgres() -> Json:
    """The store; `pg-groundswell` unless the reader chooses another."""
    return _source("postgres_datasource", "Postgres data source", POSTGRES, POSTGRES_UID)


def board_url(url: str) -> Json:
    """Where the board is, for links to dossiers; not shown.

    Args:
        url: `board.base_url` of the settings.
    """
    made = _variable("constant", "board", "Board")
    return made | {"hide": HIDDEN, "skipUrlSync": True, "query": url.rstrip("/"), "current": _chosen(url.rstrip("/"))}


def job() -> Json:
    """Scrape jobs that have a process of groundswell."""
    return _labels("job", "Job", "label_values(groundswell_known_timestamp_seconds, job)")


def instance() -> Json:
    """Processes of the chosen jobs."""
    return _labels("instance", "Instance", 'label_values(groundswell_known_timestamp_seconds{job=~"$job"}, instance)')


def run() -> Json:
    """Runs of the store, the live one first."""
    text = f"SELECT run FROM runs ORDER BY run <> '{LIVE_RUN}', run"
    return _sql("run", "Run", text) | {"current": _chosen(LIVE_RUN)}


def topic() -> Json:
    """Topics, by the names under which they are stored."""
    return _choice("topic", "Topic", TOPICS)


def language() -> Json:
    """Languages that are read."""
    return _choice("language", "Language", LANGUAGES)


def company() -> Json:
    """Companies that were spoken of in the span that is shown, the most discussed first."""
    text = (
        "SELECT series FROM increments WHERE run = '$run' AND tick BETWEEN $__unixEpochFrom() / 15 AND $__unixEpochTo() / 15 "
        "AND series LIKE 'entity:%' GROUP BY series ORDER BY sum(documents) DESC, series LIMIT 200"
    )
    return _sql("company", "Company", text)


def incident() -> Json:
    """Incidents that were told, the latest first, by the time and title of their first alert."""
    text = (
        "SELECT incident AS \"__value\", to_char(to_timestamp(opened_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || '  ' || title "
        "AS \"__text\" FROM (SELECT DISTINCT ON (incident) incident, opened_ms, convert_from(body, 'UTF8')::jsonb ->> 'title' AS title "
        "FROM alerts WHERE run = '$run' ORDER BY incident, opened_ms) AS first ORDER BY opened_ms DESC, incident LIMIT 200"
    )
    return _sql("incident", "Incident", text)


def _variable(kind: Literal["constant", "custom", "datasource", "query"], name: str, label: str) -> Json:
    """What every variable has; Grafana's own defaults are written out."""
    return {
        "type": kind,
        "name": name,
        "label": label,
        "hide": 0,
        "skipUrlSync": False,
        "multi": False,
        "allowCustomValue": True,
        "includeAll": False,
        "auto": False,
        "auto_min": "10s",
        "auto_count": 30,
    }


def _source(name: str, label: str, plugin: str, uid: str) -> Json:
    chosen = {"selected": True, "text": label, "value": uid}
    return _variable("datasource", name, label) | {"query": plugin, "current": chosen, "refresh": ON_LOAD}


def _labels(name: str, label: str, query: str) -> Json:
    asked = {"query": query, "refId": "StandardVariableQuery"}
    found = {"query": asked, "datasource": source_ref("prometheus"), "refresh": ON_TIME, "sort": 1}
    return _variable("query", name, label) | found | {"multi": True, "includeAll": True, "allValue": ".+", "current": ALL}


def _sql(name: str, label: str, text: str) -> Json:
    return _variable("query", name, label) | {"query": text, "datasource": source_ref("postgres"), "refresh": ON_TIME, "sort": 0}


def _choice(name: str, label: str, values: Sequence[str]) -> Json:
    return _variable("custom", name, label) | {"query": ",".join(values), "multi": True, "includeAll": True, "current": ALL}


def _chosen(value: str) -> Json:
    return {"selected": True, "text": value, "value": value}
