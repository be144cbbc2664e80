"""Bring dashboards into a running Grafana, as often as one likes: what is there already is left alone.

    health -> folder -> data sources -> dashboards -> annotations         (each: look, compare, write only what differs)

The port is what this needs of Grafana; `client.py` is it over HTTP. `Publisher.write=False` looks and compares only.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from dashboards.grafana.model import FOLDER_TITLE, FOLDER_UID, Dashboard, Json
from groundswell.records import Alert

Outcome = Literal["created", "changed", "same"]
ALERT_TAG: Final = "groundswell-alert"
TESTED_WITH: Final = (11, 6)
"""The oldest Grafana whose format the dashboards are written in."""

OWN_KEYS: Final = ("id", "version")
"""What Grafana adds to a dashboard when it stores it."""


@dataclass(frozen=True)
class Change:
    """What became of one thing, or would."""

    what: str  # "dashboard groundswell-opinion"
    outcome: Outcome
    difference: str = ""  # unified, in Grafana -> here


@dataclass(frozen=True)
class Mark:
    """An alert as an annotation of the organisation: any dashboard can show it by its tags."""

    alert_id: str
    time_ms: int
    text: str
    tags: tuple[str, ...]


class GrafanaPort(Protocol):
    """What publishing needs of a Grafana.

    `health` is called once, first. Then each upsert may be called any number of times, in any order but folder before dashboards: it
    looks at what there is, and writes only what differs, and nothing at all where `write` is False. Every method may raise
    DependencyError (Grafana is away, or somebody else was faster: run it again) and UsageError (it refuses: a setting has to change).
    """

    def health(self) -> str:
        """Grafana's version."""

    def upsert_folder(self, uid: str, title: str, *, write: bool) -> Change:
        """A folder with this title under this uid."""

    def upsert_datasource(self, source: Json, *, write: bool) -> Change:
        """A data source under its uid; what Grafana adds to it by itself is no difference."""

    def upsert_dashboard(self, dashboard: Json, folder_uid: str, *, write: bool) -> Change:
        """A dashboard under its uid, in this folder."""

    def annotate(self, mark: Mark, *, write: bool) -> Change:
        """One annotation for an alert, however often it is told."""


def publish(
    port: GrafanaPort, dashboards: Sequence[Dashboard], *, sources: Iterable[Json], marks: Iterable[Mark], write: bool
) -> Iterator[Change]:
    """Make Grafana hold all of it.

    Args:
        port: the Grafana.
        dashboards: what to show.
        sources: data sources as `files.py` makes them.
        marks: alerts to annotate.
        write: False: say what would change.

    Yields:
        What became of each, as soon as it is known.
    """
    yield port.upsert_folder(FOLDER_UID, FOLDER_TITLE, write=write)
    for source in sources:
        yield port.upsert_datasource(source, write=write)
    for dashboard in dashboards:
        yield port.upsert_dashboard(dashboard.as_json(), FOLDER_UID, write=write)
    for mark in marks:
        yield port.annotate(mark, write=write)


def is_too_old(version: str) -> bool:
    """Whether a Grafana is older than the format of the dashboards.

    >>> is_too_old("10.4.2"), is_too_old("11.6.0"), is_too_old("13.0.0-pre")
    (True, False, False)
    """
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2] if part.isdigit())
    return numbers < TESTED_WITH


def marks_of(alerts: Iterable[Alert], base_url: str) -> list[Mark]:
    """One mark for each incident: its first alert, with the way to its dossier."""
    return [
        Mark(
            alert_id=alert.id,
            time_ms=alert.opened_ms,
            text=f'{alert.title} <a href="{base_url.rstrip("/")}/alerts/{alert.id}">dossier</a>',
            tags=(ALERT_TAG, f"alert:{alert.id}", f"severity:{alert.severity}", f"kind:{alert.kind}"),
        )
        for alert in alerts
        if alert.update == 0
    ]


# --- what differs -------------------------------------------------------------------------------------------------------------
def stored(dashboard: Json) -> Json:
    """A dashboard without what Grafana has added to it."""
    return {key: value for key, value in dashboard.items() if key not in OWN_KEYS}


def difference(there: Json, here: Json) -> str:
    """How a dashboard in Grafana differs from ours, as unified text: the dashboard itself, then panel by panel; "" if it does not."""
    parts_there, parts_here = _parts(there), _parts(here)
    names = [*parts_here, *(name for name in parts_there if name not in parts_here)]
    return "".join(unified(name, parts_there.get(name), parts_here.get(name)) for name in names)


def unified(name: str, there: object, here: object) -> str:
    """A unified difference of one thing as JSON; None is nothing."""
    old, new = (_lines(value) for value in (there, here))
    return "".join(difflib.unified_diff(old, new, f"{name} (in Grafana)", f"{name} (here)", n=2))


def _parts(dashboard: Json) -> dict[str, object]:
    """The dashboard by parts that people know: settings, variables, and each panel by its title."""
    uid, rest = dashboard.get("uid"), {key: value for key, value in stored(dashboard).items() if key != "panels"}
    parts: dict[str, object] = {f"{uid}": rest}
    for panel in dashboard.get("panels", []):
        name = f"{uid}: {'row' if panel.get('type') == 'row' else 'panel'} {panel.get('title')!r}"
        parts[name if name not in parts else f"{name} (id {panel.get('id')})"] = panel
    return parts


def _lines(value: object) -> list[str]:
    return [] if value is None else (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").splitlines(keepends=True)
