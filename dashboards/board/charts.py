"""Charts as SVG, drawn on the server: pure functions from windows to markup.

Why no chart library in the browser: thirty small charts are quicker as one page of markup than as thirty canvases; they
work without JavaScript, in a printout and under a policy that allows neither inline script nor inline style; a window's
figures are real text (`<title>`), and the markup can be tested. Axis labels are HTML beside the picture: the picture
stretches with its column, the letters do not.

Reading: a line is the negative share of documents (of topics: corrected for the model's errors), the band around it its 90 % interval,
bars below are documents.
Hatched = fewer than the usual sources were seeing, or the month was dropped; dashed = the window is still filling; grey = no baseline
yet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from markupsafe import Markup, escape

from dashboards.board.words import Clock, count, percent
from groundswell.names import DAY_MS
from groundswell.records import Alert
from groundswell.store.grid import Cell
from groundswell.store.health import SourceHealth

FULL_SIGHT: Final = 0.9  # below: hatched; an alert says so as a doubt
NEXT_LINE: Final = "\n"
BLIND: Final = 0.5  # below: hatched densely; no alert is raised there (alerts/rules.toml, exposure_min_ppm)

PATTERNS: Final = Markup(
    '<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern>'
    '<pattern id="hatch-blind" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="hatch" x1="0" y1="0" x2="0" y2="3"/></pattern></defs></svg>'
)
"""Once per page; every chart refers to it."""


@dataclass(frozen=True)
class Shape:
    """Size of a chart in its own units; the page stretches it."""

    width: float
    share_height: float
    gap: float
    volume_height: float

    @property
    def height(self) -> float:
        """Of the whole picture."""
        return self.share_height + self.gap + self.volume_height


SMALL: Final = Shape(width=320, share_height=32, gap=3, volume_height=11)
LARGE: Final = Shape(width=960, share_height=190, gap=10, volume_height=60)


@dataclass(frozen=True)
class Marks:
    """What is drawn besides the windows; moments in milliseconds."""

    alerts: Sequence[Alert] = ()
    known_ms: int | None = None  # from it on nothing can be known yet
    forming: tuple[int, int] | None = None  # `[start, end)` in which the baseline is forming
    span: tuple[int, int] | None = None  # the window that an alert speaks of
    baseline: float | None = None  # the usual negative share
    second: Sequence[Cell] = ()  # the same windows of another series: a plain line, without a band; its documents count in the bars
    names: tuple[str, str] = ("", "")  # of the two, for the hover texts


def chart(cells: Sequence[Cell], *, label: str, clock: Clock, shape: Shape = SMALL, marks: Marks | None = None) -> Markup:
    """One series over its windows.

    Args:
        cells: at least one window, ascending, without gaps.
        label: a sentence that says what the picture shows, for those who do not see it.
        clock: for the hover texts.
        shape: how large.
        marks: what is drawn besides.
    """
    draw = _Drawing(cells, shape, marks or Marks())
    parts = [*draw.ground(), *draw.volume(), *draw.band(), *draw.line(), *draw.alerts(clock), *draw.targets(clock)]
    return Markup(
        f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {shape.width:g} {shape.height:g}" '
        f'preserveAspectRatio="none" focusable="false">{"".join(parts)}</svg>'
    )


class _Drawing:
    """Where things go; every method yields markup from the back to the front."""

    def __init__(self, cells: Sequence[Cell], shape: Shape, marks: Marks) -> None:
        self.cells, self.shape, self.marks = cells, shape, marks
        self.start, self.end = cells[0].start_ms, cells[-1].end_ms
        self.step = shape.width / len(cells)

    def x(self, ms: float) -> float:
        """Place of a moment, kept inside the picture."""
        return round(min(max((ms - self.start) / (self.end - self.start), 0), 1) * self.shape.width, 2)

    def y(self, share: float) -> float:
        """Place of a share."""
        return round((1 - share) * (self.shape.share_height - 2) + 1, 2)

    def ground(self) -> Iterator[str]:
        """Forming baseline, what is not known yet, blind spans, the alert's window, lines of the scale."""
        top = self.shape.height
        if self.marks.forming is not None and max(self.marks.forming[0], self.start) < min(self.marks.forming[1], self.end):
            left, right = map(self.x, (max(self.marks.forming[0], self.start), self.marks.forming[1]))
            yield f'<rect class="forming" x="{left:g}" y="0" width="{right - left:g}" height="{top:g}"/>'
        if self.marks.span:
            left, right = map(self.x, self.marks.span)
            yield f'<rect class="span" x="{left:g}" y="0" width="{max(right - left, 1):g}" height="{top:g}"/>'
        if self.marks.known_ms is not None and self.marks.known_ms < self.end:
            left = self.x(self.marks.known_ms)
            yield f'<rect class="later" x="{left:g}" y="0" width="{self.shape.width - left:g}" height="{top:g}"/>'
        for pattern, left, right in self._hatches():
            yield f'<rect fill="url(#{pattern})" x="{left:g}" y="0" width="{right - left:g}" height="{top:g}"/>'
        for share, name in ((0.5, "grid"), (0.0, "axis")):
            yield f'<line class="{name}" x1="0" y1="{self.y(share):g}" x2="{self.shape.width:g}" y2="{self.y(share):g}"/>'
        if self.shape is LARGE:
            for share in (0.25, 0.75, 1.0):
                yield f'<line class="grid" x1="0" y1="{self.y(share):g}" x2="{self.shape.width:g}" y2="{self.y(share):g}"/>'
        if self.marks.baseline is not None:
            height = self.y(self.marks.baseline)
            yield f'<line class="baseline" x1="0" y1="{height:g}" x2="{self.shape.width:g}" y2="{height:g}"/>'
        yield f'<line class="axis" x1="0" y1="{top:g}" x2="{self.shape.width:g}" y2="{top:g}"/>'

    def _hatches(self) -> Iterator[tuple[str, float, float]]:
        for pattern, run in groupby(self.cells, key=veil):
            span = list(run)
            if pattern:
                yield pattern, self.x(span[0].start_ms), self.x(span[-1].end_ms)

    def volume(self) -> Iterator[str]:
        """Bars of documents, scaled to the series' own most."""
        volumes = [sum(cell.documents for cell in cells) for cells in zip(*self._lines(), strict=True)]
        most = max(volumes, default=0)
        for cell, documents in zip(self.cells, volumes, strict=True):
            if documents:
                height = max(self.shape.volume_height * documents / most, 1)
                name = "bar" if cell.complete else "bar open"
                yield (
                    f'<rect class="{name}" x="{self.x(cell.start_ms) + self.step * 0.12:.2f}" y="{self.shape.height - height:.2f}" '
                    f'width="{self.step * 0.76:.2f}" height="{height:.2f}"/>'
                )

    def band(self) -> Iterator[str]:
        """The 90 % interval, where there are documents in neighbouring windows."""
        for run in _runs(self.cells):
            upper = [(self._middle(cell), self.y(cell.shown.high if cell.shown else 0)) for cell in run]
            lower = [(self._middle(cell), self.y(cell.shown.low if cell.shown else 0)) for cell in reversed(run)]
            if len(run) == 1:
                (middle, high), (_, low) = upper[0], lower[0]
                half = self.step * 0.3
                upper, lower = [(middle - half, high), (middle + half, high)], [(middle + half, low), (middle - half, low)]
            yield f'<polygon class="band" points="{_points(upper + lower)}"/>'

    def line(self) -> Iterator[str]:
        """The share itself; windows that are still filling hang on a dashed line. The second one lies below the first."""
        for cells, kind in reversed(list(zip(self._lines(), ("line", "line second"), strict=False))):
            yield from self._line(cells, kind)

    def _line(self, cells: Sequence[Cell], kind: str) -> Iterator[str]:
        for run in _runs(cells):
            closed = [(self._middle(cell), self.y(cell.shown.share if cell.shown else 0)) for cell in run if cell.complete]
            filling = [(self._middle(cell), self.y(cell.shown.share if cell.shown else 0)) for cell in run if not cell.complete]
            for name, points in ((kind, closed), (f"{kind} open", closed[-1:] + filling if filling else [])):
                if len(points) == 1:
                    (middle, height), half = points[0], self.step * 0.3
                    points = [(middle - half, height), (middle + half, height)]
                if points:
                    yield f'<polyline class="{name}" points="{_points(points)}"/>'

    def _lines(self) -> list[Sequence[Cell]]:
        return [self.cells, self.marks.second] if self.marks.second else [self.cells]

    def _middle(self, cell: Cell) -> float:
        return self.x((cell.start_ms + cell.end_ms) / 2)

    def alerts(self, clock: Clock) -> Iterator[str]:
        """A line and a flag at the moment at which each alert was opened."""
        for alert in self.marks.alerts:
            if self.start <= alert.opened_ms <= self.end:
                at, half = self.x(alert.opened_ms), 4.0 if self.shape is SMALL else 6.0
                yield (
                    f'<g class="mark {escape(alert.severity)}"><title>{escape(_mark_text(alert, clock))}</title>'
                    f'<line x1="{at:g}" y1="0" x2="{at:g}" y2="{self.shape.height:g}"/>'
                    f'<polygon points="{at - half:g},0 {at + half:g},0 {at:g},{half * 1.6:g}"/></g>'
                )  # fmt: skip

    def targets(self, clock: Clock) -> Iterator[str]:
        """What a pointer finds: each window's figures."""
        for cells in zip(*self._lines(), strict=True):
            cell = cells[0]
            if any(one.documents for one in cells) or not cell.complete or veil(cell):
                said = [window_text(one, clock) for one in cells]
                if len(cells) > 1:
                    said = [f"{name}: {text}" for name, text in zip(self.marks.names, said, strict=True)]
                yield (
                    f'<rect class="hit" x="{self.x(cell.start_ms):g}" y="0" width="{self.step:.2f}" height="{self.shape.height:g}">'
                    f"<title>{escape(NEXT_LINE.join(said))}</title></rect>"
                )


def _runs(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Neighbouring windows with documents."""
    for empty, run in groupby(cells, key=lambda cell: cell.shown is None):
        if not empty:
            yield list(run)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def sight(exposure: float | None) -> str:
    """The pattern that stands for an exposure: "" while (nearly) all of the usual volume is seeing.

    >>> sight(0.95), sight(0.7), sight(0.2), sight(None)
    ('', 'hatch', 'hatch-blind', '')
    """
    if exposure is None or exposure >= FULL_SIGHT:
        return ""
    return "hatch" if exposure >= BLIND else "hatch-blind"


def veil(cell: Cell) -> str:
    """The pattern over a window: that of its exposure; where its month was dropped, that of a blind one."""
    return sight(cell.exposure) if cell.kept else "hatch-blind"


def _mark_text(alert: Alert, clock: Clock) -> str:
    severity, kind = clock.words(alert.severity), clock.words(alert.kind)
    text = (
        "{time}: {severity} {kind} alert, {number} stories"
        if alert.any_tone
        else "{time}: {severity} {kind} alert, {number} negative stories"
    )
    return clock.say(text, time=clock.minute(alert.opened_ms), severity=severity, kind=kind, number=alert.statistic)


def window_text(cell: Cell, clock: Clock) -> str:
    """One window in words."""
    said = [clock.span(cell.start_ms, cell.end_ms)]
    if not cell.kept:
        return clock.words("; ").join([*said, clock.words("not kept: the rows of this month were dropped")])
    if cell.shown:
        text = "{share} negative ({low} to {high}), {negative} of {documents}"
        if cell.corrected:
            text = "{share} negative ({low} to {high}), {negative} of {documents} called so"
        shares = {"share": percent(cell.shown.share), "low": percent(cell.shown.low), "high": percent(cell.shown.high)}
        said.append(clock.say(text, **shares, negative=cell.negative, documents=cell.documents))
    else:
        said.append(clock.words("no documents"))
    if sight(cell.exposure):
        said.append(clock.say("{share} of the usual volume was seeing", share=percent(cell.exposure)))
    if not cell.complete:
        said.append(clock.words("still filling"))
    return clock.words("; ").join(said)


def sentence(title: str, cells: Sequence[Cell], *, alerts: int, clock: Clock) -> str:
    """What a small chart shows, in words."""
    documents = sum(cell.documents for cell in cells)
    gone = sum(not cell.kept for cell in cells)
    lost = [clock.say("{number} windows of dropped months", number=gone)] if gone else []
    shares = [cell.shown.share for cell in cells if cell.shown is not None and cell.complete]
    if not documents or not shares:
        text = "{title}: {documents} documents, no complete window with any"
        return clock.words("; ").join([clock.say(text, title=title, documents=count(documents)), *lost])
    blind = sum(1 for cell in cells if cell.kept and sight(cell.exposure))
    text = (
        "{title}: negative share {last} in the last complete window with documents, "
        "between {least} and {most} over {windows} windows; {documents} documents"
    )
    shown = {"last": percent(shares[-1]), "least": percent(min(shares)), "most": percent(max(shares))}
    said = [clock.say(text, title=title, **shown, windows=len(cells), documents=count(documents)), *lost]
    if blind:
        said.append(clock.say("{number} windows with sources missing", number=blind))
    if alerts:
        said.append(clock.say("{number} alerts", number=alerts))
    return clock.words("; ").join(said)


def axis(cells: Sequence[Cell], clock: Clock, *, labels: int = 7) -> list[str]:
    """Labels for equal parts of the axis, each at its left edge; at most `labels` of them.

    Parts are whole windows where their number allows it; otherwise four, at whatever time they begin.
    """
    start_ms, length_ms = cells[0].start_ms, cells[-1].end_ms - cells[0].start_ms
    parts = next(n for n in range(min(labels, len(cells)), 0, -1) if len(cells) % n == 0)
    step_ms = length_ms // parts
    if parts < 3 < len(cells):
        parts, step_ms = 4, 0
    return clock.ticks([start_ms + length_ms * i // parts for i in range(parts)], step_ms=step_ms)


def daybars(source: SourceHealth, until_ms: int, clock: Clock) -> Markup:
    """Documents per day as bars, oldest at the left, hatched where the source was blind."""
    days = source.days
    most, width = max(days, default=0) or 1, 8
    heights = [max(18 * n / most, 1) if n else 0.5 for n in reversed(days)]
    bars = [
        f'<rect class="{"bar" if n else "bar open"}" x="{i * width + 1}" y="{19 - height:.1f}" width="{width - 2}" height="{height:.1f}"/>'
        for i, (n, height) in enumerate(zip(reversed(days), heights, strict=True))
    ]
    spans = [*source.was_blind, *([(source.blind_since_ms, until_ms)] if source.blind_since_ms is not None else [])]
    begin_ms = until_ms - len(days) * DAY_MS
    places = [(max(0, since - begin_ms) * width / DAY_MS, (until - begin_ms) * width / DAY_MS) for since, until in spans]
    bars += [
        f'<rect fill="url(#hatch-blind)" x="{left:.1f}" y="0" width="{max(right - left, 1):.1f}" height="20"/>'
        for left, right in places
        if right > 0
    ]
    said = [clock.say("{days} d ago: {number}", days=len(days) - 1 - i, number=count(n)) for i, n in enumerate(reversed(days))]
    targets = [
        f'<rect class="hit" x="{i * width}" y="0" width="{width}" height="20"><title>{escape(text)}</title></rect>'
        for i, text in enumerate(said)
    ]
    label = escape(clock.say("documents per day, oldest first: {numbers}", numbers=", ".join(map(str, reversed(days)))))
    return Markup(
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {len(days) * width} 20" preserveAspectRatio="none" focusable="false">'
        f"{''.join(bars + targets)}</svg>"
    )
