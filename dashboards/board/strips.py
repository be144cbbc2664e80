"""Drawings of the panels: a company's day as a strip of panes, and a series in the band of its peers. SVG, as in charts.py.

A strip: a mark for each pane of five minutes in which something was said, the redder the more of it is negative; hatched where sources
were missing, grey while no baseline has formed, dashed while the pane is filling.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup, escape

from dashboards.board.charts import sight
from dashboards.board.words import Clock, count, percent
from groundswell.names import HOUR_MS, PANE_MS
from groundswell.store.panels.heat import PANES, HeatPane, HeatRow, first_pane
from groundswell.store.panels.rivals import RivalRow

HEIGHT: Final = 18
STEPS: Final = (1, 2, 4)
"""Negative documents of a pane from which on it is shown one step redder."""

WIDTH, TALL = 640.0, 150.0


def heat_class(negative: int) -> str:
    """How red a pane is.

    >>> [heat_class(number) for number in (0, 1, 2, 3, 4, 90)]
    ['heat0', 'heat1', 'heat2', 'heat2', 'heat3', 'heat3']
    """
    return f"heat{sum(negative >= step for step in STEPS)}"


def strip(
    row: HeatRow, title: str, *, known_ms: int, exposures: Mapping[int, int], forming: tuple[int, int] | None, clock: Clock
) -> Markup:
    """A company's last 24 hours.

    Args:
        row: what is drawn.
        title: of the company.
        known_ms: end of the 24 hours.
        exposures: {hour: share of the usual volume that was seeing, ppm}, of closed hours.
        forming: `[start, end)` in which baselines form.
        clock: for the hover texts.
    """
    start_ms = first_pane(known_ms) * PANE_MS
    end_ms = start_ms + PANES * PANE_MS
    parts = []
    if forming is not None and max(forming[0], start_ms) < min(forming[1], end_ms):
        left, right = (_place(ms, start_ms) for ms in (max(forming[0], start_ms), min(forming[1], end_ms)))
        parts.append(f'<rect class="forming" x="{left:g}" y="0" width="{right - left:g}" height="{HEIGHT}"/>')
    parts += [_pane(pane, start_ms, clock) for pane in row.panes]
    parts += _hatches(exposures, start_ms, end_ms, clock)
    said = clock.say(
        "{title}: {documents} documents in 24 h, {negative} of them negative",
        title=title, documents=count(row.documents), negative=count(row.negative),
    )  # fmt: skip
    return Markup(
        f'<svg class="strip" role="img" aria-label="{escape(said)}" viewBox="0 0 {PANES} {HEIGHT}" preserveAspectRatio="none" '
        f'focusable="false">{"".join(parts)}</svg>'
    )


def _titled(look: str, left: float, width: float, height: float, said: str) -> str:
    """A rectangle that says something when it is pointed at."""
    return f'<rect {look} x="{left:g}" y="0" width="{width:g}" height="{height:g}"><title>{escape(said)}</title></rect>'


def _place(ms: int, start_ms: int) -> float:
    return round(min(max((ms - start_ms) / PANE_MS, 0), PANES), 2)


def _pane(pane: HeatPane, start_ms: int, clock: Clock) -> str:
    name = heat_class(pane.negative) + ("" if pane.complete else " open")
    said = clock.say("{negative} of {documents} negative", negative=pane.negative, documents=pane.documents)
    said = clock.words("; ").join([clock.span(pane.start_ms, pane.start_ms + PANE_MS), said])
    if not pane.complete:
        said = clock.words("; ").join([said, clock.words("still filling")])
    return _titled(f'class="{name}"', _place(pane.start_ms, start_ms), 1, HEIGHT, said)


def _hatches(exposures: Mapping[int, int], start_ms: int, end_ms: int, clock: Clock) -> list[str]:
    made = []
    for hour in range(start_ms // HOUR_MS, -(-end_ms // HOUR_MS)):
        share = exposures.get(hour)
        pattern = sight(None if share is None else share / 1e6)
        if pattern and share is not None:
            left, right = (_place(ms, start_ms) for ms in (hour * HOUR_MS, (hour + 1) * HOUR_MS))
            said = clock.say("{share} of the usual volume was seeing", share=percent(share / 1e6))
            made.append(_titled(f'fill="url(#{pattern})"', left, right - left, HEIGHT, said))
    return made


def strip_axis(known_ms: int, clock: Clock) -> list[str]:
    """Labels of a strip, four hours apart."""
    start_ms = first_pane(known_ms) * PANE_MS
    return clock.ticks([start_ms + n * 4 * HOUR_MS for n in range(6)], step_ms=4 * HOUR_MS)


# --- peers -------------------------------------------------------------------------------------------------------------------------
def band(rows: Sequence[RivalRow], title: str, clock: Clock) -> Markup:
    """A series' weeks as a line, in the middle half of its peers as a band.

    Args:
        rows: weeks, ascending, and the last 24 hours, which stand by themselves.
        title: of the series.
        clock: for the hover texts.
    """
    step = WIDTH / max(1, len(rows))
    parts = [
        f'<line class="{"axis" if share == 0 else "grid"}" x1="0" y1="{_y(share):g}" x2="{WIDTH:g}" y2="{_y(share):g}"/>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    lows, medians, highs, own = (
        _runs([getattr(row, name) for row in rows], step) for name in ("peer_low", "peer_median", "peer_high", "share")
    )
    parts += [f'<polygon class="peers" points="{_points([*high, *reversed(low)])}"/>' for low, high in zip(lows, highs, strict=True)]
    parts += [f'<polyline class="baseline" fill="none" points="{_points(run)}"/>' for run in medians]
    parts += [f'<polyline class="line" points="{_points(run)}"/>' for run in own]
    parts += [_titled('class="hit"', n * step, step, TALL, rival_text(row, clock)) for n, row in enumerate(rows)]
    said = clock.say(
        "{title}: negative share by weeks, in the last 24 hours {share}; median of the peers {median}",
        title=title, share=percent(rows[-1].share), median=percent(rows[-1].peer_median),
    )  # fmt: skip
    return Markup(
        f'<svg class="chart" role="img" aria-label="{escape(said)}" viewBox="0 0 {WIDTH:g} {TALL:g}" preserveAspectRatio="none" '
        f'focusable="false">{"".join(parts)}</svg>'
    )


def rival_text(row: RivalRow, clock: Clock) -> str:
    """One span in words."""
    said = [clock.span(row.start_ms, row.end_ms)]
    said.append(
        clock.say(
            "{share} negative, {negative} of {stories} stories",
            share=percent(row.share),
            negative=row.negative_stories,
            stories=row.stories,
        )
    )
    if row.peer_median is None:
        said.append(clock.say("{number} peers were spoken of enough, too few", number=row.peers))
    else:
        shares = {"median": percent(row.peer_median), "low": percent(row.peer_low), "high": percent(row.peer_high)}
        said.append(clock.say("{number} peers: median {median}, middle half {low} to {high}", number=row.peers, **shares))
    return clock.words("; ").join(said)


def _y(share: float) -> float:
    return round((1 - share) * (TALL - 2) + 1, 2)


def _runs(values: Sequence[float | None], step: float) -> list[list[tuple[float, float]]]:
    """Places of neighbouring values; between them nothing was measured. The last one is a run of its own; one alone is a short line."""
    runs: list[list[tuple[float, float]]] = [[]]
    for n, value in enumerate(values):
        if value is None or n == len(values) - 1:
            runs.append([])
        if value is not None:
            runs[-1].append((n * step + step / 2, _y(value)))
    half = step * 0.4
    return [run if len(run) > 1 else [(run[0][0] - half, run[0][1]), (run[0][0] + half, run[0][1])] for run in runs if run]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
