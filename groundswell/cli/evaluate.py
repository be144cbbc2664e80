"""The command that measures a model: evaluate."""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.errors import RecordError, UsageError, reason_of

if TYPE_CHECKING:
    from models.answers import Answers
    from models.by_language import JudgingScorer
    from models.evaluate import Measured
    from models.examples import Example, Part
    from models.report import Beside

CONTROL: Final = "linear"
PIPE_WIDTH: Final = 160  # characters of a line where there is no terminal to ask
SUFFIXES: Final = (".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
ALIASES: Final[Mapping[str, str]] = {"native_topic": "topic", "entities": "targets"}
"""Columns that the labelled sets call otherwise than a recipe does."""


@click.command(epilog=example("groundswell evaluate en-bge headlines.csv -o report.html"))
@click.argument("bundle", metavar="BUNDLE")
@click.argument("data", type=click.Path(path_type=Path), metavar="DATA")
@click.option("--against", multiple=True, metavar="BUNDLE", help="Another bundle to show beside it; may be given more than once.")
@click.option("--corpus", "chosen", multiple=True, metavar="NAME", help="Only this set of DATA; may be given more than once.")
@click.option("--part", type=click.Choice(["dev", "train"]), default="dev", show_default=True, help="Which part of the sets in DATA.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How figures are printed.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write a report with pictures here (HTML).")
def evaluate(
    bundle: str, data: Path, against: tuple[str, ...], chosen: tuple[str, ...], part: "Part", form: str, output: Path | None
) -> None:
    """Measure BUNDLE (a name in the registry, `linear`, or a folder) on the labelled texts of DATA.

    DATA is a folder with train/ and dev/; or a file of your own (.csv or .jsonl) with a column text and columns named as the
    labels are: topic, sentiment, labels, flags, negative, targets; or a recipe (.toml) that says which columns of your files
    mean what. Every figure has a 95 % interval; beside it stand the linear control model and the difference on the same texts.
    """
    from models.evaluate import measure

    scorer = _scorer_of(bundle)
    found = _examples(data, part, tuple(dict.fromkeys(chosen)))
    examples = [example for example in found if example.language in scorer.languages]
    languages = ", ".join(sorted(scorer.languages))
    if not examples:
        message = f"{data}: holds no labelled text in {languages}, which {bundle} scores; name other data"
        raise UsageError(message)
    if len(found) > len(examples):
        click.echo(f"texts in other languages than {languages} are left out: {len(found) - len(examples):,}", err=True)
    answers = _ask(bundle, scorer, examples)
    measured = measure(examples, answers)
    beside = [_beside(name, examples, answers) for name in dict.fromkeys([CONTROL, *against]) if name != bundle]
    if form == "json":
        click.echo(_json(answers.model, measured, beside))
    else:
        _print(answers.model, measured, beside)
    if output is not None:
        _write_report(output, bundle, model=answers.model, data=data, measured=measured, beside=beside)


# --- models --------------------------------------------------------------------------------------------------------------
def _scorer_of(name: str) -> "JudgingScorer":
    """The scorer of a bundle. Digests of texts are part of no figure, and are not made."""
    from models.entities import Catalogue
    from models.registry import load_scorer, registry_at

    chosen = o.settings()
    catalogue = Catalogue.load(extra=[Path(path) for path in chosen.companies.extra])
    place = Path(name).resolve() if "/" in name else name
    return load_scorer(place, finder=catalogue.find, digest=lambda _: b"", registry=registry_at(chosen.models.registry))


def _recipe_of(name: str) -> str:
    """The training recipe in a bundle's folder, as text; empty where there is none."""
    from models.registry import registry_at

    folder = Path(name) if "/" in name else registry_at(o.settings().models.registry).directory(name)
    path = folder / "recipe.toml"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _ask(name: str, scorer: "JudgingScorer", examples: Sequence["Example"]) -> "Answers":
    from models.answers import answers_of
    from stream.operators.normalise import detect_language

    with _waiting(f"{name} reads {len(examples):,} texts"):
        return answers_of(scorer, examples, detect=detect_language)


def _beside(name: str, examples: Sequence["Example"], answers: "Answers") -> "Beside":
    """Another bundle on those of the texts whose language it scores."""
    from models.answers import answers_at
    from models.evaluate import compare, measure
    from models.report import Beside

    scorer = _scorer_of(name)
    places = [i for i, example in enumerate(examples) if example.language in scorer.languages]
    shared = [examples[i] for i in places]
    other = _ask(name, scorer, shared)
    return Beside(Path(name).name, measure(shared, other), compare(shared, answers_at(answers, places), other))


@contextmanager
def _waiting(what: str) -> Iterator[None]:
    """A sign of life on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} ..."):
        yield


# --- labelled texts --------------------------------------------------------------------------------------------------------
def examples_of(data: Path) -> list["Example"]:
    """Every labelled text of DATA, of the dev part where it is a folder of sets; see _examples."""
    return _examples(data, "dev", ())


def _examples(data: Path, part: "Part", chosen: Sequence[str]) -> list["Example"]:
    """Every labelled text of DATA, or those of the chosen sets.

    Raises:
        UsageError: DATA is neither a folder of sets nor a file that can be read, or a chosen set is not there.
        RecordError: a line is not what it should be.
    """
    if data.is_dir():
        return _of_folder(data, part, chosen)
    if data.suffix == ".toml":
        return _of_recipe(data, part, chosen)
    if data.name.endswith(SUFFIXES):
        if chosen:
            message = f"{data}: is one set, and --corpus chooses among those of a folder or a recipe; leave --corpus out"
            raise UsageError(message)
        return _of_file(data)
    message = f"{data}: is no folder with train/ and dev/, and no file that ends in .csv, .jsonl, .csv.gz, .jsonl.gz or .toml; name one"
    raise UsageError(message)


def _of_folder(data: Path, part: "Part", chosen: Sequence[str]) -> list["Example"]:
    from models.datasets import CORPORA, path_of, read_corpus

    keys = chosen or [key for key, corpus in CORPORA.items() if part in corpus.parts and corpus.ship != "research only"]
    there = [key for key in keys if path_of(data, key, part).exists()]
    missing = [key for key in chosen if key not in there]
    if missing or not there:
        message = f"{data}/{part}: has no file of {', '.join(missing) or 'any known set'}; name the folder that holds train/ and dev/"
        raise UsageError(message)
    return [example for key in there for example in read_corpus(data, key, part, research=bool(chosen))]


def _of_recipe(recipe: Path, part: "Part", chosen: Sequence[str]) -> list["Example"]:
    """The user's files of one part, as a recipe names them: what a model was trained on says nothing of its worth."""
    from models.datasets import read_user_files, user_entries

    entries = [entry for entry in user_entries(recipe) if entry.part == part]
    names = [entry.key for entry in entries]
    missing = [key for key in chosen if key not in names]
    if missing or not entries:
        called = f" called {', '.join(missing)}" if missing else ""
        rule = f'evaluate reads files of [[data.user]] with part = "{part}", and there is none{called}'
        message = f"{recipe}: {rule}; it has {', '.join(names) or 'none'}; add one, or choose another --part"
        raise UsageError(message)
    return read_user_files([entry for entry in entries if not chosen or entry.key in chosen])


def _of_file(path: Path) -> list["Example"]:
    """A file of the user's own, whose columns are called as the labels are. Each text's language is read from the text."""
    import msgspec

    from models.datasets import UserFile, read_user_numbered
    from models.user_files import FIELDS
    from stream.operators.normalise import detect_language

    columns = _columns(path)
    fields: dict[str, Any] = {ALIASES.get(column, column): column for column in columns if ALIASES.get(column, column) in FIELDS}
    if "text" not in columns or not set(fields) - {"date"}:
        rule = "needs a column text and one of " + ", ".join(field for field in FIELDS if field not in ("date", "entity_sentiment"))
        message = f"{path}: {rule}; it has {', '.join(columns) or 'none'}; rename its columns, or say in a recipe which is which"
        raise UsageError(message)
    read = read_user_numbered(UserFile(path=str(path), language="en", kind="news", text="text", **fields))
    return [msgspec.structs.replace(example, language=detect_language(example.text, None) or "none") for _, example in read]


def _columns(path: Path) -> list[str]:
    """Columns of the header, or keys of the first line."""
    try:
        with gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as file:
            if path.name.endswith((".csv", ".csv.gz")):
                return next(csv.reader(file), [])
            first = json.loads(next((line for line in file if line.strip()), "{}"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path}: the file is gzip to its end; got {reason_of(error)}; restore it from where it came"
        raise RecordError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or reason_of(error)}); check the path and its permissions"
        raise UsageError(message) from error
    except (ValueError, csv.Error) as error:
        message = f"{path}: the first line is a header (CSV) or an object (JSON lines), in UTF-8; got {reason_of(error)}; mend the file"
        raise RecordError(message) from error
    return list(first) if isinstance(first, dict) else []


# --- results -----------------------------------------------------------------------------------------------------------------
def _json(model: str, measured: Sequence["Measured"], beside: Sequence["Beside"]) -> str:
    """One object: the model, its figures, and those of the others. Which texts differ is for `groundswell models`, not for here."""
    import msgspec

    others = [
        {
            "name": other.name,
            "measured": other.measured,
            "compared": [msgspec.structs.replace(one, changes=()) for one in other.compared],
        }
        for other in beside
    ]
    return msgspec.json.encode({"model": model, "measured": measured, "beside": others}).decode()


def _print(model: str, measured: Sequence["Measured"], beside: Sequence["Beside"]) -> None:
    """A row per figure; the first of a group says which texts and whether the probabilities hold."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from models.report import figure_rows, interval, share, signed

    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=PIPE_WIDTH, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("set", "figure"):
        table.add_column(name, overflow="fold", no_wrap=not sys.stdout.isatty())
    others = [column for other in beside for column in (other.name, "difference")]
    for name in ("value", "95 % interval", *others, "calibration error"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in figure_rows(measured, beside):
        cells = [Text.assemble((row.title, "bold"), "\n", (row.rows, "dim")) if row.figures else Text("")]
        cells += [Text(row.figure), Text(share(row.value.value), style="bold"), Text(interval(row.value), style="dim")]
        for value, difference in row.others:
            cells.append(Text(share(value.value if value else None)))
            cells.append(Text(f"{signed(difference.value)} ({interval(difference)})" if difference else "–"))
        cells.append(_calibration(row.error.value if row.error else None, row.bound))
        table.add_row(*cells)
    console.print(Text(model, style="bold"))
    console.print(table)


def _calibration(error: float | None, bound: float | None) -> Any:
    from rich.text import Text

    from models.report import share

    if error is None or bound is None:
        return Text("")
    return Text(f"{share(error)} {'within' if error <= bound else 'above'} {share(bound)}", style="" if error <= bound else "yellow")


def _write_report(output: Path, bundle: str, *, model: str, data: Path, measured: Sequence["Measured"], beside: Sequence["Beside"]) -> None:
    from models.report import report_html

    title = Path(bundle).name
    page = report_html(title, facts=[("Model", model), ("Data", data.name)], measured=measured, beside=beside, recipe=_recipe_of(bundle))
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        message = f"{output}: cannot be written ({error.strerror or reason_of(error)}); choose another file with -o"
        raise UsageError(message) from error
    click.echo(f"report: {output}", err=True)
