"""Every test, in two pytest processes at once: `make test`.

One has the tests that wait for peers (a broker, a browser, Prometheus, workers that are killed), the other all that is left, so that a new
folder is never forgotten. Most of what the first one does is waiting, which the other uses. Arguments are handed to both.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).resolve().parents[1]
WAITING: Final = tuple(f"tests/{name}" for name in ("browser", "dashboards", "faults", "parity", "security", "stack", "stream"))
NOTHING_THERE: Final = 5
"""How pytest ends where it has found no test: of two halves, one may be empty when a few tests are asked for."""

_PROGRESS: Final = re.compile(r"^[.sxXFE]* +\[ *\d+%\]$")
_FAULT: Final = re.compile(r"^(FAILED|ERROR) ")


def run(root: Path, waiting: Sequence[str], arguments: Sequence[str]) -> int:
    """Run both. What the first one says is printed at once, what the second one said behind it, and last how both have ended.

    Returns:
        0 when both have passed, else how the first of them has ended that has not.
    """
    pytest = [sys.executable, "-m", "pytest", *arguments]
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        # A cache of its own: both would write which tests have failed last.
        others = [*pytest, "-o", "cache_dir=.pytest_cache/others", *(f"--ignore={folder}" for folder in waiting)]
        with subprocess.Popen(others, cwd=root, stdout=said, stderr=subprocess.STDOUT) as rest:
            first = subprocess.Popen([*pytest, *colour, *waiting], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            with first:
                told = _passed_on(first.stdout)
            codes = [first.wait(), rest.wait()]
        said.seek(0)
        lines = said.read().splitlines()
    # A thousand lines of dots would push what the first one has found out of a log of which only the end is kept.
    quiet = [line for line in lines if not _PROGRESS.match(line)]
    ends = [*_end("the tests that wait", told, codes[0]), *_end("all others", lines, codes[1])]
    sys.stdout.write("\n".join([*quiet, "", *ends, ""]))
    ran = [code for code in codes if code != NOTHING_THERE]
    return next((code for code in ran if code), 0 if ran else NOTHING_THERE)


def _passed_on(stream: IO[bytes] | None) -> list[str]:
    """The lines of a stream, without their colours; all is printed as soon as it comes, dots one by one."""
    told = bytearray()
    while stream is not None and (piece := os.read(stream.fileno(), 65_536)):
        told += piece
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    return re.sub(r"\x1b\[[\d;]*m", "", told.decode("utf-8", "replace")).splitlines()


def _end(name: str, lines: Sequence[str], code: int) -> list[str]:
    """How one half has ended, and each test of it that failed."""
    last = next((line.strip("= ") for line in reversed(lines) if line.strip("= ")), "it said nothing")
    return [f"{name}: {last}" if code in (0, 1, NOTHING_THERE) else f"{name}: ended with code {code}: {last}", *filter(_FAULT.match, lines)]


if __name__ == "__main__":
    sys.exit(run(ROOT, WAITING, sys.argv[1:]))
