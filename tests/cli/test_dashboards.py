"""`groundswell dashboards` as people type it: faults are lines, refusals are one line, a dry run writes nothing."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundswell.cli import root
from groundswell.codec import encode
from groundswell.errors import DependencyError, UsageError
from groundswell.settings import describe, load_with_origins
from groundswell.store import schema as t
from groundswell.store.store import Store
from tests.alerts.alert_factory import an_alert
from tests.dashboards.grafana.grafana_server import ADMIN, EDITOR, grafana_server
from tests.peers import REPOSITORY

DASHBOARDS = 4


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner(env=variables).invoke(root, ["dashboards", *arguments])


def test_check_finds_nothing_wrong_with_our_own_dashboards() -> None:
    done = run("check")
    assert done.exit_code == 0, done.output
    assert "4 dashboards, " in done.output
    assert " 0 faults" in done.output


def test_check_reads_files_too_and_says_what_is_wrong_with_each(tmp_path: Path) -> None:
    run("build", "-o", str(tmp_path), "--rules", str(tmp_path / "rules"))
    path = tmp_path / "dashboards" / "groundswell-pipeline.json"
    dashboard = json.loads(path.read_text())
    dashboard["panels"][1]["title"] = ""
    path.write_text(json.dumps(dashboard))

    done = run("check", str(tmp_path / "dashboards"))

    assert done.exit_code == 1
    assert "groundswell-pipeline: panel 'id 2': a panel has a title, got ''; name what it shows" in done.output


def test_build_writes_prometheus_rules_too_and_nothing_twice(tmp_path: Path) -> None:
    where = ("build", "-o", str(tmp_path / "grafana"), "--rules", str(tmp_path / "rules"))
    first, second = run(*where), run(*where)

    shipped = REPOSITORY / "deploy" / "prometheus"
    assert sorted(path.name for path in (tmp_path / "rules").iterdir()) == ["alerts.yml", "recording.yml"]
    assert all((tmp_path / "rules" / name).read_text() == (shipped / name).read_text() for name in ("alerts.yml", "recording.yml"))
    assert "2 files written" in first.output
    assert "rules: 0 files written, 2 as they were" in second.output


@pytest.mark.parametrize(
    ("text", "rule"), [("{", "give a folder with dashboards as JSON"), ('{"a": 1}', "no dashboard of the classic form")]
)
def test_check_names_a_file_that_is_no_dashboard(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "x.json").write_text(text)
    error = run("check", str(tmp_path)).exception
    assert isinstance(error, UsageError)
    assert str(error).startswith(str(tmp_path / "x.json"))
    assert rule in str(error)


def test_publish_without_an_address_says_which_setting_is_missing() -> None:
    error = run("publish").exception
    assert isinstance(error, UsageError)
    assert "grafana.url is not set" in str(error)


def test_publish_brings_everything_and_says_so_and_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    with grafana_server() as server:
        settings = {
            "GROUNDSWELL_GRAFANA_URL": server.url,
            "GROUNDSWELL_GRAFANA_TOKEN": ADMIN,
            "GROUNDSWELL_GRAFANA_PROMETHEUS_URL": "http://prometheus:9090",
            "GROUNDSWELL_GRAFANA_STORE_URL": "postgresql://reader:p%40ss@db/groundswell",
        }
        looked = run("publish", "--dry-run", **settings)
        assert looked.exit_code == 0, looked.output
        assert looked.output.count("would be created") == 1 + 2 + DASHBOARDS
        assert server.writes() == []

        done = run("publish", **settings)
        assert done.exit_code == 0, done.output
        assert done.output.count(": created") == 1 + 2 + DASHBOARDS
        assert server.sources["pg-groundswell"]["user"] == "reader"

        server.dashboards["groundswell-opinion"]["dashboard"]["tags"] = []
        shown = run("publish", "--dry-run", **settings).output
        assert "dashboard groundswell-opinion: would be changed\n--- groundswell-opinion (in Grafana)" in shown
        assert ADMIN not in done.output + looked.output + shown


def test_incidents_of_the_last_days_are_marked_once(tmp_path: Path) -> None:
    store, alert = Store(str(tmp_path / "desk.db")), an_alert()
    with store.write() as connection:
        store.insert(connection, t.runs, [{"run": "live", "kind": "live", "model_id": "m", "manifest": b"{}"}])
        fields = {name: getattr(alert, name) for name in ("id", "incident", "kind", "series", "opened_ms", "severity")}
        store.insert(connection, t.alerts, [fields | {"run": "live", "tick": 1, "body": encode(alert)}])
    store.close()
    with grafana_server() as server:
        settings = {
            "GROUNDSWELL_GRAFANA_URL": server.url,
            "GROUNDSWELL_GRAFANA_TOKEN": EDITOR,
            "GROUNDSWELL_BOARD_BASE_URL": "https://desk.example",
        }
        for _ in range(2):
            done = run("publish", "--annotate", "36500d", "--store", str(tmp_path / "desk.db"), **settings)
            assert done.exit_code == 0, done.output
        assert [one["time"] for one in server.annotations] == [alert.opened_ms]
        assert f"https://desk.example/alerts/{alert.id}" in server.annotations[0]["text"]
        assert "data source of PostgreSQL: left alone, grafana.store_url is empty" in done.output


def test_a_grafana_that_is_too_old_is_not_given_what_it_cannot_read() -> None:
    with grafana_server() as server:
        server.version = "10.4.2"
        error = run("publish", GROUNDSWELL_GRAFANA_URL=server.url, GROUNDSWELL_GRAFANA_TOKEN=ADMIN).exception
    assert isinstance(error, UsageError)
    assert "is 10.4.2, and the dashboards are written for 11.6 and later" in str(error)
    assert server.writes() == []


def test_a_grafana_that_is_away_is_worth_another_try() -> None:
    with grafana_server() as server:
        url = server.url
    error = run("publish", GROUNDSWELL_GRAFANA_URL=url, GROUNDSWELL_GRAFANA_TOKEN=ADMIN).exception
    assert isinstance(error, DependencyError)
    assert error.exit_code == 3


def test_token_and_password_are_masked_and_a_token_alone_is_refused() -> None:
    given = {
        "GROUNDSWELL_GRAFANA_URL": "https://grafana.example",
        "GROUNDSWELL_GRAFANA_TOKEN": ADMIN,
        "GROUNDSWELL_GRAFANA_STORE_URL": "postgresql://reader:hunter2@db/groundswell",
    }
    shown = " ".join(row.value for row in describe(*load_with_origins(environ=given)))
    assert ADMIN not in shown
    assert "hunter2" not in shown
    with pytest.raises(UsageError, match=r"grafana\.token: must be given together with grafana\.url"):
        load_with_origins(environ={"GROUNDSWELL_GRAFANA_TOKEN": ADMIN})
