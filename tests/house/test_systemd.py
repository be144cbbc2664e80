"""The systemd units start commands that exist, and leave alone what starting again cannot heal."""

import configparser
from pathlib import Path

import pytest
from click.testing import CliRunner

from groundswell.cli import root
from stream.shells.worker import EXIT_CRASH_LOOP, EXIT_FINAL

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))


def read(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_a_command_that_exists_with_its_options(path: Path) -> None:
    program, *arguments = read(path)["Service"]["ExecStart"].split()
    assert program.endswith("/groundswell")
    answer = CliRunner().invoke(root, [*arguments, "--help"])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_always_started_again_unless_that_does_not_help(path: Path) -> None:
    service = read(path)["Service"]
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) > 10, "longer than a graceful stop"
    prevented = {int(code) for code in service.get("RestartPreventExitStatus", "").split()}
    assert prevented == ({EXIT_FINAL, EXIT_CRASH_LOOP} if "worker" in path.stem else set())


def test_every_part_of_a_kafka_installation_has_a_unit() -> None:
    assert [path.stem for path in UNITS] == [f"groundswell-{part}" for part in ("board", "crawl", "desk", "worker")]
