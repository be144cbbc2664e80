"""Sources that are not asked over HTTP: what one look at them brings, in the same terms as a poll."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from groundswell.errors import reason_of
from groundswell.records import RawDocument
from ingest.types.base import SourceType

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["IntakeType", "Taken"]


def _nothing() -> None:
    pass


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one look brought."""

    records: list[RawDocument] = []  # the oldest first
    entries: int = 0  # files, messages or requests that were looked at
    mark: str | None = None  # how far it was read, once the sink has the records; None: as before
    keys: list[str] = []  # what is remembered as seen, once the sink has the records
    problem: str | None = None  # what could not be read
    ok: bool = True  # whether the source could be seen at all
    done: Callable[[], None] = _nothing  # called when the sink has the records and the memory has the rest


class IntakeType(SourceType, frozen=True, kw_only=True):
    """A type that looks for itself: subclasses add `_take`. It is called in a thread, one call at a time for each source."""

    look_every_s: ClassVar[int] = 60  # unless the entry has every_s

    def take(
        self,
        *,
        source: "Source",
        mark: str,
        unseen: Callable[[list[str]], set[str]],
        environ: Mapping[str, str],
        fetched_ms: int,
    ) -> Taken:
        """Look once; never raises for what the outside world does.

        Args:
            source: the entry.
            mark: what the last look left.
            unseen: those of some keys that were not seen before.
            environ: where secrets are.
            fetched_ms: now.
        """
        try:
            return self._take(source=source, mark=mark, unseen=unseen, environ=environ, fetched_ms=fetched_ms)
        except Exception as error:  # as with `parse`: what the outside world makes it stumble over is a fact about the source
            return Taken(ok=False, problem=f"unreadable: {type(error).__name__}: {reason_of(error)[:200]}")

    def _take(
        self,
        *,
        source: "Source",
        mark: str,
        unseen: Callable[[list[str]], set[str]],
        environ: Mapping[str, str],
        fetched_ms: int,
    ) -> Taken:
        raise NotImplementedError
