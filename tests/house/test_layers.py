"""The layer rule, from the syntax trees: who may import whom, and where each large library may be named."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("groundswell", "ingest", "models", "stream", "alerts", "dashboards")

# A place (the longest that fits counts) -> the places that it may import. Sideways imports are in no list.
MAY_IMPORT: Final = {
    "groundswell": ("groundswell",),
    "groundswell.cli": ROOMS,
    "groundswell.__main__": ("groundswell",),
    "ingest": ("groundswell", "ingest"),
    "models": ("groundswell", "models"),
    "alerts": ("groundswell", "alerts"),
    "dashboards": ("groundswell", "dashboards"),
    "stream.operators": ("groundswell", "stream.operators"),
    "stream.pipeline": ("groundswell", "alerts", "stream.operators"),
    "stream.shells": ("groundswell", "ingest", "models", "alerts", "stream"),
}
FRONT_DOOR: Final = ("groundswell.cli", "groundswell.__main__")
"""What nobody else may import."""

# A library -> the only files that may name it.
ONLY_IN: Final = {
    "faust": ("stream/shells/kafka.py",),
    "aiosmtplib": ("alerts/notify/mail.py",),
    "smtplib": ("groundswell/doctor.py",),  # says EHLO to find out whether anybody answers; sends nothing
    "slack_sdk": ("alerts/notify/slack.py", "alerts/notify/slack_bot.py", "alerts/notify/slack_buttons.py"),
    "imaplib": ("ingest/types/mailbox.py",),
    "feedparser": ("ingest/types/feed.py",),
    "trafilatura": ("ingest/types/article.py",),
    "jmespath": ("ingest/types/fields.py",),
    "argon2": ("groundswell/passwords.py",),
    "itsdangerous": ("groundswell/signing.py",),
}
GRAFANA_FILES_MAX: Final = 1
ONLY_IN_MODELS: Final = ("torch", "transformers", "tokenizers", "safetensors")
HEAVY: Final = ("faust", "torch", "pandas")

PURE: Final = sorted(
    [f"stream.operators.{path.stem}" for path in (ROOT / "stream/operators").glob("*.py") if path.stem != "__init__"]
    + [f"alerts.detectors.{path.stem}" for path in (ROOT / "alerts/detectors").glob("*.py") if path.stem != "__init__"]
    + ["stream.pipeline", "alerts.desk", "alerts.dossier", "alerts.rules", "groundswell.codec", "groundswell.records", "groundswell.names"]
    + [
        "groundswell.errors",
        "groundswell.windows",
        "groundswell.silence",
        "groundswell.schedule",
        "groundswell.clock",
        "groundswell.local_log",
        "groundswell.lifecycle",
        "groundswell.judged",
        "groundswell.similar",
        "groundswell.quality",
    ]
)


@cache
def imports() -> dict[str, frozenset[str]]:
    """{file: dotted names that it imports}, also those inside functions."""
    found = {}
    for path in sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are written in full"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[path.relative_to(ROOT).as_posix()] = frozenset(names)
    return found


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def within(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def test_every_room_imports_only_what_lies_below_it() -> None:
    wrong = []
    for file, names in imports().items():
        module = module_of(file)
        place = max((p for p in MAY_IMPORT if within(module, (p,))), key=len, default="")
        allowed = MAY_IMPORT.get(place, ())
        wrong += [f"{file} imports {name}" for name in names if within(name, ROOMS) and not within(name, allowed) and name != module]
        if not within(module, FRONT_DOOR):
            wrong += [f"{file} imports {name}" for name in names if within(name, FRONT_DOOR)]

    assert wrong == []


def test_every_file_belongs_to_a_place_of_the_rule() -> None:
    homeless = [file for file in imports() if not within(module_of(file), tuple(MAY_IMPORT)) and module_of(file) != "stream"]

    assert homeless == []


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_of_the_outside_world_is_named_in_its_own_files_alone(library: str) -> None:
    assert {file for file, names in imports().items() if any(within(name, (library,)) for name in names)} <= set(ONLY_IN[library])


def test_the_grafana_client_is_named_in_one_file_at_most() -> None:
    assert len([file for file, names in imports().items() if any(within(name, ("grafana_api",)) for name in names)]) <= GRAFANA_FILES_MAX


def test_torch_and_what_comes_with_it_stay_inside_models() -> None:
    wrong = [f"{file}: {name}" for file, names in imports().items() for name in names if within(name, ONLY_IN_MODELS)]

    assert [line for line in wrong if not line.startswith("models/")] == []


@pytest.mark.parametrize(
    "library", ["time", "datetime", "random", "os", "socket", "sqlalchemy", "sqlite3", "asyncio", "threading", "pathlib"]
)
def test_operators_have_no_clock_no_chance_and_no_outside(library: str) -> None:
    pure = ("stream/operators/", "stream/pipeline.py", "alerts/detectors/", "alerts/desk.py", "alerts/dossier.py")
    wrong = [file for file, names in imports().items() if file.startswith(pure) and any(within(name, (library,)) for name in names)]

    assert wrong == []


@pytest.mark.parametrize(
    "library", ["time", "random", "socket", "sqlite3", "asyncio", "threading", "subprocess", "aiohttp", "urllib.request"]
)
def test_a_source_type_has_no_clock_no_chance_and_no_network_of_its_own(library: str) -> None:
    wrong = [
        file for file, names in imports().items() if file.startswith("ingest/types/") and any(within(name, (library,)) for name in names)
    ]

    assert wrong == []


def test_each_pure_module_in_a_fresh_process_loads_nothing_heavy() -> None:
    """One process for each module, forked before anything of the project is imported."""
    script = (
        "import os, sys\n"
        f"for module in {PURE!r}:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        __import__(module)\n"
        f"        loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "        if loaded: sys.stdout.write(f'{module} loads {loaded}\\n')\n"
        "        sys.stdout.flush(); os._exit(0)\n"
        "    if os.waitpid(child, 0)[1]: sys.stdout.write(f'{module} cannot be imported\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": "."}
    )

    assert done.stdout == ""
    assert len(PURE) > 20
