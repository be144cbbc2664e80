"""Where Prometheus finds processes: a file that is never half written, gone after an orderly end, and left where somebody is missing."""

import json
import socket
from pathlib import Path

import pytest

from groundswell.discovery import Endpoint, announced
from groundswell.errors import DependencyError

HOST = socket.gethostname()
SCORE, FOLD = Endpoint("127.0.0.1", 9464, "score", "live"), Endpoint("127.0.0.1", 9465, "fold", "live")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "targets").glob("*"))


def test_every_process_is_named_with_what_it_is_while_the_command_runs(tmp_path: Path) -> None:
    with announced(tmp_path, "worker", endpoints=[SCORE, FOLD]):
        assert files(tmp_path) == [f"worker-{HOST}-9464.json"], "and no unfinished file beside it"
        groups = json.loads((tmp_path / "targets" / f"worker-{HOST}-9464.json").read_text())
    assert groups == [
        {"targets": ["127.0.0.1:9464"], "labels": {"process": "score", "run": "live"}},
        {"targets": ["127.0.0.1:9465"], "labels": {"process": "fold", "run": "live"}},
    ]
    assert files(tmp_path) == []


def test_commands_of_one_machine_have_files_of_their_own(tmp_path: Path) -> None:
    with announced(tmp_path, "worker", endpoints=[SCORE]), announced(tmp_path, "desk", endpoints=[FOLD]):
        assert files(tmp_path) == [f"desk-{HOST}-9465.json", f"worker-{HOST}-9464.json"]


def test_a_process_without_a_port_is_not_announced(tmp_path: Path) -> None:
    with announced(tmp_path, "run", endpoints=[Endpoint("127.0.0.1", 0, "run", "live")]):
        assert not (tmp_path / "targets").exists()


def test_who_listens_everywhere_is_asked_by_name(tmp_path: Path) -> None:
    assert Endpoint("0.0.0.0", 9464, "run", "live").address == f"{socket.gethostname()}:9464"


def test_a_command_that_fails_or_gives_up_leaves_its_file_so_that_its_processes_are_missed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), announced(tmp_path, "desk", endpoints=[SCORE]):
        raise KeyError
    with announced(tmp_path, "worker", endpoints=[FOLD]) as found:
        found.stays = True
    assert files(tmp_path) == [f"desk-{HOST}-9464.json", f"worker-{HOST}-9465.json"]


def test_ctrl_c_is_an_orderly_end(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), announced(tmp_path, "run", endpoints=[SCORE]):
        raise KeyboardInterrupt
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "targets").write_text("in the way")
    with pytest.raises(DependencyError, match="check the folder's permissions"), announced(tmp_path, "run", endpoints=[SCORE]):
        pass
