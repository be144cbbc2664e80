"""A store whose process dies: an exception at a chosen write, before or after its commit, that nobody but the test catches."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from groundswell.store.store import Store


class Killed(BaseException):
    """The process is gone; no handler of the code under test may see it."""


class DyingStore(Store):
    """A real store that lets so many more writes pass.

    Args:
        url: as of Store.
        writes_left: the write after these is the last one; None = never.
        stored: whether the last one is committed.
    """

    def __init__(self, url: str, *, writes_left: int | None = None, stored: bool = False) -> None:
        self.writes_left = writes_left
        self.stored = stored
        super().__init__(url)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As of Store, until its time has come."""
        is_last = self.writes_left == 0
        if self.writes_left is not None:
            self.writes_left -= 1
        with super().write() as connection:
            yield connection
            if is_last and not self.stored:
                raise Killed
        if is_last:
            raise Killed
