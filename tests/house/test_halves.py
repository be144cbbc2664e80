"""`make test` runs every test once, in two processes that meet, fails where either does, and names what has failed at its end."""

from pathlib import Path
from typing import NamedTuple, cast

import pytest

from tests.halves import NOTHING_THERE, ROOT, WAITING, Meeting, run


def files(folder: Path, *names: str, tests: int = 1, passes: bool = True) -> None:
    for name in names:
        (folder / f"test_{name}.py").write_text("".join(f"def test_{name}{n}() -> None:\n    assert {passes}\n" for n in range(tests)))


def test_the_folders_that_wait_are_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in WAITING)


def test_every_test_is_run_once_whoever_runs_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files(tmp_path, *"abcdefgh", tests=3)
    assert run(tmp_path, ["-v"]) == 0
    ran = [line.split()[0] for line in capfd.readouterr().out.splitlines() if " PASSED" in line]
    assert sorted(ran) == sorted(f"test_{name}.py::test_{name}{n}" for name in "abcdefgh" for n in range(3))


class Item(NamedTuple):
    """What the plugin looks at of a test."""

    path: Path
    name: str


@pytest.mark.parametrize(("first", "order"), [(True, "cde aab"), (False, "b aa e cd")])
def test_one_begins_with_what_waits_and_the_other_at_the_end(tmp_path: Path, first: bool, order: str) -> None:
    places = {"a": "a.py", "b": "b.py", "c": "slow/c.py", "d": "slow/c.py", "e": "slow/e.py"}
    items = [Item(tmp_path / places[name], name) for name in "aabcde"]
    Meeting(tmp_path, tmp_path, ["slow"], first=first).pytest_collection_modifyitems(cast("list[pytest.Item]", items))
    assert [item.name for item in items] == list(order.replace(" ", ""))


@pytest.mark.parametrize("bad", ["a", "z"])
def test_a_failure_in_either_is_a_failure_of_both_and_the_last_lines_name_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], bad: str
) -> None:
    files(tmp_path, *"abcyz", tests=100)
    files(tmp_path, bad, passes=False)
    assert run(tmp_path, ["-q"]) == 1
    told = capfd.readouterr().out.splitlines()[-3:]
    assert sum(line.startswith(("first half: ", "second half: ")) for line in told) == 2
    assert sum(line.startswith(f"FAILED test_{bad}.py::test_{bad}0") for line in told) == 1


def test_no_dots_stand_between_what_one_has_found_and_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files(tmp_path, *"abcdefgh", tests=50)
    assert run(tmp_path, ["-q"]) == 0
    _, _, behind = capfd.readouterr().out.partition(" passed in ")
    assert "%]" not in behind


def test_a_half_that_could_not_run_to_its_end_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_a.py").write_text("import os\n\ndef test_a() -> None:\n    os._exit(3)\n")
    assert run(tmp_path, ["-q"]) == 3
    assert " half: ended with code 3" in capfd.readouterr().out


def test_tests_that_were_asked_for_and_are_not_there_are_no_success(tmp_path: Path) -> None:
    files(tmp_path, "a")
    assert run(tmp_path, ["-k", "test_a"]) == 0
    assert run(tmp_path, ["-k", "nothing"]) == NOTHING_THERE
