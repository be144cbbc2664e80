"""What the two pages of the board read in one transaction: panels 2 to 8, and 9 to 12. The first line, panel 1, is on every page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from dashboards.board.incidents import incident_json, mine_first
from dashboards.board.pages import Board, board_json, read_board
from dashboards.board.view import LONG, View
from dashboards.board.words import Clock
from groundswell.exports import iso
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store.accounts import Reader
from groundswell.store.inbox import IncidentRow, inbox
from groundswell.store.panels.arrivals import ArrivalRow, read_arrivals
from groundswell.store.panels.echo import EchoRow, read_echo
from groundswell.store.panels.followed import Followed, followed
from groundswell.store.panels.heat import HeatRow, read_heat
from groundswell.store.panels.judged import FigureRow, read_judged
from groundswell.store.panels.kept import NotKept, not_kept
from groundswell.store.panels.near import NearRow, read_near
from groundswell.store.panels.risks import RiskRow, read_risks
from groundswell.store.panels.rivals import RivalRow, read_rivals
from groundswell.store.panels.rows import PanelRow, told
from groundswell.store.panels.stories import NewStoryRow, read_stories
from groundswell.store.panels.turned import TurnRow, read_turned
from groundswell.store.query import hour_exposures


@dataclass(frozen=True)
class First:
    """Panels 2 to 8."""

    view: View
    gone: dict[str, NotKept]  # panels that are not shown, because a month that they look back into was dropped
    incidents: list[IncidentRow]  # not over, the reader's own first
    who: Followed
    heat: list[HeatRow]
    exposures: dict[int, int]  # {hour: ppm} of the 24 hours, all languages together
    board: Board
    turned: list[TurnRow]
    series: str | None  # selected; else the first of the watchlist
    echo: list[EchoRow]
    risks: list[RiskRow]
    stories: list[NewStoryRow]


@dataclass(frozen=True)
class Second:
    """Panels 9 to 12."""

    view: View
    gone: dict[str, NotKept]
    series: str | None
    rivals: list[RivalRow]
    near: list[NearRow]
    arrivals: list[ArrivalRow]
    figures: list[FigureRow]


def read_first(connection: Connection, run: str, view: View, *, clock: Clock, reader: Reader, now_ms: int) -> First:
    """Everything above the fold of an analyst's day.

    Args:
        connection: a reading transaction.
        run: whose.
        view: as of when, and what is selected.
        clock: for moments without an offset.
        reader: whose incidents come first.
        now_ms: wall time: what people did later is left out.

    Raises:
        UsageError: a parameter cannot be read.
    """
    known_ms = view.known_ms
    gone = not_kept(connection, run, known_ms=known_ms)
    who = followed(connection, run, known_ms=known_ms)
    heat = [] if "watchlist" in gone else read_heat(connection, run, who, known_ms=known_ms)
    series = view.series or (heat[0].series if heat else None)
    # What people did is known by the wall clock; of a live run that is the clock of what was known, too.
    done_ms = min(now_ms, known_ms) if view.is_then and run == LIVE_RUN else now_ms
    waiting = [one for one in inbox(connection, run, now_ms=done_ms, known_ms=known_ms if view.is_then else None) if not one.life.is_over]
    return First(
        view=view,
        gone=gone,
        incidents=mine_first(waiting, reader),
        who=who,
        heat=heat,
        exposures=hour_exposures(connection, run, "", start_ms=known_ms - DAY_MS, end_ms=known_ms - 1),
        board=read_board(connection, run, view.asked, clock=clock, known_ms=known_ms),
        turned=[] if "turned" in gone else read_turned(connection, run, who.series, known_ms=known_ms),
        series=series,
        echo=read_echo(connection, run, series, known_ms=known_ms) if series and "echo" not in gone else [],
        risks=[] if "risks" in gone else read_risks(connection, run, [one.company for one in who.companies], known_ms=known_ms),
        stories=[] if "stories" in gone else read_stories(connection, run, known_ms=known_ms, limit=LONG),
    )


def read_second(connection: Connection, run: str, view: View, *, sector: Callable[[str], Sequence[str]]) -> Second:
    """What is asked less often: peers of the selected series, near misses, sources, alert quality."""
    known_ms, series = view.known_ms, view.series
    gone = not_kept(connection, run, known_ms=known_ms)
    if series is None and "watchlist" not in gone:
        heat = read_heat(connection, run, followed(connection, run, known_ms=known_ms), known_ms=known_ms)
        series = heat[0].series if heat else None
    return Second(
        view=view,
        gone=gone,
        series=series,
        rivals=read_rivals(connection, run, series, sector, known_ms=known_ms) if series and "peers" not in gone else [],
        near=read_near(connection, run, known_ms=known_ms),
        arrivals=[] if "arrivals" in gone else read_arrivals(connection, run, known_ms=known_ms),
        figures=read_judged(connection, run, known_ms=known_ms),
    )


# --- JSON twins --------------------------------------------------------------------------------------------------------------------
def first_json(read: First, reader: Reader) -> dict[str, Any]:
    """The first page's figures; every panel's rows as its own address has them."""
    return {
        "as_of": iso(read.view.known_ms),
        "selected": read.series,
        "board": board_json(read.board),
        "incidents": [incident_json(one, reader) for one in read.incidents],
    } | _panels(read.gone, {"watchlist": read.heat, "turned": read.turned, "echo": read.echo, "risks": read.risks, "stories": read.stories})


def second_json(read: Second) -> dict[str, Any]:
    """The second page's figures."""
    panels: dict[str, Sequence[PanelRow]] = {"peers": read.rivals, "near": read.near, "arrivals": read.arrivals, "quality": read.figures}
    return {"as_of": iso(read.view.known_ms), "selected": read.series} | _panels(read.gone, panels)


def _panels(gone: Mapping[str, NotKept], panels: Mapping[str, Sequence[PanelRow]]) -> dict[str, Any]:
    """The rows of each; null, and why in words, where nobody knows them."""
    return {
        "panels": {name: None if name in gone else [told(row) for row in rows] for name, rows in panels.items()},
        "not_kept": {name: gone[name].sentence for name in panels if name in gone},
    }
