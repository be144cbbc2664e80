"""The three kinds of panel, in the words of those who lay out a dashboard: a chart over time, a figure, a table."""

from dashboards.grafana.model import Column, Panel, Query, Step


def chart(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    stacked: bool = False,
    top: float | None = None,
    interval: str = "",
    steps: tuple[Step, ...] = (),
) -> Panel:
    """Values over time; half a line wide. Arguments as of `model.Panel`."""
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        queries=queries,
        unit=unit,
        width=width,
        stacked=stacked,
        top=top,
        interval=interval,
        steps=steps,
    )


def figure(title: str, description: str, query: Query, *, unit: str = "none", width: int = 6, steps: tuple[Step, ...] = ()) -> Panel:
    """One number, or a few, as they are now; a quarter of a line wide."""
    return Panel(kind="stat", title=title, description=description, queries=(query,), unit=unit, width=width, height=4, steps=steps)


def table(title: str, description: str, query: Query, *, columns: tuple[Column, ...] = (), width: int = 12, height: int = 8) -> Panel:
    """Rows; half a line wide. A column that is not named is shown as it comes."""
    return Panel(
        kind="table", title=title, description=description, queries=(query,), unit="none", width=width, height=height, columns=columns
    )


def wrong_from(limit: float) -> tuple[Step, ...]:
    """Green below the limit, red from it on."""
    return Step("green", 0), Step("red", limit)
