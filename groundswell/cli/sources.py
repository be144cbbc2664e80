"""Commands over the source catalogue: sources list, check."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o

if TYPE_CHECKING:
    from ingest.catalogue import Source

LIST_COLUMNS: Final = ["source", "enabled", "type", "kind", "language", "region", "role", "tier", "owner", "rhythm", "checked", "url"]


@click.group()
def sources() -> None:
    """The sources that are read: which there are, and how they do."""


@sources.command("list")
@click.option("--kind", help="Only news, report, filing or comment.")
@click.option("--language", metavar="CODE", help="Only this language: en, zh.")
@click.option("--region", metavar="CODE", help='Only this region: US, CN, EU, "world".')
@click.option("--tier", type=click.IntRange(1, 4), help="Only this tier: 1 official, 2 established press, 3 other press, 4 forums.")
@click.option("--enabled/--disabled", default=None, help="Only those that are switched on, or off.")
@o.listing_options
def list_sources(
    kind: str | None, language: str | None, region: str | None, tier: int | None, enabled: bool | None, form: str, output: str | None
) -> None:
    """Every source of the catalogue, switched off or not.

    checked: the day on which it was last seen to work. Other formats also say the licence, where the address is documented, and
    why a source is switched off.
    """
    from ingest.catalogue import load_catalogue

    wanted = {"kind": kind, "language": language, "region": region, "tier": tier, "enabled": enabled}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    found = load_catalogue(o.settings().catalogue.extra, disabled=True)
    rows = (_row(source) for source in found if all(getattr(source, name) == value for name, value in wanted.items()))
    columns = LIST_COLUMNS if form == "table" else [*LIST_COLUMNS, *_MORE]
    o.print_rows(rows, form=form, output=output, columns=columns)


_MORE: Final = ("licence", "may_store_text", "may_redistribute", "documented", "note", "why_disabled")


def _row(source: "Source") -> dict[str, Any]:
    names = (*LIST_COLUMNS[1:], *_MORE)
    return {"source": source.name} | {name: getattr(source, name) for name in names}


@sources.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
def check(files: tuple[Path, ...]) -> None:
    """Check catalogue files, without asking anybody: the shipped one, those of catalogue.extra, and FILEs after them.

    Names, addresses and owners that stand twice, fields that do not exist, values that cannot be, licences that nobody has written
    down. Exit code 1 when something is wrong: file, entry, field and rule of each.
    """
    from ingest.catalogue import SHIPPED
    from ingest.catalogue_check import problems_of

    paths = [SHIPPED, *(Path(extra) for extra in o.settings().catalogue.extra), *files]
    found = problems_of(paths)
    for problem in found:
        click.echo(str(problem))
    if found:
        sys.exit(1)
    click.echo(f"{len(paths)} file{'s' if len(paths) > 1 else ''}, nothing wrong")
