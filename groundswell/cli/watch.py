"""Commands over what is watched: watch save, add, list, remove."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from groundswell.watches import Watches

COLUMNS: Final = ["what", "name", "series", "query", "weight", "owner"]
REFUSED_SHOWN: Final = 20


@click.group(cls=Group)
def watch() -> None:
    """What is watched: searches that are counted as series of their own, and companies with exposure and owner.

    Each change is a version of the live run: it comes into force a minute ahead, in one tick for every worker, and is counted from
    then on. `groundswell versions list` shows them all.
    """


@watch.command(epilog=example("groundswell watch save queues 'company:SVB (queue OR \"bank run\")'"))
@click.argument("name")
@click.argument("query", nargs=-1, required=True)
@o.store_option
def save(name: str, query: tuple[str, ...], store_url: str | None) -> None:
    """Save a search as the series watch:NAME; one of that name is replaced. `groundswell search QUERY` shows what it finds so far."""
    from groundswell.store.audit import SEARCH_SAVED

    text = " ".join(query)
    _change(store_url, lambda watches: watches.saving(name, text, ids_of=o.company_ids()), SEARCH_SAVED, f"{name}: {text}")


@watch.command(epilog=example("groundswell watch add companies.csv"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.csv")
@o.store_option
def add(file: Path, store_url: str | None) -> None:
    """Watch the companies of a CSV file with the columns company, weight and owner.

    A company is an id or a name of the catalogue, its weight your exposure. One that is watched already gets the new weight and owner.
    Lines that cannot be used are named with their reasons, the others are taken. Exit code 1: there was such a line.
    """
    from groundswell.store.audit import WATCHED
    from groundswell.watches import read_companies

    with file.open(encoding="utf-8-sig", newline="") as lines:
        taken, refused = read_companies(lines, ids_of=o.company_ids(), near=o.near_companies())
    for line in refused[:REFUSED_SHOWN]:
        click.echo(f"{file.name}, {line}", err=True)
    if len(refused) > REFUSED_SHOWN:
        click.echo(f"{file.name}: {len(refused) - REFUSED_SHOWN} more lines like these", err=True)
    click.echo(f"{len(taken)} companies taken, {len(refused)} lines not")
    if taken:
        _change(store_url, lambda watches: watches.watching(taken), WATCHED, f"taken {len(taken)}, not taken {len(refused)}")
    if refused:
        sys.exit(1)


@watch.command("list", epilog=example("groundswell watch list"))
@o.run_option
@o.listing_options
@o.store_option
def list_watches(run: str | None, form: str, output: str | None, store_url: str | None) -> None:
    """Print the newest version: saved searches, then companies, greatest exposure first."""
    from groundswell.store.query import run_named
    from groundswell.store.watches import newest_watches
    from groundswell.watches import watch_rows

    with o.open_store(store_url).read() as connection:
        watches, _ = newest_watches(connection, run_named(connection, run))
    o.print_rows(watch_rows(watches), form=form, output=output, columns=COLUMNS)


@watch.command(epilog=example("groundswell watch remove queues SVB"))
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@o.store_option
def remove(names: tuple[str, ...], store_url: str | None) -> None:
    """Watch saved searches or companies no longer. What was counted stays."""
    from groundswell.store.audit import WATCHED_NO_LONGER

    _change(store_url, lambda watches: watches.without(names), WATCHED_NO_LONGER, ", ".join(names))


def _change(store_url: str | None, change: "Callable[[Watches], Watches]", what: str, detail: str) -> None:
    """Change the list and say so in the audit log, in one transaction."""
    from groundswell.clock import SystemClock
    from groundswell.store.audit import note
    from groundswell.store.watches import change_watches

    store, now_ms = o.open_store(store_url), SystemClock().now_ms()
    with store.write() as connection:
        watches, rows = change_watches(store, connection, change, now_ms=now_ms)
        if rows:
            note(store, connection, o.entry(what, detail, now_ms=now_ms))
    for row in rows:
        click.echo(f"{row.kind} {row.hash}: in force from {iso(row.effective_ms)}")
    if not rows:
        click.echo(f"watches {watches.hash}: nothing to do, this is watched already")
