"""Search and Series: what was written, with the words that were looked for marked, and how a series went."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboards.board import charts, words
from dashboards.board.pages import FORMING_MS, range_asked
from dashboards.board.shell import BoardState, clock_of, page, state_of
from dashboards.board.trust import Watch
from dashboards.board.watch_forms import may_change
from groundswell.errors import UsageError
from groundswell.exports import QUOTE_CHARACTERS
from groundswell.names import entity_series
from groundswell.search import EXAMPLE, FIELDS, TIMES, Query, parse, sought, with_companies
from groundswell.store.grid import first_hour_ms, series_grid
from groundswell.store.months import dropped_months
from groundswell.store.pasts import forming_span
from groundswell.store.query import alerts_of, closed_ms, unmeasured_series
from groundswell.store.results import PAGE, Result, ResultPage, search_page
from groundswell.terms import Phrase, excerpt, marks

Pieces = list[tuple[str, bool]]
"""Text in pieces, each with whether it is marked."""

COMPANIES_SHOWN: Final = 6


@dataclass(frozen=True)
class Found:
    """One result as it is shown."""

    result: Result
    title: Pieces
    quote: Pieces  # empty where the text is, or may not be shown
    companies: list[tuple[str, str]]  # (name, series)


def routes() -> list[Route]:
    """The addresses of these pages."""
    return [Route("/search", search), Route("/series", series)]


# --- search ----------------------------------------------------------------------------------------------------------------------
def search(request: Request) -> Response:
    """Documents that a query means, newest first; a query that cannot be read is shown with the reason."""
    state = state_of(request)
    asked = request.query_params.get("q", "").strip()

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        values: dict[str, Any] = {"q": asked, "found": None, "refused": None, "more": None, "read": "", "example": EXAMPLE}
        values |= {"fields": [f"{name}:" for name in (*FIELDS, *TIMES)], "may_save": may_change(request, watch)}
        try:
            query = with_companies(parse(asked, zone=clock_of(request).zone), state.companies)
            found = search_page(connection, watch.run, query, limit=PAGE, below=_below(request))
        except UsageError as error:
            return values | {"refused": str(error)}
        return values | _shown(asked, query, found, state)

    return page(request, "search.html.j2", fill)


def _shown(asked: str, query: Query, found: ResultPage, state: BoardState) -> dict[str, Any]:
    phrases = list(sought(query.node))
    more = None if found.below is None else f"/search?{urlencode({'q': asked, 'after': found.below})}"
    return {"found": [show_result(one, phrases, state) for one in found.results], "more": more, "read": str(query)}


def _below(request: Request) -> int | None:
    text = request.query_params.get("after", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        reason = f"after: {text[:40]!r} is no place; follow the link to the next page"
        raise UsageError(reason)
    return int(text) if text else None


def show_result(one: Result, phrases: Sequence[Phrase], state: BoardState) -> Found:
    """A result with its marks."""
    document = one.document
    spans = marks(document.text, phrases)
    start, end = excerpt(document.text, spans, characters=QUOTE_CHARACTERS)
    mentions = dict.fromkeys(mention.entity_id for mention in one.score.mentions) if one.score else {}
    names = [(words.visible(state.display(entity_series(entity_id))), entity_series(entity_id)) for entity_id in mentions]
    return Found(
        result=one,
        title=pieces(document.title, marks(document.title, phrases), 0, len(document.title)),
        quote=pieces(document.text, spans, start, end),
        companies=names[:COMPANIES_SHOWN],
    )


def pieces(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> Pieces:
    """A part of a text, cut where marks begin and end.

    >>> pieces("one two three", [(4, 7)], 0, 13)
    [('one ', False), ('two', True), (' three', False)]
    """
    made: Pieces = []
    place = start
    for first, last in spans:
        first, last = max(first, start), min(last, end)
        if first < last:
            made += [(text[place:first], False), (text[first:last], True)]
            place = last
    return [piece for piece in [*made, (text[place:end], False)] if piece[0]]


# --- one series ------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class SeriesShown:
    """One series, drawn."""

    key: str
    title: str
    chart: Markup
    axis: list[str]
    offset: str
    start_ms: int
    end_ms: int
    window_ms: int
    span: str | None  # of the links, if it is one of them
    most: int
    documents: int
    negative: int
    measured: bool
    gone: str  # months of the range that were dropped


def series(request: Request) -> Response:
    """How one series went: `key`, and as on the board `from`, `to` and `window`."""
    state = state_of(request)
    key = request.query_params.get("key", "").strip()[:200]
    if not key:
        reason = "key: is missing; give a series such as entity:SVB, or follow a company's link from a search"
        raise UsageError(reason)

    def fill(connection: Connection, watch: Watch) -> dict[str, Any]:
        return {"shown": _series(connection, watch.run, key, request, state), "key": key}

    return page(request, "series.html.j2", fill)


def _series(connection: Connection, run: str, key: str, request: Request, state: BoardState) -> SeriesShown | None:
    until_ms = closed_ms(connection, run)
    if until_ms is None:
        return None
    clock, first_ms = clock_of(request), first_hour_ms(connection, run)
    chosen = range_asked(request.query_params, first_ms=first_ms, until_ms=until_ms, clock=clock)
    span: dict[str, int] = {"start_ms": chosen.start_ms, "end_ms": chosen.end_ms}
    cells = series_grid(connection, run, [key], window_ms=chosen.window_ms, **span)[key]
    alerts = [alert for alert in alerts_of(connection, run, **span) if key in alert.all_series]
    title = clock.series(key, state.display)
    drawn = charts.Marks(alerts=alerts, known_ms=until_ms, forming=forming_span(connection, run, forming_ms=FORMING_MS))
    label = charts.sentence(title, cells, alerts=len(alerts), clock=clock)
    return SeriesShown(
        key=key,
        title=title,
        chart=charts.chart(cells, label=label, clock=clock, shape=charts.LARGE, marks=drawn),
        axis=charts.axis(cells, clock, labels=11),
        offset=words.offset(clock.at(chosen.end_ms)),
        start_ms=chosen.start_ms,
        end_ms=chosen.end_ms,
        window_ms=chosen.window_ms,
        span=None if request.query_params.get("window") else chosen.span,
        most=max(cell.documents for cell in cells),
        documents=sum(cell.documents for cell in cells),
        negative=sum(cell.negative for cell in cells),
        measured=key not in unmeasured_series(connection, run),
        gone=words.months(dropped_months(connection, run, since_ms=chosen.start_ms, until_ms=chosen.end_ms)),
    )
