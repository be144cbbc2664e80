"""The panels as rows: `/api/v1/panels/NAME`, JSON and CSV of what the board shows at the same moment, by the same reads."""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from dashboards.board.api_asked import Asked, Operation, Page
from dashboards.board.api_types import row_type
from groundswell.errors import UsageError
from groundswell.store.panels.arrivals import ArrivalRow, read_arrivals
from groundswell.store.panels.echo import EchoRow, read_echo
from groundswell.store.panels.followed import followed
from groundswell.store.panels.heat import HeatRow, read_heat
from groundswell.store.panels.judged import FigureRow, read_judged
from groundswell.store.panels.kept import refuse_not_kept
from groundswell.store.panels.near import NearRow, read_near
from groundswell.store.panels.risks import RiskRow, read_risks
from groundswell.store.panels.rivals import RivalRow, read_rivals
from groundswell.store.panels.rows import PanelRow, columns, known_until, told
from groundswell.store.panels.stories import NewStoryRow, read_stories
from groundswell.store.panels.turned import TurnRow, read_turned

Read = Callable[[Connection, str, int, Asked], Sequence[PanelRow]]


def _heat(connection: Connection, run: str, known_ms: int, _: Asked) -> Sequence[PanelRow]:
    return read_heat(connection, run, followed(connection, run, known_ms=known_ms), known_ms=known_ms)


def _turned(connection: Connection, run: str, known_ms: int, _: Asked) -> Sequence[PanelRow]:
    return read_turned(connection, run, followed(connection, run, known_ms=known_ms).series, known_ms=known_ms)


def _echo(connection: Connection, run: str, known_ms: int, asked: Asked) -> Sequence[PanelRow]:
    return read_echo(connection, run, _series(asked), known_ms=known_ms)


def _risks(connection: Connection, run: str, known_ms: int, _: Asked) -> Sequence[PanelRow]:
    companies = [one.company for one in followed(connection, run, known_ms=known_ms).companies]
    return read_risks(connection, run, companies, known_ms=known_ms)


def _stories(connection: Connection, run: str, known_ms: int, asked: Asked) -> Sequence[PanelRow]:
    return read_stories(connection, run, known_ms=known_ms, limit=asked.limit)


def _peers(connection: Connection, run: str, known_ms: int, asked: Asked) -> Sequence[PanelRow]:
    return read_rivals(connection, run, _series(asked), asked.state.sector, known_ms=known_ms)


def _near(connection: Connection, run: str, known_ms: int, _: Asked) -> Sequence[PanelRow]:
    return read_near(connection, run, known_ms=known_ms)


def _arrivals(connection: Connection, run: str, known_ms: int, _: Asked) -> Sequence[PanelRow]:
    return read_arrivals(connection, run, known_ms=known_ms)


def _judged(connection: Connection, run: str, known_ms: int, _: Asked) -> Sequence[PanelRow]:
    return read_judged(connection, run, known_ms=known_ms)


def _series(asked: Asked) -> str:
    series = asked.one("series")
    if series is None:
        reason = "series: is missing; give one such as entity:SVB"
        raise UsageError(reason)
    return series


def _panel(name: str, summary: str, row: type[PanelRow], read: Read, *parameters: str) -> Operation:
    def rows(connection: Connection, run: str, asked: Asked) -> Page:
        known_ms = known_until(connection, run, asked.ms("as_of"))
        if known_ms is None:
            return Page([])
        refuse_not_kept(connection, run, name, known_ms=known_ms)
        return Page([told(one) for one in read(connection, run, known_ms, asked)])

    return Operation(f"panels/{name}", f"Panel of the board: {summary}", row_type(row), columns(row), (*parameters, "as_of"), rows)


PANELS: Final = (
    _panel("watchlist", "companies' last 24 hours in panes, by exposure times surprise", HeatRow, _heat),
    _panel("turned", "seven closed days against the ninety before", TurnRow, _turned),
    _panel("echo", "documents, stories and owners of a series by 24 hours", EchoRow, _echo, "series"),
    _panel("risks", "kinds of risk that were spoken of in 24 hours", RiskRow, _risks),
    _panel("stories", "new stories of 24 hours, most surprising first", NewStoryRow, _stories, "limit"),
    _panel("peers", "a series beside the band of its peers", RivalRow, _peers, "series"),
    _panel("near", "findings that came close and were held", NearRow, _near),
    _panel("arrivals", "sources: arrivals against expected, and lag", ArrivalRow, _arrivals),
    _panel("quality", "how good the alerts of 30 days were", FigureRow, _judged),
)
