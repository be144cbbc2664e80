"""Every test once, in two pytest processes that meet: `make test`.

Both have the same list of files. One begins with those whose tests wait for peers (a broker, a browser, Prometheus, workers that are
killed), the other at its end; who comes to a file first takes it, so that both end at about the same time on any machine. Most of what
the first one does is waiting, which the other uses. Arguments are handed to both.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
WAITING: Final = tuple(f"tests/{name}" for name in ("faults", "stack", "security", "browser", "parity", "stream", "dashboards"))
"""Where the first process begins, and in which order it goes on: what takes longest comes first, so that no long file is the last."""
NOTHING_THERE: Final = 5
"""How pytest ends where it has found no test: a few may be asked for by a name that there is not."""

_PROGRESS: Final = re.compile(r"^[.sxXFE]* +\[ *\d+%\]$")
_FAULT: Final = re.compile(r"^(FAILED|ERROR) ")


# --- one process ----------------------------------------------------------------------------------------------------------
class Meeting:
    """A plugin of pytest: runs the tests of those files that the other process has not taken.

    Args:
        claims: a folder that both write to.
        root: where the files are named from.
        waiting: beginnings of names: what the first process begins with.
        first: whether this is the first process.
    """

    def __init__(self, claims: Path, root: Path, waiting: Sequence[str], *, first: bool) -> None:
        self._claims, self._root, self._waiting, self._first = claims, root, waiting, first
        self._mine: dict[Path, bool] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the files into the order of this process; the order within a file stays."""
        files: dict[Path, list[pytest.Item]] = {}
        for item in items:
            files.setdefault(item.path, []).append(item)
        order = sorted(files, key=self._rank)
        items[:] = [item for path in (order if self._first else reversed(order)) for item in files[path]]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """True: nothing is to be done for this test here, for the other process does it."""
        if item.path not in self._mine:
            self._mine[item.path] = self._take(item.path)
        return None if self._mine[item.path] else True

    def _rank(self, path: Path) -> int:
        name = path.relative_to(self._root).as_posix()
        return next((number for number, folder in enumerate(self._waiting) if name.startswith(f"{folder}/")), len(self._waiting))

    def _take(self, path: Path) -> bool:
        name = path.relative_to(self._root).as_posix().replace("/", "%")
        try:
            (self._claims / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def half(number: int, claims: Path, root: Path, arguments: Sequence[str]) -> int:
    """Be one of the two processes: 0 or 1."""
    os.chdir(root)
    # A cache of its own: both would write which tests have failed last.
    options = ["-o", f"cache_dir=.pytest_cache/half-{number}", *arguments]
    return int(pytest.main(options, plugins=[Meeting(claims, root, WAITING, first=number == 0)]))


# --- both -------------------------------------------------------------------------------------------------------------------
def run(root: Path, arguments: Sequence[str]) -> int:
    """Run both. What the first one says is printed at once, what the second one said behind it, and last how both have ended.

    Returns:
        0 when both have passed, else how the first of them has ended that has not.
    """
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    with tempfile.TemporaryDirectory() as claims, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        first, second = ([sys.executable, "-m", "tests.halves", f"--half={number}", claims, str(root), *arguments] for number in (0, 1))
        with subprocess.Popen(second, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT) as rest:
            with subprocess.Popen([*first, *colour], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as shown:
                told = _passed_on(shown.stdout)
            codes = [shown.returncode, rest.wait()]
        said.seek(0)
        lines = said.read().splitlines()
    # A thousand lines of dots would push what the first one has found out of a log of which only the end is kept.
    quiet = [line for line in lines if not _PROGRESS.match(line)]
    ends = [*_end("first half", told, codes[0]), *_end("second half", lines, codes[1])]
    sys.stdout.write("\n".join([*quiet, "", *ends, ""]))
    return next((code for code in codes if code), 0)


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


def main(arguments: Sequence[str]) -> int:
    """`make test`, or one of its processes."""
    if arguments and arguments[0] in ("--half=0", "--half=1"):
        return half(int(arguments[0][-1]), Path(arguments[1]), Path(arguments[2]), arguments[3:])
    return run(ROOT, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
