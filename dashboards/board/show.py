"""From a page's data to what its template needs: drawings, sentences, and the template environment itself."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import jinja2
from markupsafe import Markup, escape

from dashboards.board import charts, reasons, words
from dashboards.board.pages import SPANS, Around
from dashboards.board.trust import Trust
from dashboards.board.words import Clock, series_title
from groundswell.exports import iso
from groundswell.judged import ENOUGH
from groundswell.records import Alert, Quote
from groundswell.store.conditions import TITLES
from groundswell.store.judged import Before
from groundswell.store.query import total
from groundswell.windows import wilson

__all__ = ["Messages", "dossier", "environment", "messages", "series_title", "total", "trust_json", "twin"]

TWINS: Final = {
    "/": "/api/board.json",
    "/alerts": "/api/alerts.json",
    "/sources": "/api/sources.json",
    "/search": "/api/v1/documents",
    "/series": "/api/v1/series",
    "/watchlist": "/api/v1/watches",
    "/rules": "/api/rules.json",
    "/people": "",
    "/audit": "",
    "/outbox": "",
    "/me": "",
    "/why-not": "",
}
WITH_QUERY: Final = ("/", "/board/2", "/inbox", "/search", "/series")
_SLACK_LINK: Final = re.compile(r"<([^<|>\s]+)\|([^<>]*)>")


def environment(folder: Path, clock: Clock, display: Callable[[str], str]) -> jinja2.Environment:
    """Templates that escape everything, and for which a misspelt name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "full": clock.full, "minute": clock.minute, "iso": iso, "ago": clock.ago, "percent": words.percent, "count": words.count,
        "milli": words.milli, "p_value": words.p_value, "visible": words.visible, "link": words.safe_link,
        "series": lambda series: clock.series(series, display), "duration": words.duration,
        "tenth": words.tenth, "plain": words.plain, "exact": words.exact, "points": words.points,
        "reason": lambda text: reasons.said(text, clock.language),
        "daybars": lambda source, until_ms: charts.daybars(source, until_ms, clock),
    }  # fmt: skip
    made.globals |= {"patterns": charts.PATTERNS, "spans": list(SPANS), "titles": TITLES, "languages": words.LANGUAGES, "enough": ENOUGH}

    def say(text: str, **values: object) -> Markup:
        said = Markup(escape(clock.counted(text, values)))
        return said.format(**values) if values else said  # braces of somebody's own words are no places

    made.globals["_"] = say
    return made


def twin(path: str, query: str) -> str:
    """Address of a page's JSON twin; empty where it has none.

    >>> twin("/", "span=7d"), twin("/alerts/ab12", "")
    ('/api/board.json?span=7d', '/api/alerts/ab12.json')
    """
    if path.startswith(("/rules/", "/watchlist/")):
        return ""
    return TWINS.get(path, f"/api{path}.json") + (f"?{query}" if query and path in WITH_QUERY else "")


def trust_json(trust: Trust) -> dict[str, Any]:
    """The first line, for a JSON twin."""
    return {
        "run": trust.run,
        "kind": trust.kind,
        "data_until": None if trust.data_until_ms is None else iso(trust.data_until_ms),
        "behind_s": None if trust.behind_ms is None else trust.behind_ms // 1000,
        "sources_reporting": trust.reporting,
        "sources": trust.sources,
        "last_canary": None if trust.canary is None else {"due": iso(trust.canary.due_ms), "latency_s": trust.canary.latency_s},
        "blind": {source: iso(since) for source, since in trust.blind.items()},
        "unbalanced": trust.unbalanced,
        "documents": trust.documents,
        "in_flight": trust.in_flight,
        "held_back": None
        if trust.held_back is None
        else {"partition": trust.held_back.partition, "behind_s": (trust.held_back.behind_ms or 0) // 1000, "owner": trust.held_back.owner},
        "conditions": [{"kind": c.kind, "subject": c.subject, "since": iso(c.since_ms), "reason": c.reason} for c in trust.conditions],
    }


# --- the dossier ---------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class DossierShown:
    """An alert with what is reckoned from its own fields."""

    alert: Alert
    chart: Markup
    axis: list[str]
    offset: str
    most: int  # documents of the chart's fullest window
    window_ms: int
    low: float  # 90 % interval of the negative share of stories
    high: float
    excess_milli: int  # statistic minus expected
    sum_milli: int  # of the parts
    factor: str
    first_published: Quote | None
    first_known: Quote | None
    before: Before
    gone: str  # months of the chart that were dropped


def dossier(alert: Alert, around: Around, clock: Clock, display: Callable[[str], str]) -> DossierShown:
    """Draw an alert's dossier."""
    title = clock.series(alert.series, display)
    share, cells = alert.baseline_share_ppm / 1e6, around.cells
    span = (alert.opened_ms - alert.window_s * 1000, alert.opened_ms)
    marks = charts.Marks(alerts=around.alerts, known_ms=around.known_ms, forming=around.forming, span=span, baseline=share)
    label = charts.sentence(title, cells, alerts=len(around.alerts), clock=clock)
    label += clock.words("; ") + clock.say("usual share {share}", share=words.percent(share))
    low, high = wilson(alert.statistic, max(alert.stories, alert.statistic, 1))
    return DossierShown(
        alert=alert,
        chart=charts.chart(cells, label=label, clock=clock, shape=charts.LARGE, marks=marks),
        axis=charts.axis(cells, clock, labels=11),
        offset=words.offset(clock.at(alert.opened_ms)),
        most=max(cell.documents for cell in cells),
        window_ms=around.range.window_ms,
        low=low,
        high=high,
        excess_milli=alert.statistic * 1000 - alert.expected_milli,
        sum_milli=sum(part.excess_milli for part in alert.parts),
        factor=_factor(alert, clock),
        first_published=min(alert.evidence, key=lambda quote: quote.published_ms, default=None),
        first_known=min(alert.evidence, key=lambda quote: quote.known_ms, default=None),
        before=around.before,
        gone=words.months(around.gone),
    )


def _factor(alert: Alert, clock: Clock) -> str:
    if alert.expected_milli <= 0:
        return clock.words("none expected")
    ratio = alert.statistic * 1000 / alert.expected_milli
    return clock.say("{ratio} × normal", ratio=f"{ratio:.0f}" if ratio >= 3 else f"{ratio:.1f}")


# --- what would be sent ---------------------------------------------------------------------------------------------------------
class Messages(Protocol):
    """What would be sent of an alert; alerts.notify.message.Message is one."""

    @property
    def subject(self) -> str:
        """The mail's subject."""

    @property
    def text(self) -> str:
        """The mail's plain text."""

    @property
    def blocks(self) -> Sequence[Mapping[str, Any]]:
        """Slack's Block Kit."""


def messages(made: Messages) -> dict[str, str]:
    """The mail's subject and text, and Slack's message as text."""
    return {"subject": made.subject, "text": made.text, "slack": slack_text(made.blocks)}


def slack_text(blocks: Sequence[Mapping[str, Any]]) -> str:
    r"""Block Kit as Slack would read it out; a block of a kind that is not known is named.

    >>> slack_text([{"type": "header", "text": {"type": "plain_text", "text": "Surge"}}, {"type": "divider"},
    ...             {"type": "section", "text": {"type": "mrkdwn", "text": "<http://h/a|Open> it"}}])
    'Surge\n\n———\n\nOpen (http://h/a) it'
    """
    return "\n\n".join(_block_text(block) for block in blocks)


def _block_text(block: Mapping[str, Any]) -> str:
    if block["type"] == "divider":
        return "———"
    texts = [block["text"]] if "text" in block else [*block.get("fields", ()), *block.get("elements", ())]
    said = [_object_text(text) for text in texts if isinstance(text, Mapping)]
    return "\n".join(line for line in said if line) or f"[{block['type']}]"


def _object_text(text: Mapping[str, Any]) -> str:
    inner = text.get("text", "")
    if isinstance(inner, Mapping):  # a button
        return f"[{_object_text(inner)}]"
    if text.get("type") != "mrkdwn":
        return str(inner)
    plain = _SLACK_LINK.sub(r"\2 (\1)", str(inner)).replace("`", "")
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
