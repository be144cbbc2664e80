"""House rules that a tired person forgets: folders, packages, the lock file, the front door."""

import ast
import re
import resource
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("groundswell", "ingest", "models", "stream", "alerts", "dashboards")
HAS_CODE: Final = ("groundswell/cli/__init__.py", "groundswell/__init__.py")  # the command table, the door for notebooks
LINES_MAX: Final = 500
HELP_CPU_S: Final = 0.6

# Written in parts, so that this file does not name them either.
HOSTS: Final = tuple(
    name.replace(" ", ".")
    for name in ("pypi org", "pythonhosted org", "npmjs org", "npmjs com", "repo maven apache org", "repo1 maven org", "crates io")
)
PLACES: Final = tuple("/" + "/".join(parts) for parts in (("work", "main"), ("work", "shared")))


@cache
def files() -> list[Path]:
    """What is in the repository or about to be."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def inside(*folders: str) -> list[Path]:
    return [path for path in files() if path.relative_to(ROOT).parts[0] in folders]


def test_tests_and_deploy_are_no_packages() -> None:
    assert [path for path in inside("tests", "deploy", "bench") if path.name == "__init__.py"] == []


def test_a_package_says_what_it_is_and_does_nothing() -> None:
    for path in inside(*ROOMS):
        if path.name == "__init__.py" and path.relative_to(ROOT).as_posix() not in HAS_CODE:
            (only,) = ast.parse(path.read_text(encoding="utf-8")).body
            assert isinstance(only, ast.Expr), path
            assert isinstance(only.value, ast.Constant), path
            assert isinstance(only.value.value, str), path


def test_the_list_of_packages_is_the_packages_that_there_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    there = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in inside(*ROOMS) if path.name == "__init__.py"}

    assert set(project["tool"]["setuptools"]["packages"]) == there


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in inside(*ROOMS) if path.suffix == ".py"}

    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("word", ["util", "utils", "common", "helper", "helpers", "misc", "lib"])
def test_no_file_is_a_drawer_for_odds_and_ends(word: str) -> None:
    assert [path for path in files() if path.suffix == ".py" and word in (path.stem, path.parent.name)] == []


def test_no_file_of_the_product_is_too_long_to_be_read() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in inside(*ROOMS) if path.suffix == ".py"
    }

    assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}


# --- the lock file ----------------------------------------------------------------------------------------------------------
def pins() -> list[str]:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return [pin for pin in re.split(r"\n(?=\S)", text.strip()) if not pin.startswith("#")]


def test_every_pin_is_exact_and_has_its_hashes() -> None:
    for pin in pins():
        assert re.match(r"^[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+", pin, re.IGNORECASE), pin[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin[:80]
    assert len(pins()) > 40


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=~! ]", one, maxsplit=1)[0].lower().replace("_", "-") for one in wanted}

    assert names <= {re.split(r"[\[=]", pin, maxsplit=1)[0].lower().replace("_", "-") for pin in pins()}


def test_no_file_names_a_registry_or_a_place_of_one_machine() -> None:
    """A lock file or a page that names one works on one network only."""
    found = []
    for path in files():
        text = path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {name}" for name in (*HOSTS, *PLACES) if name.encode() in text]

    assert found == []


# --- the front door ---------------------------------------------------------------------------------------------------------
def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from groundswell.cli import root\n"
        "said = CliRunner().invoke(root, ['--help'])\n"
        "heavy = [n for n in ('faust', 'torch', 'pandas', 'sqlalchemy', 'numpy', 'scipy', 'slack_sdk') if n in sys.modules]\n"
        "sys.exit(f'{heavy}' if heavy or said.exit_code or 'backfill' not in said.output else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False).stderr == ""

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "groundswell", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Commands" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < HELP_CPU_S  # of this process, however busy the machine is
