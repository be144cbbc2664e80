"""Commands over training data: data check."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswell.cli.groups import Group, example
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from models.data_check import Facts, Leak, Portion, Report, Spot

PIPE_WIDTH = 160  # characters of a line where there is no terminal to ask
LEAKS_SHOWN = 3  # lines of each pair of sets
CONFLICTS_SHOWN = 20


@click.group(cls=Group)
def data() -> None:
    """Look at training data before it is trained on."""


@data.command(epilog=example("groundswell data check data/ --recipe my-recipe.toml"))
@click.argument("folder", type=click.Path(path_type=Path), metavar="DATA_DIR")
@click.option(
    "--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Training recipe whose [[data.user]] files are checked too."
)
@click.option("--research", is_flag=True, help="Read the sets for research only as well.")
def check(folder: Path, recipe: Path | None, research: bool) -> None:
    """Report sizes, classes, lengths, leaks and conflicting labels of the sets in DATA_DIR (train/ and dev/) and of your own files.

    A leak is a text that is trained on and, word for word or nearly so (Jaccard of at least .6), measured on; a conflict is
    one text with two labels. Exit code 1: there is a leak, or a conflict in your files.
    """
    from models import data_check

    with _waiting("reading"):
        portions = list(_portions(folder, recipe, research=research))
    if not portions:
        message = f"{folder}: none of the sets is here; name the folder that holds train/ and dev/, or your own files with --recipe"
        raise UsageError(message)
    with _waiting("comparing"):
        report = data_check.check(portions)
    _print(report)
    if report.faults:
        click.echo("\n".join(f"FAULT: {fault}" for fault in report.faults))
        sys.exit(1)
    click.echo("no leak, and no conflict in files of your own")


@contextmanager
def _waiting(what: str) -> Iterator[None]:
    """A sign of life on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} ..."):
        yield


def _portions(folder: Path, recipe: Path | None, *, research: bool) -> Iterator["Portion"]:
    """Every file that is there; a set without files is no fault, since nobody needs all of them."""
    from models.data_check import Portion
    from models.datasets import CORPORA, path_of, read_numbered, read_user_numbered, user_entries

    for key, corpus in CORPORA.items():
        for part in corpus.parts if research or corpus.ship != "research only" else ():
            if path_of(folder, key, part).exists():
                yield Portion(key, part, read_numbered(folder, key, part, research=research))
    for entry in user_entries(recipe) if recipe else ():
        yield Portion(entry.key, entry.part, read_user_numbered(entry), of_user=True)


# --- printing ---------------------------------------------------------------------------------------------------------
def _print(report: "Report") -> None:
    _table("", ["set", "part", "rows", "empty", "median", "90 %", "99 %", "longest", "weights may be shipped"], map(_sizes, report.facts))
    click.echo("median to longest: characters of a text\n")
    classes = [
        (facts.name, facts.part, task, ", ".join(f"{name} {count:,}" for name, count in counted.items()))
        for facts in report.facts
        for task, counted in facts.classes.items()
    ]
    _table("classes", ["set", "part", "task", "how often"], classes)
    pairs: dict[tuple[str, str], list[Leak]] = {}
    for leak in report.leaks:
        pairs.setdefault((leak.source.name, leak.dev.name), []).append(leak)
    columns = ["trained on", "measured on", "same", "near", "nearest", "lines, train = dev"]
    _table("leaks", columns, (_leaks(*item) for item in pairs.items()))
    conflicts = [
        (conflict.task, str(conflict.lines), ", ".join(f"{_place(spot)} {label}" for spot, label in conflict.spots))
        for conflict in report.conflicts[:CONFLICTS_SHOWN]
    ]
    _table("conflicting labels", ["task", "lines", "among them"], conflicts)
    if len(report.conflicts) > CONFLICTS_SHOWN:
        click.echo(f"and {len(report.conflicts) - CONFLICTS_SHOWN:,} more\n")


def _sizes(facts: "Facts") -> tuple[str, ...]:
    from models.datasets import CORPORA

    ship = "yours" if facts.of_user else CORPORA[facts.name].ship
    return (facts.name, facts.part, *(f"{number:,}" for number in (facts.rows, facts.empty, *facts.lengths)), ship)


def _leaks(names: tuple[str, str], leaks: "list[Leak]") -> tuple[str, ...]:
    near = [leak for leak in leaks if not leak.exact]
    shown = ", ".join(f"{leak.source.line} = {leak.dev.line}" for leak in leaks[:LEAKS_SHOWN])
    more = f", {len(leaks) - LEAKS_SHOWN:,} more" if len(leaks) > LEAKS_SHOWN else ""
    nearest = f"{max(leak.similarity for leak in near):.2f}" if near else "-"
    return (*names, f"{len(leaks) - len(near):,}", f"{len(near):,}", nearest, shown + more)


def _place(spot: "Spot") -> str:
    return f"{spot.name} {spot.part}:{spot.line}"


def _table(title: str, columns: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """A table without lines; a title alone with "none" where there are no rows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = list(rows)
    if title:
        click.echo(title if shown else f"{title}: none\n")
    if not shown:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        right = all(str(row[number]).replace(",", "").replace(".", "").replace("-", "0").isdigit() for row in shown)
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in shown:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    with console.capture() as printed:
        console.print(table)
    click.echo("".join(line.rstrip() + "\n" for line in printed.get().splitlines()))
