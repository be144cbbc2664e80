"""What is wrong with a dashboard, found without a Grafana: the rules of grafana's dashboard-linter and of the mixin guides, and our own.

A rule reads the JSON that Grafana would read, so it holds for a file from anywhere. Each is a small generator of complaints; RULES names
them in order. tests/dashboards/grafana/test_lint.py breaks each one once.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, NamedTuple

from dashboards.grafana.lint_queries import promql_complaints, sql_complaints
from dashboards.grafana.model import (
    COLUMNS,
    POSTGRES,
    POSTGRES_UID,
    PREFIX,
    PROMETHEUS,
    PROMETHEUS_UID,
    SCHEMA_VERSION,
    SHARED_CROSSHAIR,
    TAG,
    TIMEZONE,
    Json,
)
from dashboards.grafana.variables import ON_TIME

UID_LENGTH_MAX: Final = 40
DESCRIPTION_WORDS_MIN: Final = 5
UNITS: Final = frozenset({"none", "short", "s", "ms", "ops", "percentunit", "bytes", "sci", "dateTimeAsIso", "dateTimeFromNow"})
"""Grafana's names of the units that are used here; another one is added when a panel needs it."""

SOURCES: Final = {
    "prometheus_datasource": ("Prometheus data source", PROMETHEUS, PROMETHEUS_UID),
    "postgres_datasource": ("Postgres data source", POSTGRES, POSTGRES_UID),
}
"""Variable of a data source -> its label, plugin and uid. The linter would have the second one named after its plugin, whose id has
hyphens: no variable can have that name."""

BUILT_IN: Final = frozenset({"__interval", "__rate_interval", "__range", "__url_time_range", "__value", "__data", "__field"})
MACRO: Final = re.compile(r"\$__\w+\(")
NAMED: Final = re.compile(r"\$(\w+)|\$\{(\w+)[^}]*\}")


class Complaint(NamedTuple):
    """What one rule says of one place."""

    panel: str  # its title; "" for the dashboard itself
    rule: str
    value: str
    step: str


@dataclass(frozen=True)
class Fault:
    """One complaint of one dashboard."""

    dashboard: str  # its uid
    complaint: Complaint

    def __str__(self) -> str:
        """One line: place, rule, value, next step."""
        panel, rule, value, step = self.complaint
        place = f"{self.dashboard}: panel {panel!r}" if panel else self.dashboard
        return f"{place}: {rule}, got {value}; {step}"


@dataclass(frozen=True)
class Known:
    """What queries may name.

    Args:
        metrics: {name as exposed: counter, gauge or histogram}.
        tables: names of the store's tables.
    """

    metrics: Mapping[str, str]
    tables: frozenset[str]


def faults(dashboards: Sequence[Json], known: Known) -> list[Fault]:
    """Everything that is wrong, dashboard by dashboard.

    Args:
        dashboards: as they are stored.
        known: what their queries may name.
    """
    uids = [str(dashboard.get("uid")) for dashboard in dashboards]
    found = [Fault(uid, complaint) for dashboard, uid in zip(dashboards, uids, strict=True) for complaint in _complaints(dashboard, known)]
    for uid, times in Counter(uids).items():
        if times > 1:
            found.append(Fault(uid, Complaint("", "a uid belongs to one dashboard", f"{times} of them", "give each its own")))
    for dashboard, uid in zip(dashboards, uids, strict=True):
        found += [Fault(uid, complaint) for complaint in _links(dashboard, uids)]
    return found


def _complaints(dashboard: Json, known: Known) -> Iterator[Complaint]:
    for rule in RULES:
        yield from rule(dashboard)
    for panel in panels(dashboard):
        title = str(panel.get("title", ""))
        for target in panel.get("targets", []):
            said = promql_complaints(target["expr"], known.metrics) if "expr" in target else sql_complaints(target, known.tables)
            yield from (Complaint(title, *words) for words in said)
    for mark in dashboard["annotations"]["list"]:
        if "rawSql" in mark.get("target", {}):
            yield from (Complaint(f"annotation {mark['name']}", *words) for words in sql_complaints(mark["target"], known.tables))


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel that is no row's heading, those of collapsed rows too."""
    for panel in dashboard["panels"]:
        yield from panel.get("panels", []) if panel.get("type") == "row" else [panel]


def _source_of(panel: Json) -> Json:
    """A panel's data source; dashboards of long ago name it by a word, or not at all."""
    source = panel.get("datasource")
    return dict(source) if isinstance(source, Mapping) else {"uid": source}


def _dressed(panel: Json, what: str) -> list[Any]:
    """Every value of a field option of a panel: of all values, and of single columns."""
    config = panel.get("fieldConfig", {})
    single = [one["value"] for override in config.get("overrides", []) for one in override["properties"] if one["id"] == what]
    return [config.get("defaults", {}).get(what), *single]


# --- the dashboard itself -----------------------------------------------------------------------------------------------------
def _head(dashboard: Json) -> Iterator[Complaint]:
    uid = str(dashboard.get("uid"))
    if not uid.startswith(PREFIX) or len(uid) > UID_LENGTH_MAX:
        rule = f"the uid begins with {PREFIX} and has at most {UID_LENGTH_MAX} characters"
        yield Complaint("", rule, repr(uid), "links are built on it: choose it once")
    for key in ("title", "description"):
        if not dashboard.get(key):
            yield Complaint("", f"a dashboard has a {key}", repr(dashboard.get(key)), "say which question it answers, and for whom")
    alike = {
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "timezone": TIMEZONE,
        "editable": False,  # the code is what is true
        "graphTooltip": SHARED_CROSSHAIR,
    }
    for key, wanted in alike.items():
        if dashboard.get(key) != wanted:
            yield Complaint("", f"{key} is {wanted!r} on every dashboard", repr(dashboard.get(key)), "build it with Dashboard.as_json")


def _sources(dashboard: Json) -> Iterator[Complaint]:
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    used = {_source_of(panel)["uid"] for panel in panels(dashboard)}
    for name, wanted in SOURCES.items():
        if f"${{{name}}}" not in used:
            continue
        variable = variables.get(name, {})
        found = (variable.get("label"), variable.get("query"), variable.get("current", {}).get("value"))
        if variable.get("type") != "datasource" or found != wanted:
            step = 'build it with variables.py: the store always, Prometheus with "processes"'
            yield Complaint("", f"${name} is a data source variable with the fixed uid {wanted[2]}", repr(found), step)
    if "${prometheus_datasource}" in used:
        for name in ("job", "instance"):
            variable = variables.get(name, {})
            found = (variable.get("label"), variable.get("multi"), variable.get("allValue"))
            if found != (name.capitalize(), True, ".+"):
                rule = f"panels of Prometheus need the variable ${name}, for several values, with all as .+"
                yield Complaint("", rule, repr(found), 'give variables() "processes"')
    for name, variable in variables.items():
        if variable["type"] == "query" and variable.get("refresh") != ON_TIME:
            rule = f"a variable's query is asked again when the span changes (refresh {ON_TIME})"
            yield Complaint("", rule, f"${name}: {variable.get('refresh')!r}", "build it with variables.py")


def _variables(dashboard: Json) -> Iterator[Complaint]:
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    texts = [*_texts(dashboard["panels"]), *_texts(dashboard["annotations"])]
    texts += [text for variable in dashboard["templating"]["list"] for key in ("query", "datasource") for text in _texts(variable.get(key))]
    named = {found[1] or found[2] for text in texts for found in NAMED.finditer(MACRO.sub("", text))} - BUILT_IN
    for name in sorted(named - defined):
        yield Complaint("", "a variable that a query or link names is defined", f"${name}", "add it to the dashboard's variables")
    for name in sorted(defined - named):
        yield Complaint("", "a variable that is offered changes something", f"${name}", "use it in a query, or take it away")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _places(dashboard: Json) -> Iterator[Complaint]:
    ids = Counter(panel.get("id") for panel in dashboard["panels"])
    titles = Counter(panel.get("title") for panel in panels(dashboard))
    for what, counted in (("id", ids), ("title", titles)):
        for value, times in counted.items():
            if times > 1:
                yield Complaint(str(value), f"a panel's {what} is unique", f"{times} panels with {value!r}", "change all but one")
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        if place["x"] < 0 or place["y"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > COLUMNS:
            rule = f"a panel lies within the {COLUMNS} columns"
            yield Complaint(str(panel.get("title")), rule, repr(place), "let Dashboard.as_json place it")
    for one, other in combinations(dashboard["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            rule = f"panels do not overlap, {other.get('title')!r} does"
            yield Complaint(str(one.get("title")), rule, f"{one['gridPos']} and {other['gridPos']}", "let Dashboard.as_json place them")


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not (apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])


# --- each panel ---------------------------------------------------------------------------------------------------------------
def _panels(dashboard: Json) -> Iterator[Complaint]:
    for panel in panels(dashboard):
        title, said = str(panel.get("title") or ""), str(panel.get("description") or "")
        if not title:
            yield Complaint(f"id {panel.get('id')}", "a panel has a title", repr(title), "name what it shows")
        if len(said.split()) < DESCRIPTION_WORDS_MIN or not said.endswith("."):
            yield Complaint(title, "a panel's description is a sentence", repr(said), "say what it shows and how to read it")
        for unit in _dressed(panel, "unit"):
            if unit not in UNITS:
                yield Complaint(title, "a panel has a known unit", repr(unit), f"take one of {', '.join(sorted(UNITS))}")
        yield from _targets(panel, title)


def _targets(panel: Json, title: str) -> Iterator[Complaint]:
    targets, source = panel.get("targets") or [], _source_of(panel)
    if not targets:
        yield Complaint(title, "a panel has a query", "none", "give it one, or take it away")
    if source.get("uid") not in {f"${{{name}}}" for name in SOURCES}:
        yield Complaint(title, "a panel's data source is a variable", repr(source.get("uid")), f"use ${{{'} or ${'.join(SOURCES)}}}")
    for target in targets:
        if target.get("datasource") != source:
            rule = "every query of a panel goes to the panel's own data source"
            yield Complaint(title, rule, repr(target.get("datasource")), f"use {source.get('uid')}")
    references = [str(target.get("refId")) for target in targets]
    if len(set(references)) < len(references):
        yield Complaint(title, "a query's refId is unique within its panel", repr(references), "name them A, B, C")


def _links(dashboard: Json, uids: Sequence[str]) -> Iterator[Complaint]:
    for panel in panels(dashboard):
        for link in [link for links in _dressed(panel, "links") for link in links or ()]:
            inside = re.match(r"/d/([^?/]+)\?", link["url"])
            if not (link["url"].startswith("${board}/") or (inside and inside[1] in uids)):
                rule = "a link leads to the board (${board}/) or to a dashboard of this set (/d/UID?)"
                yield Complaint(str(panel.get("title")), rule, repr(link["url"]), "correct its address")


RULES: Final[tuple[Callable[[Json], Iterator[Complaint]], ...]] = (_head, _sources, _variables, _places, _panels)
