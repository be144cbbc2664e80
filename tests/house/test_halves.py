"""`make test` runs every test once, in two processes, fails where either does, and names what has failed at its end."""

from pathlib import Path

import pytest

from tests.halves import NOTHING_THERE, ROOT, WAITING, run


def test_the_folders_that_wait_are_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in WAITING)


@pytest.mark.parametrize(("waiting", "others", "ends"), [(True, True, 0), (False, True, 1), (True, False, 1)])
def test_both_halves_are_run_and_either_can_fail(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], waiting: bool, others: bool, ends: int
) -> None:
    for folder, passes in (("a", waiting), ("b", others)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"test_{folder}.py").write_text(f"def test_{folder}() -> None:\n    assert {passes}\n")
    assert run(tmp_path, ["a"], ["-v"]) == ends
    told = capfd.readouterr().out
    assert told.count("a/test_a.py::test_a ") >= 1
    assert told.count("b/test_b.py::test_b ") >= 1
    assert told.index("test_a.py::test_a ") < told.index("test_b.py::test_b ")


def test_the_last_lines_name_every_test_that_failed_in_either_half_and_no_dots_stand_between(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        many = "".join(f"def test_{n}() -> None: ...\n" for n in range(100))
        (tmp_path / folder / f"test_{folder}.py").write_text(f"{many}def test_bad() -> None:\n    assert not 'found'\n")
    assert run(tmp_path, ["a"], ["-q"]) == 1
    waiting, a, others, b = capfd.readouterr().out.splitlines()[-4:]
    assert waiting.startswith("the tests that wait: 1 failed, 100 passed in ")
    assert others.startswith("all others: 1 failed, 100 passed in ")
    assert (a[:27], b[:27]) == ("FAILED a/test_a.py::test_ba", "FAILED b/test_b.py::test_ba")


def test_dots_of_the_half_that_is_printed_last_are_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"test_{folder}.py").write_text("".join(f"def test_{n}() -> None: ...\n" for n in range(100)))
    assert run(tmp_path, ["a"], ["-q"]) == 0
    assert capfd.readouterr().out.count("%]") == 2, "the two lines of dots of the first half alone"


def test_a_half_that_could_not_run_says_how_it_ended(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "test_a.py").write_text("import os\n\ndef test_a() -> None:\n    os._exit(3)\n")
    assert run(tmp_path, ["a"], ["-q"]) == 3
    assert "the tests that wait: ended with code 3" in capfd.readouterr().out


def test_a_half_without_a_test_that_was_asked_for_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "test_a.py").write_text("def test_a() -> None: ...\n")
    assert run(tmp_path, ["a"], ["-k", "test_a"]) == 0
    assert run(tmp_path, ["a"], ["-k", "nothing"]) == NOTHING_THERE
