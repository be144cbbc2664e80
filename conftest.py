"""Where the extra `torch` is not installed, modules that import it are not searched for doctests."""

from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent
EXTRA = ("torch", "transformers")  # what only that extra brings


def need_torch(paths: list[Path]) -> set[Path]:
    """Those whose imports at the top of the file lead to the extra, through one another if need be."""
    imports = {
        path: {line.split()[1] for line in path.read_text("utf-8").splitlines() if line.startswith(("import ", "from "))} for path in paths
    }
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    found = {path for path, called in imports.items() if any(name.split(".")[0] in EXTRA for name in called)}
    while more := {path for path, called in imports.items() if any(names.get(name) in found for name in called)} - found:
        found |= more
    return found


MODULES = [*ROOT.glob("models/encoder/*.py"), *ROOT.glob("tests/*.py")]
collect_ignore = [] if find_spec("torch") else sorted(map(str, need_torch(MODULES)))
