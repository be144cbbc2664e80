"""Where the extra `torch` is not installed, modules that import it are not searched for doctests."""

from importlib.util import find_spec
from pathlib import Path

HELPERS = ("dying_run", "tiny_encoder")
TRAINING = ("finish", "from_onnx", "lessons", "network", "objectives", "prepare", "torch_engine", "train", "workshop")

NEED_TORCH = [*(Path("models", "encoder", f"{name}.py") for name in TRAINING), *(Path("tests", f"{name}.py") for name in HELPERS)]

collect_ignore = [] if find_spec("torch") else [str(path) for path in NEED_TORCH]
