"""`groundswell detect`: a file of counts in, scores and alerts out."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from groundswell.cli import root

ROWS = "timestamp,value\n2026-03-02 00:02:53,4\n2026-03-02 00:07:53,5\nbroken\n2026-03-02 00:12:53,3\n"


def test_it_writes_a_file_and_reports_bad_lines_with_their_place(tmp_path: Path) -> None:
    given, wanted = tmp_path / "counts.csv", tmp_path / "out.csv"
    given.write_text(ROWS)

    done = CliRunner().invoke(root, ["detect", str(given), "-o", str(wanted)], catch_exceptions=False)

    assert done.exit_code == 0
    assert f"bad line: {given}:4: 1 columns where the header has more" in done.stderr
    assert [line.split(",")[:2] for line in wanted.read_text().splitlines()] == [
        line.split(",") for line in ROWS.splitlines() if line != "broken"
    ]


def test_it_reads_standard_input_and_takes_a_profile_by_name() -> None:
    done = CliRunner().invoke(root, ["detect", "-", "--profile", "desk", "--step", "300"], input=ROWS, catch_exceptions=False)

    assert done.stdout.startswith("timestamp,value,score,alert\n2026-03-02 00:02:53,4,")


def test_an_unknown_profile_names_those_that_there_are() -> None:
    from groundswell.errors import UsageError

    with pytest.raises(UsageError, match=r"--profile loud: alerts/rules.toml has no table \[volume.loud\]; it has: desk, nab"):
        CliRunner().invoke(root, ["detect", "-", "--profile", "loud"], input=ROWS, catch_exceptions=False)
