"""The command that looks for documents."""

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example


@click.command(epilog=example("groundswell search '(default OR \"missed payment\") company:SVB NOT kind:comment' --from 2026-11-01"))
@click.argument("query", nargs=-1, metavar="QUERY")
@click.option("--from", "start", metavar="TIME", help="Published at or after.")
@click.option("--to", "end", metavar="TIME", help="Published before; a bare day counts whole.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Results at most.")
@click.option("--below", type=int, metavar="PLACE", help="Go on below this place, which the page before has named.")
@o.listing_options
@o.run_option
@o.store_option
def search(
    query: tuple[str, ...],
    start: str | None,
    end: str | None,
    limit: int,
    below: int | None,
    form: str,
    output: str | None,
    run: str | None,
    store_url: str | None,
) -> None:
    """Find documents of a run, the newest publication first.

    QUERY has words, "phrases", AND, OR, NOT, brackets, and the fields company:, topic:, source:, kind:, language:, sentiment:, from:
    and to:. Words beside each other must all be there. Quote it from the shell.

    A company is an id of the catalogue or a name that it knows. Exit code 1: nothing was found.
    """
    import sys
    from dataclasses import replace

    from groundswell.exports import DOCUMENT_COLUMNS
    from groundswell.search import companies_of, parse, with_companies
    from groundswell.store.query import run_named
    from groundswell.store.tables import document_rows

    asked = parse(" ".join(query))
    from_ms, to_ms = o.span_ms(start, end)
    asked = replace(asked, from_ms=asked.from_ms if from_ms is None else from_ms, to_ms=asked.to_ms if to_ms is None else to_ms)
    with o.open_store(store_url).read() as connection:
        name = run_named(connection, run)
        rows, next_below = document_rows(connection, name, with_companies(asked, o.company_ids()), limit=limit, below=below)
    shown = o.print_rows(rows, form=form, output=output, columns=DOCUMENT_COLUMNS if form != "table" else DOCUMENT_COLUMNS[:7])
    if next_below is not None:
        click.echo(f"There are more: add --below {next_below}", err=True)
    if not shown:
        for company in companies_of(asked):
            if not o.company_ids()(company):
                near = ", ".join(o.near_companies()(company))
                hint = f"; near: {near}" if near else ", `groundswell entities list` prints those there are"
                click.echo(f"company:{company}: no company is called so{hint}", err=True)
        click.echo(f"Nothing in run {name} was found by this query.", err=True)
        sys.exit(1)
