"""Commands over the months of the live run: months list, prepare, drop."""

from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso

if TYPE_CHECKING:
    from groundswell.store.months import Month
    from groundswell.store.store import Store

LIST_COLUMNS: Final = ["month", "records", "increments", "stories", "partition", "dropped"]


@click.group(cls=Group)
def months() -> None:
    """Months of known time of the live run: what old rows are deleted by. Other runs go as a whole: `groundswell runs drop`."""


@months.command("list", epilog=example("groundswell months list"))
@o.listing_options
@o.store_option
def list_months(form: str, output: str | None, store_url: str | None) -> None:
    """Every month: its rows, whether PostgreSQL has partitions for it, and when it was dropped. Counts every row."""
    from groundswell.store.month_rows import month_rows

    with o.open_store(store_url).read() as connection:
        rows = month_rows(connection)
    o.print_rows(rows, form=form, output=output, columns=LIST_COLUMNS)


@months.command(epilog=example("groundswell months prepare --ahead 6"))
@click.option("--ahead", type=click.IntRange(1, 24), default=3, show_default=True, help="Months after this one.")
@o.store_option
def prepare(ahead: int, store_url: str | None) -> None:
    """Make the partitions of this month and of those ahead, and of every month of which rows came before theirs were made.

    PostgreSQL only, as the owner of the tables; once a month, by cron or a systemd timer. Can be run any number of times.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.months import Month
    from groundswell.store.partitions import prepare_months

    store = o.open_store(store_url)
    if store.is_sqlite:
        click.echo("SQLite has no partitions: nothing to prepare.")
        return
    made = prepare_months(store, Month.at(SystemClock().now_ms()), ahead=ahead)
    click.echo(f"made: {', '.join(month.name for month in made)}" if made else "all months are there.")


@months.command(epilog=example("groundswell months drop --keep 24 --dry-run"))
@click.option("--before", metavar="MONTH", help="The first month that stays, such as 2025-11.")
@click.option("--keep", type=click.IntRange(1, 1_200), metavar="N", help="Keep this month and the N before it.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@o.store_option
def drop(before: str | None, keep: int | None, dry_run: bool, yes: bool, store_url: str | None) -> None:
    """Delete what the live run holds of the months before MONTH, and the texts that no run needs any more.

    What became of their records stays as counts, so the balance is what it was; alerts, decisions and whatever people did or said stay.
    An alert whose rows are gone cannot be made again by `explain`, which says so. Can be stopped and goes on with the same command.
    PostgreSQL: as the owner of the tables.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.drop_months import drop_month, months_to_drop
    from groundswell.store.months import Month
    from stream.shells.rebuild import LOOKS_BACK_MS

    if (before is None) == (keep is None):
        reason = "give either --before 2025-11 or --keep 24"
        raise click.UsageError(reason)
    now_ms = SystemClock().now_ms()
    first = Month.named(before, place="--before") if before is not None else Month.at(now_ms).after(-(keep or 0))
    store = o.open_store(store_url)
    with store.read() as connection:
        found = months_to_drop(connection, first, needed_ms=LOOKS_BACK_MS)
    if not found:
        click.echo(f"nothing of the live run lies before {first.name}.")
        return
    _say(store, found)
    if dry_run:
        return
    if not yes:
        click.confirm(f"Delete these months of the live run in {store.shown}?", abort=True)
    for month in found:
        rows = drop_month(store, month, now_ms=SystemClock().now_ms())
        shown = ", ".join(f"{number:,} of {table}" for table, number in rows.items())
        click.echo(f"{month.name} dropped" + (f": {shown}" if shown else ""))


def _say(store: "Store", found: "list[Month]") -> None:
    from groundswell.store.month_rows import month_rows

    with store.read() as connection:
        rows: list[dict[str, Any]] = [row for row in month_rows(connection) if row["month"] in {month.name for month in found}]
    o.print_rows(rows, form="table", output=None, columns=LIST_COLUMNS)
    click.echo(f"These lie before {iso(found[-1].end_ms)}.")
