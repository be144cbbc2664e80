"""What a dashboard is made of, and the JSON that Grafana 11.6 and later read (classic, schemaVersion 41).

    query      one PromQL expression or one SQL statement, and how many series or rows it has to bring at least
    panel      queries of one data source, with title, description and unit; its place follows from the row that it stands in
    dashboard  rows of panels, and the variables that their queries name

Plain data in, plain data out: no clock, no network. Everything that Grafana would fill in by itself is written out, so that what
it gives back can be compared with what was sent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

SCHEMA_VERSION: Final = 41
COLUMNS: Final = 24
"""Width of Grafana's grid."""

PROMETHEUS: Final = "prometheus"
POSTGRES: Final = "grafana-postgresql-datasource"
PROMETHEUS_UID: Final = "prom-groundswell"
POSTGRES_UID: Final = "pg-groundswell"
PREFIX: Final = "groundswell-"
"""How every dashboard's uid begins."""

FOLDER_UID: Final = "groundswell"
FOLDER_TITLE: Final = "Groundswell"
TAG: Final = "groundswell"
TIMEZONE: Final = "utc"
SHARED_CROSSHAIR: Final = 1
REFRESH: Final = "1m"

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "table"]
Form = Literal["time_series", "table"]


@dataclass(frozen=True)
class Promql:
    """An expression of Prometheus.

    Args:
        expr: PromQL with Grafana's variables in it.
        legend: how a series is called, with labels as {{label}}.
        at_least: series that it has to return as soon as one process is scraped.
    """

    expr: str
    legend: str = ""
    at_least: int = 1

    source: Literal["prometheus"] = field(default="prometheus", init=False)


@dataclass(frozen=True)
class Sql:
    """A statement of PostgreSQL.

    Args:
        text: SQL with Grafana's macros and variables in it.
        at_least: rows that it has to return of a run with an incident.
    """

    text: str
    at_least: int = 1

    source: Literal["postgres"] = field(default="postgres", init=False)


Query = Promql | Sql


@dataclass(frozen=True)
class Step:
    """From this value on a figure has this colour."""

    color: str
    value: float


@dataclass(frozen=True)
class Link:
    """Where a click on a value leads; `url` may name Grafana's variables."""

    title: str
    url: str
    new_tab: bool = True


@dataclass(frozen=True)
class Column:
    """How one column of a table is shown."""

    name: str
    unit: str = ""
    links: tuple[Link, ...] = ()
    width: int | None = None  # pixels


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture and the queries behind it.

    Args:
        kind: Grafana's name of the picture.
        title: a few words, unique within the dashboard.
        description: what it shows and how to read it, in sentences.
        queries: of one data source.
        unit: Grafana's name of the unit of every value.
        width: columns of 24.
        height: rows of Grafana's grid.
        steps: colours; the first one holds from below.
        columns: of a table, where one is not shown as the rest.
        stacked: values add up to something.
        top: the axis's upper end, where the unit has one.
        interval: shortest bucket of time, for example "5m".
    """

    kind: Kind
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str
    width: int = 12
    height: int = 8
    steps: tuple[Step, ...] = ()
    columns: tuple[Column, ...] = ()
    stacked: bool = False
    top: float | None = None
    interval: str = ""

    @property
    def source(self) -> Literal["prometheus", "postgres"]:
        """The variable of the data source that its queries go to."""
        return self.queries[0].source


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One question, for one kind of reader.

    Args:
        uid: stored in links, so it never changes.
        title: a few words.
        description: the question that it answers, and for whom.
        variables: as `variables.py` makes them.
        rows: from top to bottom.
        annotations: marks over all time series, as `annotation` makes them.
        since: beginning of the span that is shown first.
    """

    uid: str
    title: str
    description: str
    variables: tuple[Json, ...]
    rows: tuple[Row, ...]
    annotations: tuple[Json, ...] = ()
    since: str = "now-24h"

    def panels(self) -> Iterator[Panel]:
        """Every panel, from top to bottom."""
        for row in self.rows:
            yield from row.panels

    def as_json(self) -> Json:
        """What Grafana stores, without the version that it counts itself."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "timezone": TIMEZONE,
            "editable": False,
            "graphTooltip": SHARED_CROSSHAIR,
            "time": {"from": self.since, "to": "now"},
            "fiscalYearStartMonth": 0,
            "refresh": REFRESH,
            "schemaVersion": SCHEMA_VERSION,
            "panels": list(_placed(self.rows)),
            "templating": {"list": list(self.variables)},
            "annotations": {"list": [_own_annotations(), *self.annotations]},
            "links": [_other_dashboards()],
        }


def source_ref(name: str) -> Json:
    """A reference to a data source by the variable that names it.

    >>> source_ref("prometheus")
    {'type': 'prometheus', 'uid': '${prometheus_datasource}'}
    """
    return {"type": PROMETHEUS if name == "prometheus" else POSTGRES, "uid": f"${{{name}_datasource}}"}


def sql_target(text: str, ref: str) -> Json:
    """The query of a SQL data source."""
    return {"datasource": source_ref("postgres"), "editorMode": "code", "format": "table", "rawQuery": True, "rawSql": text, "refId": ref}


def annotation(name: str, color: str, text: str) -> Json:
    """Marks over every time series of a dashboard, by SQL with the columns time, timeend, title, text and tags."""
    return {
        "name": name,
        "datasource": source_ref("postgres"),
        "enable": True,
        "hide": False,
        "iconColor": color,
        "builtIn": 0,
        "target": sql_target(text, "Anno"),
    }


def _own_annotations() -> Json:
    """What people mark in Grafana by hand: its own entry, as it writes it."""
    source = {"type": "grafana", "uid": "-- Grafana --"}
    return {
        "name": "Annotations & Alerts",
        "datasource": source,
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "type": "dashboard",
        "builtIn": 1,
    }


def _other_dashboards() -> Json:
    return {
        "title": "Groundswell",
        "type": "dashboards",
        "icon": "external link",
        "tooltip": "",
        "tags": [TAG],
        "asDropdown": True,
        "targetBlank": False,
        "includeVars": False,
        "keepTime": True,
    }


def _placed(rows: Iterable[Row]) -> Iterator[Json]:
    """Panels from left to right; one that does not fit begins a new line; each row begins below all before it."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {"type": "row", "collapsed": False, "title": row.title, "gridPos": _place(0, y, COLUMNS, 1), "id": number, "panels": []}
        x, y, line_height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, line_height = 0, y + line_height, 0
            number += 1
            yield _panel(panel, number, _place(x, y, panel.width, panel.height))
            x, line_height = x + panel.width, max(line_height, panel.height)
        y += line_height


def _place(x: int, y: int, width: int, height: int) -> Json:
    return {"h": height, "w": width, "x": x, "y": y}


def _panel(panel: Panel, number: int, place: Json) -> Json:
    made = {
        "type": panel.kind,
        "id": number,
        "targets": [_target(query, chr(ord("A") + index), panel.kind) for index, query in enumerate(panel.queries)],
        "title": panel.title,
        "description": panel.description,
        "transparent": False,
        "datasource": source_ref(panel.source),
        "gridPos": place,
        "repeatDirection": "h",
        "options": _OPTIONS[panel.kind],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_override(column) for column in panel.columns]},
    }
    return made | ({"interval": panel.interval} if panel.interval else {})


def _target(query: Query, ref: str, kind: Kind) -> Json:
    if isinstance(query, Sql):
        return sql_target(query.text, ref) | {"format": "time_series" if kind == "timeseries" else "table"}
    instant = kind != "timeseries"
    return {
        "expr": query.expr,
        "refId": ref,
        "instant": instant,
        "range": not instant,
        "exemplar": False,
        "editorMode": "code",
        "format": "table" if kind == "table" else "time_series",
        "legendFormat": query.legend or "__auto",
        "datasource": source_ref("prometheus"),
    }


def _defaults(panel: Panel) -> Json:
    steps = panel.steps or (Step("green" if panel.kind == "stat" else "text", 0),)
    made: Json = {"unit": panel.unit}
    if panel.kind == "timeseries":
        made |= {"min": 0} | ({"max": panel.top} if panel.top is not None else {})
    made["thresholds"] = {
        "mode": "absolute",
        "steps": [{"value": None if index == 0 else step.value, "color": step.color} for index, step in enumerate(steps)],
    }
    made["color"] = {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"}
    made["noValue"] = "none"
    made["custom"] = _custom(panel)
    return made


def _custom(panel: Panel) -> Json:
    if panel.kind == "table":
        return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    if panel.kind == "stat":
        return {}
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 0,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if panel.steps else "off"},
    }


def _override(column: Column) -> Json:
    properties: list[Json] = []
    if column.unit:
        properties.append({"id": "unit", "value": column.unit})
    if column.links:
        properties.append({"id": "links", "value": [_link(link) for link in column.links]})
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _link(link: Link) -> Json:
    return {"title": link.title, "url": link.url, "targetBlank": link.new_tab}


_OPTIONS: Final[dict[Kind, Json]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "graphMode": "none",
        "colorMode": "value",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "percentChangeColorMode": "standard",
        "orientation": "auto",
    },
    "table": {
        "frameIndex": 0,
        "showHeader": True,
        "showTypeIcons": False,
        "footer": {"show": False, "reducer": [], "countRows": False},
        "cellHeight": "sm",
    },
}
