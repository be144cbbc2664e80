"""Where the extra `torch` is not installed, the modules that train are not searched for doctests: they cannot be imported."""

from importlib.util import find_spec
from pathlib import Path

TRAINING = ("finish", "from_onnx", "lessons", "network", "objectives", "prepare", "train", "workshop")

collect_ignore = [] if find_spec("torch") else [str(Path("models", "encoder", f"{name}.py")) for name in TRAINING]
