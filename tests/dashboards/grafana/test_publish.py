"""Publishing against a server that answers as Grafana documents its API: create, update, conflict, version, folder, auth."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dashboards.grafana.client import HttpGrafana
from dashboards.grafana.files import StoreAccess, postgres_source, prometheus_source
from dashboards.grafana.model import FOLDER_TITLE, FOLDER_UID, Json
from dashboards.grafana.publish import Change, Mark, difference, marks_of, publish
from groundswell.errors import DependencyError, UsageError
from tests.alerts.alert_factory import an_alert
from tests.dashboards.grafana import grafana_text as g
from tests.dashboards.grafana.grafana_server import ADMIN, EDITOR, VIEWER, GrafanaServer, grafana_server

SOURCES = (
    prometheus_source("http://prometheus:9090"),
    postgres_source(StoreAccess("db:5432", "groundswell", "grafana", "hunter2-hunter2", "require")),
)
MARK = Mark("a1", 1_789_948_800_000, "Aldora", ("groundswell-alert", "alert:a1", "severity:high", "kind:surge"))


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with grafana_server() as running:
        yield running


def grafana(server: GrafanaServer, token: str = ADMIN) -> HttpGrafana:
    return HttpGrafana(server.url, token, timeout_s=60)


def bring(
    server: GrafanaServer, *, token: str = ADMIN, write: bool = True, sources: Sequence[Json] = SOURCES, marks: Sequence[Mark] = (MARK,)
) -> list[Change]:
    return list(publish(grafana(server, token), g.DASHBOARDS, sources=sources, marks=marks, write=write))


def test_into_an_empty_grafana_everything_is_created(server: GrafanaServer) -> None:
    changes = bring(server)

    assert {change.outcome for change in changes} == {"created"}
    assert server.folders[FOLDER_UID]["title"] == FOLDER_TITLE
    assert set(server.sources) == {"prom-groundswell", "pg-groundswell"}
    assert server.sources["pg-groundswell"]["secureJsonFields"] == {"password": True}
    for dashboard in g.DASHBOARDS:
        found = server.dashboards[dashboard.uid]
        assert found["meta"]["folderUid"] == FOLDER_UID
        assert {key: value for key, value in found["dashboard"].items() if key not in ("id", "version")} == g.json_of(dashboard)
    assert [one["text"] for one in server.annotations] == ["Aldora"]


def test_a_second_time_changes_nothing_and_only_sends_the_password_that_grafana_never_shows(server: GrafanaServer) -> None:
    bring(server)
    server.asked.clear()

    changes = bring(server)

    assert {change.outcome for change in changes} == {"same"}
    assert server.writes() == ["PUT /api/datasources/uid/pg-groundswell"]
    assert {found["dashboard"]["version"] for found in server.dashboards.values()} == {1}
    assert len(server.annotations) == 1


def test_what_was_changed_in_grafana_is_shown_panel_by_panel_and_put_right(server: GrafanaServer) -> None:
    bring(server)
    theirs = server.dashboards["groundswell-pipeline"]["dashboard"]
    panel = next(one for one in theirs["panels"] if one["title"] == "Behind")
    panel["fieldConfig"]["defaults"]["unit"] = "m"
    theirs["panels"].append(panel | {"id": 99, "title": "Mine"})
    server.folders[FOLDER_UID]["title"] = "Old name"
    server.sources["prom-groundswell"]["url"] = "http://elsewhere:9090"
    server.annotations[0]["text"] = "Aldora?"
    server.asked.clear()

    looked = {change.what: change for change in bring(server, write=False) if change.outcome != "same"}

    assert server.writes() == []
    assert set(looked) == {
        "folder groundswell", "data source prom-groundswell", "dashboard groundswell-pipeline", "annotation a1",
    }  # fmt: skip
    shown = looked["dashboard groundswell-pipeline"].difference
    assert "--- groundswell-pipeline: panel 'Behind' (in Grafana)" in shown
    assert '-      "unit": "m"' in shown
    assert '+      "unit": "s"' in shown
    assert "--- groundswell-pipeline: panel 'Mine' (in Grafana)" in shown
    assert "Balance" not in shown, "a panel that is the same is not shown"
    assert '-  "url": "http://elsewhere:9090"' in looked["data source prom-groundswell"].difference

    assert {change.what for change in bring(server) if change.outcome == "changed"} == set(looked)
    assert server.dashboards["groundswell-pipeline"]["dashboard"]["version"] == 2
    assert {change.outcome for change in bring(server)} == {"same"}


def test_a_look_at_an_empty_grafana_writes_nothing(server: GrafanaServer) -> None:
    assert {change.outcome for change in bring(server, write=False)} == {"created"}
    assert server.writes() == []
    assert server.dashboards == {}


def test_a_dashboard_in_another_folder_is_moved(server: GrafanaServer) -> None:
    bring(server)
    server.folders["old"] = {"uid": "old", "title": "Old", "version": 1}
    server.dashboards["groundswell-opinion"]["meta"]["folderUid"] = "old"

    (changed,) = [change for change in bring(server) if change.outcome == "changed"]

    assert '-"old"\n+"groundswell"' in changed.difference
    assert server.dashboards["groundswell-opinion"]["meta"]["folderUid"] == FOLDER_UID


def test_below_the_path_of_a_proxy_it_is_the_same() -> None:
    with grafana_server(prefix="/monitoring/grafana") as server:
        assert grafana(server).health() == "11.6.0"
        assert {change.outcome for change in bring(server)} == {"created"}


def test_an_editor_publishes_dashboards_without_data_sources(server: GrafanaServer) -> None:
    assert {change.outcome for change in bring(server, token=EDITOR, sources=())} == {"created"}


# --- refusals -----------------------------------------------------------------------------------------------------------------
def test_401_a_wrong_token_says_so_and_does_not_show_it(server: GrafanaServer) -> None:
    with pytest.raises(UsageError, match=r"GET /api/folders/groundswell: 401 Invalid API key; grafana\.token is not accepted") as caught:
        bring(server, token="glsa_stolen_0123456789")
    assert "stolen" not in str(caught.value)


@pytest.mark.parametrize(("token", "request_line"), [(VIEWER, "POST /api/folders"), (EDITOR, "GET /api/datasources/uid/prom-groundswell")])
def test_403_a_role_that_is_too_low_is_told_which_it_needs(server: GrafanaServer, token: str, request_line: str) -> None:
    with pytest.raises(
        UsageError, match=rf"{request_line}: 403 You'll need .*; give the service account of grafana\.token the role Editor"
    ):
        bring(server, token=token)


def test_404_a_foreign_server_is_not_taken_for_an_empty_grafana(server: GrafanaServer) -> None:
    server.status = 404
    with pytest.raises(UsageError, match=r"404 without a message of Grafana; grafana\.url must be Grafana's own address"):
        bring(server)
    with pytest.raises(UsageError, match=r"GET /api/health: 404"):
        HttpGrafana(f"{server.url}/wrong", ADMIN, timeout_s=60).health()


def test_409_a_folder_of_that_name_under_another_uid_is_told(server: GrafanaServer) -> None:
    server.folders["theirs"] = {"uid": "theirs", "title": FOLDER_TITLE, "version": 1}
    with pytest.raises(UsageError, match=r"POST /api/folders: 409 A folder with that name already exists; another one has that name"):
        bring(server)


def test_409_a_data_source_of_that_name_under_another_uid_is_told(server: GrafanaServer) -> None:
    server.sources["theirs"] = {"uid": "theirs", "name": "Groundswell Prometheus", "readOnly": False, "version": 1}
    with pytest.raises(UsageError, match=r"POST /api/datasources: 409 data source with the same name"):
        bring(server)


def test_412_what_somebody_saves_at_the_same_moment_is_not_overwritten(server: GrafanaServer) -> None:
    bring(server)
    theirs = server.dashboards["groundswell-opinion"]["dashboard"]
    theirs["title"] = "Mine"

    def somebody_saves() -> None:
        theirs["version"] += 1
        theirs["description"] = "theirs"

    server.before_save = somebody_saves
    with pytest.raises(DependencyError, match=r"for groundswell-opinion: 412 The dashboard has been changed by someone else; .* --dry-run"):
        bring(server)
    assert server.dashboards["groundswell-opinion"]["dashboard"]["description"] == "theirs"


def test_412_a_dashboard_that_somebody_creates_at_the_same_moment_is_not_overwritten(server: GrafanaServer) -> None:
    made: dict[str, Any] = {"dashboard": {"id": 7, "uid": "groundswell-opinion", "version": 1}, "meta": {"provisioned": False}}
    server.before_save = lambda: server.dashboards.update({"groundswell-opinion": made})
    with pytest.raises(DependencyError, match=r"412 A dashboard with the same uid already exists"):
        bring(server)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_5xx_is_worth_another_try(server: GrafanaServer, status: int) -> None:
    server.status = status
    with pytest.raises(DependencyError, match=rf"{status} without a message of Grafana; Grafana has a fault of its own"):
        bring(server)


def test_without_a_network_the_address_is_named() -> None:
    with grafana_server() as server:
        url = server.url
    with pytest.raises(DependencyError, match=rf"Grafana {url}: GET /api/health: .*; is Grafana running, and grafana\.url its address\?"):
        HttpGrafana(url, ADMIN, timeout_s=60).health()


def test_what_comes_from_a_file_is_not_published_over(server: GrafanaServer) -> None:
    bring(server)
    server.dashboards["groundswell-opinion"]["meta"]["provisioned"] = True
    server.sources["pg-groundswell"]["readOnly"] = True
    assert {change.outcome for change in bring(server)} == {"same"}, "what is the same needs no writing"

    server.dashboards["groundswell-opinion"]["dashboard"]["title"] = "Mine"
    with pytest.raises(UsageError, match=r"dashboard groundswell-opinion is provisioned; it comes from a file"):
        bring(server)
    server.sources["pg-groundswell"]["url"] = "elsewhere:5432"
    with pytest.raises(UsageError, match=r"data source pg-groundswell is read-only; it comes from a file"):
        bring(server)


def test_a_sick_grafana_and_a_server_that_is_none_are_told_apart(server: GrafanaServer) -> None:
    server.database = "failing"
    with pytest.raises(DependencyError, match="database 'failing'"):
        grafana(server).health()
    server.status = 200  # a page that answers everything
    with pytest.raises(UsageError, match=r"no JSON; that is no answer of Grafana's API"):
        grafana(server).health()


def test_an_address_that_leads_elsewhere_is_refused(server: GrafanaServer) -> None:
    server.status = 302
    with pytest.raises(
        UsageError, match=r"GET /api/health: leads to https://grafana\.example/login; write the address that answers itself"
    ):
        grafana(server).health()


# --- what differs -------------------------------------------------------------------------------------------------------------
def test_the_version_that_grafana_counts_is_no_difference() -> None:
    here = g.json_of(g.DASHBOARDS[0])
    assert difference(here | {"id": 7, "version": 3}, here) == ""
    there = copy.deepcopy(here)
    there["tags"] = []
    assert difference(there, here).startswith("--- groundswell-opinion (in Grafana)\n+++ groundswell-opinion (here)\n")


def test_an_incident_is_marked_once_with_the_way_to_its_dossier() -> None:
    first, update = an_alert(id="a1", update=0), an_alert(id="a2", update=1)

    (mark,) = marks_of([first, update], "https://desk.example/")

    assert (mark.alert_id, mark.time_ms) == ("a1", first.opened_ms)
    assert mark.text.endswith('<a href="https://desk.example/alerts/a1">dossier</a>')
    assert "alert:a1" in mark.tags
