"""Pictures of a training or evaluation report as SVG: pure functions from figures to markup.

Curves stretch with their column and have their labels beside them as HTML; matrices and calibration pictures keep their size, for
their letters must stay readable, and scroll on a narrow screen. Colour is never the only bearer of a meaning: right answers lie on
the outlined diagonal, counts stand in the cells, and every picture has a sentence (`aria-label`) and a table in the report.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Final

from markupsafe import Markup, escape

from groundswell.windows import wilson
from models.evaluate import Confusion
from models.metrics import Bin, Figure

WIDTH: Final = 320.0  # of a curve, in its own units; the page stretches it
HEIGHT: Final = 120.0
POINTS_MARKED: Final = 40  # of a curve at most; one of a single point would not be seen without
BUCKETS: Final = 160  # points of a curve at most: more cannot be told apart at this size
Z_95: Final = 1.959963984540054
LETTER: Final = 6.2  # mean width of a letter at the size in which matrices are labelled
DARK: Final = 0.68  # shade from which on a cell's count is written in the colour of the paper
TICKS: Final = 4


@dataclass(frozen=True)
class Curve:
    """One line of a chart: values at steps, ascending; low and high are the bounds of what a point stands for."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high` with labelled ticks; both ends are ticks."""

    ticks: tuple[float, ...]

    @property
    def low(self) -> float:
        """The lowest tick."""
        return self.ticks[0]

    @property
    def high(self) -> float:
        """The highest tick."""
        return self.ticks[-1]

    @property
    def labels(self) -> list[str]:
        """Ticks as text, all with as many digits as their distance needs."""
        digits = max(0, -floor(log10(self.ticks[1] - self.ticks[0]) + 1e-9))
        return [f"{tick:,.{digits}f}" for tick in self.ticks]


def scale(low: float, high: float) -> Scale:
    """The shortest scale of 1, 2 or 5 times a power of ten per tick that holds `[low, high]`.

    >>> scale(0.78, 0.913).labels, scale(0, 2.9).labels, scale(0, 0).labels
    (['0.75', '0.80', '0.85', '0.90', '0.95'], ['0', '1', '2', '3'], ['0.0', '0.5', '1.0'])
    """
    if low == high == 0:
        high = 1.0
    if high <= low:
        low, high = low - abs(low) * 0.1 - 1e-9, high + abs(high) * 0.1 + 1e-9
    rough = (high - low) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return Scale(tuple(round(i * step, 12) for i in range(first, max(last, first + 1) + 1)))


def bucketed(name: str, steps: Sequence[float], values: Sequence[float]) -> Curve:
    """A curve of at most BUCKETS points: means of neighbours, with their least and largest as bounds."""
    size = max(1, ceil(len(values) / BUCKETS))
    parts = [range(first, min(first + size, len(values))) for first in range(0, len(values), size)]
    return Curve(
        name,
        [steps[part[-1]] for part in parts],
        [sum(values[i] for i in part) / len(part) for part in parts],
        [min(values[i] for i in part) for part in parts],
        [max(values[i] for i in part) for part in parts],
    )


# --- curves over steps -----------------------------------------------------------------------------------------------
def curves(lines: Sequence[Curve], *, label: str, steps: Scale, values: Scale, epochs: Sequence[float]) -> Markup:
    """One or two curves over training steps: the first solid, the second dashed; each one's best point is marked by the page.

    Args:
        lines: not empty; their steps and values lie on the scales.
        label: a sentence that says what the picture shows.
        steps: horizontal scale.
        values: vertical scale.
        epochs: steps at which an epoch ended; fine vertical lines.
    """
    parts = [f'<line class="grid" x1="0" y1="{_y(tick, values):g}" x2="{WIDTH:g}" y2="{_y(tick, values):g}"/>' for tick in values.ticks[1:]]
    parts += [f'<line class="epoch" x1="{_x(at, steps):g}" y1="0" x2="{_x(at, steps):g}" y2="{HEIGHT:g}"/>' for at in epochs]
    parts.append(f'<line class="axis" x1="0" y1="{HEIGHT:g}" x2="{WIDTH:g}" y2="{HEIGHT:g}"/>')
    for number, line in enumerate(lines):
        places = [_x(step, steps) for step in line.steps]
        if line.low:
            upper = list(zip(places, (_y(value, values) for value in line.high), strict=True))
            lower = list(zip(places, (_y(value, values) for value in line.low), strict=True))
            parts.append(f'<polygon class="band" points="{_points(upper + lower[::-1])}"/>')
        heights = [_y(value, values) for value in line.values]
        parts.append(f'<polyline class="line{" second" if number else ""}" points="{_points(list(zip(places, heights, strict=True)))}"/>')
        if len(places) <= POINTS_MARKED:
            dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(places, heights, strict=True))
            parts.append(f'<path class="points{" second" if number else ""}" d="{dots}"/>')
        parts += _targets(line, places)
    return Markup(
        f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" '
        f'preserveAspectRatio="none" focusable="false">{"".join(parts)}</svg>'
    )


def _x(step: float, steps: Scale) -> float:
    return round((step - steps.low) / (steps.high - steps.low) * WIDTH, 2)


def _y(value: float, values: Scale) -> float:
    share = (value - values.low) / (values.high - values.low)
    return round((1 - min(max(share, 0.0), 1.0)) * (HEIGHT - 2) + 1, 2)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _targets(line: Curve, places: Sequence[float]) -> Iterator[str]:
    """What a pointer finds: each point's figures."""
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(places)), WIDTH]
    for left, right, step, value in zip(edges[:-1], edges[1:], line.steps, line.values, strict=True):
        text = f"step {step:,.0f}: {line.name} {number(value)}"
        yield (
            f'<rect class="hit" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{HEIGHT:g}"><title>{escape(text)}</title></rect>'
        )


def number(value: float) -> str:
    """Three significant digits, at most four decimals; something that is no number (a loss gone astray) by its name.

    >>> number(0.91234), number(12.3456), number(2.5e-4), number(float("nan")), number(0)
    ('0.912', '12.3', '0.00025', 'nan', '0')
    """
    if not isfinite(value):
        return str(value)
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - floor(log10(abs(value))))}f}" if abs(value) >= 0.01 else f"{value:.3g}"


# --- a matrix of errors ----------------------------------------------------------------------------------------------
def heat_map(table: Confusion, *, label: str) -> Markup:
    """Counts by gold (rows) and answered (columns) class; shade: share of the row. Classes without any row are left out."""
    asked = [i for i in range(len(table.classes)) if sum(table.counts[i]) or any(row[i] for row in table.counts)]
    said = asked + ([len(table.classes)] if any(row[-1] for row in table.counts) else [])
    names = [*table.classes, "no answer"]
    slanted = len(asked) > 6
    cell = 31.0 if slanted else max(46, max(len(names[i]) for i in said) * LETTER + 8)
    left = max(len(names[i]) for i in asked) * LETTER + 44
    top = max(len(names[i]) for i in said) * LETTER * 0.78 + 14 if slanted else 20.0
    width = left + cell * len(said) + (top * 0.8 if slanted else 8)
    height = top + cell * len(asked) + 2
    parts = [*_column_names([names[i] for i in said], left=left, top=top, cell=cell, slanted=slanted)]
    for y, gold in enumerate(asked):
        parts += _row(table, gold, said, place=(left, top + y * cell), cell=cell)
    return Markup(
        f'<svg class="matrix" role="img" aria-label="{escape(label)}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" focusable="false">{"".join(parts)}</svg>'
    )


def _column_names(names: Sequence[str], *, left: float, top: float, cell: float, slanted: bool) -> Iterator[str]:
    for x, name in enumerate(names):
        middle = left + (x + 0.5) * cell
        if slanted:
            yield f'<text class="name" transform="translate({middle:.1f} {top - 6:.1f}) rotate(-50)">{escape(name)}</text>'
        else:
            yield f'<text class="name middle" x="{middle:.1f}" y="{top - 7:.1f}">{escape(name)}</text>'


def _row(table: Confusion, gold: int, said: Sequence[int], *, place: tuple[float, float], cell: float) -> Iterator[str]:
    left, top = place
    counts, total = table.counts[gold], sum(table.counts[gold])
    middle = top + cell / 2 + 4
    yield f'<text class="name end" x="{left - 40:.1f}" y="{middle:.1f}">{escape(table.classes[gold])}</text>'
    yield f'<text class="total end" x="{left - 8:.1f}" y="{middle:.1f}">{total}</text>'
    for x, answer in enumerate(said):
        share = counts[answer] / total if total else 0.0
        name = "right" if answer == gold else "wrong"
        at = left + x * cell
        yield f'<rect class="cell {name}" x="{at + 0.5:.1f}" y="{top + 0.5:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}"/>'
        if counts[answer]:
            said_name = table.classes[answer] if answer < len(table.classes) else "no answer"
            text = f"{table.classes[gold]} answered as {said_name}: {counts[answer]} of {total} ({share:.0%})"
            shade, size = 0.1 + 0.9 * share, f'width="{cell - 3:g}" height="{cell - 3:g}"'
            yield f"<g><title>{escape(text)}</title>"
            yield f'<rect class="fill {name}" fill-opacity="{shade:.2f}" x="{at + 1.5:.1f}" y="{top + 1.5:.1f}" {size}/>'
            ink = " on" if shade >= DARK else ""
            yield f'<text class="count middle{ink}" x="{at + cell / 2:.1f}" y="{middle:.1f}">{counts[answer]}</text></g>'


# --- calibration -----------------------------------------------------------------------------------------------------
def calibration(bins: Sequence[Bin], *, label: str) -> Markup:
    """What came true against what was promised, per bin with its 95 % interval; below, how many rows each bin has."""
    size, left, top, bars = 220.0, 34.0, 8.0, 34.0
    base, most = top + size + 8 + bars, max((one.rows for one in bins), default=0)

    def x(share: float) -> float:
        return left + share * size

    def y(share: float) -> float:
        return top + (1 - share) * size

    parts = [f'<line class="grid" x1="{left:g}" y1="{y(v):g}" x2="{left + size:g}" y2="{y(v):g}"/>' for v in (0.25, 0.5, 0.75, 1.0)]
    parts += [f'<text class="tick end" x="{left - 5:g}" y="{y(v) + 4:g}">{v:.2g}</text>' for v in (0, 0.5, 1)]
    parts += [f'<text class="tick middle" x="{x(v):g}" y="{base + 13:g}">{v:.2g}</text>' for v in (0, 0.5, 1)]
    parts += [f'<line class="axis" x1="{left:g}" y1="{h:g}" x2="{left + size:g}" y2="{h:g}"/>' for h in (y(0), base)]
    parts.append(f'<line class="diagonal" x1="{x(0):g}" y1="{y(0):g}" x2="{x(1):g}" y2="{y(1):g}"/>')
    for one in bins:
        if one.rows:
            low, high = wilson(round(one.right * one.rows), one.rows, z=Z_95)
            at, tall, wide = x(one.probability), max(bars * one.rows / most, 1), size / len(bins) - 2
            said = f"{one.low:.2f} to {one.high:.2f}: {one.rows} rows, promised {one.probability:.0%}, right {one.right:.0%}"
            parts.append(f"<g><title>{escape(said)}</title>")
            parts.append(f'<line class="whisker" x1="{at:.1f}" y1="{y(low):.1f}" x2="{at:.1f}" y2="{y(high):.1f}"/>')
            parts.append(f'<circle class="dot" cx="{at:.1f}" cy="{y(one.right):.1f}" r="3.5"/>')
            parts.append(f'<rect class="bar" x="{x(one.low) + 1:.1f}" y="{base - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}"/></g>')
    return Markup(
        f'<svg class="calibration" role="img" aria-label="{escape(label)}" width="{left + size + 10:g}" height="{base + 18:g}" '
        f'viewBox="0 0 {left + size + 10:g} {base + 18:g}" focusable="false">{"".join(parts)}</svg>'
    )


# --- intervals ---------------------------------------------------------------------------------------------------------
def whisker(shown: Figure, *, low: float, high: float, zero: bool = False) -> Markup:
    """A value with its interval on a line from `low` to `high`, with a mark at 0 if asked for; the figures stand beside it."""

    def x(value: float) -> float:
        return min(max((value - low) / (high - low), 0.0), 1.0) * 100

    parts = ['<line class="track" x1="0" y1="7" x2="100" y2="7"/>']
    if zero:
        parts.append(f'<line class="zero" x1="{x(0):.1f}" y1="0" x2="{x(0):.1f}" y2="14"/>')
    parts.append(f'<line class="whisker" x1="{x(shown.low):.1f}" y1="7" x2="{x(shown.high):.1f}" y2="7"/>')
    parts.append(f'<line class="value" x1="{x(shown.value):.1f}" y1="3" x2="{x(shown.value):.1f}" y2="11"/>')
    return Markup(
        f'<svg class="interval" aria-hidden="true" viewBox="0 0 100 14" preserveAspectRatio="none" focusable="false">{"".join(parts)}</svg>'
    )
