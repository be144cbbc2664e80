"""From the panels' data to what their templates need: drawings, titles, sentences."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup

from dashboards.board import charts, strips, words
from dashboards.board.incidents import is_new_to, is_of
from dashboards.board.pages import Board, Range
from dashboards.board.panels import First, Second
from dashboards.board.view import PANELS
from dashboards.board.words import Clock, series_title
from groundswell.exports import iso
from groundswell.names import DAY_MS, FLAGS, LANGUAGES, TOPICS, series_kind, topic_series
from groundswell.records import Alert
from groundswell.store.accounts import Reader
from groundswell.store.inbox import IncidentRow
from groundswell.store.panels.echo import is_echo, usual_ratio
from groundswell.store.panels.followed import Followed
from groundswell.store.panels.judged import MEASURES
from groundswell.store.panels.rivals import only_this_one
from groundswell.store.panels.turned import TurnRow

INCIDENTS: Final = 6


# --- topics ------------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Line:
    """One language of a topic."""

    language: str
    series: str
    measured: bool
    kept: bool  # of some window at least nobody says that its month was dropped
    last: float | None  # share of the last complete window with documents, as drawn
    last_text: str
    mean: float | None  # as the model gave it, of the whole range
    documents: int


@dataclass(frozen=True)
class Topic:
    """One small multiple: both languages in one picture."""

    title: str
    chart: Markup
    lines: list[Line]
    alerts: list[Alert]

    @property
    def series(self) -> str:
        """The language in which most was written."""
        return max(self.lines, key=lambda line: line.documents).series


@dataclass(frozen=True)
class TopicsShown:
    """Panel 4, drawn."""

    range: Range
    axis: list[str]
    offset: str
    languages: list[str]  # those with documents in the range
    silent: list[str]  # titles of those without
    topics: list[Topic]
    forming: bool
    gone: str  # months of the range that were dropped


def topics_shown(read: Board, clock: Clock) -> TopicsShown:
    """Draw the topics; a language without any document in the range is a sentence instead of empty lines."""
    spoken = [language for language in LANGUAGES if any(_documents(read, topic_series(topic, language)) for topic in TOPICS)]
    languages = list(LANGUAGES) if read.gone else spoken or list(LANGUAGES[:1])
    return TopicsShown(
        range=read.range,
        axis=charts.axis(read.series[topic_series(TOPICS[0], languages[0])], clock, labels=4),
        offset=words.offset(clock.at(read.range.end_ms)),
        languages=languages,
        silent=[clock.words(words.LANGUAGE_TITLES[language]) for language in LANGUAGES if language not in languages and not read.gone],
        topics=[_topic(read, topic, languages, clock) for topic in TOPICS],
        forming=read.forming is not None and max(read.forming[0], read.range.start_ms) < min(read.forming[1], read.range.end_ms),
        gone=words.months(read.gone),
    )


def _documents(read: Board, series: str) -> int:
    return sum(cell.documents for cell in read.series[series])


def _topic(read: Board, topic: str, languages: list[str], clock: Clock) -> Topic:
    keys = [topic_series(topic, language) for language in languages]
    alerts = list({alert.id: alert for key in keys for alert in read.alerts_of(key)}.values())
    said = [
        charts.sentence(clock.series(key, series_title), read.series[key], alerts=len(read.alerts_of(key)), clock=clock) for key in keys
    ]
    names = [clock.words(words.LANGUAGE_TITLES[language]) for language in languages]
    marks = charts.Marks(
        alerts=alerts,
        known_ms=read.known_ms,
        forming=read.forming,
        second=read.series[keys[1]] if len(keys) > 1 else (),
        names=(names[0], names[-1]),
    )
    drawn = charts.chart(read.series[keys[0]], label=clock.words(". ").join(said), clock=clock, marks=marks)
    return Topic(clock.words(words.TOPIC_TITLES[topic]), drawn, [_line(read, key, clock) for key in keys], alerts)


def _line(read: Board, series: str, clock: Clock) -> Line:
    cells = read.series[series]
    closed = [cell for cell in cells if cell.complete and cell.shown is not None]
    documents, negative = _documents(read, series), sum(cell.negative for cell in cells)
    return Line(
        language=series.rsplit(":", 1)[1],
        series=series,
        measured=series not in read.unmeasured,
        kept=any(cell.kept for cell in cells),
        last=closed[-1].shown.share if closed and closed[-1].shown else None,
        last_text=charts.window_text(closed[-1], clock) if closed else clock.words("no complete window with documents"),
        mean=negative / documents if documents else None,
        documents=documents,
    )


# --- the pages ---------------------------------------------------------------------------------------------------------------------
def first_shown(read: First, clock: Clock, display: Callable[[str], str], reader: Reader) -> dict[str, Any]:
    """What the template of panels 2 to 8 is filled with."""
    view, forming = read.view, read.board.forming
    shown = read.heat[: view.most("watchlist")]
    return {
        "incidents": [_incident(one, read.who, reader) for one in read.incidents[:INCIDENTS]],
        "waiting": len(read.incidents),
        "heat": [
            {
                "row": row,
                "mine": row.series in reader.companies,
                "strip": strips.strip(
                    row, clock.series(row.series, display), known_ms=view.known_ms, exposures=read.exposures, forming=forming, clock=clock
                ),
            }
            for row in shown
        ],
        "heat_axis": strips.strip_axis(view.known_ms, clock),
        "heat_more": len(read.heat) - len(shown),
        "heat_forming": forming is not None and forming[1] > view.known_ms - DAY_MS,
        "forming_until_ms": None if forming is None else forming[1],
        "who": read.who,
        "topics": topics_shown(read.board, clock),
        "topics_query": _topics_query(read),
        "turns": [_half(read.turned, direction) for direction in ("worse", "better")],
        "echo": read.echo,
        "echo_usual": usual_ratio(read.echo),
        "is_echo": is_echo(read.echo),
        "risks": [(flag, [row for row in read.risks if row.flag == flag]) for flag in FLAGS],
        "flag_titles": words.FLAG_TITLES,
        "stories": read.stories[: view.most("stories")],
        "stories_more": len(read.stories) - len(read.stories[: view.most("stories")]),
        "topic_titles": words.TOPIC_TITLES,
    } | _common(read)


def _topics_query(read: First) -> str:
    """What asks the API for the windows of the topics as they are shown."""
    chosen = read.board.range
    span = {"from": iso(chosen.start_ms), "to": iso(chosen.end_ms), "window": words.duration(chosen.window_ms)}
    return urlencode({"key": "topic:*", **span, "as_of": iso(read.view.known_ms), "limit": "10000"})


def _half(rows: list[TurnRow], direction: str) -> tuple[str, list[TurnRow]]:
    return direction, [row for row in rows if row.direction == direction]


def _incident(one: IncidentRow, who: Followed, reader: Reader) -> dict[str, Any]:
    weights = {entry.company: entry.weight for entry in who.companies} if who.by_list else {}
    about = [weights[name] for name in map(_company, one.newest.all_series) if name in weights]
    return {"incident": one, "mine": is_of(one, reader), "new": is_new_to(one, reader), "exposure": max(about, default=None)}


def _company(series: str) -> str:
    return series.rpartition(":")[2] if series_kind(series) in ("entity", "flag") else ""


def second_shown(read: Second, clock: Clock, display: Callable[[str], str]) -> dict[str, Any]:
    """What the template of panels 9 to 12 is filled with."""
    view = read.view
    weeks = [row for row in read.rivals if row.span == "week"][::-1]
    rest = [row for row in read.rivals if row.span != "week"]
    return {
        "spans": rest,
        "band": strips.band([*weeks, rest[0]], clock.series(read.series, display), clock) if weeks and read.series else None,
        "band_axis": clock.ticks([weeks[n].end_ms for n in range(0, len(weeks), 7)], step_ms=7 * DAY_MS) if weeks else [],
        "peers_measured": any(row.peer_median is not None for row in read.rivals),
        "alone": only_this_one(rest) if rest else None,
        "near": read.near[: view.most("near")],
        "near_more": len(read.near) - len(read.near[: view.most("near")]),
        "arrivals": read.arrivals[: view.most("arrivals")],
        "arrivals_more": len(read.arrivals) - len(read.arrivals[: view.most("arrivals")]),
        "figures": [(measure, [row for row in read.figures if row.measure == measure]) for measure in MEASURES],
    } | _common(read)


def _common(read: First | Second) -> dict[str, Any]:
    return {"view": read.view, "selected": read.series, "panels": PANELS, "gone": read.gone}
