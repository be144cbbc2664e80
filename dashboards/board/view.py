"""What a page of the board was asked to show, and the links that show it again: to whom, as of when, of which series."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection

from dashboards.board.words import Clock, parse_moment
from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.names import entity_series
from groundswell.store.panels.rows import known_until

SHORT: Final = 10
LONG: Final = 100
"""Rows of a list, and of one that was asked for in full."""

PANELS: Final[Mapping[str, tuple[str, str]]] = {
    "trust": ("/", "Trust"),
    "incidents": ("/", "Incidents"),
    "watchlist": ("/", "Watchlist"),
    "topics": ("/", "Topics"),
    "turned": ("/", "What turned"),
    "echo": ("/", "Echo"),
    "risks": ("/", "Risks"),
    "stories": ("/", "New stories"),
    "peers": ("/board/2", "Peers"),
    "near": ("/board/2", "Near misses"),
    "arrivals": ("/board/2", "Sources"),
    "quality": ("/board/2", "Alert quality"),
}
"""{panel: its page, its short name}, in their order."""

KEPT: Final = ("as_of", "span", "from", "to", "window", "company", "series", "more")
"""Parameters of the two pages."""


@dataclass(frozen=True)
class View:
    """One look at the board."""

    path: str
    asked: Mapping[str, str]
    known_ms: int  # up to which known time everything is shown
    series: str | None  # that was selected by the link

    @property
    def is_then(self) -> bool:
        """Whether it shows how it stood at a moment that was asked for."""
        return bool(self.asked.get("as_of"))

    def most(self, panel: str) -> int:
        """Rows that a panel's list has."""
        return LONG if self.asked.get("more") == panel else SHORT

    def to(self, panel: str, **changes: str | None) -> str:
        """A link to a panel, of what is shown now."""
        asked = {name: self.asked[name] for name in KEPT if self.asked.get(name)} | changes
        given = {name: value for name, value in asked.items() if value}
        return PANELS[panel][0] + (f"?{urlencode(given)}" if given else "") + f"#{panel}"

    def select(self, series: str, panel: str = "echo") -> str:
        """A link that selects a series."""
        return self.to(panel, series=series, company=None)

    def fixed(self, panel: str) -> str:
        """A link that will show the same for ever."""
        return self.to(panel, as_of=iso(self.known_ms))

    def rows(self, name: str, suffix: str = "", **parameters: str | None) -> str:
        """Address of a panel's rows, as of the moment that is shown."""
        asked = {name: value for name, value in parameters.items() if value} | {"as_of": iso(self.known_ms)}
        return f"/api/v1/panels/{name}{suffix}?{urlencode(asked)}"


def view_of(
    connection: Connection, run: str, asked: Mapping[str, str], *, path: str, clock: Clock, companies: Callable[[str], Sequence[str]]
) -> View | None:
    """The view that a query asks for; None while nothing has been folded.

    Args:
        connection: a reading transaction.
        run: whose.
        asked: the query's parameters.
        path: of the page.
        clock: for a moment without an offset.
        companies: the ids that a company's id or name may stand for.

    Raises:
        UsageError: a moment that cannot be read, or a name that is no company's, or several companies'.
    """
    as_of_ms = parse_moment(asked["as_of"], name="as_of", clock=clock) if asked.get("as_of") else None
    known_ms = known_until(connection, run, as_of_ms)
    return None if known_ms is None else View(path, asked, known_ms, _series(asked, companies))


def _series(asked: Mapping[str, str], companies: Callable[[str], Sequence[str]]) -> str | None:
    name = asked.get("company", "").strip()
    if not name:
        return asked.get("series", "").strip()[:200] or None
    ids = list(companies(name))
    if len(ids) != 1:
        said = f"may be {', '.join(ids[:5])}: write the id" if ids else "the catalogue does not know it: `groundswell entities list`"
        reason = f"company {name[:60]!r}: {said}"
        raise UsageError(reason)
    return entity_series(ids[0])
