"""Every test, in two pytest processes at once: `make test`.

One has the tests that wait for peers (a broker, a browser, Prometheus, workers that are killed), the other all that is left, so that a new
folder is never forgotten. Most of what the first one does is waiting, which the other uses. Arguments are handed to both.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
WAITING: Final = tuple(f"tests/{name}" for name in ("browser", "dashboards", "faults", "parity", "security", "stack", "stream"))
NOTHING_THERE: Final = 5
"""How pytest ends where it has found no test: of two halves, one may be empty when a few tests are asked for."""


def run(root: Path, waiting: Sequence[str], arguments: Sequence[str]) -> int:
    """Run both; what the second one said is printed behind the first.

    Returns:
        0 when both have passed, else how the first of them has ended that has not.
    """
    pytest = [sys.executable, "-m", "pytest", *arguments]
    with tempfile.TemporaryFile() as said:
        # A cache of its own: both would write which tests have failed last.
        others = [*pytest, "-o", "cache_dir=.pytest_cache/others", *(f"--ignore={folder}" for folder in waiting)]
        with subprocess.Popen(others, cwd=root, stdout=said, stderr=subprocess.STDOUT) as rest:
            codes = [subprocess.run([*pytest, *waiting], cwd=root, check=False).returncode, rest.wait()]
        said.seek(0)
        sys.stdout.write(said.read().decode("utf-8", "replace"))
    ran = [code for code in codes if code != NOTHING_THERE]
    return next((code for code in ran if code), 0 if ran else NOTHING_THERE)


if __name__ == "__main__":
    sys.exit(run(ROOT, WAITING, sys.argv[1:]))
