"""The board's words in Chinese."""

from collections.abc import Mapping
from typing import Final

CHINESE: Final[Mapping[str, str]] = {}
