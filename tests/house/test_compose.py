"""deploy/compose.yaml without an engine: docker-compose reads it, each mounted file passes its own program, the Dockerfile is pinned."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from dashboards.grafana.files import PATH
from groundswell.cli import root
from groundswell.settings import load_settings

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: Final = DEPLOY / "compose.yaml"
DOCKERFILE: Final = DEPLOY / "Dockerfile"
ONCE: Final = {"schema", "grants"}
OURS: Final = {"schema", "crawl", "worker", "desk", "board"}
PASSWORD: Final = "it's \\ a $ecret"


@cache
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def variables() -> list[str]:
    """What the compose file asks for."""
    return sorted(set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8"))))


def mounts() -> list[tuple[str, Path, str]]:
    """(service, file or folder of ours, where it is in the container)."""
    found = [(name, volume.split(":")) for name, service in services().items() for volume in service.get("volumes", [])]
    return [(name, (DEPLOY / parts[0]).resolve(), parts[1]) for name, parts in found if parts[0].startswith(".")]


def config(program: str, **given: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **given}
    command = [program, "-f", str(COMPOSE), "config"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=6000, check=False)


# --- docker-compose ---------------------------------------------------------------------------------------------------------------
def test_docker_compose_takes_the_file(docker_compose: str) -> None:
    done = config(docker_compose, **dict.fromkeys(variables(), "x"))

    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(services())


def test_without_a_password_it_does_not_start_and_names_the_variable(docker_compose: str) -> None:
    """One of them, since docker-compose takes its time; that all are asked for in the same words is read below."""
    done = config(docker_compose, **dict.fromkeys(set(variables()) - {"READER_PASSWORD"}, "x"))
    assert done.returncode != 0
    assert done.stderr.strip().endswith("set READER_PASSWORD, see deploy/compose.env.example")


def test_every_variable_is_in_the_example_without_a_value() -> None:
    lines = (DEPLOY / "compose.env.example").read_text(encoding="utf-8").splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == [f"{name}=" for name in variables()]


def test_no_password_stands_in_the_file() -> None:
    for name, service in services().items():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key or "SECRET" in key or "TOKEN" in key:
                assert re.fullmatch(r"\$\{(\w+):\?set \1, see deploy/compose.env.example\}", value), f"{name}: {key}"
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), f"{name}: {key} holds a password"


# --- each service -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(services()))
def test_a_service_is_pinned_limited_watched_and_kept_from_the_network(name: str) -> None:
    service = services()[name]
    assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+[\w.-]*", service["image"]), "a tag that says a version, and no registry's name"
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory"}
    assert ("healthcheck" in service) == (name not in ONCE)
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "privileged" not in service
    assert set(service.get("depends_on", [])) <= set(services())
    for peer, how in service.get("depends_on", {}).items():
        assert how["condition"] == ("service_completed_successfully" if peer in ONCE else "service_healthy")


def test_what_is_kept_is_in_a_named_volume_and_each_volume_is_used() -> None:
    declared = set(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"])
    used = {volume.split(":")[0] for service in services().values() for volume in service.get("volumes", [])}
    assert {name for name in used if not name.startswith(".")} == declared


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_services_run_commands_that_exist_with_settings_that_exist(name: str) -> None:
    service = services()[name]
    answer = CliRunner().invoke(root, [*service["command"], "--help"])
    assert answer.exit_code == 0, answer.output
    settings = load_settings(environ={key: value for key, value in service["environment"].items() if key.startswith("GROUNDSWELL_")})
    assert settings.store.url.startswith("postgresql://")
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


def test_each_part_logs_in_as_itself_and_grafana_as_one_who_only_reads() -> None:
    users = {name: make_url(services()[name]["environment"]["GROUNDSWELL_STORE_URL"]).username for name in OURS}
    assert users == {"schema": "migrator", "crawl": "crawler", "worker": "worker", "desk": "desk", "board": "board"}
    assert services()["grafana"]["environment"]["STORE_USER"] == "reader"


def test_board_and_desk_know_the_same_secret_and_the_first_account_is_made_as_the_page_says() -> None:
    knowing = {name for name in OURS if "GROUNDSWELL_BOARD_SECRET" in services()[name]["environment"]}
    assert knowing == {"desk", "board"}
    (line,) = re.findall(r"run --rm (.*)$", (DEPLOY.parent / "docs/compose.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    service, *command = line.split()
    assert services()[service]["environment"]["GROUNDSWELL_STORE_URL"].startswith("postgresql://migrator@")
    answer = CliRunner().invoke(root, [*command, "--help"])
    assert answer.exit_code == 0, answer.output


# --- what is mounted ----------------------------------------------------------------------------------------------------------------
def mounted(name: str) -> Path:
    """The file, or a skip where its room has not made it yet."""
    path = DEPLOY / name
    assert path in {file for _, file, _ in mounts()}, f"{name} is not mounted"
    if not path.exists():
        pytest.skip(f"deploy/{name} is not there yet")
    return path


def test_everything_that_is_mounted_is_there_or_belongs_to_prometheus() -> None:
    absent = {path.relative_to(DEPLOY).parts[0] for _, path, _ in mounts() if not path.exists()}
    assert absent <= {"prometheus", "alertmanager"}, "only these come from another room"


@pytest.mark.prometheus
def test_prometheus_takes_its_files() -> None:
    path = mounted("prometheus/prometheus.yml")
    done = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for rules in re.findall(r"^\s+- (\S+\.yml)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        mounted(f"prometheus/{rules}")


def test_alertmanager_takes_its_file() -> None:
    path = mounted("alertmanager/alertmanager.yml")
    program = shutil.which("amtool")
    if program is None:
        pytest.skip("needs amtool (Debian: prometheus-alertmanager)")
    done = subprocess.run([program, "check-config", str(path)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_sources_and_dashboards_where_it_looks() -> None:
    environment = services()["grafana"]["environment"]
    places = {inside: path for name, path, inside in mounts() if name == "grafana"}
    sources = (places["/etc/grafana/provisioning/datasources"] / "groundswell.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r'"\$\{(\w+)\}"', sources)) <= environment.keys()
    assert [one["uid"] for one in yaml.safe_load(sources)["datasources"]] == ["prom-groundswell", "pg-groundswell"]
    (provider,) = yaml.safe_load((places["/etc/grafana/provisioning/dashboards"] / "groundswell.yaml").read_text())["providers"]
    assert provider["options"]["path"] == PATH
    assert {json.loads(path.read_text(encoding="utf-8"))["uid"] for path in places[PATH].glob("*.json")} == {
        path.stem for path in places[PATH].glob("*.json")
    }


# --- the Dockerfile -----------------------------------------------------------------------------------------------------------------
def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", DOCKERFILE.read_text(encoding="utf-8"))
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_is_pinned_and_its_process_is_nobody_special() -> None:
    found = instructions()
    for base in (rest for word, rest in found if word == "FROM"):
        assert re.match(r"python:\d+\.\d+\.\d+-[\w-]+( AS \w+)?$", base), base
    assert not [rest for word, rest in found if word == "ADD"], "what is added from elsewhere is not checked"
    installs = [rest for word, rest in found if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert all("--require-hashes -r requirements.lock" in line or "--no-deps" in line for line in installs)
    last_stage = found[max(place for place, (word, _) in enumerate(found) if word == "FROM") :]
    users = [rest for word, rest in last_stage if word == "USER"]
    assert users == ["10001:10001"]
    after = [word for word, _ in last_stage[[word for word, _ in last_stage].index("USER") :]]
    assert "RUN" not in after
    assert [json.loads(rest) for word, rest in found if word == "ENTRYPOINT"] == [["groundswell"]]
    assert not [rest for word, rest in found if word in ("ENV", "ARG") and re.search(r"PASSWORD|SECRET|TOKEN", rest)]


def test_the_dockerfile_copies_what_there_is_and_every_package() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    names = {name for group in copied for name in group}
    allowed = {line.removeprefix("!") for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == allowed, ".dockerignore lets in what is copied, and nothing else"
    assert all((DEPLOY.parent / name).exists() for name in names)
    assert {"groundswell", "ingest", "models", "stream", "alerts", "dashboards"} <= names


def test_both_files_say_that_they_were_never_tried() -> None:
    assert "It was never built here" in DOCKERFILE.read_text(encoding="utf-8")
    assert "Never started here" in COMPOSE.read_text(encoding="utf-8")
