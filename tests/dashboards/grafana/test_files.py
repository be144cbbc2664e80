"""The files in deploy/grafana are what the code makes under default settings, and say where everything is."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboards.grafana.files import FROM_ENVIRONMENT, PATH, SCRAPE_INTERVAL, StoreAccess, postgres_source
from groundswell.cli import root
from tests.dashboards.grafana import grafana_text as g

ROOT = Path(__file__).resolve().parents[3]
TREE = ROOT / "deploy" / "grafana"


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # no settings file is found here
    done = CliRunner(env={"GROUNDSWELL_CONFIG": ""}).invoke(root, ["dashboards", "build", "-o", str(tmp_path / "made")])
    assert done.exit_code == 0, done.output
    assert "6 files written, 0 as they were, 0 removed" in done.output
    return tmp_path / "made"


def test_the_files_in_the_tree_are_what_the_code_makes(built: Path) -> None:
    assert contents(built) == contents(TREE), "run `groundswell dashboards build` and look at what changed"


def test_a_second_build_writes_nothing_and_a_dashboard_that_is_gone_goes(built: Path) -> None:
    (built / "dashboards" / "groundswell-old.json").write_text("{}")
    (built / "dashboards" / "mine.json").write_text("{}")

    done = CliRunner().invoke(root, ["dashboards", "build", "-o", str(built)])

    assert "0 files written, 6 as they were, 1 removed" in done.output
    assert (built / "dashboards" / "mine.json").exists()


def test_thresholds_and_links_follow_the_settings_and_rules(tmp_path: Path) -> None:
    rules = re.sub(r"^budget_per_day = \d+", "budget_per_day = 17", (ROOT / "alerts" / "rules.toml").read_text(), flags=re.MULTILINE)
    (tmp_path / "rules.toml").write_text(rules)
    variables = {"GROUNDSWELL_RULES_PATH": str(tmp_path / "rules.toml"), "GROUNDSWELL_BOARD_BASE_URL": "https://desk.example"}

    done = CliRunner(env=variables).invoke(root, ["dashboards", "build", "-o", str(tmp_path)])

    assert done.exit_code == 0, done.output
    opinion = json.loads((tmp_path / "dashboards" / "groundswell-opinion.json").read_text())
    (budget,) = [panel for panel in opinion["panels"] if panel["title"] == "Alerts of the day"]
    assert [step["value"] for step in budget["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 17]
    (board,) = [variable for variable in opinion["templating"]["list"] if variable["name"] == "board"]
    assert (board["query"], board["hide"]) == ("https://desk.example", 2)


def test_no_provisioned_file_holds_an_address_or_a_password() -> None:
    sources = (TREE / "provisioning" / "datasources" / "groundswell.yaml").read_text()
    for line in sources.splitlines():
        if re.match(r"\s+(url|user|password|database|sslmode):", line):
            assert re.search(r': "\$\{[A-Z_]+\}"$', line), line


def test_the_provider_reads_where_the_compose_file_mounts() -> None:
    assert f'path: "{PATH}"' in (TREE / "provisioning" / "dashboards" / "groundswell.yaml").read_text()


def test_the_interval_is_that_of_prometheus() -> None:
    """$__rate_interval is made of it: a shorter one leaves charts empty."""
    config = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    if not config.exists():
        pytest.skip("deploy/prometheus/prometheus.yml is not there yet")
    assert f"scrape_interval: {SCRAPE_INTERVAL}" in config.read_text()


def test_a_source_without_a_password_sends_none() -> None:
    assert "secureJsonData" not in postgres_source(StoreAccess("db:5432", "groundswell", "reader", "", "disable"))
    assert postgres_source(FROM_ENVIRONMENT)["secureJsonData"] == {"password": "${STORE_PASSWORD}"}


def test_four_dashboards_answer_four_questions() -> None:
    assert [dashboard.uid for dashboard in g.DASHBOARDS] == [
        "groundswell-opinion", "groundswell-incident", "groundswell-pipeline", "groundswell-sources-model",
    ]  # fmt: skip
    assert all(dashboard.description.count("?") == 1 and "For " in dashboard.description for dashboard in g.DASHBOARDS)


ORDER = ("postgres_datasource", "prometheus_datasource", "board", "job", "instance", "run", "language", "topic", "company", "incident")


def test_variables_stand_in_the_same_order_on_every_dashboard() -> None:
    for dashboard in g.DASHBOARDS:
        names = [variable["name"] for variable in dashboard.variables]
        assert names == [name for name in ORDER if name in names], dashboard.title
