"""Keys of rows, so many at a time as one query may name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

KEYS: Final = 500
"""SQLite and PostgreSQL look up each by the index."""

Key = TypeVar("Key", str, int)


def in_chunks(keys: Iterable[Key]) -> Iterator[Sequence[Key]]:
    """Each key once, in order.

    >>> list(in_chunks(["b", "a", "b"]))
    [['a', 'b']]
    """
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), KEYS):
        yield wanted[start : start + KEYS]
