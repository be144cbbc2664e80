"""Files that are their owner's alone: stores and logs hold texts, addresses and the hashes of passwords."""

import os
from contextlib import suppress
from pathlib import Path


def make_own(path: Path) -> None:
    """Make an empty file that nobody else can read, unless there is one. What SQLite puts beside a file has the same rights.

    One that is there keeps its rights: whoever has opened it to others has meant it. Where it cannot be made, whoever opens it says so.

    Args:
        path: of the file; its folder exists.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
