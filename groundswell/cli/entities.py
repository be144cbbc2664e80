"""The company catalogue: what it holds, and what it finds in a text and why."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example

if TYPE_CHECKING:
    from models.entities import Catalogue, Entity

LIST_COLUMNS: Final = ["entity_id", "name_en", "name_zh", "sector", "country", "tickers", "aliases"]
TEST_COLUMNS: Final = ["line", "text", "start", "end", "entity_id", "name", "rule", "verdict"]


@click.group(cls=Group)
def entities() -> None:
    """The companies, banks, exchanges and institutions that opinion is followed for, and their names.

    The shipped catalogue and the files of the setting companies.extra. docs/catalogue.md says how a name is found.
    """


@entities.command("list", epilog=example("groundswell entities list --sector bank --country CN"))
@click.option("--sector", metavar="NAME", help="Only this sector, such as bank.")
@click.option("--country", metavar="CODE", help="Only this country of the seat, such as US or CN.")
@click.option("--search", metavar="TEXT", help="Only those with this in their id, a name or a ticker, whatever its case.")
@o.listing_options
def list_entities(sector: str | None, country: str | None, search: str | None, form: str, output: str | None) -> None:
    """Every company of the catalogue; without a filter that is thousands of rows."""
    from models.entities import AS_OF

    catalogue = _catalogue()
    rows = [_row(entity) for entity in catalogue.entities.values() if _fits(entity, sector, country, search)]
    o.print_rows(rows, form=form, output=output, columns=LIST_COLUMNS)
    click.echo(f"{len(rows):,} of {len(catalogue.entities):,}; names and tickers as of {AS_OF}; catalogue {catalogue.hash}", err=True)


@entities.command("test", epilog=example("groundswell entities test 'Credit Suisse shares fall'"))
@click.argument("text")
@o.listing_options
def test_text(text: str, form: str, output: str | None) -> None:
    """Show what the catalogue finds in TEXT, which of its names it sees and sets aside, and why.

    TEXT - reads standard input, each line a text. Offsets are in characters, [start, end). A name inside a longer word is not
    even seen.
    """
    rows = _traced(sys.stdin if text == "-" else [text])
    o.print_rows(rows, form=form, output=output, columns=TEST_COLUMNS)


def _traced(lines: Any) -> Iterator[dict[str, Any]]:
    from models.entity_trace import trace

    catalogue = _catalogue()
    for number, line in enumerate(lines, start=1):
        for one in trace(catalogue, line.rstrip("\r\n")):
            yield {
                "line": number,
                "text": one.text,
                "start": one.start,
                "end": one.end,
                "entity_id": one.entity_id,
                "name": one.name,
                "rule": one.rule,
                "verdict": f"no: {one.rejected}" if one.rejected else "found",
            }


def _row(entity: "Entity") -> dict[str, Any]:
    return {
        "entity_id": entity.entity_id,
        "name_en": entity.name_en,
        "name_zh": entity.name_zh or None,
        "sector": entity.sector or None,
        "country": entity.country or None,
        "tickers": " ".join(entity.tickers) or None,
        "aliases": "|".join(entity.aliases) or None,
    }


def _fits(entity: "Entity", sector: str | None, country: str | None, search: str | None) -> bool:
    from models.entities import fold

    if sector is not None and entity.sector != sector.lower():
        return False
    if country is not None and entity.country != country.upper():
        return False
    names = (entity.entity_id, entity.name_en, entity.name_zh, *entity.aliases, *entity.tickers)
    return search is None or any(fold(search) in fold(name) for name in names)


def _catalogue() -> "Catalogue":
    from models.entities import Catalogue

    return Catalogue.load(extra=[Path(name) for name in o.settings().companies.extra])
