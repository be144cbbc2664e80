"""Commands over the source catalogue: sources list, health."""

from typing import Final

import click

from groundswell.cli import options as o
from groundswell.cli.source_health import health

LIST_COLUMNS: Final = ["source", "type", "kind", "owner", "tier", "checked", "url"]


@click.group()
def sources() -> None:
    """The sources that are read: which there are, and how they do."""


@sources.command("list")
@o.listing_options
def list_sources(form: str, output: str | None) -> None:
    """Every source of the catalogue, switched off or not."""
    from ingest.catalogue import load_catalogue

    rows = (
        {"source": s.name, "type": s.type, "kind": s.kind, "owner": s.owner, "tier": s.tier, "checked": s.checked, "url": s.url}
        for s in load_catalogue(o.settings().catalogue.extra, disabled=True)
    )
    o.print_rows(rows, form=form, output=output, columns=LIST_COLUMNS)


sources.add_command(health)
