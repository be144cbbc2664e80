"""The built wheel, alone in an empty environment, runs the demo."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench.sizes import MB, WHEEL_MB, build_wheel

ROOT = Path(__file__).resolve().parents[2]
CHILD = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GROUNDSWELL"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_is_small_and_holds_the_product_without_its_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < WHEEL_MB * MB
    assert not [name for name in names if name.startswith(("tests/", "deploy/", "bench/", "docs/"))]
    assert {"alerts/rules.toml", "models/catalogue.csv", "ingest/sources.toml", "alerts/notify/templates/mail.txt.j2"} <= set(names)


def test_the_wheel_alone_in_an_empty_environment_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "env")], check=True, env=CHILD)
    python = tmp_path / "env" / "bin" / "python"
    install = [*uv, "pip", "install", "-q", "-p", str(python), "-c", str(ROOT / "requirements.lock"), str(wheel)]
    subprocess.run(install, check=True, env=CHILD)
    quick = CHILD | {"GROUNDSWELL_MODELS_USE": "linear"}  # what the encoders answer is not what this is about
    command = [str(tmp_path / "env" / "bin" / "groundswell"), "demo", "--once", "--dir", str(tmp_path / "demo")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=quick)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert list(said) == ["fetched", "scored", "duplicate", "edited", "dropped", "in_flight", "alerts", "balance"]
    assert 20_000 <= said["fetched"] <= 40_000
    assert said["alerts"] >= 1
    assert said["balance"] == said["in_flight"] == 0
    listed = subprocess.run([str(python), "-m", "pip", "--version"], check=False, capture_output=True, text=True, cwd=tmp_path, env=CHILD)
    assert listed.returncode != 0, "the environment was not empty"
    assert subprocess.run([str(python), "-c", "import torch"], check=False, capture_output=True, env=CHILD).returncode != 0
