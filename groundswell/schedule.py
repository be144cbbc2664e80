"""Which version of each kind is in force at which known time, in one run: model, rules, company catalogue, measured errors.

    known time   0 ............ 10:00:00 ............ 14:30:00 ....
    model        A            | B                               B from the first document known at 10:00:00 or later
    rules        r1                                 | r2        r2 from the tick that begins at 14:30:00

A version comes into force at the start of a tick, for whoever reads, scores, folds or decides: a tick has one set. Pure; where the
rows are stored and how they get there: groundswell/store/versions.py.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from groundswell.exports import iso
from groundswell.names import TICK_MS

MODEL: Final = "model"
RULES: Final = "rules"
RULES_TEXT: Final = "rules text"
"""Content only, under the hash of the rules: what somebody wrote, with its comments. It is never in force by itself."""
CATALOGUE: Final = "catalogue"
ERRORS: Final = "errors"
"""What the models were measured to get wrong: shares are corrected for it when they are read. No alert rests on it, and none names it."""
WATCHES: Final = "watches"
"""What is watched (groundswell/watches.py): the one kind that a run may begin without."""

PAST_OF: Final = "past of "
"""PAST_OF + a model: the re-scored run that says what this model would have said before it was in force. No alert names it."""

FOR_EVER_MS: Final = 2**62


class InForce(NamedTuple):
    """From this known time on, this version of a kind is in force."""

    effective_ms: int  # start of a tick; 0: from the beginning of the run
    kind: str
    hash: str

    @property
    def said(self) -> str:
        """What the audit log has of it where somebody saved it."""
        return f"{self.hash}, in force from {iso(self.effective_ms)}"


@dataclass(frozen=True)
class Schedule:
    """The versions of one run, in the order in which they come into force.

    >>> both = Schedule((InForce(0, "model", "a"), InForce(60_000, "model", "b")))
    >>> [both.at("model", known_ms) for known_ms in (59_999, 60_000)], both.at("rules", 0)
    (['a', 'b'], None)
    """

    rows: tuple[InForce, ...] = ()
    _by_kind: dict[str, list[InForce]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[InForce]] = {}
        for row in sorted(self.rows):
            found.setdefault(row.kind, []).append(row)
        object.__setattr__(self, "_by_kind", found)

    def of(self, kind: str) -> list[InForce]:
        """Every version of a kind, oldest first."""
        return self._by_kind.get(kind, [])

    def at(self, kind: str, known_ms: int) -> str | None:
        """The version in force at a known time; None where the run keeps none of this kind."""
        rows = self.of(kind)
        return rows[self._place(rows, known_ms)].hash if rows else None

    def ahead(self, kind: str, known_ms: int) -> list[InForce]:
        """The version in force at a known time, and those that come after it."""
        rows = self.of(kind)
        return rows[self._place(rows, known_ms) :] if rows else []

    @staticmethod
    def _place(rows: list[InForce], known_ms: int) -> int:
        return max(0, bisect_right(rows, known_ms, key=lambda row: row.effective_ms) - 1)

    def hashes(self, known_ms: int) -> dict[str, str]:
        """{kind: version in force} at a known time; a kind whose first version comes later is not among them."""
        return {kind: rows[self._place(rows, known_ms)].hash for kind, rows in self._by_kind.items() if rows[0].effective_ms <= known_ms}

    def state(self, row: InForce, known_ms: int) -> str:
        """What a version is at a known time: "to come", "in force" or "was"."""
        if row.effective_ms > known_ms:
            return "to come"
        return "in force" if self.ahead(row.kind, known_ms)[0] == row else "was"

    def at_tick(self, tick: int) -> dict[str, str]:
        """{kind: version in force} in a tick."""
        return self.hashes(tick * TICK_MS)

    def through(self, kind: str, start_ms: int, end_ms: int) -> str | None:
        """The version in force in all of `[start, end)`; None where it changed in between."""
        later = [row.hash for row in self.ahead(kind, start_ms) if row.effective_ms < end_ms]
        first = self.at(kind, start_ms)
        return first if all(name == first for name in later) else None

    def spans(self, kind: str, version: str) -> Iterator[tuple[int, int]]:
        """`[start, end)` of each time in which a version is in force, ascending; a kind's first one has no beginning."""
        rows = self.of(kind)
        for number, row in enumerate(rows):
            if row.hash == version:
                end_ms = rows[number + 1].effective_ms if number + 1 < len(rows) else FOR_EVER_MS
                yield (row.effective_ms if number else -FOR_EVER_MS, end_ms)

    def agrees(self, other: "Schedule", before_ms: int) -> bool:
        """Whether both say the same of every moment before a known time."""
        return [row for row in sorted(self.rows) if row.effective_ms < before_ms] == [
            row for row in sorted(other.rows) if row.effective_ms < before_ms
        ]
