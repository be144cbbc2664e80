"""A store for tests of how much is written at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from groundswell.store.store import Store


class CountingStore(Store):
    """A store that counts its writing transactions."""

    writes = 0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.writes += 1
        with super().write() as connection:
            yield connection
