"""`make test` runs every test once, in two processes, and fails where either does."""

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


def test_a_half_without_a_test_that_was_asked_for_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "test_a.py").write_text("def test_a() -> None: ...\n")
    assert run(tmp_path, ["a"], ["-k", "test_a"]) == 0
    assert run(tmp_path, ["a"], ["-k", "nothing"]) == NOTHING_THERE
