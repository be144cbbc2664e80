"""Commands over what people said: the report of a month, and labels for the next model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from alerts.tally import Event
    from groundswell.quality import Figure, MonthFacts
    from groundswell.store.months import Month

COLUMNS: Final = ["figure", "group", "value", "low", "high", "cases", "before", "note"]


@click.group(cls=Group)
def quality() -> None:
    """How good the alerts were, by what people did and said."""


@quality.command(epilog=example("groundswell quality report --month 2026-11 --format csv -o november.csv"))
@click.option("--month", metavar="YYYY-MM", help="Which, in known time and UTC.  [default: the last one that the run has reached]")
@click.option(
    "--incidents",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Events that happened, as CSV: series,start,end,name and public; for the lead time.",
)
@o.listing_options
@o.run_option
@o.store_option
def report(month: str | None, incidents: Path | None, form: str, output: str | None, run: str | None, store_url: str | None) -> None:
    """The figures of a month: alerts, precision, pings, answers, misses, lags, wrong readings, blindness, balance.

    Shares have a 90 % interval (Wilson) and are "not enough data" below 10 cases; before: the same figure of the month before.
    With --incidents also how many of the listed events were told, and how long after they were public (below zero: before).
    """
    from groundswell.cli.rehearse import listed_events
    from groundswell.quality import figures_of
    from groundswell.store.months import Month
    from groundswell.store.quality import read_month
    from groundswell.store.query import run_named, span_of

    with o.open_store(store_url).read() as connection:
        chosen = run_named(connection, run)
        asked = Month.named(month, place="--month") if month else Month.at(max(span_of(connection, chosen)[1] - 1, 0))
        log, events = o.live_log(chosen), listed_events(incidents) if incidents else None
        now, earlier = (
            figures_of(
                _led(connection, chosen, read_month(connection, chosen, start_ms=of.begin_ms, end_ms=of.end_ms, log=log), events, of)
            )
            for of in (asked, asked.after(-1))
        )
    before = {(figure.name, figure.group): figure.value for figure in earlier}
    o.print_rows((_row(figure, before) for figure in now), form=form, output=output, columns=COLUMNS)


def _led(connection: "Connection", run: str, counted: "MonthFacts", events: "list[Event] | None", month: "Month") -> "MonthFacts":
    """The counts of a month with what became of the listed events that began in it; one that was told in the next month was told."""
    from alerts.tally import Ping, leads_ms
    from groundswell.store.query import alerts_of

    if events is None:
        return counted
    mine = [event for event in events if month.begin_ms <= event.start_ms < month.end_ms]
    until_ms = max((event.end_ms for event in mine), default=month.end_ms)
    pings = [Ping(a.opened_ms, frozenset(a.all_series)) for a in alerts_of(connection, run, start_ms=month.begin_ms, end_ms=until_ms)]
    return replace(counted, listed=len(mine), leads_ms=leads_ms(mine, pings))


def _row(figure: "Figure", before: dict[tuple[str, str], float | None]) -> dict[str, Any]:
    return {
        "figure": figure.name,
        "group": figure.group,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "cases": figure.cases,
        "before": before.get((figure.name, figure.group)),
        "note": figure.note,
    }


@click.group(cls=Group)
def labels() -> None:
    """What people said, as labelled texts for the next model."""


@labels.command(epilog=example("groundswell labels export labelled/ --verdicts"))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
@click.option("--verdicts", is_flag=True, help="Also the documents that alerts judged true rest on, as negative: weak labels.")
@o.run_option
@o.store_option
def export(folder: Path, verdicts: bool, run: str | None, store_url: str | None) -> None:
    """Write what people corrected to FOLDER, as JSON lines that a training recipe can name, and labels.toml with the lines that name them.

    Only texts that are stored are written; what is left out is counted with its reason. Check them before training:
    `groundswell data check DATA_DIR --recipe FOLDER/labels.toml`.
    """
    from groundswell.store.query import run_named
    from models.labels import RECIPE, export_labels

    with o.open_store(store_url).read() as connection:
        made = export_labels(connection, run_named(connection, run), folder, verdicts=verdicts)
    for name, lines in made.files.items():
        click.echo(f"{folder / name}: {lines:,} texts")
    click.echo(f"{folder / RECIPE}: {len(made.files)} tables [[data.user]]; add them to a training recipe, see docs/training.md")
    for reason, documents in made.left_out.items():
        click.echo(f"left out: {documents:,}: {reason}", err=True)
