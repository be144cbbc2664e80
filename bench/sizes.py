"""What ships, in MB, beside what is allowed: `python -m bench.sizes`, a step of `make check`. Ends with 1 where something is too large."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from groundswell.names import LANGUAGES
from models.registry import PREFERRED, SHIPPED

ROOT: Final = Path(__file__).resolve().parent.parent
MB: Final = 1_000_000
WHEEL_MB: Final = 48
BUNDLE_MB: Final = {"en": 25, "zh": 10}


class Size(NamedTuple):
    """One thing that ships."""

    what: str
    bytes: int
    most_mb: int

    @property
    def fits(self) -> bool:
        """Whether it is as small as it must be."""
        return self.bytes <= self.most_mb * MB


def sizes(folder: Path) -> list[Size]:
    """The shipped encoders' folders and the wheel, which is built in `folder`."""
    found = []
    for language in LANGUAGES:
        place = SHIPPED.directory(PREFERRED[language])
        found.append(Size(place.name, sum(path.stat().st_size for path in place.iterdir()), BUNDLE_MB[language]))
    return [*found, Size("wheel", build_wheel(folder).stat().st_size, WHEEL_MB)]


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the checkout, so that nothing is left there and nothing found that an earlier build left."""
    files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "--null", "-T", "-", "-cf", str(folder / "tree.tar")], cwd=ROOT, input=files, check=True)
    (folder / "tree").mkdir()
    subprocess.run(["tar", "-xf", str(folder / "tree.tar"), "-C", str(folder / "tree")], check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(folder / "tree")]
    subprocess.run(command, check=True, capture_output=True)
    return next((folder / "dist").glob("*.whl"))


def main() -> int:
    """Print a line for each; 1 where one is too large."""
    with tempfile.TemporaryDirectory(prefix="groundswell-wheel-") as folder:
        found = sizes(Path(folder))
    for size in found:
        print(f"{size.what:10} {size.bytes / MB:5.1f} MB, at most {size.most_mb}{'' if size.fits else ': TOO LARGE'}")
    return 0 if all(size.fits for size in found) else 1


if __name__ == "__main__":
    sys.exit(main())
